/** What a fault cost, computed from the acknowledgements alone. Pure. */
import { type Ack, FIRST_PROBER } from './ledger.ts'

export interface FaultWindow {
  readonly startMs: number
  readonly endMs: number
}

/**
 * Longest time between two consecutive acknowledgements, counted over all connections that go through the router, of
 * which the later one came after the fault. Probers do not count as service.
 */
export function writeOutageMs(acks: readonly Ack[], window: FaultWindow): number {
  const times = acks
    .filter((a) => a.writer < FIRST_PROBER && a.ackedMs <= window.endMs)
    .map((a) => a.ackedMs)
    .sort((a, b) => a - b)
  let longest = 0
  for (let i = 1; i < times.length; i += 1) {
    const at = times[i] ?? 0
    if (at >= window.startMs) longest = Math.max(longest, at - (times[i - 1] ?? at))
  }
  return longest
}

/**
 * How long two primaries provably acknowledged side by side. One term is one member on one timeline; terms are ordered
 * by timeline. If an older term acknowledged a statement that was SENT after a newer term's first acknowledgement had
 * come BACK, both were writable in between.
 */
export function twoWritersMs(acks: readonly Ack[]): number {
  const terms = new Map<string, { timeline: string; firstAckedMs: number; lastSentMs: number }>()
  for (const a of acks) {
    const key = `${a.timeline}/${a.port}`
    const term = terms.get(key)
    if (term === undefined) terms.set(key, { timeline: a.timeline, firstAckedMs: a.ackedMs, lastSentMs: a.sentMs })
    else {
      term.firstAckedMs = Math.min(term.firstAckedMs, a.ackedMs)
      term.lastSentMs = Math.max(term.lastSentMs, a.sentMs)
    }
  }
  const list = [...terms.values()]
  let overlap = 0
  for (const older of list) {
    for (const newer of list) {
      if (older === newer || newer.timeline < older.timeline) continue
      overlap = Math.max(overlap, older.lastSentMs - newer.firstAckedMs)
    }
  }
  return Math.max(0, overlap)
}
