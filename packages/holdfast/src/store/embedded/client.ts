/**
 * Client of the embedded store. Retries carry the call's write id, so that a write whose answer was lost is not
 * reported as somebody else's. Answers of a store that went back are refused (R22).
 */
import { freshId } from '../../io/random.ts'
import { ATTEMPT_MS, type AttemptResult, Attempts, type Outcome } from '../attempts.ts'
import { Channel, LISTING_BYTES_MAX, quote } from '../channel.ts'
import type { KeyRevision, ReadResult, Store, StoredValue, Watch, WatchHandlers, WriteResult } from '../contract.ts'
import { StoreHistory } from '../history.ts'
import { keyMistake, prefixMistake, revisionMistake, valueMistake } from '../limits.ts'
import { WatchView } from '../view.ts'
import { type Session, WatchLoop } from '../watch-loop.ts'
import { HEARTBEAT_MS, readEntries, readEntry, readError, readStamp, SILENT_HEARTBEATS } from './protocol.ts'

export interface EmbeddedConnection {
  /** Addresses of the one server, tried in turn. */
  readonly urls: readonly string[]
  readonly token: string | null
  /** PEM text of the authority that signed the server's certificate. */
  readonly ca?: string
  /** Length of the first attempt; further ones get twice the time each. */
  readonly attemptMs?: number
  /** How often a quiet watch shows that it is alive; one that is silent for three times as long is opened anew. */
  readonly heartbeatMs?: number
}

type Json = Readonly<Record<string, unknown>>

interface Question<T> {
  readonly path: string
  readonly body: Json
  readonly deadlineMs: number
  readonly bytesMax?: number
  /** A revision the caller knows to exist; an answer of a store that has not reached it is refused. */
  readonly knownRevision?: KeyRevision
  /** Null: the answer makes no sense. */
  read(json: Json): T | null
}

export function connectEmbeddedStore(connection: EmbeddedConnection): Store {
  return new EmbeddedClient(connection)
}

class EmbeddedClient implements Store {
  readonly #channels: readonly Channel[]
  readonly #attempts: Attempts
  readonly #headers: Readonly<Record<string, string>>
  readonly #heartbeatMs: number
  readonly #history = new StoreHistory()
  readonly #watches = new Set<Watch>()

  constructor({ urls, token, ca, attemptMs = ATTEMPT_MS, heartbeatMs = HEARTBEAT_MS.usual }: EmbeddedConnection) {
    this.#channels = urls.map((url) => new Channel({ url, ...(ca === undefined ? {} : { ca }) }))
    this.#attempts = new Attempts(urls.length, attemptMs)
    this.#heartbeatMs = heartbeatMs
    this.#headers = token === null ? {} : { authorization: `Bearer ${token}` }
  }

