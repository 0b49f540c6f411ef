/**
 * Whether a member could take any lease at all, also one that is given to it. It says so itself in its reports, so that
 * nothing is stopped for somebody who could not go on.
 */
import type { MemberSettings } from '../settings.ts'
import type { MemberState } from './member-state.ts'

export interface HeldBack {
  readonly code: string
  readonly rule: string
  readonly detail: Readonly<Record<string, string | number | boolean | null>>
}

/** What holds a member back whatever it may take: its store, its clock, its promise, its session or its guard. */
export function unready(
  state: MemberState,
  settings: MemberSettings,
  at: { readonly nowMs: number; readonly session: { readonly untilMs: number } | null },
): (HeldBack & { readonly untilMs?: number }) | null {
  const { nowMs, session } = at
  if (state.storeWentBack) return { code: 'store-went-back', rule: 'R22', detail: {} }
  const { tiltUntilMs, promisedUntilMs } = state
  if (nowMs < tiltUntilMs) return passing('clock-jumped', 'R23', nowMs, tiltUntilMs)
  if (nowMs < promisedUntilMs) return passing('promised-to-primary', 'R21', nowMs, promisedUntilMs)
  if (session === null) return { code: 'no-session', rule: 'R7', detail: {} }
  if (session.untilMs - nowMs < settings.timing.ttlMs / 2) return { code: 'session-too-short', rule: 'R18', detail: {} }
  if (!state.guard.alive) return { code: 'no-guard', rule: 'R3', detail: {} }
  return null
}

/** Ends by itself. */
export function passing(
  code: string,
  rule: string,
  nowMs: number,
  untilMs: number,
): HeldBack & { readonly untilMs: number } {
  return { code, rule, detail: { forMs: Math.round(untilMs - nowMs) }, untilMs }
}
