import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, test } from 'node:test'
import { loadBytes } from '../config/load.ts'
import type { Platform } from '../config/platform.ts'
import { EMPTY } from '../core/alerts/state.ts'
import { HoldfastError } from '../errors.ts'
import { systemClock } from '../io/clock.ts'
import { createLog } from '../io/log.ts'
import { readExposition } from './exposition.ts'
import { alertsClock, memoryPath, openMemory } from './memory.ts'
import { type Receiver, receiver } from './receivers.fixture.ts'
import type { Runner } from './runner.ts'
import { alertsConfig } from './settings.ts'
import { targetsOf } from './targets.ts'
import { startAlerts } from './wire.ts'

const log = createLog({ level: 'silent', name: 'test' })
const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

/** Agents that answer `/metrics` with what a test sets. */
interface World {
  readonly platform: Platform
  readonly hook: Receiver
  text: (agent: string) => string
  readonly servers: ReadonlyMap<string, Server>
}

const HEALTHY = `# TYPE holdfast_member_engine_up gauge
holdfast_member_engine_up{group="orders",member="MEMBER"} 1
holdfast_member_writable_seconds{group="orders",member="MEMBER"} 1
holdfast_guard_up 1
`

async function world(more = ''): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-alerts-'))
  const hook = await receiver()
  ends.push(
    () => rmSync(folder, { recursive: true }),
    () => hook.close(),
  )
  const servers = new Map<string, Server>()
  for (const agent of ['a1', 'a2']) {
    const server = createServer((_, response) => void response.end(self.text(agent)))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    servers.set(agent, server)
    ends.push(() => shut(server))
  }
  const ports = [...servers.values()].map((server) => (server.address() as AddressInfo).port)
  const text = describe(ports, `${hook.url}/hook`, more)
  const loaded = loadBytes(Buffer.from(text), join(folder, 'holdfast.yaml'), { env: {}, secrets: 'alerts' })
  assert.ok(loaded.ok, JSON.stringify(loaded))
  const self: World = { platform: loaded.platform, hook, servers, text: (agent) => healthy(agent) }
  return self
}

function healthy(agent: string): string {
  const text = HEALTHY.replaceAll('MEMBER', agent.replace('a', 'm'))
  return agent === 'a1'
    ? text
    : text.replace('writable_seconds{group="orders",member="m2"} 1', 'writable_seconds{group="orders",member="m2"} 0')
}

function shut(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}

function describe(ports: readonly number[], hook: string, more: string): string {
  const secret = '{ env: X }'
  const agents = ports.map((port, at) => `  - { name: a${at + 1}, site: here, listen: "127.0.0.1:${port}" }`)
  const members = ports.map(
    (_, at) => `      - { name: m${at + 1}, agent: a${at + 1}, listen: "127.0.0.1:${15_000 + at}", dataDir: d${at} }`,
  )
  return `version: 1
platform: shop
sites:
  - name: here
store: { kind: embedded, listen: "127.0.0.1:14000", token: ${secret} }
agentDefaults:
  token: ${secret}
agents:
${agents.join('\n')}
groups:
  - name: orders
    engine: postgres
    replication: sync
    members:
${members.join('\n')}
    secrets: { superuser: ${secret}, replication: ${secret} }
alerts:
  every: 500ms
  groupWait: 1ms
  channels:
    - { name: hook, kind: webhook, url: "${hook}" }
  rules:
    engine-down: { for: 0s }
${more}`
}

function start({ platform }: World, onReplaced: () => void = () => undefined): Runner {
  const runner = startAlerts({ platform, clock: systemClock, log, onReplaced })
  ends.push(() => runner.close())
  return runner
}

function heard(
  { hook }: World,
  at: number,
): { kind: string; id: string; firing: { rule: string }[]; resolved: unknown[] } {
  return JSON.parse(hook.received[at]?.body ?? '{}') as ReturnType<typeof heard>
}

test('what an agent tells becomes a message, survives a kill before it arrived, and is not told twice', async () => {
  const here = await world()
  here.hook.status = null
  here.text = (agent) =>
    healthy(agent).replace('engine_up{group="orders",member="m2"} 1', 'engine_up{group="orders",member="m2"} 0')
  const first = start(here)
  await here.hook.count(1)
  assert.deepEqual(
    heard(here, 0).firing.map(({ rule }) => rule),
    ['engine-down'],
  )
  // As after a kill: the answer never came, and nobody let go of anything.
  await first.close()
  here.hook.status = 200
  const second = start(here)
  await here.hook.count(2)
  assert.equal(heard(here, 1).id, heard(here, 0).id, 'the same delivery again')
  while (Object.values(second.state.desks).some(({ underWay }) => underWay !== null)) await later(20)
  await second.close()
  const third = start(here)
  while (third.state.lookedAtMs <= second.state.lookedAtMs) await later(20)
  assert.equal(here.hook.received.length, 2)
})

