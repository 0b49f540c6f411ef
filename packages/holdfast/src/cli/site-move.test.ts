/** What `holdfast move` and `evacuate` say before anything is asked of anybody; the rest is shown on real engines. */
import assert from 'node:assert/strict'
import { appendFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { type FakeAgents, fakeAgents, run } from './fake-agents.fixture.ts'

describe('moving a service', () => {
  let fake: FakeAgents
  before(async () => {
    fake = await fakeAgents()
    appendFileSync(fake.file, 'services: [{ name: shop, home: north, groups: [{ group: orders }] }]\n')
  })
  after(() => fake.close())

  const USAGE: readonly (readonly [readonly string[], RegExp])[] = [
    [['move', 'shp', '--home'], /there is no service shp\s+next: shop\?\s+code: HF_SERVICE_UNKNOWN/],
    [['move', 'shop', '--to', 'south'], /south is no site with data\s+next: one of north\s+code: HF_SITE_UNKNOWN/],
    [['move', 'shop'], /say where to, once\s+next: --to <site>, --home, --resume or --cancel/],
    [['move', 'shop', '--home', '--resume'], /say where to, once/],
    [['evacuate', 'orders-9'], /there is no member orders-9\s+next: one of orders-1, orders-2, orders-3/],
  ]
  for (const [words, expected] of USAGE) {
    it(`${words.join(' ')} is wrong, and says what would be right`, async () => {
      const ran = await run([...words, '--file', fake.file])
      assert.equal(ran.code, 2)
      assert.match(ran.err, expected)
      assert.deepEqual(fake.sent, [], 'nobody was asked')
    })
  }

  it('says that nothing was changed when the plan cannot be read', async () => {
    const ran = await run(['move', 'shop', '--home', '--yes', '--file', fake.file])
    assert.equal(ran.code, 3)
    assert.match(ran.err, /plans cannot be read/)
    assert.ok(fake.sent.every(({ method }) => method === 'GET'))
  })

  it('shows in status where a service is', async () => {
    const { out } = await run(['status', '--file', fake.file])
    assert.match(out, /service shop: at north, its home/)
  })
})
