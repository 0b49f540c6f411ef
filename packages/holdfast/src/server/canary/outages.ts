/** Outages as clients saw them, and what they saw of each incident, in the database. */
import type { ApiCanaryOutage, ApiIncident, ApiIncidentMeasured } from '@holdfast/client'
import type { Reading, Writing } from '../database/database.ts'

/** Newest that are kept, of all groups together. */
const OUTAGES_MAX = 5_000
const SHOWN = 20

export type OutageNote =
  | { readonly kind: 'outage'; readonly outage: ApiCanaryOutage }
  | { readonly kind: 'incident'; readonly beganMs: number; readonly measured: ApiIncidentMeasured }

/** Incidents whose document was changed are given back. */
export async function writeOutages(writing: Writing, notes: readonly OutageNote[]): Promise<readonly ApiIncident[]> {
  const changed: ApiIncident[] = []
  for (const note of notes) {
    const row =
      note.kind === 'outage'
        ? { id: note.outage.id, group_name: note.outage.group, incident: note.outage.incident, body: note.outage }
        : {
            id: note.measured.incident,
            group_name: note.measured.group,
            incident: note.measured.incident,
            body: note.measured,
          }
    const body = JSON.stringify(row.body)
    const beganMs = Math.round(note.kind === 'outage' ? note.outage.fromMs : note.beganMs)
    await writing
      .insertInto('canary_outages')
      .values({ ...row, body, kind: note.kind, began_ms: beganMs })
      .onConflict((conflict) => conflict.column('id').doUpdateSet({ body }))
      .execute()
    if (note.kind === 'incident') changed.push(...(await markIncident(writing, note.measured)))
  }
  if (notes.length > 0) await forgetOld(writing)
  return changed
}

/** An incident carries what clients saw of it; one that is open is still its recorder's. */
async function markIncident(
  writing: Writing,
  { incident: id, measured }: ApiIncidentMeasured,
): Promise<readonly ApiIncident[]> {
  const row = await writing.selectFrom('incidents').select(['body', 'state']).where('id', '=', id).executeTakeFirst()
  if (row === undefined || row.state !== 'closed') return []
  const incident: ApiIncident = { ...(JSON.parse(row.body) as ApiIncident), canary: measured }
  await writing
    .updateTable('incidents')
    .set({ body: JSON.stringify(incident) })
    .where('id', '=', id)
    .execute()
  return [incident]
}

async function forgetOld(writing: Writing): Promise<void> {
  const oldest = await writing
    .selectFrom('canary_outages')
    .select('began_ms')
    .orderBy('began_ms', 'desc')
    .offset(OUTAGES_MAX)
    .limit(1)
    .executeTakeFirst()
  if (oldest === undefined) return
  await writing.deleteFrom('canary_outages').where('began_ms', '<=', oldest.began_ms).execute()
}

export async function outagesOf(read: Reading, group: string): Promise<readonly ApiCanaryOutage[]> {
  const rows = await read
    .selectFrom('canary_outages')
    .select('body')
    .where('group_name', '=', group)
    .where('kind', '=', 'outage')
    .orderBy('began_ms', 'desc')
    .limit(SHOWN)
    .execute()
  return rows.map(({ body }) => JSON.parse(body) as ApiCanaryOutage)
}

/** The longest since then, in milliseconds; null when there was none. */
export async function longestOutage(read: Reading, groups: readonly string[], sinceMs: number): Promise<number | null> {
  const rows = await read
    .selectFrom('canary_outages')
    .select('body')
    .where('group_name', 'in', groups)
    .where('kind', '=', 'outage')
    .where('began_ms', '>=', Math.round(sinceMs))
    .execute()
  const all = rows.map(({ body }) => (JSON.parse(body) as ApiCanaryOutage).ms)
  return all.length === 0 ? null : Math.max(...all)
}

export async function measuredIncident(read: Reading, id: string): Promise<ApiIncidentMeasured | null> {
  const row = await read.selectFrom('canary_outages').select('body').where('id', '=', id).executeTakeFirst()
  return row === undefined ? null : (JSON.parse(row.body) as ApiIncidentMeasured)
}
