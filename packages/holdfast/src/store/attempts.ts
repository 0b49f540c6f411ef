/**
 * One call over several endpoints: short attempts, the next endpoint after each failure, until the call's deadline.
 * A request sent to a leader that just died hangs for its whole time-out, so the first attempt is short; each
 * further one gets twice the time, so that a store that is merely slow is still reached. What may be repeated is the
 * attempt's business: it is told its number.
 */
import { systemClock } from '../io/clock.ts'
import { jitterMs } from '../io/random.ts'

/** A store answers within a few milliseconds; a leader's death is noticed after one of these. */
export const ATTEMPT_MS = 150
/** A bound for stores that refuse at once. */
const ATTEMPTS_MAX = 64
/** Pause after an attempt that failed at once, so that a refused connection is not tried in a tight loop. */
const PAUSE_LOW_MS = 5
const PAUSE_HIGH_MS = 15
/** Less than this is not enough for any answer. */
const ATTEMPT_MIN_MS = 2

export type AttemptResult<T> =
  | { readonly kind: 'done'; readonly result: T }
  /** Tried in vain. `sent` false: the request surely never reached the store. */
  | { readonly kind: 'failed'; readonly because: string; readonly sent: boolean }

export interface Attempt {
  /** Index of the endpoint to ask. */
  readonly endpoint: number
  readonly timeoutMs: number
  /** An earlier attempt of this call may have been applied. */
  readonly mayRepeat: boolean
}

export type Outcome<T> = T | { readonly kind: 'unknown'; readonly because: string }

export class Attempts {
  readonly #endpoints: number
  readonly #attemptMs: number
  #preferred = 0
  #closed = false

  constructor(endpoints: number, attemptMs: number) {
    this.#endpoints = endpoints
    this.#attemptMs = attemptMs
  }

  /** The endpoint that answered last. */
  preferred(): number {
    return this.#preferred
  }

  /** Called when something else, a watch, found an endpoint dead. */
  avoid(endpoint: number): void {
    if (this.#preferred === endpoint) this.#preferred = (endpoint + 1) % this.#endpoints
  }

  close(): void {
    this.#closed = true
  }

  async run<T>(deadlineMs: number, attempt: (attempt: Attempt) => Promise<AttemptResult<T>>): Promise<Outcome<T>> {
    const untilMs = systemClock.nowMs() + deadlineMs
    const failures: string[] = []
    let mayRepeat = false
    let attemptMs = this.#attemptMs
    for (let number = 0; number < ATTEMPTS_MAX && !this.#closed; number++) {
      const startedMs = systemClock.nowMs()
      const leftMs = untilMs - startedMs
      if (leftMs < ATTEMPT_MIN_MS) break
      const endpoint = this.#preferred
      // Not worth keeping a rest that is too short for another attempt.
      const timeoutMs = leftMs < attemptMs * 1.5 ? leftMs : attemptMs
      const answer = await attempt({ endpoint, timeoutMs, mayRepeat })
      if (answer.kind === 'done') return answer.result
      if (failures.at(-1) !== answer.because) failures.push(answer.because)
      mayRepeat ||= answer.sent
      this.avoid(endpoint)
      const spentMs = systemClock.nowMs() - startedMs
      if (spentMs >= timeoutMs / 2) attemptMs *= 2
      else await this.#pause(untilMs)
    }
    return {
      kind: 'unknown',
      because: this.#closed ? 'the store client was closed' : this.#words(deadlineMs, failures),
    }
  }

  async #pause(untilMs: number): Promise<void> {
    const leftMs = untilMs - systemClock.nowMs()
    const pauseMs = Math.min(jitterMs(PAUSE_LOW_MS, PAUSE_HIGH_MS), Math.max(leftMs, 0))
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
  }

  #words(deadlineMs: number, failures: readonly string[]): string {
    const last = failures.slice(-3).join('; ')
    return last === '' ? `no time left within ${deadlineMs} ms` : `no answer within ${deadlineMs} ms: ${last}`
  }
}
