import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { escalated } from './desk.ts'
import type { Sample } from './expression.ts'
import { fits } from './mute.ts'
import type { Alert, AlertsConfig, AlertsEvent, AlertsState, Delivery, Phase, Rule } from './state.ts'
import { EMPTY } from './state.ts'
import { stepAlerts } from './step.ts'

const SERIES = 'holdfast_member_engine_up'
const RULE: Rule = {
  id: 'engine-down',
  severity: 'critical',
  by: ['group', 'member'],
  forMs: 1_000,
  keepMs: 2_000,
  limit: 0,
  engine: '',
  asks: { kind: 'compare', left: { kind: 'series', name: SERIES, where: {} }, is: '==', right: 0 },
  hiddenBy: [],
  summary: 'The engine of {member} is down',
  next: 'look',
}
const CONFIG: AlertsConfig = {
  platform: 'p',
  rules: [RULE],
  routes: { critical: ['chat'], warning: ['chat'], info: [] },
  escalation: null,
  groupWaitMs: 0,
  repeatMs: 1_000_000,
}

/** A world around the core: steps, keeps what was sent, answers when told to. */
class World {
  state: AlertsState = EMPTY
  nowMs = 0
  silences = 0
  readonly sent: Delivery[] = []
  readonly config: AlertsConfig

  constructor(config: Partial<AlertsConfig> = {}) {
    this.config = { ...CONFIG, ...config }
  }

  step(event: AlertsEvent): readonly Delivery[] {
    const { state, deliveries } = stepAlerts(this.state, event, this.config)
    this.state = JSON.parse(JSON.stringify(state)) as AlertsState
    this.sent.push(...deliveries)
    return deliveries
  }

  look(atMs: number, down: readonly string[]): readonly Delivery[] {
    this.nowMs = atMs
    const samples = ['a', 'b'].map((member): Sample => {
      return { labels: { group: 'g', member, instance: 'i' }, value: down.includes(member) ? 0 : 1 }
    })
    return this.step({ kind: 'looked', nowMs: atMs, wallMs: atMs, series: new Map([[SERIES, samples]]) })
  }

  answer(delivery: Delivery, ok: boolean): readonly Delivery[] {
    const about = { desk: delivery.desk, id: delivery.id, because: 'x', waitMs: 0, chance: 0 }
    return this.step({ kind: 'delivered', nowMs: this.nowMs, ok, ...about })
  }

  tick(atMs: number): readonly Delivery[] {
    this.nowMs = atMs
    return this.step({ kind: 'tick', nowMs: atMs })
  }

  silence(atMs: number, validMs: number, matchers: Record<string, string> = { group: 'g' }): void {
    this.nowMs = atMs
    const rest = { by: 'me', because: 'work', validMs, matchers }
    this.step({ kind: 'silence', nowMs: atMs, id: `s${this.silences++}`, ...rest })
  }

  alert(member = 'a'): Alert | undefined {
    return Object.values(this.state.alerts).find(({ labels }) => labels.member === member)
  }

  /** Fires for member a, told and confirmed. */
  firing(): this {
    this.look(0, ['a'])
    const [first] = this.look(1_000, ['a'])
    assert.ok(first)
    this.answer(first, true)
    return this
  }
}

type Kind = 'holds' | 'holds-not' | 'tick' | 'acknowledge'
type Expected = Phase | 'none'

/** Every phase with every event that can move it; a new phase does not compile until its row is here. */
const TABLE: Readonly<Record<Expected, Readonly<Record<Kind, Expected>>>> = {
  none: { holds: 'pending', 'holds-not': 'none', tick: 'none', acknowledge: 'none' },
  pending: { holds: 'firing', 'holds-not': 'none', tick: 'pending', acknowledge: 'pending' },
  firing: { holds: 'firing', 'holds-not': 'clearing', tick: 'firing', acknowledge: 'firing' },
  clearing: { holds: 'firing', 'holds-not': 'ended', tick: 'clearing', acknowledge: 'clearing' },
  // A new firing begins; the old one stays owed beside it.
  ended: { holds: 'pending', 'holds-not': 'ended', tick: 'ended', acknowledge: 'ended' },
}
const REACH: Readonly<Record<Expected, (world: World) => void>> = {
  none: (world) => world.look(0, []),
  pending: (world) => world.look(0, ['a']),
  firing: (world) => void world.firing(),
  clearing: (world) => world.firing().look(1_100, []),
  ended: (world) => {
    world.firing().look(1_100, [])
    world.look(3_200, [])
  },
}
for (const [from, row] of Object.entries(TABLE) as [Expected, Readonly<Record<Kind, Expected>>][]) {
  for (const [kind, expected] of Object.entries(row) as [Kind, Expected][]) {
    test(`${from}, ${kind}: ${expected}`, () => {
      const world = new World()
      REACH[from](world)
      assert.equal(world.alert()?.phase ?? 'none', from)
      if (kind === 'holds') world.look(9_000, ['a'])
      else if (kind === 'holds-not') world.look(9_000, [])
      else if (kind === 'tick') world.tick(9_000)
      else world.step({ kind: 'acknowledge', nowMs: 9_000, id: world.alert()?.id ?? '', by: 'me' })
      const open = Object.values(world.state.alerts).filter(({ episode }) => episode === world.state.nextEpisode - 1)
      assert.equal(open[0]?.phase ?? 'none', expected)
    })
  }
}

