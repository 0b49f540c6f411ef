/**
 * What the embedded store and its clients say to each other: `POST /v1/{get,list,cas,watch}` with a JSON object, a
 * bearer token, and a JSON object back; errors are `{ error: { code, message } }`. Every answer names the store file
 * and its revision (R22). `/v1/watch` answers with one object a line, entries in the order of their revisions; a line
 * without entries is a heartbeat. Both ends read strangers' data here, so everything is checked.
 */
import type { KeyRevision, StoredValue } from '../contract.ts'
import { isObject, isRevision, keyMistake, prefixMistake, revisionMistake, valueMistake } from '../limits.ts'

/** A value of the largest size whose every byte needs a JSON escape, with its key. */
export const BODY_BYTES_MAX = 524_288
/** A watcher says how often it wants to hear of a quiet stream; each heartbeat wakes its process. */
export const HEARTBEAT_MS = { least: 125, usual: 250, most: 10_000 }
/** A client that hears nothing for three heartbeats, and some, takes the connection for cut. */
export const SILENT_HEARTBEATS = 3.2
/** Shows a retry that its first attempt was applied after all. */
const WRITE_ID_PATTERN = /^[A-Za-z0-9-]{1,64}$/

export interface CasRequest {
  readonly key: string
  readonly value: string
  readonly ifRevision: KeyRevision
  /** Fresh for each call, the same for its retries. */
  readonly writeId: string
}

/** `store` is the random identity of the file, `revision` the highest revision in it. */
export interface Stamped {
  readonly store: string
  readonly revision: KeyRevision
}

export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly because: string }

type Json = Readonly<Record<string, unknown>>

export function parseGet(body: Json): Parsed<{ key: string }> {
  const mistake = keyMistake(body.key)
  return mistake === null && typeof body.key === 'string' ? good({ key: body.key }) : bad(mistake)
}

export function parseList(body: Json): Parsed<{ prefix: string }> {
  const mistake = prefixMistake(body.prefix)
  return mistake === null && typeof body.prefix === 'string' ? good({ prefix: body.prefix }) : bad(mistake)
}

export interface WatchRequest {
  readonly prefix: string
  readonly after: KeyRevision
  readonly heartbeatMs: number
}

export function parseWatch(body: Json): Parsed<WatchRequest> {
  const { prefix, after, heartbeatMs = HEARTBEAT_MS.usual } = body
  const mistake = prefixMistake(prefix) ?? revisionMistake(after)
  if (mistake !== null || typeof prefix !== 'string' || !isRevision(after)) return bad(mistake)
  const { least, most } = HEARTBEAT_MS
  if (typeof heartbeatMs !== 'number' || !(heartbeatMs >= least && heartbeatMs <= most)) {
    return bad(`heartbeatMs is a number from ${least} to ${most}`)
  }
  return good({ prefix, after, heartbeatMs })
}

export function parseCas(body: Json): Parsed<CasRequest> {
  const { key, value, ifRevision, writeId } = body
  const mistake = keyMistake(key) ?? valueMistake(value) ?? revisionMistake(ifRevision)
  if (mistake !== null || typeof key !== 'string' || typeof value !== 'string' || !isRevision(ifRevision)) {
    return bad(mistake)
  }
  if (typeof writeId !== 'string' || !WRITE_ID_PATTERN.test(writeId)) {
    return bad('writeId must be 1 to 64 letters, digits or dashes')
  }
  return good({ key, value, ifRevision, writeId })
}

export function readStamp(json: Json): Stamped | null {
  const { store, revision } = json
  return typeof store === 'string' && store !== '' && isRevision(revision) ? { store, revision } : null
}

export function readEntry(json: unknown): StoredValue | null {
  if (!isObject(json)) return null
  const { key, value, revision } = json
  if (typeof key !== 'string' || !isRevision(revision)) return null
  if (value === null) return revision === 0 ? { key, value, revision } : null
  return typeof value === 'string' && revision > 0 ? { key, value, revision } : null
}

export function readEntries(json: unknown): readonly StoredValue[] | null {
  if (!Array.isArray(json)) return null
  const entries: StoredValue[] = []
  for (const item of json) {
    const entry = readEntry(item)
    if (entry === null || entry.value === null) return null
    entries.push(entry)
  }
  return entries
}

/** The server's own words for an error, or null when it said none. */
export function readError(json: Json): { code: string; message: string } | null {
  if (!isObject(json.error)) return null
  const { code, message } = json.error
  return typeof code === 'string' && typeof message === 'string' ? { code, message } : null
}

function good<T>(value: T): Parsed<T> {
  return { ok: true, value }
}

function bad(because: string | null): { readonly ok: false; readonly because: string } {
  return { ok: false, because: because ?? 'malformed request' }
}
