/**
 * A platform as its user runs it: the real program for the store, each agent and each router, real guards, real
 * PostgreSQL, everything in one temporary folder and on loopback ports. Ends only what it started.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { AgentStatus, ReasonLine } from '@holdfast/client'
import pg from 'pg'
import { within } from '../packages/holdfast/src/cli/children.ts'
import { killTreeSync } from '../packages/holdfast/src/io/process-tree.ts'

export const PROGRAM = fileURLToPath(new URL('../packages/holdfast/bin/holdfast.js', import.meta.url))
/** Two busy cores may need this for what takes a second alone. */
export const PATIENCE_MS = 60_000
const LOOK_MS = 50
const ENDED_MS = 20_000
const ASK_MS = 2_000
/** Of each agent, told when something did not come. */
const LAST_WORDS = 12
/** Nobody: as root, the engine runs as this account and has to own the folder its data is made in. */
const NOBODY = 65_534
export const SECRETS = {
  HF_TOKEN: 'a-token-of-good-length',
  HF_SUPER: 'superuser-password',
  HF_REPL: 'replication-password',
  HF_APP: 'application-password',
}

export interface PlatformOptions {
  readonly members: number
  /** Folder of a member's data instead of the usual one, by member. */
  readonly dataDirs?: Readonly<Record<string, string>>
  /** Where agents and routers look for the store; usually where it listens. */
  readonly storePort?: number
  /** More lines of the group, each with its indentation of four. */
  readonly groupLines?: string
}

export interface Said {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** One process of the product. */
export class Running {
  readonly child: ChildProcess
  readonly ended: Promise<number | null>
  readonly #listeners = new Set<() => void>()
  #out = ''
  #err = ''

