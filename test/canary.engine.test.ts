/**
 * The canary of a real server, through a real router, on real PostgreSQL and Redis: what it measures of a killed
 * primary agrees with a client of the test's own; its records stay few; an edited one is seen.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { ApiCanary, ApiEvent, ApiIncident, ApiIncidentMeasured } from '@holdfast/client'
import pg from 'pg'
import { redisLine } from '../packages/holdfast/src/canary/door.ts'
import { loadPlatform } from '../packages/holdfast/src/config/load.ts'
import { groupByName } from '../packages/holdfast/src/config/platform.ts'
import { KEPT } from '../packages/holdfast/src/core/canary/model.ts'
import { killTreeSync, treeOf } from '../packages/holdfast/src/io/process-tree.ts'
import { freePorts, PATIENCE_MS, type Running, SECRETS, TestPlatform, until } from './platform.ts'

const END_MS = 200_000
const EVERY_MS = 250
/** How finely it sees: one interval before the outage and one after, and the same again for a machine that is busy. */
const RESOLUTION_MS = 4 * EVERY_MS
const PASSWORD = 'correct horse battery'

let platform: TestPlatform
let server: Running
let agents: readonly Running[] = []
let url = ''
let cookie = ''
let cartsDoor = 0

before(async () => {
  platform = await TestPlatform.describe({ members: 2, groupLines: '    antiFlap: { free: 100, window: 1m }\n' })
  const [port = 0, doorPort = 0, readPort = 0, ...ports] = await freePorts(5)
  cartsDoor = doorPort
  const carts = ports.map((at, index) => {
    const n = index + 1
    return `      - { name: c${n}, agent: a${n}, listen: 127.0.0.1:${at}, dataDir: engines/c${n} }`
  })
  const second = `  - name: carts
    engine: redis
    replication: sync
    members:
${carts.join('\n')}
    application: { user: app, password: { env: HF_APP } }
    secrets: { superuser: { env: HF_SUPER }, replication: { env: HF_REPL } }
routers:
`
  const read = `read: { listen: 127.0.0.1:${readPort}, lagBytesMax: 16MiB }`
  platform.write(
    platform
      .text()
      .replace('routers:\n', second)
      .replace(
        /(listen: 127\.0\.0\.1:\d+) }\] }\n$/,
        `$1, ${read} }, { group: carts, listen: 127.0.0.1:${doorPort} }] }\n`,
      ) + `server: { listen: 127.0.0.1:${port}, canary: { perSecond: ${1_000 / EVERY_MS} } }\n`,
  )
  agents = await platform.start()
  await platform.router().says(/ready at/)
  server = platform.run(['server', '--file', platform.file])
  await server.says(/ready at (\S+)/)
  url = /ready at (\S+)/.exec(server.text)?.[1] ?? ''
  const code = /one-time code[^:]*: (\S+)/.exec(server.text)?.[1] ?? ''
  const answer = await fetch(`${url}/api/v1/session/first-admin`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ code, user: 'root', password: PASSWORD }),
  })
  cookie = (answer.headers.getSetCookie()[0] ?? '').split(';')[0] ?? ''
  await platform.whole()
})
after(async () => {
  for (const agent of agents) agent.child.kill('SIGKILL')
  await Promise.all(agents.map(({ ended }) => ended))
  for (const name of ['c1', 'c2']) killTreeSync(join(platform.folder, 'engines', name), null)
  await platform.destroy()
})

async function ask<T>(path: string): Promise<T> {
  const answer = await fetch(`${url}/api/v1${path}`, { headers: { cookie } })
  assert.equal(answer.status, 200, path)
  return (await answer.json()) as T
}

const canary = (group: string) => ask<ApiCanary>(`/groups/${group}/canary`)
const events = async (code: string) =>
  (await ask<{ events: ApiEvent[] }>('/events?limit=1000&kind=canary')).events.filter((event) => event.code === code)

function client(port: number): pg.Client {
  const made = new pg.Client({
    ...{ host: '127.0.0.1', port, user: 'app', password: SECRETS.HF_APP, database: 'app' },
    ...{ connectionTimeoutMillis: 20_000, query_timeout: 5_000 },
  })
  made.on('error', () => {})
  return made
}

