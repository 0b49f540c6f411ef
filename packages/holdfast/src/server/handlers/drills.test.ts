/** Drills as people ask for them, over real HTTP: who may, what is approved, and the lever that stops all faults. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, it } from 'node:test'
import type { ApiDrillOrder, ApiDrills } from '@holdfast/client'
import { PASSWORD, type Session, type TestServer, testServer } from '../server.fixture.ts'

/** A second group, that may lose acknowledged writes. */
const LEDGER = `  - name: ledger
    engine: postgres
    replication: { async: { lossBytesMax: 16MiB, lossTimeMax: 10s } }
    members:
      - { name: ledger-1, agent: agent-1, listen: 127.0.0.1:11, dataDir: ledger-1 }
      - { name: ledger-2, agent: agent-2, listen: 127.0.0.1:12, dataDir: ledger-2 }
    secrets: { superuser: { env: HOLDFAST_TOKEN }, replication: { env: HOLDFAST_TOKEN } }
`
let server: TestServer
let root: Session
const users = new Map<string, Session>()

function drillFile(more = ''): void {
  const text = 'version: 1\ndrill: freeze\ngroup: orders\nfault: { kind: freeze, what: host, for: 12s }\n'
  writeFileSync(join(server.folder, 'freeze.yaml'), `${text}objectives: { rto: 9s }\n${more}`)
}

before(async () => {
  server = await testServer({ more: 'drills: [freeze.yaml]\n', groups: LEDGER })
  root = await server.admin()
  for (const role of ['viewer', 'operator', 'approver']) {
    const body = { user: role, password: PASSWORD, grants: [{ role, groups: ['orders'] }] }
    assert.equal((await server.ask('POST', '/users', { session: root, body })).status, 200)
    users.set(role, await server.login(role, PASSWORD))
  }
  drillFile()
})
after(() => server.close())

const as = (role: string): { session: Session } => ({ session: users.get(role) ?? assert.fail(role) })
const start = (role: string, body: object) =>
  server.ask('POST', '/groups/orders/drills', { ...as(role), body: { drill: 'freeze', askApproval: true, ...body } })

it('the list says what a drill does to whom, and what ends it when nobody does', async () => {
  // Started by hand, so that the list is read from the file that is there now.
  const asked = await start('operator', {})
  assert.equal(asked.status, 200, asked.text)
  const { id } = asked.json as unknown as ApiDrillOrder
  await server.ask('POST', `/drills/orders/${id}/reject`, { ...as('operator'), body: {} })
  const { drills } = (await server.ask('GET', '/drills', as('viewer'))).json as unknown as ApiDrills
  const [drill] = drills
  assert.deepEqual(
    [drill?.drill, drill?.deadmanMs, drill?.blastRadius.members, drill?.where],
    ['freeze', 12_000, 1, 'live'],
  )
  assert.match(drill?.fault ?? '', /SIGSTOP of the host of the primary/)
})

it('who may only look starts nothing, stops nothing and approves nothing', async () => {
  const asked = (await start('operator', {})).json as unknown as ApiDrillOrder
  for (const [path, body] of [
    ['/groups/orders/drills', { drill: 'freeze' }],
    ['/groups/orders/drills/abort', { because: 'x' }],
    ['/groups/orders/drills/approve', { id: 'x', gate: 'fault' }],
    ['/drills/days', { title: 'x', drills: ['freeze'] }],
    ['/faults/stop', { because: 'x' }],
    [`/drills/orders/${asked.id}/approve`, {}],
    [`/drills/orders/${asked.id}/reject`, {}],
  ] as const) {
    assert.equal((await server.ask('POST', path, { ...as('viewer'), body })).status, 403, path)
  }
})

