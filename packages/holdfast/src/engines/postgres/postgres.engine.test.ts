/** The PostgreSQL adapter on real servers: the conformance story on each version found, then bad days of its own. */
import assert from 'node:assert/strict'
import { execFile, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { treeOf } from '../../io/process-tree.ts'
import { call, engineConformance, must, until } from '../conformance.ts'
import { createPostgresAdapter, type PostgresOptions } from './adapter.ts'
import { type Binaries, findPostgres, MAJOR_MAX, MAJOR_MIN } from './binaries.ts'
import {
  connect,
  discard,
  makeCluster,
  makeOptions,
  memberOf,
  type PostgresCluster,
  temporaryBase,
} from './cluster-fixture.ts'
import { askOnce, localTarget } from './connection.ts'
import { cleanEnd, readControlFile } from './control-file.ts'
import { homeOf } from './home.ts'

const run = promisify(execFile)
const isRoot = process.getuid?.() === 0

/** A standby tells its status this often when there is nothing else to tell; one slow round may be the machine's. */
const STATUS_MS = 1_000
const RELEASE_ROUNDS = 3

const found: Binaries[] = []
for (let version = MAJOR_MIN; version <= MAJOR_MAX; version++) {
  const one = await findPostgres({ version })
  if (one.ok) found.push(one.binaries)
}
const newest = found.at(-1)?.major ?? MAJOR_MAX

test('the engines this suite needs are there', () => {
  const majors = found.map((f) => f.major)
  assert.ok(majors.includes(18), `PostgreSQL 18 comes with the npm packages, found ${majors}`)
  if (process.env.CI !== undefined) assert.ok(majors.includes(15), `"npm run engines" installs 15, found ${majors}`)
})

for (const binaries of found) {
  engineConformance(`PostgreSQL ${binaries.version} (${binaries.source})`, () => makeCluster(binaries.major))
  describe(`PostgreSQL ${binaries.version}: its own bad days`, { timeout: 120_000 }, () => {
    let cluster: PostgresCluster
    before(async () => {
      cluster = await makeCluster(binaries.major)
      must(await cluster.members[0].adapter.create(1, { members: [], need: 0 }, call()))
      await cluster.prepare(cluster.members[0])
    })
    after(() => cluster.close())
    files(binaries, () => cluster)
    confirming(() => cluster)
    copies(() => cluster)
  })
}

function files(binaries: Binaries, of: () => PostgresCluster): void {
  test('the control file is read as PostgreSQL itself reads it', async () => {
    const [a] = of().members
    const control = await readControlFile(a.dataDir)
    assert.ok(control !== null)
    assert.equal(control.systemId, (await a.adapter.view(call())).systemId)
    assert.equal(control.state, 'in production')
    assert.equal(control.walSegmentBytes, 16 * 1024 * 1024)
    assert.equal(control.checksums, true)
    const tool = join(binaries.binDir, 'pg_controldata')
    if (!existsSync(tool)) return
    const { stdout } = await run(tool, ['-D', a.dataDir], { env: binaries.env })
    const told = (label: string): string => new RegExp(`${label}:\\s+(.*)`).exec(stdout)?.[1] ?? ''
    const lsn = (n: number): string =>
      `${Math.floor(n / 2 ** 32).toString(16)}/${(n % 2 ** 32).toString(16)}`.toUpperCase()
    assert.equal(told('Database system identifier'), control.systemId)
    assert.equal(told('Latest checkpoint location'), lsn(control.checkpointLsn))
    assert.equal(told("Latest checkpoint's REDO location"), lsn(control.redoLsn))
    assert.equal(told("Latest checkpoint's TimeLineID"), String(control.timeline))
  })

  test('no password stands in a process list, a setting, a log or an environment', async () => {
    const cluster = of()
    const [a, b] = cluster.members
    const { systemId } = await a.adapter.view(call())
    must(await b.adapter.follow(a.endpoint, { epoch: 1, timeline: 1, systemId }, call()))
    const secrets = Object.values(cluster.options[0]?.secrets ?? {})
    const texts: string[] = []
    for (const m of [a, b]) {
      for (const p of treeOf(m.adapter.fenceTarget().dataDir, null)) {
        texts.push(readFileSync(`/proc/${p.pid}/cmdline`, 'utf8'), readFileSync(`/proc/${p.pid}/environ`, 'utf8'))
      }
      for (const name of ['postgresql.conf', 'postgresql.auto.conf', 'holdfast.conf', 'pg_hba.conf']) {
        texts.push(readFileSync(join(m.dataDir, name), 'utf8'))
      }
      texts.push(readFileSync(join(cluster.base, `.${m.endpoint.member}.run`, 'postgres.log'), 'utf8'))
    }
    for (const secret of secrets) assert.ok(!texts.some((t) => t.includes(secret)), 'a password is visible')
  })
}

function confirming(of: () => PostgresCluster): void {
  test('a commit that its standby already holds is released with the new list, not with the next status', async () => {
    const [a, b] = of().members
    const { systemId } = await a.adapter.view(call())
    must(await b.adapter.follow(a.endpoint, { epoch: 1, timeline: 1, systemId }, call()))
    await until(b, (v) => v.receiving)
    const [writer, reader] = [await connect(a), await connect(a)]
    const waits: number[] = []
    for (let round = 0; round < RELEASE_ROUNDS; round++) {
      must(await a.adapter.applySync({ members: [], need: 1 }, call()))
      const committed = writer.query("select pg_logical_emit_message(true, 'test', '')").then(() => performance.now())
      await until(b, (v) => v.receiving)
      const { rows } = await reader.query("select (pg_current_wal_flush_lsn() - '0/0')::float8 as lsn")
      await until(b, (v) => (v.position?.lsn ?? 0) >= rows[0].lsn)
      must(await a.adapter.applySync({ members: [b.endpoint.member], need: 1 }, call()))
      const listedMs = performance.now()
      waits.push((await committed) - listedMs)
      must(await a.adapter.applySync({ members: [], need: 0 }, call()))
    }
    for (const client of [writer, reader]) await client.end()
    assert.ok(Math.min(...waits) < STATUS_MS / 2, `waited ${waits.map(Math.round)} ms after the list was in effect`)
  })

  test('a frozen replica is promoted behind the gate, also when somebody took it away meanwhile', async () => {
    const [a, b] = of().members
    const { systemId } = await a.adapter.view(call())
    must(await b.adapter.freeze(2, call()))
    const o = of().options[1] as PostgresOptions
    const told = async (sql: string): Promise<unknown> => {
      const answer = await askOnce(localTarget(await homeOf(o, null), o), sql, 2_000)
      assert.ok(answer.ok, JSON.stringify(answer))
      return answer.rows[0]
    }
    await told("alter system set synchronous_standby_names = ''")
    await told('select pg_reload_conf()')
    const shown = "select current_setting('synchronous_standby_names') as names"
    while (((await told(shown)) as { names: string }).names !== '') await told('select pg_sleep(0.01)')
    must(await b.adapter.promote(2, { members: [], need: 1 }, call()))
    assert.deepEqual((await until(b, (v) => v.role === 'primary')).sync, { members: [], need: 1 })
    must(await b.adapter.fence(call()))
    must(await b.adapter.follow(a.endpoint, { epoch: 3, timeline: 1, systemId }, call()))
    await until(b, (v) => v.receiving)
  })
}

function copies(of: () => PostgresCluster): void {
  test('a clean stop tells exactly where a replica ends that has everything', async () => {
    const [a, b] = of().members
    const final = must(await a.adapter.stop(call()))
    assert.deepEqual(await cleanEnd(a.dataDir), final.position)
    await until(b, (v) => v.position?.lsn === final.lsn)
    must(await a.adapter.restart(1, { members: [], need: 0 }, call()))
  })

  test('a clean stop does not wait for a standby that is silent', async () => {
    const [a, b] = of().members
    await until(b, (v) => v.receiving)
    const standby = treeOf(b.dataDir, null).map(({ pid }) => pid)
    const { logFile: log } = await homeOf(of().options[0] as PostgresOptions, null)
    try {
      for (const pid of standby) process.kill(pid, 'SIGSTOP')
      const endMs = performance.now() + 2_000
      while (performance.now() < endMs) {
        await a.adapter.view(call())
        await new Promise((resolve) => setTimeout(resolve, 200))
      }
      const before = readFileSync(log, 'utf8').length
      must(await a.adapter.stop(call()))
      const said = readFileSync(log, 'utf8').slice(before)
      assert.match(said, /terminating connection due to administrator command/)
      assert.doesNotMatch(said, /due to replication timeout/)
    } finally {
      for (const pid of standby) process.kill(pid, 'SIGCONT')
    }
    must(await a.adapter.restart(1, { members: [], need: 0 }, call()))
    await until(b, (v) => v.receiving)
  })

  test('a member killed in the middle of cloning is cloned again', async () => {
    const cluster = of()
    const [a, , c] = cluster.members
    const { systemId } = await a.adapter.view(call())
    await c.adapter.close()
    const script = join(cluster.base, 'clone.ts')
    const options = cluster.options[2] as PostgresOptions
    writeFileSync(script, cloneScript(options, a.endpoint, systemId))
    const child = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] })
    await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    c.adapter = c.reopen()
    assert.notEqual(await c.adapter.dataState(), 'ready')
    must(await c.adapter.follow(a.endpoint, { epoch: 1, timeline: 1, systemId }, call()))
    await until(c, (v) => v.receiving)
    const left = readdirSync(cluster.base).filter((n) => /partial|unfinished/.test(n))
    assert.deepEqual(left, [], 'nothing half-made is left behind')
  })

  test('a member with another system identifier is refused with a word on what to do', async () => {
    const [a, b] = of().members
    const done = await b.adapter.follow(a.endpoint, { epoch: 1, timeline: 1, systemId: '7000000000000000001' }, call())
    assert.ok(!done.ok && !done.retryable)
    assert.match(done.because, /another data set: move the directory away/)
  })

  test('owned settings cannot be overridden by ALTER SYSTEM', async () => {
    const [a] = of().members
    writeFileSync(join(a.dataDir, 'postgresql.auto.conf'), "synchronous_standby_names = 'x'\nwork_mem = '5MB'\n")
    must(await a.adapter.applySync({ members: [], need: 0 }, call()))
    assert.equal(readFileSync(join(a.dataDir, 'postgresql.auto.conf'), 'utf8').trim(), "work_mem = '5MB'")
    assert.deepEqual((await until(a, (v) => v.answering)).sync, { members: [], need: 0 })
  })
}