/** The newest failover, once it carries what clients saw of it. */
async function measuredFailover(): Promise<ApiIncident> {
  let told = ''
  const look = async (): Promise<ApiIncident | null> => {
    const all = await ask<ApiIncident[]>('/incidents?group=orders')
    told = JSON.stringify(all)
    return all.find(({ kind, canary: seen }) => kind === 'failover' && seen !== null) ?? null
  }
  return until('the incident carries what clients saw', look, 2 * PATIENCE_MS).catch((error: unknown) => {
    throw new Error(`${String(error)}\n${told}`)
  })
}

/** The test's own client: when its writes were acknowledged, through the same door. */
function ownClient(port: number): { readonly acks: number[]; stop(): Promise<void> } {
  const acks: number[] = []
  let running = true
  const loop = async (): Promise<void> => {
    let one: pg.Client | null = null
    while (running) {
      try {
        if (one === null) {
          one = client(port)
          await one.connect()
          await one.query('create table if not exists own (n int)')
        }
        await one.query('insert into own values (1)')
        acks.push(performance.now())
      } catch {
        void one?.end().catch(() => {})
        one = null
      }
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    await one?.end().catch(() => {})
  }
  const ended = loop()
  return {
    acks,
    stop: async () => {
      running = false
      await ended
    },
  }
}

const longestGap = (times: readonly number[]): number =>
  Math.max(...times.map((ms, index) => (index === 0 ? 0 : ms - (times[index - 1] ?? ms))))

test('both engines are measured: writes, reads by the read door, and how stale each replica is', {
  timeout: END_MS,
}, async () => {
  for (const group of ['orders', 'carts']) {
    const now = await until(`${group} is measured`, async () => {
      const { now: seen } = await canary(group)
      const stale = seen?.replicas.some(({ ageMs, lacks }) => ageMs !== null && lacks === 0)
      return seen?.writes.condition === 'up' && seen.reads.condition === 'up' && stale ? seen : null
    })
    assert.match(now.writes.via, /door of router r1/)
    assert.match(now.reads.via, group === 'orders' ? /read door of router r1/ : /^door of router r1/)
    assert.equal(now.replicas.length, 1)
    assert.ok(now.checkedMsAgo !== null && now.lost === 0 && now.badRecords === 0)
  }
  const metrics = await (await fetch(`${url}/metrics`)).text()
  assert.match(metrics, /^holdfast_canary_writable\{group="orders"\} 1$/m)
  assert.match(metrics, /^holdfast_canary_replica_stale_seconds\{group="carts",member="c\d",site="here"\} /m)
})

test('a killed primary: the outage agrees with that of another client, nothing is lost, the incident carries it', {
  timeout: END_MS,
}, async (t) => {
  const first = await platform.primary()
  const own = ownClient(platform.doorPort)
  let incident: ApiIncident
  try {
    await until('the own client writes', async () => own.acks.length > 20)
    const since = own.acks.length
    for (const { pid } of treeOf(platform.dataDir(first), null)) process.kill(pid, 'SIGKILL')
    await platform.primary(first)
    await until('the own client writes again', async () => own.acks.length > since + 20)
    incident = await measuredFailover()
  } finally {
    await own.stop()
  }
  const ownMs = longestGap(own.acks)
  const seen = incident.canary
  t.diagnostic(`own client ${Math.round(ownMs)} ms, canary ${seen?.outageMs} ms, agents ${incident.writeGapMs} ms`)
  assert.ok(seen !== null && seen.outageMs !== null)
  assert.ok(Math.abs(seen.outageMs - ownMs) <= RESOLUTION_MS, `${seen.outageMs} beside ${ownMs}`)
  assert.deepEqual([seen.lostRecords, seen.lostMs, seen.unmeasuredMs], [0, 0, 0])
  const { series, over } = await ask<ApiIncidentMeasured>(`/incidents/${incident.id}/canary`)
  assert.equal(over, true)
  assert.ok((series?.acked.reduce((a, b) => a + b, 0) ?? 0) > 0)
  // A failover that is over before anybody would call it an outage leaves none; one that is told names its incident.
  const { outages, availability } = await canary('orders')
  const outageMs = seen.outageMs
  const linked = outages.find((one) => one.incident === incident.id)
  if (seen.failed + seen.unknown > 0) assert.ok(linked !== undefined && linked.ms <= outageMs, JSON.stringify(outages))
  if (linked !== undefined) assert.ok((availability[0]?.writes ?? 1) < 1)
})

test('a record that was edited or put there is seen and makes no outage, and those that are old are deleted', {
  timeout: END_MS,
}, async () => {
  // All of it first, then the waits: what is looked for each half minute is then looked for once.
  const one = client(platform.doorPort)
  await one.connect()
  await one.query(`update holdfast_canary set record = replace(record, '"v":1', '"v":2')
    where n = (select max(n) - 10 from holdfast_canary)`)
  const { outages } = await canary('orders')
  await one.query(`insert into holdfast_canary (run, n, record)
    select run, max(n) + i, 'ahead' from holdfast_canary, generate_series(10, 40) as i group by run, i`)
  // Faster than waiting for three hundred of them: as if they had been written long ago.
  await one.query(`insert into holdfast_canary (run, n, record)
    select run, -i, 'old' from (select run from holdfast_canary limit 1) as r, generate_series(1, 500) as i`)
  const loaded = loadPlatform(platform.file, { env: platform.env })
  assert.ok(loaded.ok)
  const carts = groupByName(loaded.platform, 'carts')
  assert.ok(carts !== null)
  const line = redisLine(carts, { host: '127.0.0.1', port: cartsDoor })
  const keys = await line.must([['KEYS', 'holdfast:canary:*']], 5_000)
  const key = String(keys.ok ? (keys.replies[0] as readonly string[])[0] : '')
  const old = Array.from({ length: KEPT + 100 }, (_, i) => ['LPUSH', key, `old ${i}`])
  assert.ok((await line.must([...old, ['RPUSH', key, 'of nobody']], 5_000)).ok)

  await until('the edited record is told', async () =>
    (await events('canary-bad-record')).some(({ group, summary }) => group === 'orders' && /signature/.test(summary)),
  )
  await until('records that were put ahead are told', async () =>
    (await events('canary-bad-record')).some(({ summary }) => /not written by this run/.test(summary)),
  )
  await until('they are left behind', async () => {
    const { rows } = await one.query<{ behind: boolean }>(`select bool_or(record <> 'ahead' and n > coalesce(
      (select max(n) from holdfast_canary where record = 'ahead'), 0)) as behind from holdfast_canary`)
    return rows[0]?.behind === true
  })
  assert.deepEqual((await canary('orders')).outages, outages)
  await until('what is old is gone', async () => {
    const { rows } = await one.query<{ count: string }>('select count(*) from holdfast_canary')
    return Number(rows[0]?.count) <= KEPT + 2
  })
  await one.end()
  await until('the foreign record is told', async () =>
    (await events('canary-bad-record')).some(({ group }) => group === 'carts'),
  )
  await until('the list is short again', async () => {
    const answer = await line.must([['LLEN', key]], 5_000)
    return answer.ok && Number(answer.replies[0]) <= KEPT
  })
  line.close()
})

test('a server that stood still has not measured; it tells no outage', { timeout: END_MS }, async () => {
  await until('writes are acknowledged', async () => (await canary('carts')).now?.writes.condition === 'up')
  const { outages: before, availability } = await canary('carts')
  server.child.kill('SIGSTOP')
  await new Promise((resolve) => setTimeout(resolve, 3_000))
  server.child.kill('SIGCONT')
  const unmeasured = availability[0]?.unmeasuredMs ?? 0
  await until('the pause is told as not measured', async () => {
    const seen = await canary('carts')
    return (seen.availability[0]?.unmeasuredMs ?? 0) >= unmeasured + 2_000
  })
  assert.deepEqual((await canary('carts')).outages, before)
})
