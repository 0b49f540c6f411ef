/**
 * What clients saw of one incident: the longest time without an acknowledgement while it was open, with what failed.
 * The longest is kept as it passes, because an incident may stay open long after writes are back. Pure.
 */
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

/** What an incident may need of the time before it was opened: the past few seconds, and the acknowledgement before. */
export interface Lately {
  /** With what nobody measured between each and the one before it. */
  readonly acks: readonly { readonly ackedMs: number; readonly unmeasuredMs: number }[]
  /** Since the newest of them. */
  readonly unmeasuredMs: number
}

export const NOTHING_LATELY: Lately = { acks: [], unmeasuredMs: 0 }

/** However long nobody measured, what is kept is one number between two acknowledgements. */
export function latelyAck({ acks, unmeasuredMs }: Lately, ackedMs: number): Lately {
  const older = acks.findLastIndex((ack) => ack.ackedMs < ackedMs - BEFORE_MS)
  return { acks: [...acks.slice(Math.max(0, older)), { ackedMs, unmeasuredMs }], unmeasuredMs: 0 }
}

export function latelyUnmeasured(lately: Lately, ms: number): Lately {
  return { ...lately, unmeasuredMs: lately.unmeasuredMs + ms }
}

export function openMeter(incident: string, { acks, unmeasuredMs }: Lately, nowMs: number): Meter {
  const begun: Meter = {
    ...{ incident, openedMs: nowMs, lastAckMs: null, unmeasuredMs: 0, worst: null },
    ...{ acked: 0, failed: 0, unknown: 0 },
  }
  // The gaps of the past few seconds belong to it; how many were acknowledged in them does not.
  const older = acks.findLastIndex(({ ackedMs }) => ackedMs < nowMs - BEFORE_MS)
  const meter = acks
    .slice(Math.max(0, older))
    .reduce((so, ack) => metAck(metUnmeasured(so, ack.unmeasuredMs), ack.ackedMs), begun)
  return { ...metUnmeasured(meter, unmeasuredMs), acked: 0 }
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

/** A stall, a pause, a refusal: told before the acknowledgement that ends the gap it lies in. */
export function metUnmeasured(meter: Meter, ms: number): Meter {
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