it('what is approved is the file that was asked for, by somebody else, once', async () => {
  const asked = (await start('operator', {})).json as unknown as ApiDrillOrder
  const approve = (role: string) => server.ask('POST', `/drills/orders/${asked.id}/approve`, { ...as(role), body: {} })
  assert.equal((await approve('operator')).status, 403)
  drillFile('description: changed since\n')
  const changed = await approve('approver')
  assert.equal(changed.status, 409)
  assert.match(changed.text, /HF_DRILL_REFUSED.*was changed since it was looked at/)
  const seen = await start('operator', { sha256: 'f'.repeat(64) })
  assert.match(seen.text, /HF_DRILL_REFUSED/)
  drillFile()
  const reject = await server.ask('POST', `/drills/orders/${asked.id}/reject`, { ...as('approver'), body: {} })
  assert.equal(reject.status, 200)
  assert.match((await approve('approver')).text, /HF_APPROVAL_CLOSED/)
  const day = { title: 'spring', drills: ['freeze', 'freeze'] }
  assert.equal((await server.ask('POST', '/drills/days', { ...as('operator'), body: day })).status, 403)
  const own = (await server.ask('POST', '/drills/days', { session: root, body: day })).json as unknown as ApiDrillOrder
  assert.equal(own.state, 'waiting', 'a game day always waits for somebody else')
  assert.equal((await server.ask('POST', `/drills/orders/${own.id}/approve`, { session: root, body: {} })).status, 403)
  const audit = await server.ask('GET', '/audit?search=drill', { session: root })
  for (const action of ['drill', 'drill-rejected']) assert.match(audit.text, new RegExp(`"action":"${action}"`))
})

it('a yes to a gate says which run and which gate it is for', async () => {
  const answer = await server.ask('POST', '/groups/orders/drills/approve', { ...as('approver'), body: {} })
  assert.equal(answer.status, 400, answer.text)
})

it('what could lose data on the group itself waits for somebody else, whoever asks', async () => {
  const kill = 'version: 1\ndrill: freeze\ngroup: ledger\nfault: { kind: kill }\nobjectives: { rto: 9s, rpo: 10s }\n'
  writeFileSync(join(server.folder, 'freeze.yaml'), kill)
  const body = { drill: 'freeze', where: 'live' }
  const asked = await server.ask('POST', '/groups/ledger/drills', { session: root, body })
  drillFile()
  assert.equal(asked.json.state, 'waiting', asked.text)
  const path = `/drills/orders/${asked.json.id}`
  assert.equal((await server.ask('POST', `${path}/approve`, { session: root, body: {} })).status, 403)
  assert.equal((await server.ask('POST', `${path}/reject`, { session: root, body: {} })).status, 200)
})

it('the lever drops what waits and lifts every fault; a silent agent counts as one that has one', async () => {
  const [one, , three] = server.agents
  const fault = {
    id: 'x',
    kind: 'freeze',
    members: ['orders-1'],
    by: 'ann',
    state: 'on',
    proof: '2 of 2',
    leftMs: 9_000,
  }
  one?.faults.push({ ...fault, deadman: null } as (typeof one.faults)[number])
  const before = (await server.ask('GET', '/faults', { session: root })).json as { allOff?: boolean }
  assert.equal(before.allOff, false)
  const stopped = await server.ask('POST', '/faults/stop', { session: root, body: { because: 'customers call' } })
  assert.equal(stopped.json.allOff, true, stopped.text)
  const { orders } = (await server.ask('GET', '/drills', { session: root })).json as unknown as ApiDrills
  assert.deepEqual(
    orders.filter(({ state }) => state === 'waiting' || state === 'ready'),
    [],
  )
  const audit = await server.ask('GET', '/audit?action=stop-faults', { session: root })
  assert.deepEqual(
    (audit.json.entries as { outcome: string }[]).map(({ outcome }) => outcome),
    ['done', 'asked'],
  )
  await three?.close()
  const after = (await server.ask('GET', '/faults', { session: root })).json as {
    allOff?: boolean
    agents?: { off: boolean; because: string }[]
  }
  assert.deepEqual([after.allOff, after.agents?.at(-1)?.because], [false, 'does not answer: not known'])
})

it('a word to stop a drill is written down and told apart from a store that does not answer', async () => {
  const answer = await server.ask('POST', '/groups/orders/drills/abort', { session: root, body: { because: 'enough' } })
  assert.equal(answer.status, 503)
  assert.match(answer.text, /HF_STORE_UNREACHABLE/)
  assert.match((await server.ask('GET', '/audit?action=drill-abort', { session: root })).text, /"outcome":"asked"/)
})
