import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { CanaryFigures } from './live/live-state.ts'
import { availabilityText, lostNow, lostText, outageText, riskBecause, riskText, worstRisk } from './measured.ts'

function figuresAs(change: Partial<CanaryFigures>): CanaryFigures {
  return {
    ...{ group: 'orders', writes: 'up', reads: 'up', because: '', latencyMs: 4, sinceAckMs: 100, outageMs: null },
    risk: { records: 0, ms: 0, member: 'orders-2', site: 'south', lookedMsAgo: 400 },
    replicas: [],
    ...change,
  }
}

describe('what would be lost', () => {
  const lacking = { records: 3, ms: 1_500, member: 'b-2', site: 'south', lookedMsAgo: 400 }

  test('of several groups is what the worst would lose, and is not known unless each is measured', () => {
    const canary = { orders: figuresAs({}), billing: figuresAs({ group: 'billing', risk: lacking }) }
    assert.equal(worstRisk(canary, ['orders', 'billing'])?.member, 'b-2')
    assert.equal(worstRisk(canary, ['orders', 'ledger']), null)
    assert.equal(worstRisk({ orders: figuresAs({ risk: null }) }, ['orders']), null)
  })

  test('says whether it was measured or is predicted', () => {
    const loss = { kind: 'bytes', bytes: 2_048, because: 'the nearest was 2 KiB behind' } as const
    const measured = lostNow({ orders: figuresAs({}) }, ['orders'], loss)
    assert.equal(measured[0], 'Nothing')
    assert.match(measured[1], /^Measured .* Counters predict: 2\.0 KiB of log\.$/)
    assert.match(lostNow({}, ['orders'], loss)[1], /^A prediction, not measured/)
  })

  test('names the copy and the age of the look', () => {
    const { risk } = figuresAs({})
    assert.ok(risk !== null)
    assert.equal(riskText(risk), 'Nothing')
    assert.match(riskBecause(risk), /^Measured 400 ms ago: orders-2 in south showed every acknowledged record\.$/)
    assert.equal(riskText(lacking), '3 records, 1.5 s of writes')
  })
})

describe('what was not measured', () => {
  test('is never shown as nothing', () => {
    const empty = { windowMs: 3_600_000, writes: null, reads: null, downMs: 0, unmeasuredMs: 0, lost: 0 }
    assert.deepEqual(availabilityText(empty), ['not measured', ''])
    assert.equal(outageText(null), 'not measured')
    const measured = { outageMs: 2_100, unmeasuredMs: 0, resolutionMs: 500, failed: 1, unknown: 2 }
    assert.equal(lostText({ ...measured, lostRecords: null, lostMs: null }), 'not known yet')
    assert.equal(lostText({ ...measured, lostRecords: 0, lostMs: 0 }), 'nothing acknowledged')
    assert.equal(outageText({ ...measured, lostRecords: 0, lostMs: 0 }), '2.1 s (± 500 ms)')
  })

  test('stands beside the share of what was', () => {
    const hour = { windowMs: 3_600_000, writes: 0.999, reads: 1, downMs: 3_600, unmeasuredMs: 5_000, lost: 0 }
    assert.deepEqual(availabilityText(hour), ['99.900 %', '3.6 s without writes; 5.0 s not measured'])
  })
})
