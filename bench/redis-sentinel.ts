/** Three Redis servers and three Sentinels, as their manual sets them up, with passwords as anybody should. */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Line, type Target } from '../packages/holdfast/src/engines/redis/connection.ts'
import { programPath } from '../packages/holdfast/src/io/program-path.ts'
import { type Reply, ReplyError } from '../packages/holdfast/src/io/resp.ts'
import { freePorts, until } from '../test/platform.ts'
import type { RedisMode, RedisStage, RedisStageName } from './redis-stage.ts'

const HOST = '127.0.0.1'
const GROUP = 'numbers'
const NODES = 3
const QUORUM = 2
const PASSWORD = 'of-the-measurement'
const ASK_MS = 500

interface Node {
  readonly member: string
  readonly port: number
  readonly sentinelPort: number
}

export class SentinelStage implements RedisStage {
  readonly name: RedisStageName
  readonly #folder: string
  readonly #nodes: readonly Node[]
  readonly #children = new Map<string, ChildProcess>()

  private constructor(name: RedisStageName, folder: string, nodes: readonly Node[]) {
    this.name = name
    this.#folder = folder
    this.#nodes = nodes
  }

  static async make(name: RedisStageName, mode: RedisMode, downAfterMs: number): Promise<RedisStage> {
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-sentinels-'))
    const ports = await freePorts(2 * NODES)
    const nodes = Array.from({ length: NODES }, (_, at) => ({
      ...{ member: `r${at + 1}`, port: ports[at] ?? 0, sentinelPort: ports[NODES + at] ?? 0 },
    }))
    for (const node of nodes) writeFiles(folder, node, { first: ports[0] ?? 0, mode, downAfterMs })
    return new SentinelStage(name, folder, nodes)
  }

