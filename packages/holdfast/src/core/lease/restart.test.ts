/** When a replica's engine is started anew on somebody's word, and when not. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EngineView, GroupRecord, PeerReport } from '../model.ts'
import {
  answerEngine,
  answerSessionWrite,
  engineView,
  memberSettings,
  openRecord,
  peerReport,
  roleOf,
  type Script,
  sessionRecord,
  startScript,
  take,
  tell,
} from './script.ts'

interface Start {
  readonly self?: string
  readonly record?: Partial<GroupRecord>
  readonly view?: Partial<EngineView>
  readonly peer?: Partial<PeerReport> | null
  readonly published?: number
  readonly failover?: 'observe'
}

const INTENT = { id: 'i', kind: 'switchover', to: 'c', allowDataLoss: false, by: 'me', validMs: 5_000 } as const

const PAUSE = { id: 'p', by: 'me', because: 'work', validMs: 60_000 } as const

function asked(start: Start = {}, ifEpoch = 1): { readonly s: Script; readonly because: string } {
  const { self = 'b', record = {}, view = {}, peer = {}, published = 1_000, failover } = start
  const s = startScript({ ...memberSettings(self, { kind: 'sync' }), ...(failover === undefined ? {} : { failover }) })
  tell(s, 0, { kind: 'record', revision: 5, value: openRecord(record), sentAtMs: 0, id: null })
  tell(s, 1, { kind: 'engine-view', view: engineView(self, view) })
  if (s.pending.some((a) => a.kind === 'write-session')) answerSessionWrite(s, 2, 1)
  const positions = { g: { epoch: 1, timeline: 1, lsn: published, ackedLsn: published } }
  const value = { ...sessionRecord('agent-a', 'a-1', 7), positions }
  tell(s, 3, { kind: 'session', agent: 'agent-a', value, sentAtMs: null, id: null })
  if (peer !== null) tell(s, 4, { kind: 'peer', report: peerReport('c', peer) })
  tell(s, 5, { kind: 'restart-asked', id: 77, by: 'me', ifEpoch })
  const answer = take(s, 'answer-restart')
  assert.equal(answer.id, 77)
  return { s, because: answer.accept ? 'begun' : answer.because }
}

test('a replica that follows and has caught up is started anew, once', () => {
  const { s, because } = asked()
  assert.equal(because, 'begun')
  const engine = s.pending.find((a) => a.kind === 'engine')
  assert.deepEqual(engine?.command, { do: 'follow', upstream: 'a', epoch: 1, timeline: 1, afresh: true })
  // While it is away nothing else is begun, and another word for it is refused.
  tell(s, 50, { kind: 'engine-view', view: engineView('b', { running: false, receiving: false, observedAtMs: 40 }) })
  tell(s, 60, { kind: 'restart-asked', id: 78, by: 'me', ifEpoch: 1 })
  assert.equal(take(s, 'answer-restart').because, 'busy-follow')
  assert.equal(s.pending.filter((a) => a.kind === 'engine').length, 1)
  answerEngine(s, 70)
  assert.equal(roleOf(s), 'replica')
})

const REFUSED: readonly (readonly [string, Start, string])[] = [
  ['a primary elsewhere took over since', { record: { epoch: 2 } }, 'epoch-2'],
  ['nobody is open', { record: { phase: 'released', holder: null } }, 'phase-released'],
  ['a switchover is under way', { record: { intent: INTENT } }, 'handover-under-way'],
  ['somebody paused the group', { record: { pause: PAUSE } }, 'paused-by-me'],
  ['it is only observed', { failover: 'observe' }, 'only-observed'],
  ['it does not follow', { view: { receiving: false } }, 'busy-follow'],
  ['it lacks much', { published: 2_000_000 }, 'lags-by-1999000-bytes'],
  ['it does not know how much', { view: { position: null } }, 'lag-unknown'],
  ['another replica is away', { peer: { engine: engineView('c', { receiving: false }) } }, 'c-is-away'],
  ['another replica was not heard', { peer: null }, 'c-is-away'],
]
for (const [what, start, because] of REFUSED) {
  test(`not while ${what}`, () => {
    assert.equal(asked(start).because, because)
  })
}
