/**
 * Holdfast as its users run it: an agent on each of three hosts, a store on hosts of its own, a router on the edge. All
 * are the real program; nothing of it is reached but its doors, its logs and its processes.
 */
import type { ChildProcess } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, readFileSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { OPERATOR } from '../../../packages/holdfast/src/engines/redis/config.ts'
import { killTree } from '../../../packages/holdfast/src/io/process-tree.ts'
import { programPath } from '../../../packages/holdfast/src/io/program-path.ts'
import type { EngineName, Part, Promotion, ReplicationMode, Subject, SubjectMember, World } from '../contract.ts'
import { SkewedClock } from '../world/skewed-clock.ts'
import { SmallDisk } from '../world/small-disk.ts'
import {
  BOUND,
  descriptionFile,
  GROUP,
  homeOf,
  type Layout,
  makeSecrets,
  portsFor,
  ROUTER,
  writeDescriptions,
} from './holdfast-files.ts'
import { HoldfastProcesses } from './holdfast-processes.ts'
import { PromotionLog } from './holdfast-promotions.ts'
import { HoldfastView } from './holdfast-view.ts'

export interface HoldfastOptions {
  readonly world: World
  /** Of this run; those above it can be entered by everybody. */
  readonly folder: string
  readonly engine?: EngineName
  readonly mode: ReplicationMode
  readonly profile: 'fast' | 'normal'
  /** Another copy of `bin/holdfast.js`. */
  readonly program?: string
  readonly store?: 'embedded' | 'etcd'
  readonly memberHosts?: readonly string[]
  /** Default: every host of the world whose name begins with `s`; one for the embedded store. */
  readonly storeHosts?: readonly string[]
  readonly edge?: string
  /** Timings are so many times slower than usual, and so is what may be lost in async mode. */
  readonly stretch?: number
  /** Major version of PostgreSQL. */
  readonly version?: number
  readonly parameters?: Readonly<Record<string, string | number | boolean>>
  /** Engines (data and log together) on disks of this size, which can be filled; absent: the ordinary disk. */
  readonly diskMiB?: number
  /** Agents whose wall clock can be set. */
  readonly clocks?: boolean
}

export interface HoldfastSubject extends Subject {
  /** By host; empty unless asked for, or where they cannot be had. */
  readonly disks: ReadonlyMap<string, SmallDisk>
  readonly clocks: ReadonlyMap<string, SkewedClock>
  /** The log of a part, for a person who asks why. */
  logOf(host: string, part: 'agent' | 'router' | 'store'): string
}

const PROGRAM = fileURLToPath(new URL('../../../packages/holdfast/bin/holdfast.js', import.meta.url))
const START_MS = 120_000
const READY_MS = 60_000
const LOOK_MS = 50
const SWITCHOVER_MS = 30_000
/** Nobody: as root the engine runs as this account. */
const NOBODY = 65_534

export async function startHoldfast(options: HoldfastOptions): Promise<HoldfastSubject> {
  const layout = await layoutOf(options)
  const disks = new Map<string, SmallDisk>()
  const clocks = new Map<string, SkewedClock>()
  for (const { host, dataDir } of layout.members) {
    const home = homeOf(layout, host)
    mkdirSync(home, { recursive: true, mode: 0o755 })
    if (options.diskMiB !== undefined) disks.set(host, SmallDisk.mount(join(home, 'disk'), options.diskMiB))
    const engines = join(dataDir, '..')
    mkdirSync(engines, { recursive: true, mode: 0o755 })
    if (process.getuid?.() === 0) chownSync(engines, NOBODY, NOBODY)
    const clock = options.clocks === true ? SkewedClock.at(join(home, 'clock')) : null
    if (clock !== null) clocks.set(host, clock)
  }
  await writeDescriptions(layout)
  return new Holdfast(layout, { program: options.program ?? PROGRAM, disks, clocks })
}