test('it is told once, its end once, and neither again while nothing changes', () => {
  const world = new World()
  assert.deepEqual(world.look(0, ['a']), [])
  const [fired] = world.look(1_000, ['a'])
  assert.ok(fired)
  assert.equal(fired.kind, 'trigger')
  assert.equal(fired.firing[0]?.summary, 'The engine of a is down')
  assert.deepEqual(world.look(1_500, ['a']), [], 'one message of a desk at a time')
  assert.deepEqual(world.answer(fired, true), [])
  assert.deepEqual(world.look(2_000, ['a']), [])
  world.look(3_000, [])
  const [over] = world.look(5_000, [])
  assert.ok(over)
  assert.equal(over.kind, 'resolve')
  world.answer(over, true)
  assert.deepEqual(world.look(6_000, []), [])
  assert.deepEqual([world.state.alerts, world.state.desks], [{}, {}])
})

test('what comes and goes within its damping is one alert', () => {
  const world = new World().firing()
  for (let ms = 1_500; ms < 20_000; ms += 1_000) assert.deepEqual(world.look(ms, ms % 2_000 === 500 ? [] : ['a']), [])
  assert.equal(world.sent.length, 1)
})

test('a message that failed is tried again later and later, with the same id while it says the same', () => {
  const world = new World()
  world.look(0, ['a'])
  let delivery = world.look(1_000, ['a'])[0]
  const ids = new Set<string>()
  const atMs: number[] = []
  while (atMs.length < 6) {
    assert.ok(delivery)
    ids.add(delivery.id)
    atMs.push(world.nowMs)
    world.answer(delivery, false)
    do delivery = world.tick(world.nowMs + 100)[0]
    while (delivery === undefined)
  }
  assert.equal(ids.size, 1)
  const waits = atMs.slice(1).map((ms, at) => ms - (atMs[at] ?? 0))
  assert.ok(
    waits.every((wait, at) => at === 0 || wait > (waits[at - 1] ?? 0)),
    waits.join(),
  )
  assert.ok(delivery)
  world.answer(delivery, false)
  world.look(world.nowMs + 100, ['a', 'b'])
  const [other] = world.look(world.nowMs + 600_000, ['a', 'b'])
  assert.equal(other?.firing.length, 2)
  assert.ok(!ids.has(other?.id ?? ''))
})

test('after a restart what was under way is sent again word for word, and a late answer says nothing', () => {
  const world = new World()
  world.look(0, ['a'])
  const [first] = world.look(1_000, ['a'])
  const [again] = world.step({ kind: 'resumed', nowMs: 1_100 })
  assert.deepEqual(again, first)
  assert.ok(first)
  world.answer(first, true)
  const before = world.state
  world.answer(first, false)
  assert.deepEqual(world.state, before)
  assert.deepEqual(world.step({ kind: 'resumed', nowMs: 1_200 }), [])
})

test('a silence keeps quiet about beginnings and ends, and what was told is ended when it is over', () => {
  const world = new World()
  world.silence(0, 5_000)
  world.look(0, ['a'])
  world.look(1_000, ['a'])
  assert.equal(world.alert()?.phase, 'firing')
  assert.equal(world.sent.length, 0)
  const [late] = world.look(5_000, ['a'])
  assert.equal(late?.kind, 'trigger', 'it still fires when the silence ends')
  assert.ok(late)
  world.answer(late, true)
  world.silence(6_000, 10_000)
  world.look(7_000, [])
  assert.deepEqual(world.look(10_000, []), [])
  const [over] = world.tick(16_000)
  assert.equal(over?.kind, 'resolve')
})

