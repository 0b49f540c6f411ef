/**
 * What clients saw of one incident: the longest time without an acknowledgement while it was open, with what failed.
 * The longest is kept as it passes, because an incident may stay open long after writes are back. Pure.
 */
import type { CanaryAck } from '../drill/figures.ts'

/** The gap begins before anybody opens an incident for it: after the ttl, a beat and the look of a server. */
const BEFORE_MS = 15_000

export interface Gap {
  readonly fromMs: number
  readonly toMs: number
  /** Of it. */
  readonly unmeasuredMs: number
  /** No acknowledgement ended it yet. */
  readonly open: boolean
}

export interface Meter {
  readonly incident: string
  readonly openedMs: number
  readonly lastAckMs: number | null
  /** Since the newest acknowledgement. */
  readonly unmeasuredMs: number
  readonly worst: Gap | null
  readonly acked: number
  readonly failed: number
  readonly unknown: number
}

export function openMeter(incident: string, acks: readonly CanaryAck[], nowMs: number): Meter {
  const times = acks.map(({ ackedMs }) => ackedMs).sort((a, b) => a - b)
  const begun: Meter = {
    ...{ incident, openedMs: nowMs, lastAckMs: null, unmeasuredMs: 0, worst: null },
    ...{ acked: 0, failed: 0, unknown: 0 },
  }
  // The gaps of the past few seconds belong to it; how many were acknowledged in them does not.
  const lately = times.filter((ms) => ms >= nowMs - BEFORE_MS)
  const before = times.findLast((ms) => ms < nowMs - BEFORE_MS)
  const all = before === undefined ? lately : [before, ...lately]
  return { ...all.reduce((meter, ms) => metAck(meter, ms), begun), acked: 0 }
}

export function metAck(meter: Meter, ackedMs: number): Meter {
  const { lastAckMs, unmeasuredMs } = meter
  const gap = lastAckMs === null ? null : { fromMs: lastAckMs, toMs: ackedMs, unmeasuredMs, open: false }
  return {
    ...meter,
    worst: longer(meter.worst, gap),
    lastAckMs: Math.max(lastAckMs ?? ackedMs, ackedMs),
    unmeasuredMs: 0,
    acked: meter.acked + 1,
  }
}

export function metBad(meter: Meter, kind: 'fail' | 'info'): Meter {
  return kind === 'fail' ? { ...meter, failed: meter.failed + 1 } : { ...meter, unknown: meter.unknown + 1 }
}

export function metStall(meter: Meter, ms: number): Meter {
  return { ...meter, unmeasuredMs: meter.unmeasuredMs + ms }
}

/** The worst so far; the one that is still open counts until now. Null: nothing was acknowledged before. */
export function worstGap({ lastAckMs, unmeasuredMs, worst }: Meter, nowMs: number): Gap | null {
  const open = lastAckMs === null ? null : { fromMs: lastAckMs, toMs: nowMs, unmeasuredMs, open: true }
  return longer(worst, open)
}

const measured = ({ fromMs, toMs, unmeasuredMs }: Gap): number => toMs - fromMs - unmeasuredMs

function longer(a: Gap | null, b: Gap | null): Gap | null {
  if (a === null || b === null) return a ?? b
  return measured(b) > measured(a) ? b : a
}
