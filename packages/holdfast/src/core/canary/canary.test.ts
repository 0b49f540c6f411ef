/** Outages, losses and stale replicas from what became of attempts: by hand, and for any order of things. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { stepWatch, unwatched } from './availability.ts'
import {
  type Lately,
  latelyAck,
  latelyUnmeasured,
  metAck,
  metUnmeasured,
  NOTHING_LATELY,
  openMeter,
  worstGap,
} from './incident.ts'
import { KEPT, paceOf, type Span, type Told, type WatchEvent, type Watched } from './model.ts'
import { atRisk, EMPTY, judge, type Ledger, staleness, withAck, withSent } from './records.ts'
import { TRANSITIONS } from './transitions.ts'

const PACE = paceOf(2)

interface Story {
  readonly state: Watched
  readonly spans: readonly Span[]
  readonly told: readonly Told[]
}

function run(events: readonly WatchEvent[]): Story {
  let story: Story = { state: unwatched(0, 'not begun'), spans: [], told: [] }
  for (const event of events) {
    const { state, spans, told } = stepWatch(story.state, event, PACE)
    story = { state, spans: [...story.spans, ...spans], told: [...story.told, ...told] }
  }
  return story
}

const at = (kind: 'begin' | 'tick', nowMs: number): WatchEvent => ({ kind, nowMs })
const of = (kind: 'invoke' | 'ok' | 'fail' | 'info' | 'void', n: number, nowMs: number): WatchEvent => ({
  kind,
  n,
  nowMs,
})
/** The shell looks often enough. */
const ticks = (fromMs: number, toMs: number): WatchEvent[] =>
  Array.from({ length: Math.floor((toMs - fromMs) / 100) }, (_, i) => at('tick', fromMs + (i + 1) * 100))
const sum = (spans: readonly Span[], kind: Span['kind']): number =>
  spans.reduce((ms, span) => ms + (span.kind === kind ? span.toMs - span.fromMs : 0), 0)
const ended = (told: readonly Told[]) => told.flatMap((one) => (one.kind === 'outage-ended' ? [one] : []))

describe('an outage', () => {
  it('lasts from the acknowledgement before it to the first after it', () => {
    const { told, spans } = run([
      ...[at('begin', 0), of('invoke', 1, 0), of('ok', 1, 5)],
      ...[of('invoke', 2, 500), of('fail', 2, 600), of('invoke', 3, 750), of('info', 3, 1_200)],
      ...[of('invoke', 4, 1_300), of('ok', 4, 1_400)],
    ])
    assert.deepEqual(ended(told), [
      ...[{ kind: 'outage-ended', fromMs: 5, toMs: 1_400, failed: 1, unknown: 1, unmeasuredMs: 0, seen: 'to its end' }],
    ])
    assert.equal(sum(spans, 'down'), 1_395)
  })

  it('is seen while a write waits, also when nothing has failed', () => {
    const events = [at('begin', 0), of('invoke', 1, 0), of('ok', 1, 5), of('invoke', 2, 500), ...ticks(500, 3_000)]
    const { state, told } = run(events)
    assert.equal(state.condition, 'down')
    assert.deepEqual(told[0], { kind: 'outage-began', fromMs: 5 })
    const end = run([...events, of('ok', 2, 3_050)])
    assert.equal(ended(end.told)[0]?.toMs, 3_050)
    assert.equal(end.state.condition, 'up')
  })

  it('is none while writes are slow but come', () => {
    const slow = Array.from({ length: 20 }, (_, i) => [
      of('invoke', i, i * 1_000),
      ...ticks(i * 1_000, i * 1_000 + 900),
      of('ok', i, i * 1_000 + 900),
    ]).flat()
    assert.deepEqual(run([at('begin', 0), ...slow]).told, [])
  })
})

describe('an answer that says nothing of clients', () => {
  it('is no evidence of an outage, nor of service', () => {
    const begun = [at('begin', 0), of('invoke', 1, 0), of('ok', 1, 5)]
    const taken = Array.from({ length: 8 }, (_, i) => [
      of('invoke', i + 2, 500 + i * 250),
      of('void', i + 2, 510 + i * 250),
    ])
    const { told, spans, state } = run([...begun, ...ticks(0, 500), ...taken.flat()])
    assert.deepEqual([told, state.condition, state.pending, sum(spans, 'down')], [[], 'starting', [], 0])
    assert.equal(sum(spans, 'unmeasured'), 2_255)
  })

  it('ends no outage', () => {
    const events = [at('begin', 0), of('invoke', 1, 0), of('fail', 1, 5), of('invoke', 2, 250), of('void', 2, 260)]
    assert.equal(run(events).state.condition, 'down')
  })
})

