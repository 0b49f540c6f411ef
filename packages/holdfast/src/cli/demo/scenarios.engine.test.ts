import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { findRedis } from '../../engines/redis/binaries.ts'

const PROGRAM = fileURLToPath(new URL('../../../bin/holdfast.js', import.meta.url))
const execute = promisify(execFile)

interface Line {
  readonly ok: boolean
  readonly scenario: string
  readonly faults: readonly { readonly fault: string; readonly acked: number; readonly newPrimary: string }[]
  readonly groups: readonly { readonly group: string; readonly twoWritersMs: number }[]
  readonly steps: readonly { readonly name: string; readonly predictedMs: number; readonly measuredMs: number }[]
  readonly service: {
    readonly rtoMs: number
    readonly rpoLostOrders: number
    readonly lostReservations: number
    readonly oversold: number
    readonly soldOut: number
  }
}

const found = await findRedis()
const skip = found.ok ? false : `needs redis-server: npm run engines (${found.because})`

test('a lost site: the whole shop goes on at the other one, with every order and no piece too many', {
  skip,
}, async () => {
  const words = ['demo', '--scenario', 'site-loss', '--output', 'json']
  const { stdout } = await execute(process.execPath, [PROGRAM, ...words], { timeout: 170_000 })
  const line = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Line
  assert.equal(line.scenario, 'site-loss')
  const [fault] = line.faults
  assert.equal(fault?.newPrimary, 'stock-2, orders-2')
  assert.ok(fault !== undefined && fault.acked > 0)
  assert.deepEqual(
    line.steps.map(({ name }) => name),
    ['follow:stock', 'follow:orders'],
  )
  assert.ok(line.steps.every(({ predictedMs, measuredMs }) => predictedMs > 0 && measuredMs > 0))
  const { rtoMs, rpoLostOrders, lostReservations, oversold } = line.service
  assert.deepEqual([rpoLostOrders, lostReservations, oversold], [0, 0, 0])
  // Nobody leads before the lease of the dead is over: less would mean that nothing was killed.
  assert.ok(rtoMs > 300 && rtoMs < 30_000, `${rtoMs} ms`)
  assert.deepEqual(
    line.groups.map(({ group, twoWritersMs }) => [group, twoWritersMs]),
    [
      ['stock', 0],
      ['orders', 0],
    ],
  )
  assert.equal(line.ok, true)
})

test('a scenario that does not exist, or with options of the faults, is refused', async () => {
  const refused = async (words: readonly string[], told: RegExp): Promise<void> => {
    await assert.rejects(execute(process.execPath, [PROGRAM, 'demo', ...words]), (error: Partial<Refusal>) => {
      assert.equal(error.code, 2)
      assert.match(error.stdout ?? '', told)
      return true
    })
  }
  await refused(['--scenario', 'flood'], /site-loss, site-switchover, site-failback/)
  await refused(['--scenario', 'site-loss', '--keep'], /--profile, --postgres and --output alone/)
})

interface Refusal {
  readonly code: number
  readonly stdout: string
}
