/**
 * `failover: observe` beside a PostgreSQL primary and replica that were made and started without Holdfast: it touches
 * nothing, shows them, and after the death of the primary says what it would have done.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { appendFileSync, chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import pg from 'pg'
import { within } from '../../packages/holdfast/src/cli/children.ts'
import { type Binaries, findPostgres } from '../../packages/holdfast/src/engines/postgres/binaries.ts'
import { engineAccount, ownedByEngine, TestPlatform, until } from '../platform.ts'

const OWNER = 'password-of-postgres'
const WATCHER = 'password-of-the-watcher'
const SETTING_FILES = ['postgresql.conf', 'postgresql.auto.conf', 'pg_hba.conf', 'pg_ident.conf', 'standby.signal']
const ENDED_MS = 20_000

const open: { destroy(): Promise<void> }[] = []
after(async () => {
  for (const one of open.reverse()) await one.destroy()
})

/** A primary `m1` and its replica `m2` as somebody without Holdfast makes them. */
class Existing {
  readonly #platform: TestPlatform
  readonly #binaries: Binaries
  readonly #servers: ChildProcess[] = []

  constructor(platform: TestPlatform, binaries: Binaries) {
    this.#platform = platform
    this.#binaries = binaries
  }

  async make(): Promise<void> {
    const [one = '', two = ''] = this.#platform.members.map((m) => this.#platform.dataDir(m))
    const password = join(dirname(one), 'pw')
    writeFileSync(password, OWNER)
    ownedByEngine(password)
    this.#run('initdb', ['-D', one, '-U', 'postgres', '-A', 'scram-sha-256', `--pwfile=${password}`, '--no-sync'])
    appendFileSync(join(one, 'pg_hba.conf'), 'host replication postgres 127.0.0.1/32 scram-sha-256\n')
    const first = await this.start('m1')
    await this.ask('m1', `create role watcher login password '${WATCHER}' in role pg_monitor`)
    first.kill('SIGINT')
    assert.ok(await within(ended(first), ENDED_MS))
    this.#run('/bin/cp', ['-a', one, two])
    const primary = `host=127.0.0.1 port=${this.#platform.enginePorts[0]} user=postgres password=${OWNER}`
    appendFileSync(join(two, 'postgresql.conf'), `primary_conninfo = '${primary}'\n`)
    writeFileSync(join(two, 'standby.signal'), '')
    ownedByEngine(join(two, 'standby.signal'))
    await this.start('m1')
    await this.start('m2')
    await this.ask('m1', 'create table t (i int); insert into t select generate_series(1, 1000)')
  }

