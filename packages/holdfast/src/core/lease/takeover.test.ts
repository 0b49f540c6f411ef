import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EngineView, GroupRecord, Intent, PeerReport } from '../model.ts'
import type { MemberSettings, Replication } from '../settings.ts'
import type { MemberState } from './member-state.ts'
import { reportOf } from './report.ts'
import {
  answerEngine,
  answerSessionRead,
  answerSessionWrite,
  answerWrite,
  engineView,
  memberOf,
  memberSettings,
  openRecord,
  peerReport,
  roleOf,
  type Script,
  sessionRecord,
  startScript,
  take,
  tell,
  tick,
} from './script.ts'

const SYNC: Replication = { kind: 'sync' }
const ANY_ONE: Replication = { kind: 'quorum', need: 1 }
const QUORUM = { sync: { members: ['b', 'c'], need: 1, disks: { b: 'disk-b', c: 'disk-c' } } }
const CRASHED = { position: null, clean: false, to: null, because: 'engine-exited' }
const ORDER: Intent = { id: 'i1', kind: 'failover', to: null, allowDataLoss: false, by: 'op', validMs: 5_000 }

interface Start {
  readonly self?: string
  readonly replication?: Replication
  readonly record?: Partial<GroupRecord>
  readonly view?: Partial<EngineView>
  readonly settings?: Partial<MemberSettings>
}

/** A member that has heard the record, its engine, its guard and one confirmed beat. */
function member({ self = 'b', replication = SYNC, record = {}, view = {}, settings = {} }: Start = {}): Script {
  const s = startScript({ ...memberSettings(self, replication), ...settings })
  tell(s, 0, { kind: 'record', revision: 5, value: openRecord(record), sentAtMs: 0, id: null })
  tell(s, 1, { kind: 'engine-view', view: engineView(self, view) })
  tell(s, 2, { kind: 'guard-armed', untilMs: 0 })
  if (s.pending.some((a) => a.kind === 'write-session')) answerSessionWrite(s, 3, 2)
  return s
}

/** Time passes; own beats are confirmed and the engine answers. */
function pass(s: Script, untilMs: number, view: Partial<EngineView> = {}): void {
  for (let t = s.nowMs + 50; t <= untilMs; t += 50) {
    tick(s, t)
    if (s.pending.some((a) => a.kind === 'write-session')) answerSessionWrite(s, t + 1, t)
    const self = s.settings.members[0]?.self.member ?? ''
    tell(s, t + 2, { kind: 'engine-view', view: engineView(self, view) })
  }
}

/** The holder a is silent for its ttl and margin, and a look shows the same beat. */
function silent(s: Script): void {
  const beat = sessionRecord('agent-a', 'a-1', 7)
  tell(s, 4, { kind: 'session', agent: 'agent-a', value: beat, sentAtMs: null, id: null })
  pass(s, 1_000)
  s.pending = s.pending.filter((a) => a.kind !== 'read-session')
  pass(s, 1_400)
  if (s.pending.some((a) => a.kind === 'read-session')) answerSessionRead(s, s.nowMs + 1, beat)
}

function gather(s: Script, answers: Readonly<Record<string, Partial<PeerReport> | null>>): void {
  const ask = take(s, 'ask-freeze')
  while (s.pending.some((a) => a.kind === 'engine' && a.command.do === 'freeze')) answerEngine(s, s.nowMs + 1)
  for (const [from, change] of Object.entries(answers)) {
    const report = change === null ? null : peerReport(from, { frozenForEpoch: ask.epoch, ...change })
    tell(s, s.nowMs + 1, { kind: 'freeze-answer', id: ask.id, from, report })
  }
  pass(s, s.nowMs + 350)
}

/** Answers each question as it comes, for a while. */
function answering(s: Script, answers: Readonly<Record<string, Partial<PeerReport> | null>>, untilMs: number): void {
  while (s.nowMs < untilMs && roleOf(s) === 'replica') {
    if (s.pending.some((a) => a.kind === 'ask-freeze')) gather(s, answers)
    else pass(s, s.nowMs + 60)
  }
}

