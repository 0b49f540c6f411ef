import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { GroupRecord, Phase } from '../model.ts'
import {
  completeAtMs,
  keepsReaders,
  type ReplicaRule,
  type ReplicaView,
  readChoice,
  replicaVerdict,
} from './replica-choice.ts'
import {
  type Hint,
  order,
  type RouteAction,
  type RouteEvent,
  type RouteSettings,
  type RouteState,
  startRoute,
  stepRoute,
} from './route.ts'

const settings: RouteSettings = {
  group: 'g',
  members: ['a', 'b'],
  holdMs: 1_000,
  heldMax: 3,
  retryMs: 50,
  quietMs: 300,
  loopAgeMaxMs: 1_000,
  refuseAfterMs: null,
}

function record(epoch: number, phase: Phase, holder: string | null, more: Partial<GroupRecord> = {}): GroupRecord {
  return {
    v: 1,
    group: 'g',
    stamp: '',
    epoch,
    phase,
    holder,
    agent: holder,
    session: 's',
    systemId: '1',
    timeline: epoch,
    members: ['a', 'b'],
    sync: { members: [], need: 0, disks: {} },
    lastOpen: null,
    lastPublished: null,
    release: null,
    intent: null,
    pause: null,
    lastIntent: null,
    ...more,
  }
}

const switchover = { id: 'i', kind: 'switchover', to: 'b', allowDataLoss: false, by: 'me', validMs: 9_000 } as const
const hint = (epoch: number, member: string, writable: boolean, loopAgeMs = 0): Hint => ({
  standing: { epoch, phase: 'open', member },
  writable,
  loopAgeMs,
})

/** Runs events in order; collects all actions and the codes of all reasons. */
function run(events: readonly RouteEvent[], from: RouteState = startRoute()) {
  let state = from
  const actions: RouteAction[] = []
  const codes: string[] = []
  let wakeAtMs: number | null = null
  for (const event of events) {
    const step = stepRoute(state, event, settings)
    state = step.state
    wakeAtMs = step.wakeAtMs
    actions.push(...step.actions)
    codes.push(...step.reasons.map((reason) => reason.code))
  }
  return { state, actions, codes, wakeAtMs }
}

const rec = (value: GroupRecord | null, nowMs = 0): RouteEvent => ({ kind: 'record', nowMs, value })
const client = (id: number, nowMs = 0): RouteEvent => ({ kind: 'client', nowMs, id })
const connect = (id: number, epoch: number, member: string, untilMs = 1_000) =>
  ({ do: 'connect', id, epoch, member, untilMs }) as const

