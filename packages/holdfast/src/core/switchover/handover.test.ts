import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  answerEngine,
  answerSessionWrite,
  answerWrite,
  engineView,
  memberSettings,
  openRecord,
  peerReport,
  roleOf,
  type Script,
  startScript,
  take,
  tell,
  tick,
} from '../lease/script.ts'
import type { GroupRecord, Intent, PeerReport, StandbyView } from '../model.ts'
import type { MemberSettings } from '../settings.ts'

const FINAL = { timeline: 2, lsn: 5_000 }
const INTENT: Intent = { id: 'i1', kind: 'switchover', to: 'b', allowDataLoss: false, by: 'op', validMs: 30_000 }
const STANDBY: StandbyView = { member: 'b', streaming: true, flushLsn: 1_200 }

function own(s: Script) {
  const state = s.state.members.a
  assert.ok(state !== undefined)
  return state
}

function view(s: Script, standbys: readonly StandbyView[] = [STANDBY]): void {
  const position = { timeline: 2, lsn: 1_200 }
  const change = { role: 'primary', receiving: false, upstream: null, standbys, position } as const
  tell(s, s.nowMs + 1, { kind: 'engine-view', view: engineView('a', change) })
}

function reports(s: Script, change: Partial<PeerReport> = {}): void {
  const engine = engineView('b', { position: { timeline: 2, lsn: 1_200 } })
  tell(s, s.nowMs + 1, { kind: 'peer', report: peerReport('b', { engine, epoch: 2, ...change }) })
}

function waits(s: Script): string[] {
  return s.lines.filter((line) => line.includes('because waits-for-target'))
}

/** An open primary with nothing under way. */
function quiet(): Script {
  const s = primary()
  s.pending = s.pending.filter((a) => a.kind !== 'engine' && a.kind !== 'write-record')
  return s
}

function refusedBecause(s: Script, because: string): void {
  const write = take(s, 'write-record')
  assert.equal(write.purpose, 'intent')
  assert.deepEqual(write.record.lastIntent, { id: 'i1', ok: false, because })
  assert.equal(roleOf(s), 'primary')
  assert.ok(!s.pending.some((a) => a.kind === 'engine' && a.command.do === 'checkpoint'))
}

/** Member a as an open primary of epoch 2 whose standby b is published. */
function primary(change: Partial<MemberSettings> = {}): Script {
  const s = startScript({ ...memberSettings('a', { kind: 'sync' }), ...change })
  const release = { position: null, clean: false, to: null, because: 'x' }
  const before = openRecord({ phase: 'released', release })
  tell(s, 0, { kind: 'record', revision: 5, value: before, sentAtMs: 0, id: null })
  tell(s, 1, { kind: 'engine-view', view: engineView('a') })
  tell(s, 2, { kind: 'guard-armed', untilMs: 0 })
  answerSessionWrite(s, 3, 2)
  answerWrite(s, 10, 'ok', 10)
  tell(s, 11, { kind: 'guard-armed', untilMs: take(s, 'arm').untilMs })
  answerEngine(s, 60, { ok: true, position: { timeline: 2, lsn: 1_100 }, lsn: 1_100 })
  view(s)
  answerWrite(s, 64, 'ok', 11)
  answerEngine(s, 75, { ok: true, position: null, lsn: 1_150 })
  reports(s)
  view(s)
  for (let i = 0; i < 6; i += 1) {
    if (s.pending.some((a) => a.kind === 'engine'))
      answerEngine(s, s.nowMs + 1, { ok: true, position: null, lsn: 1_190 })
    if (s.pending.some((a) => a.kind === 'write-record')) answerWrite(s, s.nowMs + 1, 'ok', 12 + i)
  }
  assert.equal(roleOf(s), 'primary')
  assert.deepEqual(own(s).record?.value?.sync.members, ['b'])
  return s
}

