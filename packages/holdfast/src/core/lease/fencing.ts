/** The engine is being killed. Nothing else happens until every process of it is seen gone; then what was planned. */
import { release } from './release.ts'
import { command, fenceAtMs, patch, type Turn, wake } from './turn.ts'

/** Between two attempts to kill. */
const AGAIN_MS = 20

export function decideFencing(turn: Turn): void {
  const { state, settings, nowMs } = turn
  if (state.afterFence === 'restart' && nowMs >= fenceAtMs(turn)) {
    patch(turn, { afterFence: 'release', hold: null, failsafeUntilMs: 0 })
  }
  if (state.op?.command.do === 'fence') return
  if (nowMs < state.retry.atMs) {
    wake(turn, state.retry.atMs)
    return
  }
  command(turn, { do: 'fence' }, nowMs + settings.timing.fenceMs)
}

export function fenceDone(turn: Turn, ok: boolean): void {
  const { state, nowMs } = turn
  if (!ok) {
    patch(turn, { retry: { atMs: nowMs + AGAIN_MS, count: 0 } })
    return
  }
  patch(turn, { retry: { atMs: 0, count: 0 } })
  if (state.afterFence === 'restart' && state.hold !== null) {
    patch(turn, { role: 'promoting', promotion: { by: 'restart', done: false, sinceMs: nowMs } })
    return
  }
  const record = state.record?.value ?? null
  const named = record !== null && record.holder === turn.settings.self.member && record.phase !== 'released'
  if (named && state.afterFence !== 'rejoin') {
    release(turn, state.fenceBecause)
    return
  }
  turn.actions.push({ kind: 'disarm', member: turn.settings.self.member })
  patch(turn, { role: 'replica', hold: null, promotion: null })
}
