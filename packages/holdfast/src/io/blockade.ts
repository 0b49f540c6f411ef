/**
 * Addresses this process no longer reaches, as if the network swallowed what is sent there: no refusal, no answer.
 * Ends by itself at its deadline, because every look compares the time; so a process that hangs or ends blocks nothing.
 */
import { type Clock, systemClock } from './clock.ts'

export class Blockade {
  readonly #clock: Clock
  #origins: ReadonlySet<string> = new Set()
  #untilMs = 0
  #refused = 0
  readonly #waiting = new Set<() => void>()
  #timer: NodeJS.Timeout | undefined

  constructor(clock: Clock = systemClock) {
    this.#clock = clock
  }

  /** Replaces an earlier one. */
  block(origins: readonly string[], forMs: number): void {
    this.lift()
    this.#origins = new Set(origins)
    this.#refused = 0
    this.#untilMs = this.#clock.nowMs() + forMs
    this.#timer = setTimeout(() => this.#look(), forMs)
    this.#timer.unref()
  }

  lift(): void {
    clearTimeout(this.#timer)
    this.#untilMs = 0
    for (const open of [...this.#waiting]) open()
    this.#waiting.clear()
  }

  covers(origin: string): boolean {
    if (this.#untilMs === 0 || this.#clock.nowMs() >= this.#untilMs || !this.#origins.has(origin)) return false
    this.#refused += 1
    return true
  }

  get leftMs(): number {
    return Math.max(0, this.#untilMs - this.#clock.nowMs())
  }

  /** Calls that met it: the proof that it was on. */
  get refused(): number {
    return this.#refused
  }

  /** Called once, when the present one ends; returns how to forget it. */
  whenOpen(open: () => void): () => void {
    this.#waiting.add(open)
    return () => this.#waiting.delete(open)
  }

  /** A timer may come early by a fraction. */
  #look(): void {
    const { leftMs } = this
    if (leftMs <= 0) this.lift()
    else {
      this.#timer = setTimeout(() => this.#look(), leftMs)
      this.#timer.unref()
    }
  }
}

/** That of this process; `http-pool.ts` asks it. */
export const blockade = new Blockade()
