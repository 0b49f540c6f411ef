/** What one group's canary is given, and what it tells. */
import type { GroupSpec, Platform } from '../config/platform.ts'
import type { Meter } from '../core/canary/incident.ts'
import type { Condition, OpenOutage, Span, Told } from '../core/canary/model.ts'
import type { AtRisk, Loss, Staleness } from '../core/canary/records.ts'
import type { Clock } from '../io/clock.ts'

export interface CanaryOptions {
  readonly platform: Platform
  readonly group: GroupSpec
  /** Begins with `serverRuns` or `command-`. */
  readonly run: string
  /** Signs the records. */
  readonly key: string
  readonly perSecond: number
  readonly clock: Clock
  /** The member that is open for writes, as the agents say; null: nobody is known. */
  readonly primary: () => string | null
  /** Somebody has led it; before that there is nobody to write to. */
  readonly founded: () => boolean
  readonly onFinding: (finding: Finding) => void
  readonly onSpan: (of: 'write' | 'read', span: Span) => void
  readonly onAttempt: (attempt: Finished) => void
}

/** A write that was answered or given up. */
export interface Finished {
  readonly kind: 'ok' | 'fail' | 'info'
  readonly nowMs: number
  readonly latencyMs: number
}

export type Finding =
  | Told
  | { readonly kind: 'lost'; readonly loss: Loss }
  | { readonly kind: 'returned'; readonly records: number }
  | { readonly kind: 'bad-record'; readonly where: string; readonly because: string }
  | { readonly kind: 'not-measured'; readonly because: string }
  | { readonly kind: 'measured' }
  /** The primary was looked through after whatever happened last: nothing more is unknown. */
  | { readonly kind: 'checked' }

export interface Side {
  readonly condition: Condition
  /** Why nothing is measured; empty otherwise. */
  readonly because: string
  /** By which way. */
  readonly via: string
  readonly outage: OpenOutage | null
  /** What went wrong last; empty when nothing did. */
  readonly lastTrouble: string
}

export interface ReplicaView {
  readonly member: string
  readonly site: string
  readonly stale: Staleness | null
  readonly lookedMsAgo: number | null
  /** Why it shows nothing; empty when it does. */
  readonly because: string
}

export interface CanaryView {
  readonly run: string
  readonly perSecond: number
  readonly writes: Side
  readonly reads: Side
  readonly sinceAckMs: number | null
  /** Of those that are remembered, some two minutes. */
  readonly latency: { readonly newestMs: number; readonly p50Ms: number; readonly p95Ms: number } | null
  readonly acked: number
  readonly failed: number
  readonly unknown: number
  readonly lost: number
  readonly bad: number
  /** Since all acknowledged numbers were looked for at the primary; null: not yet. */
  readonly checkedMsAgo: number | null
  readonly replicas: readonly ReplicaView[]
  readonly atRisk: AtRisk | null
  readonly meter: Meter | null
}
