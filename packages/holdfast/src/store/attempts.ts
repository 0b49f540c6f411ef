/**
 * One call over several endpoints, until its deadline. A request sent to a leader that just died hangs for its whole
 * time, so a further attempt starts at the next endpoint soon after the first, and each one after that when twice as
 * long has gone by. None is given up for it: on a machine with too much to do every answer is late, and one that is on
 * its way is the nearest there is. The first answer counts. What may be repeated is the attempt's business: it is told
 * whether another one of its call may have been applied.
 */
import { systemClock } from '../io/clock.ts'
import { jitterMs } from '../io/random.ts'

/** A store answers within a few milliseconds; a leader's death is noticed after this long. */
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
  /** Another attempt of this call may have been applied, as far as is known when this is read. */
  readonly mayRepeat: boolean
}

interface Settled<T> {
  readonly number: number
  readonly endpoint: number
  readonly answer: AttemptResult<T>
}

/** The attempts of one call. */
class Race<T> {
  readonly #running = new Map<number, Promise<Settled<T>>>()
  /** By number: it may have reached the store. */
  readonly #sent: boolean[] = []

  get begun(): number {
    return this.#sent.length
  }

  get running(): number {
    return this.#running.size
  }

  start(endpoint: number, timeoutMs: number, attempt: (attempt: Attempt) => Promise<AttemptResult<T>>): void {
    const sent = this.#sent
    const number = sent.length
    sent.push(true)
    const told = {
      endpoint,
      timeoutMs,
      get mayRepeat(): boolean {
        return sent.some((was, other) => was && other !== number)
      },
    }
    this.#running.set(
      number,
      attempt(told).then((answer) => ({ number, endpoint, answer })),
    )
  }

  /** The next one that ends; null when none did within the time. */
  async first(waitMs: number): Promise<Settled<T> | null> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<null>((resolve) => {
      timer = setTimeout(() => resolve(null), waitMs)
    })
    const first = await Promise.race([...this.#running.values(), late])
    clearTimeout(timer)
    if (first === null) return null
    this.#running.delete(first.number)
    if (first.answer.kind === 'failed') this.#sent[first.number] = first.answer.sent
    return first
  }
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
    const leftMs = (): number => untilMs - systemClock.nowMs()
    const failures: string[] = []
    const race = new Race<T>()
    let patienceMs = this.#attemptMs
    while (!this.#closed && leftMs() >= ATTEMPT_MIN_MS) {
      const endpoint = this.#preferred
      if (race.begun < ATTEMPTS_MAX) race.start(endpoint, leftMs(), attempt)
      // No further one when the rest would be too short for it.
      const waitMs = Math.max(1, leftMs() < patienceMs * 1.5 ? leftMs() : patienceMs)
      const first = await race.first(waitMs)
      if (first === null) {
        this.avoid(endpoint)
        patienceMs *= 2
        continue
      }
      if (first.answer.kind === 'done') {
        this.#preferred = first.endpoint
        return first.answer.result
      }
      if (failures.at(-1) !== first.answer.because) failures.push(first.answer.because)
      this.avoid(first.endpoint)
      await this.#pause(untilMs)
    }
    if (race.running > 0) failures.push(`${race.running} of ${race.begun} attempts were still without an answer`)
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
