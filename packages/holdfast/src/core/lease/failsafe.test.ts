import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { GroupRecord } from '../model.ts'
import {
  answerEngine,
  answerSessionWrite,
  answerWrite,
  engineView,
  memberSettings,
  openRecord,
  roleOf,
  type Script,
  sessionRecord,
  startScript,
  take,
  tell,
  tick,
} from './script.ts'

const RELEASED = { position: null, clean: false, to: null, because: 'x' }
/** Trust of the last confirmed beat at 3, and the fence before it. */
const TRUST_ENDS_MS = 2 + 1_000 - 20

function replica(self = 'b', record: Partial<GroupRecord> = {}, names = ['a', 'b', 'c']): Script {
  const s = startScript(memberSettings(self, { kind: 'sync' }, names))
  tell(s, 0, { kind: 'record', revision: 5, value: openRecord({ members: names, ...record }), sentAtMs: 0, id: null })
  tell(s, 1, { kind: 'engine-view', view: engineView(self) })
  tell(s, 2, { kind: 'guard-armed', untilMs: 0 })
  answerSessionWrite(s, 3, 2)
  return s
}

function primary(names = ['a', 'b', 'c']): Script {
  const s = replica('a', { phase: 'released', release: RELEASED }, names)
  answerWrite(s, 10, 'ok', 10)
  tell(s, 11, { kind: 'guard-armed', untilMs: 700 })
  answerEngine(s, 60, { ok: true, position: { timeline: 2, lsn: 1_100 }, lsn: 1_100 })
  const view = engineView('a', {
    role: 'primary',
    receiving: false,
    upstream: null,
    position: { timeline: 2, lsn: 1_200 },
  })
  tell(s, 62, { kind: 'engine-view', view })
  answerWrite(s, 64, 'ok', 11)
  assert.equal(roleOf(s), 'primary')
  s.pending = []
  return s
}

function own(s: Script, name = 'a') {
  const state = s.state.members[name]
  assert.ok(state !== undefined)
  return state
}

/** Beats leave and nothing comes back. */
function silence(s: Script, untilMs: number): void {
  for (let t = s.nowMs + 50; t <= untilMs; t += 50) tick(s, t)
}

interface Asked {
  readonly id: number
  /** When the question left; default: 3 ms before the answer. */
  readonly sentAtMs?: number
}

function accept(s: Script, atMs: number, ask: Asked, from: string): void {
  const sentAtMs = ask.sentAtMs ?? atMs - 3
  tell(s, atMs, { kind: 'failsafe-answer', id: ask.id, from, sentAtMs, accept: true, because: 'promised' })
}

test('a primary asks every other member after two beats without a confirmation, and again with each beat', () => {
  const s = primary()
  silence(s, 400)
  assert.ok(!s.pending.some((a) => a.kind === 'ask-failsafe'))
  silence(s, 850)
  const asks = s.pending.filter((a) => a.kind === 'ask-failsafe')
  assert.deepEqual(
    asks.map((a) => a.members),
    asks.map(() => ['b', 'c']),
  )
  assert.ok(asks.length >= 2 && asks.length <= 3)
})

test('all promises extend the right to write, counted from the earliest question', () => {
  const s = primary()
  silence(s, 600)
  const ask = take(s, 'ask-failsafe')
  const latest = s.pending.findLast((a) => a.kind === 'ask-failsafe') ?? ask
  assert.ok(latest.kind === 'ask-failsafe')
  accept(s, 610, { ...latest, sentAtMs: 601 }, 'b')
  assert.equal(own(s).failsafeUntilMs, 0)
  accept(s, 612, { ...latest, sentAtMs: 602 }, 'b')
  assert.equal(own(s).failsafeUntilMs, 0, 'one member counts once')
  accept(s, 615, { ...latest, sentAtMs: 605 }, 'c')
  assert.equal(own(s).failsafeUntilMs, 601 + 1_000 - 20)
  tick(s, TRUST_ENDS_MS + 5)
  assert.equal(roleOf(s), 'primary')
  tick(s, 601 + 1_000 - 20 - 150)
  assert.equal(roleOf(s), 'fencing')
})

test('all but one is not enough', () => {
  const s = primary()
  silence(s, 600)
  for (const ask of s.pending.filter((a) => a.kind === 'ask-failsafe')) accept(s, 610, ask, 'b')
  tick(s, TRUST_ENDS_MS - 150)
  assert.equal(roleOf(s), 'fencing')
})

test('an answer to an earlier round, or from somebody who was not asked, counts for nothing', () => {
  const s = primary()
  silence(s, 750)
  const asks = s.pending.filter((a) => a.kind === 'ask-failsafe')
  const [first, last] = [asks[0], asks.at(-1)]
  assert.ok(first !== undefined && last !== undefined && first !== last)
  accept(s, 755, first, 'b')
  accept(s, 756, first, 'c')
  accept(s, 757, last, 'b')
  accept(s, 758, last, 'x')
  assert.equal(own(s).failsafeUntilMs, 0)
})

