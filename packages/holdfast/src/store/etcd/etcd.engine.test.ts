import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { applied, eventually, follow, type StoreRig, storeConformance } from '../conformance.ts'
import { startLine } from '../hostile-servers.ts'
import { connectEtcdStore, type EtcdConnection } from './client.ts'
import { type EtcdCluster, etcdMissing, startEtcd } from './cluster-fixture.ts'

const missing = etcdMissing()
const USER = { username: 'holdfast', password: 'a password for tests' }

if (missing !== null) {
  it('etcd is installed', (test) => {
    assert.ok(!process.env.CI, missing)
    test.skip(missing)
  })
} else {
  storeConformance('etcd, one member', () => rig({ members: 1 }), { hostile: true })
  storeConformance('etcd, three members', () => rig({ members: 3 }), { hostile: false })
  storeConformance('etcd with a user', () => rig({ members: 1, users: true }), { hostile: false })
  storeConformance('etcd with TLS on both ends', () => rig({ members: 1, tls: true }), { hostile: false })
}

async function rig(options: { members: number; users?: boolean; tls?: boolean }): Promise<StoreRig> {
  const cluster = await startEtcd(options)
  await cluster.ready()
  if (options.users) await switchUsersOn(cluster)
  const connectTo = (...endpoints: string[]) => connectEtcdStore({ ...connectionOf(cluster, options.users), endpoints })
  return {
    url: cluster.endpoints[0] ?? '',
    connect: () => connectTo(...cluster.endpoints),
    connectTo,
    restart: async () => {
      for (const member of cluster.members) await member.kill()
      for (const member of cluster.members) member.start()
      await cluster.ready()
    },
    freeze: () => {
      for (const member of cluster.members) member.signal('SIGSTOP')
    },
    thaw: () => {
      for (const member of cluster.members) member.signal('SIGCONT')
    },
    stop: () => cluster.stop(),
  }
}

function connectionOf(cluster: EtcdCluster, users = false): EtcdConnection {
  const { certificates, endpoints } = cluster
  return {
    endpoints,
    ...(users ? USER : {}),
    ...(certificates ? { tls: { ca: certificates.ca, cert: certificates.cert, key: certificates.key } } : {}),
  }
}

/** Users as a careful operator makes them: ours may touch its own prefix and nothing else. */
async function switchUsersOn(cluster: EtcdCluster): Promise<void> {
  const [member] = cluster.members
  assert.ok(member)
  const base64 = (text: string) => Buffer.from(text).toString('base64')
  const post = (path: string, body: object) => cluster.post(member, `/v3/auth/${path}`, body)
  await post('role/add', { name: 'holdfast' })
  const perm = { permType: 'READWRITE', key: base64('/holdfast/'), range_end: base64('/holdfast0') }
  await post('role/grant', { name: 'holdfast', perm })
  await post('user/add', { name: 'root', password: 'root' })
  await post('user/grant', { user: 'root', role: 'root' })
  await post('user/add', { name: USER.username, password: USER.password })
  await post('user/grant', { user: USER.username, role: 'holdfast' })
  await post('enable', {})
}