function later(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

test('an agent that is gone is told as silent, with nothing of what it said before', async () => {
  const here = await world('    agent-silent: { for: 0s }\n')
  const server = here.servers.get('a2')
  assert.ok(server)
  await shut(server)
  start(here)
  await here.hook.count(1)
  assert.deepEqual(
    heard(here, 0).firing.map(({ rule }) => rule),
    ['agent-silent'],
  )
})

test('there is one runner; one that was thought dead and comes back ends', async () => {
  const here = await world()
  const replaced = new Promise<void>((resolve) => start(here, resolve))
  assert.throws(
    () => startAlerts({ platform: here.platform, clock: systemClock, log, onReplaced: () => undefined }),
    (error) => error instanceof HoldfastError && error.code === 'HF_ALERTS_RUNNING',
  )
  const memory = openMemory(here.platform.alerts.dir, false)
  memory?.claim('another', { wallMs: () => systemClock.wallMs() + 600_000 })
  memory?.close()
  await replaced
})

test('a runner that was killed on this host does not keep the next one waiting', async () => {
  const here = await world()
  const { pid } = spawnSync(process.execPath, ['--version'])
  const memory = openMemory(here.platform.alerts.dir, true)
  memory?.claim(`elsewhere process ${pid} abcdef`, systemClock)
  assert.throws(() => start(here), /already runs/)
  memory?.leave(`elsewhere process ${pid} abcdef`)
  memory?.claim(`${hostname()} process ${pid} abcdef`, systemClock)
  memory?.close()
  start(here)
})

test('a silence and an acknowledgement reach the runner through its memory, once', async () => {
  const here = await world()
  const runner = start(here)
  const memory = openMemory(here.platform.alerts.dir, false)
  assert.ok(memory)
  ends.push(() => memory.close())
  const rest = { by: 'me', because: 'work', validMs: 60_000 }
  memory.add({ kind: 'silence', id: 's1', matchers: { group: 'orders' }, ...rest }, 0)
  while (memory.waiting().length > 0) await later(20)
  assert.deepEqual(
    runner.state.silences.map(({ id }) => id),
    ['s1'],
  )
  assert.deepEqual(
    memory.read()?.state.silences.map(({ id }) => id),
    ['s1'],
  )
})

test('a damaged memory is an error with a next step, and never an empty one', () => {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-alerts-'))
  ends.push(() => rmSync(dir, { recursive: true }))
  writeFileSync(memoryPath(dir), 'x'.repeat(5_000))
  assert.throws(() => openMemory(dir, true), /HF_ALERTS_FILE_UNUSABLE|cannot be used/)
})

test('the clock of the alerts goes on over a restart, and a wall clock that went back does not turn it back', () => {
  let wallMs = 5_000
  let nowMs = 70
  const clock = { wallMs: () => wallMs, nowMs: () => nowMs }
  const atMs = alertsClock({ atMs: 100, wallMs: 4_000 }, clock)
  assert.equal(atMs(), 1_100)
  nowMs = 80
  assert.equal(atMs(), 1_110)
  wallMs = 1_000
  assert.equal(alertsClock({ atMs: 100, wallMs: 4_000 }, clock)(), 100)
  assert.equal(alertsClock(null, clock)(), 0)
})

test('of an answer only the series asked for are kept, and odd lines are left out', () => {
  const text = [
    '# HELP x y',
    'a{g="1",h="with \\"quotes\\" and \\\\ and, comma"} 3 1700000000',
    'b 1',
    'a{g="2"} NaN',
    'a',
    'a{ 4',
    'a +Inf',
    '{}',
  ].join('\n')
  const found = readExposition(text, new Set(['a']), { agent: 'x' })
  assert.deepEqual(
    found.map(({ sample }) => sample),
    [
      { labels: { agent: 'x', g: '1', h: 'with "quotes" and \\ and, comma' }, value: 3 },
      { labels: { agent: 'x' }, value: Number.POSITIVE_INFINITY },
    ],
  )
})

test('overrides, engines and observed groups are in the rules of a platform', async () => {
  const { platform } = await world(
    '    lag-near-bound: { limit: 0.9, severity: info }\n    disk-filling: { enabled: false }\n',
  )
  const { rules } = alertsConfig(platform)
  const lag = rules.filter(({ id }) => id === 'lag-near-bound')
  assert.deepEqual(
    lag.map(({ limit, severity }) => [limit, severity]),
    [[0.9, 'info']],
  )
  assert.ok(!rules.some(({ id }) => id === 'disk-filling'))
  const [orders] = platform.groups
  assert.ok(orders)
  const cache = { ...orders, name: 'cache', engine: 'redis' as const }
  const watched = { ...orders, name: 'old', failover: 'observe' as const }
  const mixed = { ...platform, groups: [orders, cache, watched], alerts: { ...platform.alerts, rules: {} } }
  const filling = alertsConfig(mixed).rules.filter(({ id }) => id === 'disk-filling')
  assert.deepEqual(
    filling.map(({ limit }) => limit),
    [0.15, 0.3],
  )
  const writer = alertsConfig(mixed).rules.find(({ id }) => id === 'no-writer')
  assert.doesNotMatch(JSON.stringify(writer?.asks), /"old"/)
  assert.deepEqual(
    targetsOf(platform).map(({ labels }) => labels.agent),
    ['a1', 'a2'],
  )
  assert.equal(EMPTY.lookedAtMs, -1)
})