const at = (name: string, lsn: number, change: Partial<EngineView> = {}): Partial<PeerReport> => ({
  engine: engineView(name, { position: { timeline: 1, lsn }, ...change }),
})
const said = (s: Script): string => s.state.members[s.settings.members[0]?.self.member ?? '']?.said.takeover ?? ''
const heardOf = (s: Script, code: string): boolean => s.lines.some((line) => line.includes(`because ${code} `))
const quorumMember = (): Script =>
  member({ replication: ANY_ONE, record: { ...QUORUM, phase: 'released', release: CRASHED } })

test('the only listed member takes a silent holder over without asking anybody', () => {
  const s = member()
  silent(s)
  assert.equal(roleOf(s), 'claiming')
  assert.ok(!s.pending.some((a) => a.kind === 'ask-freeze'))
})

test('a member of a larger set compares with the others first, all receivers stopped (R13)', () => {
  const s = quorumMember()
  assert.equal(roleOf(s), 'replica')
  assert.deepEqual(take(s, 'ask-freeze').members, ['a', 'c'])
  assert.ok(s.pending.some((a) => a.kind === 'engine' && a.command.do === 'freeze'))
})

test('with R + W > N answers and the best position it claims (R15)', () => {
  const s = quorumMember()
  gather(s, { a: null, c: at('c', 900) })
  assert.equal(roleOf(s), 'claiming')
})

const NOT_ENOUGH: readonly (readonly [string, Partial<PeerReport> | null, string])[] = [
  ['nobody else answers', null, 'quorum-not-reached'],
  ['the other one has another disk', at('c', 900, { diskId: 'new' }), 'quorum-not-reached'],
  ['the other one does not know its position', { engine: engineView('c', { position: null }) }, 'quorum-not-reached'],
  ['one that is ahead cannot lead', at('c', 9_000, { answering: false }), 'ahead-but-not-electable'],
  ['one that is ahead is half cloned', at('c', 9_000, { data: 'unfinished' }), 'ahead-but-not-electable'],
]
for (const [what, answer, code] of NOT_ENOUGH) {
  test(`no claim when ${what}`, () => {
    const s = quorumMember()
    gather(s, { a: null, c: answer })
    assert.equal(roleOf(s), 'replica')
    assert.ok(heardOf(s, code), `said ${said(s)}`)
  })
}

test('one that is not ahead counts although it cannot lead', () => {
  const s = quorumMember()
  gather(s, { a: null, c: at('c', 1_000, { answering: false }) })
  assert.equal(roleOf(s), 'claiming')
})

test('a better-placed member goes first, and one that is not ahead is passed over when it does not act (R12)', () => {
  const members = memberSettings('b', ANY_ONE).members.map((m) => (m.member === 'c' ? { ...m, priority: 5 } : m))
  const record = { ...QUORUM, phase: 'released', release: CRASHED } as const
  const s = member({ replication: ANY_ONE, record, settings: { members } })
  answering(s, { a: null, c: at('c', 1_000) }, 4_000)
  assert.ok(heardOf(s, 'defers-to'))
  assert.equal(roleOf(s), 'claiming')
})

test('one that is ahead is never passed over: what only it holds would be lost', () => {
  const s = quorumMember()
  answering(s, { a: null, c: at('c', 2_000) }, 6_000)
  assert.equal(roleOf(s), 'replica')
  assert.ok(heardOf(s, 'defers-to') && heardOf(s, 'ahead-but-not-electable'))
})

test('who asks in the moment after the own receiver stopped is answered by the view that follows, not refused', () => {
  const s = quorumMember()
  const { epoch } = take(s, 'ask-freeze')
  answerEngine(s, s.nowMs + 1)
  tell(s, s.nowMs + 1, { kind: 'freeze-asked', id: 77, from: 'c', epoch })
  assert.ok(!s.pending.some((a) => a.kind === 'answer-freeze'))
  tell(s, s.nowMs + 1, { kind: 'engine-view', view: engineView('b') })
  assert.equal(take(s, 'answer-freeze').report?.frozenForEpoch, epoch)
})