describe('a canary that stood still', () => {
  it('has measured nothing: no outage, and the time is told as not measured', () => {
    const { told, spans, state } = run([
      ...[at('begin', 0), of('invoke', 1, 0), of('ok', 1, 5), of('invoke', 2, 500)],
      ...[at('tick', 20_000), of('info', 2, 20_001), of('invoke', 3, 20_002), of('ok', 3, 20_010)],
    ])
    assert.deepEqual(ended(told), [])
    assert.deepEqual([sum(spans, 'down'), state.condition], [0, 'up'])
    assert.equal(sum(spans, 'unmeasured'), 19_995)
  })

  it('is noticed also when an answer is the first thing it sees', () => {
    const { told } = run([
      at('begin', 0),
      of('invoke', 1, 0),
      of('ok', 1, 5),
      of('invoke', 2, 500),
      of('info', 2, 9_000),
    ])
    assert.deepEqual(
      told.map(({ kind }) => kind),
      ['stalled'],
    )
  })

  it('within an outage takes its time off', () => {
    const { told } = run([
      ...[at('begin', 0), of('invoke', 1, 0), of('ok', 1, 5), of('invoke', 2, 500), of('fail', 2, 505)],
      ...[at('tick', 10_505), of('invoke', 3, 10_600), of('ok', 3, 10_605)],
    ])
    const [outage] = ended(told)
    assert.deepEqual([outage?.fromMs, outage?.toMs, outage?.unmeasuredMs], [5, 10_605, 10_000])
  })
})

/** Attempts in order of time with what became of them, ticks between, and here and there a stop of the process. */
const stories = fc
  .array(
    fc.record({
      becomes: fc.constantFrom('ok' as const, 'ok' as const, 'fail' as const, 'info' as const, 'void' as const),
      tookMs: fc.integer({ min: 1, max: 4_000 }),
      pauseMs: fc.integer({ min: 0, max: 600 }),
      stopMs: fc.constantFrom(0, 0, 0, 0, 5_000),
    }),
    { maxLength: 40 },
  )
  .map((attempts) => {
    const events: WatchEvent[] = [at('begin', 0)]
    let nowMs = 0
    let stoppedMs = 0
    for (const [n, { becomes, tookMs, pauseMs, stopMs }] of attempts.entries()) {
      events.push(of('invoke', n, nowMs), ...ticks(nowMs, nowMs + tookMs), of(becomes, n, nowMs + tookMs))
      events.push(...ticks(nowMs + tookMs, nowMs + tookMs + pauseMs))
      nowMs += tookMs + pauseMs + stopMs
      stoppedMs += stopMs
      events.push(at('tick', nowMs))
    }
    return { events, nowMs, stoppedMs }
  })

