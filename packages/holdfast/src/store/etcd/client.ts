/**
 * The store on etcd, over its JSON gateway. A key's revision is its mod_revision. Leases of etcd are not used.
 *
 * A write is repeated when an attempt gave no answer. If the repeated one meets a conflict and finds exactly the text
 * that was to be written, the first attempt was applied and this is reported as ok. That rests on the records being
 * unique: each carries its writer's session, beat, epoch or request id, so nobody else writes the same text. If the
 * first attempt was applied and overwritten since, the answer is a conflict: what was written no longer stands.
 */
import { ATTEMPT_MS, type Attempt } from '../attempts.ts'
import { LISTING_BYTES_MAX } from '../channel.ts'
import {
  type KeyRevision,
  LIST_MAX,
  type ReadResult,
  type Store,
  type Watch,
  type WatchHandlers,
  type WriteResult,
} from '../contract.ts'
import { keyMistake, prefixMistake, revisionMistake, valueMistake } from '../limits.ts'
import { Gateway } from './gateway.ts'
import { type CasAnswer, casRequest, encode, prefixRange, readCas, readRange } from './protocol.ts'
import { type Listing, watchEtcd } from './watch.ts'

export interface EtcdConnection {
  /** Client urls of all members. */
  readonly endpoints: readonly string[]
  readonly username?: string
  readonly password?: string
  /** PEM texts. */
  readonly tls?: { readonly ca: string; readonly cert?: string; readonly key?: string }
  /** Put before every key; several platforms can share one etcd. */
  readonly prefix?: string
  /** Length of the first attempt; further ones get twice the time each. */
  readonly attemptMs?: number
}

export const ETCD_PREFIX = '/holdfast/'

type Unknown = { readonly kind: 'unknown'; readonly because: string }

export function connectEtcdStore(connection: EtcdConnection): Store {
  return new EtcdClient(connection)
}

class EtcdClient implements Store {
  readonly #gateway: Gateway
  readonly #prefix: string
  readonly #watches = new Set<Watch>()

  constructor(connection: EtcdConnection) {
    const { endpoints, username, password, tls, prefix = ETCD_PREFIX, attemptMs = ATTEMPT_MS } = connection
    // With the slash `/holdfast` cannot meet the keys of `/holdfast-2`.
    this.#prefix = prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`
    this.#gateway = new Gateway({
      endpoints,
      credentials: username === undefined ? null : { username, password: password ?? '' },
      ...(tls === undefined ? {} : { tls }),
      attemptMs,
    })
  }

  async get(key: string, deadlineMs: number): Promise<ReadResult> {
    const mistake = keyMistake(key)
    if (mistake !== null) return unknown(mistake)
    return this.#gateway.ask<ReadResult>({
      path: '/v3/kv/range',
      body: { key: encode(this.#prefix + key) },
      deadlineMs,
      read: (json) => {
        const entries = readRange(json, this.#prefix)
        if (entries === null || entries.length > 1) return null
        const entry = entries[0] ?? { key, value: null, revision: 0 }
        return entry.key === key ? { kind: 'ok', entry } : null
      },
    })
  }

  async list(prefix: string, deadlineMs: number): ReturnType<Store['list']> {
    const mistake = prefixMistake(prefix)
    if (mistake !== null) return unknown(mistake)
    const listing = await this.#list(prefix, 0, deadlineMs)
    return listing.kind === 'ok' ? { kind: 'ok', entries: listing.entries } : listing
  }

  async compareAndSet(key: string, value: string, ifRevision: KeyRevision, deadlineMs: number): Promise<WriteResult> {
    const mistake = keyMistake(key) ?? valueMistake(value) ?? revisionMistake(ifRevision)
    if (mistake !== null) return unknown(mistake)
    return this.#gateway.ask<WriteResult>({
      path: '/v3/kv/txn',
      body: casRequest(this.#prefix + key, value, ifRevision),
      deadlineMs,
      knownRevision: ifRevision,
      read: (json, _stamp, attempt) => {
        const answer = readCas(json, this.#prefix)
        return answer === null ? null : judgeCas({ answer, attempt, key, value, ifRevision })
      },
    })
  }

  watch(prefix: string, handlers: WatchHandlers): Watch {
    const mistake = prefixMistake(prefix)
    if (mistake !== null) throw new RangeError(mistake)
    const inner = watchEtcd({
      gateway: this.#gateway,
      storePrefix: this.#prefix,
      prefix,
      handlers,
      list: (after, deadlineMs) => this.#list(prefix, after, deadlineMs),
    })
    const watch: Watch = {
      close: () => {
        this.#watches.delete(watch)
        inner.close()
      },
    }
    this.#watches.add(watch)
    return watch
  }

  async close(): Promise<void> {
    for (const watch of this.#watches) watch.close()
    await this.#gateway.close()
  }

  #list(prefix: string, after: KeyRevision, deadlineMs: number): Promise<Listing | Unknown> {
    const since = after === 0 ? {} : { min_mod_revision: String(after + 1) }
    return this.#gateway.ask<Listing | Unknown>({
      path: '/v3/kv/range',
      body: { ...prefixRange(this.#prefix + prefix), limit: String(LIST_MAX + 1), ...since },
      deadlineMs,
      bytesMax: LISTING_BYTES_MAX,
      read: (json, stamp) => {
        const entries = readRange(json, this.#prefix)
        if (entries === null || !entries.every((entry) => entry.key.startsWith(prefix))) return null
        if (entries.length > LIST_MAX) return unknown(`there are more than ${LIST_MAX} keys under ${prefix}`)
        return { kind: 'ok', entries, revision: stamp.revision }
      },
    })
  }
}

/** What a compare-and-set's answer means. A text: it must not be believed. Null: it makes no sense. */
export function judgeCas(options: {
  readonly answer: CasAnswer
  readonly attempt: Pick<Attempt, 'mayRepeat'>
  readonly key: string
  readonly value: string
  readonly ifRevision: KeyRevision
}): WriteResult | string | null {
  const { answer, attempt, key, value, ifRevision } = options
  if (answer.kind === 'applied') {
    if (answer.revision <= ifRevision) return null
    return { kind: 'ok', entry: { key, value, revision: answer.revision } }
  }
  const { found } = answer
  if (found === null) return ifRevision === 0 ? null : { kind: 'conflict', entry: { key, value: null, revision: 0 } }
  if (found.key !== key || found.revision === ifRevision) return null
  if (found.revision < ifRevision) {
    return `revision of ${key} went back from ${ifRevision} to ${found.revision} (R22)`
  }
  return { kind: attempt.mayRepeat && found.value === value ? 'ok' : 'conflict', entry: found }
}

function unknown(because: string): Unknown {
  return { kind: 'unknown', because }
}
