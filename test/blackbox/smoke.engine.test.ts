/** The black box on the real program, briefly: three faults with consequences. The long runs: `npm run blackbox`. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { reportText } from './report.ts'
import { run } from './run.ts'
import { readCommandLine, SMOKE } from './settings.ts'

/** Any will do: the faults are the same three, their order and lengths differ. */
const SEED = 20
/** A move, and then a site that is lost for long enough to have consequences. */
const SHOP_SEED = 42

test('a Redis host that dies takes nothing along that a client waited for', { timeout: 240_000 }, async (t) => {
  const words = ['--engine', 'redis', '--profile', 'normal', '--faults', 'kill-host', '--count', '1', '--minutes', '1']
  const line = readCommandLine([...words, '--seed', String(SEED)], () => SEED)
  assert.ok(line !== 'help')
  const report = await run({ settings: line.settings, say: (text) => t.diagnostic(text), signal: t.signal })
  assert.ok(report.ok, reportText(report))
  assert.equal(report.rows.length, 1)
  assert.ok(report.acknowledged > 100, `${report.acknowledged} acknowledged`)
})

test('a shop that loses a site and is moved loses nothing, in order and one plan at a time', {
  timeout: 300_000,
}, async (t) => {
  const words = ['--scenario', 'shop', '--faults', 'kill-site,move', '--count', '2', '--minutes', '1.5']
  const line = readCommandLine([...words, '--seed', String(SHOP_SEED)], () => SHOP_SEED)
  assert.ok(line !== 'help')
  const report = await run({ settings: line.settings, say: (text) => t.diagnostic(text), signal: t.signal })
  assert.ok(report.ok, reportText(report))
  assert.equal(report.rows.length, 2)
  assert.ok(report.promotions.length >= 2, `${report.promotions.length} promotions`)
  assert.ok(report.verdicts.some(({ checker, figures }) => checker === 'one-plan' && (figures.done ?? 0) > 0))
})

test('three faults lose, double and reorder nothing, and never make two writers', { timeout: 300_000 }, async (t) => {
  const line = readCommandLine(['--smoke', '--seed', String(SEED)], () => SEED)
  assert.ok(line !== 'help')
  const report = await run({ settings: line.settings, say: (text) => t.diagnostic(text), signal: t.signal })
  assert.ok(report.ok, reportText(report))
  assert.deepEqual(report.rows.map(({ fault }) => fault).sort(), [...SMOKE.faults].sort())
  assert.ok(report.acknowledged > 200, `${report.acknowledged} acknowledged`)
  assert.ok(report.promotions.length >= 2, `${report.promotions.length} promotions`)
})
