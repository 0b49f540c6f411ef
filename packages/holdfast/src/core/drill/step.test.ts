/**
 * Golden scenarios (`testdata/<name>.txt`; `HOLDFAST_REWRITE=1` writes them anew) and properties of the drill room.
 */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { DrillAction, DrillEvent, DrillSettings, DrillState, Facts, Measured } from './model.ts'
import { drillSettings } from './settings.fixture.ts'
import { startDrill, stepDrill } from './step.ts'
import { TRANSITIONS } from './transitions.ts'

const WELL: Facts = { healthy: true, because: '', busyWith: null, lagBytes: 0 }
const MEASURED: Measured = { rtoMs: 3_400, rpoMs: 0, acked: 900, lost: 0, doubled: 0, failed: 4 }

type Bare = DrillEvent extends infer E ? (E extends unknown ? Omit<E, 'nowMs'> : never) : never

class Script {
  readonly lines: string[] = []
  state: DrillState
  readonly settings: DrillSettings

  constructor(settings: DrillSettings) {
    this.settings = settings
    const { state, actions, reasons } = startDrill(settings, 0)
    this.state = state
    this.#write('start', actions, reasons)
  }

  tell(nowMs: number, event: Bare): this {
    const { state, actions, reasons } = stepDrill(this.state, { ...event, nowMs } as DrillEvent, this.settings)
    const { kind, ...rest } = event
    const words = kind === 'tick' ? '' : ` ${JSON.stringify(rest)}`
    const moved = state.phase === this.state.phase ? [] : [`    phase ${this.state.phase} -> ${state.phase}`]
    this.state = state
    this.#write(`@${nowMs} ${kind}${words}`, actions, reasons)
    this.lines.push(...moved)
    return this
  }

  /** To the moment in which the fault is on. */
  toFault(): this {
    this.tell(100, { kind: 'facts', facts: WELL })
    this.tell(100, { kind: 'canary', canary: { acked: 5, failed: 0, lastAckMs: 90 } })
    this.tell(200, { kind: 'tick' })
    this.tell(300, { kind: 'probed', when: 'before', held: [true, true] })
    return this.tell(400, { kind: 'fault-on', proof: '7 processes stopped' })
  }

  toMeasuring(): this {
    this.toFault()
    this.tell(4_500, { kind: 'tick' })
    this.tell(4_600, { kind: 'fault-off', proof: '7 processes run again' })
    this.tell(4_600, { kind: 'canary', canary: { acked: 700, failed: 4, lastAckMs: 4_590 } })
    for (const atMs of [5_200, 6_200, 7_200, 8_400]) {
      this.tell(atMs, { kind: 'canary', canary: { acked: 700, failed: 4, lastAckMs: atMs } })
      this.tell(atMs, { kind: 'tick' })
      this.tell(atMs + 100, { kind: 'probed', when: 'after', held: [true] })
    }
    return this
  }

  #write(head: string, actions: readonly DrillAction[], reasons: readonly object[]): void {
    this.lines.push(head, ...reasons.map((reason) => `    because ${JSON.stringify(reason)}`))
    this.lines.push(...actions.map((action) => `    do ${JSON.stringify(action)}`))
  }
}

function golden(name: string, script: Script): void {
  const file = new URL(`./testdata/${name}.txt`, import.meta.url)
  const text = `${script.lines.join('\n')}\n`
  if (process.env.HOLDFAST_REWRITE === '1') writeFileSync(file, text)
  assert.equal(text, readFileSync(file, 'utf8'))
}

