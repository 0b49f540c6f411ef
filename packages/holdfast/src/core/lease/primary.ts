/**
 * An open primary: it fences itself in time when its trust cannot be kept (R1, R2), treats a silent engine as dead
 * rather than renewing for it, keeps the sync sets moving together, and carries out what operators ask.
 */

import { considerIntent, reportWayBack } from '../switchover/handover.ts'
import { manageSync } from '../sync-set/manage.ts'
import { freshReport } from './eligibility.ts'
import { askFailsafe } from './failsafe.ts'
import { pauseStands } from './restraint.ts'
import { keepsRight } from './right.ts'
import { because, fence, type Turn, wake } from './turn.ts'

/** Crash recovery reads at least this fast; used to predict a restart in place. */
const REDO_BYTES_PER_MS = 50_000
/** Starting a small engine without any recovery. */
const START_MS = 100
/** A second crash within this time is not answered by a restart in place. */
const CRASH_LOOP_MS = 30_000

export function decidePrimary(turn: Turn): void {
  if (!keepsRight(turn)) return
  if (!engineWorks(turn)) return
  askFailsafe(turn)
  reportWayBack(turn)
  considerIntent(turn)
  if (turn.state.role === 'primary') manageSync(turn)
}

function engineWorks(turn: Turn): boolean {
  const { state, settings, nowMs } = turn
  if (state.view?.running === true && state.view.answering && state.view.role === 'replica') {
    fence(turn, 'engine-not-primary', 'release')
    return false
  }
  const silentMs = nowMs - state.engineGoodAtMs
  if (silentMs < settings.timing.engineSilentMs) {
    wake(turn, state.engineGoodAtMs + settings.timing.engineSilentMs)
    return true
  }
  engineFailed(turn, 'engine-silent', { silentMs: Math.round(silentMs) })
  return false
}

/** The engine's main process ended or it is silent: restart it here or let another member take over (R29). */
export function engineFailed(turn: Turn, why: string, detail: Readonly<Record<string, number>> = {}): void {
  const { state, settings, nowMs } = turn
  const redoBytes = state.view?.redoBytes ?? 0
  const restartMs = START_MS + redoBytes / REDO_BYTES_PER_MS
  const looping = state.lastCrashAtMs >= 0 && nowMs - state.lastCrashAtMs < CRASH_LOOP_MS
  const other = successor(turn)
  const record = state.record?.value ?? null
  const heldHere = settings.failover === 'manual' || (record !== null && pauseStands(turn, record))
  const inPlace =
    other === null || heldHere || (!looping && restartMs < settings.moveEstimateMs && why === 'engine-exited')
  because(turn, inPlace ? 'restarts-in-place' : 'moves-away', {
    rule: 'R29',
    restartMs: Math.round(restartMs),
    moveMs: settings.moveEstimateMs,
    successor: other,
    looping,
  })
  turn.state = { ...turn.state, lastCrashAtMs: nowMs }
  fence(turn, why, inPlace ? 'restart' : 'release', detail)
}

/** A member that could take over now, as far as this node knows. */
export function successor(turn: Turn): string | null {
  const { state, settings, nowMs } = turn
  const record = state.record?.value ?? null
  if (record === null) return null
  const listed = settings.replication.kind === 'async' ? record.members : record.sync.members
  const able = settings.members.filter((m) => {
    if (m.member === settings.self.member || m.noFailover || !listed.includes(m.member)) return false
    const report = freshReport(state, settings, m.member, nowMs)
    return report?.engine?.answering === true && report.role === 'replica'
  })
  const need = settings.replication.kind === 'async' ? 1 : record.sync.members.length - record.sync.need + 1
  return able.length >= need ? (able[0]?.member ?? null) : null
}
