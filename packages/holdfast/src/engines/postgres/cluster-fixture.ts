/** Real PostgreSQL members in a temporary directory, for tests. They listen on 127.0.0.1; `close` ends them. */
import { once } from 'node:events'
import { chmod, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../io/clock.ts'
import { killTree } from '../../io/process-tree.ts'
import type { ConformanceClient, ConformanceCluster, ConformanceMember } from '../conformance.ts'
import { call } from '../conformance.ts'
import type { EngineAdapter, EngineEndpoint } from '../contract.ts'
import { createPostgresAdapter, type Log, type PostgresOptions } from './adapter.ts'

export const SECRETS = { superuser: "su'per\\:1", replication: "rep'li\\:2", application: "app'li\\:3" }

const noLog: Log = { debug: noop, info: noop, warn: noop, error: noop }

export interface PostgresCluster extends ConformanceCluster {
  readonly base: string
  readonly options: readonly PostgresOptions[]
}

export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((s) => once(s, 'listening')))
  const ports = servers.map((s) => {
    const address = s.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  })
  await Promise.all(servers.map((s) => once(s.close(), 'close')))
  return ports
}

/** A directory that the engine's account can reach also when the tests run as root. */
export async function temporaryBase(): Promise<string> {
  const base = await mkdtemp(join(tmpdir(), 'holdfast-pg-'))
  await chmod(base, 0o755)
  return base
}

export async function makeOptions(base: string, version: number, names = ['a', 'b', 'c']): Promise<PostgresOptions[]> {
  const ports = await freePorts(names.length)
  const members: EngineEndpoint[] = names.map((member, i) => ({ member, host: '127.0.0.1', port: ports[i] ?? 0 }))
  return members.map((m) => ({
    ...{
      group: 'orders',
      member: m.member,
      dataDir: join(base, m.member),
      host: m.host,
      port: m.port,
      members,
      version,
    },
    parameters: { shared_buffers: '32MB', wal_keep_size: '64MB' },
    secrets: SECRETS,
    clock: systemClock,
    log: noLog,
  }))
}

export async function makeCluster(version: number, more: Partial<PostgresOptions> = {}): Promise<PostgresCluster> {
  const base = await temporaryBase()
  const options = (await makeOptions(base, version)).map((o) => ({ ...o, ...more }))
  const [a, b, c] = options.map(memberOf)
  if (a === undefined || b === undefined || c === undefined) throw new Error('three members are needed')
  const members = [a, b, c] as const
  return {
    base,
    options,
    members,
    async prepare(primary) {
      const client = await connect(primary, more.tls !== undefined)
      await client.query('create table entry (id int primary key)')
      await client.end()
    },
    keptTail: async (member) => keptTail(join(base, `${member.endpoint.member}.kept`)),
    async close() {
      for (const m of members) await discard(m.adapter)
      await rm(base, { recursive: true, force: true })
    },
  }
}

/** Ends the engine behind an adapter, whatever state it is in. */
export async function discard(adapter: EngineAdapter): Promise<void> {
  await adapter.fence(call(2_000)).catch(noop)
  await adapter.close().catch(noop)
  const { dataDir, mainPid } = adapter.fenceTarget()
  await killTree(dataDir, mainPid, { boundMs: 2_000 })
}

export function memberOf(o: PostgresOptions): ConformanceMember {
  const member: ConformanceMember = {
    endpoint: { member: o.member, host: o.host, port: o.port },
    dataDir: o.dataDir,
    adapter: createPostgresAdapter(o),
    reopen: () => createPostgresAdapter(o),
    client: () => clientOf(member, o.tls !== undefined),
  }
  return member
}

export async function connect(member: ConformanceMember, tls = false): Promise<import('pg').Client> {
  const { default: pg } = await import('pg')
  const client = new pg.Client({
    host: member.endpoint.host,
    port: member.endpoint.port,
    user: 'app',
    database: 'app',
    password: SECRETS.application,
    ssl: tls ? { rejectUnauthorized: false } : false,
  })
  client.on('error', noop)
  await client.connect()
  return client
}

async function clientOf(member: ConformanceMember, tls: boolean): Promise<ConformanceClient> {
  const client = await connect(member, tls)
  const cut = new Promise<void>((resolve) => {
    client.on('end', resolve)
  })
  return {
    cut,
    async write(id) {
      await client.query('insert into entry values ($1)', [id])
    },
    async ids() {
      const { rows } = await client.query<{ id: number }>('select id from entry order by id')
      return rows.map((r) => r.id)
    },
    close: () => void client.end().catch(noop),
  }
}

/** All readable text below the directory of kept tails; null when there is none. */
async function keptTail(dir: string): Promise<string | null> {
  const names = await readdir(dir, { recursive: true }).catch(() => null)
  if (names === null || names.length === 0) return null
  const parts: string[] = [...names]
  for (const name of names) {
    const path = join(dir, name)
    const s = await stat(path)
    if (s.isFile() && s.size < 1024 * 1024) parts.push(await readFile(path, 'utf8'))
  }
  return parts.join('\n')
}

function noop(): void {}
