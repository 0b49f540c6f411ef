import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { FAULTS } from './faults.ts'

const PROGRAM = fileURLToPath(new URL('../../../bin/holdfast.js', import.meta.url))
const execute = promisify(execFile)

interface Line {
  readonly ok: boolean
  readonly mode: string
  readonly profile: string
  readonly faults: readonly {
    readonly fault: string
    readonly acked: number
    readonly ackedLost: number
    readonly doubled: number
    readonly twoWritersMs: number
    readonly newPrimary: string
    readonly reason: string
  }[]
}

async function demo(words: readonly string[]): Promise<Line> {
  const options = { timeout: 170_000, maxBuffer: 16 * 1024 * 1024 }
  const { stdout } = await execute(process.execPath, [PROGRAM, 'demo', '--output', 'json', ...words], options)
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Line
}

test('the demo survives every fault in sync mode without a lost or doubled write or a second writer', async () => {
  const line = await demo([])
  assert.equal(line.mode, 'sync')
  assert.equal(line.profile, 'fast')
  assert.deepEqual(
    line.faults.map((f) => f.fault),
    FAULTS.map((f) => f.name),
  )
  for (const fault of line.faults) {
    assert.ok(fault.acked > 0, `${fault.fault}: nothing was acknowledged`)
    assert.deepEqual([fault.ackedLost, fault.doubled, fault.twoWritersMs], [0, 0, 0], fault.fault)
    assert.match(fault.newPrimary, /^orders-\d$/)
    assert.notEqual(fault.reason, '')
  }
  assert.equal(line.ok, true)
})

test('the demo in async mode tells what was lost and never has two writers', async () => {
  const line = await demo(['--mode', 'async', '--fault', 'postmaster-kill', '--fault', 'switchover'])
  assert.equal(line.mode, 'async')
  assert.ok(line.faults.every((f) => f.twoWritersMs === 0 && f.doubled === 0))
  assert.equal(line.faults.find((f) => f.fault === 'switchover')?.ackedLost, 0)
})

test('a fault that does not exist is refused with the names of those that do', async () => {
  await assert.rejects(demo(['--fault', 'flood']), (error: { code?: number; stdout?: string }) => {
    assert.equal(error.code, 2)
    assert.match(error.stdout ?? '', /host-crash/)
    return true
  })
})
