/**
 * The shop of `examples/active-passive.yaml` on real processes: PostgreSQL and Redis over two sites, the store at a
 * third. Ports are the only things changed.
 */
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { AgentStatus, MemberStatus } from '@holdfast/client'
import pg from 'pg'
import { killTreeSync, treeOf } from '../../packages/holdfast/src/io/process-tree.ts'
import { encode, type Reply, ReplyReader } from '../../packages/holdfast/src/io/resp.ts'
import { freePorts, ownedByEngine, Running, temporaryFolder, until } from '../platform.ts'

const EXAMPLE = fileURLToPath(new URL('../../examples/active-passive.yaml', import.meta.url))
const MEMBERS = ['orders-1', 'orders-2', 'stock-1', 'stock-2']
/** Four engines are made at once, and may have a busy machine to share. */
const START_MS = 120_000
export const GROUPS = ['orders', 'stock']
export const SITES = ['north', 'south']

export class Shop {
  readonly folder = temporaryFolder('shop')
  readonly file = join(this.folder, 'holdfast.yaml')
  readonly env: Record<string, string | undefined>
  readonly ports = new Map<string, number>()
  readonly #running = new Map<string, Running>()
  #text = ''

  constructor() {
    this.env = {
      ...process.env,
      HOLDFAST_FILE: this.file,
      HOLDFAST_TOKEN: 'a-token-of-good-length',
      SUPERUSER: 'superuser-password',
      REPLICATION: 'replication-password',
      APP_PASSWORD: 'application-password',
    }
    ownedByEngine(this.folder)
  }

