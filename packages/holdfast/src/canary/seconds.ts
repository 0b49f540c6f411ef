/** What became of attempts, by second, for the last half hour: what is drawn beneath the timeline of an incident. */

const SECONDS = 1_800
const KINDS = ['ok', 'fail', 'info'] as const
export type Kind = (typeof KINDS)[number]
const SECOND_MS = 1_000
/** More steps are no chart any more. */
const STEPS_MAX = 240

export interface Series {
  readonly stepMs: number
  readonly acked: readonly number[]
  readonly failed: readonly number[]
  readonly unknown: readonly number[]
}

export class Seconds {
  /** One byte each: a group has at most four attempts a second, and their reads. */
  readonly #counts = new Uint8Array(SECONDS * KINDS.length)
  #newest = -1

  add(kind: Kind, nowMs: number): void {
    const second = Math.floor(nowMs / SECOND_MS)
    this.#forget(second)
    if (second <= this.#newest - SECONDS) return
    const at = (second % SECONDS) * KINDS.length + KINDS.indexOf(kind)
    this.#counts[at] = Math.min(255, (this.#counts[at] ?? 0) + 1)
  }

  /** Whole seconds; what is longer ago than half an hour is not there any more and counts as nothing. */
  series(fromMs: number, toMs: number): Series & { readonly fromMs: number } {
    this.#forget(Math.floor(toMs / SECOND_MS))
    const last = Math.floor(toMs / SECOND_MS)
    const first = Math.max(Math.floor(fromMs / SECOND_MS), last - SECONDS + 1, 0)
    const width = Math.max(1, Math.ceil((last - first + 1) / STEPS_MAX))
    const steps = Math.ceil((last - first + 1) / width)
    const column = (kind: Kind): number[] =>
      Array.from({ length: steps }, (_, step) => {
        let sum = 0
        for (let second = first + step * width; second < first + (step + 1) * width && second <= last; second += 1) {
          sum += this.#counts[(second % SECONDS) * KINDS.length + KINDS.indexOf(kind)] ?? 0
        }
        return sum
      })
    const counted = { acked: column('ok'), failed: column('fail'), unknown: column('info') }
    return { fromMs: first * SECOND_MS, stepMs: width * SECOND_MS, ...counted }
  }

  /** Clears what the ring reuses for the seconds up to this one. */
  #forget(second: number): void {
    if (second <= this.#newest) return
    const from = Math.max(this.#newest + 1, second - SECONDS + 1)
    for (let one = from; one <= second; one += 1) {
      const at = (one % SECONDS) * KINDS.length
      this.#counts.fill(0, at, at + KINDS.length)
    }
    this.#newest = second
  }
}
