/**
 * The store: one linearizable object per key with a revision, compare-and-set, and watches that are connections.
 * Requests reach it through the network, so they may be lost, come twice, or come late; a request whose answer is lost
 * was still applied. Does not know what the values mean.
 */
import type { Network } from './network.ts'
import { type Stream, streamOf } from './prng.ts'
import { StoreMembers } from './store-members.ts'
import { KIND, type World } from './world.ts'

export interface Stored {
  readonly revision: number
  readonly value: unknown
}

export type CasAnswer = { readonly kind: 'ok' | 'conflict'; readonly revision: number; readonly value: unknown }

interface Watcher {
  connected: boolean
  /** Nothing from an older connection arrives. */
  generation: number
  lastArrivalMs: number
  handlers: WatchHandlers | null
  /** Store member the connection leads to, and whether that member stands still. */
  member: number
  still: boolean
  /** Pauses in force. */
  stalls: number
}

export interface WatchHandlers {
  deliver(key: string, stored: Stored): void
  /** False: the watcher would drop it unread. */
  wants(key: string): boolean
  /** The connection is gone; whoever watches finds out by itself. */
  broken(): void
}

const ABSENT: Stored = { revision: 0, value: null }
/** TCP sends a lost segment again after about this long. */
const RESEND_MS = 200
const STILL_LOOK_MS = 150

export interface StoreHooks {
  /** Runs at the instant a write is applied, before anybody is told. */
  applied(key: string, before: Stored, after: Stored, from: number): void
}

export class SimStore {
  readonly end: number
  outages = 0
  slowMs = 0
  /** Probability that the answer to an applied write is lost. */
  answerLoss = 0
  /** Planted bug: a member answers reads from its own copy, however old that is. */
  readsLocally = false
  private readonly copies: readonly Map<string, Stored>[] = [new Map(), new Map(), new Map()]
  private readonly world: World
  private readonly network: Network
  private readonly hooks: StoreHooks
  private readonly random: Stream
  private readonly keys = new Map<string, Stored>()
  private readonly watchers: Watcher[] = []
  /** Null: one server that is always reachable when the network is. */
  readonly members: StoreMembers | null

  constructor(
    network: Network,
    end: number,
    hosts: number,
    setup: { seed: number; hooks: StoreHooks; memberEnds?: readonly number[] },
  ) {
    this.world = network.world
    this.network = network
    this.end = end
    this.hooks = setup.hooks
    this.random = streamOf(setup.seed, 'store')
    const ends = setup.memberEnds ?? []
    const random = streamOf(setup.seed, 'store-members')
    this.members = ends.length === 0 ? null : new StoreMembers(network, { ends, clients: network.size, random })
    for (let i = 0; i < hosts; i += 1) {
      this.watchers.push({
        connected: false,
        generation: 0,
        lastArrivalMs: 0,
        handlers: null,
        member: 0,
        still: false,
        stalls: 0,
      })
    }
  }

  get up(): boolean {
    return this.outages === 0
  }

  /** The true present value; for checkers only. */
  peek(key: string): Stored {
    return this.keys.get(key) ?? ABSENT
  }

  get(from: number, key: string, answer: (stored: Stored) => void): void {
    if (this.readsLocally && this.members !== null) {
      this.members.ask(from, (member) => {
        const current = this.members?.follows(member) === true
        const stored = current ? this.peek(key) : (this.copies[member]?.get(key) ?? ABSENT)
        return () => answer(stored)
      })
      return
    }
    this.request(from, () => {
      const stored = this.peek(key)
      return () => answer(stored)
    })
  }

  compareAndSet(
    from: number,
    write: { key: string; value: unknown; ifRevision: number },
    answer: (a: CasAnswer) => void,
  ): void {
    this.request(from, () => {
      const result = this.apply(from, write)
      return this.random.chance(this.answerLoss) ? null : () => answer(result)
    })
  }

  /** Called when a client waited in vain. */
  unanswered(client: number): void {
    this.members?.unanswered(client)
  }

  /** `apply` gives what to tell the client; null: the answer is lost. */
  private request(from: number, apply: () => (() => void) | null): void {
    if (this.members !== null) {
      const slowly = (): (() => void) => apply() ?? (() => undefined)
      this.slowed(() => this.members?.request(from, slowly))
      return
    }
    this.network.send(from, this.end, () => {
      if (!this.up) return
      this.slowed(() => {
        const tell = this.up ? apply() : null
        if (tell !== null) this.network.send(this.end, from, tell)
      })
    })
  }

  private slowed(run: () => void): void {
    if (this.slowMs === 0) run()
    else this.world.after(this.slowMs * this.random.next(), KIND.datagram, this.end, run)
  }

