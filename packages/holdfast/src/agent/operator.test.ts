import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import { startMember } from '../core/lease/member-state.ts'
import type { EngineView, GroupRecord, PeerReport } from '../core/model.ts'
import type { NodeState } from '../core/node.ts'
import { type MemberSettings, PROFILES } from '../core/settings.ts'
import { HoldfastError } from '../errors.ts'
import { systemClock } from '../io/clock.ts'
import type { Store } from '../store/contract.ts'
import { type EmbeddedStore, startEmbeddedStore } from '../store/embedded/server.ts'
import { openStore } from '../store/open.ts'
import type { Answer } from './door.ts'
import type { Known } from './explanation.ts'
import { operatorRoutes } from './operator.ts'
import { groupKey } from './records.ts'
import { StorePort } from './store-port.ts'

const SPECS = [1, 2, 3].map((n) => {
  return { member: `m${n}`, agent: `a${n}`, site: 's', priority: 1, noFailover: n === 3 }
})
const [SELF] = SPECS
const SETTINGS: MemberSettings = {
  group: 'orders',
  self: SELF ?? { member: '', agent: '', site: '', priority: 0, noFailover: false },
  members: SPECS,
  replication: { kind: 'sync' },
  failover: 'automatic',
  whenAlone: 'block',
  timing: PROFILES.fast,
  moveEstimateMs: 300,
  flapFree: 3,
  flapWindowMs: 60_000,
}
const RECORD: GroupRecord = {
  v: 1,
  stamp: 's',
  group: 'orders',
  epoch: 3,
  phase: 'open',
  holder: 'm1',
  agent: 'a1',
  session: 'x-1',
  systemId: '77',
  timeline: 2,
  members: ['m1', 'm2', 'm3'],
  sync: { members: ['m2'], need: 1, disks: { m2: 'disk-m2' } },
  lastOpen: { member: 'm1', epoch: 3, diskId: 'disk-m1' },
  lastPublished: null,
  release: null,
  intent: null,
  pause: null,
  lastIntent: null,
}

let folder = ''
let server: EmbeddedStore
let store: Store
let nonsense: string[] = []

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-operator-'))
  server = await startEmbeddedStore({ host: '127.0.0.1', port: 0, file: join(folder, 'store.db'), token: 't' })
  store = openStore({ kind: 'embedded', urls: [server.url], token: 't', requestMs: 500 })
})
after(async () => {
  await store.close()
  await server.close()
  rmSync(folder, { recursive: true, force: true })
})
beforeEach(() => {
  nonsense = []
  return put(JSON.stringify(RECORD))
})

function view(lsn: number, member: string): EngineView {
  return {
    observedAtMs: systemClock.nowMs(),
    running: true,
    answering: true,
    role: 'replica',
    data: 'ready',
    systemId: '77',
    diskId: `disk-${member}`,
    position: { timeline: 2, lsn },
    receiving: true,
    upstream: 'm1',
    standbys: [],
    sync: null,
    unopenedEpoch: null,
    redoBytes: 0,
  }
}

async function put(value: string): Promise<void> {
  const key = groupKey('orders')
  const read = await store.get(key, 2_000)
  assert.equal(read.kind, 'ok')
  const revision = read.kind === 'ok' ? read.entry.revision : 0
  assert.equal((await store.compareAndSet(key, value, revision, 2_000)).kind, 'ok')
}

async function record(): Promise<GroupRecord> {
  const read = await store.get(groupKey('orders'), 2_000)
  return JSON.parse(read.kind === 'ok' ? (read.entry.value ?? 'null') : 'null')
}

function known(): Known {
  const nowMs = systemClock.nowMs()
  const report = { member: 'm2', engine: view(500, 'm2') } as PeerReport
  const member = {
    ...startMember(nowMs),
    record: { revision: 1, value: RECORD, firstSeenAtMs: nowMs, readSentAtMs: -1 },
    view: { ...view(500, 'm1'), role: 'primary' as const },
    peers: { m2: { report, atMs: nowMs } },
  }
  return { settings: SETTINGS, member, wallMs: 0, moment: { state: {} as NodeState, nowMs, loopAgeMs: 0 } }
}

async function ask(verb: string, body: object, group = 'orders'): Promise<Answer | HoldfastError> {
  const port = new StorePort({
    store,
    clock: systemClock,
    requestMs: 2_000,
    onNonsense: (key) => nonsense.push(key),
    onCall: () => undefined,
  })
  const routes = operatorRoutes({
    store: port,
    known: (name) => (name === 'orders' ? known() : null),
    onRecord: () => undefined,
  })
  const [, id] = verb.split('/')
  const path = `/v1/groups/:group/${id === undefined ? verb : 'intents/:id'}`
  const route = routes.find((r) => r.path === path)
  assert.ok(route)
  try {
    return await route.handle({ params: { group, id: id ?? '' }, query: new URLSearchParams(), body })
  } catch (error) {
    if (error instanceof HoldfastError) return error
    throw error
  }
}