/** The engine of the holder crashed; this member has heard `others` just before. */
function afterCrash(self: string, others: Readonly<Record<string, Partial<PeerReport>>>): Script {
  const s = startScript(memberSettings(self, SYNC))
  for (const [name, change] of Object.entries(others)) tell(s, 0, { kind: 'peer', report: peerReport(name, change) })
  const value = openRecord({ phase: 'released', release: CRASHED })
  tell(s, 1, { kind: 'engine-view', view: engineView(self) })
  tell(s, 2, { kind: 'guard-armed', untilMs: 0 })
  if (s.pending.some((a) => a.kind === 'write-session')) answerSessionWrite(s, 3, 2)
  tell(s, 4, { kind: 'record', revision: 5, value, sentAtMs: 4, id: null })
  return s
}

test('the listed member leaves a beat to one that is further on, once, and then goes itself', () => {
  const s = afterCrash('b', { c: at('c', 1_200) })
  assert.equal(roleOf(s), 'replica')
  assert.ok(heardOf(s, 'defers-to'))
  pass(s, s.nowMs + 300)
  assert.equal(roleOf(s), 'claiming')
})

const NO_LONGER_FURTHER: readonly (readonly [string, Parameters<typeof tell>[2]])[] = [
  [
    'its own log is read again',
    { kind: 'engine-view', view: engineView('b', { position: { timeline: 1, lsn: 1_200 } }) },
  ],
  ['the other one reports anew', { kind: 'peer', report: peerReport('c', at('c', 900)) }],
]
for (const [what, event] of NO_LONGER_FURTHER) {
  test(`the listed member stops waiting when ${what} and it is as far itself`, () => {
    const s = afterCrash('b', { c: at('c', 1_200) })
    tell(s, s.nowMs + 20, event)
    assert.equal(roleOf(s), 'claiming')
  })
}

const NOT_FURTHER: readonly (readonly [string, Partial<PeerReport>])[] = [
  ['is as far', at('c', 1_000)],
  ['is on another timeline', { engine: engineView('c', { position: { timeline: 2, lsn: 1_200 } }) }],
  ['cannot claim', { ...at('c', 1_200), unready: 'no-session' }],
  ['does not answer', at('c', 1_200, { answering: false })],
  ['is a fork that was never opened', at('c', 1_200, { unopenedEpoch: 0 })],
]
for (const [what, report] of NOT_FURTHER) {
  test(`the listed member waits for nobody who ${what}`, () => {
    assert.equal(roleOf(afterCrash('b', { c: report })), 'claiming')
  })
}

test('one that is further on than the listed member claims when that one vouches for it, frozen', () => {
  const s = afterCrash('c', { b: at('b', 900) })
  gather(s, { a: null, b: at('b', 950) })
  assert.equal(roleOf(s), 'claiming')
})

const NO_VOUCHER: readonly (readonly [string, Partial<PeerReport> | null])[] = [
  ['is further on after all', at('b', 1_001)],
  ['says nothing', null],
  ['has another disk than the confirmed one', at('b', 900, { diskId: 'new' })],
  ['is on another timeline', { engine: engineView('b', { position: { timeline: 2, lsn: 900 } }) }],
  ['is on an older timeline', { engine: engineView('b', { position: { timeline: 0, lsn: 900 } }) }],
]
for (const [what, answer] of NO_VOUCHER) {
  test(`one that is not listed claims nothing when the listed member ${what}`, () => {
    const s = afterCrash('c', { b: at('b', 900) })
    gather(s, { a: null, b: answer })
    assert.equal(roleOf(s), 'replica')
  })
}

