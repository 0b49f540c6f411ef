/**
 * One step of one member: take the event into the facts, then decide by role. Deciding is level-triggered: it looks at
 * the facts only, so a lost or doubled event changes nothing but the time at which the next one is noticed.
 */
import { assert } from '../assert.ts'
import type { MemberEvent } from '../protocol.ts'
import { decideDemoting, stopDone } from '../switchover/handover.ts'
import { syncApplied } from '../sync-set/manage.ts'
import {
  learnFailsafeAnswer,
  learnFreezeAnswer,
  learnPeer,
  learnRecord,
  learnSession,
  learnView,
  noticeGap,
} from './absorb.ts'
import { answerFailsafe } from './failsafe.ts'
import { decideFencing, fenceDone } from './fencing.ts'
import { observe } from './observe.ts'
import { decidePrimary, engineFailed } from './primary.ts'
import { decidePromoting } from './promotion.ts'
import { decideReleasing, release } from './release.ts'
import { askedToFreeze, decideReplica, dropFreezeQuestion, fenceStray } from './replica.ts'
import { askedToRestart } from './restart.ts'
import { isRoutine } from './routine.ts'
import { mayByDeciding, mayByEvent } from './transitions.ts'
import {
  because,
  fence,
  ownState,
  patch,
  readRecord,
  repeatWrite,
  standing,
  type Turn,
  wake,
  writableUntilMs,
} from './turn.ts'

type EventOf<K extends MemberEvent['kind']> = Extract<MemberEvent, { kind: K }>

export function stepMember(turn: Turn, event: MemberEvent): void {
  const { role: before, peers } = turn.state
  noticeGap(turn)
  absorb(turn, event)
  giveUpCommand(turn)
  if (turn.settings.failover === 'observe') {
    observe(turn)
    return
  }
  if (event.kind === 'peer' && isRoutine(turn, event.report.member, peers)) return
  assert(mayByEvent(before, event.kind, turn.state.role), `no way from ${before} by ${event.kind}`, turn.state.role)
  decideUntilStable(turn)
  arm(turn)
}

/**
 * A new role looks at the facts at once rather than with the next event. Longest chain: releasing, replica, claiming.
 */
const HOPS_MAX = 4

function decideUntilStable(turn: Turn): void {
  for (let hop = 0; hop < HOPS_MAX; hop += 1) {
    const before = turn.state.role
    decide(turn)
    assert(mayByDeciding(before, turn.state.role), `no way from ${before} by deciding`, turn.state.role)
    if (turn.state.role === before) return
  }
}

function absorb(turn: Turn, event: MemberEvent): void {
  switch (event.kind) {
    case 'tick':
      return
    case 'record':
      if (turn.state.recordRead?.id === event.id) ownState(turn).recordRead = null
      learnRecord(turn, event.revision, event.value, event.sentAtMs ?? -1)
      return
    case 'session':
      if (turn.state.sessionRead?.id === event.id) ownState(turn).sessionRead = null
      learnSession(turn, event.agent, event.value, event.sentAtMs ?? -1)
      return
    case 'read-failed':
      readFailed(turn, event.id)
      return
    case 'record-written':
      written(turn, event)
      return
    case 'engine-view':
      learnView(turn, event.view)
      return
    case 'engine-exited':
      engineExited(turn)
      return
    case 'engine-done':
      engineDone(turn, event)
      return
    default:
      absorbTalk(turn, event)
  }
}

type Talk = Exclude<
  MemberEvent,
  {
    kind:
      | 'tick'
      | 'record'
      | 'session'
      | 'read-failed'
      | 'record-written'
      | 'engine-view'
      | 'engine-exited'
      | 'engine-done'
  }
>

/** What peers and the guard say. */
function absorbTalk(turn: Turn, event: Talk): void {
  switch (event.kind) {
    case 'peer':
      learnPeer(turn, event.report)
      return
    case 'freeze-answer':
      learnFreezeAnswer(turn, event)
      return
    case 'failsafe-answer':
      learnFailsafeAnswer(turn, event)
      return
    case 'freeze-asked':
      askedToFreeze(turn, event)
      return
    case 'failsafe-asked':
      answerFailsafe(turn, event)
      return
    case 'restart-asked':
      askedToRestart(turn, event)
      return
    case 'guard-armed':
      guardArmed(turn, event.untilMs)
      return
    case 'guard-gone':
      standing(turn, 'guard', 'guard-gone', { rule: 'R3', because: event.because })
      patch(turn, { guard: { alive: false, armedUntilMs: 0 } })
      return
    case 'guard-fired':
      guardFired(turn)
  }
}