test('one that began and ended under a silence is told to nobody', () => {
  const world = new World()
  world.silence(0, 20_000)
  for (const [ms, down] of [
    [0, ['a']],
    [1_000, ['a']],
    [2_000, []],
    [9_000, []],
  ] as const)
    world.look(ms, down)
  world.tick(30_000)
  assert.deepEqual([world.sent, world.state.alerts], [[], {}])
})

test('a message that failed may have arrived, so its end is told, also after a silence', () => {
  const world = new World()
  world.look(0, ['a'])
  const [first] = world.look(1_000, ['a'])
  assert.ok(first)
  world.answer(first, false)
  world.silence(1_000, 9_000)
  world.look(1_100, [])
  world.look(3_200, [])
  assert.deepEqual(world.tick(9_900), [])
  assert.equal(world.tick(10_000)[0]?.kind, 'resolve')
})

test('a lost site hides its agents', () => {
  const up = (labels: Record<string, string>): Sample => ({ labels, value: 0 })
  const asks = { kind: 'compare', left: { kind: 'series', name: 'up', where: {} }, is: '==', right: 0 } as const
  const site: Rule = { ...RULE, id: 'site-lost', by: ['site'], asks, summary: 'Site {site}', forMs: 0 }
  const hiddenBy = [{ rule: 'site-lost', equal: ['site'] }]
  const agent: Rule = {
    ...RULE,
    id: 'agent-silent',
    by: ['agent', 'site'],
    asks,
    hiddenBy,
    summary: '{agent}',
    forMs: 0,
  }
  const world = new World({ rules: [agent, site] })
  const series = new Map([['up', [up({ agent: 'a', site: 'x' }), up({ agent: 'b', site: 'x' })]]])
  const [delivery] = world.step({ kind: 'looked', nowMs: 0, wallMs: 0, series })
  assert.deepEqual(
    delivery?.firing.map(({ rule }) => rule),
    ['site-lost'],
  )
  assert.equal(world.sent.length, 1)
})

test('what nobody took in time goes further, and stops going when somebody takes it', () => {
  const world = new World({ escalation: { afterMs: 10_000, to: ['boss'] } }).firing()
  assert.deepEqual(world.tick(10_900), [])
  const [further] = world.tick(11_000)
  assert.equal(further?.channel, 'boss')
  assert.ok(further)
  world.answer(further, true)
  const told = world.step({ kind: 'acknowledge', nowMs: 12_000, id: world.alert()?.id ?? '', by: 'me' })
  assert.deepEqual(told.map(({ channel, kind }) => `${channel} ${kind}`).sort(), [
    'boss acknowledge',
    'chat acknowledge',
  ])
  const alert = world.alert()
  assert.ok(alert !== undefined && !escalated(alert, world.config, 99_000))
  for (const one of told) world.answer(one, true)
  world.look(13_000, [])
  const ends = world.look(16_000, [])
  assert.deepEqual(ends.map(({ channel, kind }) => `${channel} ${kind}`).sort(), ['boss resolve', 'chat resolve'])
})

test('what still fires is told again after a while, unless somebody has it', () => {
  const world = new World({ repeatMs: 5_000 }).firing()
  assert.deepEqual(world.tick(5_900), [])
  const [again] = world.tick(6_000)
  assert.ok(again)
  world.answer(again, true)
  for (const one of world.step({ kind: 'acknowledge', nowMs: 7_000, id: world.alert()?.id ?? '', by: 'me' }))
    world.answer(one, true)
  assert.deepEqual(world.tick(90_000), [])
})

test('a counter that grew is an alert for its window, also across a restart of what counts', () => {
  const asks = {
    kind: 'compare',
    left: { kind: 'increase', name: 'holdfast_fences_total', where: {}, overMs: 100_000 },
    is: '>',
    right: 0,
  } as const
  const world = new World({ rules: [{ ...RULE, forMs: 0, keepMs: 0, by: ['member'], asks }] })
  const at = (nowMs: number, value: number): readonly Delivery[] => {
    world.nowMs = nowMs
    const series = new Map([['holdfast_fences_total', [{ labels: { member: 'a' }, value }]]])
    return world.step({ kind: 'looked', nowMs, wallMs: 0, series })
  }
  assert.deepEqual(at(0, 7), [], 'what was before we looked is not new')
  assert.deepEqual(at(10_000, 7), [])
  const [grew] = at(20_000, 8)
  assert.ok(grew)
  world.answer(grew, true)
  assert.deepEqual(at(110_000, 8), [])
  const [over] = at(130_000, 8)
  assert.equal(over?.kind, 'resolve')
  assert.ok(over)
  world.answer(over, true)
  assert.deepEqual(at(140_000, 0), [], 'it started again')
  assert.equal(at(150_000, 1)[0]?.kind, 'trigger')
})

