/** What a rolling restart consists of, who refuses it, and when one of its steps is done. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PROFILES } from '../settings.ts'
import type { GroupFacts, MemberFacts, MoveWish } from './draft.ts'
import { type EngineSeen, ensure, type GroupView } from './ensure.ts'
import { stepById } from './plan.ts'
import { draftRestart } from './restart-draft.ts'

const WISH: MoveWish = {
  id: 'p',
  kind: 'restart',
  to: null,
  member: null,
  by: 'me',
  origin: 'operator',
  lossAccepted: false,
}

function member(name: string, change: Partial<MemberFacts> = {}): MemberFacts {
  const base = { site: 'here', priority: 100, heard: true, refusal: null, never: false, lagBytes: 0 }
  return { member: name, ...base, started: `${name}.1`, following: name !== 'a', ...change }
}

function draft(change: Partial<GroupFacts> = {}, only: string | null = null) {
  const facts: GroupFacts = {
    group: 'g',
    holder: 'a',
    epoch: 3,
    open: true,
    pausedBy: null,
    members: [member('a'), member('b', { priority: 50 }), member('c')],
    replication: { kind: 'sync' },
    timing: PROFILES.fast,
    ...change,
  }
  const survey = { scope: 'group:g', order: [{ group: 'g', after: [] }], groups: [facts], hooks: [], past: {} }
  return draftRestart(survey, { ...WISH, member: only })
}

const stepsOf = ({ plan }: ReturnType<typeof draft>): readonly string[] => plan.steps.map(({ id }) => id)

test('replicas first, one after the other, then a switchover under a hold, then the former primary', () => {
  const { plan, refusals, notes } = draft()
  assert.deepEqual(stepsOf(draft()), ['restart:b', 'restart:c', 'hold:g', 'move:g', 'release:g', 'restart:a'])
  for (const [at, step] of plan.steps.entries()) assert.deepEqual(step.after, at === 0 ? [] : [plan.steps[at - 1]?.id])
  assert.equal(stepById(plan, 'move:g')?.member, 'c')
  assert.equal(stepById(plan, 'restart:a')?.started, 'a.1')
  assert.deepEqual([refusals, notes], [[], []])
})

test('one member only: a replica alone, a primary after a switchover', () => {
  assert.deepEqual(stepsOf(draft({}, 'b')), ['restart:b'])
  assert.deepEqual(stepsOf(draft({}, 'a')), ['hold:g', 'move:g', 'release:g', 'restart:a'])
})

const REFUSED: readonly (readonly [string, Partial<GroupFacts>, RegExp])[] = [
  ['paused', { pausedBy: 'me' }, /paused by me/],
  ['nobody open', { open: false }, /nobody is open/],
  ['one member', { members: [member('a')] }, /one member/],
  ['one agent is silent', { members: [member('a'), member('b', { heard: false })] }, /agent of b does not answer/],
  ['one engine is down', { members: [member('a'), member('b', { started: null })] }, /engine of b does not run/],
  ['one does not follow', { members: [member('a'), member('b', { following: false })] }, /b does not follow a/],
  ['nobody may lead', { members: [member('a'), member('b', { refusal: 'R12' })] }, /take over from a: b R12/],
]
for (const [what, change, because] of REFUSED) {
  test(`refused: ${what}`, () => assert.match(draft(change).refusals.join(), because))
}

test('the switchover stays at the site of the primary where somebody there can lead', () => {
  const away = member('b', { site: 'there', priority: 900 })
  const to = (members: readonly MemberFacts[]) => stepById(draft({ members }).plan, 'move:g')?.member
  assert.equal(to([member('a'), away, member('c', { lagBytes: 50 })]), 'c')
  assert.equal(to([member('a'), away, member('c', { refusal: 'R12' })]), 'b')
})

test('where one replica confirms every write, the plan says that writes wait', () => {
  const two = [member('a'), member('b')]
  assert.match(draft({ members: two }).notes?.join() ?? '', /they wait while one of these is restarted/)
  const replication = { kind: 'async', lossBytesMax: 1, lossMsMax: 1 } as const
  assert.deepEqual(draft({ members: two, replication }).notes, [])
})

const seen = (change: Partial<EngineSeen> = {}): EngineSeen => ({
  started: 'b.1',
  following: true,
  lagBytes: 0,
  ...change,
})
const LOOKS: readonly (readonly [string, Partial<EngineSeen> | null, Partial<GroupView>, string])[] = [
  ['asks for the process it knows', {}, {}, 'ask b.1 3'],
  ['waits for its agent', null, {}, 'wait'],
  ['waits for a primary', {}, { phase: 'claimed', writable: false }, 'wait'],
  ['waits for one that is starting', { started: null, following: false }, {}, 'wait'],
  ['waits until it follows', { started: 'b.2', following: false }, {}, 'wait'],
  ['waits until it has caught up', { started: 'b.2', lagBytes: 2 * 1024 * 1024 }, {}, 'wait'],
  ['is done then', { started: 'b.2' }, {}, 'done'],
  ['is done when it leads anew', { started: 'b.2', following: false }, { holder: 'b' }, 'done'],
  ['never restarts who leads', { following: false }, { holder: 'b' }, 'fail'],
]
for (const [what, engine, change, wanted] of LOOKS) {
  test(`a step ${what}`, () => {
    const { plan } = draft()
    const step = stepById(plan, 'restart:b')
    assert.ok(step)
    const group = { group: 'g', epoch: 3, phase: 'open', holder: 'a', writable: true, sites: {}, paused: null }
    const view: GroupView = { ...group, asked: null, engines: engine === null ? {} : { b: seen(engine) }, ...change }
    const found = ensure(plan, step, 'do', view)
    const asked =
      found.kind === 'ask' && found.ask.verb === 'restart' ? ` ${found.ask.ifStarted} ${found.ask.ifEpoch}` : ''
    assert.equal(`${found.kind}${asked}`, wanted)
  })
}

test('a restart that waits for its moment is left alone once somebody called the work off', () => {
  const { plan } = draft()
  const step = stepById(plan, 'restart:b')
  assert.ok(step)
  const group = { group: 'g', epoch: 3, phase: 'open', holder: 'a', writable: true, sites: {}, paused: null }
  for (const engine of [{}, { following: false }, { started: 'b.2', following: false }]) {
    const view: GroupView = { ...group, asked: null, engines: { b: seen(engine) } }
    assert.equal(ensure({ ...plan, cancel: { by: 'ann' } }, step, 'do', view).kind, 'fail')
    assert.notEqual(ensure(plan, step, 'do', view).kind, 'fail')
  }
})

test('no switchover away from a primary that was started anew by itself', () => {
  const { plan } = draft()
  const step = stepById(plan, 'move:g')
  assert.ok(step)
  const group = { group: 'g', epoch: 4, phase: 'open', holder: 'a', writable: true, sites: {}, paused: null }
  const engines = { a: seen({ started: 'a.2', following: false }) }
  assert.equal(ensure(plan, step, 'do', { ...group, engines, asked: null }).kind, 'done')
})
