/** `holdfast canary` where there is nothing to measure, and where nobody answers. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { after, before, it } from 'node:test'
import { EXIT } from './exit-codes.ts'
import { type FakeAgents, fakeAgents, run } from './fake-agents.fixture.ts'

let fake: FakeAgents
before(async () => {
  fake = await fakeAgents()
  writeFileSync(fake.file, readFileSync(fake.file, 'utf8').replaceAll('NOT_SET', 'HOLDFAST_TOKEN'))
})
after(() => fake.close())

it('says that nobody is described to write as, and which groups there are', async () => {
  const nobody = await run(['canary', 'orders', '--file', fake.file])
  assert.equal(nobody.code, EXIT.failed)
  assert.match(nobody.err, /group orders has no application[\s\S]*HF_CANARY_IMPOSSIBLE/)
  const other = await run(['canary', 'order', '--file', fake.file])
  assert.equal(other.code, EXIT.usage)
  assert.match(other.err, /orders\?/)
  assert.equal((await run(['canary', '--per-second', '9', '--file', fake.file])).code, EXIT.usage)
})

it('tells of a group that answers nobody what failed, and ends in time', async () => {
  const application = '    application: { user: app, database: app, password: { env: HOLDFAST_TOKEN } }\n    secrets:'
  writeFileSync(fake.file, readFileSync(fake.file, 'utf8').replace('    secrets:', application))
  const { code, out } = await run(['canary', 'orders', '--for', '1s', '--output', 'json', '--file', fake.file])
  assert.equal(code, EXIT.failed)
  const told = JSON.parse(out) as {
    ok: boolean
    groups: { acked: number; failed: number; via: string; lost: unknown }[]
  }
  const [orders] = told.groups
  assert.deepEqual([told.ok, orders?.acked, orders?.lost], [false, 0, null])
  assert.ok((orders?.failed ?? 0) > 0, out)
  assert.match(orders?.via ?? '', /^straight to orders-\d$/)
})