/** Says a word when the copy has begun, and goes on until it is killed. */
function cloneScript(o: PostgresOptions, upstream: object, systemId: string | null): string {
  const { clock: _clock, log: _log, ...plain } = o
  const here = (name: string): string => JSON.stringify(new URL(name, import.meta.url).href)
  return `import { createPostgresAdapter } from ${here('./adapter.ts')}
import { systemClock } from ${here('../../io/clock.ts')}
const log = { debug() {}, info() {}, warn() {}, error() {} }
const adapter = createPostgresAdapter({ ...${JSON.stringify(plain)}, clock: systemClock, log })
const progress = () => process.stdout.write('copying\\n')
const options = { deadlineMs: 60000, signal: new AbortController().signal, progress }
const at = ${JSON.stringify({ epoch: 1, timeline: 1, systemId })}
await adapter.follow(${JSON.stringify(upstream)}, at, options)
`
}

describe('PostgreSQL: what is in the way is named', { timeout: 60_000 }, () => {
  let base = ''
  before(async () => {
    base = await temporaryBase()
  })
  after(() => {
    rmSync(base, { recursive: true, force: true })
  })

  const only = async (change: Partial<PostgresOptions>): Promise<PostgresOptions> => {
    const [first] = await makeOptions(base, newest, ['solo'])
    assert.ok(first !== undefined)
    return { ...first, dataDir: join(base, `solo-${Math.random().toString(36).slice(2)}`), ...change }
  }

  test('a directory that is not ours is left alone by every operation', async () => {
    const o = await only({})
    mkdirSync(o.dataDir)
    writeFileSync(join(o.dataDir, 'thesis.txt'), 'ten years')
    const adapter = createPostgresAdapter(o)
    assert.equal(await adapter.dataState(), 'foreign')
    const made = await adapter.create(1, { members: [], need: 0 }, call())
    assert.ok(!made.ok && !made.retryable)
    assert.match(made.because, /not empty and was not made by Holdfast.*move it away/)
    const upstream = { member: 'x', host: '127.0.0.1', port: 1 }
    const done = await adapter.follow(upstream, { epoch: 1, timeline: 1, systemId: null }, call())
    assert.ok(!done.ok && !done.retryable)
    must(await adapter.fence(call()))
    assert.deepEqual(readdirSync(o.dataDir), ['thesis.txt'])
    await adapter.close()
  })

  test('a port in use is named, and nothing half-made stays', async () => {
    const squatter = createServer().listen(0, '127.0.0.1')
    await once(squatter, 'listening')
    const address = squatter.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const o = await only({ port })
    const adapter = createPostgresAdapter(o)
    const done = await adapter.create(1, { members: [], need: 0 }, call())
    assert.ok(!done.ok)
    assert.match(done.because, new RegExp(`port ${port} on 127.0.0.1 is in use`))
    assert.equal(await adapter.dataState(), 'unfinished')
    squatter.close()
    must(await adapter.create(1, { members: [], need: 0 }, call()))
    await discard(adapter)
  })

  test('an owned parameter in the description is refused before anything is made', async () => {
    const o = await only({ parameters: { synchronous_standby_names: '' } })
    const adapter = createPostgresAdapter(o)
    const done = await adapter.create(1, { members: [], need: 0 }, call())
    assert.ok(!done.ok && !done.retryable)
    assert.match(done.because, /"synchronous_standby_names" is set by Holdfast; remove it/)
    assert.ok(!existsSync(o.dataDir))
    await adapter.close()
  })

  test('an application that takes every connection leaves room for members that come back', async () => {
    const [first, second] = await makeOptions(base, newest, ['full', 'back'])
    assert.ok(first !== undefined && second !== undefined)
    const parameters = { ...first.parameters, max_connections: 16 }
    const [full, back] = [memberOf({ ...first, parameters }), memberOf({ ...second, parameters })]
    const clients: { end(): Promise<void> }[] = []
    try {
      must(await full.adapter.create(1, { members: [], need: 0 }, call()))
      await assert.rejects(async () => {
        for (let n = 0; n < 16; n += 1) clients.push(await connect(full))
      }, /too many connections for role/)
      assert.ok(clients.length >= 5, `${clients.length} connections`)
      must(await back.adapter.follow(full.endpoint, { epoch: 1, timeline: 1, systemId: null }, call()))
      await until(back, (v) => v.receiving)
      const { host, port } = full.endpoint
      const login = { user: 'holdfast_replication', password: first.secrets.replication, database: 'postgres' }
      const { default: pg } = await import('pg')
      const compares = new pg.Client({ host, port, ...login })
      await compares.connect()
      await compares.end()
    } finally {
      for (const client of clients) await client.end().catch(() => {})
      await discard(back.adapter)
      await discard(full.adapter)
    }
  })

  test('a parameter PostgreSQL does not know is told in its own words', async () => {
    const adapter = createPostgresAdapter(await only({ parameters: { no_such_thing: 1 } }))
    const done = await adapter.create(1, { members: [], need: 0 }, call())
    assert.ok(!done.ok)
    assert.match(done.because, /no_such_thing/)
    await discard(adapter)
  })

  test('a parent directory that the server may not enter is named', { skip: !isRoot }, async () => {
    const closed = join(base, 'closed')
    mkdirSync(closed, { mode: 0o700 })
    const adapter = createPostgresAdapter(await only({ dataDir: join(closed, 'data') }))
    const done = await adapter.create(1, { members: [], need: 0 }, call())
    assert.ok(!done.ok && !done.retryable)
    assert.match(done.because, /closed may not be entered by user \d+.*chmod o\+x/)
    await adapter.close()
  })

  test('a full disk is named at create, and a primary on it stops answering', { skip: !isRoot }, async () => {
    const mount = join(base, 'small')
    mkdirSync(mount)
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m,mode=0755', 'tmpfs', mount])
    const member = memberOf(await only({ dataDir: join(mount, 'data') }))
    const { adapter } = member
    try {
      const done = await adapter.create(1, { members: [], need: 0 }, call())
      assert.ok(!done.ok)
      assert.match(done.because, /disk is full: free space/)
      execFileSync('mount', ['-o', 'remount,size=200m', mount])
      must(await adapter.create(1, { members: [], need: 0 }, call()))
      const client = await connect(member)
      const fill = join(mount, 'fill')
      try {
        execFileSync('dd', ['if=/dev/zero', `of=${fill}`, 'bs=1M'], { stdio: 'ignore' })
      } catch {
        // Full is what it should be.
      }
      await assert.rejects(async () => {
        await client.query('create table big (t text)')
        for (;;) await client.query("insert into big select repeat('x', 7000) from generate_series(1, 1000)")
      })
      await client.end().catch(() => undefined)
      const view = await until(member, (v) => !v.answering)
      must(await adapter.fence(call()))
      const again = await adapter.restart(1, { members: [], need: 0 }, call(10_000))
      console.log(`    on a full disk: running ${view.running}, restart ${JSON.stringify(again)}`)
      if (!again.ok) assert.match(again.because, /disk is full: free space|disk of .* is full/)
      rmSync(fill)
      must(await adapter.restart(1, { members: [], need: 0 }, call()))
    } finally {
      await discard(adapter)
      execFileSync('umount', ['-l', mount])
    }
  })
})

