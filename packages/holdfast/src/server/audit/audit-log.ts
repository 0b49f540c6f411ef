/** The audit log in the database: entries are written in the transaction of what they tell about, or before it. */
import { appendFileSync, closeSync, fsyncSync, openSync } from 'node:fs'
import type { ApiAuditCheckpoint, ApiAuditEntry } from '@holdfast/client'
import { sql } from 'kysely'
import { canonicalJson, type SigningKey } from '../../io/signing.ts'
import type { Database, Reading, Writing } from '../database/database.ts'
import type { AuditRow } from '../database/tables.ts'
import {
  EMPTY_HEAD,
  type Head,
  headerLine,
  linked,
  pointOf,
  signCheckpoint,
  signEnd,
  type Verdict,
  Verifier,
} from './chain.ts'

export type AuditNote = Omit<ApiAuditEntry, 'number' | 'wallMs' | 'before' | 'hash'>

/** What a person can have typed, and no more. */
const TEXT_MAX = 500
const DETAILS_MAX = 40
const PAGE = 500

/** Half of a pair would have no form in UTF-8, and another hash after a way through the database. */
function wellFormed(text: string): string {
  return Buffer.from(text, 'utf8').toString('utf8').replaceAll('\0', '')
}

/** The head's row stays locked until the transaction ends: one chain, whoever writes. */
export async function appendAudit(writing: Writing, note: AuditNote, wallMs: number): Promise<Head> {
  const before = await writing
    .updateTable('audit_head')
    .set((row) => ({ number: row('number', '+', 1) }))
    .where('id', '=', 1)
    .returning(['number', 'hash'])
    .executeTakeFirstOrThrow()
  const cut = (value: string): string => wellFormed(value.slice(0, TEXT_MAX))
  const details = Object.entries(note.detail).slice(0, DETAILS_MAX)
  const entry = {
    number: before.number,
    wallMs: Math.round(wallMs),
    actor: cut(note.actor),
    action: cut(note.action),
    subject: cut(note.subject),
    outcome: note.outcome,
    address: cut(note.address),
    detail: Object.fromEntries(details.map(([key, value]) => [key, typeof value === 'string' ? cut(value) : value])),
    before: before.number === 1 ? EMPTY_HEAD.hash : before.hash,
  }
  const { body, hash } = linked(entry)
  const { number, actor, action, subject } = entry
  await writing
    .insertInto('audit')
    .values({ number, wall_ms: entry.wallMs, actor, action, subject, body, hash })
    .execute()
  await writing.updateTable('audit_head').set({ hash }).where('id', '=', 1).execute()
  return { number, hash }
}

export interface AuditSigner {
  readonly key: SigningKey
  readonly platform: string
  /** Checkpoints are kept here, too: who can change the database still has to change this file. */
  readonly file: string
}

/** Signs what was written since the last checkpoint; null when nothing was. */
export async function writeCheckpoint(
  writing: Writing,
  { key, platform, file }: AuditSigner,
  wallMs: number,
): Promise<ApiAuditCheckpoint | null> {
  const head = await headOf(writing)
  const last = await writing
    .selectFrom('audit_checkpoints')
    .select((of) => of.fn.max('number').as('number'))
    .executeTakeFirst()
  if (head.number <= Number(last?.number ?? 0)) return null
  const point = signCheckpoint({ key, platform }, { ...head, wallMs: Math.round(wallMs) })
  const body = canonicalJson(point)
  await writing.insertInto('audit_checkpoints').values({ number: point.number, body }).execute()
  const opened = openSync(file, 'a', 0o600)
  try {
    appendFileSync(opened, `${body}\n`)
    fsyncSync(opened)
  } finally {
    closeSync(opened)
  }
  return point
}

async function headOf(read: Reading | Writing): Promise<Head> {
  const row = await read.selectFrom('audit_head').select(['number', 'hash']).executeTakeFirstOrThrow()
  return row.number === 0 ? EMPTY_HEAD : row
}

/** From the text that was hashed, so that what is shown is what is proved. */
export function entryOf(row: AuditRow): ApiAuditEntry {
  return { ...(JSON.parse(row.body) as Omit<ApiAuditEntry, 'hash'>), hash: row.hash }
}

export interface AuditFilter {
  readonly before?: number | undefined
  readonly actor?: string | undefined
  readonly action?: string | undefined
  readonly subject?: string | undefined
  readonly search?: string | undefined
  readonly limit: number
}

export async function auditEntries(read: Reading, filter: AuditFilter): Promise<readonly ApiAuditEntry[]> {
  const { before, actor, action, subject, search, limit } = filter
  let query = read.selectFrom('audit').selectAll()
  if (before !== undefined) query = query.where('number', '<', before)
  if (actor !== undefined) query = query.where('actor', '=', actor)
  if (action !== undefined) query = query.where('action', '=', action)
  if (subject !== undefined) query = query.where('subject', '=', subject)
  if (search !== undefined) {
    // Signs that mean "anything" to the database mean themselves to who typed them.
    const pattern = `%${search.toLowerCase().replace(/[\\%_]/g, (sign) => `\\${sign}`)}%`
    query = query.where(sql<boolean>`lower(body) like ${pattern} escape '\\'`)
  }
  const rows = await query.orderBy('number', 'desc').limit(limit).execute()
  return rows.map(entryOf)
}

