/**
 * The numbers and lists a core room decides with. Made from `holdfast.yaml` by `config/`, checked there against R2:
 * `beat + 2 * request + fence + margin <= ttl`.
 */
import type { AgentName, GroupName, MemberName } from './model.ts'

export type Replication =
  | { readonly kind: 'async'; readonly lossBytesMax: number; readonly lossMsMax: number }
  | { readonly kind: 'sync' }
  | { readonly kind: 'quorum'; readonly need: number }

export interface MemberSpec {
  readonly member: MemberName
  readonly agent: AgentName
  readonly site: string
  /** Higher is preferred when positions are equal. */
  readonly priority: number
  readonly noFailover: boolean
}

export interface Timing {
  /** Lease length in the record. */
  readonly ttlMs: number
  /** Time between beats. */
  readonly beatMs: number
  /** Deadline of one attempt at the store or at a peer. */
  readonly requestMs: number
  /** Worst case of a fence, measured from its start to the last process gone. */
  readonly fenceMs: number
  /** Clock-rate difference over one ttl plus timer granularity, taken off by the holder and added by candidates. */
  readonly marginMs: number
  /** Deadline of a promotion; later it is cancelled and the lease released. */
  readonly promoteMs: number
  /** Deadline of a clean stop in a switchover; later the engine is killed and restarted in place. */
  readonly stopMs: number
  /** An engine that does not answer for this long is treated as dead. */
  readonly engineSilentMs: number
  /** A peer report older than this says nothing. */
  readonly reportMaxAgeMs: number
}

/** Fixed settings of one member of one group. */
export interface MemberSettings {
  readonly group: GroupName
  readonly self: MemberSpec
  readonly members: readonly MemberSpec[]
  readonly replication: Replication
  /** `observe` decides and explains but does not act. */
  readonly failover: 'automatic' | 'manual' | 'observe'
  /** With no confirmed standby: `block` acknowledgements, or `continue` alone (no failover is then possible). */
  readonly whenAlone: 'block' | 'continue'
  readonly timing: Timing
  /** What a move is expected to take; a crash recovery predicted to be shorter is done in place. */
  readonly moveEstimateMs: number
  /** Automatic promotions this node may see within `flapWindowMs` before it waits longer each time (R25). */
  readonly flapFree: number
  readonly flapWindowMs: number
}

/** Clocks of two hosts may differ in rate by this much; crystals are below 0.02 %, virtual machines below 0.5 %. */
export const CLOCK_RATE_BOUND = 0.01

/** Timings of the named profiles. */
export const PROFILES: Readonly<Record<'fast' | 'normal' | 'wan', Timing>> = {
  fast: timingOf(1_000, 200, 150),
  normal: timingOf(3_000, 600, 500),
  wan: timingOf(10_000, 2_000, 1_500),
}

export function timingOf(ttlMs: number, beatMs: number, requestMs: number): Timing {
  return {
    ttlMs,
    beatMs,
    requestMs,
    fenceMs: 150,
    marginMs: Math.ceil(ttlMs * CLOCK_RATE_BOUND) + 10,
    promoteMs: Math.max(5_000, ttlMs * 3),
    stopMs: Math.max(5_000, ttlMs * 2),
    engineSilentMs: Math.max(1_000, ttlMs),
    reportMaxAgeMs: 2 * beatMs + requestMs,
  }
}

/** True when the numbers leave room for two failed beats and a fence within one ttl (R2). */
export function timingHolds(t: Timing): boolean {
  return t.beatMs + 2 * t.requestMs + t.fenceMs + t.marginMs <= t.ttlMs
}

/**
 * The longest time-out a watchdog may have (R4). It is fed when a beat is confirmed, at most one request after the beat
 * was sent; from then on it must bite before the lease of that beat is over for everybody else.
 */
export function watchdogMaxMs(t: Pick<Timing, 'ttlMs' | 'requestMs' | 'marginMs'>): number {
  return t.ttlMs - t.requestMs - t.marginMs
}