test('one that is not listed asks nobody unless it is further on than every listed member it hears', () => {
  for (const others of [{}, { b: at('b', 1_000) }, { b: at('b', 900, { diskId: 'new' }) }, { a: at('a', 900) }]) {
    const s = afterCrash('c', others)
    assert.equal(roleOf(s), 'replica')
    assert.ok(!s.pending.some((a) => a.kind === 'ask-freeze'))
  }
})

test('a peer that reports to be writable holds a claim back, but only while the report is fresh (R10)', () => {
  const s = member()
  const report = peerReport('c', { writableForMs: 400, role: 'primary' })
  const beat = sessionRecord('agent-a', 'a-1', 7)
  tell(s, 4, { kind: 'session', agent: 'agent-a', value: beat, sentAtMs: null, id: null })
  pass(s, 1_000)
  s.pending = s.pending.filter((a) => a.kind !== 'read-session')
  pass(s, 1_400)
  tell(s, s.nowMs + 1, { kind: 'peer', report })
  answerSessionRead(s, s.nowMs + 1, beat)
  assert.equal(said(s), 'peer-still-writable')
  pass(s, s.nowMs + 650)
  assert.equal(roleOf(s), 'claiming')
})

const HELD_BACK: readonly (readonly [string, Start])[] = [
  ['manual', { settings: { failover: 'manual' } }],
  ['paused', { record: { pause: { id: 'p', by: 'op', because: 'work', validMs: 60_000 } } }],
  ['ordered-elsewhere', { record: { intent: { ...ORDER, to: 'c' } } }],
]
for (const [code, start] of HELD_BACK) {
  test(`held back: ${code}`, () => {
    const s = member(start)
    silent(s)
    assert.equal(roleOf(s), 'replica')
    assert.equal(said(s), code)
  })
}

test('a pause runs out on the own clock', () => {
  const s = member({ record: { pause: { id: 'p', by: 'op', because: 'work', validMs: 2_000 } } })
  silent(s)
  assert.equal(roleOf(s), 'replica')
  pass(s, 2_100)
  if (s.pending.some((a) => a.kind === 'read-session')) {
    answerSessionRead(s, s.nowMs + 1, sessionRecord('agent-a', 'a-1', 7))
  }
  assert.equal(roleOf(s), 'claiming')
})

test('an order overrules manual mode and pause, but needs the proof that the holder is gone like any other', () => {
  const pause = { id: 'p', by: 'op', because: 'work', validMs: 60_000 }
  const s = member({ record: { intent: ORDER, pause }, settings: { failover: 'manual' } })
  tell(s, 4, { kind: 'session', agent: 'agent-a', value: sessionRecord('agent-a', 'a-1', 7), sentAtMs: null, id: null })
  pass(s, 600)
  assert.equal(roleOf(s), 'replica')
  silent(s)
  assert.equal(roleOf(s), 'claiming')
})

test('an order that accepts loss lets a member lead that is not listed; without it nobody unlisted does (R16)', () => {
  for (const allowDataLoss of [false, true]) {
    const released = { phase: 'released', release: CRASHED, intent: { ...ORDER, allowDataLoss } } as const
    const s = member({ self: 'c', record: released })
    if (s.pending.some((a) => a.kind === 'ask-freeze')) gather(s, { a: null, b: null })
    assert.equal(roleOf(s), allowDataLoss ? 'claiming' : 'replica')
  }
})

test('an order whose time is over is answered in the record, so that it is not new again after a restart', () => {
  const s = member({ self: 'c', record: { phase: 'released', release: CRASHED, intent: { ...ORDER, validMs: 500 } } })
  pass(s, 900)
  const write = take(s, 'write-record')
  assert.equal(write.purpose, 'intent')
  assert.equal(write.record.intent, null)
  assert.deepEqual(write.record.lastIntent, { id: 'i1', ok: false, because: 'expired' })
})

test('an expired order is answered in a manual group, too', () => {
  const record = { phase: 'released', release: CRASHED, intent: { ...ORDER, validMs: 500 } } as const
  const s = member({ self: 'c', record, settings: { failover: 'manual' } })
  pass(s, 900)
  assert.ok(s.pending.some((a) => a.kind === 'write-record' && a.purpose === 'intent'))
})

