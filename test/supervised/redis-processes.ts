/** Real Redis servers and Sentinels on loopback, in one temporary folder; `close` ends them and removes it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { openSocket } from '../../packages/holdfast/src/engines/redis/connection.ts'
import { programPath } from '../../packages/holdfast/src/io/program-path.ts'
import { encode, type Reply, ReplyError, ReplyReader } from '../../packages/holdfast/src/io/resp.ts'
import { freePorts, PATIENCE_MS, until } from '../platform.ts'

export const HOST = '127.0.0.1'
const ANSWER_MS = 3_000

export function whyNoRedis(): string | false {
  const missing = ['redis-server', 'redis-sentinel'].filter((name) => programPath(name) === null)
  return missing.length === 0 ? false : `needs ${missing.join(' and ')}: npm run engines`
}

export class RedisProcesses {
  readonly folder = mkdtempSync(join(tmpdir(), 'holdfast-supervised-'))
  readonly #children = new Map<number, ChildProcess>()

  start(program: 'redis-server' | 'redis-sentinel', port: number, words: readonly string[]): void {
    const file = openSync(join(this.folder, `${port}.log`), 'a', 0o600)
    const child = spawn(program, [...words], { cwd: this.folder, stdio: ['ignore', file, file] })
    closeSync(file)
    this.#children.set(port, child)
  }

  log(port: number): string {
    return readFileSync(join(this.folder, `${port}.log`), 'utf8')
  }

  signal(port: number, signal: NodeJS.Signals): void {
    this.#children.get(port)?.kill(signal)
  }

  async kill(port: number): Promise<void> {
    const child = this.#children.get(port)
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const gone = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await gone
  }

  async close(): Promise<void> {
    await Promise.all([...this.#children.keys()].map((port) => this.kill(port)))
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** One connection that asks one thing at a time. */
export class Talker {
  readonly port: number
  readonly #socket: Awaited<ReturnType<typeof openSocket>>
  #waiting: ((reply: Reply | Error) => void) | null = null

  private constructor(port: number, socket: Awaited<ReturnType<typeof openSocket>>) {
    this.port = port
    this.#socket = socket
    const reader = new ReplyReader()
    const tell = (reply: Reply | Error): void => {
      const waiting = this.#waiting
      this.#waiting = null
      waiting?.(reply)
    }
    socket.on('data', (chunk: Buffer) => {
      for (const reply of reader.read(chunk)) tell(reply)
    })
    socket.on('error', () => undefined)
    socket.on('close', () => tell(new Error('closed')))
  }

  static async open(port: number): Promise<Talker> {
    return new Talker(port, await openSocket({ host: HOST, port, user: '', password: '' }))
  }

  /** Rejects when the connection breaks or nothing comes; an error of the server is an answer. */
  ask(words: readonly string[], boundMs = ANSWER_MS): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting = null
        this.close()
        reject(new Error(`no answer within ${boundMs} ms`))
      }, boundMs)
      this.#waiting = (reply) => {
        clearTimeout(timer)
        if (reply instanceof Error) reject(reply)
        else resolve(reply)
      }
      this.#socket.write(encode(words))
    })
  }

  close(): void {
    this.#socket.destroy()
  }
}

export async function askPort(port: number, ...words: string[]): Promise<Reply> {
  const talker = await Talker.open(port)
  try {
    return await talker.ask(words)
  } finally {
    talker.close()
  }
}

export const GROUP = 'stock'

export interface SentinelGroup {
  readonly processes: RedisProcesses
  readonly servers: readonly number[]
  readonly sentinels: readonly number[]
  primaryPort(): Promise<number>
  close(): Promise<void>
}

