/**
 * A watch over etcd's gateway: a listing, then a stream from the revision after it. etcd's stream is silent when
 * nothing changes, so a cut would go unnoticed; whenever it was silent for a moment, a linearizable read asks for
 * what changed since. News found that way is told at once, and a stream that does not bring it either is replaced.
 */
import type { Stream } from '../channel.ts'
import type { KeyRevision, StoredValue, Watch, WatchHandlers } from '../contract.ts'
import { isObject } from '../limits.ts'
import { type Change, WatchView } from '../view.ts'
import { type Session, WatchLoop } from '../watch-loop.ts'
import type { Gateway } from './gateway.ts'
import { prefixRange, readWatchLine } from './protocol.ts'

/** Silence after which the store is asked. Beats come more often, so a busy platform is never asked. */
const CHECK_MS = 250
/** Deadline of that question, over several members. */
const CHECK_DEADLINE_MS = 1_000
const LISTING_DEADLINE_MS = 2_000
/** etcd confirms a new watch at once. */
const CREATED_MS = 1_000

export interface Listing {
  readonly kind: 'ok'
  readonly entries: readonly StoredValue[]
  readonly revision: KeyRevision
}

export interface EtcdWatchOptions {
  readonly gateway: Gateway
  readonly storePrefix: string
  readonly prefix: string
  readonly handlers: WatchHandlers
  /** Linearizable; with `after` only what changed since. */
  list(after: KeyRevision, deadlineMs: number): Promise<Listing | { kind: 'unknown'; because: string }>
}

export function watchEtcd(options: EtcdWatchOptions): Watch {
  const told: Told = {
    view: new WatchView((entry) => {
      if (!closed) options.handlers.onEntry(entry)
    }),
    upTo: null,
  }
  let closed = false
  const loop = new WatchLoop({
    onGap: (because) => options.handlers.onGap(because),
    open: (alive, broke) => new EtcdSession({ options, told, alive, broke }),
  })
  return {
    close: () => {
      closed = true
      loop.close()
    },
  }
}

/** Outlives the sessions of a watch. `upTo`: everything up to this revision was told; null: a listing is due. */
interface Told {
  readonly view: WatchView
  upTo: KeyRevision | null
}

interface SessionOptions {
  readonly options: EtcdWatchOptions
  readonly told: Told
  alive(): void
  broke(because: string): void
}

class EtcdSession implements Session {
  readonly #session: SessionOptions
  #stream: Stream | null = null
  #timer: NodeJS.Timeout | undefined
  #closed = false
  #heard = false
  /** A check found a change of this revision; the stream has until the next check to bring it. */
  #owed: KeyRevision = 0

  constructor(session: SessionOptions) {
    this.#session = session
    void this.#start()
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    this.#stream?.close()
  }

  async #start(): Promise<void> {
    const { options, told, broke } = this.#session
    if (told.upTo === null) {
      const listing = await options.list(0, LISTING_DEADLINE_MS)
      if (this.#closed) return
      if (listing.kind === 'unknown') return broke(listing.because)
      told.view.tellListing(listing.entries, listing.revision)
      told.upTo = listing.revision
    }
    if (this.#closed) return
    const range = prefixRange(options.storePrefix + options.prefix)
    const body = { create_request: { ...range, start_revision: String(told.upTo + 1) } }
    this.#timer = setTimeout(() => broke('etcd did not confirm the watch'), CREATED_MS)
    const stream = await options.gateway.openStream('/v3/watch', body, CREATED_MS, {
      onLine: (json) => this.#hear(isObject(json.result) ? json.result : {}),
      onEnd: broke,
    })
    if (this.#closed) stream.close()
    else this.#stream = stream
  }

  #hear(result: Readonly<Record<string, unknown>>): void {
    if (this.#closed) return
    const { options, told, alive, broke } = this.#session
    const line = readWatchLine(result, options.storePrefix)
    if (line === null) {
      broke('the watch sent fields of wrong types')
    } else if (line.kind === 'canceled') {
      broke(`etcd ended the watch: ${line.because}`)
    } else if (line.kind === 'compacted') {
      told.upTo = null
      broke(`etcd compacted its history up to revision ${line.revision}; listing anew`)
    } else {
      alive()
      this.#heard = true
      if (line.kind === 'created') this.#plan()
      else this.#tell(line.changes)
    }
  }

  #tell(changes: readonly Change[]): void {
    const { told } = this.#session
    for (const change of changes) {
      told.view.tell(change)
      told.upTo = Math.max(told.upTo ?? 0, change.changedAt)
    }
  }

  #plan(): void {
    clearTimeout(this.#timer)
    if (!this.#closed) this.#timer = setTimeout(() => void this.#check(), CHECK_MS)
  }

  async #check(): Promise<void> {
    const { options, told, broke } = this.#session
    const upTo = told.upTo ?? 0
    if (this.#owed > upTo) return broke(`the stream did not bring revision ${this.#owed}`)
    const silent = !this.#heard
    this.#heard = false
    if (silent) {
      const news = await options.list(upTo, CHECK_DEADLINE_MS)
      if (this.#closed) return
      if (news.kind === 'unknown') return broke(`the stream is silent and ${news.because}`)
      for (const entry of news.entries) {
        told.view.tell({ entry, changedAt: entry.revision })
        this.#owed = Math.max(this.#owed, entry.revision)
      }
    }
    this.#plan()
  }
}
