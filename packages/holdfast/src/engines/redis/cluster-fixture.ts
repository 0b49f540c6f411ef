/** Real Redis members in a temporary directory, for tests. They listen on 127.0.0.1; `close` ends them. */
import { once } from 'node:events'
import { chmod, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '../../io/clock.ts'
import { killTree } from '../../io/process-tree.ts'
import { encode, type Reply, ReplyError, ReplyReader } from '../../io/resp.ts'
import type { ConformanceClient, ConformanceCluster, ConformanceMember } from '../conformance.ts'
import { call } from '../conformance.ts'
import type { EngineAdapter, EngineEndpoint } from '../contract.ts'
import { createRedisAdapter, type Log, type RedisOptions } from './adapter.ts'
import { OPERATOR } from './config.ts'
import { openSocket, type Target } from './connection.ts'

export const SECRETS = { superuser: "su'per\\:1", replication: 'rep"li\\:2', application: "app'li :3" }
const noLog: Log = { debug: noop, info: noop, warn: noop, error: noop }
const AGAIN_MS = 10

export interface RedisCluster extends ConformanceCluster {
  readonly base: string
  readonly options: readonly RedisOptions[]
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
  const base = await mkdtemp(join(tmpdir(), 'holdfast-redis-'))
  await chmod(base, 0o755)
  return base
}

export async function makeOptions(base: string, more: Partial<RedisOptions> = {}): Promise<RedisOptions[]> {
  const names = ['a', 'b', 'c']
  const ports = await freePorts(names.length)
  const members: EngineEndpoint[] = names.map((member, i) => ({ member, host: '127.0.0.1', port: ports[i] ?? 0 }))
  return members.map((m) => ({
    ...{ group: 'stock', member: m.member, dataDir: join(base, m.member), host: m.host, port: m.port, members },
    ...{ confirmations: 2, secrets: SECRETS, clock: systemClock, log: noLog },
    ...more,
  }))
}

export async function makeCluster(more: Partial<RedisOptions> = {}): Promise<RedisCluster> {
  const base = await temporaryBase()
  const options = await makeOptions(base, more)
  const [a, b, c] = options.map(memberOf)
  if (a === undefined || b === undefined || c === undefined) throw new Error('three members are needed')
  const members = [a, b, c] as const
  return {
    base,
    options,
    members,
    oneProcess: true,
    prepare: async () => undefined,
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

export function memberOf(o: RedisOptions): ConformanceMember {
  return {
    endpoint: { member: o.member, host: o.host, port: o.port },
    dataDir: o.dataDir,
    adapter: createRedisAdapter(o),
    reopen: () => createRedisAdapter(o),
    client: () => clientOf(o),
  }
}

/** One user's connection; every command waits for its answer. */
export class TestClient {
  readonly cut: Promise<void>
  readonly #socket: Awaited<ReturnType<typeof openSocket>>
  #waiting: { readonly resolve: (reply: Reply) => void; readonly reject: (error: Error) => void }[] = []

  private constructor(socket: Awaited<ReturnType<typeof openSocket>>) {
    this.#socket = socket
    const reader = new ReplyReader()
    socket.on('data', (chunk: Buffer) => {
      for (const reply of reader.read(chunk)) this.#waiting.shift()?.resolve(reply)
    })
    this.cut = new Promise((resolve) => {
      socket.once('close', () => {
        for (const one of this.#waiting) one.reject(new Error('cut'))
        this.#waiting = []
        resolve()
      })
    })
  }

  static async open(target: Target): Promise<TestClient> {
    const client = new TestClient(await openSocket(target))
    const answer = await client.run('AUTH', target.user, target.password)
    if (answer instanceof ReplyError) throw new Error(answer.message)
    return client
  }

  static as(o: RedisOptions, user = 'app', password = SECRETS.application): Promise<TestClient> {
    return TestClient.open({ host: o.host, port: o.port, user, password, tls: o.tls === undefined ? undefined : {} })
  }

  /** The server's answer, an error too. */
  run(...words: string[]): Promise<Reply> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      this.#socket.write(encode(words))
    })
  }

  close(): void {
    this.#socket.destroy()
  }
}

/** Writes as the group's contract wants: the write, then `WAIT` for as many as must confirm. */
async function clientOf(o: RedisOptions): Promise<ConformanceClient> {
  const client = await TestClient.as(o)
  const operator = await TestClient.as(o, OPERATOR, SECRETS.superuser)
  return {
    cut: client.cut,
    async write(id) {
      for (;;) {
        const added = await client.run('SADD', 'entry', String(id))
        if (typeof added === 'number') break
        if (!(added instanceof ReplyError) || added.code !== 'NOREPLICAS') throw new Error(String(added))
        await sleep(AGAIN_MS)
      }
      for (;;) {
        const least = await operator.run('CONFIG', 'GET', 'min-replicas-to-write')
        const need = Number(Array.isArray(least) ? least[1] : 0)
        if (Number(await client.run('WAIT', String(need), '20')) >= need) return
      }
    },
    async ids() {
      const members = await client.run('SMEMBERS', 'entry')
      if (!Array.isArray(members)) throw new Error(String(members))
      return members.map(Number).sort((x, y) => x - y)
    },
    close() {
      client.close()
      operator.close()
    },
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
    if (s.isFile() && s.size < 1024 * 1024) parts.push(await readFile(path, 'latin1'))
  }
  return parts.join('\n')
}

function noop(): void {}