export async function startSentinels(downAfterMs: number): Promise<SentinelGroup> {
  const processes = new RedisProcesses()
  const ports = await freePorts(6)
  const [servers, sentinels] = [ports.slice(0, 3), ports.slice(3)]
  const [first = 0, ...others] = servers
  for (const port of servers) {
    const file = join(processes.folder, `${port}.conf`)
    const follows = port === first ? '' : `replicaof ${HOST} ${first}\n`
    const words = `port ${port}\nbind ${HOST}\ndir ${processes.folder}\ndbfilename ${port}.rdb\nsave ""\n`
    writeFileSync(file, `${words}repl-diskless-sync-delay 0\n${follows}`)
    processes.start('redis-server', port, [file])
  }
  for (const port of sentinels) {
    const file = join(processes.folder, `sentinel-${port}.conf`)
    const monitor = `sentinel monitor ${GROUP} ${HOST} ${first} 2`
    const times = `sentinel down-after-milliseconds ${GROUP} ${downAfterMs}\nsentinel failover-timeout ${GROUP} 20000`
    writeFileSync(file, `port ${port}\nbind ${HOST}\ndir ${processes.folder}\n${monitor}\n${times}\n`)
    processes.start('redis-sentinel', port, [file])
  }
  const group: SentinelGroup = {
    processes,
    servers,
    sentinels,
    primaryPort: async () => {
      const answer = await askPort(sentinels[0] ?? 0, 'SENTINEL', 'GET-MASTER-ADDR-BY-NAME', GROUP)
      return Number(Array.isArray(answer) ? answer[1] : 0)
    },
    close: () => processes.close(),
  }
  try {
    await until('every Sentinel to know all', async () => (await isWhole(group, others.length)) || null, PATIENCE_MS)
  } catch (error) {
    await processes.close()
    throw error
  }
  return group
}

async function isWhole({ sentinels, servers }: SentinelGroup, replicas: number): Promise<boolean> {
  for (const port of sentinels) {
    const answer = await askPort(port, 'SENTINEL', 'MASTER', GROUP).catch(() => null)
    if (!Array.isArray(answer)) return false
    const field = (name: string): number => Number(answer[answer.indexOf(name) + 1])
    if (field('num-slaves') !== replicas || field('num-other-sentinels') !== sentinels.length - 1) return false
    const known = await askPort(port, 'SENTINEL', 'REPLICAS', GROUP).catch(() => null)
    if (!JSON.stringify(known).includes('"master-link-status","ok"')) return false
    if (JSON.stringify(known).includes('"master-link-status","err"')) return false
  }
  for (const port of servers) {
    const info = await askPort(port, 'INFO', 'replication').catch(() => '')
    if (!/role:master|master_link_status:up/.test(String(info))) return false
  }
  return true
}

export type Outcome = 'acknowledged' | 'refused' | 'unknown'

/** An application that knows its Sentinels: writes each number once, and remembers what it was told. */
export class Writer {
  readonly outcomes = new Map<number, Outcome>()
  readonly refusals = new Set<string>()
  /** Longest time between two acknowledgements. */
  gapMs = 0
  readonly #sentinels: readonly number[]
  readonly #done: Promise<void>
  #running = true

  constructor(sentinels: readonly number[]) {
    this.#sentinels = sentinels
    this.#done = this.#write()
  }

  get acknowledged(): readonly number[] {
    return [...this.outcomes].flatMap(([n, outcome]) => (outcome === 'acknowledged' ? [n] : []))
  }

  async stop(): Promise<void> {
    this.#running = false
    await this.#done
  }

  async #write(): Promise<void> {
    let link: Talker | null = null
    let last = performance.now()
    for (let n = 1; this.#running; n += 1) {
      try {
        link ??= await Talker.open(await this.#primary())
      } catch {
        await sleep(20)
        continue
      }
      try {
        const reply = await link.ask(['RPUSH', 'numbers', String(n)], 20_000)
        const now = performance.now()
        if (reply instanceof ReplyError) {
          this.outcomes.set(n, 'refused')
          this.refusals.add(`${link.port} ${reply.message}`)
          // Who is refused asks anew who leads.
          link.close()
          link = null
          await sleep(10)
        } else {
          this.outcomes.set(n, 'acknowledged')
          this.gapMs = Math.max(this.gapMs, now - last)
          last = now
        }
        await sleep(1)
      } catch {
        this.outcomes.set(n, 'unknown')
        link?.close()
        link = null
        await sleep(10)
      }
    }
    link?.close()
  }