  async get(key: string, deadlineMs: number): Promise<ReadResult> {
    const mistake = keyMistake(key)
    if (mistake !== null) return unknown(mistake)
    return this.#ask<ReadResult>({
      path: '/v1/get',
      body: { key },
      deadlineMs,
      read: (json) => {
        const entry = readEntry(json.entry)
        return entry?.key === key ? { kind: 'ok', entry } : null
      },
    })
  }

  async list(prefix: string, deadlineMs: number): ReturnType<Store['list']> {
    const mistake = prefixMistake(prefix)
    if (mistake !== null) return unknown(mistake)
    return this.#ask({
      path: '/v1/list',
      body: { prefix },
      deadlineMs,
      bytesMax: LISTING_BYTES_MAX,
      read: (json) => {
        const entries = readEntries(json.entries)
        return entries?.every((entry) => entry.key.startsWith(prefix)) ? { kind: 'ok' as const, entries } : null
      },
    })
  }

  async compareAndSet(key: string, value: string, ifRevision: KeyRevision, deadlineMs: number): Promise<WriteResult> {
    const mistake = keyMistake(key) ?? valueMistake(value) ?? revisionMistake(ifRevision)
    if (mistake !== null) return unknown(mistake)
    return this.#ask<WriteResult>({
      path: '/v1/cas',
      body: { key, value, ifRevision, writeId: freshId() },
      deadlineMs,
      knownRevision: ifRevision,
      read: (json) => {
        const entry = readEntry(json.entry)
        if (entry?.key !== key || typeof json.applied !== 'boolean') return null
        if (!json.applied) return entry.revision === ifRevision ? null : { kind: 'conflict', entry }
        return entry.value === value && entry.revision > ifRevision ? { kind: 'ok', entry } : null
      },
    })
  }

  watch(prefix: string, handlers: WatchHandlers): Watch {
    const mistake = prefixMistake(prefix)
    if (mistake !== null) throw new RangeError(mistake)
    const view = new WatchView((entry) => handlers.onEntry(entry))
    let after: KeyRevision = 0
    const loop = new WatchLoop({
      onGap: (because) => handlers.onGap(because),
      open: (alive, broke) =>
        this.#openStream({
          prefix,
          after,
          broke,
          onEntries: (entries) => {
            alive()
            for (const entry of entries) {
              // A handler may close its watch; nothing runs after that.
              if (!this.#watches.has(watch)) return
              after = Math.max(after, entry.revision)
              view.tell({ entry, changedAt: entry.revision })
            }
          },
        }),
    })
    const watch: Watch = {
      close: () => {
        this.#watches.delete(watch)
        loop.close()
      },
    }
    this.#watches.add(watch)
    return watch
  }

  async close(): Promise<void> {
    this.#attempts.close()
    for (const watch of this.#watches) watch.close()
    await Promise.all(this.#channels.map((channel) => channel.close()))
  }

  async #ask<T>(question: Question<T>): Promise<Outcome<T>> {
    const { path, body, deadlineMs, bytesMax, knownRevision = 0, read } = question
    return this.#attempts.run<Outcome<T>>(deadlineMs, async ({ endpoint, timeoutMs }) => {
      const channel = this.#channels[endpoint]
      if (channel === undefined) return { kind: 'done', result: unknown('no address of the store is given') }
      const floor = this.#history.floor()
      const asked = { ...floor, revision: Math.max(floor.revision, knownRevision) }
      const answer = await channel.call({ path, body, headers: this.#headers }, timeoutMs, bytesMax)
      if (answer.kind === 'failed') return answer
      if (answer.status !== 200) return refused(channel.url, answer.status, answer.json)
      const stamp = readStamp(answer.json)
      const result = read(answer.json)
      if (stamp === null || result === null) {
        return { kind: 'failed', because: `${channel.url}: it answered with fields of wrong types`, sent: true }
      }
      const doubt = this.#history.judge({ identity: stamp.store, revision: stamp.revision, term: 0 }, asked)
      if (doubt !== null) return { kind: 'failed', because: `${channel.url}: ${doubt}`, sent: true }
      return { kind: 'done', result }
    })
  }

  #openStream(options: {
    prefix: string
    after: KeyRevision
    broke: (because: string) => void
    onEntries: (entries: readonly StoredValue[]) => void
  }): Session {
    const { prefix, after } = options
    const endpoint = this.#attempts.preferred()
    const channel = this.#channels[endpoint]
    if (channel === undefined) return { close: () => options.broke('no address of the store is given') }
    const broke = (because: string) => {
      this.#attempts.avoid(endpoint)
      options.broke(because)
    }
    const heartbeatMs = this.#heartbeatMs
    const silenceMs = SILENT_HEARTBEATS * heartbeatMs
    const silent = () => broke(`${channel.url}: the watch was silent for ${silenceMs} ms`)
    const timer = setTimeout(silent, silenceMs)
    const asked = this.#history.floor()
    const stream = channel.stream(
      { path: '/v1/watch', body: { prefix, after, heartbeatMs }, headers: this.#headers },
      {
        onEnd: (because) => broke(because),
        onLine: (json) => {
          timer.refresh()
          const stamp = readStamp(json)
          const entries = readEntries(json.entries)
          if (stamp === null || entries === null) return broke(`${channel.url}: the watch sent fields of wrong types`)
          const doubt = this.#history.judge({ identity: stamp.store, revision: stamp.revision, term: 0 }, asked)
          if (doubt !== null) return broke(`${channel.url}: ${doubt}`)
          options.onEntries(entries)
        },
      },
    )
    return {
      close: () => {
        clearTimeout(timer)
        stream.close()
      },
    }
  }
}

function unknown(because: string): { readonly kind: 'unknown'; readonly because: string } {
  return { kind: 'unknown', because }
}

/** 4xx and a full store stay what they are; the rest may pass. */
function refused<T>(url: string, status: number, json: Json): AttemptResult<Outcome<T>> {
  const error = readError(json)
  const words = error === null ? quote(JSON.stringify(json)) : `${quote(error.message)} (${quote(error.code)})`
  const because = `${url}: it answered ${status}: ${words}`
  const lasting = (status >= 400 && status < 500) || status === 507
  return lasting ? { kind: 'done', result: unknown(because) } : { kind: 'failed', because, sent: true }
}
