/** What a step takes: the median of past runs of the same step, else from the group's timing. Never a guess unnamed. */
import type { Timing } from '../settings.ts'

/** From the decision to the first write: a promotion and one write to the store. Measured: 35-80 ms and 5-20 ms. */
export const PROMOTE_MS = 300

/** Last beat to first write when the holder vanishes: its lease, the comparison of positions, the promotion. */
export function failoverWorstMs({ ttlMs, marginMs, requestMs }: Timing): number {
  return ttlMs + marginMs + 2 * requestMs + PROMOTE_MS
}
