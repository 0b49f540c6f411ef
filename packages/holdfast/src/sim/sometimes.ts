/**
 * Rare situations that the simulator must reach now and then; a list that shrinks shows that the menu of faults or the
 * model lost its teeth. `unreached` names those that no run of a batch came to.
 */
export const SITUATIONS = [
  'planned-move',
  'planned-move-in-health',
  'released-after-move',
  'other-member-takes-over',
  'further-than-listed',
  'same-member-again',
  'claim-without-opening',
  'async-loss',
  'approved-loss',
  'guard-fired',
  'agent-and-guard-gone',
  'store-elects',
  'late-guard-after-pause',
  'late-acknowledgement',
  'read-shared',
  'agent-restart-with-live-primary',
  'failsafe-holds',
  'failsafe-refused',
  'write-outcome-unknown',
  'record-conflict',
  'rewind',
  'copy-made-anew',
  'wait-cancelled',
  'sync-set-shrinks',
  'sync-set-grows',
  'primary-alone',
  'quorum-not-reached',
  'defers-to-better',
  'no-safe-candidate',
  'restart-in-place',
  'paused',
  'loop-gap',
  'unrecoverable-core',
  'core-heals',
] as const

export type Situation = (typeof SITUATIONS)[number]
export type Sometimes = Map<Situation, number>

export function sometimes(seen: Sometimes, what: Situation): void {
  seen.set(what, (seen.get(what) ?? 0) + 1)
}

export function unreached(seen: Sometimes): Situation[] {
  return SITUATIONS.filter((situation) => !seen.has(situation))
}

/** Reasons of the core that show a rare situation. */
const BY_REASON: Readonly<Record<string, Situation>> = {
  'primary-without-lease': 'agent-restart-with-live-primary',
  'failsafe-holds': 'failsafe-holds',
  'failsafe-refused': 'failsafe-refused',
  'store-unknown': 'write-outcome-unknown',
  'claim-lost': 'record-conflict',
  'quorum-not-reached': 'quorum-not-reached',
  'defers-to': 'defers-to-better',
  HF_NO_SAFE_CANDIDATE: 'no-safe-candidate',
  paused: 'paused',
  'loop-gap': 'loop-gap',
}

export function notice(seen: Sometimes, code: string): void {
  const situation = BY_REASON[code]
  if (situation !== undefined) sometimes(seen, situation)
}
