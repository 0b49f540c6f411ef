import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { input, inserted, type Made, made, probed } from './made-history.ts'
import { staleWrite } from './stale-write.ts'
import { twoWriters } from './two-writers.ts'

const B2 = { node: 'b', epoch: 2 }

/** Probes of one member every 50 ms. */
function probes(name: string, fromMs: number, toMs: number, more: Partial<Made> = {}): readonly Made[] {
  const count = Math.floor((toMs - fromMs) / 50)
  return Array.from({ length: count }, (_, i) => probed(name, fromMs + i * 50, more))
}

describe('stale writes', () => {
  it('are none when the epochs follow each other', () => {
    const history = made([inserted(1, 0), inserted(2, 20), inserted(3, 40, B2), inserted(4, 60, B2)])
    assert.equal(staleWrite(input(history)).ok, true)
  })
  it('are none when the older was invoked before the newer answered', () => {
    const history = made([inserted(1, 0, { to: 100 }), inserted(2, 20, B2)])
    assert.equal(staleWrite(input(history)).ok, true)
  })
  it('are found when the older was invoked after the newer had answered', () => {
    const history = made([inserted(1, 0), inserted(2, 20, B2), inserted(3, 31)])
    const { ok, figures } = staleWrite(input(history))
    assert.equal(ok, false)
    assert.equal(figures.staleWrites, 1)
  })
  it('counts a stale read beside, without calling it a write', () => {
    const read: Made = { f: 'transfer', value: { id: 1, read: [1] }, from: 40, to: 50 }
    const { ok, figures } = staleWrite(input(made([inserted(1, 0), inserted(2, 20, B2), read])))
    assert.deepEqual([ok, figures.staleReads], [true, 1])
  })
})

describe('two writers', () => {
  it('are none when one follows the other, nor when a frozen one answers late', () => {
    const frozen = probed('a', 500, { to: 3_000 })
    const history = made([...probes('a', 0, 500), frozen, ...probes('b', 1_000, 4_000, { epoch: 2 })])
    const { ok, figures } = twoWriters(input(history))
    assert.equal(ok, true)
    assert.deepEqual([figures.overlapMs, figures.moments, figures.intervals], [0, 0, 2])
  })
  it('are found by their probes, with the time they share', () => {
    // The same epoch and no order of terms that says more: only the probes tell.
    const history = made([...probes('a', 0, 1_000), ...probes('b', 700, 2_000, { epoch: 2 })])
    const { ok, figures } = twoWriters(input(history))
    assert.equal(ok, false)
    assert.equal(figures.overlapMs, 950 - 705)
  })
  it('are found by a single write inside the interval of the other', () => {
    const history = made([probed('a', 1_000), ...probes('b', 0, 2_000)])
    const { ok, figures } = twoWriters(input(history))
    assert.deepEqual([ok, figures.overlapMs, figures.moments], [false, 0, 1])
  })
  it('are not seen where a failure or a gap stands between two oks', () => {
    const failed = probed('a', 100, { type: 'fail' })
    const holes = made([
      probed('a', 50),
      failed,
      probed('a', 150),
      ...probes('b', 57, 60, { epoch: 2 }),
      probed('a', 900),
    ])
    assert.equal(twoWriters(input(holes)).figures.intervals, 0)
  })
  it('are found by their terms when only clients wrote', () => {
    const history = made([inserted(1, 0), inserted(2, 20, B2), inserted(3, 130)])
    const { ok, figures } = twoWriters(input(history))
    assert.deepEqual([ok, figures.termOverlapMs], [false, 100])
  })
  it('are found by their terms when both believe in the same epoch', () => {
    const history = made([inserted(1, 0), inserted(2, 20, { node: 'b' }), inserted(3, 130)])
    assert.equal(twoWriters(input(history)).figures.termOverlapMs, 100)
  })
})
