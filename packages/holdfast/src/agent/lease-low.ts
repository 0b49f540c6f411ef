/**
 * The least trust a member had left within the last minute. A scrape every fifteen seconds would nearly always meet a
 * lease that was renewed a moment ago; what counts is how near it came to its end before that.
 */
import type { NodeState } from '../core/node.ts'
import { writableForMs } from './snapshot.ts'

/** Two halves: what is asked for covers between one of them and both. */
const HALF_MS = 30_000

interface Halves {
  sinceMs: number
  now: number
  before: number
}

export class LeaseLow {
  readonly #untilMs = new Map<string, number>()
  readonly #halves = new Map<string, Halves>()

  /** After each step: what was left until now, and until when it may write from now on. */
  note(state: NodeState, nowMs: number): void {
    for (const [name, member] of Object.entries(state.members)) {
      const untilMs = this.#untilMs.get(name)
      if (untilMs !== undefined) this.#take(name, Math.max(0, untilMs - nowMs), nowMs)
      const leftMs = writableForMs({ state, nowMs, loopAgeMs: 0 }, member)
      if (leftMs > 0) this.#untilMs.set(name, nowMs + leftMs)
      else if (untilMs !== undefined) this.#untilMs.delete(name)
    }
  }

  /** Milliseconds; null when the member was not open for writes within the last minute. */
  lowMs(member: string, nowMs: number): number | null {
    const halves = this.#halves.get(member)
    if (halves === undefined) return null
    const ageMs = nowMs - halves.sinceMs
    if (ageMs >= 2 * HALF_MS) return null
    const low = ageMs >= HALF_MS ? halves.now : Math.min(halves.now, halves.before)
    return low === Number.POSITIVE_INFINITY ? null : low
  }

  #take(member: string, leftMs: number, nowMs: number): void {
    const halves = this.#halves.get(member)
    if (halves === undefined) {
      this.#halves.set(member, { sinceMs: nowMs, now: leftMs, before: Number.POSITIVE_INFINITY })
      return
    }
    const ageMs = nowMs - halves.sinceMs
    if (ageMs >= HALF_MS) {
      halves.before = ageMs >= 2 * HALF_MS ? Number.POSITIVE_INFINITY : halves.now
      halves.now = leftMs
      halves.sinceMs = nowMs
    } else if (leftMs < halves.now) halves.now = leftMs
  }
}
