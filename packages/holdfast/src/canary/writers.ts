/**
 * Writes one group's records: when the next is due, over which of two connections, by which way, and what its answer
 * means. Looks through the primary for what it acknowledged, on a connection that had just written.
 */
import { stepWatch, unwatched } from '../core/canary/availability.ts'
import {
  LINES,
  type Pace,
  paceOf,
  SPACING_MIN_MS,
  type Step,
  type WatchEvent,
  type Watched,
} from '../core/canary/model.ts'
import { EMPTY, judge, type Ledger, withAck, withSent } from '../core/canary/records.ts'
import { doorsOf, type Way } from './door.ts'
import type { CanaryLine, EngineLines, Stored, Wrote } from './engine-lines.ts'
import { readRecord, recordText } from './record.ts'
import type { CanaryOptions, Side } from './settings.ts'

/** All acknowledged numbers are looked for at least so often. */
const CHECK_MS = 30_000
/** Who is refused asks again, and does not make a noise in the server's log meanwhile. */
const REFUSED_MS = 30_000
const BAD_TOLD_MAX = 100
const SKIP_MAX = 1_024

interface Slot {
  line: CanaryLine | null
  busy: boolean
}

export class Writers {
  readonly #options: CanaryOptions
  readonly #engine: EngineLines
  readonly #doors: readonly Way[]
  readonly #pace: Pace
  readonly #slots: readonly Slot[] = Array.from({ length: LINES }, () => ({ line: null, busy: false }))
  readonly #badTold = new Set<string>()
  #watched: Watched
  #ledger: Ledger = EMPTY
  #nextMs: number
  #door = 0
  #primary: string | null = null
  #n = 0
  /** Numbers that stood taken, one after the other. */
  #taken = 0
  #checkDue = false
  #lastTrouble = ''
  /** Why it was last told that nothing is measured; null: it was told that something is. */
  #toldBecause: string | null = ''
  #closed = false

  constructor(options: CanaryOptions, engine: EngineLines, startMs: number) {
    this.#options = options
    this.#engine = engine
    this.#doors = doorsOf(options.platform, options.group).write
    this.#pace = paceOf(options.perSecond)
    this.#watched = unwatched(options.clock.nowMs(), 'it has not begun yet')
    this.#nextMs = startMs
  }

  get ledger(): Ledger {
    return this.#ledger
  }

  get lastAckMs(): number | null {
    return this.#ledger.acks.at(-1)?.ackedMs ?? null
  }

  get bad(): number {
    return this.#badTold.size
  }

