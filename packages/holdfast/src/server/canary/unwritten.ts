/**
 * What canaries found and counted and the database does not have yet, within bounds. It is written in batches; one
 * whose answer was lost may stand in the database already: it is given again as it was, and adds nothing then.
 */
import type { ApiIncident } from '@holdfast/client'
import { freshId } from '../../io/random.ts'
import type { Writing } from '../database/database.ts'
import type { CanaryPeriodRow } from '../database/tables.ts'
import { writeEvents } from '../events.ts'
import type { Draft } from '../follow/changes.ts'
import { type OutageNote, writeOutages } from './outages.ts'
import { Periods, writePeriods } from './periods.ts'

/** What waits while the database does not answer. */
const WAITING_MAX = 1_000
/** Of each server its own: what another one wrote in between says nothing of this one's batch. */
const FACT = 'canary/batch'

export interface Batch {
  readonly id: string
  readonly drafts: readonly Draft[]
  readonly notes: readonly OutageNote[]
  readonly periods: readonly CanaryPeriodRow[]
}

export class Unwritten {
  readonly periods = new Periods()
  #drafts: Draft[] = []
  #notes: OutageNote[] = []
  #given: Batch | null = null

  draft(draft: Draft): void {
    bounded(this.#drafts, draft)
  }

  note(note: OutageNote): void {
    bounded(this.#notes, note)
  }

  /** The same one until `done`, whatever came meanwhile; null: there is nothing. */
  take(withPeriods: boolean): Batch | null {
    if (this.#given !== null) return this.#given
    const periods = withPeriods ? this.periods.take() : []
    if (this.#drafts.length + this.#notes.length + periods.length === 0) return null
    this.#given = { id: freshId(), drafts: this.#drafts, notes: this.#notes, periods }
    this.#drafts = []
    this.#notes = []
    return this.#given
  }

  /** It is written, or nobody wants it any more. */
  done(): void {
    this.#given = null
  }
}

function bounded<T>(list: T[], item: T): void {
  list.push(item)
  if (list.length > WAITING_MAX) list.shift()
}

/** In one transaction. Incidents whose document was changed are given back, also the second time. */
export async function writeBatch(
  writing: Writing,
  { id, drafts, notes, periods }: Batch,
  server: string,
  wallMs: number,
): Promise<readonly ApiIncident[]> {
  const row = { key: `${FACT}/${server}`, body: JSON.stringify(id) }
  const before = await writing.selectFrom('facts').select('body').where('key', '=', row.key).executeTakeFirst()
  if (before?.body !== row.body) {
    await writing
      .insertInto('facts')
      .values(row)
      .onConflict((conflict) => conflict.column('key').doUpdateSet({ body: row.body }))
      .execute()
    await writeEvents(writing, drafts, wallMs)
    if (periods.length > 0) await writePeriods(writing, periods, wallMs)
  }
  return writeOutages(writing, notes)
}