describe('a route', () => {
  test('waits while no holder is known, and connects in order once one is open', () => {
    const held = run([client(1), client(2), rec(record(1, 'claimed', 'a'))])
    assert.deepEqual(held.actions, [])
    assert.equal(held.wakeAtMs, 1_000)
    const open = run([rec(record(1, 'open', 'a'), 10)], held.state)
    assert.deepEqual(open.actions, [connect(1, 1, 'a'), connect(2, 1, 'a')])
    assert.equal(open.state.kind, 'open')
  })

  test('refuses a lower epoch and an earlier phase', () => {
    const { state, actions, codes } = run([
      rec(record(5, 'open', 'b')),
      rec(record(4, 'open', 'a')),
      rec(record(5, 'claimed', 'b')),
      { kind: 'hints', nowMs: 0, hints: [hint(4, 'a', true)] },
      client(1),
    ])
    assert.deepEqual(actions, [connect(1, 5, 'b')])
    assert.deepEqual(codes, ['route-open', 'older-refused', 'older-refused'])
    assert.equal(state.standing?.epoch, 5)
  })

  test('cuts the old sessions before it connects to the new holder', () => {
    const { actions } = run([
      rec(record(1, 'open', 'a')),
      rec(record(1, 'released', null)),
      client(1),
      rec(record(2, 'claimed', 'b')),
      rec(record(2, 'open', 'b')),
    ])
    assert.deepEqual(actions, [{ do: 'cut' }, connect(1, 2, 'b')])
    const skipped = run([rec(record(1, 'open', 'a')), rec(record(3, 'open', 'b')), client(1)])
    assert.deepEqual(skipped.actions, [{ do: 'cut' }, connect(1, 3, 'b')])
  })

  test('refuses those who waited too long and those who are too many', () => {
    const { actions, state } = run([client(1), client(2), client(3), client(4), { kind: 'tick', nowMs: 1_000 }])
    const refused = actions.map((action) => (action.do === 'refuse' ? `${action.id} ${action.why.code}` : action.do))
    assert.deepEqual(refused, ['4 too-many-waiting', '1 waited-too-long', '2 waited-too-long', '3 waited-too-long'])
    assert.deepEqual(state.waiting, [])
  })

  test('tries again what the backend refused, within the client’s first patience', () => {
    const failed: RouteEvent = { kind: 'connect-failed', nowMs: 100, id: 1, untilMs: 1_000 }
    const again = run([rec(record(1, 'open', 'a')), client(1), failed])
    assert.equal(again.actions.length, 1)
    assert.equal(again.wakeAtMs, 150)
    const later = run([{ kind: 'tick', nowMs: 150 }], again.state)
    assert.deepEqual(later.actions, [connect(1, 1, 'a')])
    const late = run(
      [
        { ...failed, nowMs: 990 },
        { kind: 'tick', nowMs: 1_000 },
      ],
      later.state,
    )
    assert.deepEqual(
      late.actions.map((action) => action.do),
      ['refuse'],
    )
  })

  test('keeps the last route while the store is away or empty', () => {
    const { state, actions, codes } = run([
      rec(record(2, 'open', 'a')),
      { kind: 'store-away', nowMs: 0, because: 'time-out' },
      { kind: 'store-away', nowMs: 1, because: 'time-out' },
      rec(null),
      client(1),
    ])
    assert.equal(state.kind, 'open')
    assert.deepEqual(actions, [connect(1, 2, 'a')])
    assert.deepEqual(codes, ['route-open', 'store-away', 'store-back', 'record-vanished'])
  })

  test('learns from agents, opening only on the word of one beside a holder that may write', () => {
    const hints = (list: Hint[]): RouteEvent => ({ kind: 'hints', nowMs: 0, hints: list })
    assert.equal(run([hints([hint(2, 'a', false)])]).state.kind, 'changing')
    assert.equal(run([hints([hint(2, 'a', true, 5_000)])]).state.kind, 'closed')
    assert.equal(run([hints([hint(2, 'a', false), hint(2, 'a', true)])]).state.kind, 'open')
    const moved = run([rec(record(1, 'open', 'a')), hints([hint(2, 'b', false)])])
    assert.equal(moved.state.kind, 'changing')
    assert.deepEqual(moved.actions, [{ do: 'cut' }])
  })

  test('holds new connections for an announced hand-over, not for ever', () => {
    const opened = rec(record(1, 'open', 'a'))
    const announced = run([opened, rec(record(1, 'open', 'a', { intent: switchover })), client(1)])
    assert.deepEqual(announced.actions, [])
    assert.equal(announced.wakeAtMs, 300)
    assert.deepEqual(run([{ kind: 'tick', nowMs: 300 }], announced.state).actions, [connect(1, 1, 'a')])
    assert.deepEqual(run([rec(record(1, 'open', 'a'), 10)], announced.state).actions, [connect(1, 1, 'a')])
    assert.deepEqual(run([rec(record(2, 'open', 'b'), 10)], announced.state).actions, [
      { do: 'cut' },
      connect(1, 2, 'b'),
    ])
  })

  test('does not open to a holder it has no address for', () => {
    const { state, actions, codes } = run([rec(record(1, 'open', 'z')), client(1)])
    assert.equal(state.kind, 'changing')
    assert.deepEqual(actions, [])
    assert.deepEqual(codes, ['holder-unknown'])
  })
})

const phases = fc.constantFrom<Phase>('creating', 'claimed', 'open', 'released')
const anyEvent: fc.Arbitrary<(nowMs: number, n: number) => RouteEvent> = fc.oneof(
  fc.record({ epoch: fc.integer({ min: 1, max: 5 }), phase: phases, holder: fc.constantFrom('a', 'b', 'z', null) }).map(
    ({ epoch, phase, holder }) =>
      (nowMs: number) =>
        rec(record(epoch, phase, holder), nowMs),
  ),
  fc.constant((nowMs: number, n: number) => client(n, nowMs)),
  fc.constant((nowMs: number): RouteEvent => ({ kind: 'tick', nowMs })),
  fc.constant((nowMs: number): RouteEvent => ({ kind: 'store-away', nowMs, because: 'x' })),
  fc.nat(20).map(
    (id) =>
      (nowMs: number): RouteEvent => ({ kind: 'client-gone', nowMs, id }),
  ),
  fc.tuple(fc.integer({ min: 1, max: 5 }), fc.boolean()).map(([epoch, writable]) => (nowMs: number): RouteEvent => {
    return { kind: 'hints', nowMs, hints: [hint(epoch, 'b', writable)] }
  }),
)

