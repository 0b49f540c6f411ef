import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PROFILES } from '../settings.ts'
import { advance } from './advance.ts'
import { draftPlan, type GroupFacts, gistOf, type MoveWish, type Survey } from './draft.ts'
import { ensure, type GroupView } from './ensure.ts'
import { isOver, type PlanPhase, type PlanRecord, type PlanStep, stepById, withStep } from './plan.ts'
import { type RunnerConfig, type RunnerEvent, type RunnerState, startRunner, stepRunner, type Wish } from './runner.ts'

const CONFIG: RunnerConfig = { self: 'me', beatMs: 1_000, trustMs: 3_000, takeoverMs: 8_000, retryMs: 300 }

function facts(group: string, change: Partial<GroupFacts> = {}): GroupFacts {
  const member = (name: string, site: string) => ({
    member: `${group}-${name}`,
    site,
    priority: 100,
    heard: true,
    refusal: null,
    never: false,
    lagBytes: 0,
    started: 'first',
    following: true,
  })
  return {
    group,
    epoch: 7,
    holder: `${group}-1`,
    open: true,
    pausedBy: null,
    members: [member('1', 'north'), member('2', 'south')],
    replication: { kind: 'sync' },
    timing: PROFILES.fast,
    ...change,
  }
}

const SURVEY: Survey = {
  scope: 'shop',
  order: [
    { group: 'orders', after: ['stock'] },
    { group: 'stock', after: [] },
  ],
  groups: [facts('orders'), facts('stock')],
  hooks: [{ name: 'dns', when: 'after', group: null, deadlineMs: 1_000, undo: true, onFailure: 'undo' }],
  past: { 'move stock': [100, 300, 200] },
}
const WISH: MoveWish = {
  id: 'p',
  kind: 'switchover',
  to: 'south',
  member: null,
  by: 'op',
  origin: 'operator',
  lossAccepted: false,
}

function plan(change: Partial<PlanRecord> = {}, survey = SURVEY, wish = WISH): PlanRecord {
  return { ...draftPlan(survey, wish).plan, runner: 'other', epoch: 4, beat: 9, stamp: 'other:9', ...change }
}

function settle(record: PlanRecord, ids: readonly string[], state: PlanStep['state']): PlanRecord {
  return ids.reduce((now, id) => withStep(now, id, { state, attempt: 1 }), record)
}

test('a plan keeps the order of the service, holds first and releases last, and says where each figure is from', () => {
  const { plan: drafted, refusals, losses } = draftPlan(SURVEY, WISH)
  assert.deepEqual(
    drafted.steps.map(({ id, after }) => [id, [...after].sort()]),
    [
      ['hold:orders', []],
      ['hold:stock', []],
      ['move:stock', ['hold:orders', 'hold:stock']],
      ['move:orders', ['hold:orders', 'hold:stock', 'move:stock']],
      ['release:orders', ['move:orders', 'move:stock']],
      ['release:stock', ['move:orders', 'move:stock']],
      ['hook:dns', ['release:orders', 'release:stock']],
    ],
  )
  assert.deepEqual([refusals, losses, drafted.from], [[], [], 'north'])
  assert.deepEqual(stepById(drafted, 'move:stock')?.predicted, { ms: 200, from: 'past-runs', runs: 3 })
  assert.equal(stepById(drafted, 'move:orders')?.predicted.from, 'formula')
  assert.equal(stepById(drafted, 'hook:dns')?.predicted.from, 'deadline')
})

test('a group that is there already has no steps, and nobody waits for it', () => {
  const { plan: drafted } = draftPlan(
    { ...SURVEY, groups: [facts('orders'), facts('stock', { holder: 'stock-2' })] },
    WISH,
  )
  assert.deepEqual(stepById(drafted, 'move:orders')?.after, ['hold:orders'])
  assert.equal(stepById(drafted, 'move:stock'), null)
})

test('who would refuse is said with the reason, for every group', () => {
  const lag = { ...facts('stock').members[1], refusal: 'R30: target-lags' } as GroupFacts['members'][number]
  const groups = [
    facts('orders', { pausedBy: 'ann' }),
    facts('stock', { members: [facts('stock').members[0] ?? lag, lag] }),
  ]
  const { refusals } = draftPlan({ ...SURVEY, groups }, WISH)
  assert.match(refusals.join('\n'), /orders: paused by ann; end it with: holdfast resume orders\nstock: stock-2 R30/)
  const gone = facts('stock', { open: false })
  assert.match(draftPlan({ ...SURVEY, groups: [gone] }, WISH).refusals.join(), /nobody is open for writes/)
})

