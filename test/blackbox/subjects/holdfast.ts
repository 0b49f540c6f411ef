/**
 * Holdfast as its users run it: an agent on each host of members, a store on hosts of its own, a router on the edge.
 * One group on three hosts, or a whole service over two sites (`holdfast-shop.ts`). All are the real program; nothing
 * of it is reached but its doors, its logs and its processes.
 */
import type { ChildProcess } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, readFileSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { OPERATOR } from '../../../packages/holdfast/src/engines/redis/config.ts'
import { killTree } from '../../../packages/holdfast/src/io/process-tree.ts'
import { programPath } from '../../../packages/holdfast/src/io/program-path.ts'
import type { Answer, EngineName, Lane, Part, ReplicationMode, Subject, World } from '../contract.ts'
import { SkewedClock } from '../world/skewed-clock.ts'
import { SmallDisk } from '../world/small-disk.ts'
import {
  BOUND,
  descriptionFile,
  type GroupPlace,
  homeOf,
  type Layout,
  makeSecrets,
  portsOf,
  ROUTER,
  writeDescriptions,
} from './holdfast-files.ts'
import { HoldfastProcesses } from './holdfast-processes.ts'
import { PromotionLog } from './holdfast-promotions.ts'
import { HoldfastShop, SHOP, type ShopGroup, type Typed } from './holdfast-shop.ts'
import { HoldfastView } from './holdfast-view.ts'

export interface HoldfastOptions {
  readonly world: World
  /** Of this run; those above it can be entered by everybody. */
  readonly folder: string
  readonly engine?: EngineName
  readonly mode: ReplicationMode
  readonly profile: 'fast' | 'normal'
  /** The shop instead of one group: both engines, two sites, and a service over them. */
  readonly shop?: boolean
  /** Another copy of `bin/holdfast.js`. */
  readonly program?: string
  readonly store?: 'embedded' | 'etcd'
  /** Default: `h1` to `h3`; of a shop `h1` and `h2`, one a site. */
  readonly memberHosts?: readonly string[]
  /** Default: every host of the world whose name begins with `s`; one for the embedded store. */
  readonly storeHosts?: readonly string[]
  readonly edge?: string
  /** Timings are so many times slower than usual, and so is what may be lost in async mode. */
  readonly stretch?: number
  /** Major version of PostgreSQL. */
  readonly version?: number
  /** Of PostgreSQL. */
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
/** Where each host may have its own; those of further groups follow. */
const USUAL = { agent: 7301, engine: 5432, store: 7400, peer: 7401, door: 6432 }
const ONE_SITE = 'here'

export async function startHoldfast(options: HoldfastOptions): Promise<HoldfastSubject> {
  const layout = await layoutOf(options)
  const disks = new Map<string, SmallDisk>()
  const clocks = new Map<string, SkewedClock>()
  for (const { host } of layout.agents) {
    const home = homeOf(layout, host)
    mkdirSync(home, { recursive: true, mode: 0o755 })
    if (options.diskMiB !== undefined) disks.set(host, SmallDisk.mount(join(home, 'disk'), options.diskMiB))
    const engines = enginesOf(layout.folder, host, options)
    mkdirSync(engines, { recursive: true, mode: 0o755 })
    if (process.getuid?.() === 0) chownSync(engines, NOBODY, NOBODY)
    const clock = options.clocks === true ? SkewedClock.at(join(home, 'clock')) : null
    if (clock !== null) clocks.set(host, clock)
  }
  await writeDescriptions(layout)
  return new Holdfast(layout, { program: options.program ?? PROGRAM, disks, clocks })
}

function enginesOf(folder: string, host: string, { diskMiB }: HoldfastOptions): string {
  return join(folder, host, diskMiB === undefined ? 'engines' : 'disk/engines')
}

async function layoutOf(options: HoldfastOptions): Promise<Layout> {
  const { world, profile, store = 'embedded', edge = 'edge', shop = false } = options
  const memberHosts = options.memberHosts ?? (shop ? ['h1', 'h2'] : ['h1', 'h2', 'h3'])
  const storeHosts = options.storeHosts ?? world.hosts.filter((host) => /^s\d+$/.test(host))
  const known = [...memberHosts, ...storeHosts, edge]
  for (const host of known) if (!world.hosts.includes(host)) throw new Error(`the world has no host ${host}`)
  if (storeHosts.length === 0) throw new Error('the world has no host for the store; name one s1')
  mkdirSync(options.folder, { recursive: true })
  const folder = realpathSync(options.folder)
  chmodSync(folder, 0o755)
  const port = portsOf(world)
  const agents = await inTurn(memberHosts, async (host, at) => {
    const site = shop ? (SHOP.sites[at] ?? '') : ONE_SITE
    return { agent: `a${at + 1}`, host, site, port: await port(USUAL.agent) }
  })
  const kept = store === 'embedded' ? storeHosts.slice(0, 1) : storeHosts
  const stores = await inTurn(kept, async (host) => {
    return { host, port: await port(USUAL.store), peerPort: await port(USUAL.peer) }
  })
  const wanted: readonly ShopGroup[] = shop
    ? SHOP.groups
    : [{ group: 'orders', engine: options.engine ?? 'postgres', after: [] }]
  const bound = { ...BOUND, lossTimeMaxMs: BOUND.lossTimeMaxMs * (options.stretch ?? 1) }
  const groups = await inTurn(wanted, async ({ group, engine, after }, index): Promise<GroupPlace> => {
    const members = await inTurn(agents, async ({ agent, host }, at) => {
      const member = shop ? `${group}-${at + 1}` : `m${at + 1}`
      const dataDir = join(enginesOf(folder, host, options), member)
      return { member, agent, host, port: await port(USUAL.engine + index), dataDir }
    })
    const own = engine === 'postgres'
    const rest = { version: own ? (options.version ?? null) : null, parameters: own ? (options.parameters ?? {}) : {} }
    const doorPort = await port(USUAL.door + index)
    return { group, engine, after, mode: options.mode, bound, members, doorPort, ...rest }
  })
  const service = shop ? SHOP.service : null
  return { world, folder, profile, store, agents, stores, groups, edge, service, secrets: makeSecrets(folder, world) }
}

/** One after the other, so that no two are given the same port. */
async function inTurn<From, To>(list: readonly From[], make: (one: From, at: number) => Promise<To>): Promise<To[]> {
  const made: To[] = []
  for (const [at, one] of list.entries()) made.push(await make(one, at))
  return made
}

interface Means {
  readonly program: string
  readonly disks: ReadonlyMap<string, SmallDisk>
  readonly clocks: ReadonlyMap<string, SkewedClock>
}

class Holdfast implements HoldfastSubject {
  readonly name = 'holdfast'
  readonly lanes: readonly HoldfastLane[]
  readonly storeHosts: readonly string[]
  readonly edge: string
  readonly service: HoldfastShop | null
  readonly disks: ReadonlyMap<string, SmallDisk>
  readonly clocks: ReadonlyMap<string, SkewedClock>
  readonly #layout: Layout
  readonly #program: string
  readonly #processes: HoldfastProcesses
  readonly #view: HoldfastView
  #started: Promise<void> | null = null

