import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { listAppend } from './list-append.ts'
import { finalOf, input, type Made, made } from './made-history.ts'
import type { Step } from './operations.ts'

type Lists = Readonly<Record<number, readonly number[]>>

function txn(from: number, to: number, ...steps: Step[]): Made {
  return { f: 'txn', value: steps, from, to }
}

const a = (key: number, value: number): Step => ['append', key, value]
const r = (key: number, ...list: number[]): Step => ['r', key, list]

/** Kinds of anomaly found, each once. */
function anomalies(operations: readonly Made[], lists: Lists, more: Partial<Parameters<typeof listAppend>[0]> = {}) {
  const { findings } = listAppend(input(made(operations), { final: finalOf({ lists }), ...more }))
  return [...new Set(findings.map((text) => text.slice(0, text.indexOf(':'))))]
}

/** Each has exactly one anomaly. Those that lie at the same time are not ordered by it. */
const ANOMALIES: Readonly<Record<string, readonly [readonly Made[], Lists]>> = {
  G0: [[txn(0, 9, a(1, 1), a(2, 1)), txn(0, 9, a(1, 2), a(2, 2))], { 1: [1, 2], 2: [2, 1] }],
  G1a: [[{ ...txn(0, 9, a(1, 1)), type: 'fail' }, txn(0, 9, r(1, 1))], { 1: [1] }],
  G1b: [[txn(0, 9, a(1, 1), a(1, 2)), txn(0, 9, r(1, 1), r(2))], { 1: [1, 2] }],
  G1c: [[txn(0, 9, a(1, 1), r(2, 1)), txn(0, 9, a(2, 1), r(1, 1))], { 1: [1], 2: [1] }],
  'G-single': [[txn(0, 9, a(1, 1), a(2, 1)), txn(0, 9, r(1, 1), r(2))], { 1: [1], 2: [1] }],
  G2: [[txn(0, 9, r(1), a(2, 1)), txn(0, 9, r(2), a(1, 1))], { 1: [1], 2: [1] }],
  'G-single-realtime': [[txn(0, 9, a(1, 1)), txn(20, 29, r(1))], { 1: [1] }],
  'G0-realtime': [[txn(0, 9, a(1, 1)), txn(20, 29, a(1, 2))], { 1: [2, 1] }],
  'G1c-realtime': [[txn(0, 9, r(1, 1)), txn(20, 29, a(1, 1))], { 1: [1] }],
  'G2-realtime': [
    [txn(0, 19, r(1), a(2, 1)), txn(0, 9, a(1, 1)), txn(10, 19, r(2), a(3, 1))],
    { 1: [1], 2: [1], 3: [1] },
  ],
  'lost-append': [[txn(0, 9, a(1, 1)), txn(0, 9, a(1, 2))], { 1: [2] }],
  'incompatible-order': [[txn(0, 9, a(1, 1)), txn(0, 9, a(1, 2)), txn(0, 9, r(1, 2))], { 1: [1, 2] }],
  internal: [[txn(0, 9, a(1, 1), r(1))], { 1: [1] }],
  'doubled-append': [[txn(0, 9, a(1, 1))], { 1: [1, 1] }],
  'unexpected-append': [[txn(0, 9, r(1, 7))], { 1: [7] }],
}