  async start(member: string): Promise<ChildProcess> {
    const dir = this.#platform.dataDir(member)
    const port = String(this.#platform.enginePorts[this.#platform.members.indexOf(member)])
    const words = ['-D', dir, '-p', port, '-k', dirname(dir), '-c', 'listen_addresses=127.0.0.1']
    const server = spawn(join(this.#binaries.binDir, 'postgres'), words, {
      cwd: dir,
      env: { ...this.#binaries.env },
      stdio: 'ignore',
      ...engineAccount(),
    })
    this.#servers.push(server)
    await until(`${member} answers`, () => this.ask(member, 'select 1').catch(() => null))
    return server
  }

  server(member: string): ChildProcess {
    const server = this.#servers[this.#platform.members.indexOf(member) + 1]
    assert.ok(server)
    return server
  }

  async ask(member: string, sql: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
    const port = this.#platform.enginePorts[this.#platform.members.indexOf(member)] ?? 0
    const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', password: OWNER, database: 'postgres' })
    client.on('error', () => {})
    await client.connect()
    try {
      return ((await client.query(sql)) as { rows?: Readonly<Record<string, unknown>>[] }).rows ?? []
    } finally {
      await client.end()
    }
  }

  /** All that Holdfast could have touched: files, settings, roles, databases, slots, and the process. */
  async picture(member: string): Promise<unknown> {
    const dir = this.#platform.dataDir(member)
    const texts = SETTING_FILES.map((name) => {
      try {
        return readFileSync(join(dir, name), 'utf8')
      } catch {
        return null
      }
    })
    const settings = await this.ask(member, "select name, setting, source from pg_settings where source <> 'session'")
    const names = await this.ask(
      member,
      `select rolname as n from pg_roles union all select datname from pg_database
       union all select slot_name from pg_replication_slots union all select nspname from pg_namespace order by 1`,
    )
    const pid = readFileSync(join(dir, 'postmaster.pid'), 'utf8').split('\n')[0]
    return { pid, texts, files: readdirSync(dir).sort(), beside: readdirSync(dirname(dir)).sort(), settings, names }
  }

  async destroy(): Promise<void> {
    for (const server of this.#servers) {
      if (server.exitCode !== null || server.signalCode !== null) continue
      server.kill('SIGQUIT')
      await within(ended(server), ENDED_MS)
    }
  }

  #run(program: string, words: readonly string[]): void {
    const path = program.startsWith('/') ? program : join(this.#binaries.binDir, program)
    const cwd = dirname(this.#platform.dataDir('m1'))
    const made = spawnSync(path, words, { cwd, encoding: 'utf8', env: { ...this.#binaries.env }, ...engineAccount() })
    assert.equal(made.status, 0, made.stderr)
  }
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => child.once('exit', () => resolve()))
}

async function observedPlatform(): Promise<TestPlatform> {
  const platform = await TestPlatform.describe({ members: 2, groupLines: '    failover: observe\n' })
  const password = join(platform.folder, 'watcher')
  writeFileSync(password, `${WATCHER}\n`)
  chmodSync(password, 0o600)
  const text = platform
    .text()
    .replace(/^ {4}application: .*\n/m, '')
    .replace(/^ {4}secrets: .*$/m, '    observer: { user: watcher, password: { file: watcher } }')
    .replace(/^routers:\n.*\n/m, '')
  platform.write(text)
  return platform
}

async function plain(platform: TestPlatform, ...words: string[]): Promise<string> {
  const { code, out, err } = await platform.command(...words)
  assert.equal(code, 0, out + err)
  return out.replace(/\s+/g, ' ')
}

for (const version of [15, 18]) {
  test(`observe mode touches nothing of a foreign PostgreSQL ${version} and says what it would do`, async (t) => {
    const found = await findPostgres({ version })
    if (!found.ok) {
      assert.ok(!process.env.CI, found.because)
      return t.skip(`needs PostgreSQL ${version}: ${found.because}`)
    }
    const platform = await observedPlatform()
    open.push(platform)
    const existing = new Existing(platform, found.binaries)
    open.push(existing)
    await existing.make()
    const before = [await existing.picture('m1'), await existing.picture('m2')]

    await platform.store().says(/ready at/)
    const agents = ['a1', 'a2'].map((name) => platform.agent(name))
    for (const agent of agents) await agent.says(/ready at/)
    await platform.reason('m2', /sees-primary-m1/)
    await until('both are ready', async () => (await fetch(`http://127.0.0.1:${platform.agentPorts[1]}/readyz`)).ok)
    const status = await plain(platform, 'status')
    assert.match(status, /orders only observed/)
    assert.match(status, / m1 here primary open 1 0 B - m2 here replica streaming 1 0 B - /)
    assert.match(status, /only observed: m1 is primary, and nobody would act/)
    // Explained from the view of m1, whose agent hears of m2 with its heartbeat, up to a second after m2 heard of m1.
    const wouldMove = /If m1 died now I would fail over to m2 because .* \d+ bytes/
    await until('m1 has heard of m2', async () => wouldMove.test(await plain(platform, 'explain', 'orders')))
    const asked = await platform.command('failover', 'orders')
    assert.equal(asked.code, 1)
    assert.match(asked.out + asked.err, /only observed/)
    assert.deepEqual([await existing.picture('m1'), await existing.picture('m2')], before)

    const killedMs = performance.now()
    existing.server('m1').kill('SIGKILL')
    await platform.reason('m2', /would-fail-over-to-m2/)
    const saidMs = Math.round(performance.now() - killedMs)
    assert.match(
      await plain(platform, 'explain', 'orders'),
      /Now I would have failed over to m2 because m1 has not answered as primary for \d+ ms/,
    )
    assert.match(await plain(platform, 'status'), /now I would have failed over to m2.*because m1 was silent/)
    await agents[1]?.says(/would-fail-over-to-m2/)
    for (const agent of agents) assert.equal(await agent.stop(), 0)
    assert.deepEqual(await existing.picture('m2'), before[1])
    assert.equal((await existing.ask('m2', 'select pg_is_in_recovery() as r'))[0]?.r, true)
    t.diagnostic(`PostgreSQL ${found.binaries.version}: told ${saidMs} ms after the kill (ttl 3 s)`)
  })
}
