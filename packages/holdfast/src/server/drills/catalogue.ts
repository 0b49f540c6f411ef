/** The drill files of the description, read again every few seconds; and since when each schedule is known. */

import type { DrillSpec } from '../../config/drill.ts'
import { type DrillEntry, drillEntries } from '../../config/drill-files.ts'
import type { Platform } from '../../config/platform.ts'
import type { Clock } from '../../io/clock.ts'
import type { Reading } from '../database/database.ts'
import type { Looked } from './schedule.ts'

/** Somebody edits a file and looks at the screen. */
const EVERY_MS = 5_000
export const SCHEDULE_FACT = 'drill-schedule/'

export class DrillCatalogue {
  readonly #platform: Platform
  readonly #clock: Clock
  #entries: readonly DrillEntry[] = []
  #known = new Map<string, Looked>()
  #readAtMs = Number.NEGATIVE_INFINITY

  constructor(platform: Platform, clock: Clock) {
    this.#platform = platform
    this.#clock = clock
  }

  get entries(): readonly DrillEntry[] {
    return this.#entries
  }

  get drills(): readonly DrillSpec[] {
    return this.#entries.flatMap((entry) => (entry.ok ? [entry.drill] : []))
  }

  find(name: string): DrillSpec | null {
    return this.drills.find(({ settings }) => settings.drill === name) ?? null
  }

  /** When its schedule was first seen by a server that led; null: never. */
  knownSince(name: string): number | null {
    return this.#known.get(name)?.sinceMs ?? null
  }

  /** True when it was time to. */
  async refresh(read: Reading): Promise<boolean> {
    const nowMs = this.#clock.nowMs()
    if (nowMs - this.#readAtMs < EVERY_MS) return false
    this.#readAtMs = nowMs
    this.#entries = drillEntries(this.#platform)
    const rows = await read.selectFrom('facts').selectAll().where('key', 'like', `${SCHEDULE_FACT}%`).execute()
    this.#known = new Map(rows.map(({ key, body }) => [key.slice(SCHEDULE_FACT.length), JSON.parse(body) as Looked]))
    return true
  }

  /** Of what is about to be run: as it is now, not seconds ago. */
  reread(): void {
    this.#entries = drillEntries(this.#platform)
  }
}
