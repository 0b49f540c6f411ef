/**
 * What holds a member back from taking a lease however dead its holder is: order, pause, promise, clock, guard, pace.
 */
import type { GroupRecord } from '../model.ts'
import { type HeldBack, passing, unready } from './readiness.ts'
import { type Turn, wake } from './turn.ts'

/** Reasons not to act whatever the state of the holder. Wakes again when one of them ends by itself. */
export function holdsBack(turn: Turn, record: GroupRecord): HeldBack | null {
  const { state, settings, nowMs } = turn
  const until = (code: string, rule: string, atMs: number): HeldBack | null => {
    if (nowMs >= atMs) return null
    wake(turn, atMs)
    return passing(code, rule, nowMs, atMs)
  }
  const own = unready(state, settings, turn)
  if (own?.untilMs !== undefined) wake(turn, own.untilMs)
  if (own !== null) return own
  const meant = record.release?.clean === true && record.release.to === settings.self.member
  const ordered = intentStands(turn, record)
  if (meant || ordered) return null
  const calm = until('flapping', 'R25', flapUntilMs(turn)) ?? until('promotion-failed-here', 'R25', state.failedUntilMs)
  if (calm !== null) return calm
  // The last open holder may always take its own lease back: nobody has to decide who is complete.
  if (record.lastOpen?.member === settings.self.member && record.lastOpen.diskId === state.view?.diskId) return null
  if (pauseStands(turn, record)) return { code: 'paused', rule: 'R28', detail: { by: record.pause?.by ?? null } }
  if (settings.failover === 'manual' && record.systemId !== null) return { code: 'manual', rule: 'R16', detail: {} }
  return orderedElsewhere(turn, record)
}

/** An operator ordered a failover that this member may carry out. */
export function intentStands(turn: Turn, record: GroupRecord): boolean {
  const { intent } = record
  if (intent === null || turn.nowMs >= orderEndsAtMs(turn, record)) return false
  return intent.to === null || intent.to === turn.settings.self.member
}

/** When the ordered failover runs out for this observer; 0 when none was ordered. */
function orderEndsAtMs(turn: Turn, record: GroupRecord): number {
  const { intent } = record
  const seen = turn.state.intentSeen
  return intent === null || seen === null || intent.kind !== 'failover' ? 0 : seen.atMs + intent.validMs
}

/** A failover was ordered and its time is over for this observer. */
export function orderExpired(turn: Turn, record: GroupRecord): boolean {
  return (
    record.intent?.kind === 'failover' && turn.state.intentSeen !== null && turn.nowMs >= orderEndsAtMs(turn, record)
  )
}

function orderedElsewhere(turn: Turn, record: GroupRecord): HeldBack | null {
  const endsAtMs = orderEndsAtMs(turn, record)
  const to = record.intent?.to ?? null
  if (turn.nowMs >= endsAtMs || to === null || to === turn.settings.self.member) return null
  wake(turn, endsAtMs)
  return { code: 'ordered-elsewhere', rule: 'R16', detail: { to } }
}

export function pauseStands(turn: Turn, record: GroupRecord): boolean {
  const seen = turn.state.pauseSeen
  return record.pause !== null && seen !== null && turn.nowMs < seen.atMs + record.pause.validMs
}

/** After `flapFree` promotions within the window each further one waits twice as long (R25). */
function flapUntilMs(turn: Turn): number {
  const { flapFree, flapWindowMs, timing } = turn.settings
  const recent = turn.state.promotionsAtMs.filter((t) => t > turn.nowMs - flapWindowMs)
  const over = recent.length - flapFree
  const last = recent.at(-1)
  if (over < 0 || last === undefined) return 0
  return last + Math.min(flapWindowMs, timing.ttlMs * 2 ** Math.min(over + 1, 6))
}
