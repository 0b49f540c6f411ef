/**
 * A whole group of real processes for tests and for looking at by hand: embedded store, one agent per member with its
 * guard, PostgreSQL. Everything lives in one temporary folder and on loopback ports.
 *
 * By hand: `node packages/holdfast/src/agent/group-fixture.ts up [fast|normal]` brings three members up, prints where
 * they are and every decision, and ends with Ctrl-C.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { flushCompileCache } from 'node:module'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { AgentStatus } from '@holdfast/client'
import pg from 'pg'
import { loadPlatform } from '../config/load.ts'
import { membersOfAgent } from '../config/platform.ts'
import { systemClock } from '../io/clock.ts'
import { createLog } from '../io/log.ts'
import { killTreeSync } from '../io/process-tree.ts'
import { type StoreProcess, startStoreProcess } from '../store/embedded/process-fixture.ts'
import { startAgent } from './wire.ts'

const TOKEN = 'token-of-the-test-group'
const PASSWORD = 'password-of-the-test'
const ENVIRONMENT = { HF_TEST_TOKEN: TOKEN, HF_TEST_PASSWORD: PASSWORD }

/** What keeps an agent small: it makes little garbage, so it needs little room for it. */
const SMALL = ['--max-semi-space-size=1', '--max-old-space-size=96']

export interface GroupOptions {
  readonly members?: number
  readonly profile?: 'fast' | 'normal'
  readonly replication?: string
  readonly verbose?: boolean
}

export interface TestMember {
  readonly member: string
  readonly agent: string
  readonly agentUrl: string
  readonly port: number
  readonly dataDir: string
}

export class TestGroup {
  readonly folder: string
  readonly file: string
  readonly members: readonly TestMember[]
  readonly #store: StoreProcess
  readonly #agents = new Map<string, ChildProcess>()
  readonly #verbose: boolean

  constructor(folder: string, members: readonly TestMember[], store: StoreProcess, verbose: boolean) {
    this.folder = folder
    this.file = join(folder, 'holdfast.yaml')
    this.members = members
    this.#store = store
    this.#verbose = verbose
  }

  static async start(options: GroupOptions = {}): Promise<TestGroup> {
    const count = options.members ?? 3
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-group-'))
    chmodSync(folder, 0o755)
    const ports = await freePorts(2 * count)
    const store = await startStoreProcess({ host: '127.0.0.1', port: 0, file: join(folder, 'store.db'), token: TOKEN })
    const members = Array.from({ length: count }, (_, at): TestMember => {
      const n = at + 1
      const agentUrl = `http://127.0.0.1:${ports[2 * at]}`
      const dataDir = join(folder, `engines/m${n}`)
      return { member: `m${n}`, agent: `a${n}`, agentUrl, port: ports[2 * at + 1] ?? 0, dataDir }
    })
    mkdirSync(join(folder, 'engines'))
    if (process.getuid?.() === 0) chownSync(join(folder, 'engines'), 65_534, 65_534)
    const group = new TestGroup(folder, members, store, options.verbose ?? false)
    writeFileSync(group.file, description(group, options, store.url))
    for (const { agent } of members) group.startAgent(agent)
    return group
  }