function readFailed(turn: Turn, id: number): void {
  const { recordRead, sessionRead } = turn.state
  if (recordRead?.id === id) patch(turn, { recordRead: { ...recordRead, failed: true } })
  if (sessionRead?.id === id) patch(turn, { sessionRead: { ...sessionRead, failed: true } })
}

/** A confirmation of an earlier hold says nothing about this one: only what was asked since counts. */
function guardArmed(turn: Turn, untilMs: number): void {
  const { guard, armAskedMs } = turn.state
  const counts = untilMs <= armAskedMs ? Math.max(guard.armedUntilMs, untilMs) : guard.armedUntilMs
  ownState(turn).guard = { alive: true, armedUntilMs: counts }
}

/** Outcome of a write of the group record (R7, R8). */
function written(turn: Turn, event: EventOf<'record-written'>): void {
  const { write } = turn.state
  if (write === null || write.id !== event.id) return
  const { outcome } = event
  if (outcome.kind === 'unknown') {
    patch(turn, { write: { ...write, unknown: true } })
    standing(turn, 'store', 'store-unknown', { rule: 'R8', purpose: write.purpose, because: outcome.because })
    return
  }
  const ours = outcome.kind === 'ok' || outcome.value?.stamp === write.record.stamp
  patch(turn, { write: null })
  standing(turn, 'store', null)
  // A comparison that failed is as good as a linearizable read.
  const value = outcome.kind === 'ok' ? write.record : outcome.value
  learnRecord(turn, outcome.revision, value, outcome.kind === 'ok' ? -1 : event.sentAtMs)
  if (!ours) patch(turn, { writeNotBeforeMs: turn.nowMs + turn.settings.timing.requestMs / 3 })
  if (write.purpose === 'claim' || write.purpose === 'create') claimed(turn, ours, write.purpose)
  else if (!ours) because(turn, 'write-lost', { rule: 'R7', purpose: write.purpose, revision: outcome.revision })
}

function claimed(turn: Turn, ours: boolean, purpose: 'claim' | 'create'): void {
  if (turn.state.role !== 'claiming') return
  const record = turn.state.record?.value ?? null
  if (!ours || record === null || record.session === null) {
    because(turn, 'claim-lost', { rule: 'R7', holder: record?.holder ?? null, epoch: record?.epoch ?? null })
    patch(turn, { role: 'replica' })
    return
  }
  // Won, but by a session that is no longer ours: never take it up again, give it back.
  if (turn.session === null || turn.session.id !== record.session) {
    release(turn, 'claimed-by-lapsed-session')
    return
  }
  because(turn, 'claimed', { rule: 'R19', epoch: record.epoch })
  patch(turn, {
    role: 'promoting',
    hold: { epoch: record.epoch, session: record.session },
    promotion: { by: purpose === 'create' ? 'create' : 'promote', done: false, sinceMs: turn.nowMs },
    guard: { ...turn.state.guard, armedUntilMs: 0 },
    armAskedMs: 0,
    engineSync: null,
    retry: { atMs: 0, count: 0 },
    alarmFromMs: 0,
    lastCrashAtMs: -1,
  })
}

function engineExited(turn: Turn): void {
  const { role } = turn.state
  because(turn, 'engine-exited', { role })
  if (role === 'primary') engineFailed(turn, 'engine-exited')
  else if (role === 'promoting') fence(turn, 'engine-exited', 'release')
  patch(turn, { view: null, viewNotBeforeMs: turn.nowMs })
}

/** The guard killed the engine: whatever we believed, the right to write is over. */
function guardFired(turn: Turn): void {
  const { role } = turn.state
  patch(turn, { view: null, viewNotBeforeMs: turn.nowMs })
  if (role === 'primary' || role === 'promoting' || role === 'demoting') fence(turn, 'guard-fired', 'release')
}

/**
 * A shell answers every command by its deadline; one that did not is taken for failed, so that nothing waits for
 * ever.
 */
function giveUpCommand(turn: Turn): void {
  const { op } = turn.state
  if (op === null) return
  const dueMs = op.deadlineMs + 2 * turn.settings.timing.requestMs
  if (turn.nowMs < dueMs) {
    wake(turn, dueMs)
    return
  }
  const outcome = { ok: false, because: 'no-answer', retryable: true } as const
  engineDone(turn, { kind: 'engine-done', nowMs: turn.nowMs, id: op.id, outcome })
}

