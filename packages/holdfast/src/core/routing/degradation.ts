/** What a service allows its doors while no primary can be had. */

export interface DegradedPolicy {
  /** Reads go on from data that is at most this old, or they stop. */
  readonly reads: { readonly staleMsMax: number } | 'stop'
  /** `refuse`: once no primary was to be had for a while, whoever comes is told at once. `wait`: everybody waits. */
  readonly writes: 'refuse' | 'wait'
  /** For how long new connections wait before that; null: as long as the router's `hold`. */
  readonly refuseAfterMs: number | null
}

/**
 * For groups of a service that says nothing, or of none. Five minutes are enough for a person to approve a failover,
 * and nobody reads yesterday's data without having asked for it.
 */
export const DEGRADED_DEFAULT: DegradedPolicy = {
  reads: { staleMsMax: 300_000 },
  writes: 'refuse',
  refuseAfterMs: null,
}

/**
 * For readers of replicas: who may begin, and who may stay. A replica changes its primary within a moment, so also
 * where reads stop nobody is cut before a new connection would have been refused.
 */
export function staleBounds(
  { reads, refuseAfterMs }: DegradedPolicy,
  holdMs: number,
): { readonly staleMsMax: number | null; readonly keepMsMax: number } {
  if (reads === 'stop') return { staleMsMax: null, keepMsMax: refuseAfterMs ?? holdMs }
  return { staleMsMax: reads.staleMsMax, keepMsMax: reads.staleMsMax }
}

/** Null: nobody is refused before his own wait is over. */
export function refuseAfterOf({ writes, refuseAfterMs }: DegradedPolicy, holdMs: number): number | null {
  return writes === 'wait' ? null : (refuseAfterMs ?? holdMs)
}
