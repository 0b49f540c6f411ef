/** `failover: manual`: nobody takes over by himself, `status` says why, and an operator's word carries it out. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { TestPlatform, until } from '../platform.ts'
import { always, asked, Hosts, Load, pause, timed } from './load.ts'

const TTL_MS = 3_000
const open: TestPlatform[] = []
after(async () => {
  for (const platform of open) await platform.destroy()
})

async function manualPlatform(replication: string): Promise<{ platform: TestPlatform; hosts: Hosts }> {
  const platform = await TestPlatform.describe({ members: 3, groupLines: '    failover: manual\n' })
  open.push(platform)
  platform.write(platform.text().replace('replication: sync', `replication: ${replication}`))
  const hosts = new Hosts(platform)
  await platform.store().says(/ready at/)
  await hosts.start()
  await platform.router().says(/ready at/)
  return { platform, hosts }
}

test('in manual mode nobody takes over by himself, status says why, and an operator moves the primary', async (t) => {
  const { platform, hosts } = await manualPlatform('sync')
  const before = await platform.whole()
  const target = { port: platform.doorPort }
  const load = await Load.start(target, t)
  hosts.crash(before)
  const heir = platform.members.find((m) => m !== before) ?? ''
  const why = await platform.reason(heir, /"code":"manual".*"rule":"R16"/)
  assert.equal(why.code, 'manual')
  const moved = await always(
    () => platform.writers(),
    (writers) => writers.length === 0,
    TTL_MS,
  )
  assert.equal(moved, null)
  const status = (await platform.command('status')).out.replace(/\s+/g, ' ')
  assert.match(status, /safe now: no, .*failover: manual.*holdfast failover orders/)
  const explained = (await platform.command('explain', 'orders')).out.replace(/\s+/g, ' ')
  assert.match(explained, /It would wait for an operator; m\d is the best candidate/)

  const took = await timed(async () => {
    const said = await platform.command('failover', 'orders')
    assert.equal(said.code, 0, said.out + said.err)
  })
  const now = await platform.primary(before)
  await load.more()
  assert.deepEqual(await load.lost(), [])
  t.diagnostic(`failover by the operator ${before} -> ${now} in ${took} ms, ${load.acked.length} acknowledged, 0 lost`)
})

test('a loss beyond the bound of async needs --allow-data-loss', async (t) => {
  const { platform, hosts } = await manualPlatform('{ async: { lossBytesMax: 4MiB, lossTimeMax: 1s } }')
  const before = await platform.primary()
  const others = platform.members.filter((m) => m !== before)
  await until('both others stream', () => allOf(others, async (m) => (await engineOf(platform, m))?.receiving === true))
  const target = { port: platform.doorPort }
  await asked(target, 'create table number (n int primary key); insert into number values (1)')
  await until('both have it', () => allOf(others, async (m) => (await platform.query(m, COUNT))[0]?.n === 1))
  // Both others are away while the primary goes on: what it then acknowledges only it has.
  for (const other of others) hosts.crash(other)
  await asked(target, 'insert into number values (2)')
  await asked(target, "create table big as select i, repeat('x', 900) as t from generate_series(1, 8000) i")
  await pause(TTL_MS / 2)
  hosts.crash(before)
  await hosts.start(others.map((m) => `a${platform.members.indexOf(m) + 1}`))
  await until('both answer', () => allOf(others, async (m) => (await engineOf(platform, m))?.answering === true))

  const refused = await platform.command('failover', 'orders')
  assert.equal(refused.code, 1, refused.out + refused.err)
  assert.match(refused.out + refused.err, /(loss (bytes|time)|lag)[ -](above|unknown)/)
  assert.match(refused.out + refused.err, /--allow-data-loss/)
  const moved = await always(
    () => platform.writers(),
    (writers) => writers.length === 0,
    TTL_MS,
  )
  assert.equal(moved, null)
  const done = await platform.command('failover', 'orders', '--allow-data-loss')
  assert.equal(done.code, 0, done.out + done.err)
  await platform.primary(before)
  const rows = await asked(target, 'select array_agg(n) as all from number')
  assert.deepEqual(rows[0]?.all, [1], 'what only the lost primary had')
  t.diagnostic(done.out.trim())
})

const COUNT = 'select count(*)::int as n from number'

async function engineOf(platform: TestPlatform, member: string) {
  return (await platform.status(member))?.members[0]?.engine ?? null
}

async function allOf(members: readonly string[], fits: (member: string) => Promise<boolean>): Promise<boolean> {
  const found = await Promise.all(members.map((m) => fits(m).catch(() => false)))
  return found.every(Boolean)
}