  async #primary(): Promise<number> {
    for (const port of this.#sentinels) {
      const answer = await askPort(port, 'SENTINEL', 'GET-MASTER-ADDR-BY-NAME', GROUP).catch(() => null)
      if (Array.isArray(answer)) return Number(answer[1])
    }
    throw new Error('no Sentinel answers')
  }
}

export interface ClusterGroup {
  readonly processes: RedisProcesses
  /** The first three lead from the beginning, the others follow them in this order. */
  readonly nodes: readonly number[]
  close(): Promise<void>
}

const NODE_TIMEOUT_MS = 3_000

/** Six nodes, three shards, made by the words a cluster is made of. */
export async function startCluster(): Promise<ClusterGroup> {
  const processes = new RedisProcesses()
  const group: ClusterGroup = { processes, nodes: await clusterPorts(6), close: () => processes.close() }
  try {
    for (const port of group.nodes) startNode(processes, port)
    await until('every node to answer', async () =>
      all(group.nodes, (port) => askPort(port, 'PING').then((r) => r === 'PONG')),
    )
    await joinNodes(group.nodes)
    await until('the cluster to be whole', () => isClusterWhole(group.nodes), PATIENCE_MS)
    return group
  } catch (error) {
    await processes.close()
    throw error
  }
}

/** The bus of a node listens 10,000 above its door. */
async function clusterPorts(count: number): Promise<readonly number[]> {
  const found: number[] = []
  while (found.length < count) {
    const ports = await freePorts(count * 4)
    found.push(...ports.filter((port) => port < 55_000 && !found.includes(port)))
  }
  return found.slice(0, count)
}

function startNode(processes: RedisProcesses, port: number): void {
  const file = join(processes.folder, `${port}.conf`)
  const own = `cluster-config-file nodes-${port}.conf\ncluster-node-timeout ${NODE_TIMEOUT_MS}\n`
  const cluster = `cluster-enabled yes\n${own}`
  const words = `port ${port}\nbind ${HOST}\ndir ${processes.folder}\ndbfilename ${port}.rdb\nsave ""\n${cluster}`
  writeFileSync(file, `${words}repl-diskless-sync-delay 0\n`)
  processes.start('redis-server', port, [file])
}

async function joinNodes(nodes: readonly number[]): Promise<void> {
  const [first = 0, ...others] = nodes
  for (const port of others) await askPort(port, 'CLUSTER', 'MEET', HOST, String(first))
  const ranges = [
    [0, 5_460],
    [5_461, 10_922],
    [10_923, 16_383],
  ] as const
  for (const [at, [low, high]] of ranges.entries()) {
    await askPort(nodes[at] ?? 0, 'CLUSTER', 'ADDSLOTSRANGE', String(low), String(high))
  }
  const known = async (port: number): Promise<boolean> => {
    return String(await askPort(port, 'CLUSTER', 'INFO')).includes(`cluster_known_nodes:${nodes.length}`)
  }
  await until('every node to know all', () => all(nodes, known), PATIENCE_MS)
  for (const at of [0, 1, 2]) {
    const id = String(await askPort(nodes[at] ?? 0, 'CLUSTER', 'MYID'))
    await askPort(nodes[at + 3] ?? 0, 'CLUSTER', 'REPLICATE', id)
  }
}

async function isClusterWhole(nodes: readonly number[]): Promise<boolean> {
  return all(nodes, async (port) => {
    const info = String(await askPort(port, 'CLUSTER', 'INFO'))
    const replication = String(await askPort(port, 'INFO', 'replication'))
    const text = String(await askPort(port, 'CLUSTER', 'NODES'))
    const replicas = text.match(/ (myself,)?slave /g)?.length === 3
    return info.includes('cluster_state:ok') && replicas && /role:master|master_link_status:up/.test(replication)
  })
}

async function all(ports: readonly number[], holds: (port: number) => Promise<boolean>): Promise<boolean> {
  const found = await Promise.all(ports.map((port) => holds(port).catch(() => false)))
  return found.every((one) => one)
}
