/** What canaries counted, by minute and by hour: added up in memory, added to the rows of the database. */
import { sql } from 'kysely'
import type { Span } from '../../core/canary/model.ts'
import type { Reading, Writing } from '../database/database.ts'
import type { CanaryPeriodRow } from '../database/tables.ts'

const MINUTE_MS = 60_000
export const HOUR_MS = 60 * MINUTE_MS
export const DAY_MS = 24 * HOUR_MS
/** 2880 rows a group. */
const MINUTES_KEPT_MS = 2 * DAY_MS
/** 840 rows a group; enough for "the last 28 days". */
const HOURS_KEPT_MS = 35 * DAY_MS
/** Of 200 groups, five minutes in which the database did not answer. */
const WAITING_MAX = 4_000
const ROWS_A_STATEMENT = 200

type Sums = Omit<CanaryPeriodRow, 'group_name' | 'length_ms' | 'start_ms' | 'latency_max_ms' | 'stale_max_ms'>
type Peaks = Pick<CanaryPeriodRow, 'latency_max_ms' | 'stale_max_ms'>

const EMPTY: Sums & Peaks = {
  ...{ acked: 0, failed: 0, unknown: 0, lost: 0, up_ms: 0, down_ms: 0, unmeasured_ms: 0 },
  ...{ read_up_ms: 0, read_down_ms: 0, read_unmeasured_ms: 0, latency_sum_ms: 0, latency_max_ms: 0, stale_max_ms: 0 },
}

export class Periods {
  #rows = new Map<string, CanaryPeriodRow>()

