/** Events in the database: written with numbers that have no gap, read by number. */
import type { ApiEvent } from '@holdfast/client'
import type { Reading, Writing } from './database/database.ts'
import type { EventRow } from './database/tables.ts'
import type { Draft } from './follow/changes.ts'

/** PostgreSQL takes 65535 values a statement; SQLite 32766. */
const ROWS_A_STATEMENT = 500

/** The counter's row stays locked until the transaction ends, so who sees a number sees all before it. */
export async function writeEvents(writing: Writing, drafts: readonly Draft[], recordedMs: number): Promise<number> {
  if (drafts.length === 0) return 0
  const { value } = await writing
    .updateTable('numbers')
    .set((row) => ({ value: row('value', '+', drafts.length) }))
    .where('name', '=', 'event')
    .returning('value')
    .executeTakeFirstOrThrow()
  const first = value - drafts.length + 1
  const rows = drafts.map((draft, index) => rowOf(draft, first + index, recordedMs))
  for (let at = 0; at < rows.length; at += ROWS_A_STATEMENT) {
    await writing
      .insertInto('events')
      .values(rows.slice(at, at + ROWS_A_STATEMENT))
      .execute()
  }
  return value
}

function rowOf(draft: Draft, number: number, recordedMs: number): EventRow {
  const { kind, severity, code, summary, group, member, source, rule, incident, detail } = draft
  return {
    number,
    wall_ms: Math.round(draft.wallMs),
    recorded_ms: Math.round(recordedMs),
    ...{ kind, severity, code, summary, source, rule, incident, member },
    group_name: group,
    detail: JSON.stringify(detail),
  }
}

export function eventOf(row: EventRow): ApiEvent {
  return {
    number: row.number,
    wallMs: row.wall_ms,
    recordedMs: row.recorded_ms,
    kind: row.kind as ApiEvent['kind'],
    severity: row.severity as ApiEvent['severity'],
    code: row.code,
    summary: row.summary,
    group: row.group_name,
    member: row.member,
    source: row.source,
    rule: row.rule,
    incident: row.incident,
    detail: JSON.parse(row.detail) as ApiEvent['detail'],
  }
}

export async function lastEventNumber(read: Reading): Promise<number> {
  const row = await read.selectFrom('numbers').select('value').where('name', '=', 'event').executeTakeFirstOrThrow()
  return row.value
}

export async function oldestEventNumber(read: Reading): Promise<number> {
  const row = await read
    .selectFrom('events')
    .select((of) => of.fn.min('number').as('number'))
    .executeTakeFirst()
  return Number(row?.number ?? 0)
}

export async function eventsAfter(read: Reading, number: number, limit: number): Promise<readonly ApiEvent[]> {
  const rows = await read
    .selectFrom('events')
    .selectAll()
    .where('number', '>', number)
    .orderBy('number')
    .limit(limit)
    .execute()
  return rows.map(eventOf)
}

export interface EventFilter {
  readonly after?: number | undefined
  readonly before?: number | undefined
  readonly group?: string | undefined
  readonly incident?: string | undefined
  readonly kind?: string | undefined
  /** Events of other groups are not shown; null: all are. */
  readonly groups: readonly string[] | null
  readonly limit: number
}

export async function eventsOf(read: Reading, filter: EventFilter): Promise<readonly ApiEvent[]> {
  const { after, before, group, incident, kind, groups, limit } = filter
  let query = read.selectFrom('events').selectAll()
  if (after !== undefined) query = query.where('number', '>', after)
  if (before !== undefined) query = query.where('number', '<', before)
  if (group !== undefined) query = query.where('group_name', '=', group)
  if (incident !== undefined) query = query.where('incident', '=', incident)
  if (kind !== undefined) query = query.where('kind', '=', kind)
  if (groups !== null) query = query.where('group_name', 'in', [...groups, ''])
  const rows = await query
    .orderBy('number', after === undefined ? 'desc' : 'asc')
    .limit(limit)
    .execute()
  return rows.map(eventOf)
}

/** Newest events that are kept; at a failover a day these are decades, at a defect that shouts some weeks. */
export const EVENTS_MAX = 500_000

export async function forgetOldEvents(writing: Writing, keep = EVENTS_MAX): Promise<void> {
  const { value } = await writing
    .selectFrom('numbers')
    .select('value')
    .where('name', '=', 'event')
    .executeTakeFirstOrThrow()
  await writing
    .deleteFrom('events')
    .where('number', '<=', value - keep)
    .execute()
}
