import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { agreement } from './agreement.ts'
import { doubled } from './doubled.ts'
import { lost } from './lost.ts'
import { finalOf, input, inserted, made } from './made-history.ts'
import { unexpected } from './unexpected.ts'

const CLEAN = made([
  inserted(1, 0),
  inserted(2, 20),
  inserted(3, 40, { type: 'info' }),
  inserted(3, 60, { attempt: 2 }),
  inserted(4, 80, { type: 'fail' }),
  inserted(5, 100, { to: null }),
  { f: 'long', value: { id: 1, rows: ['6/1', '7/1'], held: 100 }, from: 0, to: 120 },
  { f: 'old', value: { n: 8, attempt: 1 }, from: 130, to: 140 },
])
const ROWS = ['1/1', '2/1', '3/1', '3/2', '6/1', '7/1', '8/1']
const SET = [lost, doubled, unexpected, agreement]

/** Names of the checkers that are not content with these rows on both members. */
function complaints(rows: readonly string[], other: readonly string[] = rows): readonly string[] {
  const given = input(CLEAN, { final: finalOf({ rows }, { rows: other }) })
  return SET.map((checker) => checker(given)).flatMap(({ ok, checker }) => (ok ? [] : [checker]))
}

describe('rows', () => {
  it('of a clean run content every checker, an unknown row there or not', () => {
    assert.deepEqual(complaints(ROWS), [])
    assert.deepEqual(complaints([...ROWS, '5/1']), [])
    assert.deepEqual(complaints(ROWS.filter((row) => row !== '3/1')), [])
  })
  it('counts what was unknown and came back', () => {
    const { figures } = lost(input(CLEAN, { final: finalOf({ rows: ROWS }) }))
    assert.deepEqual(figures, { acknowledged: 6, lost: 0, recovered: 1, unknown: 2 })
  })
  for (const row of ['1/1', '3/2', '7/1', '8/1']) {
    it(`lost: ${row} was acknowledged and is gone`, () => {
      assert.deepEqual(complaints(ROWS.filter((one) => one !== row)), ['lost'])
    })
  }
  it('doubled: a row stands there twice under one attempt', () => {
    assert.deepEqual(complaints([...ROWS, '2/1']), ['doubled'])
  })
  it('doubled: a second attempt beside one that had failed', () => {
    const history = made([inserted(1, 0, { type: 'fail' }), inserted(1, 20, { attempt: 2 })])
    const given = input(history, { final: finalOf({ rows: ['1/1', '1/2'] }) })
    assert.equal(doubled(given).ok, false)
  })
  it('unexpected: a row that nobody sent, and one that had failed', () => {
    assert.deepEqual(complaints([...ROWS, '99/1']), ['unexpected'])
    assert.deepEqual(complaints([...ROWS, '4/1']), ['unexpected'])
  })
  it('agreement: a replica that lacks a row, or has it twice', () => {
    assert.deepEqual(complaints(ROWS, ROWS.slice(1)), ['agreement'])
    assert.deepEqual(complaints(ROWS, [...ROWS, '1/1']), ['doubled', 'agreement'])
  })
  it('agreement: balances and lists that differ', () => {
    const bank = finalOf({ balances: [1, 2] }, { balances: [2, 1] })
    assert.equal(agreement(input([], { final: bank })).ok, false)
    const lists = finalOf({ lists: { 1: [1, 2] } }, { lists: { 1: [1] } })
    assert.equal(agreement(input([], { final: lists })).ok, false)
  })
  it('lost in async mode is for rpo to judge when a bound is declared, and wrong when none is', () => {
    const given = input(CLEAN, { final: finalOf({ rows: ROWS.slice(1) }), mode: 'async' })
    assert.equal(lost({ ...given, bound: { lossBytesMax: 1, lossTimeMaxMs: 1 } }).ok, true)
    assert.equal(lost(given).ok, false)
  })
})
