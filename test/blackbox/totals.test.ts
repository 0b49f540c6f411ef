import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { reportText } from './report.ts'
import type { FaultRow, RunReport } from './run.ts'
import { readCommandLine } from './settings.ts'
import { added, record, totalsPath } from './totals.ts'

const promotion = { member: 'm2', epoch: 2, time: 1, planned: false, reason: 'silent' }

function reportOf(seed: number, ok: boolean): RunReport {
  const line = readCommandLine(['--seed', String(seed)], () => 0)
  assert.ok(line !== 'help')
  const row: FaultRow = {
    ...{
      number: 1,
      fault: 'kill-host',
      at: ['h1'],
      lastsMs: 900,
      asks: 'switchover',
      switchover: null,
      wholeAfterMs: 2_000,
    },
    ...{ outageMs: 1_300, promotions: [promotion] },
  }
  const rows = [row, { ...row, number: 2, fault: 'cut-store', switchover: 'refused', wholeAfterMs: null }]
  const findings = ok ? [] : ['n 7 attempt 1 is gone']
  return {
    ...{ ok, settings: line.settings, world: 'loopback', faultMs: 1_800_000, acknowledged: 100, rows, folder: null },
    promotions: [promotion, { ...promotion, planned: true }],
    verdicts: [{ checker: 'lost', ok, figures: { lost: ok ? 0 : 1 }, findings }],
  }
}

test('totals add up over runs, and remember which seed was not content', () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-totals-'))
  const path = join(folder, 'results', 'totals.json')
  try {
    record(reportOf(5, true), { date: '2026-01-01', commit: 'aaa', load: 2 }, path)
    record(reportOf(6, false), { date: '2026-01-02', commit: 'bbb', load: 1 }, path)
    const { seeds, hours, faults, promotions, acknowledged, failures, commits, first, last, load } = JSON.parse(
      readFileSync(path, 'utf8'),
    )
    assert.deepEqual([seeds, hours, acknowledged], [[5, 6], 1, 200])
    assert.deepEqual(faults, { 'cut-store': 2, 'cut-store + switchover': 2, 'kill-host': 2 })
    assert.deepEqual(promotions, { planned: 2, unplanned: 2 })
    assert.deepEqual(failures, [{ seed: 6, commit: 'bbb', checkers: ['lost'] }])
    assert.deepEqual([commits, first, last, load], [['aaa', 'bbb'], '2026-01-01', '2026-01-02', { min: 1, max: 2 }])
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('plans of a service add up, and its runs have a file of their own', () => {
  const report = reportOf(5, true)
  const plans = { checker: 'one-plan', ok: true, figures: { plans: 3, done: 2 }, findings: [] }
  const shop = { ...report, settings: { ...report.settings, scenario: 'shop' as const }, verdicts: [plans] }
  const stamp = { date: '2026-01-01', commit: 'aaa', load: 2 }
  assert.deepEqual(added(added(null, shop, stamp), shop, stamp).plans, { plans: 6, done: 4 })
  assert.match(totalsPath(shop), /blackbox-shop-sync-fast\.json$/)
  assert.equal(added(null, report, stamp).plans, undefined)
})

test('the report names the seed, what healed never, and what a checker found', () => {
  const text = reportText(reportOf(6, false))
  assert.match(text, /seed 6 holdfast postgres sync fast: 2 faults in 30\.0 min, 1 failovers, 1 planned, 100 acked/)
  assert.match(text, /cut-store \+ switchover +h1 .*never/)
  assert.match(text, /lost: n 7 attempt 1 is gone/)
  assert.match(text, /NOT OK/)
  assert.match(reportText(reportOf(5, true)), /every checker is content/)
})