  constructor(words: readonly string[], env: Readonly<Record<string, string | undefined>>, cwd: string) {
    this.child = spawn(process.execPath, [PROGRAM, ...words], { env, cwd, stdio: ['ignore', 'pipe', 'pipe'] })
    this.child.stdout?.on('data', (chunk: Buffer) => this.#hear(() => (this.#out += chunk.toString())))
    this.child.stderr?.on('data', (chunk: Buffer) => this.#hear(() => (this.#err += chunk.toString())))
    this.ended = new Promise((resolve) => {
      this.child.once('close', (code) => {
        resolve(code)
        this.#hear(() => {})
      })
    })
  }

  get out(): string {
    return this.#out
  }

  get err(): string {
    return this.#err
  }

  get text(): string {
    return this.#out + this.#err
  }

  /** Waits for these words in what it says; fails at once when it ends without them. */
  async says(pattern: RegExp, ms = PATIENCE_MS): Promise<void> {
    const seen = new Promise<void>((resolve) => {
      const look = (): void => {
        if (pattern.test(this.text)) resolve()
      }
      this.#listeners.add(look)
      look()
    })
    await within(Promise.race([seen, this.ended]), ms)
    if (!pattern.test(this.text)) throw new Error(`never said ${pattern}:\n${this.text}`)
  }

  /** The end, or an error with what it said. */
  async end(ms = PATIENCE_MS): Promise<number | null> {
    if (!(await within(this.ended, ms))) throw new Error(`does not end within ${ms} ms:\n${this.text}`)
    return this.ended
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill(signal)
    return this.end()
  }

  #hear(change: () => void): void {
    change()
    for (const listener of this.#listeners) listener()
  }
}

export class TestPlatform {
  readonly folder: string
  readonly file: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly members: readonly string[]
  readonly storePort: number
  readonly doorPort: number
  readonly agentPorts: readonly number[]
  readonly enginePorts: readonly number[]
  readonly #options: PlatformOptions
  readonly #running: Running[] = []

  private constructor(folder: string, ports: readonly number[], options: PlatformOptions) {
    const { members } = options
    this.folder = folder
    this.file = join(folder, 'holdfast.yaml')
    this.env = { ...process.env, ...SECRETS, NODE_COMPILE_CACHE: join(tmpdir(), 'holdfast-compile-cache') }
    this.members = Array.from({ length: members }, (_, at) => `m${at + 1}`)
    this.storePort = ports[0] ?? 0
    this.doorPort = ports[1] ?? 0
    this.agentPorts = ports.slice(2, 2 + members)
    this.enginePorts = ports.slice(2 + members)
    this.#options = options
  }

  /** Writes the description; starts nothing. */
  static async describe(options: PlatformOptions): Promise<TestPlatform> {
    const folder = temporaryFolder('platform')
    const platform = new TestPlatform(folder, await freePorts(2 + 2 * options.members), options)
    mkdirSync(join(folder, 'engines'))
    ownedByEngine(join(folder, 'engines'))
    platform.write(platform.text())
    return platform
  }

  write(text: string): void {
    writeFileSync(this.file, text)
  }

  text(): string {
    const { members, doorPort, agentPorts, enginePorts } = this
    const storeSeen = this.#options.storePort ?? this.storePort
    const agents = members.map((_, at) => `  - { name: a${at + 1}, site: here, listen: 127.0.0.1:${agentPorts[at]} }`)
    const engines = members.map(
      (member, at) =>
        `      - { name: ${member}, agent: a${at + 1}, listen: 127.0.0.1:${enginePorts[at]}, ` +
        `dataDir: ${this.dataDir(member)} }`,
    )
    return `version: 1
platform: bad-days
sites: [{ name: here }]
store: { kind: embedded, listen: 127.0.0.1:${storeSeen}, dir: store, token: { env: HF_TOKEN } }
agentDefaults: { token: { env: HF_TOKEN } }
agents:
${agents.join('\n')}
groups:
  - name: orders
    engine: postgres
    profile: normal
    replication: sync
${this.#options.groupLines ?? ''}    members:
${engines.join('\n')}
    application: { user: app, database: app, password: { env: HF_APP } }
    secrets: { superuser: { env: HF_SUPER }, replication: { env: HF_REPL } }
routers:
  - { name: r1, site: here, doors: [{ group: orders, listen: 127.0.0.1:${doorPort} }] }
`
  }

  dataDir(member: string): string {
    return this.#options.dataDirs?.[member] ?? join(this.folder, 'engines', member)
  }

  run(words: readonly string[], env: Readonly<Record<string, string>> = {}): Running {
    const running = new Running(words, { ...this.env, ...env }, this.folder)
    this.#running.push(running)
    return running
  }

  store(env: Readonly<Record<string, string>> = {}): Running {
    return this.run(['store', '--file', this.file], env)
  }

  agent(name: string, env: Readonly<Record<string, string>> = {}): Running {
    return this.run(['agent', '--file', this.file, '--name', name], env)
  }

  router(): Running {
    return this.run(['router', '--file', this.file, '--name', 'r1'])
  }

  /** The store and every agent, ready. */
  async start(): Promise<readonly Running[]> {
    await this.store().says(/ready at/)
    const agents = this.members.map((_, at) => this.agent(`a${at + 1}`))
    for (const agent of agents) await agent.says(/ready at/)
    return agents
  }

  /** A command of the product, to its end. */
  async command(...words: string[]): Promise<Said> {
    const running = this.run([...words, '--file', this.file])
    const code = await running.end()
    this.#running.splice(this.#running.indexOf(running), 1)
    return { code, out: running.out, err: running.err }
  }

  /** What the member's agent says, or null while it does not answer. */
  async status(member: string): Promise<AgentStatus | null> {
    try {
      const response = await fetch(`http://127.0.0.1:${this.agentPorts[this.members.indexOf(member)]}/v1/status`, {
        headers: { authorization: `Bearer ${SECRETS.HF_TOKEN}` },
        signal: AbortSignal.timeout(ASK_MS),
      })
      return response.ok ? ((await response.json()) as AgentStatus) : null
    } catch {
      return null
    }
  }

  async reasons(member: string): Promise<readonly ReasonLine[]> {
    return (await this.status(member))?.reasons ?? []
  }

  /** Waits for a reason of this member whose code and details fit. */
  async reason(member: string, pattern: RegExp): Promise<ReasonLine> {
    const look = async (): Promise<ReasonLine | null> =>
      (await this.reasons(member)).find((line) => pattern.test(JSON.stringify(line))) ?? null
    try {
      return await until(`a reason of ${member} like ${pattern}`, look)
    } catch (error) {
      throw new Error(`${String(error)}\n${await this.#told([member])}`)
    }
  }

  /** Members that may write now. */
  async writers(): Promise<readonly string[]> {
    const all = await Promise.all(this.members.map((member) => this.status(member)))
    return all.flatMap((status) => status?.members.filter((m) => m.writableForMs > 0).map((m) => m.member) ?? [])
  }

  /** The primary, once it is open. */
  primary(than: string | null = null): Promise<string> {
    return until(`a primary${than === null ? '' : ` other than ${than}`}`, async () => {
      const [writer] = await this.writers()
      return writer === undefined || writer === than ? null : writer
    })
  }

  /** The primary, once all others of `members` stream and one of them has confirmed. */
  async whole(members: readonly string[] = this.members): Promise<string> {
    try {
      return await this.#whole(members)
    } catch (error) {
      throw new Error(`${String(error)}\n${await this.#told(members)}`)
    }
  }

  /** For a person who asks why something did not come. */
  async #told(members: readonly string[]): Promise<string> {
    const { out } = await this.command('status')
    const words = await Promise.all(members.map(async (member) => (await this.reasons(member)).slice(-LAST_WORDS)))
    return [out, ...words.flat().map((line) => JSON.stringify(line))].join('\n')
  }

  #whole(members: readonly string[]): Promise<string> {
    return until(`a primary that ${members.join(', ')} follow`, async () => {
      const [writer] = await this.writers()
      if (writer === undefined) return null
      const group = (await this.status(writer))?.groups[0]
      const others = members.filter((member) => member !== writer)
      if (group?.phase !== 'open' || !others.some((member) => group.eligible.includes(member))) return null
      for (const member of others) {
        const found = (await this.status(member))?.members[0]
        if (found?.engine?.receiving !== true) return null
      }
      return writer
    })
  }

