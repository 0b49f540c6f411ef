/**
 * From a won lease to an open primary: guard armed (R4), engine promoted behind the gate (R17, R18), record opened,
 * gate removed by the sync room. Every step checks the trust again; when it ends, the engine is killed and the lease
 * released, and the old rule about who is complete still stands because nothing could be acknowledged.
 */
import { GATE } from '../model.ts'
import { opening } from './record.ts'
import { lostHold } from './right.ts'
import { because, command, fence, fenceAtMs, patch, type Turn, wake, writeRecord } from './turn.ts'

/** Making a new data set takes seconds; a slow disk a minute. */
const CREATE_DEADLINE_MS = 120_000

export function decidePromoting(turn: Turn): void {
  const { state, settings, nowMs } = turn
  const record = state.record?.value ?? null
  if (lostHold(turn)) return
  if (record === null || state.promotion === null) return
  const fromMs = fenceAtMs(turn)
  if (nowMs >= fromMs) {
    fence(turn, 'trust-ended-while-promoting', 'release', { by: state.promotion.by })
    return
  }
  wake(turn, fromMs)
  if (!state.guard.alive) {
    fence(turn, 'guard-gone', 'release')
    return
  }
  const bound = state.promotion.by === 'create' ? CREATE_DEADLINE_MS : settings.timing.promoteMs
  const dueMs = state.promotion.sinceMs + bound
  if (nowMs >= dueMs) {
    fence(turn, 'promotion-timed-out', 'release', { by: state.promotion.by, done: state.promotion.done })
    return
  }
  wake(turn, dueMs)
  if (state.promotion.done) {
    openRecord(turn)
    return
  }
  const busy = state.op !== null && state.op.command.do !== 'follow'
  if (busy || state.guard.armedUntilMs <= nowMs) return
  const epoch = record.epoch
  if (state.promotion.by === 'create') command(turn, { do: 'create', epoch, sync: GATE }, dueMs)
  else if (state.promotion.by === 'promote') command(turn, { do: 'promote', epoch, sync: GATE }, dueMs)
  else command(turn, { do: 'restart', epoch, sync: state.engineSync?.sync ?? GATE }, dueMs)
}

function openRecord(turn: Turn): void {
  const { state } = turn
  const record = state.record?.value ?? null
  if (record === null || state.view === null || state.write !== null) return
  if (state.view.role !== 'primary' || state.view.position === null || !state.view.answering) return
  if (state.view.diskId === null || state.view.systemId === null) return
  if (record.phase === 'open') {
    becomePrimary(turn)
    return
  }
  if (writeRecord(turn, 'open', opening(turn, record, state.view))) {
    const { timeline, lsn } = state.view.position
    because(turn, 'opens', { rule: 'R26', epoch: record.epoch, timeline, lsn })
  }
}

export function becomePrimary(turn: Turn): void {
  patch(turn, {
    role: 'primary',
    promotion: null,
    handover: null,
    engineGoodAtMs: turn.nowMs,
    retry: { atMs: 0, count: 0 },
    failures: 0,
    pace: {},
  })
  because(turn, 'is-primary', { epoch: turn.state.hold?.epoch ?? null })
}