describe('goldens', () => {
  it('passed: steady, fault, timer, proof, recovery, measurement', () => {
    const script = new Script(drillSettings()).toMeasuring().tell(8_900, { kind: 'measured', measured: MEASURED })
    golden('passed', script)
    assert.equal(script.state.outcome, 'passed')
  })

  it('aborted in the middle: lifted until it is proved', () => {
    const script = new Script(drillSettings()).toFault()
    script.tell(900, { kind: 'abort', by: 'ann@desk', because: 'customers call' })
    script.tell(1_000, { kind: 'lift-failed', because: 'the agent does not answer' })
    script.tell(2_100, { kind: 'tick' })
    script.tell(2_200, { kind: 'fault-off', proof: '7 processes run again' })
    golden('aborted', script)
    assert.equal(script.state.outcome, 'aborted')
  })

  it('the canary is silent for too long: the drill stops itself', () => {
    const script = new Script(drillSettings({ abort: { canaryGapMs: 2_000, failedWritesMax: 50, lagBytesMax: null } }))
    script.toFault().tell(2_095, { kind: 'tick' })
    golden('canary-gap', script)
    assert.equal(script.state.phase, 'lifting')
  })

  it('two approvals, the second too late', () => {
    const approvals = [
      { before: 'start' as const, by: ['ann', 'bob'], withinMs: 60_000 },
      { before: 'fault' as const, by: ['cleo'], withinMs: 5_000 },
    ]
    const script = new Script(drillSettings({ approvals }))
    script.tell(10, { kind: 'approved', gate: 'start', by: 'mallory' })
    script.tell(20, { kind: 'approved', gate: 'start', by: 'bob' })
    script.tell(100, { kind: 'facts', facts: WELL })
    script.tell(200, { kind: 'tick' })
    script.tell(300, { kind: 'probed', when: 'before', held: [true, true] })
    script.tell(310, { kind: 'approved', gate: 'start', by: 'ann' })
    script.tell(5_310, { kind: 'tick' })
    golden('not-approved', script)
    assert.equal(script.state.outcome, 'refused')
  })

  it('nobody can show that the fault is gone', () => {
    const script = new Script(drillSettings()).toFault()
    script.tell(4_500, { kind: 'tick' }).tell(4_600, { kind: 'lift-failed', because: 'no answer' })
    script.tell(40_000, { kind: 'tick' })
    golden('unproved', script)
    assert.equal(script.state.outcome, 'unproved')
  })
})

describe('verdicts', () => {
  const end = (change: Partial<Measured>, settings = drillSettings()): DrillState =>
    new Script(settings).toMeasuring().tell(8_900, { kind: 'measured', measured: { ...MEASURED, ...change } }).state

  it('fail for each figure above its objective, and say which', () => {
    assert.match(end({ rtoMs: 5_001 }).because, /RTO 5001 ms is above/)
    assert.match(end({ lost: 1, rpoMs: 1 }).because, /RPO 1 ms is above.*1 acknowledged writes are lost/)
    assert.match(end({ doubled: 2 }).because, /stand there twice/)
    assert.match(end({ acked: 0 }).because, /no write/)
    assert.equal(
      end({ lost: 3, rpoMs: 900 }, drillSettings({ objectives: { rtoMs: 5_000, rpoMs: 1_000 } })).outcome,
      'passed',
    )
  })

  it('without recovery or measurement nothing passed', () => {
    const script = new Script(drillSettings()).toFault().tell(4_500, { kind: 'tick' })
    script.tell(4_600, { kind: 'fault-off', proof: 'gone' })
    script.tell(4_600, { kind: 'canary', canary: { acked: 9, failed: 0, lastAckMs: 14_500 } })
    script.tell(14_700, { kind: 'tick' }).tell(14_800, { kind: 'measured', measured: MEASURED })
    assert.match(script.state.because, /"after" did not all hold/)
    const unmeasured = new Script(drillSettings()).toMeasuring()
    assert.equal(unmeasured.tell(8_900, { kind: 'measure-failed', because: 'x' }).state.outcome, 'failed')
    assert.equal(new Script(drillSettings()).toMeasuring().tell(70_000, { kind: 'tick' }).state.outcome, 'failed')
  })

  it('an outage that begins after the first good look is no recovery', () => {
    const script = new Script(drillSettings()).toFault().tell(700, { kind: 'fault-off', proof: 'gone' })
    const look = (atMs: number, holds: boolean): void => {
      script.tell(atMs, { kind: 'canary', canary: { acked: 9, failed: 0, lastAckMs: atMs } })
      script.tell(atMs, { kind: 'probed', when: 'after', held: [holds] })
    }
    look(800, true)
    look(1_500, false)
    look(4_000, true)
    look(6_900, true)
    assert.equal(script.state.phase, 'recovering')
    look(7_000, true)
    assert.deepEqual([script.state.phase, script.state.recoveredMs], ['measuring', 4_000])
  })

  it('a steady state that never shows, or a busy group, is left alone', () => {
    const sick = new Script(drillSettings()).tell(100, {
      kind: 'facts',
      facts: { ...WELL, healthy: false, because: 'm2 is down' },
    })
    sick.tell(200, { kind: 'tick' }).tell(300, { kind: 'probed', when: 'before', held: [true, true] })
    assert.equal(sick.state.phase, 'checking')
    assert.match(sick.tell(20_100, { kind: 'tick' }).state.because, /m2 is down/)
    const busy = new Script(drillSettings()).tell(100, { kind: 'facts', facts: { ...WELL, busyWith: 'a switchover' } })
    assert.equal(busy.state.outcome, 'refused')
  })
})

