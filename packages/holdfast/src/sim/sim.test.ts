import assert from 'node:assert/strict'
import { test } from 'node:test'
import { emptyTotals, runCounted } from './batch.ts'
import { simCommand } from './command.ts'
import { readGoldens } from './golden.ts'
import { PLANTED } from './planted/list.ts'
import { failureText } from './report.ts'
import { runScenario, runSeed } from './run.ts'
import { drawScenario } from './scenario.ts'
import { shrink } from './shrink.ts'

test('fresh seeds break no invariant and reach promotions, acknowledged writes and rare situations', () => {
  const totals = emptyTotals()
  for (let seed = 5_001; seed <= 5_040; seed += 1) runCounted(totals, seed, {})
  assert.deepEqual(totals.failures.map(failureText), [])
  assert.ok(totals.promotions > 80)
  assert.ok(totals.acks > 5_000)
  assert.ok(totals.seen.has('other-member-takes-over'))
  assert.ok(totals.seen.has('core-heals'))
})

test('the same seed gives the same history', () => {
  for (const seed of [11, 12]) {
    const [a, b] = [runSeed(seed), runSeed(seed)]
    assert.equal(a.fingerprint, b.fingerprint)
    assert.equal(a.events, b.events)
  }
})

test('taking one fault out leaves the draws of the others as they were', () => {
  const scenario = drawScenario(21, 'swarm')
  const again = drawScenario(21, 'swarm')
  assert.deepEqual(scenario, again)
  const fewer = { ...scenario, faults: scenario.faults.slice(1) }
  assert.equal(runScenario(fewer).scenario.faults.length, scenario.faults.length - 1)
})

test('past failures stay mended', () => {
  for (const { name, golden } of readGoldens()) {
    const { violation } = runScenario(golden.scenario)
    assert.equal(violation, null, `${name}: ${golden.about}`)
  }
})

test('the list of planted bugs has at least twenty, each with its own name', () => {
  assert.ok(PLANTED.length >= 20)
  assert.equal(new Set(PLANTED.map((p) => p.name)).size, PLANTED.length)
})

test('shrinking keeps the broken invariant and drops most faults', () => {
  const defects = { guardNeverFires: true }
  const run = (scenario: Parameters<typeof runScenario>[0]) => runScenario(scenario, { defects })
  let result = run(drawScenario(1, 'lease'))
  for (let seed = 2; result.violation === null && seed < 40; seed += 1) result = run(drawScenario(seed, 'lease'))
  assert.equal(result.violation?.invariant, 'S2')
  const small = shrink(result, { run, runsMax: 150 })
  assert.equal(small.result.violation?.invariant, 'S2')
  assert.ok(small.scenario.faults.length <= 6, `${small.scenario.faults.length} faults left`)
  assert.equal(run(small.scenario).violation?.invariant, 'S2')
})

test('the command tells wrong arguments from failures and gives one line of JSON', async () => {
  const lines: string[] = []
  const print = (line: string) => lines.push(line)
  assert.equal(await simCommand(['--mix', 'nonsense'], print), 2)
  assert.equal(await simCommand(['--seeds=-3'], print), 2)
  assert.match(lines.join('\n'), /no mix named nonsense[\s\S]*whole number/)
  lines.length = 0
  await simCommand(['--seed', '5', '--output', 'json'], print)
  assert.equal(JSON.parse(lines.at(-1) ?? '').seed, 5)
})