describe('PostgreSQL over TLS', { timeout: 60_000, skip: !hasOpenssl() }, () => {
  let base = ''
  let cluster: PostgresCluster
  before(async () => {
    base = await temporaryBase()
    const at = (name: string): string => join(base, name)
    const names = ['-addext', 'subjectAltName=IP:127.0.0.1']
    const subject = ['-subj', '/CN=holdfast-test', ...names, '-days', '2', '-nodes', '-newkey', 'rsa:2048']
    execFileSync('openssl', ['req', '-x509', ...subject, '-keyout', at('key'), '-out', at('cert')], { stdio: 'ignore' })
    cluster = await makeCluster(newest, { tls: { cert: at('cert'), key: at('key'), ca: at('cert') } })
  })
  after(async () => {
    await cluster.close()
    rmSync(base, { recursive: true, force: true })
  })

  test('members clone, stream and serve over TLS, and nobody gets in without', async () => {
    const [a, b] = cluster.members
    must(await a.adapter.create(1, { members: [], need: 0 }, call()))
    await cluster.prepare(a)
    const { systemId } = await a.adapter.view(call())
    must(await b.adapter.follow(a.endpoint, { epoch: 1, timeline: 1, systemId }, call()))
    await until(b, (v) => v.receiving)
    const client = await connect(a, true)
    const { rows } = await client.query('select ssl from pg_stat_ssl where pid = pg_backend_pid()')
    assert.deepEqual(rows, [{ ssl: true }])
    await client.end()
    await assert.rejects(connect(a, false), /no pg_hba.conf entry|no encryption/)
    const [options] = cluster.options.slice(1)
    assert.ok(options)
    const conninfo = readFileSync(join(options.dataDir, 'holdfast.conf'), 'utf8')
    assert.match(conninfo, /sslmode=''verify-full''.*channel_binding=''require''/)
  })

  test('an upstream whose certificate lacks its address is not followed, and none starts with one', async () => {
    const [a, b] = cluster.members
    const { systemId } = await a.adapter.view(call())
    const elsewhere = { ...a.endpoint, host: 'localhost' }
    const followed = await b.adapter.follow(elsewhere, { epoch: 1, timeline: 1, systemId }, call())
    assert.match(followed.ok ? '' : followed.because, /certificate's altnames/)
    const [, , options] = cluster.options
    assert.ok(options)
    const stray = memberOf({ ...options, host: '127.0.0.2' })
    const made = await stray.adapter.create(1, { members: [], need: 0 }, call())
    await stray.adapter.close()
    assert.match(made.ok ? '' : made.because, /does not name its address 127.0.0.2; make one with subjectAltName/)
  })
})

function hasOpenssl(): boolean {
  return ['/usr/bin/openssl', '/usr/local/bin/openssl', '/opt/homebrew/bin/openssl'].some((p) => existsSync(p))
}
