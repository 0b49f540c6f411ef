/** An agent that is killed in the middle of a clone: the next one begins anew, and no half copy is ever a candidate. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { afterEach, test } from 'node:test'
import { TestPlatform } from '../platform.ts'

let platform: TestPlatform | null = null
afterEach(async () => platform?.destroy())

/** Enough that a clone takes long enough to be met half-way. */
const FILLER_ROWS = 1_000_000

test('an agent killed while it clones leaves nothing that counts, and its next start clones anew', {
  timeout: 3 * 60_000,
}, async () => {
  platform = await TestPlatform.describe({ members: 2 })
  const group = platform
  const [, second] = await group.start()
  assert.equal(await group.whole(), 'm1')
  const filler = `create table filler as select g, md5(g::text) from generate_series(1, ${FILLER_ROWS}) g`
  await group.query('m1', filler)
  assert.equal(await second?.stop(), 0)
  rmSync(group.dataDir('m2'), { recursive: true })
  const partial = `${group.dataDir('m2')}.partial`
  for (let round = 1; round <= 2; round++) {
    const agent = group.agent('a2')
    await agent.says(/ready at/)
    // Looked at more often than `until` does: a clone on a fast disk takes a tenth of a second.
    while (!existsSync(partial)) await new Promise((resolve) => setTimeout(resolve, 1))
    agent.child.kill('SIGKILL')
    await agent.end()
    const copied = existsSync(group.dataDir('m2')) ? readdirSync(group.dataDir('m2')) : []
    assert.deepEqual(copied, [], 'a data directory is whole, or empty')
    assert.deepEqual(await group.writers(), ['m1'])
  }
  await group.agent('a2').says(/ready at/)
  assert.equal(await group.whole(), 'm1')
  assert.equal(existsSync(partial), false)
  assert.equal(existsSync(`${group.dataDir('m2')}.unfinished`), false)
  const [row] = await group.query('m2', 'select count(*)::int as n from filler')
  assert.equal(row?.n, FILLER_ROWS)
})
