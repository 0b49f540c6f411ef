/** The figures and the words of `npm run bench`, without starting anything. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { failoverRows, failoverTable, ratioOf, type Sample } from './failovers.ts'
import { choiceOf } from './main.ts'
import { summary, tableOf } from './page.ts'
import { type RedisSample, redisRatio, redisRows, redisTable } from './redis-failovers.ts'
import { outageMs } from './redis-ledger.ts'
import { type Throughput, throughputRows } from './throughput.ts'

function sample(stage: Sample['stage'], outageMs: number, more: Partial<Sample> = {}): Sample {
  const none = { lost: 0, lostDirect: 0, doubled: 0, twoWritersMs: 0, load: 0 }
  return { stage, mode: 'sync', fault: 'host-crash', outageMs, acked: 100, ...none, ...more }
}

test('a summary has the middle of an odd count and the mean of the two in the middle of an even one', () => {
  assert.deepEqual(summary([3, 1, 2]), { min: 1, median: 2, max: 3 })
  assert.deepEqual(summary([4, 1, 2, 9]), { min: 1, median: 3, max: 9 })
})

test('each profile is compared with its own counterpart, and only within one mode and fault', () => {
  const rows = failoverRows([
    ...[sample('patroni-tight', 20_000), sample('patroni-tight', 22_000), sample('holdfast-fast', 1_000)],
    ...[sample('patroni-default', 30_000), sample('holdfast-normal', 3_000)],
    ...[sample('holdfast-fast', 200, { fault: 'switchover' }), sample('patroni-tight', 9, { mode: 'async' })],
  ])
  const ratio = (stage: string, fault = 'host-crash'): number | null => {
    const row = rows.find((one) => one.stage === stage && one.fault === fault && one.mode === 'sync')
    assert.ok(row)
    return ratioOf(rows, row)
  }
  assert.equal(ratio('holdfast-fast'), 21)
  assert.equal(ratio('holdfast-normal'), 10)
  assert.equal(ratio('patroni-tight'), null)
  assert.equal(ratio('holdfast-fast', 'switchover'), null)
  assert.match(
    failoverTable(rows),
    /\| sync \| host-crash \| holdfast-fast \| 1 \| 1000 \/ \*\*1000\*\* \/ 1000 \| \*\*21.0\*\* \|/,
  )
})

test('losses are summed, overlap and doubles are the worst seen', () => {
  const [row] = failoverRows([
    sample('patroni-tight', 1, { lost: 2, lostDirect: 1, doubled: 1, twoWritersMs: 5 }),
    sample('patroni-tight', 2, { lost: 3, twoWritersMs: 40 }),
  ])
  assert.deepEqual([row?.lost, row?.lostDirect, row?.doubled, row?.twoWritersMs], [5, 1, 1, 40])
})

test('a door is compared with the direct path of its own round', () => {
  const line = (path: string, round: number, tps: number): Throughput => ({
    ...{ mode: 'simple', clients: 8, path, round, tps, doorCpuUs: 10, load: 0 },
  })
  const rows = throughputRows([line('direct', 1, 100), line('a', 1, 70), line('direct', 2, 10), line('a', 2, 8)])
  assert.deepEqual(rows.find((row) => row.path === 'a')?.ratio, { min: 0.7, median: 0.75, max: 0.8 })
})

test('the words of the command line are read strictly', () => {
  assert.deepEqual(choiceOf(['--only', 'rest', '--runs', '7', '--group', 'holdfast-fast']), {
    ...{ quick: false, dry: false, parts: ['rest'], stages: ['holdfast-fast'], runs: { sync: 7, async: 1 } },
    faults: ['postmaster-kill', 'host-crash', 'host-freeze', 'switchover'],
  })
  assert.equal(choiceOf(['--help']), null)
  assert.match(String(choiceOf(['--only', 'speed'])), /there is no speed; there are failover, rest, throughput, redis/)
  assert.match(String(choiceOf(['--runs', 'many'])), /whole numbers/)
  assert.match(String(choiceOf(['--fast'])), /--fast/)
})

test('a table has a line under its head', () => {
  assert.equal(tableOf(['a', 'b'], [['1', '2']]), '| a | b |\n|---|---|\n| 1 | 2 |')
})

test('Sentinels are compared by their time of detection, and what they lost and moved twice is counted', () => {
  const one = (stage: RedisSample['stage'], outage: number, more: Partial<RedisSample> = {}): RedisSample => ({
    ...{ stage, mode: 'sync', fault: 'process-kill', outageMs: outage, acked: 10, lost: 0, doubled: 0, load: 0 },
    ...{ movedAgain: false, ...more },
  })
  const rows = redisRows([
    ...[
      one('sentinel-500', 1_500),
      one('sentinel-500', 1_700, { lost: 4, movedAgain: true }),
      one('holdfast-fast', 100),
    ],
    ...[one('sentinel-1000', 2_000), one('holdfast-normal', 500), one('holdfast-fast', 9, { mode: 'async' })],
  ])
  const ratios = rows.map((row) => [row.stage, row.mode, redisRatio(rows, row)])
  assert.deepEqual(
    ratios.filter(([, , ratio]) => ratio !== null),
    [
      ['holdfast-fast', 'sync', 16],
      ['holdfast-normal', 'sync', 4],
    ],
  )
  assert.match(redisTable(rows), /\| sync \| process-kill \| sentinel-500 \| 2 \| 1500 .*\| 20 \| 4 \| 0 \| 1 \|/)
})

test('an outage counts when it ended after the fault, whoever was acknowledged', () => {
  const at = (ackedMs: number) => ({ n: 0, sentMs: 0, ackedMs })
  assert.equal(outageMs([at(0), at(900), at(1_000), at(1_040)], 990), 100)
  assert.equal(outageMs([at(1_040), at(0), at(10)], 5), 1_030)
})