describe('whatever happens', () => {
  it('C1: spans follow each other without gap or overlap', () => {
    fc.assert(
      fc.property(stories, ({ events }) => {
        const { spans, state } = run(events)
        let lastMs = 0
        for (const { fromMs, toMs } of spans) {
          assert.equal(fromMs, lastMs)
          assert.ok(toMs > fromMs)
          lastMs = toMs
        }
        assert.equal(lastMs, state.settledMs)
        assert.ok(state.settledMs <= state.seenMs)
      }),
    )
  })

  it('C2: no outage without evidence, and each has its end told once', () => {
    fc.assert(
      fc.property(stories, ({ events }) => {
        const { told, state } = run(events)
        const began = told.filter(({ kind }) => kind === 'outage-began').length
        assert.equal(began, ended(told).length + (state.outage === null ? 0 : 1))
        for (const { fromMs, toMs, failed, unknown, unmeasuredMs } of ended(told)) {
          assert.ok(failed + unknown > 0 || toMs - fromMs - unmeasuredMs > PACE.lateMs)
        }
      }),
    )
  })

  it('C3: a stop of the process is never counted as an outage', () => {
    fc.assert(
      fc.property(stories, ({ events, stoppedMs }) => {
        const { spans, state } = run(events)
        const unsettled = state.seenMs - state.settledMs
        assert.ok(sum(spans, 'unmeasured') + unsettled >= stoppedMs)
        const healthy = events.every(({ kind }) => kind !== 'fail' && kind !== 'info')
        const quick = events.every(
          (event, i) =>
            (event.kind !== 'ok' && event.kind !== 'void') || event.nowMs - sentOf(events, i) <= PACE.lateMs / 2,
        )
        if (healthy && quick) assert.equal(sum(spans, 'down'), 0)
      }),
    )
  })

  it('C4: up is only what lies between two acknowledgements', () => {
    fc.assert(
      fc.property(stories, ({ events }) => {
        const oks = new Set(events.flatMap((event) => (event.kind === 'ok' ? [event.nowMs] : [])))
        for (const { kind, toMs } of run(events).spans) if (kind === 'up') assert.ok(oks.has(toMs))
      }),
    )
  })

  it('every condition is met, and the table of transitions names no other', () => {
    assert.deepEqual(Object.keys(TRANSITIONS).sort(), ['down', 'starting', 'unmeasured', 'up'])
    const paused = run([
      at('begin', 0),
      of('invoke', 1, 0),
      of('fail', 1, 5),
      { kind: 'pause', because: 'off', nowMs: 9 },
    ])
    assert.deepEqual([paused.state.condition, ended(paused.told)[0]?.seen], ['unmeasured', 'not to its end'])
  })
})

function sentOf(events: readonly WatchEvent[], index: number): number {
  const event = events[index]
  const n = event !== undefined && 'n' in event ? event.n : -1
  return events.find((one) => one.kind === 'invoke' && one.n === n)?.nowMs ?? 0
}

function ledgerOf(acked: readonly number[], sentMax = Math.max(0, ...acked)): Ledger {
  const acks = acked.map((n) => ({ n, sentMs: n * 500, ackedMs: n * 500 + 5 }))
  return acks.reduce(withAck, withSent(EMPTY, sentMax))
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i)

describe('what is lost', () => {
  it('C5: is what was acknowledged before the look and is not there; it is told once', () => {
    const look = { numbers: new Set([...range(1, 7), 10]), askedMs: 10_000 }
    const { ledger, loss } = judge(ledgerOf(range(1, 10)), look)
    assert.deepEqual([loss?.records, loss?.from, loss?.to, loss?.atLeast], [2, 8, 9, false])
    // From the newest acknowledgement that was kept to the newest that was lost.
    assert.equal(loss?.reachMs, 1_000)
    assert.equal(judge(ledger, look).loss, null)
    const back = judge(ledger, { numbers: new Set(range(1, 10)), askedMs: 11_000 })
    assert.deepEqual([back.returned, back.ledger.lostTotal], [[8, 9], 0])
  })

  it('C6: is not what was acknowledged after the look was asked for, nor what was not acknowledged', () => {
    const ledger = ledgerOf([1, 2, 4], 5)
    assert.equal(judge(ledger, { numbers: new Set([1, 2]), askedMs: 4 * 500 }).loss, null)
    assert.equal(judge(ledger, { numbers: new Set([1, 2]), askedMs: 4 * 500 + 5 }).loss?.records, 1)
    assert.equal(ledger.checkedMs, null, 'and before any look it is not known')
  })

  it('C7: is never what was deleted because it is old, and memory is bounded', () => {
    const all = range(1, KEPT * 2)
    const ledger = ledgerOf(all)
    assert.equal(ledger.acks.length, KEPT)
    const kept = new Set(range(KEPT + 1, KEPT * 2))
    assert.equal(judge(ledger, { numbers: kept, askedMs: 1e9 }).loss, null)
    // Attempts that failed used up numbers: what was acknowledged before them is old though little came after it.
    const gaps = ledgerOf([...range(1, 10), KEPT + 50])
    assert.equal(judge(gaps, { numbers: new Set([KEPT + 50]), askedMs: 1e9 }).loss, null)
    const nothing = judge(ledger, { numbers: new Set<number>(), askedMs: 1e9 })
    assert.equal(nothing.loss?.atLeast, true)
    assert.ok(nothing.ledger.lost.length <= KEPT)
  })

  it('agrees with the plain words for any records', () => {
    const given = fc.record({
      acked: fc.uniqueArray(fc.integer({ min: 1, max: 100 })),
      there: fc.uniqueArray(fc.integer({ min: 1, max: 100 })),
    })
    fc.assert(
      fc.property(given, ({ acked, there }) => {
        const { loss } = judge(ledgerOf(acked), { numbers: new Set(there), askedMs: 1e9 })
        assert.equal(loss?.records ?? 0, acked.filter((n) => !there.includes(n)).length)
      }),
    )
  })
})

