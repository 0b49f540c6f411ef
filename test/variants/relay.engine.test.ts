/** The demo's clients come through HAProxy, which the router leads: what they see of each fault stays the same. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import type { FaultResult } from '../../packages/holdfast/src/cli/demo/report.ts'
import { programPath } from '../../packages/holdfast/src/io/program-path.ts'
import { PROGRAM } from '../platform.ts'

const execute = promisify(execFile)
const DEMO_MS = 120_000
const FAULTS = ['postmaster-kill', 'host-crash', 'switchover', 'store-blip']
const skip = programPath('haproxy') === null ? 'needs haproxy: npm run engines' : false

interface Line {
  readonly ok: boolean
  readonly faults: readonly FaultResult[]
}

test('nothing is lost, doubled or written twice behind a relay', { skip }, async (t) => {
  const words = ['demo', '--relay', 'haproxy', '--output', 'json', ...FAULTS.flatMap((name) => ['--fault', name])]
  const { stdout } = await execute(process.execPath, [PROGRAM, ...words], { timeout: DEMO_MS, maxBuffer: 1 << 24 })
  const line = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Line
  t.diagnostic(line.faults.map(({ fault, writeOutageMs }) => `${fault} ${writeOutageMs} ms`).join(', '))
  assert.deepEqual(
    line.faults.map(({ fault }) => fault),
    FAULTS,
  )
  for (const one of line.faults) {
    assert.ok(one.acked > 0, `${one.fault}: nothing was acknowledged`)
    assert.deepEqual([one.ackedLost, one.doubled, one.twoWritersMs], [0, 0, 0], one.fault)
  }
  assert.equal(line.ok, true)
})