  constructor(layout: Layout, means: Means) {
    this.#layout = layout
    this.#program = means.program
    this.disks = means.disks
    this.clocks = means.clocks
    this.edge = layout.edge
    this.storeHosts = layout.stores.map(({ host }) => host)
    this.#processes = new HoldfastProcesses(layout, {
      command: (host, part) => this.#command(host, part),
      clocks: means.clocks,
    })
    this.#view = new HoldfastView(layout)
    const logs = layout.agents.map(({ host }) => this.logOf(host, 'agent'))
    const typed: Typed = (words, boundMs, signal) => this.#typed(words, boundMs, signal)
    this.lanes = layout.groups.map((place) => new HoldfastLane(layout, place, { logs, typed, view: this.#view }))
    this.service = layout.service === null ? null : new HoldfastShop(layout, typed)
  }

  logOf(host: string, part: 'agent' | 'router' | 'store'): string {
    return join(homeOf(this.#layout, host), `${part}.log`)
  }

  start(): Promise<void> {
    this.#started ??= this.#start()
    return this.#started
  }

  async #start(): Promise<void> {
    const { agents, store } = this.#layout
    for (const host of this.storeHosts) this.restart(host, 'store')
    if (store === 'embedded') await this.#ready(this.storeHosts[0] ?? '', 'store')
    for (const { log } of this.lanes) log.start()
    this.service?.start()
    for (const { host } of agents) this.restart(host, 'agent')
    this.restart(this.edge, 'router')
    for (const { host } of agents) await this.#ready(host, 'agent')
    await this.#ready(this.edge, 'router')
    await this.whole(START_MS)
    for (const { log } of this.lanes) log.forget()
  }

  whole(boundMs: number): Promise<string> {
    return this.#view.whole(boundMs, async () => (await this.service?.lack()) ?? null)
  }

  pids(host: string, part: Part, group?: string): readonly number[] {
    return this.#processes.pids(host, part, group)
  }

  restart(host: string, part: Part): void {
    this.#processes.restart(host, part)
  }

  /** Its data is thrown away with its folder, so nothing needs a clean end. */
  async stop(): Promise<void> {
    await this.#processes.stop()
    for (const { dataDir } of this.lanes.flatMap(({ members }) => members)) await killTree(dataDir, null)
    for (const { log } of this.lanes) {
      log.list()
      log.stop()
    }
    await this.service?.close()
    await this.#view.close()
    for (const disk of this.disks.values()) {
      disk.rescueLogs()
      disk.unmount()
    }
  }

  async #typed(words: readonly string[], boundMs: number, signal?: AbortSignal): Promise<Answer> {
    const home = homeOf(this.#layout, this.edge)
    const log = join(home, `${words[0]}-${process.hrtime.bigint()}.log`)
    const args = [this.#program, ...words, '--file', descriptionFile(this.#layout, this.edge)]
    const child = this.#layout.world.spawn({ host: this.edge, command: process.execPath, args, cwd: home, log })
    const code = await ended(child, AbortSignal.any([AbortSignal.timeout(boundMs), ...(signal ? [signal] : [])]))
    const text = readFileSync(log, 'utf8').trim()
    return { ok: code === 0, text: code === null ? `${text}\nkilled`.trim() : text }
  }

  #command(host: string, part: 'agent' | 'router' | 'store'): readonly string[] {
    if (part === 'store' && this.#layout.store === 'etcd') return etcdWords(this.#layout, host)
    const agent = this.#layout.agents.find((one) => one.host === host)?.agent ?? ''
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

interface LaneMeans {
  /** Of every agent. */
  readonly logs: readonly string[]
  readonly typed: Typed
  readonly view: HoldfastView
}

class HoldfastLane implements Lane {
  readonly group: string
  readonly engine: EngineName
  readonly mode: ReplicationMode
  readonly members: Lane['members']
  readonly door: Lane['door']
  readonly login: Lane['login']
  readonly bound: Lane['bound']
  readonly alone: boolean
  readonly log: PromotionLog
  readonly #means: LaneMeans

  constructor({ world, edge, secrets, service }: Layout, place: GroupPlace, means: LaneMeans) {
    const { group, engine, mode, members, doorPort } = place
    this.group = group
    this.engine = engine
    this.mode = mode
    this.members = members.map(({ member, host, port, dataDir }) => {
      return { member, host, own: { host: world.addressOf(host), port }, dataDir }
    })
    this.door = { host: world.addressOf(edge), port: doorPort }
    // What a Redis client has to ask beside its writes, the application may not.
    this.login =
      engine === 'redis'
        ? { user: OPERATOR, password: secrets.superuser, database: '' }
        : { user: 'app', password: secrets.application, database: 'app' }
    this.bound = mode === 'async' ? place.bound : null
    this.alone = service !== null
    const names = members.map(({ member }) => member)
    this.log = new PromotionLog(means.logs, names)
    this.#means = means
  }

  primary(): Promise<string | null> {
    return this.#means.view.primary(this.group)
  }

  /** As an operator does it, at the edge. */
  switchover(): Promise<Answer> {
    return this.#means.typed(['switchover', this.group, '--timeout', '20s'], SWITCHOVER_MS)
  }

  async promotions(): ReturnType<Lane['promotions']> {
    return this.log.list()
  }
}

/** Members of etcd announce one address to all, so they reach each other directly and by no proxy. */
function etcdWords(layout: Layout, host: string): readonly string[] {
  const { world, stores } = layout
  const place = (owner: string) => stores.find((one) => one.host === owner)
  const client = (owner: string) => `http://${world.addressOf(owner)}:${place(owner)?.port}`
  const peer = (owner: string) => `http://${world.addressOf(owner)}:${place(owner)?.peerPort}`
  const flags = {
    name: host,
    'data-dir': join(homeOf(layout, host), 'etcd'),
    'listen-client-urls': client(host),
    'advertise-client-urls': client(host),
    'listen-peer-urls': peer(host),
    'initial-advertise-peer-urls': peer(host),
    'initial-cluster': stores.map(({ host: owner }) => `${owner}=${peer(owner)}`).join(','),
    'heartbeat-interval': '50',
    'election-timeout': '500',
    'log-level': 'error',
  }
  return [programPath('etcd') ?? 'etcd', ...Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`)]
}

/** Its exit code; null when it was killed, by us or by others. */
function ended(child: ChildProcess, signal: AbortSignal): Promise<number | null> {
  return new Promise((resolve) => {
    const kill = (): void => void child.kill('SIGKILL')
    signal.addEventListener('abort', kill, { once: true })
    if (signal.aborted) kill()
    child.once('close', (code) => {
      signal.removeEventListener('abort', kill)
      resolve(code)
    })
  })
}