test('in a manual group the last open holder may take its own lease back', () => {
  const record = { phase: 'released', release: CRASHED } as const
  const s = member({ self: 'a', record, settings: { failover: 'manual' } })
  assert.equal(roleOf(s), 'claiming')
})

test('observe mode never writes, freezes or promotes anything', () => {
  const s = member({ settings: { failover: 'observe' } })
  silent(s)
  const acts = s.pending.filter((a) => a.kind !== 'write-session' && a.kind !== 'read-session')
  assert.deepEqual(acts, [])
})

test('a store that answers a read with an older version ends all claims of this process (R22)', () => {
  const s = member()
  tell(s, 10, { kind: 'record', revision: 4, value: openRecord(), sentAtMs: 9, id: null })
  silent(s)
  assert.equal(roleOf(s), 'replica')
  assert.equal(said(s), 'store-went-back')
})

test('an older version from a watch or from a read that left earlier is only late', () => {
  const s = member()
  tell(s, 10, { kind: 'record', revision: 4, value: openRecord(), sentAtMs: null, id: null })
  tell(s, 11, { kind: 'record', revision: 4, value: openRecord(), sentAtMs: -5, id: null })
  silent(s)
  assert.equal(roleOf(s), 'claiming')
})

test('a loop gap holds claims back for one ttl (R23)', () => {
  const s = member()
  tick(s, 5_000)
  answerSessionWrite(s, 5_001, 9)
  const release = { ...CRASHED, to: 'b', clean: true, position: { timeline: 1, lsn: 1_000 } }
  const value = openRecord({ phase: 'released', release })
  tell(s, 5_010, { kind: 'record', revision: 6, value, sentAtMs: null, id: null })
  assert.equal(said(s), 'clock-jumped')
  pass(s, 5_950)
  assert.equal(roleOf(s), 'replica')
  pass(s, 6_100)
  assert.equal(roleOf(s), 'claiming')
})

test('a member says what keeps it from any lease, so that nobody hands one to it meanwhile', () => {
  const s = member()
  const unready = (change: Partial<MemberState> = {}, untilMs = s.nowMs + 900): string | null => {
    const state = { ...memberOf(s), ...change }
    const at = { nowMs: s.nowMs, writableUntilMs: 0, session: { untilMs }, loopAgeMs: 0 }
    return reportOf(state, memberSettings('b', SYNC), at).unready
  }
  assert.equal(unready(), null)
  assert.equal(unready({ tiltUntilMs: s.nowMs + 1 }), 'clock-jumped')
  assert.equal(unready({ promisedUntilMs: s.nowMs + 1 }), 'promised-to-primary')
  assert.equal(unready({ storeWentBack: true }), 'store-went-back')
  assert.equal(unready({ guard: { ...memberOf(s).guard, alive: false } }), 'no-guard')
  assert.equal(unready({}, s.nowMs + 499), 'session-too-short')
  tick(s, 5_000)
  assert.equal(unready(), 'clock-jumped')
})

/** The epoch grows `times` without anybody asking for it; the last one was held by c and released. */
function flaps(s: Script, times: number, last: Partial<GroupRecord>): void {
  for (let i = 1; i <= times; i += 1) {
    const lead = { epoch: 1 + i, holder: 'c', agent: 'agent-c', session: `c-${i}` }
    const value = openRecord({ ...lead, ...(i === times ? last : {}) })
    tell(s, 10 + i, { kind: 'record', revision: 5 + i, value, sentAtMs: null, id: null })
  }
}

test('after too many promotions in the window the next one waits, a planned one does not (R25)', () => {
  const s = member()
  flaps(s, 5, { phase: 'released', release: CRASHED })
  assert.equal(said(s), 'flapping')
  const planned = member()
  const release = { ...CRASHED, to: 'b', clean: true, position: { timeline: 1, lsn: 1_000 } }
  flaps(planned, 5, { phase: 'released', release })
  assert.equal(roleOf(planned), 'claiming')
})

