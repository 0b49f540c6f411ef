/**
 * One record as it stands in the engine: a line with its number, signed with a key that everybody who has the token of
 * the platform can make again. So an edited record is seen, and so is one that somebody else put there.
 */
import type { Platform } from '../config/platform.ts'
import { canonicalJson, keyedHash, keyedHashFits } from '../io/signing.ts'

export interface CanaryRecord {
  readonly v: 1
  readonly platform: string
  readonly group: string
  /** One process's writing of one group, from its start to its end; numbers begin anew with each. */
  readonly run: string
  readonly n: number
  /** For people who look into the table; nothing is measured with it. */
  readonly wallMs: number
}

/** Null: the platform has no token, so it has no agents and nothing of ours to write to. */
export function canaryKey({ agents }: Platform): string | null {
  const token = agents[0]?.token
  return token?.known === true ? keyedHash(token.reveal(), 'holdfast canary 1') : null
}

/** How the runs of a platform's servers begin: one is over when the next begins. It ends with what no name may contain:
 * `shop` must not take the runs of `shop-2` for its own. */
export function serverRuns(platform: string): string {
  return `server-${platform}:`
}

export function recordText(record: CanaryRecord, key: string): string {
  const text = canonicalJson(record)
  return `${keyedHash(key, text)} ${text}`
}

export interface Place {
  readonly platform: string
  readonly group: string
  readonly run: string
  /** Where the engine keeps the number beside the record; null: it does not. */
  readonly n: number | null
  /** The greatest number we sent. */
  readonly sentMax: number
  readonly key: string
}

export type Read = { readonly ok: true; readonly n: number } | { readonly ok: false; readonly because: string }

/** Whether this is a record of ours and stands where we put it. */
export function readRecord(text: string, place: Place): Read {
  const at = text.indexOf(' ')
  const body = text.slice(at + 1)
  const where = place.n === null ? 'a record' : `record ${place.n}`
  if (at < 0 || !keyedHashFits(place.key, body, text.slice(0, at))) {
    return { ok: false, because: `${where} is not as it was written: its signature does not fit` }
  }
  const record = JSON.parse(body) as CanaryRecord
  const { platform, group, run, n } = record
  if (platform !== place.platform || group !== place.group || run !== place.run) {
    return { ok: false, because: `${where} was written elsewhere: for ${group} of ${platform}` }
  }
  if (place.n !== null && n !== place.n) return { ok: false, because: `record ${n} stands as number ${place.n}` }
  if (n > place.sentMax) return { ok: false, because: `record ${n} was not sent by this run` }
  return { ok: true, n }
}