  startAgent(agent: string): void {
    const program = fileURLToPath(import.meta.url)
    const child = spawn(process.execPath, [...SMALL, program, 'agent', this.file, agent], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ...ENVIRONMENT, NODE_COMPILE_CACHE: join(tmpdir(), 'holdfast-compile-cache') },
    })
    const log = join(this.folder, `${agent}.log`)
    child.stderr?.on('data', (chunk: Buffer) => {
      writeFileSync(log, chunk, { flag: 'a' })
      if (this.#verbose) process.stderr.write(chunk)
    })
    this.#agents.set(agent, child)
  }

  pidOf(agent: string): number {
    return this.#agents.get(agent)?.pid ?? -1
  }

  signalAgent(agent: string, signal: NodeJS.Signals): void {
    this.#agents.get(agent)?.kill(signal)
  }

  /** SIGTERM, and wait for the end. */
  async stopAgent(agent: string): Promise<number | null> {
    const child = this.#agents.get(agent)
    if (child === undefined || child.exitCode !== null) return child?.exitCode ?? null
    const gone = once(child, 'exit')
    child.kill('SIGTERM')
    await gone
    return child.exitCode
  }

  memberOf(member: string): TestMember {
    const found = this.members.find((m) => m.member === member)
    if (found === undefined) throw new Error(`no member ${member}`)
    return found
  }

  /** Process id of the member's PostgreSQL, or null. */
  postmasterPid(member: string): number | null {
    const file = join(this.memberOf(member).dataDir, 'postmaster.pid')
    return existsSync(file) ? Number(readFileSync(file, 'utf8').split('\n')[0]) : null
  }

  async ask(member: string, path: string, body?: object): Promise<{ status: number; body: unknown }> {
    const response = await fetch(`${this.memberOf(member).agentUrl}${path}`, {
      headers: { authorization: `Bearer ${TOKEN}` },
      signal: AbortSignal.timeout(2_000),
      ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
    })
    return { status: response.status, body: await response.json() }
  }

  async status(member: string): Promise<AgentStatus | null> {
    try {
      return (await this.ask(member, '/v1/status')).body as AgentStatus
    } catch {
      return null
    }
  }

  /** The member that says it is open for writes, or null. */
  async primary(): Promise<string | null> {
    for (const { member } of this.members) {
      const answer = await this.ask(member, '/primary').catch(() => null)
      if (answer?.status === 200) return member
    }
    return null
  }

  client(member: string, user = 'app'): pg.Client {
    const { port } = this.memberOf(member)
    const client = new pg.Client({
      host: '127.0.0.1',
      port,
      user,
      password: PASSWORD,
      database: 'app',
      connectionTimeoutMillis: 1_000,
      query_timeout: 5_000,
    })
    client.on('error', () => undefined)
    return client
  }

  async query(member: string, sql: string): Promise<pg.QueryResult> {
    const client = this.client(member)
    await client.connect()
    try {
      return await client.query(sql)
    } finally {
      await client.end().catch(() => undefined)
    }
  }

  log(agent: string): string {
    const file = join(this.folder, `${agent}.log`)
    return existsSync(file) ? readFileSync(file, 'utf8') : ''
  }

  /** Kills everything of this group and removes its folder. */
  async destroy(): Promise<void> {
    for (const child of this.#agents.values()) {
      const gone = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : null
      child.kill('SIGKILL')
      await gone
    }
    for (const { dataDir } of this.members) killTreeSync(dataDir, null)
    await this.#store.end()
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
  }
}

function description(group: TestGroup, options: GroupOptions, storeUrl: string): string {
  const host = (url: string): string => url.replace('http://', '')
  const agents = group.members.map(
    (m) => `  - { name: ${m.agent}, site: here, listen: "${host(m.agentUrl)}", dir: ${m.agent} }`,
  )
  const members = group.members.map(
    (m) =>
      `      - { name: ${m.member}, agent: ${m.agent}, listen: "127.0.0.1:${m.port}", dataDir: engines/${m.member} }`,
  )
  const token = '{ env: HF_TEST_TOKEN }'
  const password = '{ env: HF_TEST_PASSWORD }'
  return `version: 1
platform: test
sites:
  - name: here
store: { kind: embedded, listen: "${host(storeUrl)}", dir: store, token: ${token} }
agentDefaults:
  token: ${token}
agents:
${agents.join('\n')}
groups:
  - name: orders
    engine: postgres
    profile: ${options.profile ?? 'fast'}
    replication: ${options.replication ?? 'sync'}
    members:
${members.join('\n')}
    application: { user: app, database: app, password: ${password} }
    secrets: { superuser: ${password}, replication: ${password} }
`
}

/** Asks the kernel for ports nobody uses; they stay free for the moment it takes to use them. */
async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer())
  const ports: number[] = []
  for (const server of servers) {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    if (typeof address === 'object' && address !== null) ports.push(address.port)
  }
  for (const server of servers) server.close()
  return ports
}

export async function until<T>(what: string, timeoutMs: number, look: () => Promise<T | null | false>): Promise<T> {
  const startedMs = systemClock.nowMs()
  for (;;) {
    const found = await look()
    if (found !== null && found !== false) return found
    if (systemClock.nowMs() - startedMs > timeoutMs) throw new Error(`not within ${timeoutMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

async function agentProcess(file: string, name: string): Promise<void> {
  const loaded = loadPlatform(file, { env: process.env })
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.mistakes))
  const { platform } = loaded
  const log = createLog({ level: 'info', name: `agent ${name}` })
  const agent = await startAgent({ platform, name, log, clock: systemClock })
  log.info({ url: agent.url, members: membersOfAgent(platform, name).map((m) => m.member.name) }, 'agent-started')
  flushCompileCache()
  process.once('SIGTERM', () => {
    void agent.close().then(() => process.exit(0))
  })
}

async function upByHand(profile: string): Promise<void> {
  const group = await TestGroup.start({ profile: profile === 'normal' ? 'normal' : 'fast', verbose: true })
  process.once('SIGINT', () => {
    void group.destroy().then(() => process.exit(0))
  })
  process.stdout.write(`folder ${group.folder}\n`)
  for (const m of group.members) process.stdout.write(`${m.member}: agent ${m.agentUrl}, PostgreSQL port ${m.port}\n`)
}

if (import.meta.main) {
  const [verb = '', first = '', second = ''] = process.argv.slice(2)
  await (verb === 'agent' ? agentProcess(first, second) : upByHand(first))
}