describe('etcd: bad days', { skip: missing ?? false }, () => {
  let cluster: EtcdCluster
  before(async () => {
    cluster = await start({ members: 3 })
    await cluster.ready()
  })
  // What a failed case left open would keep this process from ending.
  const left: (() => Promise<void>)[] = []
  const connect = (connection: EtcdConnection) => {
    const store = connectEtcdStore(connection)
    left.push(() => store.close())
    return store
  }
  const openLine = async (target: string) => {
    const line = await startLine(target)
    left.push(() => line.close())
    return line
  }
  const start = async (options: { members: number }) => {
    const started = await startEtcd(options)
    left.push(() => started.stop())
    return started
  }
  after(async () => {
    for (const close of left.reverse()) await close()
  })

  it('writes again within 2 s of the death of the leader, and watches go on', async () => {
    const store = connect(connectionOf(cluster))
    const watch = follow(store, 'dead/')
    let revision = applied(await store.compareAndSet('dead/a', '{"n":0}', 0, 2_000)).revision
    const leader = await cluster.leader()
    await leader.kill()
    const killedMs = performance.now()
    for (let n = 1; ; n++) {
      const result = await store.compareAndSet('dead/a', JSON.stringify({ n }), revision, 500)
      if (result.kind === 'ok') {
        revision = result.entry.revision
        break
      }
      // An earlier try may have been applied although it was reported unknown.
      if (result.kind === 'conflict') revision = result.entry.revision
      assert.ok(performance.now() - killedMs < 2_000, JSON.stringify(result))
    }
    const outageMs = performance.now() - killedMs
    assert.ok(outageMs < 2_000, `${Math.round(outageMs)} ms`)
    await watch.until(() => watch.last.get('dead/a')?.revision === revision, 2_000)
    leader.start()
    await cluster.ready()
    watch.close()
    await store.close()
  })

  it('answers unknown without a quorum and never from a member that is alone', async () => {
    const store = connect(connectionOf(cluster))
    applied(await store.compareAndSet('alone/a', '{}', 0, 2_000))
    const [, second, third] = cluster.members
    second?.signal('SIGSTOP')
    third?.signal('SIGSTOP')
    await sleep(50)
    for (const answer of [await store.get('alone/a', 300), await store.compareAndSet('alone/b', '{}', 0, 300)]) {
      assert.equal(answer.kind, 'unknown', JSON.stringify(answer))
    }
    second?.signal('SIGCONT')
    third?.signal('SIGCONT')
    await eventually(async () => (await store.get('alone/a', 500)).kind === 'ok')
    await store.close()
  })

  it('goes on when the member it talks to freezes, and its watch moves to another', async () => {
    const store = connect(connectionOf(cluster))
    const first = applied(await store.compareAndSet('frozen/a', '{"n":1}', 0, 2_000))
    const watch = follow(store, 'frozen/')
    await watch.until(() => watch.last.size === 1)
    const leader = await cluster.leader()
    const frozen = cluster.members.find((member) => member !== leader)
    // Only followers: the endpoints of this client begin with the one that freezes.
    const others = cluster.endpoints.filter((url) => url !== frozen?.url)
    const client = connect({ ...connectionOf(cluster), endpoints: [frozen?.url ?? '', ...others] })
    const moving = follow(client, 'frozen/')
    await moving.until(() => moving.last.size === 1)
    frozen?.signal('SIGSTOP')
    await sleep(50)
    const second = applied(await client.compareAndSet('frozen/a', '{"n":2}', first.revision, 1_000))
    await moving.until(() => moving.last.get('frozen/a')?.revision === second.revision, 1_500)
    frozen?.signal('SIGCONT')
    moving.close()
    watch.close()
    await client.close()
    await store.close()
  })

  it('reports its own write as ok when only the answer was lost', async () => {
    const leader = await cluster.leader()
    const line = await openLine(leader.url)
    const others = cluster.endpoints.filter((url) => url !== leader.url)
    const client = connect({ endpoints: [line.url, ...others] })
    const first = applied(await client.compareAndSet('lost/a', '{"n":1}', 0, 2_000))
    line.deafen()
    const second = applied(await client.compareAndSet('lost/a', '{"n":2}', first.revision, 2_000))
    const found = await client.get('lost/a', 2_000)
    assert.deepEqual(found, { kind: 'ok', entry: second })
    await client.close()
    await line.close()
  })

  it('lists anew when the history was compacted, and does not go back', async () => {
    const direct = connect(connectionOf(cluster))
    const line = await openLine(cluster.endpoints[0] ?? '')
    const client = connect({ endpoints: [line.url] })
    const watch = follow(client, 'compact/')
    let { revision } = applied(await direct.compareAndSet('compact/a', '{"n":0}', 0, 2_000))
    await watch.until(() => watch.last.size === 1)
    line.cut()
    await watch.until(() => watch.gaps.length > 0)
    for (let n = 1; n < 10; n++) {
      revision = applied(await direct.compareAndSet('compact/a', JSON.stringify({ n }), revision, 2_000)).revision
    }
    const [member] = cluster.members
    assert.ok(member)
    await cluster.post(member, '/v3/kv/compaction', { revision: String(revision) })
    line.heal()
    await watch.until(() => watch.last.get('compact/a')?.revision === revision)
    assert.equal(watch.wentBack, false)
    watch.close()
    await client.close()
    await direct.close()
    await line.close()
  })

  it('tells a watch that a key was deleted by hand', async () => {
    const store = connect(connectionOf(cluster))
    const watch = follow(store, 'deleted/')
    const { revision } = applied(await store.compareAndSet('deleted/a', '{}', 0, 2_000))
    await watch.until(() => watch.last.has('deleted/a'))
    const [member] = cluster.members
    assert.ok(member)
    await cluster.post(member, '/v3/kv/deleterange', { key: Buffer.from('/holdfast/deleted/a').toString('base64') })
    await watch.until(() => watch.last.get('deleted/a')?.value === null)
    const again = applied(await store.compareAndSet('deleted/a', '{}', 0, 2_000))
    assert.ok(again.revision > revision)
    await store.close()
  })

  it('refuses another cluster at the same addresses (R22)', async () => {
    const other = await start({ members: 1 })
    await other.ready()
    const line = await openLine(cluster.endpoints[0] ?? '')
    const client = connect({ endpoints: [line.url] })
    const first = applied(await client.compareAndSet('other/a', '{}', 0, 2_000))
    line.retarget(other.endpoints[0] ?? '')
    const answer = await client.get('other/a', 300)
    assert.ok(answer.kind === 'unknown' && /another store answers.*R22/.test(answer.because), JSON.stringify(answer))
    const fresh = connect({ endpoints: other.endpoints })
    const write = await fresh.compareAndSet('other/a', '{}', first.revision, 300)
    assert.ok(write.kind === 'unknown' && /went back.*R22/.test(write.because), JSON.stringify(write))
    await fresh.close()
    await client.close()
    await line.close()
    await other.stop()
  })

  it('names a wrong password and a missing right at once', async () => {
    const secured = await start({ members: 1 })
    await secured.ready()
    await switchUsersOn(secured)
    const wrong = connect({ ...connectionOf(secured, true), password: 'wrong' })
    const answer = await wrong.get('a', 2_000)
    assert.ok(answer.kind === 'unknown' && /log-in of holdfast failed/.test(answer.because), JSON.stringify(answer))
    const astray = connect({ ...connectionOf(secured, true), prefix: '/elsewhere/' })
    const refused = await astray.get('a', 2_000)
    assert.ok(refused.kind === 'unknown' && /permission denied/.test(refused.because), JSON.stringify(refused))
    await wrong.close()
    await astray.close()
    await secured.stop()
  })
})
