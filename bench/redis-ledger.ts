/**
 * The clients of the Redis measurements, the same for every group: each writer sends the next number once on a
 * connection of its own, in `sync` mode with `WAIT 1` behind it in the same packet, and asks anew where the primary is
 * whenever it is refused or cut. A number without an answer is unknown, and is never sent again.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Line, type Target } from '../packages/holdfast/src/engines/redis/connection.ts'
import { systemClock } from '../packages/holdfast/src/io/clock.ts'

export const LIST = 'numbers'
const WRITERS = 8
const PACE_MS = 4
const AGAIN_MS = 10
const ANSWER_MS = 1_000
const WAIT_MS = '500'
const READ_MS = 30_000

export interface Ack {
  readonly n: number
  readonly sentMs: number
  readonly ackedMs: number
}

export interface LedgerOptions {
  /** Where the primary is, as this kind of group tells its clients. */
  readonly target: () => Promise<Target>
  readonly confirmations: number
}

export class RedisLedger {
  readonly acks: Ack[] = []
  readonly #options: LedgerOptions
  readonly #writers: readonly Promise<void>[]
  #running = true
  #next = 0

  constructor(options: LedgerOptions) {
    this.#options = options
    this.#writers = Array.from({ length: WRITERS }, () => this.#write())
  }

  async stop(): Promise<void> {
    this.#running = false
    await Promise.all(this.#writers)
  }

  async #write(): Promise<void> {
    while (this.#running) {
      const target = await this.#options.target().catch(() => null)
      if (target !== null) await this.#writeAt(new Line(target))
      await sleep(AGAIN_MS)
    }
  }

  /** Until it is refused or cut. */
  async #writeAt(line: Line): Promise<void> {
    const { confirmations } = this.#options
    const wait = confirmations > 0 ? [['WAIT', String(confirmations), WAIT_MS]] : []
    while (this.#running) {
      const n = this.#next++
      const sentMs = systemClock.nowMs()
      const answer = await line.must([['RPUSH', LIST, String(n)], ...wait], ANSWER_MS)
      // Whatever was refused, another one may be primary now.
      if (!answer.ok) break
      if (confirmations === 0 || Number(answer.replies[1]) >= confirmations) {
        this.acks.push({ n, sentMs, ackedMs: systemClock.nowMs() })
      }
      await sleep(PACE_MS)
    }
    line.close()
  }
}

export interface Audit {
  readonly lost: readonly Ack[]
  readonly doubled: number
}

/** What of the acknowledged numbers the primary does not have, and how many it has more than once. */
export async function auditRedis(target: Target, acks: readonly Ack[]): Promise<Audit> {
  const line = new Line(target)
  try {
    const answer = await line.must([['LRANGE', LIST, '0', '-1']], READ_MS)
    if (!answer.ok) throw new Error(`the numbers cannot be read: ${answer.because}`)
    const rows = Array.isArray(answer.replies[0]) ? answer.replies[0].map(Number) : []
    const there = new Set(rows)
    return { lost: acks.filter(({ n }) => !there.has(n)), doubled: rows.length - there.size }
  } finally {
    line.close()
  }
}

/** The longest time between two acknowledgements of which the later one came after `fromMs`. */
export function outageMs(acks: readonly Ack[], fromMs: number): number {
  const times = acks.map(({ ackedMs }) => ackedMs).sort((a, b) => a - b)
  let longest = 0
  for (const [i, atMs] of times.entries()) {
    if (atMs > fromMs && i > 0) longest = Math.max(longest, atMs - (times[i - 1] ?? atMs))
  }
  return longest
}