  /** Where the watch of a host comes from; a member that left the others behind tells nothing new. */
  private watchEnd(watcher: Watcher): number {
    return this.members === null ? this.end : this.members.endOf(watcher.member)
  }

  private apply(from: number, write: { key: string; value: unknown; ifRevision: number }): CasAnswer {
    const before = this.peek(write.key)
    // A negative revision writes whatever is there: no real store offers it, a planted bug wants it.
    if (write.ifRevision >= 0 && before.revision !== write.ifRevision) return { kind: 'conflict', ...before }
    const after: Stored = { revision: before.revision + 1, value: write.value }
    this.keys.set(write.key, after)
    this.hooks.applied(write.key, before, after, from)
    if (this.readsLocally) this.copyTo(write.key, after)
    for (let host = 0; host < this.watchers.length; host += 1) this.push(host, write.key, after)
    return { kind: 'ok', ...after }
  }

  private copyTo(key: string, stored: Stored): void {
    this.copies.forEach((copy, member) => {
      if (this.members?.follows(member) === true) copy.set(key, stored)
    })
  }

  /** Starts or re-starts the watch of a host; its shell calls again after a gap. Brings the present entries first. */
  watch(host: number, handlers: WatchHandlers): void {
    const watcher = this.watchers[host]
    if (watcher === undefined) return
    watcher.handlers = handlers
    watcher.generation += 1
    if (this.members !== null) watcher.member = this.members.memberOf(host)
    const up = this.up && (this.members === null || this.members.follows(watcher.member))
    watcher.connected = up && this.network.connects(host, this.watchEnd(watcher))
    watcher.lastArrivalMs = this.world.nowMs
    if (!watcher.connected) return
    for (const [key, stored] of this.keys) this.push(host, key, stored)
  }

  /** The client notices nothing of it; when the member is back with the others, it tells what stands there now. */
  private standStill(host: number, watcher: Watcher): void {
    if (watcher.still) return
    watcher.still = true
    const { generation } = watcher
    const again = () => {
      if (watcher.generation !== generation || !watcher.connected) {
        watcher.still = false
        return
      }
      if (this.members?.isUp(watcher.member) !== true) {
        watcher.still = false
        disconnect(watcher)
      } else if (this.members.follows(watcher.member)) {
        watcher.still = false
        for (const [key, stored] of this.keys) this.push(host, key, stored)
      } else this.world.after(STILL_LOOK_MS, KIND.watch, host, again)
    }
    this.world.after(STILL_LOOK_MS, KIND.watch, host, again)
  }

  isWatching(host: number): boolean {
    return this.watchers[host]?.connected ?? false
  }

  /** Watches die with a cut, an outage, or the watcher. */
  breakWatch(host: number): void {
    const watcher = this.watchers[host]
    if (watcher !== undefined) disconnect(watcher)
  }

  /** The connection stands and nothing comes, as with a proxy that holds bytes back. */
  stallWatch(host: number): void {
    const watcher = this.watchers[host]
    if (watcher !== undefined) watcher.stalls += 1
  }

  isStalled(host: number): boolean {
    return (this.watchers[host]?.stalls ?? 0) > 0
  }

  unstallWatch(host: number): void {
    const watcher = this.watchers[host]
    if (watcher === undefined) return
    watcher.stalls = Math.max(0, watcher.stalls - 1)
    if (watcher.stalls === 0) for (const [key, stored] of this.keys) this.push(host, key, stored)
  }

  breakWatchesOf(member: number): void {
    for (const watcher of this.watchers) if (watcher.member === member) disconnect(watcher)
  }

  breakAllWatches(): void {
    for (const watcher of this.watchers) disconnect(watcher)
  }

  private push(host: number, key: string, stored: Stored): void {
    const watcher = this.watchers[host]
    if (watcher === undefined || !watcher.connected) return
    if (watcher.stalls > 0) return
    const end = this.watchEnd(watcher)
    if (this.members !== null && !this.members.follows(watcher.member)) {
      this.standStill(host, watcher)
      return
    }
    if (!this.network.connects(host, end)) {
      disconnect(watcher)
      return
    }
    const link = this.network.link(end, host)
    const resend = link.random.chance(link.loss) ? RESEND_MS : 0
    const atMs = Math.max(watcher.lastArrivalMs, this.world.nowMs + link.delayMs() + resend)
    watcher.lastArrivalMs = atMs
    const { generation, handlers } = watcher
    if (handlers === null || !handlers.wants(key)) return
    this.world.at(atMs, KIND.watch, host, () => {
      if (!watcher.connected || watcher.generation !== generation) return
      if (this.network.isCut(end, host)) disconnect(watcher)
      else handlers.deliver(key, stored)
    })
  }
}

function disconnect(watcher: Watcher): void {
  if (!watcher.connected) return
  watcher.connected = false
  watcher.handlers?.broken()
}