interface Page {
  readonly rows: readonly AuditRow[]
  readonly points: ReadonlyMap<number, string>
}

async function* pages(read: Reading): AsyncGenerator<Page> {
  for (let after = 0; ; ) {
    const rows = await read
      .selectFrom('audit')
      .selectAll()
      .where('number', '>', after)
      .orderBy('number')
      .limit(PAGE)
      .execute()
    const last = rows.at(-1)?.number
    if (last === undefined) return
    const points = await read
      .selectFrom('audit_checkpoints')
      .selectAll()
      .where('number', '>', after)
      .where('number', '<=', last)
      .execute()
    yield { rows, points: new Map(points.map(({ number, body }) => [number, body])) }
    after = last
  }
}

/** Recomputes everything. `kept`: checkpoints from the file beside the database, or from elsewhere. */
export async function verifyDatabase(
  read: Reading,
  platform: string,
  { trusted, kept }: { readonly trusted: readonly string[] | null; readonly kept: readonly string[] },
): Promise<Verdict> {
  const verifier = new Verifier(platform, trusted)
  const hashes = new Map<number, string>()
  const wanted = new Set(kept.flatMap((line) => numberOf(line)))
  // What is appended meanwhile is checked with it; the head is read last.
  for await (const { rows, points } of pages(read)) {
    for (const row of rows) {
      verifier.entry(row.body, row.hash)
      const { actor, action, subject, wallMs } = entryOf(row)
      const same = actor === row.actor && action === row.action && subject === row.subject && wallMs === row.wall_ms
      if (!same) verifier.fail(row.number, 'its columns do not say what the entry says')
      if (wanted.has(row.number)) hashes.set(row.number, row.hash)
      const point = points.get(row.number)
      if (point !== undefined) takePoint(verifier, row.number, point)
    }
  }
  const { number } = verifier.head
  const later = await read.selectFrom('audit_checkpoints').select('number').where('number', '>', number).execute()
  const head = await headOf(read)
  if (head.number < number || (head.number === number && head.hash !== verifier.head.hash)) {
    verifier.fail(number, 'the head of the chain is not its last entry')
  }
  const grown = head.number > number && (await hasEntry(read, number + 1))
  if (head.number > number && !grown) verifier.fail(number + 1, 'entries are missing at the end')
  if (later.length > 0 && !grown) verifier.fail(later[0]?.number ?? 0, 'a signed entry is missing at the end')
  for (const line of kept) takeKept(verifier, line, { hashes, grown })
  return verifier.verdict()
}

async function hasEntry(read: Reading, number: number): Promise<boolean> {
  return (await read.selectFrom('audit').select('number').where('number', '=', number).executeTakeFirst()) !== undefined
}

function takePoint(verifier: Verifier, number: number, body: string): void {
  const point = readPoint(body)
  if (point === null || point.number !== number) verifier.fail(number, 'a checkpoint is not as it was written')
  else verifier.checkpoint(point)
}

/** A checkpoint that was kept elsewhere: the database must still have that entry. */
function takeKept(
  verifier: Verifier,
  line: string,
  { hashes, grown }: { readonly hashes: ReadonlyMap<number, string>; readonly grown: boolean },
): void {
  const point = readPoint(line)
  if (point === null) {
    verifier.fail(0, 'a kept checkpoint is not as it was written')
    return
  }
  const found = hashes.get(point.number)
  if (found === undefined && !grown) verifier.fail(point.number, 'an entry that was signed is gone')
  else if (found !== undefined && found !== point.hash) {
    verifier.fail(point.number, 'the entry is not the one that was signed')
  }
}

function readPoint(text: string): ApiAuditCheckpoint | null {
  try {
    const value = JSON.parse(text) as Readonly<Record<string, unknown>>
    return canonicalJson(value) === text ? pointOf(value) : null
  } catch {
    return null
  }
}

function numberOf(line: string): readonly number[] {
  const number = readPoint(line)?.number
  return number === undefined ? [] : [number]
}

/** Lines of an export; the end is signed with the newest entry at that moment. */
export async function* exportLines(
  database: Database,
  { key, platform }: Pick<AuditSigner, 'key' | 'platform'>,
  wallMs: number,
): AsyncGenerator<string> {
  yield headerLine(platform)
  let head = EMPTY_HEAD
  let checkpoints = 0
  for await (const { rows, points } of pages(database.read)) {
    for (const row of rows) {
      yield canonicalJson({ entry: entryOf(row) })
      head = { number: row.number, hash: row.hash }
      const point = points.get(row.number)
      if (point === undefined) continue
      yield canonicalJson({ checkpoint: JSON.parse(point) as object })
      checkpoints += 1
    }
  }
  yield canonicalJson({ end: signEnd({ key, platform }, { ...head, wallMs: Math.round(wallMs) }, checkpoints) })
}