async function layoutOf(options: HoldfastOptions): Promise<Layout> {
  const { world, engine = 'postgres', mode, profile, store = 'embedded', edge = 'edge' } = options
  const memberHosts = options.memberHosts ?? ['h1', 'h2', 'h3']
  const storeHosts = options.storeHosts ?? world.hosts.filter((host) => /^s\d+$/.test(host))
  const known = [...memberHosts, ...storeHosts, edge]
  for (const host of known) if (!world.hosts.includes(host)) throw new Error(`the world has no host ${host}`)
  if (storeHosts.length === 0) throw new Error('the world has no host for the store; name one s1')
  mkdirSync(options.folder, { recursive: true })
  const folder = realpathSync(options.folder)
  chmodSync(folder, 0o755)
  const ports = await portsFor(world, memberHosts.length + storeHosts.length + 1)
  const at = (index: number) => ports[index] ?? { agent: 0, engine: 0, store: 0, peer: 0, door: 0 }
  const members = memberHosts.map((host, index) => {
    const where = options.diskMiB === undefined ? 'engines' : 'disk/engines'
    const member = `m${index + 1}`
    const dataDir = join(folder, host, where, member)
    return { member, agent: `a${index + 1}`, host, ports: at(index), dataDir }
  })
  return {
    ...{ world, folder, engine, mode, profile, store, members, edge },
    bound: { ...BOUND, lossTimeMaxMs: BOUND.lossTimeMaxMs * (options.stretch ?? 1) },
    storeHosts: store === 'embedded' ? storeHosts.slice(0, 1) : storeHosts,
    storePorts: storeHosts.map((_, index) => at(memberHosts.length + index)),
    doorPort: at(ports.length - 1).door,
    version: options.version ?? null,
    parameters: options.parameters ?? {},
    secrets: makeSecrets(folder, world),
  }
}

interface Means {
  readonly program: string
  readonly disks: ReadonlyMap<string, SmallDisk>
  readonly clocks: ReadonlyMap<string, SkewedClock>
}

class Holdfast implements HoldfastSubject {
  readonly name = 'holdfast'
  readonly engine: EngineName
  readonly mode: ReplicationMode
  readonly members: readonly SubjectMember[]
  readonly storeHosts: readonly string[]
  readonly edge: string
  readonly door: Subject['door']
  readonly login: Subject['login']
  readonly bound: Subject['bound']
  readonly disks: ReadonlyMap<string, SmallDisk>
  readonly clocks: ReadonlyMap<string, SkewedClock>
  readonly #layout: Layout
  readonly #program: string
  readonly #processes: HoldfastProcesses
  readonly #view: HoldfastView
  readonly #promotions: PromotionLog
  #started: Promise<void> | null = null

