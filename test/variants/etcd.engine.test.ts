/**
 * etcd as the store, three real members with user and password: its leader dies, its quorum is lost, a host crashes.
 */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { type EtcdCluster, etcdMissing, startEtcd } from '../../packages/holdfast/src/store/etcd/cluster-fixture.ts'
import { TestPlatform, until } from '../platform.ts'
import { always, Hosts, Load, pause } from './load.ts'

const TTL_MS = 3_000
/** A change of primary takes more than a ttl; a busy machine alone stays far below. */
const OUTAGE_MAX_MS = 1_500
const USER = { username: 'holdfast', password: 'a password for tests' }
const missing = etcdMissing()

let cluster: EtcdCluster | undefined
let platform: TestPlatform | undefined
after(async () => {
  await platform?.destroy()
  await cluster?.stop()
})

/** Users as a careful operator makes them: ours may touch its own prefix and nothing else. */
async function switchUsersOn(etcd: EtcdCluster): Promise<void> {
  const [member] = etcd.members
  assert.ok(member)
  const base64 = (text: string) => Buffer.from(text).toString('base64')
  const post = (path: string, body: object) => etcd.post(member, `/v3/auth/${path}`, body)
  await post('role/add', { name: 'holdfast' })
  const perm = { permType: 'READWRITE', key: base64('/holdfast/'), range_end: base64('/holdfast0') }
  await post('role/grant', { name: 'holdfast', perm })
  await post('user/add', { name: 'root', password: 'root' })
  await post('user/grant', { user: 'root', role: 'root' })
  await post('user/add', { name: USER.username, password: USER.password })
  await post('user/grant', { user: USER.username, role: 'holdfast' })
  await post('enable', {})
}

async function etcdPlatform(etcd: EtcdCluster): Promise<TestPlatform> {
  const made = await TestPlatform.describe({ members: 3 })
  const endpoints = etcd.endpoints.map((url) => `"${url}"`).join(', ')
  const user = `username: ${USER.username}, password: { env: HF_ETCD }`
  const store = `store: { kind: etcd, endpoints: [${endpoints}], ${user} }`
  made.write(made.text().replace(/^store: .*$/m, store))
  return made
}

async function started(): Promise<{ etcd: EtcdCluster; p: TestPlatform }> {
  process.env.HF_ETCD = USER.password
  const etcd = await startEtcd({ members: 3 })
  cluster = etcd
  await etcd.ready()
  await switchUsersOn(etcd)
  const p = await etcdPlatform(etcd)
  platform = p
  return { etcd, p }
}

async function hasLeader(etcd: EtcdCluster): Promise<boolean> {
  return etcd.leader().then(
    () => true,
    () => false,
  )
}

test('on etcd: its leader dies, its quorum is lost for longer than the ttl, then the primary crashes', async (t) => {
  if (missing !== null) {
    assert.ok(!process.env.CI, missing)
    return t.skip(`needs etcd: ${missing}`)
  }
  const { etcd, p } = await started()
  const hosts = new Hosts(p)
  await hosts.start()
  const before = await p.whole()
  const group = async () => (await p.status(before))?.groups[0]
  const epoch = (await group())?.epoch ?? 0
  await p.router().says(/ready at/)
  const load = await Load.start({ port: p.doorPort }, t)

  await t.test('the leader of etcd dies: the same primary, no write outage beyond the failsafe', async (s) => {
    const leader = await etcd.leader()
    const killedMs = performance.now()
    await leader.kill()
    const wrong = await always(
      () => p.writers(),
      (writers) => writers.join() === before,
      2 * TTL_MS,
    )
    assert.equal(wrong, null)
    const outageMs = load.outageMs(killedMs)
    assert.equal((await group())?.epoch, epoch)
    assert.ok(outageMs < OUTAGE_MAX_MS, `writes stood for ${outageMs} ms`)
    leader.start()
    await until('etcd is whole', () => hasLeader(etcd))
    s.diagnostic(`longest time without an acknowledged write ${outageMs} ms`)
  })

  await t.test('the quorum of etcd is lost for three ttls: the failsafe holds', async (s) => {
    const [one, two] = etcd.members
    const stoppedMs = performance.now()
    one?.signal('SIGSTOP')
    two?.signal('SIGSTOP')
    await until('the failsafe', async () => (await group())?.failsafe === true)
    const wrong = await always(
      () => p.writers(),
      (writers) => writers.join() === before,
      3 * TTL_MS,
    )
    one?.signal('SIGCONT')
    two?.signal('SIGCONT')
    assert.equal(wrong, null)
    await until('the failsafe ends', async () => (await group())?.failsafe === false)
    await load.more()
    const outageMs = load.outageMs(stoppedMs)
    assert.equal((await group())?.epoch, epoch)
    assert.ok(outageMs < OUTAGE_MAX_MS, `writes stood for ${outageMs} ms`)
    s.diagnostic(`longest time without an acknowledged write ${outageMs} ms`)
  })

  await t.test('the host of the primary crashes: another takes over without loss', async (s) => {
    await p.whole()
    await pause(100)
    const crashedMs = performance.now()
    hosts.crash(before)
    const now = await p.primary(before)
    await load.more()
    const outageMs = load.outageMs(crashedMs)
    assert.deepEqual(await load.lost(), [])
    s.diagnostic(`${before} -> ${now}, write outage ${outageMs} ms, ${load.acked.length} acknowledged, 0 lost`)
  })
})
