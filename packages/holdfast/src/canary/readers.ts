/** Reads one group's records back: through the door where applications read, and straight at each replica. */
import { stepWatch, unwatched } from '../core/canary/availability.ts'
import { paceOf, type WatchEvent, type Watched } from '../core/canary/model.ts'
import { staleness } from '../core/canary/records.ts'
import { doorsOf, type Way } from './door.ts'
import type { CanaryLine, EngineLines, Found, Stored } from './engine-lines.ts'
import type { CanaryOptions, ReplicaView, Side } from './settings.ts'
import type { Writers } from './writers.ts'

const EVERY_MS = 1_000
/** A member that does not answer is not asked as often. */
const SILENT_MS = 3_000
/** What was seen longer ago says nothing of now. */
const FRESH_MS = 10_000
const REFUSED_MS = 30_000

/** One question at a time over one connection. */
class Asking {
  readonly #engine: EngineLines
  #line: CanaryLine | null = null
  #busy = false
  #nextMs: number

  constructor(engine: EngineLines, startMs: number) {
    this.#engine = engine
    this.#nextMs = startMs
  }

  due(nowMs: number): boolean {
    return !this.#busy && nowMs >= this.#nextMs
  }

  async ask(way: Way, nowMs: number, upTo: number): Promise<Found> {
    this.#busy = true
    this.#nextMs = nowMs + EVERY_MS
    this.#line ??= this.#engine.open(way.at)
    const found = await this.#line.read('newest', upTo)
    if (!found.ok) this.drop()
    this.#busy = false
    return found
  }

  waitUntil(ms: number): void {
    this.#nextMs = ms
  }

  drop(): void {
    this.#line?.close()
    this.#line = null
  }
}

const READ_PACE = paceOf(1_000 / EVERY_MS)

/** Through the read door, else through the door of writers; straight to the primary where there is no router. */
export class DoorReader {
  readonly #options: CanaryOptions
  readonly #writers: Writers
  readonly #doors: readonly Way[]
  readonly #asking: Asking
  #watched: Watched
  #door = 0
  #n = 0
  #lastTrouble = ''
  #closed = false
  #primary: string | null = null

  constructor(options: CanaryOptions, engine: EngineLines, writers: Writers, startMs: number) {
    this.#options = options
    this.#writers = writers
    const { read, write } = doorsOf(options.platform, options.group)
    this.#doors = read.length > 0 ? read : write
    this.#asking = new Asking(engine, startMs)
    this.#watched = unwatched(options.clock.nowMs(), 'it has not begun yet')
  }

  side(): Side {
    const { condition, because, outage } = this.#watched
    const via = this.#way()?.words ?? 'no way is known'
    return { condition, because, via, outage, lastTrouble: this.#lastTrouble }
  }

  tick(nowMs: number): void {
    const primary = this.#options.primary()
    if (this.#doors.length === 0 && primary !== null && primary !== this.#primary) {
      this.#primary = primary
      this.#asking.drop()
    }
    this.#take({ kind: 'tick', nowMs })
    if (this.#closed || !this.#asking.due(nowMs)) return
    const way = this.#way()
    // What nobody wrote cannot be read: before the first record nothing is measured.
    if (way === null || this.#writers.lastAckMs === null) return
    void this.#read(way, nowMs)
  }

  close(): void {
    this.#take({ kind: 'pause', because: 'it ends', nowMs: this.#options.clock.nowMs() })
    this.#closed = true
    this.#asking.drop()
  }

  #way(): Way | null {
    const door = this.#doors[this.#door % this.#doors.length]
    if (door !== undefined) return door
    const member = this.#options.group.members.find(({ name }) => name === this.#primary)
    return member === undefined ? null : { at: member.listen, words: `straight to ${member.name}` }
  }

  async #read(way: Way, askedMs: number): Promise<void> {
    this.#n += 1
    const n = this.#n
    this.#take({ kind: 'begin', nowMs: askedMs })
    this.#take({ kind: 'invoke', n, nowMs: askedMs })
    const found = await this.#asking.ask(way, askedMs, this.#writers.ledger.sentMax)
    if (this.#closed) return
    const nowMs = this.#options.clock.nowMs()
    if (found.ok) {
      this.#writers.verify(found.records, way.words)
      this.#take({ kind: 'ok', n, nowMs })
      return
    }
    this.#lastTrouble = found.because
    this.#door += 1
    if (found.refused) {
      this.#take({ kind: 'pause', because: `the group refuses us: ${found.because}`, nowMs })
      this.#asking.waitUntil(nowMs + REFUSED_MS)
    } else this.#take({ kind: 'info', n, nowMs })
  }

  #take(event: WatchEvent): void {
    const { state, spans } = stepWatch(this.#watched, event, READ_PACE)
    this.#watched = state
    for (const span of spans) this.#options.onSpan('read', span)
  }
}

interface Seen {
  readonly records: readonly Stored[]
  readonly newest: number | null
  readonly askedMs: number
  readonly because: string
}

/** What each member but the primary shows. */
export class ReplicaReaders {
  readonly #options: CanaryOptions
  readonly #writers: Writers
  readonly #members: ReadonlyMap<string, Asking>
  readonly #seen = new Map<string, Seen>()
  #closed = false

  constructor(options: CanaryOptions, engine: EngineLines, writers: Writers, startMs: number) {
    this.#options = options
    this.#writers = writers
    const { members } = options.group
    this.#members = new Map(members.map(({ name }) => [name, new Asking(engine, startMs)]))
  }

  tick(nowMs: number): void {
    const primary = this.#options.primary()
    for (const { name, listen } of this.#options.group.members) {
      const asking = this.#members.get(name)
      if (asking === undefined || this.#closed || !asking.due(nowMs)) continue
      if (name === primary) {
        asking.drop()
        this.#seen.delete(name)
      } else void this.#look(name, asking, { at: listen, words: name })
    }
  }

  views(nowMs: number): readonly ReplicaView[] {
    const primary = this.#options.primary()
    return this.#options.group.members.flatMap(({ name, site }): readonly ReplicaView[] => {
      if (name === primary) return []
      const seen = this.#seen.get(name)
      const lookedMsAgo = seen === undefined ? null : Math.max(0, nowMs - seen.askedMs)
      const nothing = { member: name, site, stale: null, lookedMsAgo }
      if (seen === undefined || lookedMsAgo === null) return [{ ...nothing, because: 'not looked at yet' }]
      if (seen.because !== '') return [{ ...nothing, because: seen.because }]
      if (lookedMsAgo > FRESH_MS) return [{ ...nothing, because: 'not looked at lately' }]
      const stale = staleness(this.#writers.ledger, seen.newest, seen.askedMs)
      return [{ member: name, site, stale, lookedMsAgo, because: '' }]
    })
  }

  close(): void {
    this.#closed = true
    for (const asking of this.#members.values()) asking.drop()
  }

  async #look(member: string, asking: Asking, way: Way): Promise<void> {
    const askedMs = this.#options.clock.nowMs()
    const found = await asking.ask(way, askedMs, this.#writers.ledger.sentMax)
    if (this.#closed) return
    if (!found.ok) {
      asking.waitUntil(this.#options.clock.nowMs() + (found.refused ? REFUSED_MS : SILENT_MS))
      this.#seen.set(member, { records: [], newest: null, askedMs, because: found.because })
      return
    }
    const numbers = this.#writers.verify(found.records, member)
    const newest = numbers.length === 0 ? null : Math.max(...numbers)
    this.#seen.set(member, { records: found.records, newest, askedMs, because: '' })
  }
}
