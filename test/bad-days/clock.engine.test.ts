/**
 * Wall clocks that jump, forwards and back, under a whole group: nothing happens, for no decision looks at them (R3).
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { faketimePath } from '../../scripts/engines/wanted.ts'
import { TestPlatform } from '../platform.ts'

const LIBRARY = faketimePath()
/** Of the profile `normal`. */
const TTL_MS = 3_000
const DAY_MS = 86_400_000

let platform: TestPlatform | null = null
after(async () => platform?.destroy())

const skip = LIBRARY === null ? 'needs faketime: npm run engines' : false
test('a wall clock that jumps a day forwards, and two back, moves no primary and ends no write', { skip }, async () => {
  platform = await TestPlatform.describe({ members: 2 })
  const group = platform
  await group.store().says(/ready at/)
  const jump = (name: string, offset: string): void => writeFileSync(join(group.folder, `${name}.clock`), `${offset}\n`)
  const agents = ['a1', 'a2'].map((name) => {
    jump(name, '+0')
    return group.agent(name, {
      LD_PRELOAD: LIBRARY ?? '',
      FAKETIME_TIMESTAMP_FILE: join(group.folder, `${name}.clock`),
      FAKETIME_NO_CACHE: '1',
      // As the kernel does it: setting the clock leaves the monotonic one alone.
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      DONT_FAKE_MONOTONIC: '1',
    })
  })
  for (const agent of agents) await agent.says(/ready at/)
  const primary = await group.whole()
  await group.query(primary, 'create table ledger (n int primary key)')
  const epoch = (await group.status(primary))?.groups[0]?.epoch
  let written = 0
  for (const offset of ['+1d', '-2d']) {
    for (const name of ['a1', 'a2']) jump(name, offset)
    const untilMs = performance.now() + 2 * TTL_MS
    while (performance.now() < untilMs) {
      await group.query(primary, `insert into ledger values (${++written})`)
      assert.deepEqual(await group.writers(), [primary])
    }
  }
  assert.equal((await group.status(primary))?.groups[0]?.epoch, epoch)
  const moved = await group.command('switchover', 'orders')
  assert.equal(moved.code, 0, moved.err)
  const next = await group.whole()
  const newest = (await group.reasons(next)).at(-1)?.wallMs ?? 0
  assert.ok(newest < Date.now() - DAY_MS, `the agents live two days ago: ${new Date(newest).toISOString()}`)
  assert.deepEqual(await group.query(next, 'select count(*)::int as n from ledger'), [{ n: written }])
})
