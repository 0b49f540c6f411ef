import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ApiService, ApiSession } from '@holdfast/client'
import { RIGHTS_OF as SERVER_RIGHTS } from '../../holdfast/src/server/api/roles.ts'
import { clockAfter, clockDifferenceMs } from './live/server-clock.ts'
import { phaseRows } from './phases.ts'
import { mayOver, RIGHTS_OF } from './rights.ts'
import { groupAs, incidentAs, memberAs } from './samples.fixture.ts'
import { availabilityOf, headlineOf, lossText, proofText, standingOf } from './standing.ts'
import { detailText, durationText, shareText } from './words.ts'

describe('the standing of a group', () => {
  test('says no writer before anything else, and unknown when the holder is silent', () => {
    assert.equal(standingOf(groupAs({})).level, 'safe')
    assert.equal(standingOf(groupAs({ verdict: { safe: false, because: '' } })).level, 'exposed')
    assert.equal(standingOf(groupAs({ writer: null })).level, 'down')
    const silent = [memberAs({ role: 'unknown' }), memberAs({ member: 'orders-2' })]
    assert.equal(standingOf(groupAs({ writer: null, members: silent })).level, 'unknown')
    const paused = { by: 'ada', because: 'work', forMs: 1 }
    assert.equal(standingOf(groupAs({ paused, writer: null })).level, 'down', 'a pause does not hide an outage')
    assert.equal(standingOf(groupAs({ failover: 'observe', writer: null })).level, 'watched')
  })

  test('the headline is about the worst', () => {
    const down = groupAs({ group: 'ledger', writer: null })
    const exposed = groupAs({ group: 'billing', verdict: { safe: false, because: '' } })
    assert.match(headlineOf([groupAs({}), exposed, down]).text, /^ledger has no writer/)
    assert.match(headlineOf([groupAs({}), exposed]).text, /^billing has a writer, and would not survive/)
    assert.match(headlineOf([groupAs({}), groupAs({ group: 'b' })]).text, /^All 2 groups are safe/)
  })

  test('a loss that is not known is never shown as none', () => {
    assert.equal(lossText({ kind: 'unknown', bytes: null, because: '' }), 'Not known')
    assert.equal(lossText({ kind: 'bytes', bytes: null, because: '' }), 'Not known')
    assert.equal(lossText({ kind: 'bytes', bytes: 0, because: '' }), 'Nothing, by the counters')
    assert.equal(lossText({ kind: 'everything', bytes: null, because: '' }), 'Everything')
  })

  test('only a change of primary that ended proves something, and the weakest of several groups counts', () => {
    assert.equal(proofText([incidentAs({ kind: 'outage' })], ['orders'], 20_000), null)
    assert.equal(proofText([incidentAs({ state: 'open' })], ['orders'], 20_000), null)
    assert.match(proofText([incidentAs({})], ['orders'], 20_000) ?? '', /^6 s ago by a failover to orders-2.* 1\.5 s$/)
    assert.equal(proofText([incidentAs({})], ['orders', 'billing'], 20_000), null)
    const other = incidentAs({ id: 'i2', group: 'billing', closedMs: 2_000, openedMs: 1_000 })
    assert.match(proofText([incidentAs({}), other], ['orders', 'billing'], 20_000) ?? '', /^18 s ago/)
  })

  test('availability counts the gaps within the window, and an open one until now', () => {
    const closed = availabilityOf(groupAs({}), [incidentAs({})], 100_000, 100_000)
    assert.deepEqual([closed.gaps, closed.downMs, closed.share], [1, 1_500, 0.985])
    const open = incidentAs({ state: 'open', writeGapMs: null, closedMs: null })
    assert.equal(availabilityOf(groupAs({ writer: null }), [open], 30_000, 100_000).downMs, 20_000)
    assert.equal(availabilityOf(groupAs({}), [incidentAs({})], 1_000_000, 100_000).gaps, 0)
  })
})

describe('words', () => {
  test('a share is never rounded up to more than it was', () => {
    assert.equal(shareText(0.99999), '99.9990 %')
    assert.equal(shareText(1), '100 %')
    assert.equal(shareText(0.9999999), '99.9999 %')
  })

  test('durations and details carry their units', () => {
    assert.deepEqual([840, 2_400, 200_000, 90_000_000].map(durationText), ['840 ms', '2.4 s', '3 min 20 s', '1 d 1 h'])
    assert.equal(
      detailText({ silentMs: 1_100, behindBytes: 2_048, to: null, quorum: 2 }),
      'silent 1.1 s · behind 2.0 KiB · quorum 2',
    )
  })
})

describe('rights', () => {
  test('the table is the server’s', () => assert.deepEqual(RIGHTS_OF, SERVER_RIGHTS))

  test('a grant over a service reaches its groups only', () => {
    const session: ApiSession = {
      ...{ user: 'bo', display: '', by: 'password', expiresMs: null, csrf: '', rights: [] },
      grants: [{ role: 'viewer' }, { role: 'operator', services: ['checkout'] }],
    }
    const services: readonly ApiService[] = [
      {
        ...{ service: 'checkout', groups: ['orders'], rtoMs: null, rpoMs: null },
        ...{ verdict: { safe: true, because: '' }, loss: { kind: 'nothing', bytes: 0, because: '' } },
        ...{ home: 'north', at: 'north', places: [], siteLoss: 'ask', comeHome: 'ask', hooks: [] },
      },
    ]
    assert.equal(mayOver(session, 'operate', 'orders', services), true)
    assert.equal(mayOver(session, 'operate', 'billing', services), false)
    assert.equal(mayOver(session, 'approve', 'orders', services), false)
  })
})

describe('the server’s clock', () => {
  test('is known by the least delayed message, and a browser that is off is told', () => {
    const first = clockAfter(null, 1_000_000, 500)
    const delayed = clockAfter(first, 1_001_000, 1_900)
    assert.equal(delayed.aheadMs, first.aheadMs)
    assert.equal(clockAfter(first, 1_001_000, 1_400).aheadMs, 999_600)
    assert.equal(clockDifferenceMs(first, 1_000, 1_000_500), null)
    assert.equal(clockDifferenceMs(first, 1_000, 1_180_500), 180_000)
  })

  test('that was set back is believed after a while', () => {
    const before = clockAfter(null, 1_000_000, 0)
    assert.equal(clockAfter(before, 30_000, 30_000).aheadMs, before.aheadMs)
    assert.equal(clockAfter(before, 70_000, 61_000).aheadMs, 9_000)
  })
})

describe('the phases of an incident', () => {
  test('stand in the order of their time, each until the next', () => {
    const phase = (name: 'detect' | 'fence' | 'promote', wallMs: number) => ({
      phase: name,
      wallMs,
      code: '',
      summary: '',
    })
    const phases = [phase('detect', 10_000), phase('promote', 12_000), phase('fence', 11_000)]
    const rows = phaseRows(incidentAs({ phases }), 99_000)
    assert.deepEqual(
      rows.map(({ phase: name, fromMs, start, length }) => [name, fromMs, start, length]),
      [
        ['detect', 0, 0, 25],
        ['fence', 1_000, 25, 25],
        ['promote', 2_000, 50, 50],
      ],
    )
  })

  test('an incident of no length is still drawn', () => {
    const phases = [{ phase: 'detect', wallMs: 10_000, code: '', summary: '' }] as const
    const [row] = phaseRows(incidentAs({ phases, closedMs: 10_000 }), 10_000)
    assert.ok(row !== undefined && row.length > 0 && Number.isFinite(row.start))
  })
})