test('whatever happens: the standing never goes back, a cut comes first, each client is answered once', () => {
  const bound = fc.constantFrom(null, 300)
  fc.assert(
    fc.property(fc.array(fc.tuple(anyEvent, fc.nat(400)), { maxLength: 60 }), bound, (list, refuseAfterMs) => {
      let state = startRoute()
      let nowMs = 0
      let connectedTo = ''
      const answered = new Set<number>()
      for (const [n, [make, passMs]] of list.entries()) {
        nowMs += passMs
        const step = stepRoute(state, make(nowMs, n), { ...settings, refuseAfterMs })
        if (state.standing) assert.ok(step.state.standing && order(step.state.standing) >= order(state.standing))
        for (const action of step.actions) {
          if (action.do === 'cut') connectedTo = ''
          if (action.do === 'cut') continue
          assert.ok(!answered.has(action.id))
          answered.add(action.id)
          if (action.do !== 'connect') continue
          const target = `${action.epoch} ${action.member}`
          assert.ok(connectedTo === '' || connectedTo === target, 'sessions of two routes at once')
          connectedTo = target
          assert.equal(step.state.kind, 'open')
        }
        state = step.state
        assert.ok(state.waiting.length <= settings.heldMax)
        assert.ok(!state.gaveUp || (state.waiting.length === 0 && state.lostSinceMs !== null))
        assert.ok(state.waiting.every((one) => one.untilMs > nowMs && !answered.has(one.id)))
      }
    }),
  )
})

describe('the choice of a replica', () => {
  const view: ReplicaView = {
    member: 'b',
    site: 'east',
    role: 'replica',
    answering: true,
    receiving: true,
    lagBytes: 10,
    ageMs: 10,
    sessions: 0,
    staleMs: 10,
  }
  const rule: ReplicaRule = { site: 'west', lagBytesMax: 100, ageMaxMs: 1_000, staleMsMax: null, keepMsMax: null }

  test('prefers the own site, then fewer sessions, then the name', () => {
    const views = [
      view,
      { ...view, member: 'd', site: 'west', sessions: 5 },
      { ...view, member: 'c', site: 'west', sessions: 2 },
      { ...view, member: 'a' },
    ]
    assert.deepEqual(readChoice(views, rule).members, ['c', 'd', 'a', 'b'])
  })

  test('excludes what is late, silent, unknown or no replica', () => {
    assert.equal(replicaVerdict(view, rule), null)
    assert.equal(replicaVerdict({ ...view, lagBytes: 101 }, rule), 'lag-too-high')
    assert.equal(replicaVerdict({ ...view, lagBytes: null }, rule), 'lag-unknown')
    assert.equal(replicaVerdict({ ...view, ageMs: 1_001 }, rule), 'status-too-old')
    assert.equal(replicaVerdict({ ...view, role: 'primary' }, rule), 'not-a-replica')
    assert.equal(replicaVerdict({ ...view, receiving: false }, rule), 'not-receiving')
    assert.equal(replicaVerdict({ ...view, answering: false }, rule), 'not-answering')
  })

  test('keeps readers on a replica that lags or whose agent is away, not on one that became primary', () => {
    assert.equal(keepsReaders({ ...view, role: 'idle' }, rule), true)
    assert.equal(keepsReaders({ ...view, role: 'primary', ageMs: 5_000 }, rule), true)
    assert.equal(keepsReaders({ ...view, lagBytes: 1_000_000 }, rule), true)
    assert.equal(keepsReaders({ ...view, role: 'promoting' }, rule), false)
  })

  const left = { ...view, receiving: false, staleMs: 4_000 }
  const patient: ReplicaRule = { ...rule, staleMsMax: 5_000, keepMsMax: 5_000 }

  test('reads go on from who receives nothing only when nobody receives, and its age is known and bounded', () => {
    assert.deepEqual(readChoice([left], rule), { members: [], degraded: false })
    assert.deepEqual(readChoice([left], patient), { members: ['b'], degraded: true })
    assert.deepEqual(readChoice([left, { ...view, member: 'c' }], patient), { members: ['c'], degraded: false })
    // Its group has no holder any more, so there is nothing to count its lag by.
    assert.deepEqual(readChoice([{ ...left, lagBytes: null }], patient).members, ['b'])
    for (const change of [
      { staleMs: 5_001 },
      { staleMs: null },
      { lagBytes: 101 },
      { answering: false },
      { role: 'promoting' },
      { ageMs: 1_001 },
    ])
      assert.deepEqual(readChoice([{ ...left, ...change }], patient).members, [], JSON.stringify(change))
  })

  test('readers of who receives nothing are cut past the bound, and never for what is not known', () => {
    assert.equal(keepsReaders(left, patient), true)
    assert.equal(keepsReaders({ ...left, staleMs: 5_001 }, patient), false)
    assert.equal(keepsReaders({ ...left, staleMs: 5_001, receiving: true }, patient), true)
    assert.equal(keepsReaders({ ...left, staleMs: 5_001, ageMs: 2_000 }, patient), true)
    assert.equal(keepsReaders({ ...left, staleMs: null }, patient), true)
    assert.equal(keepsReaders({ ...left, staleMs: 5_001 }, rule), true)
  })

  test('an age that is not told any more goes on from what was known', () => {
    assert.equal(completeAtMs(null, null, 100), null)
    assert.equal(completeAtMs(null, 40, 100), 60)
    assert.equal(completeAtMs(60, null, 200), 60)
    assert.equal(completeAtMs(60, 500, 200), 60)
    assert.equal(completeAtMs(60, 10, 200), 190)
  })
})