describe('a replica', () => {
  const ledger = ledgerOf(range(1, 10))

  it('is between as stale as what it lacks and as what it shows', () => {
    const full = staleness(ledger, 10, 5_200)
    assert.deepEqual([full.ageMs, full.lacks, full.lacksMs], [200, 0, 0])
    const behind = staleness(ledger, 7, 5_200)
    assert.deepEqual([behind.ageMs, behind.lacks, behind.lacksMs], [1_700, 3, 5_200 - 4_005])
    assert.deepEqual(staleness(ledger, null, 5_200), { ageMs: null, lacks: 10, lacksMs: 5_200 - 505 })
  })

  it('in the primary’s own site saves nothing when the site burns; of the others the best counts', () => {
    const copy = (member: string, site: string, newest: number | null) => {
      return { member, site, stale: staleness(ledger, newest, 5_200), lookedMsAgo: 100 }
    }
    assert.equal(atRisk([copy('b', 'north', 10)], 'north'), null)
    const risk = atRisk([copy('b', 'north', 10), copy('c', 'south', 8), copy('d', 'west', 9)], 'north')
    assert.deepEqual([risk?.member, risk?.records], ['d', 1])
    assert.equal(atRisk([{ ...copy('c', 'south', 8), stale: null }], 'north'), null, 'not known is not nothing')
    assert.equal(atRisk([copy('c', 'south', null)], 'north'), null)
  })
})

describe('what clients saw of an incident', () => {
  it('is the longest time without an acknowledgement, also if it began before anybody opened one', () => {
    let meter = openMeter('i', [1_000, 1_500, 2_000].reduce(latelyAck, NOTHING_LATELY), 3_000)
    assert.deepEqual(worstGap(meter, 3_400), { fromMs: 2_000, toMs: 3_400, unmeasuredMs: 0, open: true })
    for (const ms of [5_000, 5_500, 6_000]) meter = metAck(meter, ms)
    assert.deepEqual(worstGap(meter, 6_100), { fromMs: 2_000, toMs: 5_000, unmeasuredMs: 0, open: false })
    assert.equal(meter.acked, 3)
  })

  it('C8: leaves out what was not measured, and is nothing when nothing was acknowledged', () => {
    const meter = metAck(metUnmeasured(metAck(openMeter('i', NOTHING_LATELY, 0), 1_000), 8_000), 10_000)
    assert.equal(worstGap(metAck(meter, 12_000), 12_000)?.toMs, 12_000, 'two seconds beat one')
    assert.equal(worstGap(openMeter('i', NOTHING_LATELY, 0), 5_000), null)
  })

  it('C8: leaves out what was not measured before anybody opened it, also at its very beginning', () => {
    const hour = latelyUnmeasured(latelyAck(NOTHING_LATELY, 1_000), 3_599_800)
    const back = [3_601_000, 3_601_500].reduce(latelyAck, hour)
    const { fromMs = 0, toMs = 0, unmeasuredMs = 0 } = worstGap(openMeter('i', back, 3_605_000), 3_605_000) ?? {}
    assert.deepEqual([fromMs, toMs, unmeasuredMs], [3_601_500, 3_605_000, 0], 'three and a half seconds beat 0.2')
    const still = worstGap(openMeter('i', hour, 3_601_000), 3_601_000)
    assert.deepEqual(still, { fromMs: 1_000, toMs: 3_601_000, unmeasuredMs: 3_599_800, open: true })
  })

  it('needs of the time before it only the past seconds, however long the canary ran', () => {
    let lately: Lately = NOTHING_LATELY
    for (let ms = 0; ms < 600_000; ms += 250) lately = latelyAck(lately, ms)
    assert.ok(lately.acks.length <= 62, `${lately.acks.length}`)
    assert.equal(worstGap(openMeter('i', lately, 604_000), 604_000)?.fromMs, 599_750)
  })
})
