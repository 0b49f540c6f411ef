/** What the canary's core knows and is told. All times are one process's monotonic clock; they are never compared with
 * those of another (SPEC.md). */

/** Records a group keeps of one run: what is older is deleted with the next write. Two minutes at two a second. */
export const KEPT = 300
/** Writes that may be under way at once; one that hangs must not hide that the next is served. */
export const LINES = 2
/** Between two writes of one group, however many fail: four a second is all a canary may cost. */
export const SPACING_MIN_MS = 250

export interface Pace {
  /** Between two writes while they succeed. */
  readonly everyMs: number
  /** Without an acknowledgement for so long, with a write under way: clients are waiting. */
  readonly lateMs: number
  /** This process did not run for so long: what happened meanwhile was not measured. */
  readonly stallMs: number
}

const LATE_SLACK_MS = 500
/** Far above what a busy event loop is late by; below what anybody would call an outage. */
const STALL_MS = 750

export function paceOf(perSecond: number): Pace {
  const everyMs = Math.max(SPACING_MIN_MS, 1_000 / perSecond)
  return { everyMs, lateMs: 2 * everyMs + LATE_SLACK_MS, stallMs: STALL_MS }
}

/**
 * `unmeasured`: nobody writes, for a reason. `starting`: somebody writes and knows nothing yet. `up`: the newest result
 * was an acknowledgement. `down`: clients fail or wait.
 */
export type Condition = 'unmeasured' | 'starting' | 'up' | 'down'

export interface Attempt {
  readonly n: number
  readonly sentMs: number
  /** It lived through a stall: its failure says nothing. */
  readonly void: boolean
}

export interface OpenOutage {
  /** The last acknowledgement before it, or where measuring began. */
  readonly fromMs: number
  readonly failed: number
  /** No answer came; it may have been written. */
  readonly unknown: number
  readonly unmeasuredMs: number
}

export interface Watched {
  readonly condition: Condition
  /** Why nothing is measured; empty otherwise. */
  readonly because: string
  /** The newest event. */
  readonly seenMs: number
  /** Everything before is told as a span. */
  readonly settledMs: number
  readonly pending: readonly Attempt[]
  readonly outage: OpenOutage | null
}

export type WatchEvent =
  | { readonly kind: 'begin' | 'tick'; readonly nowMs: number }
  | { readonly kind: 'pause'; readonly nowMs: number; readonly because: string }
  /** `fail`: surely not done. `info`: no answer, or none in time; it may be done. `void`: says nothing. */
  | { readonly kind: 'invoke' | 'ok' | 'fail' | 'info' | 'void'; readonly nowMs: number; readonly n: number }

export interface Span {
  readonly kind: 'up' | 'down' | 'unmeasured'
  readonly fromMs: number
  readonly toMs: number
}

export type Told =
  | { readonly kind: 'outage-began'; readonly fromMs: number }
  | {
      readonly kind: 'outage-ended'
      readonly fromMs: number
      /** The first acknowledgement after it; or where it was lost sight of. */
      readonly toMs: number
      readonly failed: number
      readonly unknown: number
      /** Of its length; so much of it nobody measured. */
      readonly unmeasuredMs: number
      readonly seen: 'to its end' | 'not to its end'
    }
  | { readonly kind: 'stalled'; readonly ms: number }

export interface Step {
  readonly state: Watched
  /** They follow each other without gap or overlap, from the first event on. */
  readonly spans: readonly Span[]
  readonly told: readonly Told[]
}