describe('without a primary', () => {
  const bounded: RouteSettings = { ...settings, refuseAfterMs: 400 }
  const walk = (events: readonly RouteEvent[], from: RouteState = startRoute()) => {
    let state = from
    const told: string[] = []
    let wakeAtMs: number | null = null
    for (const event of events) {
      const step = stepRoute(state, event, bounded)
      state = step.state
      wakeAtMs = step.wakeAtMs
      for (const action of step.actions)
        told.push(
          action.do === 'refuse'
            ? `${action.id} ${action.why.code}`
            : `${action.do}${action.do === 'cut' ? '' : ` ${action.id}`}`,
        )
    }
    return { state, told, wakeAtMs }
  }
  const opened = rec(record(1, 'open', 'a'), 0)
  const failed = (id: number, nowMs: number, untilMs = 1_000): RouteEvent => {
    return { kind: 'connect-failed', nowMs, id, untilMs }
  }

  test('clients wait as long as a failover may take; then all are refused, and who comes at once', () => {
    const short = walk([opened, rec(record(1, 'released', null), 100), client(1, 200)])
    assert.deepEqual(short.told, ['cut'])
    assert.equal(short.wakeAtMs, 500)
    assert.deepEqual(walk([rec(record(2, 'open', 'b'), 499)], short.state).told, ['connect 1'])
    const long = walk([{ kind: 'tick', nowMs: 500 }, client(2, 510)], short.state)
    assert.deepEqual(long.told, ['1 no-primary', '2 no-primary'])
    assert.deepEqual(walk([rec(record(2, 'open', 'b'), 900), client(3, 901)], long.state).told, ['connect 3'])
    assert.deepEqual(walk([client(1, 0), { kind: 'tick', nowMs: 400 }]).told, ['1 no-primary'])
  })

  test('an open route that takes nobody: sessions are cut, each who comes is one attempt', () => {
    const tried = walk([opened, client(1, 10), failed(1, 20), { kind: 'tick', nowMs: 290 }, failed(1, 300)])
    assert.equal(tried.state.lostSinceMs, 20)
    const lost = walk([{ kind: 'tick', nowMs: 420 }], tried.state)
    assert.deepEqual(lost.told, ['cut', 'connect 1'])
    assert.deepEqual(walk([failed(1, 430), client(2, 440)], lost.state).told, ['1 no-primary', 'connect 2'])
    const back = walk([{ kind: 'connected', nowMs: 450 }, client(3, 460), failed(3, 470)], lost.state)
    assert.deepEqual(back.told, ['connect 3'])
    assert.equal(back.state.lostSinceMs, 470)
  })

  test('one who met nothing once and left closes no route, not long after either', () => {
    const gone = walk([opened, client(1, 10), failed(1, 20), { kind: 'client-gone', nowMs: 30, id: 1 }])
    assert.equal(gone.wakeAtMs, null)
    const later = walk([{ kind: 'tick', nowMs: 420 }, client(2, 19_000), failed(2, 19_010, 20_000)], gone.state)
    assert.deepEqual(later.told, ['connect 2'])
    assert.equal(later.state.lostSinceMs, 19_010)
    const often = [
      client(3, 19_200),
      failed(3, 19_300, 20_000),
      { kind: 'client-gone', nowMs: 19_310, id: 3 } as RouteEvent,
    ]
    const all = walk(
      [{ kind: 'client-gone', nowMs: 19_020, id: 2 }, ...often, { kind: 'tick', nowMs: 19_410 }],
      later.state,
    )
    assert.deepEqual(all.told, ['connect 3', 'cut'])
  })

  test('nobody is cut or refused at once while an agent vouches for the primary', () => {
    const vouched: RouteEvent = { kind: 'hints', nowMs: 300, hints: [hint(1, 'a', true)] }
    const state = walk([opened, client(1, 10), failed(1, 20), vouched, { kind: 'tick', nowMs: 890 }, failed(1, 900)])
    assert.deepEqual(state.told, ['connect 1', 'connect 1'])
    assert.equal(state.state.gaveUp, false)
    const gone = walk([{ kind: 'tick', nowMs: 1_300 }], state.state)
    assert.equal(gone.state.gaveUp, true)
    const again: RouteEvent = { kind: 'hints', nowMs: 1_400, hints: [hint(1, 'a', true)] }
    assert.equal(walk([again], gone.state).state.lostSinceMs, null)
  })
})