  /** `wallMs`: when it happened. */
  add(group: string, wallMs: number, sums: Partial<Sums>, peaks: Partial<Peaks> = {}): void {
    const start = Math.floor(wallMs / MINUTE_MS) * MINUTE_MS
    const key = `${group} ${start}`
    const row = this.#rows.get(key) ?? { group_name: group, length_ms: MINUTE_MS, start_ms: start, ...EMPTY }
    this.#rows.set(key, added(row, { ...EMPTY, ...sums, ...peaks }))
    if (this.#rows.size > WAITING_MAX) this.#rows.delete(this.#rows.keys().next().value ?? '')
  }

  /** A span that crosses a minute counts in both. */
  span(group: string, of: 'write' | 'read', span: Span, aheadMs: number): void {
    const endMs = span.toMs + aheadMs
    for (let fromMs = span.fromMs + aheadMs; fromMs < endMs; ) {
      const toMs = Math.min(endMs, (Math.floor(fromMs / MINUTE_MS) + 1) * MINUTE_MS)
      const column = `${of === 'read' ? 'read_' : ''}${span.kind}_ms` as 'up_ms'
      this.add(group, fromMs, { [column]: toMs - fromMs })
      fromMs = toMs
    }
  }

  /** What is to be written. */
  take(): readonly CanaryPeriodRow[] {
    const rows = [...this.#rows.values()]
    this.#rows = new Map()
    return rows
  }
}

const SUMS = Object.keys(EMPTY).filter((name) => !name.endsWith('max_ms')) as (keyof Sums)[]
const PEAKS = ['latency_max_ms', 'stale_max_ms'] as const satisfies readonly (keyof Peaks)[]

function added(row: CanaryPeriodRow, more: Sums & Peaks): CanaryPeriodRow {
  const sums = Object.fromEntries(SUMS.map((name) => [name, row[name] + more[name]]))
  const peaks = Object.fromEntries(PEAKS.map((name) => [name, Math.max(row[name], more[name])]))
  return { ...row, ...sums, ...peaks }
}

export async function writePeriods(
  writing: Writing,
  minutes: readonly CanaryPeriodRow[],
  wallMs: number,
): Promise<void> {
  const hours = new Map<string, CanaryPeriodRow>()
  for (const row of minutes) {
    const start = Math.floor(row.start_ms / HOUR_MS) * HOUR_MS
    const key = `${row.group_name} ${start}`
    const hour = hours.get(key) ?? { ...row, ...EMPTY, length_ms: HOUR_MS, start_ms: start }
    hours.set(key, added(hour, row))
  }
  const rows = [...minutes, ...hours.values()].map(whole)
  for (let at = 0; at < rows.length; at += ROWS_A_STATEMENT)
    await upsert(writing, rows.slice(at, at + ROWS_A_STATEMENT))
  for (const [lengthMs, keptMs] of [
    [MINUTE_MS, MINUTES_KEPT_MS],
    [HOUR_MS, HOURS_KEPT_MS],
  ] as const) {
    await writing
      .deleteFrom('canary_periods')
      .where('length_ms', '=', lengthMs)
      .where('start_ms', '<', Math.round(wallMs) - keptMs)
      .execute()
  }
}

/** The tables hold whole numbers. */
function whole(row: CanaryPeriodRow): CanaryPeriodRow {
  const numbers = [...SUMS, ...PEAKS].map((name) => [name, Math.round(row[name])])
  return { ...row, ...Object.fromEntries(numbers) }
}

async function upsert(writing: Writing, rows: readonly CanaryPeriodRow[]): Promise<void> {
  if (rows.length === 0) return
  const sum = (name: keyof Sums) => sql<number>`canary_periods.${sql.ref(name)} + excluded.${sql.ref(name)}`
  const peak = (name: keyof Peaks) => {
    const [there, given] = [sql`canary_periods.${sql.ref(name)}`, sql`excluded.${sql.ref(name)}`]
    return sql<number>`case when ${there} > ${given} then ${there} else ${given} end`
  }
  const change = {
    ...Object.fromEntries(SUMS.map((name) => [name, sum(name)])),
    ...Object.fromEntries(PEAKS.map((name) => [name, peak(name)])),
  }
  await writing
    .insertInto('canary_periods')
    .values(rows)
    .onConflict((conflict) => conflict.columns(['group_name', 'length_ms', 'start_ms']).doUpdateSet(change))
    .execute()
}

export interface WindowSums {
  readonly windowMs: number
  readonly upMs: number
  readonly downMs: number
  readonly unmeasuredMs: number
  readonly readUpMs: number
  readonly readDownMs: number
  readonly lost: number
}

/** What was counted in the newest hour, day and four weeks. */
export async function windowsOf(read: Reading, group: string, wallMs: number): Promise<readonly WindowSums[]> {
  const windows = [HOUR_MS, DAY_MS, 28 * DAY_MS]
  return Promise.all(
    windows.map(async (windowMs) => {
      const lengthMs = windowMs > DAY_MS ? HOUR_MS : MINUTE_MS
      const row = await read
        .selectFrom('canary_periods')
        .select((of) => [
          ...[of.fn.sum<number | null>('up_ms').as('up'), of.fn.sum<number | null>('down_ms').as('down')],
          ...[of.fn.sum<number | null>('unmeasured_ms').as('unmeasured')],
          ...[of.fn.sum<number | null>('read_up_ms').as('readUp')],
          ...[of.fn.sum<number | null>('read_down_ms').as('readDown'), of.fn.sum<number | null>('lost').as('lost')],
        ])
        .where('group_name', '=', group)
        .where('length_ms', '=', lengthMs)
        .where('start_ms', '>=', Math.floor((wallMs - windowMs) / lengthMs) * lengthMs)
        .executeTakeFirst()
      return {
        windowMs,
        upMs: Number(row?.up ?? 0),
        downMs: Number(row?.down ?? 0),
        unmeasuredMs: Number(row?.unmeasured ?? 0),
        readUpMs: Number(row?.readUp ?? 0),
        readDownMs: Number(row?.readDown ?? 0),
        lost: Number(row?.lost ?? 0),
      }
    }),
  )
}

export async function minutesOf(read: Reading, group: string, wallMs: number): Promise<readonly CanaryPeriodRow[]> {
  return read
    .selectFrom('canary_periods')
    .selectAll()
    .where('group_name', '=', group)
    .where('length_ms', '=', MINUTE_MS)
    .where('start_ms', '>', Math.round(wallMs) - HOUR_MS)
    .orderBy('start_ms')
    .execute()
}
