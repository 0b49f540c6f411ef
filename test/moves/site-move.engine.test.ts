/** A service of two engines between two sites, and all that an operator or a site can do in the middle of it. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, beforeEach, describe, test } from 'node:test'
import { findRedis } from '../../packages/holdfast/src/engines/redis/binaries.ts'
import { ReplyError } from '../../packages/holdfast/src/io/resp.ts'
import { readDocSteps } from '../../scripts/doc-commands.ts'
import { PATIENCE_MS, until } from '../platform.ts'
import { GROUPS, Shop } from './shop-fixture.ts'

/** Writes down which way it was called. */
const FLAG = '[sh, -c, "echo $HOLDFAST_WAY >> flags"]'

/** Home has to be whole for half a minute, on a machine that may be busy. */
const HOME_MS = 180_000

const skip = findRedis() === null ? 'needs redis-server: npm run engines' : false

describe('a service between two sites', { skip }, () => {
  let shop: Shop
  before(async () => {
    shop = new Shop()
    await shop.start()
    await shop.query('create table word (n int primary key)')
  })
  after(() => shop.destroy())
  beforeEach(() => shop.atHome())

  const words = async (n: number): Promise<void> => {
    await shop.query(`insert into word select i from generate_series(1, ${n}) i on conflict do nothing`)
    assert.deepEqual(await shop.query('select count(*)::int as words from word'), [{ words: n }])
  }

  test('moves there and back in order, loses nothing, and predicts the second time from the first', async () => {
    await words(10)
    const there = await shop.move(['--to', 'south', '--yes'])
    assert.equal(there.phase, 'done', there.text)
    assert.ok(await shop.ledAt('south'))
    const order = there.steps?.map(({ name }) => name) ?? []
    assert.ok(order.indexOf('move:stock') < order.indexOf('move:orders'))
    await words(20)
    await shop.whole('south')
    const dry = shop.run('dry', ['move', 'shop', '--home', '--dry-run'])
    assert.equal(await dry.end(), 0)
    assert.match(dry.out, /move:orders +orders: orders-2 -> orders-1 .*s +1 past run/)
    assert.ok(await shop.ledAt('south'), 'a dry run changes nothing')
    const back = await shop.move(['--home', '--yes'])
    assert.equal(back.phase, 'done', back.text)
    await words(30)
    await shop.whole('north')
  })

  for (const [page, least] of [
    ['move-a-service', 5],
    ['restart', 2],
  ] as const)
    test(`the how-to ${page} says what is true`, async () => {
      const steps = readDocSteps(readFileSync(new URL(`../../docs/operate/${page}.md`, import.meta.url), 'utf8'))
      const commands = steps.filter((step) => step.kind === 'commands')
      assert.ok(commands.length >= least)
      for (const { text } of commands) {
        await until(text, async () => {
          const running = shop.run('how-to', text.trim().split(' ').slice(1))
          return (await running.end()) === 0
        })
      }
      await shop.query('select 1')
      if (!(await shop.ledAt('north')))
        await until('the shop at home', async () => (await shop.move(['--home', '--yes'])).ok)
      await shop.whole('north')
    })

  test('two operators at once: one plan is carried out, the other is told so', async () => {
    if (!(await shop.ledAt('north'))) await shop.move(['--to', 'north', '--yes'])
    await shop.whole('north')
    const ends = await Promise.all([
      (async () => shop.move(['--to', 'south', '--yes']))(),
      (async () => shop.move(['--to', 'south', '--yes']))(),
    ])
    const done = ends.filter(({ phase, code }) => phase === 'done' && code === 0)
    assert.ok(done.length >= 1, JSON.stringify(ends))
    for (const end of ends) {
      if (end.code !== 0) assert.equal(end.error?.code, 'HF_PLAN_BUSY', end.text)
    }
    await shop.whole('south')
  })

  test('a hook that hangs is killed, and everything is taken back', async () => {
    const file = shop.withHooks(
      `      - { name: flag, when: before, run: ${FLAG}, undo: { run: ${FLAG} }, deadline: 10s }\n` +
        '      - { name: slow, when: after, group: stock, run: [sleep, "600"], deadline: 500ms }\n',
    )
    const end = await shop.move(['--to', 'south', '--yes'], file)
    assert.equal(end.phase, 'undone', end.text)
    assert.equal(end.error?.code, 'HF_PLAN_UNDONE')
    assert.match(end.because ?? '', /hook:slow: killed after 500 ms/)
    assert.deepEqual(readFileSync(join(shop.folder, 'flags'), 'utf8').split('\n'), ['do', 'undo', ''])
    assert.ok(await shop.ledAt('north'))
    await shop.whole('north')
  })

  for (const step of ['hold:stock', 'move:stock', 'move:orders', 'release:orders']) {
    test(`cancelled at ${step}, it ends whole: taken back, or already done`, async () => {
      const mover = shop.run('mover', ['move', 'shop', '--to', 'south', '--yes'])
      await mover.says(new RegExp(`${step} running`))
      const cancel = await shop.move(['--cancel'])
      await mover.end()
      assert.ok(cancel.phase === 'undone' || cancel.phase === 'done' || /no plan/.test(cancel.text), cancel.text)
      const site = (await shop.ledAt('north')) ? 'north' : 'south'
      if (cancel.phase === 'undone') assert.equal(site, 'north', cancel.text)
      await shop.whole(site)
    })
  }

  test('whoever runs it dies in the middle: it is refused to others, resumed, and done', async () => {
    const mover = shop.run('mover', ['move', 'shop', '--to', 'south', '--yes'])
    await mover.says(/move:stock running/)
    mover.child.kill('SIGKILL')
    await mover.end()
    const other = await shop.move(['--to', 'south', '--yes'])
    assert.equal(other.error?.code, 'HF_PLAN_BUSY', other.text)
    assert.match(other.error?.next ?? '', /--resume/)
    const end = await shop.move(['--resume'])
    assert.equal(end.phase, 'done', end.text)
    assert.ok(await shop.ledAt('south'))
    await shop.whole('south')
  })

  test('every primary gone, nobody to follow: writers are told at once, readers go on with a known age', async (t) => {
    await words(35)
    assert.deepEqual(await shop.redis(shop.door('stock'), [['SET', 'shoes', '7']]), ['OK', 'OK'])
    for (const group of GROUPS) {
      const pause = shop.run('pause', ['pause', group, '--for', '10m', '--because', 'nobody may follow'])
      assert.equal(await pause.end(), 0, pause.text)
    }
    await until('replicas that have it all', async () => {
      const [row] = await shop.query('select count(*)::int as words from word', shop.door('orders', 'replicas'))
      return row?.words === 35
    })
    shop.killSite('north')
    // Whoever comes is held at first, for as long as a failover may take.
    const refuses = async (group: string): Promise<boolean> => {
      await shop.redis(shop.door(group), [])
      return (await shop.metric('holdfast_router_refusing', group)) === 1
    }
    await Promise.all(GROUPS.map((group) => until(`${group} refuses writers`, () => refuses(group))))
    const startedMs = performance.now()
    await assert.rejects(shop.query('select 1'), {
      code: '57P03',
      message: /group orders has no primary, for \d+ s now/,
    })
    const [refused] = await shop.redis(shop.door('stock'), [])
    assert.ok(refused instanceof ReplyError)
    assert.match(refused.message, /^MASTERDOWN group stock has no primary/)
    const tookMs = Math.round(performance.now() - startedMs)
    assert.ok(tookMs < 8_000, `refused at once, not after waiting: ${tookMs} ms`)
    const rows = await shop.query('select count(*)::int as words from word', shop.door('orders', 'replicas'))
    assert.deepEqual(rows, [{ words: 35 }])
    assert.deepEqual(await shop.redis(shop.door('stock', 'replicas'), [['GET', 'shoes']]), ['OK', '7'])
    const ages = await Promise.all(GROUPS.map((group) => shop.metric('holdfast_router_stale_seconds', group)))
    for (const [at, group] of GROUPS.entries()) {
      assert.equal(await shop.metric('holdfast_router_reads_degraded', group), 1, group)
      assert.ok((ages[at] ?? 0) > 5, `${group} has been without a primary for longer than ${ages[at]} s`)
    }
    t.diagnostic(`both refused within ${tookMs} ms; read with an age of ${ages.join(' s and ')} s`)
    await shop.startSites(['north'])
    for (const group of GROUPS) await shop.run('resume', ['resume', group]).end()
    await until('a shop with its primaries', async () => (await shop.writers()).length === GROUPS.length)
    await words(36)
  })

  test('a site is lost: the service follows by itself, nothing acknowledged is lost, it is on record', async () => {
    await words(40)
    shop.killSite('north')
    await until('a first group in the south', async () => (await shop.writers()).length > 0, PATIENCE_MS)
    // It comes back in the middle: what moved stays, the rest follows, and the site follows them.
    await shop.startSites(['north'])
    await until('a shop in the south', () => shop.ledAt('south'), PATIENCE_MS)
    await words(50)
    const recorded = await until('the plan of the move', async () => {
      const end = shop.run('late', ['move', 'shop', '--to', 'south', '--dry-run'])
      await end.end()
      return /shop is there already/.test(end.out)
    })
    assert.ok(recorded)
    // Nothing moves home by itself: `comeHome: ask`. With another rule the agent at home brings it, when it was calm.
    await shop.whole('south')
    const status = shop.run('status', ['status'])
    await status.end()
    const told = status.out.replaceAll(/\s+/g, ' ')
    assert.match(told, /home is north, it goes there on a person's word: holdfast move shop --home/)
    await shop.stopSite('north')
    await shop.startSites(['north'], shop.changed('comeHome: ask', 'comeHome: when-healthy'))
    await until('a shop that came home', () => shop.ledAt('north'), HOME_MS)
    await words(60)
    const again = await shop.move(['--home', '--dry-run'])
    assert.equal(again.code, 0, again.text)
    await shop.whole('north')
  })
})