describe('list-append', () => {
  it('is content with transactions one after the other, some unknown', () => {
    const clean = [
      txn(0, 9, a(1, 1), r(1, 1)),
      txn(10, 19, r(1, 1), a(1, 2), a(2, 1)),
      { ...txn(20, 29, a(1, 3)), type: 'info' as const },
      { ...txn(20, 29, a(1, 4)), to: null },
      { ...txn(20, 29, a(2, 9)), type: 'fail' as const },
      txn(30, 39, r(1, 1, 2, 3), r(2, 1), r(3)),
    ]
    assert.deepEqual(anomalies(clean, { 1: [1, 2, 3], 2: [1] }), [])
  })
  for (const [name, [operations, lists]] of Object.entries(ANOMALIES)) {
    it(`finds ${name}, and nothing else`, () => {
      assert.deepEqual(anomalies(operations, lists), [name])
    })
  }
  it('allows write skew under repeatable read, but no read skew', () => {
    const judge = (name: string): boolean => {
      const [operations = [], lists = {}] = ANOMALIES[name] ?? []
      return listAppend(input(made(operations), { final: finalOf({ lists }) }), 'repeatable read').ok
    }
    assert.equal(judge('G2'), true)
    assert.equal(judge('G-single'), false)
  })
  it('lets an async failover take appends back, but judges each epoch by itself', () => {
    const epoch2 = { node: 'b', epoch: 2 }
    const bound = { lossBytesMax: 1, lossTimeMaxMs: 1 }
    const before = [txn(0, 9, a(1, 1)), txn(10, 19, a(1, 2)), txn(20, 29, r(1, 1, 2))]
    const after = [
      { ...txn(40, 49, a(1, 3)), ...epoch2 },
      { ...txn(50, 59, r(1, 1, 3)), ...epoch2 },
    ]
    const lists = { 1: [1, 3] }
    assert.deepEqual(anomalies([...before, ...after], lists, { mode: 'async', bound }), [])
    assert.ok(anomalies([...before, ...after], lists).length > 0)
    const stale = { ...txn(60, 69, r(1, 1)), ...epoch2 }
    assert.deepEqual(anomalies([...before, ...after, stale], lists, { mode: 'async', bound }), ['G-single-realtime'])
  })
})

/** A serial history over a few keys: what each transaction saw is true. */
function serial(plan: readonly (readonly (readonly [boolean, number])[])[]) {
  const lists: Record<number, number[]> = {}
  let value = 0
  const operations = plan.map((kinds, i) => {
    const steps = kinds.map(([appends, key]): Step => {
      const list = lists[key] ?? []
      if (!appends) return ['r', key, [...list]]
      value += 1
      lists[key] = [...list, value]
      return ['append', key, value]
    })
    return txn(i * 10, i * 10 + 9, ...steps)
  })
  return { operations, lists }
}

const PLAN = fc.array(
  fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 3 })), { minLength: 1, maxLength: 4 }),
  {
    maxLength: 40,
  },
)

describe('random serial histories of list-append', () => {
  it('pass, also when their transactions are answered late', () => {
    fc.assert(
      fc.property(PLAN, fc.integer({ min: 0, max: 30 }), (plan, lateMs) => {
        const { operations, lists } = serial(plan)
        const late = operations.map((one) => ({ ...one, to: (one.to ?? 0) + lateMs }))
        assert.deepEqual(anomalies(late, lists), [])
      }),
      { numRuns: 200 },
    )
  })
  it('fail when two appends to one list change places in what stands there in the end', () => {
    fc.assert(
      fc.property(PLAN, fc.nat(), (plan, pick) => {
        const { operations, lists } = serial(plan)
        const long = Object.entries(lists).filter(([, list]) => list.length > 1)
        const [key = '', list = []] = long[pick % Math.max(1, long.length)] ?? []
        const at = pick % Math.max(1, list.length - 1)
        const swapped = [...list.slice(0, at), list[at + 1] ?? 0, list[at] ?? 0, ...list.slice(at + 2)]
        const found = anomalies(operations, { ...lists, [key]: swapped })
        // Both of one transaction: then no other shows it, unless somebody read them.
        const owner = (value: number | undefined) =>
          operations.findIndex(({ value: steps }) =>
            (steps as Step[]).some(([k, , v]) => k === 'append' && v === value),
          )
        if (long.length === 0 || owner(list[at]) === owner(list[at + 1])) return
        assert.notDeepEqual(found, [])
      }),
      { numRuns: 200 },
    )
  })
})