function code(answer: Answer | HoldfastError): string {
  return answer instanceof HoldfastError ? answer.code : `status ${answer.status}`
}

test('a switchover becomes an intent in the record, and can be followed by its id', async () => {
  const answer = await ask('switchover', { to: 'm2', by: 'ada' })
  assert.ok(!(answer instanceof HoldfastError))
  const { id } = answer.body as { id: string }
  const { intent, epoch, holder } = await record()
  assert.deepEqual(
    { ...intent, validMs: 0 },
    { id, kind: 'switchover', to: 'm2', allowDataLoss: false, by: 'ada', validMs: 0 },
  )
  assert.deepEqual([epoch, holder], [3, 'm1'], 'nothing else changed')
  const state = await ask(`intents/${id}`, {})
  assert.equal((state as Answer & { body: { state: string } }).body.state, 'waiting')
  await put(JSON.stringify({ ...RECORD, lastIntent: { id, ok: false, because: 'no candidate' } }))
  const later = await ask(`intents/${id}`, {})
  assert.deepEqual((later as Answer).body, { id, state: 'refused', because: 'no candidate', holder: 'm1', epoch: 3 })
  assert.equal(code(await ask('intents/other', {})), 'HF_INTENT_UNKNOWN')
})

test('a dry run checks everything and writes nothing', async () => {
  assert.equal(code(await ask('switchover', { to: 'm2', by: 'ada', dryRun: true })), 'status 200')
  assert.equal((await record()).intent, null)
})

test('a second request is refused while the first is open, and names it', async () => {
  await ask('switchover', { to: 'm2', by: 'ada' })
  const second = await ask('switchover', { to: 'm2', by: 'bob' })
  assert.equal(code(second), 'HF_INTENT_BUSY')
  assert.match((second as HoldfastError).message, /ada/)
})

test('what breaks a rule is refused with the rule', async () => {
  const holder = await ask('switchover', { to: 'm1', by: 'ada' })
  assert.equal(code(holder), 'HF_INTENT_REFUSED')
  assert.match((holder as HoldfastError).message, /R19.*epoch 3/)
  const never = await ask('switchover', { to: 'm3', by: 'ada' })
  assert.match((never as HoldfastError).message, /m3: no-failover \(R11\)/)
  assert.equal((await record()).intent, null)
})

test('a failover to a member that may lose writes needs the word for it', async () => {
  await put(JSON.stringify({ ...RECORD, phase: 'released' }))
  const refused = await ask('failover', { to: 'm3', by: 'ada' })
  assert.equal(code(refused), 'HF_INTENT_REFUSED')
  assert.match((refused as HoldfastError).next, /--allow-data-loss/)
})

test('requests that do not say what is needed are told which field', async () => {
  for (const body of [{}, { by: '' }, { by: 7 }, { by: 'ada', to: ['m2'] }, { by: 'ada', dryRun: 'yes' }]) {
    assert.equal(code(await ask('switchover', body)), 'HF_BODY_INVALID', JSON.stringify(body))
  }
  assert.equal(code(await ask('switchover', { by: 'ada', to: 'm9' })), 'HF_BODY_INVALID')
  assert.equal(code(await ask('switchover', { by: 'ada' }, 'other')), 'HF_GROUP_UNKNOWN')
})

test('a pause has an end and a reason, and resume takes it away', async () => {
  assert.equal(code(await ask('pause', { by: 'ada', because: 'x' })), 'HF_BODY_INVALID')
  assert.equal(code(await ask('pause', { by: 'ada', because: 'x', validMs: 1e12 })), 'HF_BODY_INVALID')
  assert.equal(code(await ask('pause', { by: 'ada', because: 'disk change', validMs: 60_000 })), 'status 200')
  assert.equal((await record()).pause?.because, 'disk change')
  assert.equal(code(await ask('resume', { by: 'ada' })), 'status 200')
  assert.equal((await record()).pause, null)
})

test('a record that makes no sense is never written over', async () => {
  await put('{"v":1,"group":"orders"}')
  assert.equal(code(await ask('switchover', { to: 'm2', by: 'ada' })), 'HF_STORE_UNREACHABLE')
  assert.deepEqual(nonsense, ['groups/orders'])
  assert.deepEqual(await record(), { v: 1, group: 'orders' })
})

test('explain gives each member a verdict with rule and numbers, and says what would happen', async () => {
  const answer = await ask('explain', {})
  const { candidates, wouldDo } = (answer as Answer).body as {
    candidates: { member: string; eligible: boolean; because: { rule: string }[] }[]
    wouldDo: string
  }
  assert.deepEqual(
    candidates.map((c) => [c.member, c.eligible]),
    [
      ['m1', true],
      ['m2', true],
      ['m3', false],
    ],
  )
  assert.ok((candidates[2]?.because.length ?? 0) > 0)
  assert.match(wouldDo, /^m2 would take over/)
})