test('a failover names what may be lost, and does not begin before somebody accepted it (P10)', () => {
  const behind = { ...facts('stock').members[1], refusal: 'behind-floor' } as GroupFacts['members'][number]
  const gone = { ...facts('stock').members[0], heard: false } as GroupFacts['members'][number]
  const groups = [facts('stock', { open: false, members: [gone, behind] })]
  const draft = draftPlan({ ...SURVEY, groups }, { ...WISH, kind: 'failover' })
  assert.deepEqual(draft.losses, [{ group: 'stock', bytes: null, because: 'stock-2: behind-floor' }])
  const refused = advance(draft.plan)
  assert.deepEqual([refused.phase, refused.steps.some(({ attempt }) => attempt > 0)], ['stopping', false])
  assert.equal(advance({ ...draft.plan, lossAccepted: true }).phase, 'running')
})

/** What each phase becomes when all that is under way has ended, by what had begun. Total: no phase is left out. */
const AFTER: Readonly<Record<PlanPhase, Readonly<Record<'nothing' | 'holds' | 'moved', PlanPhase>>>> = {
  running: { nothing: 'running', holds: 'running', moved: 'running' },
  undoing: { nothing: 'undone', holds: 'undoing', moved: 'undoing' },
  stopping: { nothing: 'stopped', holds: 'stopping', moved: 'stopping' },
  done: { nothing: 'done', holds: 'done', moved: 'done' },
  undone: { nothing: 'undone', holds: 'undone', moved: 'undone' },
  stopped: { nothing: 'stopped', holds: 'stopped', moved: 'stopped' },
}
const HOLDS = ['hold:orders', 'hold:stock']
for (const [phase, row] of Object.entries(AFTER)) {
  for (const [begun, next] of Object.entries(row)) {
    test(`${phase} with ${begun} begun becomes ${next}`, () => {
      const ids = { nothing: [], holds: HOLDS, moved: [...HOLDS, 'move:stock'] }[begun] ?? []
      const before = settle(plan({ phase: phase as PlanPhase }), ids, 'done')
      const after = advance(before)
      assert.equal(after.phase, next)
      const taken = after.steps.filter(({ state }) => state === 'undoing').map(({ id }) => id)
      if (phase === 'undoing') assert.deepEqual(taken, begun === 'moved' ? ['move:stock'] : ids)
      if (phase === 'stopping') assert.deepEqual(taken, begun === 'nothing' ? [] : HOLDS)
      if (isOver(before)) assert.equal(after, before)
    })
  }
}

test('cancelled while a step is under way: nothing is taken back before it ended', () => {
  const busy = settle(settle(plan({ cancel: { by: 'op' } }), HOLDS, 'done'), ['move:stock'], 'running')
  const waits = advance(busy)
  assert.equal(waits.phase, 'undoing')
  assert.ok(waits.steps.every(({ state }) => state !== 'undoing'))
})

interface Told {
  state: RunnerState
  readonly actions: string[]
}

function tell(told: Told, event: RunnerEvent): Told {
  const { state, actions } = stepRunner(told.state, event, CONFIG)
  return {
    state,
    actions: actions.map((action) =>
      action.kind === 'act' || action.kind === 'halt' ? `${action.kind} ${action.name}` : action.kind,
    ),
  }
}

/** Reads, and everything it writes is confirmed at once. */
function begun(wish: Wish, there: PlanRecord | null, nowMs = 0): Told {
  let told = tell({ state: startRunner(wish), actions: [] }, { kind: 'tick', nowMs })
  told = tell(told, { kind: 'read', nowMs, plan: there, revision: 3 })
  return told
}

function confirm(told: Told, nowMs: number, outcome: 'ok' | 'unknown' = 'ok'): Told {
  const { write } = told.state
  assert.ok(write !== null, 'a write is under way')
  const plan = outcome === 'ok' ? write.plan : null
  return tell(told, { kind: 'written', nowMs, id: write.id, outcome, plan, revision: told.state.revision + 1 })
}

test('a step begins only when the store says so (P8), and not when the trust is over (P9)', () => {
  let told = begun({ kind: 'create', plan: draftPlan(SURVEY, WISH).plan }, null)
  assert.deepEqual(told.actions, ['write'])
  told = confirm(told, 10)
  assert.deepEqual(told.actions, ['write'], 'the steps that begin are written first')
  assert.deepEqual(confirm(told, 20).actions, ['act hold:orders/do/1', 'act hold:stock/do/1'])
  const late = confirm(told, 3_500)
  assert.ok(!late.actions.some((action) => action.startsWith('act')), 'its answer came after the trust')
})

test('two operators: the second is told that the first is not done (P1)', () => {
  const told = begun({ kind: 'create', plan: draftPlan(SURVEY, { ...WISH, id: 'q' }).plan }, plan())
  assert.equal(told.state.end, 'busy')
})

