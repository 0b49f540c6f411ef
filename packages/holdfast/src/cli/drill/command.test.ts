/** The words of operators about drills, over a store that runs and agents that do not. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, it } from 'node:test'
import { type ActiveDrill, DrillLedger } from '../../drills/ledger.ts'
import type { Store } from '../../store/contract.ts'
import { startEmbeddedStore } from '../../store/embedded/server.ts'
import { openStore } from '../../store/open.ts'
import { run } from '../fake-agents.fixture.ts'
import { whoAmI } from '../pause-command.ts'

const TOKEN = 'a-token-of-good-length'
const folder = mkdtempSync(join(tmpdir(), 'holdfast-drill-cli-'))
const file = join(folder, 'holdfast.yaml')
const me = whoAmI()
let served: Awaited<ReturnType<typeof startEmbeddedStore>>
let store: Store
let ledger: DrillLedger

before(async () => {
  served = await startEmbeddedStore({ file: join(folder, 'store.db'), host: '127.0.0.1', port: 0, token: TOKEN })
  store = openStore({ kind: 'embedded', urls: [served.url], token: TOKEN, requestMs: 2_000 })
  ledger = new DrillLedger(store)
  writeFileSync(join(folder, 'secret'), `${TOKEN}\n`, { mode: 0o600 })
  const secret = '{ file: secret }'
  writeFileSync(
    file,
    `version: 1
platform: shop
sites: [{ name: here }]
store: { kind: embedded, listen: ${new URL(served.url).host}, token: ${secret} }
agentDefaults: { token: ${secret} }
agents: [{ name: a1, site: here, listen: 127.0.0.1:1 }, { name: a2, site: here, listen: 127.0.0.1:2 }]
groups:
  - name: orders
    engine: postgres
    replication: { async: { lossBytesMax: 1MiB, lossTimeMax: 1s } }
    members:
      - { name: m1, agent: a1, listen: 127.0.0.1:3, dataDir: m1 }
      - { name: m2, agent: a2, listen: 127.0.0.1:4, dataDir: m2 }
    application: { user: app, database: app, password: ${secret} }
    secrets: { superuser: ${secret}, replication: ${secret} }
routers: [{ name: r, site: here, doors: [{ group: orders, listen: 127.0.0.1:5 }] }]
`,
  )
})
after(async () => {
  await store.close()
  await served.close()
  rmSync(folder, { recursive: true, force: true })
})

function drill(name: string, more = ''): string {
  const path = join(folder, `${name}.yaml`)
  const base = `version: 1\ndrill: ${name}\ngroup: orders\nfault: { kind: kill }\nobjectives: { rto: 5s, rpo: 0s }\n`
  writeFileSync(path, base + more)
  return path
}

async function waiting(by: readonly string[], runner: string): Promise<void> {
  const active: ActiveDrill = {
    ...{ id: 'x', drill: 'one', by: runner, startedWallMs: 0, phase: 'asking-fault', beat: 0, members: [] },
    ...{ waiting: { gate: 'fault', by }, approvals: [], abort: null },
  }
  await ledger.change('orders', (record) => ({ ...record, active }))
}

const holdfast = (...words: string[]) => run([...words, '--file', file])

it('without --yes a drill is only described, and one that could lose data is to be practised', async () => {
  const said = await holdfast('drill', 'run', drill('plain'))
  assert.equal(said.code, 0)
  assert.match(said.err, /on a copy, on this machine/)
  assert.match(said.err, /Nothing was done/)
  assert.match((await holdfast('drill', 'run', drill('plain'), '--live')).err, /on shop, live/)
  assert.match((await holdfast('drill', 'run', drill('never', 'practice: never\n'))).err, /on shop, live/)
  const always = await holdfast('drill', 'run', drill('always', 'practice: always\n'), '--live')
  assert.equal(always.code, 2)
  assert.match(always.err, /practised on a copy, always/)
  assert.equal((await holdfast('drill', 'run', drill('plain'), '--live', '--practice')).code, 2)
})

it('mistakes of several files are told at once, with their lines', async () => {
  const said = await run(['drill', 'validate', drill('well'), drill('bad', 'abort: { canarygap: 5s }\n')])
  assert.equal(said.code, 2)
  assert.match(said.err, /bad\.yaml:6:\d+ {2}abort\.canarygap/)
  assert.match(said.err, /`canaryGap`\?/)
  assert.equal((await run(['drill', 'validate', drill('well')])).code, 0)
})

it('an order is for the description it was asked with, and no other', async () => {
  const path = drill('ordered')
  const sha256 = createHash('sha256').update(readFileSync(path)).digest('hex')
  const ordered = (configSha256: string) => {
    const order = { id: 'o1', by: 'ann@server a', sha256, configSha256, approvedBy: null }
    return holdfast('drill', 'run', path, '--yes', '--live', '--order', JSON.stringify(order))
  }
  const said = await ordered('f'.repeat(64))
  assert.equal(said.code, 1, said.err)
  assert.match(said.err, /is not the description it\s+was asked with/)
  const now = createHash('sha256').update(readFileSync(file)).digest('hex')
  assert.match((await ordered(now)).err, /no write goes through the door/)
})

it('only those the drill names approve it, and not who runs it', async () => {
  assert.match((await holdfast('drill', 'approve', 'orders')).err, /no drill of orders waits/)
  await waiting(['somebody-else'], 'ann@desk')
  const stranger = await holdfast('drill', 'approve', 'orders')
  assert.equal(stranger.code, 1)
  assert.match(stranger.err, /is none of somebody-else/)
  await waiting([me], me)
  assert.match((await holdfast('drill', 'approve', 'orders')).err, /runs this drill/)
  // The same account on another host is nobody else.
  await waiting([me], `${me.slice(0, me.lastIndexOf('@'))}@elsewhere`)
  assert.match((await holdfast('drill', 'approve', 'orders')).err, /runs this drill/)
  await waiting([me], 'ann@desk')
  const list = await holdfast('drill', 'list')
  assert.match(list.out, /one +runs: asking-fault/)
  assert.match(list.out, /holdfast drill approve orders/)
  assert.equal((await holdfast('drill', 'approve', 'orders')).code, 0)
  assert.equal((await holdfast('drill', 'approve', 'orders')).code, 0, 'twice is once')
  assert.deepEqual((await ledger.read('orders')).active?.approvals, [{ gate: 'fault', by: me }])
})

it('a drill is not begun while another one has the group', async () => {
  await waiting(['bob'], 'ann@desk')
  const said = await holdfast('drill', 'run', drill('second'), '--yes', '--live')
  assert.equal(said.code, 1)
  assert.match(said.err, /drill one of ann@desk runs on orders/)
  await ledger.change('orders', (record) => ({ ...record, active: null }))
  assert.match((await holdfast('drill', 'abort', 'orders')).out, /no drill runs on orders/)
})

it('a group through whose door nobody writes is not drilled, and nothing is left behind', async () => {
  const said = await holdfast('drill', 'run', drill('dark'), '--yes', '--live')
  assert.equal(said.code, 1)
  assert.match(said.err, /no write goes through the door of orders/)
  assert.equal((await ledger.read('orders')).active, null)
})

it('tells what is due, and ends with 1 so that a timer can act on it', async () => {
  const weekly = drill('weekly', 'schedule: { cron: "0 10 * * 2" }\n')
  const said = await holdfast('drill', 'due', weekly, drill('whenever'))
  assert.equal(said.code, 1)
  assert.match(said.out, /weekly +orders +due/)
  assert.match(said.out, /whenever +orders +unscheduled/)
  assert.equal((await holdfast('drill', 'due', drill('whenever'))).code, 0)
  assert.match((await holdfast('drill', 'report')).err, /no report in/)
})
