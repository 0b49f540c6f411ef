/**
 * RTO and RPO from a client's own records: each has a number, the moment its write left and the moment its
 * acknowledgement came, and was found afterwards or not. Engine counters play no part; they are shown as a prediction.
 */
import type { Measured } from './model.ts'

export interface CanaryAck {
  readonly n: number
  readonly sentMs: number
  readonly ackedMs: number
}

export interface CanaryRecord {
  readonly acks: readonly CanaryAck[]
  readonly failed: number
}

/** How often each number was found at the end, on the primary, through the door. */
export type Found = ReadonlyMap<number, number>

/**
 * `faultMs` is when the fault was asked for; an outage counts when it ends after that. `endMs`: when the last look was
 * taken; without an acknowledgement since, the outage is at least that long.
 */
export function measure(record: CanaryRecord, found: Found, faultMs: number, endMs: number): Measured {
  const acks = [...record.acks].sort((a, b) => a.ackedMs - b.ackedMs)
  const lost = acks.filter((ack) => (found.get(ack.n) ?? 0) === 0)
  const doubled = [...found.values()].filter((times) => times > 1).length
  const rest = { acked: acks.length, failed: record.failed, doubled, lost: lost.length }
  return { ...rest, rtoMs: outageMs(acks, faultMs, endMs), rpoMs: reachMs(acks, lost) }
}

/**
 * Longest time without an acknowledgement that reaches past the fault. Two that lie close together leave no outage: it
 * is counted from one acknowledgement to the next, so it is never below the pause between two writes.
 */
function outageMs(acks: readonly CanaryAck[], faultMs: number, endMs: number): number {
  let longestMs = 0
  let lastMs = acks[0]?.ackedMs ?? faultMs
  for (const { ackedMs } of acks) {
    if (ackedMs >= faultMs) longestMs = Math.max(longestMs, ackedMs - lastMs)
    lastMs = ackedMs
  }
  return Math.max(longestMs, endMs - lastMs)
}

/**
 * From the oldest lost acknowledgement to the newest that was given in the same stretch: the age of what one would have
 * to enter again. The lost one itself counts, so one lost write is at least a millisecond.
 */
export function reachMs(acks: readonly CanaryAck[], lost: readonly CanaryAck[]): number {
  const [oldest] = lost
  const newest = lost.at(-1)
  if (oldest === undefined || newest === undefined) return 0
  const before = acks.findLast((ack) => ack.ackedMs < oldest.ackedMs)
  return Math.max(1, newest.ackedMs - (before?.ackedMs ?? oldest.sentMs))
}
