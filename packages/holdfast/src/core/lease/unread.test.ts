import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CorePort } from '../../sim/core-port.ts'
import { streamOf } from '../../sim/prng.ts'
import { REAL_CORE, runScenario } from '../../sim/run.ts'
import { drawScenario } from '../../sim/scenario.ts'
import { NEVER_MS } from '../model.ts'
import { membersOf, type NodeEvent, type NodeSettings, type NodeState, startNode, stepNode } from '../node.ts'
import { engineView, memberSettings, openRecord, peerReport, sessionRecord } from './script.ts'
import type { Unread } from './unread.ts'

/** Nobody's, and as many as are kept: with it the core decides at once. */
const FULL: Unread = { member: '', atMs: 0, fact: null, count: 64, before: null }

test('a report or a beat left unread leads to the same decisions and the same state as one that is decided on', () => {
  let left = 0
  let read = 0
  const core: CorePort = {
    ...REAL_CORE,
    step(state: NodeState, event, settings) {
      const result = REAL_CORE.step(state, event, settings)
      const again = REAL_CORE.step({ ...state, members: membersOf(state), unread: FULL }, event, settings)
      assert.deepEqual(result.actions, again.actions)
      assert.deepEqual(result.reasons, again.reasons)
      assert.equal(result.wakeAtMs, again.wakeAtMs)
      assert.deepEqual(result.state.session, again.state.session)
      assert.deepEqual(membersOf(result.state), membersOf(again.state))
      if (result.state.unread) left += 1
      else if (state.unread) read += 1
      return result
    },
  }
  for (const mix of ['quiet', 'switchover', 'lease'] as const) {
    const scenario = { ...drawScenario(8, mix), horizonMs: 120_000 }
    assert.equal(runScenario(scenario, { core, safetyOnly: true }).violation, null)
  }
  assert.ok(left > 500 && read > 200, `${left} left, ${read} read`)
})

test('what comes after a long gap is decided on, although nobody looks at it', () => {
  let follower: { state: NodeState; settings: NodeSettings } | null = null
  const core: CorePort = {
    ...REAL_CORE,
    step(state, event, settings) {
      const result = REAL_CORE.step(state, event, settings)
      const own = Object.values(result.state.members)[0]
      if (result.state.unread && own?.role === 'replica') follower ??= { state: result.state, settings }
      return result
    },
  }
  runScenario({ ...drawScenario(8, 'quiet'), horizonMs: 30_000 }, { core, safetyOnly: true })
  assert.ok(follower !== null)
  const { state, settings } = follower as { state: NodeState; settings: NodeSettings }
  const far = { ...state, session: { ...state.session, trustedUntilMs: NEVER_MS, nextBeatAtMs: NEVER_MS } }
  const [[name, own]] = Object.entries(membersOf(state)) as [[string, NodeState['members'][string]]]
  const peer = settings.members[0]?.members.find((m) => m.member !== name)?.member ?? ''
  const nowMs = own.lastEventAtMs + 60_000
  assert.ok(own.role === 'replica' && own.holder !== null)
  // Its holder was heard just now, so that nothing but the gap is left to decide on.
  const calm = { ...own, wakeAtMs: NEVER_MS, holder: { ...own.holder, unchangedSinceMs: nowMs } }
  const patient = { ...far, members: { [name]: calm } }
  const report = { ...peerReport(peer), member: peer }
  const heard = REAL_CORE.step(
    patient,
    { to: 'member', member: name, event: { kind: 'peer', report, nowMs } },
    settings,
  )
  assert.deepEqual(
    heard.reasons.map((reason) => reason.code).filter((code) => code === 'loop-gap'),
    ['loop-gap'],
  )
})

/** Two groups on one agent, their replicas b and y; what they hear comes in an order drawn from a seed. */
function heardByTwo(seed: number): { settings: NodeSettings; events: NodeEvent[] } {
  const first = memberSettings('b', { kind: 'sync' })
  const second = { ...memberSettings('y', { kind: 'sync' }, ['x', 'y', 'z']), group: 'h' }
  const { ttlMs, beatMs, requestMs, marginMs } = first.timing
  const settings = { agent: 'agent-b', ttlMs, beatMs, requestMs, marginMs, members: [first, second] }
  const other = openRecord({ group: 'h', holder: 'x', agent: 'agent-x', session: 'x-1', members: ['x', 'y', 'z'] })
  const random = streamOf(seed, 'heard')
  const events: NodeEvent[] = []
  let nowMs = 0
  for (let round = 0; round < 400; round += 1) {
    nowMs += random.range(1, 40)
    const [member, holder, peers, value] = random.chance(0.5)
      ? (['b', 'a', ['a', 'c'], openRecord()] as const)
      : (['y', 'x', ['x', 'z'], other] as const)
    const agent = `agent-${holder}`
    const beat = {
      kind: 'session',
      agent,
      value: sessionRecord(agent, `${holder}-1`, round),
      sentAtMs: null,
      id: null,
      nowMs,
    } as const
    const look = {
      kind: 'engine-view',
      view: engineView(member, { upstream: holder, observedAtMs: nowMs }),
      nowMs,
    } as const
    const record = { kind: 'record', revision: 3, value, sentAtMs: nowMs, id: null, nowMs } as const
    const report = { kind: 'peer', report: peerReport(random.pick(peers)), nowMs } as const
    const event = random.pick([beat, look, record, report, report, report])
    if (random.chance(0.2)) events.push({ to: 'node', event: { kind: 'tick', nowMs } })
    events.push({ to: 'member', member, event })
  }
  return { settings, events }
}

test('two members of one agent each read what they heard themselves', () => {
  let left = 0
  for (let seed = 1; seed <= 5; seed += 1) {
    const { settings, events } = heardByTwo(seed)
    let state = startNode(settings, 'boot', 0)
    let sent: { id: number; sentAtMs: number }[] = []
    for (const event of events) {
      const answers: NodeEvent[] = sent.map((write) => {
        const outcome = { kind: 'ok', revision: 1, value: null } as const
        return { to: 'session', event: { kind: 'session-written', ...write, outcome, nowMs: event.event.nowMs } }
      })
      for (const next of [...answers, event]) {
        const result = stepNode(state, next, settings)
        const again = stepNode({ ...state, members: membersOf(state), unread: FULL }, next, settings)
        assert.deepEqual(
          [result.actions, result.reasons, result.wakeAtMs],
          [again.actions, again.reasons, again.wakeAtMs],
        )
        assert.deepEqual(membersOf(result.state), membersOf(again.state))
        const write = result.actions.find((action) => action.kind === 'write-session')
        sent = write === undefined ? [] : [{ id: write.id, sentAtMs: next.event.nowMs }]
        state = result.state
        const heard = new Set<string>()
        for (let at = state.unread ?? null; at !== null; at = at.before) heard.add(at.member)
        if (heard.size === 2) left += 1
      }
    }
  }
  assert.ok(left > 100, `both had something unread ${left} times`)
})