function engineDone(turn: Turn, event: EventOf<'engine-done'>): void {
  const { op } = turn.state
  if (op === null || op.id !== event.id) return
  const { outcome } = event
  patch(turn, { op: null, viewNotBeforeMs: turn.nowMs })
  if (!outcome.ok) because(turn, 'engine-refused', { command: op.command.do, because: outcome.because })
  switch (op.command.do) {
    case 'fence':
      patch(turn, { view: null })
      fenceDone(turn, outcome.ok)
      return
    case 'create':
    case 'promote':
    case 'restart':
      patch(turn, { view: null })
      promoted(turn, op.command.do, outcome.ok, outcome.ok ? outcome.lsn : 0)
      return
    case 'stop':
      patch(turn, { view: null })
      stopDone(turn, outcome.ok ? { ok: true, position: outcome.position } : { ok: false, position: null })
      return
    case 'freeze':
      frozen(turn, op.command.epoch, outcome.ok)
      return
    case 'apply-sync':
      applied(turn, outcome.ok, outcome.ok ? outcome.lsn : 0)
      return
    case 'follow':
    case 'checkpoint':
      return
  }
}

function applied(turn: Turn, ok: boolean, lsn: number): void {
  const { applying } = turn.state
  if (ok && applying !== null) syncApplied(turn, applying, lsn)
  else patch(turn, { retry: { atMs: turn.nowMs + turn.settings.timing.beatMs, count: 0 } })
}

function frozen(turn: Turn, epoch: number, ok: boolean): void {
  const { gathering } = turn.state
  if (!ok) {
    dropFreezeQuestion(turn, 'freeze-failed')
    return
  }
  patch(turn, { view: null, frozenForEpoch: epoch, frozenAtMs: turn.nowMs })
  if (gathering !== null && gathering.epoch === epoch) patch(turn, { gathering: { ...gathering, selfFrozen: true } })
}

function promoted(turn: Turn, by: 'create' | 'promote' | 'restart', ok: boolean, lsn: number): void {
  if (turn.state.role !== 'promoting' || turn.state.promotion === null) return
  if (!ok) {
    fence(turn, `${by}-failed`, 'release')
    return
  }
  const sync = by === 'restart' ? turn.state.engineSync?.sync : undefined
  patch(turn, {
    promotion: { by, done: true, sinceMs: turn.state.promotion.sinceMs },
    engineSync: { sync: sync ?? { members: [], need: 1 }, lsn },
  })
}

function decide(turn: Turn): void {
  repeatWrite(turn)
  switch (turn.state.role) {
    case 'idle':
      if (fenceStray(turn)) return
      if (turn.state.record !== null && turn.state.view !== null) patch(turn, { role: 'replica' })
      else if (turn.state.record === null) readRecord(turn)
      return
    case 'replica':
      decideReplica(turn)
      return
    case 'claiming':
      decideClaiming(turn)
      return
    case 'promoting':
      decidePromoting(turn)
      return
    case 'primary':
      decidePrimary(turn)
      return
    case 'demoting':
      decideDemoting(turn)
      return
    case 'fencing':
      decideFencing(turn)
      return
    case 'releasing':
      decideReleasing(turn)
  }
}

/** While a claim is unresolved nothing is promised to anybody. When somebody else's version arrives it is over. */
function decideClaiming(turn: Turn): void {
  const { write } = turn.state
  if (write !== null) {
    const known = turn.state.record
    if (known !== null && known.revision > write.ifRevision && known.value?.stamp !== write.record.stamp) {
      patch(turn, { write: null })
      claimed(turn, false, 'claim')
    }
    return
  }
  patch(turn, { role: 'replica' })
}

/** Tells the guard of every extension of the trust, before anything that relies on it (R3, R4). */
function arm(turn: Turn): void {
  const { role, hold } = turn.state
  if (hold === null || (role !== 'promoting' && role !== 'primary' && role !== 'demoting')) return
  const untilMs = writableUntilMs(turn) - turn.settings.timing.fenceMs
  if (untilMs <= turn.state.armAskedMs) return
  ownState(turn).armAskedMs = untilMs
  turn.actions.unshift({ kind: 'arm', member: turn.settings.self.member, epoch: hold.epoch, untilMs })
}