  async start(): Promise<void> {
    const example = readFileSync(EXAMPLE, 'utf8')
    const found = [...new Set(example.match(/127\.0\.0\.1:\d+/g))]
    const free = await freePorts(found.length)
    const port = (address: string): string => `127.0.0.1:${free[found.indexOf(address)]}`
    // Long enough for a failover on a busy machine.
    this.#text = example.replaceAll(/127\.0\.0\.1:\d+/g, port).replace('refuseAfter: 10s', 'refuseAfter: 8s')
    for (const name of [...MEMBERS, 'north-1', 'south-1', 'orders', 'stock']) {
      const line = new RegExp(`(?:name|group): ${name},.*?listen: 127.0.0.1:(\\d+)`).exec(this.#text)
      this.ports.set(name, Number(line?.[1]))
    }
    writeFileSync(this.file, this.#text)
    await this.run('store', ['store']).says(/ready at/)
    await this.startSites(SITES)
    await this.run('router', ['router', '--name', 'router-south']).says(/ready/)
    await until('a shop anywhere', async () => (await this.writers()).length === GROUPS.length, START_MS)
    await this.atHome()
  }

  /** Whoever was there first founded its group; and a test may leave the shop where it moved it. */
  async atHome(): Promise<void> {
    if (!(await this.ledAt('north'))) {
      await until('a shop at home', async () => (await this.move(['--home', '--yes'])).ok, START_MS)
    }
    await this.whole('north')
  }

  /** The same description with hooks, for who moves; the agents keep theirs. */
  withHooks(lines: string): string {
    const file = join(this.folder, 'with-hooks.yaml')
    writeFileSync(file, `${this.#text}    hooks:\n${lines}`)
    return file
  }

  run(name: string, words: readonly string[], file = this.file): Running {
    const running = new Running([...words, '--file', file], this.env, this.folder)
    this.#running.set(name, running)
    return running
  }

  /** The same description with one word changed. */
  changed(from: string, to: string): string {
    const file = join(this.folder, 'changed.yaml')
    if (!this.#text.includes(from)) throw new Error(`no ${from} in the description`)
    writeFileSync(file, this.#text.replace(from, to))
    return file
  }

  async stopSite(site: string): Promise<void> {
    await this.#running.get(site)?.stop()
  }

  async startSites(sites: readonly string[], file = this.file): Promise<void> {
    const agents = sites.map((site) => this.run(site, ['agent', '--name', `${site}-1`], file))
    for (const agent of agents) await agent.says(/ready at/)
  }

  /** Every process of a site at once: agent, guard, engines. */
  killSite(site: string): void {
    const agent = this.#running.get(site)?.child.pid ?? 0
    // Without children ps fails, as after a site that was killed before.
    const { stdout: guards } = spawnSync('ps', ['-o', 'pid=', '--ppid', String(agent)], { encoding: 'utf8' })
    const engines = this.#dirsOf(site).flatMap((dir) => treeOf(dir, null).map(({ pid }) => pid))
    for (const pid of [
      agent,
      ...guards
        .split('\n')
        .filter((line) => line.trim() !== '')
        .map(Number),
      ...engines,
    ]) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // It ended with another one.
      }
    }
  }

  #dirsOf(site: string): readonly string[] {
    const end = site === 'north' ? '1' : '2'
    return GROUPS.map((group) => join(this.folder, 'holdfast-data', `${group}-${end}`))
  }

  async move(words: readonly string[], file = this.file): Promise<MoveEnd> {
    const running = this.run('move', ['move', 'shop', ...words, '--output', 'json'], file)
    const code = await running.end()
    const last = running.out.trim().split('\n').at(-1) ?? '{}'
    return { code, text: running.text, ...(JSON.parse(last) as Omit<MoveEnd, 'code' | 'text'>) }
  }

  async statuses(): Promise<readonly AgentStatus[]> {
    const ask = async (site: string): Promise<readonly AgentStatus[]> => {
      try {
        const response = await fetch(`http://127.0.0.1:${this.ports.get(`${site}-1`)}/v1/status`, {
          headers: { authorization: `Bearer ${this.env.HOLDFAST_TOKEN}` },
          signal: AbortSignal.timeout(2_000),
        })
        return [(await response.json()) as AgentStatus]
      } catch {
        return []
      }
    }
    return (await Promise.all(SITES.map(ask))).flat()
  }

  async writers(): Promise<readonly MemberStatus[]> {
    const statuses = await this.statuses()
    return statuses.flatMap(({ members }) => members.filter((member) => member.writableForMs > 0))
  }

  /** Both groups are led at this site, and nobody holds them. */
  async ledAt(site: string): Promise<boolean> {
    const [statuses, writers] = await Promise.all([this.statuses(), this.writers()])
    const paused = statuses.some(({ groups }) => groups.some((group) => group.paused !== null))
    return writers.length === GROUPS.length && writers.every((member) => member.site === site) && !paused
  }

  /** Led here, and the other site follows and has confirmed. */
  async whole(site: string): Promise<void> {
    await until(`a whole shop in the ${site}`, async () => {
      if (!(await this.ledAt(site))) return false
      const statuses = await this.statuses()
      const receives = (member: MemberStatus): boolean => member.engine?.receiving === true
      const followers = statuses.flatMap(({ members }) => members.filter(receives))
      const safe = statuses.flatMap(({ groups }) => groups).every((group) => group.eligible.length > 0)
      return followers.length === GROUPS.length && safe
    })
  }

  /** Of the router in the south, to the primary or to the replicas. */
  door(group: string, to: 'primary' | 'replicas' = 'primary'): number {
    const ports = `group: ${group}, listen: 127\\.0\\.0\\.1:(\\d+), read: { listen: 127\\.0\\.0\\.1:(\\d+)`
    const found = new RegExp(`router-south[\\s\\S]*?${ports}`).exec(this.#text)
    return Number(found?.[to === 'primary' ? 1 : 2])
  }

  /** What the router in the south says of one metric and group. */
  async metric(name: string, group: string): Promise<number | null> {
    const port = /metrics: 127\.0\.0\.1:(\d+)/.exec(this.#text)?.[1]
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
    const value = new RegExp(`^${name}\\{group="${group}".*\\} (.*)$`, 'm').exec(text)?.[1]
    return value === undefined ? null : Number(value)
  }

  /** A conversation with Redis as the application: all that it answers, with its last word an error where it is one. */
  async redis(door: number, words: readonly (readonly string[])[]): Promise<readonly Reply[]> {
    const login = ['AUTH', 'app', this.env.APP_PASSWORD ?? '']
    const socket = connect(door, '127.0.0.1')
    const reader = new ReplyReader()
    const replies: Reply[] = []
    socket.write([login, ...words].map(encode).join(''))
    const over = once(socket, 'close')
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      replies.push(...reader.read(chunk))
      if (replies.length > words.length) socket.destroy()
    })
    socket.setTimeout(20_000, () => socket.destroy())
    await over
    return replies
  }

  async query(sql: string, door = this.door('orders')): Promise<readonly Readonly<Record<string, unknown>>[]> {
    const client = new pg.Client({
      host: '127.0.0.1',
      port: door,
      user: 'app',
      database: 'app',
      password: this.env.APP_PASSWORD ?? '',
      connectionTimeoutMillis: 20_000,
      query_timeout: 20_000,
    })
    client.on('error', () => {})
    try {
      await client.connect()
      return (await client.query(sql)).rows as Readonly<Record<string, unknown>>[]
    } finally {
      await client.end().catch(() => {})
    }
  }

  async destroy(): Promise<void> {
    for (const site of SITES) this.killSite(site)
    for (const { child } of this.#running.values()) child.kill('SIGKILL')
    for (const dir of SITES.flatMap((site) => this.#dirsOf(site))) killTreeSync(dir, null)
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
  }
}

export interface MoveEnd {
  readonly code: number | null
  readonly text: string
  readonly ok: boolean
  readonly phase?: string
  readonly because?: string
  readonly steps?: readonly { readonly name: string; readonly state: string; readonly measuredMs: number | null }[]
  readonly error?: { readonly code: string; readonly message: string; readonly next: string }
}