test('a plan is taken over only after it stood still, and what was begun is begun again', () => {
  const there = settle(settle(plan(), HOLDS, 'done'), ['move:stock'], 'running')
  let told = begun({ kind: 'resume' }, there)
  assert.deepEqual(told.actions, [])
  const again = (nowMs: number, stamp: string): void => {
    told = tell(told, { kind: 'tick', nowMs })
    told = tell(told, { kind: 'read', nowMs, plan: { ...there, stamp }, revision: 4 })
  }
  again(7_000, 'other:10')
  again(14_000, 'other:10')
  assert.deepEqual(told.actions, [], 'it moved 7 s ago')
  again(15_000, 'other:10')
  assert.deepEqual(told.actions, ['write'])
  assert.equal(told.state.write?.plan.epoch, 5)
  assert.deepEqual(confirm(told, 15_010).actions, ['act move:stock/do/1'])
})

test('a runner whose plan was taken over leaves off (R31)', () => {
  let told = confirm(confirm(begun({ kind: 'create', plan: draftPlan(SURVEY, WISH).plan }, null), 10), 20)
  told = tell(told, { kind: 'tick', nowMs: 1_100 })
  const write = told.state.write
  assert.ok(write !== null)
  const theirs = { ...write.plan, runner: 'other', epoch: 9, stamp: 'other:1' }
  told = tell(told, { kind: 'written', nowMs: 1_110, id: write.id, outcome: 'conflict', plan: theirs, revision: 9 })
  assert.deepEqual(told.actions, ['halt hold:orders/do/1', 'halt hold:stock/do/1', 'end'])
  assert.equal(told.state.end, 'taken-over')
})

test('somebody else writes a wish to cancel: it is kept, and the runner takes everything back (P11)', () => {
  let told = confirm(confirm(begun({ kind: 'create', plan: draftPlan(SURVEY, WISH).plan }, null), 10), 20)
  told = tell(told, { kind: 'tick', nowMs: 1_100 })
  const write = told.state.write
  assert.ok(write !== null && told.state.saved !== null)
  const theirs = { ...told.state.saved, cancel: { by: 'ann' }, stamp: 'ann:1' }
  told = tell(told, { kind: 'written', nowMs: 1_110, id: write.id, outcome: 'conflict', plan: theirs, revision: 9 })
  assert.equal(told.state.write?.plan.phase, 'undoing')
  assert.match(told.state.write?.plan.because ?? '', /cancelled by ann/)
})

test('a restart under way is told once to stop waiting when its plan is called off; other steps go on', () => {
  for (const kind of ['restart', 'move'] as const) {
    const there = settle(plan({ runner: 'me', stamp: 'me:9' }), HOLDS, 'done')
    const steps = there.steps.map((step) => (step.id === 'move:stock' ? { ...step, kind } : step))
    const running = settle({ ...there, steps }, ['move:stock'], 'running')
    let told = begun({ kind: 'resume' }, running)
    assert.ok(told.actions.includes('act move:stock/do/1'))
    told = confirm(told, 10)
    told = tell(told, { kind: 'cancel', nowMs: 20, by: 'ann' })
    const halts = kind === 'restart' ? ['halt move:stock/do/1'] : []
    assert.deepEqual(
      told.actions.filter((action) => action.startsWith('halt')),
      halts,
    )
    told = tell(told, { kind: 'tick', nowMs: 30 })
    assert.ok(!told.actions.some((action) => action.startsWith('halt')), 'once')
    const outcome = { ok: false, because: 'halted', retry: true, measuredMs: 5 }
    told = tell(told, { kind: 'acted', nowMs: 40, name: 'move:stock/do/1', outcome })
    assert.notEqual(stepById(told.state.plan ?? plan(), 'move:stock')?.state, 'running')
  }
})

test('a result of another attempt, or after the deadline, changes nothing (P12)', () => {
  let told = confirm(confirm(begun({ kind: 'create', plan: draftPlan(SURVEY, WISH).plan }, null), 10), 20)
  const outcome = { ok: true, because: '', retry: false, measuredMs: 5 }
  told = tell(told, { kind: 'acted', nowMs: 30, name: 'hold:stock/do/7', outcome })
  assert.equal(stepById(told.state.plan ?? plan(), 'hold:stock')?.state, 'running')
  const deadlineMs = stepById(plan(), 'hold:stock')?.deadlineMs ?? 0
  told = tell(told, { kind: 'tick', nowMs: 20 + deadlineMs })
  assert.ok(told.actions.includes('halt hold:stock/do/1'))
  told = tell(told, { kind: 'acted', nowMs: 40_000, name: 'hold:stock/do/1', outcome })
  assert.notEqual(stepById(told.state.plan ?? plan(), 'hold:stock')?.state, 'done')
})

test('a write without an answer is met by the next one, and nothing is begun meanwhile', () => {
  let told = confirm(begun({ kind: 'create', plan: draftPlan(SURVEY, WISH).plan }, null), 10)
  told = confirm(told, 20, 'unknown')
  assert.deepEqual(told.actions, [])
  told = tell(told, { kind: 'tick', nowMs: 400 })
  assert.deepEqual(told.actions, ['write'])
})