test('patterns of silences are texts with stars, and a hostile one ends quickly', () => {
  for (const [pattern, text, expected] of [
    ['a', 'a', true],
    ['a', 'ab', false],
    ['a*', 'ab', true],
    ['*b', 'ab', true],
    ['*', '', true],
    ['a*b*c', 'a1b2c', true],
    ['a*b*c', 'abc', true],
    ['ab*ba', 'aba', false],
    ['*a*', 'bbb', false],
    ['.', 'x', false],
  ] as const)
    assert.equal(fits(pattern, text), expected, `${pattern} ${text}`)
  assert.equal(fits(`${'*a'.repeat(100)}b`, 'a'.repeat(5_000)), false)
})

const action = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('look' as const), down: fc.subarray(['a', 'b']) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('answer' as const), ok: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('ack' as const), member: fc.constantFrom('a', 'b') }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('silence' as const), forMs: fc.integer({ min: 1, max: 9_000 }) }),
  },
)

test('each firing is told and ended exactly once by confirmed messages, none under a silence, all is bounded', () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const world = new World()
      const begun = new Map<string, number>()
      const ended = new Map<string, number>()
      const fired = new Set<string>()
      let muteUntilMs = -1
      let open: Delivery | null = null
      const seen = (deliveries: readonly Delivery[]): void => {
        for (const delivery of deliveries) {
          assert.ok(world.nowMs >= muteUntilMs, 'sent under a silence')
          open = delivery
        }
      }
      const answer = (ok: boolean): void => {
        if (open === null) return
        const delivery: Delivery = open
        open = null
        if (ok) {
          for (const { key, episode } of delivery.firing) begun.set(`${key}#${episode}`, 1)
          for (const { key, episode } of delivery.resolved) {
            const id = `${key}#${episode}`
            ended.set(id, (ended.get(id) ?? 0) + 1)
          }
        }
        seen(world.answer(delivery, ok))
      }
      const look = (down: readonly string[]): void => {
        seen(world.look(world.nowMs + 500, down))
        for (const { phase, labels, episode } of Object.values(world.state.alerts)) {
          if (phase === 'firing' && world.nowMs >= muteUntilMs) fired.add(`${labels.member}#${episode}`)
        }
        assert.ok(Object.keys(world.state.alerts).length <= 40 && Object.keys(world.state.desks).length <= 1)
      }
      for (const one of actions) {
        if (one.kind === 'look') look(one.down)
        else if (one.kind === 'answer') answer(one.ok)
        else if (one.kind === 'ack') {
          const id = world.alert(one.member)?.id ?? ''
          seen(world.step({ kind: 'acknowledge', nowMs: world.nowMs, id, by: 'me' }))
        } else if (one.kind === 'silence') {
          world.silence(world.nowMs, one.forMs)
          muteUntilMs = Math.max(muteUntilMs, world.nowMs + one.forMs)
        } else if (open !== null) {
          // What is under way was sent before the silence; it is the same message.
          open = world.step({ kind: 'resumed', nowMs: world.nowMs })[0] ?? null
        }
      }
      for (let round = 0; round < 60; round++) {
        answer(true)
        seen(world.look(world.nowMs + 500, []))
      }
      assert.deepEqual([world.state.alerts, world.state.desks], [{}, {}], 'something is still owed')
      for (const [id, times] of ended) assert.equal(times, 1, id)
      for (const id of begun.keys()) assert.equal(ended.get(id), 1, `${id} was not ended`)
      // What began unsaid and ended under a silence is told to nobody: that is what a silence is for.
      for (const short of muteUntilMs < 0 ? fired : []) {
        assert.ok(
          [...ended.keys()].some((id) => id.endsWith(`#${short.split('#')[1]}`)),
          `${short} was never told`,
        )
      }
    }),
    { numRuns: 300 },
  )
})
