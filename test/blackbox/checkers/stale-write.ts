/**
 * B4. No write is acknowledged in an older epoch that was invoked after an acknowledgement in a newer one had come
 * back. Whoever answers in the older epoch then writes beside, or behind, the newer primary.
 *
 * It sees what clients and probes wrote; an old primary nobody writes to stays unseen here (see `two-writers`). A long
 * transaction counts from its beginning, so one that began before the change and commits after it is not seen here.
 */
import type { CheckerInput, Verdict } from '../contract.ts'
import { isOk, isWrite, msOf, type OkOperation, operationsOf, verdictOf } from './operations.ts'

export function staleWrite({ history }: CheckerInput): Verdict {
  const oks = operationsOf(history).filter(isOk)
  const firstEndedNs = new Map<number, number>()
  for (const { epoch, endedNs } of oks) {
    firstEndedNs.set(epoch, Math.min(endedNs, firstEndedNs.get(epoch) ?? Number.POSITIVE_INFINITY))
  }
  const overtakenNs = overtaken(firstEndedNs)
  const stale = oks.filter(({ epoch, invokedNs }) => invokedNs > (overtakenNs.get(epoch) ?? Number.POSITIVE_INFINITY))
  const writes = stale.filter(isWrite)
  const findings = writes.map((one) => findingOf(one, overtakenNs.get(one.epoch) ?? 0))
  const figures = { epochs: firstEndedNs.size, staleWrites: writes.length, staleReads: stale.length - writes.length }
  return verdictOf('stale-write', figures, findings)
}

/** For each epoch the first moment at which an acknowledgement of a newer one had come back. */
function overtaken(firstEndedNs: ReadonlyMap<number, number>): ReadonlyMap<number, number> {
  const result = new Map<number, number>()
  let earliestNs = Number.POSITIVE_INFINITY
  for (const epoch of [...firstEndedNs.keys()].sort((a, b) => b - a)) {
    result.set(epoch, earliestNs)
    earliestNs = Math.min(earliestNs, firstEndedNs.get(epoch) ?? earliestNs)
  }
  return result
}

function findingOf({ f, node, epoch, invokedNs }: OkOperation, overtakenNs: number): string {
  const lateMs = msOf(invokedNs - overtakenNs)
  return `${f} was acknowledged by ${node} in epoch ${epoch}, invoked ${lateMs} ms after a newer epoch had answered`
}