function recordIs(s: Script, change: Partial<GroupRecord>): void {
  const fact = own(s).record
  assert.ok(fact?.value)
  const value = { ...fact.value, ...change, stamp: `op:${fact.revision}` }
  tell(s, s.nowMs + 1, { kind: 'record', revision: fact.revision + 1, value, sentAtMs: null, id: null })
}

/** Up to the checkpoint. */
function asked(intent: Intent = INTENT): Script {
  const s = primary()
  recordIs(s, { intent })
  return s
}

function stopping(): Script {
  const s = asked()
  answerEngine(s, s.nowMs + 1)
  assert.equal(roleOf(s), 'demoting')
  return s
}

function confirming(): Script {
  const s = stopping()
  answerEngine(s, s.nowMs + 1, { ok: true, position: FINAL, lsn: 0 })
  return s
}

function confirmed(s: Script, lsn = FINAL.lsn, timeline = FINAL.timeline): void {
  const ask = take(s, 'ask-freeze')
  const report = peerReport('b', {
    engine: engineView('b', { position: { timeline, lsn } }),
    frozenForEpoch: ask.epoch,
  })
  tell(s, s.nowMs + 1, { kind: 'freeze-answer', id: ask.id, from: 'b', report })
}

/** Beats are confirmed until a time. */
function beating(s: Script, untilMs: number, each: (s: Script) => unknown = () => undefined): void {
  for (let t = s.nowMs + 40; t <= untilMs; t = s.nowMs + 40) {
    tick(s, t)
    each(s)
    if (s.pending.some((a) => a.kind === 'write-session')) answerSessionWrite(s, t + 1, t)
  }
}

/** Killed for certain, started in place, open again; then the intent is answered with `because`. */
function comesBack(s: Script, because: string): void {
  assert.equal(roleOf(s), 'fencing')
  assert.ok(own(s).hold !== null, 'the lease is kept')
  s.pending = s.pending.filter((a) => a.kind !== 'engine' || a.command.do === 'fence')
  answerEngine(s, s.nowMs + 1)
  assert.equal(roleOf(s), 'promoting')
  beating(s, s.nowMs + 250)
  const arm = s.pending.findLast((a) => a.kind === 'arm')
  if (arm?.kind === 'arm') tell(s, s.nowMs + 1, { kind: 'guard-armed', untilMs: arm.untilMs })
  const start = take(s, 'engine')
  assert.equal(start.command.do, 'restart')
  tell(s, s.nowMs + 1, { kind: 'engine-done', id: start.id, outcome: { ok: true, position: null, lsn: 5_100 } })
  view(s)
  assert.equal(roleOf(s), 'primary')
  const write = take(s, 'write-record')
  assert.equal(write.purpose, 'intent')
  assert.deepEqual(write.record.lastIntent, { id: 'i1', ok: false, because })
  assert.equal(write.record.epoch, 2)
}

test('checkpoint, clean stop, the word of the target, release that names it; in this order', () => {
  const s = asked()
  const checkpoint = s.pending.find((a) => a.kind === 'engine')
  assert.ok(checkpoint?.kind === 'engine' && checkpoint.command.do === 'checkpoint')
  assert.equal(roleOf(s), 'primary')
  answerEngine(s, s.nowMs + 1)
  const stop = s.pending.find((a) => a.kind === 'engine')
  assert.ok(stop?.kind === 'engine' && stop.command.do === 'stop')
  answerEngine(s, s.nowMs + 1, { ok: true, position: FINAL, lsn: 0 })
  assert.ok(!s.pending.some((a) => a.kind === 'write-record'), 'no release before the target confirmed')
  confirmed(s)
  const write = s.pending.find((a) => a.kind === 'write-record')
  assert.ok(write?.kind === 'write-record' && write.purpose === 'release')
  assert.deepEqual(write.record.release, { position: FINAL, clean: true, to: 'b', because: 'switchover' })
  answerWrite(s, s.nowMs + 1, 'ok', 90)
  assert.equal(roleOf(s), 'replica')
  assert.ok(s.pending.some((a) => a.kind === 'disarm'))
})

