/**
 * Looks at the workloads' history while it is written: when a write was acknowledged last, and how long writes stood
 * still around a fault. For people who watch, and for the table of faults; what is proved is proved by the checkers.
 */
import { closeSync, openSync, readSync } from 'node:fs'
import type { HistoryLine, OperationName } from './contract.ts'

const LOOK_MS = 250
const READ_BYTES = 1 << 20
/** Acknowledgements older than this before the newest are forgotten. */
const REMEMBER_MAX = 400_000
const WRITES: ReadonlySet<OperationName> = new Set(['insert', 'transfer', 'txn', 'old'])

export class LiveHistory {
  readonly #path: string
  readonly #timer: NodeJS.Timeout
  #at = 0
  #rest = ''
  #oks: number[] = []
  acknowledged = 0

  constructor(path: string) {
    this.#path = path
    this.#timer = setInterval(() => this.look(), LOOK_MS)
  }

  /** Reads what was appended since. */
  look(): void {
    let file: number
    try {
      file = openSync(this.#path, 'r')
    } catch {
      return
    }
    try {
      const buffer = Buffer.alloc(READ_BYTES)
      for (let bytes = -1; bytes !== 0; ) {
        bytes = readSync(file, buffer, 0, READ_BYTES, this.#at)
        this.#at += bytes
        this.#take(buffer.toString('latin1', 0, bytes))
      }
    } finally {
      closeSync(file)
    }
    if (this.#oks.length > REMEMBER_MAX) this.#oks = this.#oks.slice(-REMEMBER_MAX / 2)
  }

  /** The longest time without an acknowledgement that reaches into the span; both in nanoseconds. */
  outageMs(fromNs: number, toNs: number): number {
    const before = this.#oks.findLast((time) => time <= fromNs) ?? fromNs
    let last = before
    let longest = 0
    for (const time of this.#oks) {
      if (time <= fromNs) continue
      longest = Math.max(longest, time - last)
      last = time
      if (time > toNs) break
    }
    return Math.max(longest, last < toNs ? toNs - last : 0) / 1e6
  }

  close(): void {
    clearInterval(this.#timer)
    this.look()
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) {
      // Cheap first: most lines are not of interest.
      if (!line.includes('"ok"')) continue
      const { type, f, time } = JSON.parse(line) as HistoryLine
      if (type !== 'ok' || !WRITES.has(f)) continue
      this.acknowledged += 1
      this.#oks.push(time)
    }
  }
}
