import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CorePort } from '../../sim/core-port.ts'
import { REAL_CORE, runScenario } from '../../sim/run.ts'
import { drawScenario } from '../../sim/scenario.ts'
import { NEVER_MS } from '../model.ts'
import { membersOf, type NodeSettings, type NodeState } from '../node.ts'
import { peerReport } from './script.ts'
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
