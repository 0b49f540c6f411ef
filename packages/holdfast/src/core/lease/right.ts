/** Is this member still allowed to write? Asked before anything else by whoever holds the lease. */
import { fence, fenceAtMs, type Turn, wake } from './turn.ts'

/** False when a fence was started. Shared with the hand-over. */
export function keepsRight(turn: Turn): boolean {
  if (lostHold(turn)) return false
  const fromMs = fenceAtMs(turn)
  if (turn.nowMs >= fromMs) {
    // The session may have ended in this very instant; what the guard was told is then the deadline that counted.
    const dueMs = fromMs > 0 ? fromMs : turn.state.armAskedMs
    fence(turn, 'lease-lapsed', 'release', { lateMs: Math.round(turn.nowMs - dueMs) })
    return false
  }
  wake(turn, fromMs)
  if (!turn.state.guard.alive) {
    fence(turn, 'guard-gone', 'release')
    return false
  }
  return true
}

/** The record says somebody else leads, or a later leadership: fence at once (R8, R19). */
export function lostHold(turn: Turn): boolean {
  const { state, settings } = turn
  const record = state.record?.value ?? null
  const { hold } = state
  if (hold === null) {
    fence(turn, 'hold-lost', 'rejoin')
    return true
  }
  if (record === null) return false
  const ours = record.epoch === hold.epoch && record.holder === settings.self.member && record.session === hold.session
  if (ours && record.phase !== 'released') return false
  if (record.epoch < hold.epoch) return false
  fence(turn, 'lease-taken', 'rejoin', { epoch: record.epoch, holder: record.holder, ownEpoch: hold.epoch })
  return true
}