test('a checkpoint that fails does not stop the move', () => {
  const s = asked()
  answerEngine(s, s.nowMs + 1, { ok: false, because: 'disk', retryable: true })
  assert.equal(roleOf(s), 'demoting')
})

const WAYS_BACK: readonly (readonly [string, string, (s: Script) => void, () => Script])[] = [
  [
    'a clean stop that fails',
    'clean-stop-failed',
    (s) => answerEngine(s, s.nowMs + 1, { ok: false, because: 'late', retryable: false }),
    stopping,
  ],
  [
    'a clean stop without a final position',
    'clean-stop-failed',
    (s) => answerEngine(s, s.nowMs + 1, { ok: true, position: null, lsn: 0 }),
    stopping,
  ],
  ['a target one byte short', 'target-did-not-confirm', (s) => confirmed(s, FINAL.lsn - 1), confirming],
  ['a target on another timeline', 'target-did-not-confirm', (s) => confirmed(s, FINAL.lsn + 100, 3), confirming],
  ['a target that says nothing', 'target-did-not-confirm', (s) => beating(s, s.nowMs + 640), confirming],
]
for (const [what, because, happens, start] of WAYS_BACK) {
  test(`${what} leads back to the old primary, and the intent is answered`, () => {
    const s = start()
    happens(s)
    comesBack(s, because)
  })
}

test('a target that refuses is asked again for a while, then given up, at a bounded pace', () => {
  const s = confirming()
  let questions = 0
  for (let t = s.nowMs + 1; roleOf(s) === 'demoting' && t < 1_500; t += 1) {
    const ask = s.pending.find((a) => a.kind === 'ask-freeze')
    s.pending = s.pending.filter((a) => a !== ask)
    if (ask?.kind === 'ask-freeze') {
      questions += 1
      tell(s, t, { kind: 'freeze-answer', id: ask.id, from: 'b', report: null })
    } else if (s.pending.some((a) => a.kind === 'write-session')) answerSessionWrite(s, t, t)
    else tick(s, t)
  }
  assert.equal(roleOf(s), 'fencing')
  assert.ok(questions <= 20, `${questions} questions`)
})

test('trust that ends during the hand-over ends it: kill, then an unclean release', () => {
  for (const start of [stopping, confirming]) {
    const s = start()
    tick(s, 900)
    assert.equal(roleOf(s), 'fencing')
    assert.equal(own(s).hold, null)
    assert.equal(own(s).afterFence, 'release')
  }
})

test('a release whose answer was lost is repeated word for word, and nothing is started meanwhile', () => {
  const s = confirming()
  confirmed(s)
  const first = s.pending.find((a) => a.kind === 'write-record')
  answerWrite(s, s.nowMs + 1, 'unknown')
  tick(s, s.nowMs + 100)
  const second = s.pending.find((a) => a.kind === 'write-record')
  assert.deepEqual(second, first)
  assert.ok(!s.pending.some((a) => a.kind === 'engine'))
})

const REFUSED: readonly (readonly [string, Partial<Intent>])[] = [
  ['unknown-member', { to: 'z' }],
  ['already-primary', { to: 'a' }],
]
for (const [code, change] of REFUSED) {
  test(`refused with its reason and without touching the engine: ${code}`, () => {
    const s = quiet()
    recordIs(s, { intent: { ...INTENT, ...change } })
    refusedBecause(s, code)
  })
}

