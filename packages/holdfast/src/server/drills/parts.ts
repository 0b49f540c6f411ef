/** Everything of drills in one server, built by hand. */
import type { Platform } from '../../config/platform.ts'
import { type Desk, openDesk } from '../../drills/desk.ts'
import { HoldfastError } from '../../errors.ts'
import type { Clock } from '../../io/clock.ts'
import type { Log } from '../../io/log.ts'
import type { Database } from '../database/database.ts'
import { DrillCatalogue } from './catalogue.ts'
import { DrillRecords } from './records.ts'
import { DrillReports } from './reports.ts'

export interface DrillParts {
  /** Null: the store cannot be used. */
  readonly desk: Desk | null
  readonly because: string
  readonly records: DrillRecords
  readonly catalogue: DrillCatalogue
  readonly reports: DrillReports
}

export interface PartsOptions {
  readonly platform: Platform
  readonly database: Database
  readonly clock: Clock
  readonly log: Log
  readonly dir: string
}

export function drillParts({ platform, database, clock, log, dir }: PartsOptions): DrillParts {
  const opened = opening(platform)
  return {
    ...opened,
    records: new DrillRecords({ ...opened, clock }),
    catalogue: new DrillCatalogue(platform, clock),
    reports: new DrillReports({ platform, database, dir, log }),
  }
}

/** A store that cannot be used is no reason to hide what the agents say: then there are no drills, and why. */
function opening(platform: Platform): Pick<DrillParts, 'desk' | 'because'> {
  try {
    return { desk: openDesk(platform), because: '' }
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error
    return { desk: null, because: error.message }
  }
}