  constructor(layout: Layout, means: Means) {
    const { world, members, edge, mode, engine, secrets } = layout
    this.engine = engine
    this.#layout = layout
    this.#program = means.program
    this.disks = means.disks
    this.clocks = means.clocks
    this.mode = mode
    this.edge = edge
    this.storeHosts = layout.storeHosts
    this.members = members.map(({ member, host, ports, dataDir }) => {
      return { member, host, own: { host: world.addressOf(host), port: ports.engine }, dataDir }
    })
    this.door = { host: world.addressOf(edge), port: layout.doorPort }
    // What a Redis client has to ask beside its writes, the application may not.
    this.login =
      engine === 'redis'
        ? { user: OPERATOR, password: secrets.superuser, database: '' }
        : { user: 'app', password: secrets.application, database: 'app' }
    this.bound = mode === 'async' ? layout.bound : null
    this.#processes = new HoldfastProcesses(layout, {
      command: (host, part) => this.#command(host, part),
      clocks: means.clocks,
    })
    this.#view = new HoldfastView(layout)
    this.#promotions = new PromotionLog(members.map(({ host }) => this.logOf(host, 'agent')))
  }

  logOf(host: string, part: 'agent' | 'router' | 'store'): string {
    return join(homeOf(this.#layout, host), `${part}.log`)
  }

  start(): Promise<void> {
    this.#started ??= this.#start()
    return this.#started
  }

  async #start(): Promise<void> {
    for (const host of this.storeHosts) this.restart(host, 'store')
    if (this.#layout.store === 'embedded') await this.#ready(this.storeHosts[0] ?? '', 'store')
    this.#promotions.start()
    for (const { host } of this.members) this.restart(host, 'agent')
    this.restart(this.edge, 'router')
    for (const { host } of this.members) await this.#ready(host, 'agent')
    await this.#ready(this.edge, 'router')
    await this.whole(START_MS)
    this.#promotions.forget()
  }

  whole(boundMs: number): Promise<string> {
    return this.#view.whole(boundMs)
  }

  primary(): Promise<string | null> {
    return this.#view.primary()
  }

  pids(host: string, part: Part): readonly number[] {
    return this.#processes.pids(host, part)
  }

  restart(host: string, part: Part): void {
    this.#processes.restart(host, part)
  }

  /** As an operator does it, at the edge. */
  async switchover(): Promise<{ readonly ok: boolean; readonly text: string }> {
    const home = homeOf(this.#layout, this.edge)
    const log = join(home, `switchover-${process.hrtime.bigint()}.log`)
    const words = ['switchover', GROUP, '--file', descriptionFile(this.#layout, this.edge), '--timeout', '20s']
    const how = { host: this.edge, command: process.execPath, args: [this.#program, ...words], cwd: home, log }
    const child = this.#layout.world.spawn(how)
    const code = await ended(child, SWITCHOVER_MS)
    return { ok: code === 0, text: readFileSync(log, 'utf8').trim() }
  }

  async promotions(): Promise<readonly Promotion[]> {
    return this.#promotions.list()
  }

  /** Its data is thrown away with its folder, so nothing needs a clean end. */
  async stop(): Promise<void> {
    await this.#processes.stop()
    for (const { dataDir } of this.members) await killTree(dataDir, null)
    this.#promotions.list()
    this.#promotions.stop()
    await this.#view.close()
    for (const disk of this.disks.values()) {
      disk.rescueLogs()
      disk.unmount()
    }
  }

  #command(host: string, part: 'agent' | 'router' | 'store'): readonly string[] {
    if (part === 'store' && this.#layout.store === 'etcd') return etcdWords(this.#layout, host)
    const agent = this.#layout.members.find((member) => member.host === host)?.agent ?? ''
    const name = { agent: ['--name', agent], router: ['--name', ROUTER], store: [] }[part]
    return [process.execPath, this.#program, part, ...name, '--file', descriptionFile(this.#layout, host)]
  }

  async #ready(host: string, part: 'agent' | 'router' | 'store'): Promise<void> {
    const endMs = performance.now() + READY_MS
    for (;;) {
      const text = readFileSync(this.logOf(host, part), 'utf8')
      if (/ ready at /.test(text)) return
      const isGone = this.pids(host, part).length === 0
      if (isGone || performance.now() > endMs)
        throw new Error(`${part} on ${host} is not ready:\n${text.slice(-2_000)}`)
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    }
  }
}

/** Members of etcd announce one address to all, so they reach each other directly and by no proxy. */
function etcdWords(layout: Layout, host: string): readonly string[] {
  const { world, storeHosts, storePorts } = layout
  const ports = (owner: string) => storePorts[storeHosts.indexOf(owner)]
  const client = (owner: string) => `http://${world.addressOf(owner)}:${ports(owner)?.store}`
  const peer = (owner: string) => `http://${world.addressOf(owner)}:${ports(owner)?.peer}`
  const flags = {
    name: host,
    'data-dir': join(homeOf(layout, host), 'etcd'),
    'listen-client-urls': client(host),
    'advertise-client-urls': client(host),
    'listen-peer-urls': peer(host),
    'initial-advertise-peer-urls': peer(host),
    'initial-cluster': storeHosts.map((owner) => `${owner}=${peer(owner)}`).join(','),
    'heartbeat-interval': '50',
    'election-timeout': '500',
    'log-level': 'error',
  }
  return [programPath('etcd') ?? 'etcd', ...Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`)]
}

async function ended(child: ChildProcess, boundMs: number): Promise<number | null> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), boundMs)
    child.once('close', (code) => {
      clearTimeout(timer)
      resolve(code)
    })
  })
}
