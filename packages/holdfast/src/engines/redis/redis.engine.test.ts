/** The Redis adapter on real servers: the conformance story, then what only Redis does. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile, rm, stat, statfs, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { GATE, type SyncSet } from '../../core/model.ts'
import { treeOf } from '../../io/process-tree.ts'
import { ReplyError } from '../../io/resp.ts'
import { makeCertificates } from '../../store/certificates-fixture.ts'
import { type ConformanceMember, call, engineConformance, must, until } from '../conformance.ts'
import { createRedisAdapter, type RedisOptions } from './adapter.ts'
import { findRedis } from './binaries.ts'
import {
  discard,
  makeCluster,
  makeOptions,
  memberOf,
  type RedisCluster,
  SECRETS,
  TestClient,
  temporaryBase,
} from './cluster-fixture.ts'
import { OPERATOR, PEER } from './config.ts'
import { findValkey } from './valkey-fixture.ts'

const NOBODY: SyncSet = { members: [], need: 0 }
const AT = { epoch: 1, timeline: 1 }

const found = await findRedis()
const skip = found.ok ? false : `needs Redis or Valkey: ${found.because}`

if (found.ok) engineConformance('Redis', () => makeCluster())

const valkey = await findValkey()
if (valkey !== null) {
  const { binDir, binaries } = valkey
  engineConformance(`Valkey ${binaries.version}`, () => makeCluster({ binDir }))
} else test('Valkey', { skip: 'needs Valkey: npm run engines' }, () => undefined)

function optionsOf(cluster: RedisCluster, member: ConformanceMember): RedisOptions {
  const found = cluster.options.find((o) => o.member === member.endpoint.member)
  assert.ok(found)
  return found
}

async function primaryWith(cluster: RedisCluster, replicas: readonly ConformanceMember[]): Promise<string> {
  const [a] = cluster.members
  must(await a.adapter.create(1, NOBODY, call()))
  const { systemId } = await until(a, (v) => v.answering)
  assert.ok(systemId !== null)
  for (const one of replicas) must(await one.adapter.follow(a.endpoint, { ...AT, systemId }, call()))
  return systemId
}

describe('who may count', { timeout: 60_000, skip }, () => {
  let cluster: RedisCluster
  let systemId = ''
  before(async () => {
    cluster = await makeCluster({ confirmations: 1 })
    systemId = await primaryWith(cluster, cluster.members.slice(1))
  })
  after(() => cluster.close())

  test('a replica outside the set is put out and cannot confirm, and is let in when it is listed', async () => {
    const [a, b, c] = cluster.members
    must(await a.adapter.applySync({ members: ['b'], need: 1 }, call()))
    const alone = await until(a, (v) => v.standbys.filter((s) => s.flushLsn >= 0).length === 1)
    assert.deepEqual(alone.standbys.find((s) => s.flushLsn >= 0)?.member, 'b')
    const client = await TestClient.as(optionsOf(cluster, a))
    // The only one that counts does not answer: nobody else's answer is taken for his.
    const [bMain] = treeOf(b.dataDir, null)
    assert.ok(bMain)
    process.kill(bMain.pid, 'SIGSTOP')
    try {
      const waiting = c.adapter.follow(a.endpoint, { ...AT, systemId }, call(20_000))
      await until(a, (v) => v.standbys.some((s) => s.member === 'c' && s.streaming && s.flushLsn === -1))
      assert.equal(await client.run('SET', 'one', '1'), 'OK')
      assert.equal(await client.run('WAIT', '1', '400'), 0)
      assert.equal((await c.adapter.view(call())).receiving, false)
      must(await a.adapter.applySync({ members: ['b', 'c'], need: 1 }, call()))
      must(await waiting)
      assert.equal(await client.run('WAIT', '1', '1000'), 1)
    } finally {
      process.kill(bMain.pid, 'SIGCONT')
    }
    client.close()
  })

  test('more confirmations than clients wait for close the group, and nobody waits on by the old rule', async () => {
    const [a] = cluster.members
    const o = optionsOf(cluster, a)
    const client = await TestClient.as(o)
    must(await a.adapter.applySync({ members: ['b', 'c'], need: 2 }, call()))
    await client.cut
    const other = await TestClient.as(o)
    const refused = await other.run('SET', 'two', '2')
    assert.ok(refused instanceof ReplyError && refused.code === 'NOREPLICAS', String(refused))
    must(await a.adapter.applySync(NOBODY, call()))
    assert.equal(await other.run('SET', 'two', '2'), 'OK')
    other.close()
  })

  test('an adapter made anew reads the rule from the server', async () => {
    const [a] = cluster.members
    const set = { members: ['b', 'c'], need: 1 }
    must(await a.adapter.applySync(set, call()))
    const again = createRedisAdapter(optionsOf(cluster, a))
    const view = await again.view(call())
    await again.close()
    assert.deepEqual(view.sync, set)
    assert.equal(view.position?.timeline, 1)
    assert.equal(view.standbys.length, 2)
  })
})

describe('after a crash', { timeout: 60_000, skip }, () => {
  let cluster: RedisCluster
  let systemId = ''
  before(async () => {
    cluster = await makeCluster({ confirmations: 0 })
    systemId = await primaryWith(cluster, [])
  })
  after(() => cluster.close())

  test('positions go on above all that was ever told, and the copy counts as the same', async () => {
    const [a] = cluster.members
    const before = await until(a, (v) => v.position !== null)
    const client = await TestClient.as(optionsOf(cluster, a))
    for (let i = 0; i < 50; i++) await client.run('SET', `key${i}`, 'x'.repeat(1_000))
    must(await a.adapter.fence(call()))
    must(await a.adapter.follow(null, { ...AT, systemId }, call()))
    const after = await until(a, (v) => v.answering)
    assert.equal(after.role, 'replica')
    assert.equal(after.diskId, before.diskId)
    assert.ok((after.position?.lsn ?? 0) > (before.position?.lsn ?? 0) + 50_000)
    must(await a.adapter.promote(2, NOBODY, call()))
    const reader = await TestClient.as(optionsOf(cluster, a))
    assert.equal(await reader.run('DBSIZE'), 50)
    reader.close()
    client.close()
  })

  test('a host that went down may have taken the newest writes along: another copy, no restart in place', async () => {
    const [a] = cluster.members
    const before = await a.adapter.view(call())
    must(await a.adapter.fence(call()))
    await a.adapter.close()
    const path = join(a.dataDir, 'holdfast.member.json')
    const file = JSON.parse(await readFile(path, 'utf8'))
    await writeFile(path, JSON.stringify({ ...file, bootId: 'of an earlier boot' }))
    a.adapter = a.reopen()
    const refused = await a.adapter.restart(2, NOBODY, call())
    assert.equal(refused.ok, false)
    must(await a.adapter.follow(null, { ...AT, systemId }, call()))
    assert.notEqual((await until(a, (v) => v.answering)).diskId, before.diskId)
  })
})

test('where replicas confirm, a log that may lag behind the answers makes a killed primary another copy', {
  skip,
}, async () => {
  const cluster = await makeCluster({ confirmations: 1, parameters: { appendfsync: 'everysec' } })
  try {
    const [a] = cluster.members
    const systemId = await primaryWith(cluster, [])
    const before = await a.adapter.view(call())
    must(await a.adapter.fence(call()))
    const refused = await a.adapter.restart(1, NOBODY, call())
    assert.ok(!refused.ok)
    assert.match(refused.because, /may lack what was acknowledged last/)
    must(await a.adapter.follow(null, { ...AT, systemId }, call()))
    assert.notEqual((await until(a, (v) => v.answering)).diskId, before.diskId)
  } finally {
    await cluster.close()
  }
})

test('what only a killed primary held can be read beside its data, and is nowhere else', { skip }, async () => {
  const cluster = await makeCluster({ confirmations: 0 })
  try {
    const [a, b] = cluster.members
    const systemId = await primaryWith(cluster, [b])
    const client = await TestClient.as(optionsOf(cluster, a))
    assert.equal(await client.run('SET', 'both', 'kept-by-both'), 'OK')
    assert.equal(await client.run('WAIT', '1', '1000'), 1)
    must(await b.adapter.freeze(2, call()))
    assert.equal(await client.run('SET', 'alone', 'written-alone'), 'OK')
    // While the disk is busy with the second before, Redis answers first and writes then.
    while (!/aof_buffer_length:0\r/.test(String(await client.run('INFO', 'persistence')))) await sleep(10)
    must(await a.adapter.fence(call()))
    must(await b.adapter.promote(2, NOBODY, call()))
    must(await a.adapter.follow(b.endpoint, { epoch: 2, timeline: 2, systemId }, call()))
    const tail = await cluster.keptTail(a)
    assert.match(tail ?? '', /written-alone/)
    assert.match(tail ?? '', /"upstreamLine":/)
    const reader = await TestClient.as(optionsOf(cluster, a))
    assert.equal(await reader.run('GET', 'both'), 'kept-by-both')
    assert.equal(await reader.run('GET', 'alone'), null)
    reader.close()
  } finally {
    await cluster.close()
  }
})

test('a founding that was broken off before its first write stands in nobody’s way', { skip }, async () => {
  const cluster = await makeCluster({ confirmations: 1 })
  try {
    const [a, b] = cluster.members
    must(await a.adapter.create(1, GATE, call()))
    assert.equal((await until(a, (v) => v.answering)).unopenedEpoch, 1, 'it counts as data that somebody may need')
    must(await a.adapter.fence(call()))
    must(await b.adapter.create(2, NOBODY, call()))
    const { systemId } = await until(b, (v) => v.answering)
    must(await a.adapter.follow(b.endpoint, { epoch: 2, timeline: 2, systemId }, call()))
    assert.equal((await until(a, (v) => v.receiving)).systemId, systemId)
    // Once it was opened it is never thrown away for another data set.
    must(await b.adapter.fence(call()))
    must(await a.adapter.fence(call()))
    const other = { epoch: 3, timeline: 3, systemId: 'another' }
    const refused = await b.adapter.follow(a.endpoint, other, call())
    assert.ok(!refused.ok)
    assert.match(refused.because, /this is another data set/)
  } finally {
    await cluster.close()
  }
})

test('a demotion in place: final position, sessions cut, no writes, and back as a replica without a copy', {
  skip,
}, async () => {
  const cluster = await makeCluster()
  try {
    const [a, b] = cluster.members
    const systemId = await primaryWith(cluster, [b])
    const client = await TestClient.as(optionsOf(cluster, a))
    for (let i = 0; i < 100; i++) await client.run('SET', `key${i}`, String(i))
    const pid = a.adapter.fenceTarget().mainPid
    const startMs = performance.now()
    const final = must((await a.adapter.demote?.(call())) ?? { ok: false, because: 'no way', retryable: false })
    console.log(`    demotion in place: ${(performance.now() - startMs).toFixed(1)} ms`)
    await client.cut
    assert.deepEqual(must((await a.adapter.demote?.(call())) ?? final).position, final.position, 'asked twice')
    const again = await TestClient.as(optionsOf(cluster, a))
    const refused = await again.run('SET', 'late', '1')
    assert.ok(refused instanceof ReplyError && refused.code === 'READONLY', String(refused))
    again.close()
    assert.deepEqual(must(await b.adapter.freeze(2, call())).position, final.position)
    must(await b.adapter.promote(2, NOBODY, call()))
    must(await a.adapter.follow(b.endpoint, { epoch: 2, timeline: 2, systemId }, call()))
    assert.equal(a.adapter.fenceTarget().mainPid, pid)
    const operator = await TestClient.as(optionsOf(cluster, b), OPERATOR, SECRETS.superuser)
    const stats = String(await operator.run('INFO', 'stats'))
    operator.close()
    assert.match(stats, /sync_full:0\r\nsync_partial_ok:1\r/)
  } finally {
    await cluster.close()
  }
})

describe('users', { timeout: 60_000, skip }, () => {
  let cluster: RedisCluster
  before(async () => {
    cluster = await makeCluster()
    await primaryWith(cluster, [])
  })
  after(() => cluster.close())

  test('nobody works without a name, and each may do only what is his', async () => {
    const [a] = cluster.members
    const o = optionsOf(cluster, a)
    await assert.rejects(TestClient.as(o, 'default', ''), /WRONGPASS|ERR/)
    const stranger = connect(o.port, o.host)
    stranger.write('SET k v\r\nHELLO 3 AUTH default x\r\n')
    const [said] = await once(stranger, 'data')
    assert.match(String(said), /^-NOAUTH /)
    stranger.destroy()
    await assert.rejects(TestClient.as(o, 'app', 'wrong'), /WRONGPASS/)
    const app = await TestClient.as(o)
    assert.equal(await app.run('SET', 'k', 'v'), 'OK')
    for (const words of [
      ['CONFIG', 'GET', '*'],
      ['REPLICAOF', 'NO', 'ONE'],
      ['SHUTDOWN'],
      ['ACL', 'LIST'],
      ['CLIENT', 'KILL', 'TYPE', 'normal'],
      ['CLIENT', 'PAUSE', '1000'],
      ['PSYNC', '?', '-1'],
    ]) {
      const answer = await app.run(...words)
      assert.ok(answer instanceof ReplyError && answer.code === 'NOPERM', `${words.join(' ')}: ${String(answer)}`)
    }
    const peer = await TestClient.as(o, PEER, SECRETS.replication)
    for (const words of [
      ['GET', 'k'],
      ['SET', 'k', 'w'],
      ['CONFIG', 'SET', 'save', ''],
      ['KEYS', '*'],
    ]) {
      const answer = await peer.run(...words)
      assert.ok(answer instanceof ReplyError && answer.code === 'NOPERM', `${words.join(' ')}: ${String(answer)}`)
    }
    app.close()
    peer.close()
  })

  test('passwords stand in no command line and no file that others may read', async () => {
    const [a] = cluster.members
    const runDir = join(cluster.base, '.a.run')
    for (const name of ['redis.conf', 'users.acl']) assert.equal((await stat(join(runDir, name))).mode & 0o077, 0)
    const users = await readFile(join(runDir, 'users.acl'), 'utf8')
    for (const secret of Object.values(SECRETS)) assert.ok(!users.includes(secret))
    const [main] = treeOf(a.dataDir, null)
    const line = await readFile(`/proc/${main?.pid}/cmdline`, 'latin1')
    for (const secret of Object.values(SECRETS)) assert.ok(!line.includes(secret))
    assert.match(line, /holdfast system=\S+ timeline=1 base=0 need=0/)
  })
})

describe('bad days', { timeout: 60_000, skip }, () => {
  let base = ''
  before(async () => {
    base = await temporaryBase()
  })
  after(() => rm(base, { recursive: true, force: true }))

  async function one(more: Partial<RedisOptions> = {}): Promise<{ o: RedisOptions; member: ConformanceMember }> {
    const [o] = await makeOptions(base, more)
    assert.ok(o)
    return { o, member: memberOf(o) }
  }

  async function refusal(member: ConformanceMember): Promise<{ because: string; retryable: boolean }> {
    const done = await member.adapter.create(1, NOBODY, call(5_000))
    const view = await member.adapter.view(call())
    await discard(member.adapter)
    assert.ok(!done.ok)
    assert.equal(view.running, false)
    return done
  }

  test("somebody else's directory is left alone", async () => {
    const { o, member } = await one({ dataDir: join(base, 'theirs') })
    await mkdir(o.dataDir)
    await writeFile(join(o.dataDir, 'dump.rdb'), 'precious')
    const { because, retryable } = await refusal(member)
    assert.match(because, /theirs is not empty and was not made by Holdfast; it is left alone/)
    assert.equal(retryable, false)
    assert.equal(await readFile(join(o.dataDir, 'dump.rdb'), 'utf8'), 'precious')
  })

  test('a port in use is told with the way out', async () => {
    const { o, member } = await one({ dataDir: join(base, 'port') })
    const other = createServer().listen(o.port, '127.0.0.1')
    await sleep(50)
    try {
      assert.match((await refusal(member)).because, new RegExp(`port ${o.port} on 127.0.0.1 is in use`))
    } finally {
      other.close()
    }
  })

  test('settings that are not the user’s to make, or that the server does not know, are refused by name', async () => {
    const owned = await one({ dataDir: join(base, 'owned'), parameters: { appendonly: 'no' } })
    assert.match((await refusal(owned.member)).because, /parameter "appendonly" is set by Holdfast/)
    const unknown = await one({ dataDir: join(base, 'unknown'), parameters: { 'no-such-setting': 'x' } })
    const told = await refusal(unknown.member)
    assert.match(told.because, /the server refuses .*no-such-setting/)
    assert.equal(told.retryable, false)
  })

  test('a program that is not there is told with the way out', async () => {
    const { member } = await one({ dataDir: join(base, 'program'), binDir: join(base, 'nowhere') })
    assert.match((await refusal(member)).because, /no Redis or Valkey 7 or newer in .*nowhere; install redis-server/)
  })

  test('a full disk: not answering while the log cannot be written, itself again when there is room', async (t) => {
    const disk = join(base, 'disk')
    await mkdir(disk)
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=16m,mode=755', 'tmpfs', disk])
    if (mounted.status !== 0) return t.skip('only where a small disk can be mounted')
    const { o, member } = await one({ dataDir: join(disk, 'a'), confirmations: 0 })
    try {
      must(await member.adapter.create(1, NOBODY, call()))
      const client = await TestClient.as(o)
      const { bavail, bsize } = await statfs(disk)
      await writeFile(join(disk, 'ballast'), Buffer.alloc(bavail * bsize - 512 * 1024))
      for (let i = 0; i < 20; i++) await client.run('SET', `key${i}`, 'x'.repeat(64 * 1024))
      await until(member, (v) => v.running && !v.answering)
      const refused = await client.run('SET', 'more', 'x')
      assert.ok(refused instanceof ReplyError && refused.code === 'MISCONF', String(refused))
      await rm(join(disk, 'ballast'))
      await until(member, (v) => v.answering)
      assert.equal(await client.run('SET', 'more', 'x'), 'OK')
      client.close()
    } finally {
      await discard(member.adapter)
      spawnSync('umount', ['-l', disk])
    }
  })

  test('a half-made directory is made again', async () => {
    const { o, member } = await one({ dataDir: join(base, 'half') })
    await mkdir(o.dataDir)
    await writeFile(join(o.dataDir, 'dump.rdb.partial'), 'half')
    await writeFile(`${o.dataDir}.unfinished`, `${o.group}/${o.member}\n`)
    assert.equal(await member.adapter.dataState(), 'unfinished')
    must(await member.adapter.create(1, NOBODY, call()))
    assert.equal((await until(member, (v) => v.answering)).role, 'primary')
    await discard(member.adapter)
  })
})

test('TLS: clients and replicas talk to a certificate of the authority, and to nothing plain', { skip }, async () => {
  const dir = await temporaryBase()
  const files = await makeCertificates(dir)
  const cluster = await makeCluster({ tls: { cert: files.cert, key: files.key, ca: files.ca } })
  try {
    const [a, b] = cluster.members
    await primaryWith(cluster, [b])
    assert.equal((await until(b, (v) => v.receiving)).upstream, 'a')
    const o = optionsOf(cluster, a)
    const client = await TestClient.as(o)
    assert.equal(await client.run('SET', 'k', 'v'), 'OK')
    assert.equal(await client.run('WAIT', '1', '1000'), 1)
    client.close()
    const { tls: _tls, ...plain } = o
    await assert.rejects(TestClient.as(plain, OPERATOR, SECRETS.superuser))
  } finally {
    await cluster.close()
    await rm(dir, { recursive: true, force: true })
  }
})
