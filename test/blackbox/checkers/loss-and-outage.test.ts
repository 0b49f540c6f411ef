import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Promotion } from '../contract.ts'
import { ACCOUNTS, OPENING_BALANCE } from '../workloads/tables.ts'
import { bank } from './bank.ts'
import { falseFailover } from './false-failover.ts'
import { finalOf, input, inserted, type Made, made, nemesisLine } from './made-history.ts'
import { outage } from './outage.ts'
import { rpo } from './rpo.ts'

const FULL = Array.from({ length: ACCOUNTS }, () => OPENING_BALANCE)
const MOVED = FULL.map((one, i) => one + (i === 0 ? -7 : i === 1 ? 7 : 0))
const SHORT = FULL.map((one, i) => one - (i === 0 ? 7 : 0))

function read(balances: readonly number[]): Made {
  return { f: 'transfer', value: { id: 1, read: balances }, from: 0, to: 5 }
}

describe('bank', () => {
  it('is content while the sum stays', () => {
    assert.equal(bank(input(made([read(FULL), read(MOVED)]), { final: finalOf({ balances: MOVED }) })).ok, true)
  })
  it('finds a read in which money is missing', () => {
    assert.equal(bank(input(made([read(SHORT)]), { final: finalOf({ balances: FULL }) })).ok, false)
  })
  it('finds a member, also a replica, on which money is missing in the end', () => {
    const final = finalOf({ balances: FULL }, { balances: SHORT })
    assert.match(bank(input(made([read(FULL)]), { final })).findings.join(), /on b: the sum is 7993 instead of 8000/)
  })
  it('finds accounts that are gone', () => {
    assert.equal(bank(input(made([read(FULL)]), { final: finalOf({ balances: [] }) })).ok, false)
  })
})

describe('loss in async mode', () => {
  const lsn = (n: number, from: number): Made => ({ ...inserted(n, from), value: { n, attempt: 1, lsn: n * 1_000 } })
  const history = made([lsn(1, 0), lsn(2, 100), lsn(3, 500), lsn(4, 900), inserted(5, 2_000, { node: 'b', epoch: 2 })])
  const bound = { lossBytesMax: 10_000, lossTimeMaxMs: 1_000 }
  const given = input(history, { final: finalOf({ rows: ['1/1', '5/1'] }), mode: 'async', bound })
  it('is measured in rows, time and bytes', () => {
    const { ok, figures } = rpo(given)
    assert.equal(ok, true)
    assert.deepEqual([figures.rowsLost, figures.lossTimeMaxMs, figures.lossBytesMax], [3, 800, 3_000])
  })
  it('is wrong above the declared time, or the declared bytes', () => {
    assert.equal(rpo({ ...given, bound: { ...bound, lossTimeMaxMs: 600 } }).ok, false)
    assert.equal(rpo({ ...given, bound: { ...bound, lossBytesMax: 2_999 } }).ok, false)
  })
  it('is judged elsewhere in the other modes', () => {
    assert.equal(rpo({ ...given, mode: 'sync', bound: null }).ok, true)
  })
})

describe('outage', () => {
  it('is the longest pause of all clients, and of each, after every fault', () => {
    const times = [0, 100, 200, 300, 1_300, 1_400, 1_500, 1_600]
    const two = times.map((at, i) => inserted(i, at, { process: i % 2 }))
    const faults = [nemesisLine('fault', 250, { fault: 'kill-engine' }), nemesisLine('fault', 1_450, { fault: 'none' })]
    const { figures } = outage(input(made(two, faults)))
    assert.equal(figures['maxMs:kill-engine'], 1_000)
    assert.equal(figures['maxMs:none'], 100)
    assert.deepEqual([figures.faults, figures.outageMaxMs, figures.clientMaxMs], [2, 1_000, 1_100])
  })
  it('counts a pause that never ended', () => {
    const history = made(
      [inserted(1, 0), inserted(2, 100), inserted(3, 5_000, { type: 'fail' })],
      [nemesisLine('fault', 150, { fault: 'kill-host' })],
    )
    assert.equal(outage(input(history)).figures.outageMaxMs, 4_900)
  })
})

describe('false failover', () => {
  const history = made(
    [inserted(1, 0), inserted(2, 60_000)],
    [
      nemesisLine('fault', 10_000, { fault: 'kill-engine', at: ['h1'] }),
      nemesisLine('heal', 12_000, { fault: 'kill-engine', at: ['h1'] }),
      nemesisLine('fault', 40_000, { fault: 'kill-router', at: ['edge'] }),
      nemesisLine('heal', 41_000, { fault: 'kill-router', at: ['edge'] }),
    ],
  )
  const at = (ms: number, planned = false): Promotion => ({
    member: 'b',
    epoch: 2,
    time: ms * 1e6,
    planned,
    reason: 'x',
  })
  const isContent = (...promotions: Promotion[]): boolean => falseFailover(input(history, { promotions })).ok
  it('is none during a fault, shortly after it, on demand, or before anybody wrote', () => {
    assert.ok(isContent(at(11_000), at(13_000), at(35_000, true), at(-5)))
  })
  it('is a promotion before any fault, or long after it', () => {
    assert.equal(isContent(at(9_000)), false)
    assert.equal(isContent(at(35_000)), false)
  })
  it('is none while a busy machine is still healing', () => {
    const fault = { fault: 'kill-host', number: 1 }
    const lines = [nemesisLine('fault', 5, fault), nemesisLine('heal', 10, fault), nemesisLine('whole', 50_000, fault)]
    const slow = made([inserted(1, 0)], lines)
    assert.ok(falseFailover(input(slow, { promotions: [at(49_000)] })).ok)
    assert.equal(falseFailover(input(slow, { promotions: [at(51_000)] })).ok, false)
  })
  it('is a promotion after a fault that is in nobody\u2019s way of writing', () => {
    assert.equal(isContent(at(40_500)), false)
  })
  it('takes the word of the fault itself', () => {
    const told = made([inserted(1, 0)], [nemesisLine('fault', 5, { fault: 'kill-router', excuses: true })])
    assert.equal(falseFailover(input(told, { promotions: [at(6)] })).ok, true)
  })
})
