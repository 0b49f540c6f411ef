/**
 * Virtual time: runs what is due in the order (ms, seq) and folds each event into a rolling hash. Two runs of one
 * scenario must end with the same hash; that is how nondeterminism is noticed. Knows nothing of what it runs.
 */
import { Heap } from './heap.ts'

export const KIND = {
  timer: 1,
  datagram: 2,
  stream: 3,
  command: 4,
  disk: 5,
  guard: 6,
  client: 7,
  fault: 8,
  watch: 9,
  check: 10,
} as const

/** What an event may have to come through when it is due. */
export interface Way {
  /** Nothing comes through while this is above 0. */
  readonly cuts: number
}

export interface Due {
  /** Kind and node; part of the fingerprint. */
  readonly mark: number
  readonly way: Way | null
  /** Null: called off. */
  run: (() => void) | null
}

export class World {
  nowMs = 0
  events = 0
  stopped = false
  private hash = 0x811c9dc5
  private readonly queue = new Heap<Due>()

  get pending(): number {
    return this.queue.size
  }

  /** Eight hexadecimal digits; equal for equal histories. */
  get fingerprint(): string {
    return (this.hash >>> 0).toString(16).padStart(8, '0')
  }

  /** `callOff` takes what it returns. */
  at(ms: number, kind: number, node: number, run: () => void): Due {
    const due: Due = { mark: kind * 64 + node, way: null, run }
    this.queue.push(Math.max(ms, this.nowMs), due)
    return due
  }

  /** Happens in any case, and runs only if the way is open then. */
  afterBy(way: Way, delayMs: number, node: number, run: () => void): void {
    this.queue.push(this.nowMs + Math.max(delayMs, 0), { mark: KIND.datagram * 64 + node, way, run })
  }

  after(delayMs: number, kind: number, node: number, run: () => void): Due {
    return this.at(this.nowMs + delayMs, kind, node, run)
  }

  /** A deadline that is met is no event. */
  callOff(due: Due): void {
    due.run = null
  }

  /** Folds a fact into the fingerprint beyond the bare order of events. */
  note(value: number): void {
    this.hash = Math.imul(this.hash ^ value, 0x01000193)
  }

  /** Runs everything due up to and including `endMs`, then stands at `endMs`. */
  runUntil(endMs: number): void {
    while (!this.stopped && this.queue.peekMs() <= endMs) this.runNext()
    if (!this.stopped && this.nowMs < endMs) this.nowMs = endMs
  }

  private runNext(): void {
    const ms = this.queue.peekMs()
    const due = this.queue.pop()
    if (due === undefined || due.run === null) return
    this.nowMs = ms
    this.events += 1
    const stamp = Math.trunc(ms * 1_000) | 0
    this.hash = Math.imul(Math.imul(this.hash ^ stamp, 0x01000193) ^ due.mark, 0x01000193)
    if (due.way === null || due.way.cuts === 0) due.run()
  }
}