  side(): Side {
    const { condition, because, outage } = this.#watched
    const words = this.#way()?.words ?? 'no way is known'
    return { condition, because, via: words, outage, lastTrouble: this.#lastTrouble }
  }

  tick(nowMs: number): void {
    this.#follow()
    this.#take({ kind: 'tick', nowMs })
    if (nowMs < this.#nextMs || this.#closed) return
    const way = this.#way()
    if (way === null || !(this.#primary !== null || this.#options.founded())) {
      const because = way === null ? 'no router leads to it, and no agent says who is primary' : 'nobody has led it yet'
      this.#pause(because, nowMs)
      return
    }
    const slot = this.#slots.find(({ busy }) => !busy)
    if (slot === undefined) return
    this.#take({ kind: 'begin', nowMs })
    void this.#write(slot, way)
  }

  lookNow(): void {
    this.#checkDue = true
  }

  /** Numbers of those that prove to be ours. Also told of by whoever reads elsewhere. */
  verify(records: readonly Stored[], where: string): readonly number[] {
    const { platform, group, run, key } = this.#options
    const place = { platform: platform.name, group: group.name, run, key, sentMax: this.#ledger.sentMax }
    return records.flatMap(({ n, text }) => {
      const read = readRecord(text, { ...place, n })
      if (read.ok) return [read.n]
      this.#bad(`${n ?? text.slice(0, 64)} ${read.because}`, where, read.because)
      return []
    })
  }

  /** Of each it is told once. */
  #bad(known: string, where: string, because: string): void {
    if (this.#badTold.has(known) || this.#badTold.size >= BAD_TOLD_MAX) return
    this.#badTold.add(known)
    this.#options.onFinding({ kind: 'bad-record', where, because })
  }

  async close(clean: boolean): Promise<void> {
    const way = this.#way()
    this.#closed = true
    this.#take({ kind: 'pause', because: 'it ends', nowMs: this.#options.clock.nowMs() })
    for (const { line } of this.#slots) line?.close()
    if (!clean || way === null || this.#n === 0) return
    const line = this.#engine.open(way.at)
    await line.clean()
    line.close()
  }

  /** Another primary: straight connections lead to the wrong one, and what it holds is to be looked at. */
  #follow(): void {
    const primary = this.#options.primary()
    if (primary === null || primary === this.#primary) return
    if (this.#primary !== null) {
      this.#checkDue = true
      if (this.#doors.length === 0) for (const slot of this.#slots) this.#drop(slot)
    }
    this.#primary = primary
  }

  #way(): Way | null {
    const door = this.#doors[this.#door % this.#doors.length]
    if (door !== undefined) return door
    const member = this.#options.group.members.find(({ name }) => name === this.#primary)
    return member === undefined ? null : { at: member.listen, words: `straight to ${member.name}` }
  }

  async #write(slot: Slot, way: Way): Promise<void> {
    const { clock, platform, group, run, key } = this.#options
    this.#n += 1
    const n = this.#n
    const sentMs = clock.nowMs()
    slot.busy = true
    slot.line ??= this.#engine.open(way.at)
    const { line } = slot
    this.#nextMs = sentMs + this.#pace.everyMs
    this.#ledger = withSent(this.#ledger, n)
    this.#take({ kind: 'invoke', n, nowMs: sentMs })
    const record = { v: 1, platform: platform.name, group: group.name, run, n, wallMs: clock.wallMs() } as const
    const wrote = await line.write(n, recordText(record, key))
    if (!this.#closed) await this.#answered(wrote, { n, sentMs, line, slot })
    slot.busy = false
  }

  async #answered(wrote: Wrote, attempt: { n: number; sentMs: number; line: CanaryLine; slot: Slot }): Promise<void> {
    const { n, sentMs, line, slot } = attempt
    const nowMs = this.#options.clock.nowMs()
    if (wrote.kind === 'refused') {
      this.#drop(slot)
      this.#pause(`the group refuses us: ${wrote.because}`, nowMs)
      this.#nextMs = nowMs + REFUSED_MS
      return
    }
    if (wrote.kind === 'taken') {
      this.#skip(n, sentMs, nowMs)
      return
    }
    this.#taken = 0
    // A pause of this process is noticed before its end is taken for an answer that came late.
    this.#take({ kind: 'tick', nowMs })
    this.#options.onAttempt({ kind: wrote.kind, nowMs, latencyMs: nowMs - sentMs })
    if (wrote.kind === 'ok') {
      this.#ledger = withAck(this.#ledger, { n, sentMs, ackedMs: nowMs })
      this.#take({ kind: 'ok', n, nowMs })
      await this.#check(line, slot)
      return
    }
    this.#lastTrouble = wrote.because
    this.#drop(slot)
    this.#door += 1
    this.#nextMs = Math.min(this.#nextMs, Math.max(nowMs, sentMs + SPACING_MIN_MS))
    this.#take({ kind: wrote.kind, n, nowMs })
  }

  /** Whoever put records ahead of ours makes no outage. Steps that double leave many of them behind soon. */
  #skip(n: number, sentMs: number, nowMs: number): void {
    if (this.#taken === 0) this.#bad(`taken ${n}`, 'the primary', `record ${n} was not written by this run`)
    this.#taken += 1
    this.#n = Math.max(this.#n, n + Math.min(SKIP_MAX, 2 ** (this.#taken - 1)) - 1)
    this.#nextMs = Math.min(this.#nextMs, Math.max(nowMs, sentMs + SPACING_MIN_MS))
    this.#take({ kind: 'void', n, nowMs })
  }

  /** The connection had just written, so whoever answers is the primary, or was it a moment ago. */
  async #check(line: CanaryLine, slot: Slot): Promise<void> {
    const askedMs = this.#options.clock.nowMs()
    const { checkedMs } = this.#ledger
    if (!this.#checkDue && checkedMs !== null && askedMs - checkedMs < CHECK_MS) return
    this.#checkDue = false
    const found = await line.read('all', this.#ledger.sentMax)
    if (this.#closed) return
    if (!found.ok) {
      this.#checkDue = true
      this.#drop(slot)
      return
    }
    // What stands under its number is there, though not as it was written.
    const there = found.records.flatMap(({ n }) => (n === null ? [] : [n]))
    const numbers = new Set([...this.verify(found.records, 'the primary'), ...there])
    const { ledger, loss, returned } = judge(this.#ledger, { numbers, askedMs })
    this.#ledger = ledger
    if (loss !== null) this.#options.onFinding({ kind: 'lost', loss })
    if (returned.length > 0) this.#options.onFinding({ kind: 'returned', records: returned.length })
    this.#options.onFinding({ kind: 'checked' })
  }

  #pause(because: string, nowMs: number): void {
    if (this.#watched.condition === 'unmeasured' && this.#watched.because === because) return
    this.#take({ kind: 'pause', because, nowMs })
    // Who is refused tries again and again, and is told of once.
    if (because === this.#toldBecause) return
    this.#toldBecause = because
    this.#options.onFinding({ kind: 'not-measured', because })
  }

  #take(event: WatchEvent): void {
    const { state, spans, told }: Step = stepWatch(this.#watched, event, this.#pace)
    this.#watched = state
    for (const span of spans) this.#options.onSpan('write', span)
    for (const one of told) {
      if (one.kind === 'outage-ended') this.#checkDue = true
      // Connections that nobody served may be broken, and that would look like an outage.
      if (one.kind === 'stalled') for (const slot of this.#slots) if (!slot.busy) this.#drop(slot)
      this.#options.onFinding(one)
    }
    if (state.condition !== 'up' || this.#toldBecause === null) return
    this.#toldBecause = null
    this.#options.onFinding({ kind: 'measured' })
  }

  #drop(slot: Slot): void {
    slot.line?.close()
    slot.line = null
  }
}
