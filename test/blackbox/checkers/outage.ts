/**
 * How long nobody, and how long each client, could write after each fault. Reports; judges nothing. The window of a
 * fault ends where the next one begins. A gap belongs to the window in which it ended; one that had not ended when the
 * window was over counts as long as it was by then.
 */
import type { CheckerInput, HistoryLine, Verdict } from '../contract.ts'
import { clientOf } from '../history.ts'
import { fieldOf, isOk, msOf, operationsOf, quantile, verdictOf } from './operations.ts'

/** Operations that come densely, through the door. A long transaction, or an old connection, has pauses of its own. */
const DENSE: ReadonlySet<string> = new Set(['insert', 'transfer', 'txn'])

export function outage({ history }: CheckerInput): Verdict {
  const faults = history.filter(({ process, f }) => process === 'nemesis' && f === 'fault')
  const oks = operationsOf(history)
    .filter(isOk)
    .filter(({ f }) => DENSE.has(f))
  const all = oks.map(({ endedNs }) => endedNs).sort((a, b) => a - b)
  const byClient = new Map<number, number[]>()
  for (const { process, endedNs } of oks) {
    const client = clientOf(process) ?? process
    const list = byClient.get(client)
    if (list === undefined) byClient.set(client, [endedNs])
    else list.push(endedNs)
  }
  for (const list of byClient.values()) list.sort((a, b) => a - b)
  const endNs = history.reduce((max, { time }) => Math.max(max, time), 0)
  const outages: number[] = []
  const waits: number[] = []
  const byFault: Record<string, number> = {}
  for (const [i, fault] of faults.entries()) {
    const window = { fromNs: fault.time, toNs: faults[i + 1]?.time ?? endNs }
    const ms = msOf(longestGap(all, window))
    outages.push(ms)
    const name = `maxMs:${nameOf(fault)}`
    byFault[name] = Math.max(byFault[name] ?? 0, ms)
    for (const list of byClient.values()) waits.push(msOf(longestGap(list, window)))
  }
  const figures = { faults: faults.length, ...spread('outage', outages), ...spread('client', waits), ...byFault }
  return verdictOf('outage', figures, [])
}

function nameOf({ value }: HistoryLine): string {
  return String(fieldOf(value, 'fault') ?? value)
}

function spread(name: string, values: readonly number[]): Readonly<Record<string, number>> {
  const sorted = [...values].sort((a, b) => a - b)
  return {
    [`${name}MedianMs`]: quantile(sorted, 0.5),
    [`${name}P99Ms`]: quantile(sorted, 0.99),
    [`${name}MaxMs`]: sorted.at(-1) ?? 0,
  }
}

/** `times` are sorted. */
export function longestGap(
  times: readonly number[],
  window: { readonly fromNs: number; readonly toNs: number },
): number {
  let at = firstFrom(times, window.fromNs)
  let before = times[at - 1] ?? window.fromNs
  let longest = 0
  for (; at < times.length; at += 1) {
    const time = times[at] ?? before
    if (time > window.toNs) break
    longest = Math.max(longest, time - before)
    before = time
  }
  return Math.max(longest, window.toNs - before)
}

function firstFrom(times: readonly number[], fromNs: number): number {
  let low = 0
  let high = times.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((times[middle] ?? 0) < fromNs) low = middle + 1
    else high = middle
  }
  return low
}