const VIEW: GroupView = {
  group: 'stock',
  epoch: 3,
  phase: 'open',
  holder: 'stock-1',
  writable: true,
  sites: { 'stock-1': 'north', 'stock-2': 'south' },
  paused: { by: 'plan p' },
  engines: {},
  asked: null,
}

const LOOKS: readonly (readonly [string, string, 'do' | 'undo', Partial<GroupView>, string])[] = [
  ['asks with the epoch it saw', 'move:stock', 'do', {}, 'ask switchover stock-2 3 plan p'],
  ['is done when it is there', 'move:stock', 'do', { holder: 'stock-2' }, 'done'],
  ['waits while nobody is open', 'move:stock', 'do', { holder: 'stock-2', writable: false }, 'wait'],
  ['fails when it was refused', 'move:stock', 'do', { asked: { state: 'refused', because: 'lags' } }, 'fail retry'],
  [
    'changes the hold before it goes back',
    'move:stock',
    'undo',
    { holder: 'stock-2' },
    'ask pause plan p, on its way back',
  ],
  ['goes back', 'move:stock', 'undo', { holder: 'stock-2', paused: null }, 'ask switchover stock-1 3 null'],
  ['holds', 'hold:stock', 'do', { paused: null }, 'ask pause plan p'],
  ['leaves the pause of a person alone', 'hold:stock', 'do', { paused: { by: 'ann' } }, 'fail'],
  ['does not end the pause of a person', 'hold:stock', 'undo', { paused: { by: 'ann' } }, 'done'],
  ['releases', 'release:stock', 'do', {}, 'ask resume'],
]
for (const [what, id, way, change, expected] of LOOKS) {
  test(`a step ${what}`, () => {
    const record = plan()
    const step = stepById(record, id)
    assert.ok(step !== null)
    const found = ensure(record, step, way, { ...VIEW, ...change })
    assert.equal(words(found).slice(0, expected.length), expected)
  })
}

function words(found: ReturnType<typeof ensure>): string {
  if (found.kind === 'fail') return found.retry ? 'fail retry' : 'fail'
  if (found.kind !== 'ask') return found.kind
  const { ask } = found
  if (ask.verb === 'switchover') return `ask switchover ${ask.to} ${ask.ifEpoch} ${ask.ifPausedBy}`
  return ask.verb === 'pause' ? `ask pause ${ask.by}` : `ask ${ask.verb}`
}

const FOLLOWS: readonly (readonly [string, 'operator' | 'automatic', Partial<GroupView>, string])[] = [
  ['waits for the lease when nobody is open', 'automatic', { writable: false, phase: 'claimed' }, 'wait'],
  ['orders it when a person asked', 'operator', { writable: false, phase: 'claimed' }, 'ask failover'],
  ['brings back together what came back in the old site', 'automatic', { writable: true }, 'ask switchover stock-2'],
  ['is done when the group is there', 'automatic', { holder: 'stock-2' }, 'done'],
]
for (const [what, origin, change, expected] of FOLLOWS) {
  test(`a group that follows a lost site ${what}`, () => {
    const wish: MoveWish = { ...WISH, kind: 'failover', origin }
    const record = plan({ origin }, { ...SURVEY, groups: [facts('stock', { open: false })] }, wish)
    const step = stepById(record, 'follow:stock')
    assert.ok(step !== null)
    assert.equal(
      words(ensure(record, step, 'do', { ...VIEW, paused: null, ...change })).slice(0, expected.length),
      expected,
    )
  })
}

test('who wants one plan cancelled or resumed does not touch the next one', () => {
  for (const wish of [
    { kind: 'cancel', by: 'ann', id: 'an-older-one' } as const,
    { kind: 'resume', id: 'an-older-one' } as const,
  ]) {
    const told = begun(wish, plan())
    assert.deepEqual(told.actions, ['end'])
    assert.equal(told.state.end, 'nothing')
  }
})

test('the gist of a plan is another for another order, loss, or leadership, and the same for other figures', () => {
  const gist = (survey: Survey, change: Partial<MoveWish> = {}): string =>
    gistOf(draftPlan(survey, { ...WISH, ...change }))
  const same = gist(SURVEY)
  assert.equal(gist({ ...SURVEY, past: { 'move stock': [7] } }, { id: 'another', by: 'ann' }), same)
  const led = { ...SURVEY, groups: SURVEY.groups.map((group) => ({ ...group, epoch: group.epoch + 1 })) }
  assert.notEqual(gist(led), same)
  assert.notEqual(gist({ ...SURVEY, order: SURVEY.order.map(({ group }) => ({ group, after: [] })) }), same)
})
