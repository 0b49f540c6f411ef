/** Two groups on the same three agents: one session per agent serves both. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { freePorts, TestPlatform, until } from '../platform.ts'
import { Hosts, Load, pause } from './load.ts'

const BEAT_MS = 600
const COUNT_MS = 6_000

let platform: TestPlatform
after(() => platform.destroy())

/** Writes that reached the store since the agents started. */
async function storeWrites(): Promise<number> {
  let sum = 0
  for (const port of platform.agentPorts) {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
    const line = /holdfast_store_request_seconds_count\{operation="compare-and-set",result="ok"\} (\d+)/.exec(text)
    sum += Number(line?.[1] ?? 0)
  }
  return sum
}

async function leaders(): Promise<Readonly<Record<string, string>>> {
  const found: Record<string, string> = {}
  for (const member of platform.members) {
    for (const one of (await platform.status(member))?.members ?? []) {
      if (one.writableForMs > 0) found[one.group] = one.agent
    }
  }
  return found
}

async function wholeGroup(group: string): Promise<boolean> {
  const all = (await Promise.all(platform.members.map((m) => platform.status(m)))).flatMap((s) => s?.members ?? [])
  return all.filter((m) => m.group === group && m.engine?.receiving === true).length === 2
}

test('two groups share three agents: both fail over, and store writes do not double', async (t) => {
  platform = await TestPlatform.describe({ members: 3 })
  const ports = await freePorts(4)
  const members = [1, 2, 3].map((n) => {
    const place = `listen: 127.0.0.1:${ports[n - 1]}, dataDir: engines/b${n}`
    return `      - { name: b${n}, agent: a${n}, ${place}, priority: ${n === 1 ? 200 : 100} }`
  })
  const second = `  - name: billing
    engine: postgres
    profile: normal
    replication: sync
    members:
${members.join('\n')}
    application: { user: app, database: app, password: { env: HF_APP } }
    secrets: { superuser: { env: HF_SUPER }, replication: { env: HF_REPL } }
routers:`
  const door = `doors: [{ group: billing, listen: 127.0.0.1:${ports[3]} }, `
  platform.write(platform.text().replace('routers:', second).replace('doors: [', door))
  const hosts = new Hosts(platform)
  await platform.store().says(/ready at/)
  await hosts.start()
  await until('the first host leads both', async () => {
    const found = await leaders()
    return found.orders === 'a1' && found.billing === 'a1'
  })
  await platform.router().says(/ready at/)
  await until('both groups are whole', async () => (await wholeGroup('orders')) && (await wholeGroup('billing')))
  const orders = await Load.start({ port: platform.doorPort }, t)
  const billing = await Load.start({ port: ports[3] ?? 0 }, t)

  const before = await storeWrites()
  await pause(COUNT_MS)
  const perSecond = ((await storeWrites()) - before) / (COUNT_MS / 1_000)
  const expected = 3 * (1_000 / BEAT_MS)
  assert.ok(perSecond < expected * 1.4, `${perSecond} writes a second, one session each makes ${expected}`)

  const crashedMs = performance.now()
  hosts.crashAgent('a1', [platform.dataDir('m1'), `${platform.folder}/engines/b1`])
  await until('both groups lead elsewhere', async () => {
    const found = await leaders()
    return ['a2', 'a3'].includes(found.orders ?? '') && ['a2', 'a3'].includes(found.billing ?? '')
  })
  await orders.more()
  await billing.more()
  const outages = [orders.outageMs(crashedMs), billing.outageMs(crashedMs)]
  assert.deepEqual([await orders.lost(), await billing.lost()], [[], []])
  t.diagnostic(`${perSecond.toFixed(2)} store writes a second, outages ${outages.join(' and ')} ms`)
})