test('when beats are confirmed again the promises are laid aside', () => {
  const s = primary()
  silence(s, 600)
  const ask = s.pending.findLast((a) => a.kind === 'ask-failsafe')
  assert.ok(ask !== undefined)
  accept(s, 610, ask, 'b')
  accept(s, 611, ask, 'c')
  const beat = s.pending.findLast((a) => a.kind === 'write-session')
  assert.ok(beat !== undefined)
  s.pending = [beat]
  answerSessionWrite(s, 620, 50, 600)
  assert.equal(own(s).failsafeUntilMs, 0)
  assert.equal(roleOf(s), 'primary')
})

const QUESTION = { kind: 'failsafe-asked', id: 77, from: 'a', epoch: 1 } as const
const answerOf = (s: Script): string => {
  const answer = take(s, 'answer-failsafe')
  return answer.accept ? 'yes' : answer.because
}

test('a replica promises, and does not take over for a ttl and the margin, not even a released lease', () => {
  const s = replica()
  tell(s, 100, QUESTION)
  assert.equal(answerOf(s), 'yes')
  const release = { ...RELEASED, to: 'b', clean: true, position: { timeline: 1, lsn: 1_000 } }
  tell(s, 110, {
    kind: 'record',
    revision: 6,
    value: openRecord({ phase: 'released', release }),
    sentAtMs: null,
    id: null,
  })
  for (let t = 120; t < 1_100; t += 90) {
    tick(s, t)
    if (s.pending.some((a) => a.kind === 'write-session')) answerSessionWrite(s, t + 1, t)
  }
  assert.equal(roleOf(s), 'replica')
  tick(s, 1_121)
  if (roleOf(s) === 'replica') answerSessionWrite(s, 1_130, 1_130)
  assert.equal(roleOf(s), 'claiming')
})

const REFUSALS: readonly (readonly [string, Partial<GroupRecord>, string])[] = [
  ['a newer epoch', { epoch: 2, holder: 'c', agent: 'agent-c', session: 'c-1' }, 'newer-epoch-known'],
  ['another holder', { holder: 'c', agent: 'agent-c', session: 'c-1' }, 'other-holder-known'],
  ['a release', { phase: 'released', release: { ...RELEASED, to: 'c' } }, 'released'],
]
for (const [what, record, code] of REFUSALS) {
  test(`a replica that knows of ${what} promises nothing`, () => {
    const s = replica('b', record)
    tell(s, 100, QUESTION)
    assert.equal(answerOf(s), code)
  })
}

test('a member whose claim is under way promises nothing', () => {
  const s = replica()
  const release = { ...RELEASED, to: 'b', clean: true, position: { timeline: 1, lsn: 1_000 } }
  tell(s, 50, {
    kind: 'record',
    revision: 6,
    value: openRecord({ phase: 'released', release }),
    sentAtMs: null,
    id: null,
  })
  assert.equal(roleOf(s), 'claiming')
  tell(s, 60, QUESTION)
  assert.equal(answerOf(s), 'role-claiming')
  answerWrite(s, 70, 'unknown')
  tell(s, 80, QUESTION)
  assert.equal(answerOf(s), 'role-claiming')
})

test('a look at the holder taken during a promise proves nothing after it', () => {
  const s = replica()
  tell(s, 4, { kind: 'session', agent: 'agent-a', value: sessionRecord('agent-a', 'a-1', 7), sentAtMs: null, id: null })
  for (let t = 200; t <= 2_400; t += 100) {
    if (t < 1_200) tell(s, t, QUESTION)
    tick(s, t + 1)
    if (s.pending.some((a) => a.kind === 'write-session')) answerSessionWrite(s, t + 2, t)
    if (s.pending.some((a) => a.kind === 'read-session')) s.pending = s.pending.filter((a) => a.kind !== 'read-session')
    if (t === 1_200) {
      const value = sessionRecord('agent-a', 'a-1', 7)
      tell(s, t + 3, { kind: 'session', agent: 'agent-a', value, sentAtMs: t + 2, id: null })
    }
  }
  assert.equal(roleOf(s), 'replica')
})

test('a promise that comes after the trust has ended gives nothing back', () => {
  const s = primary()
  silence(s, 800)
  const ask = s.pending.findLast((a) => a.kind === 'ask-failsafe')
  assert.ok(ask !== undefined)
  accept(s, 810, { ...ask, sentAtMs: 790 }, 'b')
  accept(s, TRUST_ENDS_MS + 20, { ...ask, sentAtMs: 790 }, 'c')
  assert.equal(roleOf(s), 'fencing')
})

test('a member whose listing is still uncertain is asked, too', () => {
  const s = primary()
  const state = own(s)
  const record = state.record?.value
  assert.ok(record !== undefined && record !== null)
  const wider = { ...record, members: ['a', 'b', 'c', 'd'] }
  const write = { id: 900, purpose: 'sync', record: wider, ifRevision: 11, sentAtMs: 300, unknown: true } as const
  s.state = { ...s.state, members: { a: { ...state, write } } }
  silence(s, 600)
  assert.ok(take(s, 'ask-failsafe').members.includes('d'))
})

test('a group of one has nobody to ask and does not spin', () => {
  const s = primary(['a'])
  silence(s, 600)
  assert.ok(own(s).wakeAtMs > 600, `wakes at ${own(s).wakeAtMs}`)
})