  async start(): Promise<void> {
    for (const { member } of this.#nodes) this.#startServer(member)
    await until('the servers to answer', async () => {
      const all = await Promise.all(this.#nodes.map(({ port }) => ask(port, 'PING')))
      return all.every((reply) => reply === 'PONG')
    })
    for (const { member } of this.#nodes) this.#startSentinel(member)
    await this.whole()
  }

  whole(): Promise<string> {
    return until(`${this.name} to be whole`, async () => {
      const ports = await Promise.all(this.#nodes.map((node) => primaryPort(node.sentinelPort)))
      const [port] = ports
      if (port === undefined || port === null || ports.some((other) => other !== port)) return null
      const state = String(await ask(port, 'INFO', 'replication'))
      const followed = (state.match(/state=online/g)?.length ?? 0) === NODES - 1
      if (!/role:master/.test(state) || !followed) return null
      for (const { sentinelPort } of this.#nodes) {
        const fields = await ask(sentinelPort, 'SENTINEL', 'MASTER', GROUP)
        if (!Array.isArray(fields)) return null
        const field = (name: string): Reply | undefined => fields[fields.indexOf(name) + 1]
        if (field('num-slaves') !== String(NODES - 1) || field('num-other-sentinels') !== String(NODES - 1)) return null
        if (field('flags') !== 'master') return null
      }
      return this.#nodes.find((node) => node.port === port)?.member ?? null
    })
  }

  async primary(): Promise<string | null> {
    const port = (await this.#named())?.port
    return this.#nodes.find((node) => node.port === port)?.member ?? null
  }

  /** As Sentinel's clients do: ask one, and see that who is named calls himself primary. */
  async target(): Promise<Target> {
    const named = await this.#named()
    if (named === null) throw new Error('no Sentinel names a primary')
    return named
  }

  async #named(): Promise<Target | null> {
    for (const { sentinelPort } of this.#nodes) {
      const port = await primaryPort(sentinelPort)
      if (port === null) continue
      const role = await ask(port, 'ROLE')
      return Array.isArray(role) && role[0] === 'master' ? targetOf(port) : null
    }
    return null
  }

  enginePid(member: string): number | null {
    return this.#pid(`server ${member}`)
  }

  hostPids(member: string): readonly number[] {
    return [`sentinel ${member}`, `server ${member}`].flatMap((name) => this.#pid(name) ?? [])
  }

  async revive(member: string): Promise<void> {
    if (this.#pid(`server ${member}`) === null) this.#startServer(member)
    if (this.#pid(`sentinel ${member}`) === null) this.#startSentinel(member)
  }

  async switchover(): Promise<void> {
    const answer = await ask(this.#nodes[0]?.sentinelPort ?? 0, 'SENTINEL', 'FAILOVER', GROUP)
    if (answer !== 'OK') throw new Error(`the switchover was not accepted: ${String(answer)}`)
  }

  async close(): Promise<void> {
    const living = [...this.#children.values()].filter((c) => c.exitCode === null && c.signalCode === null)
    const gone = living.map((child) => new Promise<void>((resolve) => child.once('exit', () => resolve())))
    for (const child of living) child.kill('SIGKILL')
    await Promise.all(gone)
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #pid(name: string): number | null {
    const child = this.#children.get(name)
    return child === undefined || child.exitCode !== null || child.signalCode !== null ? null : (child.pid ?? null)
  }

  #startServer(member: string): void {
    this.#start(`server ${member}`, 'redis-server', join(this.#folder, member, 'redis.conf'))
  }

  #startSentinel(member: string): void {
    this.#start(`sentinel ${member}`, 'redis-sentinel', join(this.#folder, member, 'sentinel.conf'))
  }

  #start(name: string, program: string, file: string): void {
    const path = programPath(program)
    if (path === null) throw new Error(`needs ${program}: npm run engines -- --rivals`)
    const log = openSync(join(this.#folder, `${name}.log`), 'a', 0o600)
    const child = spawn(path, [file], { cwd: this.#folder, stdio: ['ignore', log, log], detached: true })
    closeSync(log)
    this.#children.set(name, child)
  }
}

interface Settings {
  /** Port of who is primary at the start. */
  readonly first: number
  readonly mode: RedisMode
  readonly downAfterMs: number
}

function writeFiles(folder: string, { member, port, sentinelPort }: Node, settings: Settings): void {
  const { first, mode, downAfterMs } = settings
  const dir = join(folder, member)
  mkdirSync(dir)
  const follows = port === first ? '' : `replicaof ${HOST} ${first}\n`
  const sync = mode === 'sync'
  writeFileSync(
    join(dir, 'redis.conf'),
    `port ${port}
bind ${HOST}
dir ${dir}
requirepass ${PASSWORD}
masterauth ${PASSWORD}
appendonly yes
appendfsync ${sync ? 'always' : 'everysec'}
save ""
repl-diskless-sync-delay 0
min-replicas-to-write ${sync ? 1 : 0}
min-replicas-max-lag 3
${follows}`,
  )
  writeFileSync(
    join(dir, 'sentinel.conf'),
    `port ${sentinelPort}
bind ${HOST}
dir ${dir}
requirepass ${PASSWORD}
sentinel sentinel-pass ${PASSWORD}
sentinel monitor ${GROUP} ${HOST} ${first} ${QUORUM}
sentinel auth-pass ${GROUP} ${PASSWORD}
sentinel down-after-milliseconds ${GROUP} ${downAfterMs}
sentinel failover-timeout ${GROUP} 10000
`,
  )
}

function targetOf(port: number): Target {
  return { host: HOST, port, user: 'default', password: PASSWORD }
}

async function primaryPort(sentinelPort: number): Promise<number | null> {
  const answer = await ask(sentinelPort, 'SENTINEL', 'GET-MASTER-ADDR-BY-NAME', GROUP)
  return Array.isArray(answer) ? Number(answer[1]) : null
}

/** Null when it does not answer or refuses. */
async function ask(port: number, ...words: string[]): Promise<Reply> {
  const line = new Line(targetOf(port))
  const answer = await line.ask([words], ASK_MS)
  line.close()
  const reply = answer.ok ? (answer.replies[0] ?? null) : null
  return reply instanceof ReplyError ? null : reply
}
