/** The watchdog of the description (R4): fed while a member may write, stopped in order, missed when required. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { TestPlatform, until } from '../platform.ts'
import { always } from './load.ts'

const TTL_MS = 3_000

let platform: TestPlatform
after(() => platform?.destroy())

function food(name: string): string {
  return readFileSync(join(platform.folder, name), 'utf8')
}

test('a watchdog is fed by renewals and stopped in order; without a required one nobody is promoted', async (t) => {
  platform = await TestPlatform.describe({ members: 2 })
  const plain = platform.text()
  const text = plain
    .replace('name: a1, ', 'name: a1, watchdog: { device: dog-1, required: true }, ')
    .replace('name: a2, ', 'name: a2, watchdog: { device: dog-2, required: true }, ')
  platform.write(text)
  writeFileSync(join(platform.folder, 'dog-1'), '')
  await platform.store().says(/ready at/)
  const agents = [platform.agent('a1'), platform.agent('a2')]
  for (const agent of agents) await agent.says(/ready at/)
  assert.equal(await platform.whole(), 'm1')

  await t.test('the guard of the primary feeds it', async (s) => {
    const before = food('dog-1').length
    await until('five more renewals', async () => food('dog-1').length >= before + 5)
    assert.match(food('dog-1'), /^\.+$/)
    s.diagnostic(`${food('dog-1').length} renewals fed`)
  })

  await t.test('a member whose required watchdog is missing does not take over', async () => {
    assert.match(agents[1]?.text ?? '', /no watchdog: .*dog-2/)
    await until('m2 follows', async () => (await platform.status('m2'))?.members[0]?.engine?.receiving === true)
    const guard = (await platform.status('m2'))?.guard
    assert.equal(guard?.alive, false)
    const status = (await platform.command('status')).out.replace(/\s+/g, ' ')
    assert.match(status, /safe now: no, .*agent a2: its guard is not running/)
    assert.equal(await agents[0]?.stop(), 0)
    assert.match(food('dog-1'), /^\.+V$/, 'stopped in order, so that the host is not reset')
    const moved = await always(
      () => platform.writers(),
      (writers) => writers.length === 0,
      2 * TTL_MS,
    )
    assert.equal(moved, null)
    assert.ok(!existsSync(join(platform.folder, 'dog-2')))
  })

  await t.test('once its watchdog is there it takes over', async () => {
    writeFileSync(join(platform.folder, 'dog-2'), '')
    assert.equal(await platform.primary(), 'm2')
    await until('fed', async () => /^\.+$/.test(food('dog-2')))
  })

  await t.test('one device for two agents of a host, or a lease shorter than any watchdog, is a mistake', async () => {
    platform.write(text.replace('dog-2', 'dog-1').replace('profile: normal', 'profile: fast'))
    const said = platform.run(['validate', platform.file])
    assert.equal(await said.end(), 2)
    const words = said.text.replace(/\s+/g, ' ')
    assert.match(words, /`dog-1` is already the watchdog of agent `a1` on this host/)
    assert.match(words, /no watchdog can bite within the lease of group `orders`/)
  })
})
