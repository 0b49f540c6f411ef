/**
 * Slows guessing down. Failures are counted per account and address together, per address, and per account; each has a
 * few free ones, then a pause that doubles. So one address cannot shut the owner out for long, and many addresses
 * together cannot guess one account quickly. Memory is bounded: the oldest count is forgotten first.
 */
import { HoldfastError } from '../../errors.ts'
import type { Clock } from '../../io/clock.ts'

interface Rule {
  readonly free: number
  readonly pauseMs: number
  readonly pauseMsMax: number
}

const PAIR: Rule = { free: 5, pauseMs: 15_000, pauseMsMax: 900_000 }
const ADDRESS: Rule = { free: 30, pauseMs: 15_000, pauseMsMax: 900_000 }
const ACCOUNT: Rule = { free: 50, pauseMs: 5_000, pauseMsMax: 30_000 }
const ENTRIES_MAX = 10_000
/** Without a failure for so long a count begins anew. */
const FORGET_MS = 3_600_000

interface Entry {
  readonly count: number
  readonly lastMs: number
  readonly untilMs: number
}

export class Tries {
  readonly #entries = new Map<string, Entry>()
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get size(): number {
    return this.#entries.size
  }

  /** `account` null: no name was told. Throws `HF_TOO_MANY_TRIES` while a pause lasts; the try is not looked at. */
  check(account: string | null, address: string): void {
    const nowMs = this.#clock.nowMs()
    const untilMs = Math.max(...keysOf(account, address).map(([key]) => this.#entries.get(key)?.untilMs ?? 0))
    if (untilMs <= nowMs) return
    const seconds = Math.ceil((untilMs - nowMs) / 1_000)
    throw new HoldfastError('HF_TOO_MANY_TRIES', 'too many failed tries to log in', `try again in ${seconds} s`)
  }

  failed(account: string | null, address: string): void {
    const nowMs = this.#clock.nowMs()
    for (const [key, rule] of keysOf(account, address)) {
      const before = this.#entries.get(key)
      const count = before === undefined || nowMs - before.lastMs > FORGET_MS ? 1 : before.count + 1
      const over = count - rule.free
      const pauseMs = over < 0 ? 0 : Math.min(rule.pauseMsMax, rule.pauseMs * 2 ** Math.min(over, 20))
      this.#entries.delete(key)
      this.#entries.set(key, { count, lastMs: nowMs, untilMs: nowMs + pauseMs })
    }
    for (const key of this.#entries.keys()) {
      if (this.#entries.size <= ENTRIES_MAX) break
      this.#entries.delete(key)
    }
  }

  succeeded(account: string, address: string): void {
    this.#entries.delete(`pair ${account} ${address}`)
    this.#entries.delete(`account ${account}`)
  }
}

function keysOf(account: string | null, address: string): readonly (readonly [string, Rule])[] {
  const atAddress = [`address ${address}`, ADDRESS] as const
  if (account === null) return [atAddress]
  return [atAddress, [`pair ${account} ${address}`, PAIR], [`account ${account}`, ACCOUNT]]
}
