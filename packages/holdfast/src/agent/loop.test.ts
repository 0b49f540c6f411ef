import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NodeEvent, NodeSettings, NodeState } from '../core/node.ts'
import type { Action } from '../core/protocol.ts'
import { systemClock } from '../io/clock.ts'
import { type Core, Loop, QUEUE_MAX } from './loop.ts'

const SETTINGS: NodeSettings = { agent: 'a1', ttlMs: 1_000, beatMs: 200, requestMs: 150, marginMs: 20, members: [] }
const FAR_MS = 3_600_000

interface Seen {
  readonly events: NodeEvent[]
  readonly actions: Action[]
}

/** A core of the test's own: what it does per event is given; its state only counts. */
function loopOf(
  decide: (event: NodeEvent, nowMs: number) => { actions?: readonly Action[]; wakeAtMs?: number },
  perform: (action: Action, loop: Loop) => void = () => undefined,
  settings = SETTINGS,
): { loop: Loop; seen: Seen; defects: unknown[] } {
  const seen: Seen = { events: [], actions: [] }
  const defects: unknown[] = []
  const core: Core = {
    start: () => ({ nextId: 1 }) as unknown as NodeState,
    step: (state, event) => {
      seen.events.push(event)
      const nowMs = event.event.nowMs
      const { actions = [], wakeAtMs = nowMs + FAR_MS } = decide(event, nowMs)
      return { state: { ...state, nextId: state.nextId + 1 }, actions, reasons: [], wakeAtMs }
    },
  }
  const loop: Loop = new Loop({
    core,
    settings,
    bootId: 'boot',
    clock: systemClock,
    journal: { append: () => undefined },
    reasons: { add: () => undefined },
    perform: (action) => {
      seen.actions.push(action)
      perform(action, loop)
    },
    onDefect: (error) => defects.push(error),
  })
  return { loop, seen, defects }
}

function exited(member: string): NodeEvent {
  return { to: 'member', member, event: { kind: 'engine-exited', nowMs: 0 } }
}

test('an event posted while another is stepped waits until all actions of the first are performed', () => {
  const order: string[] = []
  const { loop, seen } = loopOf(
    (event) => {
      order.push(`step ${event.to === 'member' ? event.member : event.to}`)
      return event.to === 'member' && event.member === 'm1' ? { actions: [disarm('first'), disarm('second')] } : {}
    },
    (action, l) => {
      order.push(`perform ${action.kind === 'disarm' ? action.member : ''}`)
      if (action.kind === 'disarm' && action.member === 'first') l.post(exited('m2'))
    },
  )
  loop.post(exited('m1'))
  loop.stop()
  assert.deepEqual(order, ['step m1', 'perform first', 'perform second', 'step m2'])
  assert.equal(seen.events.length, 2)
})

test('events carry the time at which they are stepped, which never goes back', () => {
  const { loop, seen } = loopOf(() => ({}))
  loop.post(exited('m1'))
  loop.post(exited('m2'))
  loop.stop()
  const [first, second] = seen.events.map((event) => event.event.nowMs)
  assert.ok(first !== undefined && second !== undefined && first > 0 && second >= first)
})

/** Waits for what does not depend on how busy the machine is. */
async function until(there: () => boolean, what: string): Promise<void> {
  for (let i = 0; i < 1_000 && !there(); i += 1) await new Promise((resolve) => setTimeout(resolve, 10))
  assert.ok(there(), what)
}

test('the core is woken when it asked to be, long before the next beat', async (t) => {
  let wakeAtMs = 0
  const decide = (_: NodeEvent, nowMs: number): { wakeAtMs: number } => {
    if (wakeAtMs === 0) wakeAtMs = nowMs + 30
    return { wakeAtMs: nowMs < wakeAtMs ? wakeAtMs : nowMs + FAR_MS }
  }
  const { loop, seen } = loopOf(decide, undefined, { ...SETTINGS, beatMs: FAR_MS })
  t.after(() => loop.stop())
  loop.start()
  await until(() => seen.events.some(({ event }) => event.nowMs >= wakeAtMs), 'it is woken')
})

test('the core is woken once per beat when it asked for later', async (t) => {
  const { loop, seen } = loopOf(() => ({}))
  t.after(() => loop.stop())
  loop.start()
  await until(() => seen.events.length >= 4, 'three beats')
  const times = seen.events.slice(1).map(({ event }) => event.nowMs)
  const gapsMs = times.slice(1).map((at, i) => at - (times[i] ?? 0))
  assert.ok(
    gapsMs.every((gapMs) => gapMs >= SETTINGS.beatMs - 5),
    `woken after ${gapsMs.join(', ')} ms`,
  )
})

test('a core that throws stops the loop and is told once', () => {
  const { loop, seen, defects } = loopOf(() => {
    throw new Error('broken invariant')
  })
  loop.post(exited('m1'))
  loop.post(exited('m2'))
  assert.equal(defects.length, 1)
  assert.equal(seen.events.length, 1)
})

test('a core that feeds itself without end is stopped at the bound of the queue', () => {
  const { loop, defects } = loopOf(
    () => ({ actions: [disarm('a'), disarm('b')] }),
    (_, l) => l.post(exited('m1')),
  )
  loop.post(exited('m1'))
  assert.equal(defects.length, 1)
  assert.match(String(defects[0]), new RegExp(String(QUEUE_MAX)))
})

test('nothing is stepped after the stop', () => {
  const { loop, seen } = loopOf(() => ({}))
  loop.stop()
  loop.post(exited('m1'))
  assert.equal(seen.events.length, 0)
})

function disarm(member: string): Action {
  return { kind: 'disarm', member }
}