test('a released lease is left to the one it names for one ttl', () => {
  const release = { ...CRASHED, to: 'c', clean: true, position: { timeline: 1, lsn: 1_000 } }
  const s = member({ record: { phase: 'released', release } })
  pass(s, 950)
  assert.equal(roleOf(s), 'replica')
  pass(s, 1_150)
  if (s.pending.some((a) => a.kind === 'ask-freeze')) gather(s, { a: null, c: null })
  assert.equal(roleOf(s), 'claiming')
})

test('a replaced session proves the end of the old one only by a read sent after the record was seen', () => {
  const s = member()
  tell(s, 5, { kind: 'session', agent: 'agent-a', value: sessionRecord('agent-a', 'a-2', 1), sentAtMs: null, id: null })
  assert.equal(roleOf(s), 'replica')
  tick(s, 320)
  answerSessionWrite(s, 321, 9)
  answerSessionRead(s, 325, sessionRecord('agent-a', 'a-2', 1))
  assert.equal(roleOf(s), 'claiming')
})

test('a hung engine of an earlier life is killed before its lease is given back (R29)', () => {
  const s = member({ self: 'a', view: { role: 'none', answering: false, position: null, receiving: false } })
  assert.equal(roleOf(s), 'fencing')
  assert.ok(!s.pending.some((a) => a.kind === 'write-record'))
  assert.ok(!s.pending.some((a) => a.kind === 'write-session'), 'no new session while it may be writable')
  answerEngine(s, 60)
  assert.equal(roleOf(s), 'releasing')
})

test('a running primary is killed before the store was heard (R6)', () => {
  const s = startScript(memberSettings('a', SYNC))
  tell(s, 1, { kind: 'engine-view', view: engineView('a', { role: 'primary', receiving: false, upstream: null }) })
  assert.equal(roleOf(s), 'fencing')
})

test('a way to a holder that is gone does not delay the promotion', () => {
  const s = member({ view: { receiving: false } })
  assert.ok(s.pending.some((a) => a.kind === 'engine' && a.command.do === 'follow'))
  const release = { ...CRASHED, to: 'b', clean: true, position: { timeline: 1, lsn: 1_000 } }
  const value = openRecord({ phase: 'released', release })
  tell(s, 50, { kind: 'record', revision: 6, value, sentAtMs: null, id: null })
  answerWrite(s, 55, 'ok', 7)
  const arm = take(s, 'arm')
  tell(s, 56, { kind: 'guard-armed', untilMs: arm.untilMs })
  assert.ok(s.pending.some((a) => a.kind === 'engine' && a.command.do === 'promote'))
})

test('a promotion whose engine or guard says nothing more is given up', () => {
  for (const armed of [true, false]) {
    const s = member({ record: { phase: 'released', release: CRASHED } })
    answerWrite(s, 10, 'ok', 7)
    if (armed) {
      tell(s, 11, { kind: 'guard-armed', untilMs: take(s, 'arm').untilMs })
      answerEngine(s, 20, { ok: true, position: { timeline: 2, lsn: 1_100 }, lsn: 1_100 })
    }
    pass(s, 5_200, { answering: false, role: 'none', position: null })
    assert.ok(heardOf(s, 'promotion-timed-out'), roleOf(s))
  }
})

test('a lost comparison is not repeated at the pace of the store', () => {
  const s = member({ record: { phase: 'released', release: CRASHED } })
  let writes = 0
  for (let t = 10; t < 510; t += 1) {
    if (t % 100 === 0) tick(s, t)
    if (s.pending.some((a) => a.kind === 'write-session')) answerSessionWrite(s, t, t)
    if (!s.pending.some((a) => a.kind === 'write-record')) {
      tick(s, t)
      continue
    }
    writes += 1
    answerWrite(s, t, { kind: 'conflict', revision: 0, value: null })
  }
  assert.ok(writes <= 12, `${writes} writes in half a second`)
})
