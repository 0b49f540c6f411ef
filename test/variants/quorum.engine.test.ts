/** `quorum: n`: after the crash of hosts the others stop receiving, compare, and the most advanced one wins. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { after, test } from 'node:test'
import { treeOf } from '../../packages/holdfast/src/io/process-tree.ts'
import { TestPlatform, until } from '../platform.ts'
import { asked, enginesOf, Hosts, Load } from './load.ts'

const open: TestPlatform[] = []
after(async () => {
  for (const platform of open) await platform.destroy()
})

async function quorumPlatform(members: number, need: number): Promise<{ platform: TestPlatform; hosts: Hosts }> {
  const platform = await TestPlatform.describe({ members })
  open.push(platform)
  const text = platform.text().replace('replication: sync', `replication: { quorum: ${need} }`)
  // The one that will lag is the one that would be preferred.
  platform.write(text.replace('name: m2,', 'name: m2, priority: 900,'))
  const hosts = new Hosts(platform)
  await platform.store().says(/ready at/)
  await hosts.start()
  // The preferred one made the group.
  assert.equal(await platform.whole(), 'm2')
  const moved = await platform.command('switchover', 'orders', '--to', 'm1')
  assert.equal(moved.code, 0, moved.out + moved.err)
  assert.equal(await platform.whole(), 'm1')
  await until('every standby is counted', async () => {
    const group = (await platform.status('m1'))?.groups[0]
    return group?.eligible.length === members - 1 || group?.eligible.length === members
  })
  await platform.router().says(/ready at/)
  return { platform, hosts }
}

test('quorum 1 of 3: the most advanced member wins over the preferred one, and nothing is lost', async (t) => {
  const { platform, hosts } = await quorumPlatform(3, 1)
  const target = { port: platform.doorPort }
  const load = await Load.start(target, t)
  await rollingRestart(platform, load, t)
  const receiver = receiverOf(platform.dataDir('m2'))
  process.kill(receiver, 'SIGSTOP')
  // More than the sockets between them hold.
  await asked(target, "create table big as select i, repeat('x', 900) as t from generate_series(1, 30000) i")
  await load.more()
  const crashedMs = performance.now()
  hosts.crash('m1')
  process.kill(receiver, 'SIGCONT')
  const now = await platform.primary('m1')
  await load.more()
  const outageMs = load.outageMs(crashedMs)
  const reasons = [...(await platform.reasons('m2')), ...(await platform.reasons('m3'))]
  assert.equal(now, 'm3')
  assert.ok(reasons.some(({ code, rule }) => code === 'gathers-positions' && rule === 'R13'))
  assert.deepEqual(await load.lost(), [])
  assert.equal((await asked(target, 'select count(*)::int as n from big'))[0]?.n, 30_000)
  t.diagnostic(`write outage ${outageMs} ms, ${load.acked.length} acknowledged, 0 lost`)
})

test('quorum 2 of 4: two hosts crash at once, the others compare, and nothing is lost', async (t) => {
  const { platform, hosts } = await quorumPlatform(4, 2)
  const load = await Load.start({ port: platform.doorPort }, t)
  const crashedMs = performance.now()
  hosts.crash('m1')
  hosts.crash('m4')
  const now = await platform.primary('m1')
  const tookMs = Math.round(performance.now() - crashedMs)
  assert.ok(now === 'm2' || now === 'm3', now)
  const reasons = [...(await platform.reasons('m2')), ...(await platform.reasons('m3'))]
  assert.ok(reasons.some(({ code }) => code === 'gathers-positions'))
  // Two must confirm and only one is left: writes go on when one of the crashed hosts is back.
  await hosts.start(['a4'])
  await load.more()
  assert.deepEqual(await load.lost(), [])
  t.diagnostic(`${now} leads after ${tookMs} ms, ${load.acked.length} acknowledged, 0 lost`)
})

/** Every engine runs anew, nothing is lost, and writers meet no more than the switchover back to m1 shows. */
async function rollingRestart(
  platform: TestPlatform,
  load: Load,
  t: { diagnostic(line: string): void },
): Promise<void> {
  const before = await enginesOf(platform)
  const startedMs = performance.now()
  const restart = await platform.command('restart', 'orders', '--rolling', '--yes', '--output', 'json')
  assert.equal(restart.code, 0, restart.out + restart.err)
  const { phase, steps } = JSON.parse(restart.out.trim().split('\n').at(-1) ?? '{}')
  assert.equal(phase, 'done')
  const order = steps.map(({ name }: { name: string }) => name)
  assert.deepEqual(order.slice(2), ['hold:orders', 'move:orders', 'release:orders', 'restart:m1'])
  assert.deepEqual(order.slice(0, 2).sort(), ['restart:m2', 'restart:m3'])
  const after = await enginesOf(platform)
  for (const member of platform.members) assert.notEqual(after[member], before[member], `${member} runs anew`)
  await load.more()
  const rollingMs = load.outageMs(startedMs)
  const backMs = performance.now()
  const back = await platform.command('switchover', 'orders', '--to', 'm1')
  assert.equal(back.code, 0, back.out + back.err)
  assert.equal(await platform.whole(), 'm1')
  await load.more()
  const moveMs = load.outageMs(backMs)
  t.diagnostic(`rolling restart: writes stood still for ${rollingMs} ms at most; a switchover: ${moveMs} ms`)
  assert.ok(rollingMs <= Math.max(3_000, 3 * moveMs), `${rollingMs} ms against ${moveMs} ms`)
  await until('every standby is counted', async () => (await platform.status('m1'))?.groups[0]?.eligible.length === 2)
}

function receiverOf(dataDir: string): number {
  const found = treeOf(dataDir, null).find(({ pid }) => /walreceiver/.test(titleOf(pid)))
  assert.ok(found, `a receiver in ${readdirSync(dataDir).length} files of ${dataDir}`)
  return found.pid
}

function titleOf(pid: number): string {
  return readFileSync(`/proc/${pid}/cmdline`, 'latin1')
}
