/**
 * etcd's JSON gateway (`/v3/...`) in our words: requests made, answers read. Pure. In the gateway's JSON, 64-bit
 * numbers are texts, bytes are base64, and what is zero or empty is left out. All answers are checked: a proxy, a
 * half-written body or another server must not be taken for etcd.
 */
import type { KeyRevision, StoredValue } from '../contract.ts'
import type { Stamp } from '../history.ts'
import { isObject } from '../limits.ts'
import type { Change } from '../view.ts'

type Json = Readonly<Record<string, unknown>>

export interface KeyRange {
  readonly key: string
  readonly range_end: string
}

export interface EtcdError {
  readonly code: number
  readonly message: string
}

/** gRPC codes that another attempt cannot help: bad argument, no permission, not in this state, not known. */
const LASTING_CODES: ReadonlySet<number> = new Set([3, 7, 9, 11, 12])
const UNAUTHENTICATED = 16

export function encode(text: string): string {
  return Buffer.from(text).toString('base64')
}

/** etcd's way to say "all keys with this prefix": up to the next key after all of them. */
export function prefixRange(prefix: string): KeyRange {
  const bytes = Buffer.from(prefix)
  for (let last = bytes.length - 1; last >= 0; last--) {
    const byte = bytes[last] ?? 0xff
    if (byte === 0xff) continue
    const end = Buffer.from(bytes.subarray(0, last + 1))
    end[last] = byte + 1
    return { key: bytes.toString('base64'), range_end: end.toString('base64') }
  }
  // A zero byte stands for "from the first key" and "to the last".
  return { key: bytes.length === 0 ? 'AA==' : bytes.toString('base64'), range_end: 'AA==' }
}

/** Puts the value if the key was last changed at `ifRevision`, else answers what is there: one round, one log entry. */
export function casRequest(key: string, value: string, ifRevision: KeyRevision): Json {
  const encoded = encode(key)
  const unchanged =
    ifRevision === 0
      ? { key: encoded, target: 'CREATE', result: 'EQUAL', create_revision: '0' }
      : { key: encoded, target: 'MOD', result: 'EQUAL', mod_revision: String(ifRevision) }
  return {
    compare: [unchanged],
    success: [{ request_put: { key: encoded, value: encode(value) } }],
    failure: [{ request_range: { key: encoded } }],
  }
}

/** A whole number of the gateway's JSON; left out means 0; null when it is no such number. */
export function readNumber(value: unknown): number | null {
  if (value === undefined) return 0
  const number = typeof value === 'string' && /^\d{1,16}$/.test(value) ? Number(value) : value
  return typeof number === 'number' && Number.isSafeInteger(number) && number >= 0 ? number : null
}

export function readHeader(json: Json): Stamp | null {
  if (!isObject(json.header)) return null
  const { cluster_id: identity } = json.header
  const revision = readNumber(json.header.revision)
  const term = readNumber(json.header.raft_term)
  if (typeof identity !== 'string' || !/^\d+$/.test(identity) || revision === null || term === null) return null
  return { identity, revision, term }
}

/** Key values of a range answer with their store prefix taken off; null when anything is not as it should be. */
export function readRange(json: Json, storePrefix: string): readonly StoredValue[] | null {
  if (json.kvs === undefined) return []
  if (!Array.isArray(json.kvs)) return null
  const entries: StoredValue[] = []
  for (const item of json.kvs) {
    const entry = readKeyValue(item, storePrefix)
    if (entry === null) return null
    entries.push(entry)
  }
  return entries
}

export type CasAnswer =
  | { readonly kind: 'applied'; readonly revision: KeyRevision }
  | { readonly kind: 'conflict'; readonly found: StoredValue | null }

export function readCas(json: Json, storePrefix: string): CasAnswer | null {
  if (!Array.isArray(json.responses) || json.responses.length !== 1) return null
  const response: unknown = json.responses[0]
  if (!isObject(response)) return null
  if (json.succeeded === true) {
    const revision = isObject(response.response_put) ? readHeader(json)?.revision : undefined
    return revision === undefined || revision === 0 ? null : { kind: 'applied', revision }
  }
  if (json.succeeded !== undefined && json.succeeded !== false) return null
  if (!isObject(response.response_range)) return null
  const found = readRange(response.response_range, storePrefix)
  return found === null || found.length > 1 ? null : { kind: 'conflict', found: found[0] ?? null }
}

export type WatchLine =
  | { readonly kind: 'created' }
  | { readonly kind: 'changes'; readonly changes: readonly Change[] }
  /** Older revisions were compacted away: only a new listing helps. */
  | { readonly kind: 'compacted'; readonly revision: KeyRevision }
  | { readonly kind: 'canceled'; readonly because: string }

export function readWatchLine(result: Json, storePrefix: string): WatchLine | null {
  const compacted = readNumber(result.compact_revision)
  if (compacted === null) return null
  if (compacted > 0) return { kind: 'compacted', revision: compacted }
  if (result.canceled === true) {
    return { kind: 'canceled', because: typeof result.cancel_reason === 'string' ? result.cancel_reason : 'no reason' }
  }
  if (result.created === true) return { kind: 'created' }
  if (result.events === undefined) return { kind: 'changes', changes: [] }
  if (!Array.isArray(result.events)) return null
  const changes: Change[] = []
  for (const event of result.events) {
    const change = isObject(event) ? readEvent(event, storePrefix) : null
    if (change === null) return null
    changes.push(change)
  }
  return { kind: 'changes', changes }
}

/** The gateway's error, of a plain answer or of a stream's line; null when it is none. */
export function readError(json: Json): EtcdError | null {
  if (isObject(json.error)) {
    const { grpc_code: grpc, message } = json.error
    return { code: readNumber(grpc) ?? 0, message: typeof message === 'string' ? message : 'no message' }
  }
  if (typeof json.error !== 'string') return null
  return { code: readNumber(json.code) ?? 0, message: json.error }
}

/** The token is not known (any more): a member restarted, or the token's time is over. */
export function wantsNewToken(error: EtcdError): boolean {
  return error.code === UNAUTHENTICATED || /invalid auth token|revision of auth store is old/.test(error.message)
}

export function isLasting(error: EtcdError): boolean {
  return LASTING_CODES.has(error.code) && !wantsNewToken(error)
}

function readEvent(event: Json, storePrefix: string): Change | null {
  if (event.type === undefined || event.type === 'PUT') {
    const entry = readKeyValue(event.kv, storePrefix)
    return entry === null ? null : { entry, changedAt: entry.revision }
  }
  if (event.type !== 'DELETE' || !isObject(event.kv)) return null
  const key = readKey(event.kv.key, storePrefix)
  const changedAt = readNumber(event.kv.mod_revision)
  if (key === null || changedAt === null || changedAt === 0) return null
  return { entry: { key, value: null, revision: 0 }, changedAt }
}

function readKeyValue(json: unknown, storePrefix: string): StoredValue | null {
  if (!isObject(json)) return null
  const key = readKey(json.key, storePrefix)
  const revision = readNumber(json.mod_revision)
  const value = json.value === undefined ? '' : json.value
  if (key === null || revision === null || revision === 0 || typeof value !== 'string') return null
  return { key, value: Buffer.from(value, 'base64').toString('utf8'), revision }
}

function readKey(encoded: unknown, storePrefix: string): string | null {
  if (typeof encoded !== 'string') return null
  const key = Buffer.from(encoded, 'base64').toString('utf8')
  return key.startsWith(storePrefix) ? key.slice(storePrefix.length) : null
}