  async query(member: string, sql: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
    const client = new pg.Client({
      host: '127.0.0.1',
      port: this.enginePorts[this.members.indexOf(member)] ?? 0,
      user: 'app',
      password: SECRETS.HF_APP,
      database: 'app',
      connectionTimeoutMillis: PATIENCE_MS,
      query_timeout: PATIENCE_MS,
    })
    client.on('error', () => {})
    try {
      await client.connect()
      return (await client.query(sql)).rows as Readonly<Record<string, unknown>>[]
    } finally {
      await client.end().catch(() => {})
    }
  }

  /** Process ids that work in this folder, whoever started them. */
  processes(): readonly number[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => worksUnder(pid, this.folder))
  }

  async destroy(): Promise<void> {
    for (const { child } of this.#running) child.kill('SIGKILL')
    await Promise.all(this.#running.map(({ ended }) => within(ended, ENDED_MS)))
    for (const member of this.members) killTreeSync(this.dataDir(member), null)
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
  }
}

/** A folder the engine's account may walk through. */
export function temporaryFolder(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `holdfast-${name}-`))
  chmodSync(folder, 0o755)
  return folder
}

/** The account the engine runs as, when it is another one. */
export function engineAccount(): { readonly uid: number; readonly gid: number } | undefined {
  return process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : undefined
}

export function ownedByEngine(path: string): void {
  if (process.getuid?.() === 0) chownSync(path, NOBODY, NOBODY)
}

/** Looks until something is found; throws with `what` when the patience ends. */
export async function until<T>(what: string, look: () => Promise<T | null | false>, ms = PATIENCE_MS): Promise<T> {
  const startedMs = performance.now()
  for (;;) {
    const found = await look()
    if (found !== null && found !== false) return found
    if (performance.now() - startedMs > ms) throw new Error(`not within ${ms} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
  }
}

/** Asks the kernel for ports nobody uses; they stay free for the moment it takes to use them. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer())
  for (const server of servers) await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const ports = servers.map((server) => {
    const address = server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  })
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

function worksUnder(pid: number, folder: string): boolean {
  try {
    const cwd = readlinkSync(`/proc/${pid}/cwd`)
    return cwd.startsWith(folder) || readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(folder)
  } catch {
    return false
  }
}