describe('properties', () => {
  const facts = fc.record({
    healthy: fc.boolean(),
    because: fc.constant('x'),
    busyWith: fc.option(fc.constant('a plan'), { freq: 6 }),
    lagBytes: fc.nat(10),
  })
  const event: fc.Arbitrary<Bare> = fc.oneof(
    { weight: 6, arbitrary: fc.constant({ kind: 'tick' as const }) },
    { weight: 3, arbitrary: facts.map((f) => ({ kind: 'facts' as const, facts: f })) },
    {
      weight: 3,
      arbitrary: fc
        .record({ acked: fc.nat(99), failed: fc.nat(60), lastAckMs: fc.option(fc.nat(60_000)) })
        .map((canary) => ({ kind: 'canary' as const, canary })),
    },
    { weight: 4, arbitrary: fc.constant({ kind: 'probed' as const, when: 'before' as const, held: [true, true] }) },
    { weight: 3, arbitrary: fc.boolean().map((h) => ({ kind: 'probed' as const, when: 'after' as const, held: [h] })) },
    fc.constantFrom<Bare>(
      { kind: 'fault-on', proof: 'on' },
      { kind: 'fault-off', proof: 'off' },
      { kind: 'fault-failed', because: 'no' },
      { kind: 'lift-failed', because: 'no' },
      { kind: 'measured', measured: MEASURED },
      { kind: 'measure-failed', because: 'no' },
      { kind: 'abort', by: 'ann', because: 'stop' },
      { kind: 'approved', gate: 'start', by: 'bob' },
      { kind: 'approved', gate: 'fault', by: 'cleo' },
      { kind: 'approved', gate: 'fault', by: 'mallory' },
    ),
  )
  const approvals = fc.constantFrom<DrillSettings['approvals']>(
    [],
    [{ before: 'fault', by: ['cleo'], withinMs: 9_000 }],
  )
  const run = fc.record({
    settings: approvals.map((list) => drillSettings({ approvals: list })),
    steps: fc.array(fc.record({ after: fc.nat(4_000), event }), { maxLength: 60 }),
  })

  it('D1 to D4, D6, D8 hold for every order of events', () => {
    fc.assert(
      fc.property(run, ({ settings, steps }) => {
        let { state } = startDrill(settings, 0)
        let nowMs = 0
        let doneTimes = 0
        let proved = false
        let aborted = false
        let well = false
        for (const { after, event: bare } of steps) {
          nowMs += after
          const before = state
          const result = stepDrill(state, { ...bare, nowMs } as DrillEvent, settings)
          state = result.state
          if (bare.kind === 'facts') well = bare.facts.healthy && bare.facts.busyWith === null
          if (bare.kind === 'fault-off' && (before.phase === 'faulted' || before.phase === 'lifting')) proved = true
          for (const action of result.actions) {
            if (action.kind !== 'do-fault') continue
            doneTimes += 1
            assert.ok(well, 'D2: a fault on a group that is not well')
            assert.ok(!aborted, 'D3: a fault after an abort')
            if (settings.approvals.length > 0) assert.ok(bare.kind === 'approved' && bare.by === 'cleo', 'D8')
          }
          if (bare.kind === 'abort' && before.phase !== 'ended') aborted = true
          assert.ok(doneTimes <= 1, 'D6')
          if (state.phase !== 'ended') continue
          const { outcome } = state
          if (doneTimes === 1) assert.ok(proved || outcome === 'unproved', `D1: ${outcome} without a proof`)
          if (aborted) assert.ok(outcome === 'aborted' || outcome === 'unproved', `D3: ${outcome}`)
          if (outcome === 'passed') assert.ok(state.measured !== null && state.measured.acked > 0, 'D4')
          if (outcome === 'refused') assert.equal(doneTimes, 0)
          assert.deepEqual(stepDrill(state, { kind: 'tick', nowMs: nowMs + 1 }, settings).actions, [])
          return
        }
      }),
      { numRuns: 2_000 },
    )
  })

  it('with the clock alone every drill ends', () => {
    fc.assert(
      fc.property(run, ({ settings, steps }) => {
        let { state } = startDrill(settings, 0)
        let nowMs = 0
        const tell = (bare: Bare): void => {
          state = stepDrill(state, { ...bare, nowMs } as DrillEvent, settings).state
        }
        for (const { after, event: bare } of steps) {
          nowMs += after
          tell(bare)
        }
        for (let i = 0; i < 1_000 && state.phase !== 'ended'; i += 1) {
          nowMs += 1_000
          tell({ kind: 'tick' })
        }
        assert.equal(state.phase, 'ended')
      }),
      { numRuns: 300 },
    )
  })
})

it('a fault that may be on has no way to the end but through its proof', () => {
  for (const phase of ['faulting', 'faulted'] as const) {
    for (const next of Object.values(TRANSITIONS[phase])) assert.ok(!next.includes('ended'), phase)
  }
})