const PASSING: readonly (readonly [string, Partial<Intent>, (s: Script) => unknown])[] = [
  ['target-not-heard', { to: 'c' }, (s) => [reports(s), view(s)]],
  ['target-not-ready', {}, (s) => [reports(s, { unready: 'no-session' }), view(s)]],
  ['target-not-streaming', {}, (s) => [view(s, [{ ...STANDBY, streaming: false }]), reports(s)]],
]
for (const [code, change, stays] of PASSING) {
  test(`a named target has two ttl to become fit, then it is refused: ${code}`, () => {
    const s = quiet()
    stays(s)
    recordIs(s, { intent: { ...INTENT, ...change } })
    assert.equal(waits(s).length, 1)
    assert.ok(!s.pending.some((a) => a.kind === 'write-record'))
    const endMs = s.nowMs + 2 * s.settings.ttlMs
    beating(s, endMs - 50, stays)
    assert.ok(!s.pending.some((a) => a.kind === 'write-record'), 'still waits')
    beating(s, endMs + 50, stays)
    refusedBecause(s, code)
    assert.equal(waits(s).length, 1)
  })
}

test('a named target that becomes fit in time is handed over to', () => {
  const s = quiet()
  reports(s, { unready: 'no-session' })
  recordIs(s, { intent: INTENT })
  assert.ok(!s.pending.some((a) => a.kind === 'engine'))
  reports(s)
  view(s)
  assert.ok(s.pending.some((a) => a.kind === 'engine' && a.command.do === 'checkpoint'))
})

test('when nobody is named and nobody is fit, the answer comes at once', () => {
  const s = quiet()
  reports(s, { unready: 'no-session' })
  recordIs(s, { intent: { ...INTENT, to: null } })
  refusedBecause(s, 'target-not-ready')
})

test('a target that was just asked for a promise is not taken at its older word (R21)', () => {
  const s = quiet()
  const beatMs = s.settings.beatMs
  // No beat is confirmed for a while: the failsafe asks b, and b has said nothing since.
  while (!s.pending.some((a) => a.kind === 'ask-failsafe')) tick(s, s.nowMs + beatMs / 4)
  reports(s)
  recordIs(s, { intent: INTENT })
  view(s)
  assert.match(waits(s)[0] ?? '', /promised-to-primary/)
  assert.equal(own(s).handover, null)
})

test('a target that fell behind during the checkpoint is waited for before anything stops', () => {
  const s = asked()
  view(s, [{ ...STANDBY, streaming: false }])
  answerEngine(s, s.nowMs + 1)
  assert.equal(roleOf(s), 'primary')
  assert.equal(own(s).handover, null)
  assert.match(waits(s)[0] ?? '', /target-not-streaming/)
})

test('an intent withdrawn during the checkpoint stops nothing, and the sync room goes on', () => {
  const s = asked()
  recordIs(s, { intent: null })
  answerEngine(s, s.nowMs + 1)
  view(s)
  assert.equal(roleOf(s), 'primary')
  assert.equal(own(s).handover, null)
  assert.ok(!s.pending.some((a) => a.kind === 'engine' && a.command.do === 'stop'))
})

test('another intent during the checkpoint starts over with its own target', () => {
  const s = asked()
  recordIs(s, { intent: { ...INTENT, id: 'i2', to: 'c' } })
  answerEngine(s, s.nowMs + 1)
  tick(s, s.nowMs + 1)
  assert.equal(roleOf(s), 'primary')
  assert.equal(own(s).handover, null)
  assert.match(waits(s)[0] ?? '', /"to":"c"/)
})

test('an engine that crashes during the checkpoint is not handed over', () => {
  const s = asked()
  tell(s, s.nowMs + 1, { kind: 'engine-exited' })
  assert.equal(roleOf(s), 'fencing')
  assert.equal(own(s).handover, null)
})

test('a loop that stood still through a stop fences instead of dying', () => {
  const s = stopping()
  tick(s, s.nowMs + 6_000)
  assert.equal(roleOf(s), 'fencing')
})

test('a release that somebody else wrote does not end the hand-over before the engine is gone', () => {
  const s = stopping()
  const release = { position: null, clean: false, to: null, because: 'by hand' }
  recordIs(s, { phase: 'released', release })
  assert.equal(roleOf(s), 'fencing')
})
