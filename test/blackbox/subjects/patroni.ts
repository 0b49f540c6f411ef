/**
 * Patroni as its users run it: three members, one etcd, HAProxy at the edge. A subject of the black box and a rival in
 * the measurements. The driver must reach every host's address. Patroni announces one address of a member to all, so
 * members talk to each other directly; etcd and the members' doors are reached by the world's routes.
 */
import type { ChildProcess } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { findPostgres } from '../../../packages/holdfast/src/engines/postgres/binaries.ts'
import { killTree, treeOf } from '../../../packages/holdfast/src/io/process-tree.ts'
import { programPath } from '../../../packages/holdfast/src/io/program-path.ts'
import { freshId } from '../../../packages/holdfast/src/io/random.ts'
import { engineOwner, giveTo, type Owner } from '../../../packages/holdfast/src/io/unprivileged.ts'
import { findRivals, PATRONI } from '../../../scripts/engines/rivals.ts'
import { ETCD, HAPROXY } from '../../../scripts/engines/wanted.ts'
import { freePorts } from '../../platform.ts'
import type { Address, Lane, Part, Promotion, ReplicationMode, Subject, SubjectMember, World } from '../contract.ts'
import { etcdArguments, haproxyText, LAG_BYTES_MAX, type PatroniProfile, patroniText, textOf } from './patroni-files.ts'

export interface PatroniOptions {
  readonly world: World
  /** A folder of this run; those above it can be entered by everybody. */
  readonly folder: string
  readonly mode: ReplicationMode
  readonly profile: PatroniProfile
  readonly memberHosts?: readonly string[]
  readonly storeHost?: string
  readonly edge?: string
  /** Major version of PostgreSQL; the same search as Holdfast's. */
  readonly version?: number
}

/** Why Patroni cannot be started here, or null when it can. */
export async function whyNoPatroni(): Promise<string | null> {
  const rows = (await findRivals()).filter((row) => row.engine === PATRONI || row.engine === HAPROXY)
  const missing = rows.filter((row) => !row.found).map((row) => row.engine)
  if (programPath(ETCD) === null) missing.push(ETCD)
  return missing.length === 0 ? null : `needs ${missing.join(', ')}: npm run engines`
}

const START_MS = 120_000
const LOOK_MS = 50
const ASK_MS = 1_000
/** Under load a follower is never seen at zero. */
const LAG_WHOLE_BYTES = 65_536
const SWITCHOVER_MS = 30_000
/** A promotion this close to a switchover that was asked for belongs to it. */
const PLANNED_SLACK_NS = 2e9

interface Member extends SubjectMember {
  readonly folder: string
  readonly rest: Address
}

interface ClusterMember {
  readonly name: string
  readonly role: string
  readonly state: string
  readonly lag?: number | string
}

interface PrimaryView {
  readonly replication?: readonly { readonly state: string }[]
}

/** Describes it and writes its files; starts nothing. */
export async function patroniSubject(options: PatroniOptions): Promise<PatroniSubject> {
  const { world, folder } = options
  const binaries = await findPostgres(options.version === undefined ? {} : { version: options.version })
  if (!binaries.ok) throw new Error(binaries.because)
  const [rows, etcd] = [await findRivals(), programPath(ETCD)]
  const pathOf = (engine: string): string | null => rows.find((row) => row.engine === engine)?.path ?? null
  const [patroni, haproxy] = [pathOf(PATRONI), pathOf(HAPROXY)]
  if (patroni === null || haproxy === null || etcd === null) throw new Error((await whyNoPatroni()) ?? 'not found')
  const hosts = options.memberHosts ?? ['h1', 'h2', 'h3']
  const [storeHost, edge] = [options.storeHost ?? 's1', options.edge ?? 'edge']
  const ports = await freePorts(hosts.length * 2 + 3)
  const [door = 0, client = 0, peer = 0, ...rest] = ports
  const members = hosts.map((host, at): Member => {
    const home = join(folder, host)
    const address = world.addressOf(host)
    return {
      member: host,
      host,
      own: { host: address, port: rest[2 * at] ?? 0 },
      rest: { host: address, port: rest[2 * at + 1] ?? 0 },
      folder: home,
      dataDir: join(home, 'data'),
    }
  })
  const programs = { patroni, haproxy, etcd, binDir: binaries.binaries.binDir }
  const store = { client: { host: world.addressOf(storeHost), port: client }, peerPort: peer }
  const owner = await engineOwner()
  return new PatroniSubject(options, { members, storeHost, edge, doorPort: door, programs, store, owner })
}

interface Plan {
  readonly members: readonly Member[]
  readonly storeHost: string
  readonly edge: string
  readonly doorPort: number
  readonly programs: Readonly<Record<'patroni' | 'haproxy' | 'etcd' | 'binDir', string>>
  readonly store: { readonly client: Address; readonly peerPort: number }
  readonly owner: Owner | null
}

export class PatroniSubject implements Subject, Lane {
  readonly name: string
  readonly group = 'orders'
  /** It is its only group itself. */
  readonly lanes: readonly Lane[] = [this]
  readonly service = null
  readonly alone = false
  readonly engine = 'postgres'
  readonly mode: ReplicationMode
  readonly members: readonly SubjectMember[]
  readonly storeHosts: readonly string[]
  readonly edge: string
  readonly door: Address
  readonly login = { user: 'app', password: freshId(), database: 'app' }
  /** Patroni's bound on what an asynchronous failover may lose is one of bytes; of time it has none. */
  readonly bound: Lane['bound']
  readonly #options: PatroniOptions
  readonly #plan: Plan
  readonly #secrets = { superuser: freshId(), replication: freshId(), rewind: freshId() }
  readonly #children = new Map<string, ChildProcess>()
  readonly #asked: { fromNs: number; toNs: number }[] = []

  constructor(options: PatroniOptions, plan: Plan) {
    this.name = `patroni-${options.profile}`
    this.mode = options.mode
    this.members = plan.members
    this.storeHosts = [plan.storeHost]
    this.edge = plan.edge
    this.door = { host: options.world.addressOf(plan.edge), port: plan.doorPort }
    this.bound = options.mode === 'async' ? { lossBytesMax: LAG_BYTES_MAX, lossTimeMaxMs: Infinity } : null
    this.#options = options
    this.#plan = plan
  }

  /** The REST API of each member. */
  get apis(): readonly string[] {
    return this.#plan.members.map(({ rest }) => `http://${textOf(rest)}`)
  }

  async start(): Promise<void> {
    await this.#write()
    const { members, storeHost, edge } = this.#plan
    this.restart(storeHost, 'store')
    for (const { host } of members) this.restart(host, 'agent')
    this.restart(edge, 'router')
    await this.whole(START_MS)
    await this.#makeDatabase()
    await this.#until('the door to lead to the primary', START_MS, async () => {
      await asking({ ...this.door, ...this.login }, 'select 1')
      return true
    })
  }

  async whole(boundMs: number): Promise<string> {
    return this.#until('a primary that all others follow', boundMs, async () => {
      const all = await this.#cluster()
      const leader = all.find((one) => one.role === 'leader' && one.state === 'running')
      const others = all.filter((one) => one !== leader)
      const own = this.#plan.members.find((one) => one.member === leader?.name)
      // The cluster's record of a member outlives it; the primary's own view of who streams does not.
      const view = own === undefined ? null : (JSON.parse((await ask(own.rest, '/patroni')).text) as PrimaryView)
      const streams = view?.replication?.filter((one) => one.state === 'streaming').length ?? 0
      const follows = others.every((one) => one.state === 'streaming' && Number(one.lag) <= LAG_WHOLE_BYTES)
      const covered = this.mode === 'async' || others.some((one) => /^(sync|quorum)_standby$/.test(one.role))
      return leader !== undefined &&
        all.length === this.members.length &&
        streams === others.length &&
        follows &&
        covered
        ? leader.name
        : null
    })
  }

  async primary(): Promise<string | null> {
    const answers = await Promise.all(
      this.#plan.members.map(async ({ member, rest }) => {
        const answer = await ask(rest, '/primary').catch(() => null)
        return answer?.status === 200 ? member : null
      }),
    )
    return answers.find((member) => member !== null) ?? null
  }

  pids(host: string, part: Part): readonly number[] {
    const own = this.#plan.members.find((one) => one.host === host)
    if (part === 'engine') {
      if (own === undefined) return []
      const main = postmasterOf(own.dataDir)
      return treeOf(own.dataDir, main).map(({ pid }) => pid)
    }
    const child = this.#children.get(`${host}/${part}`)
    const alive = child !== undefined && child.exitCode === null && child.signalCode === null
    return alive && child.pid !== undefined ? [child.pid] : []
  }

  restart(host: string, part: Part): void {
    if (this.pids(host, part).length > 0) return
    const { folder, world } = this.#options
    const { programs } = this.#plan
    const own = this.#plan.members.find((one) => one.host === host)
    const words =
      part === 'agent' && own !== undefined
        ? this.#asOwner([programs.patroni, join(own.folder, 'patroni.yaml')])
        : part === 'store' && host === this.#plan.storeHost
          ? [programs.etcd, ...etcdArguments(this.#etcdWords())]
          : part === 'router' && host === this.edge
            ? [programs.haproxy, '-db', '-f', join(folder, 'haproxy.cfg')]
            : []
    const [command, ...args] = words
    if (command === undefined) return
    const cwd = own?.folder ?? folder
    const env = { PATH: process.env.PATH, LC_ALL: 'C.UTF-8', HOME: cwd }
    const log = join(folder, `${host}-${part}.log`)
    const child = world.spawn({ host, command, args, env, cwd, log })
    child.on('error', () => {})
    this.#children.set(`${host}/${part}`, child)
  }

  async switchover(): Promise<{ readonly ok: boolean; readonly text: string }> {
    const fromNs = nowNs()
    const leader = await this.primary()
    const at = this.#plan.members.find((one) => one.member === leader)
    if (at === undefined) return { ok: false, text: 'there is no primary' }
    try {
      const answer = await ask(at.rest, '/switchover', { body: { leader }, boundMs: SWITCHOVER_MS })
      return { ok: answer.status === 200, text: `${answer.status} ${answer.text}` }
    } catch (error) {
      return { ok: false, text: String(error) }
    } finally {
      this.#asked.push({ fromNs, toNs: nowNs() })
    }
  }

  /** From Patroni's own history of timelines; the first primary stands in none. */
  async promotions(): Promise<readonly Promotion[]> {
    const rows = await this.#any<unknown[][]>('/history')
    return rows.map(([timeline, , reason, at, member]): Promotion => {
      const time = nowNs() - (Date.now() - Date.parse(String(at))) * 1e6
      const planned = this.#asked.some(
        ({ fromNs, toNs }) => time > fromNs - PLANNED_SLACK_NS && time < toNs + PLANNED_SLACK_NS,
      )
      // The row names the timeline that ended; the member is the one that began the next.
      return { member: String(member), epoch: Number(timeline) + 1, time, planned, reason: String(reason) }
    })
  }

  /** The data is thrown away, so nothing needs a clean stop. */
  async stop(): Promise<void> {
    for (const [, child] of [...this.#children]) {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
    }
    for (const { dataDir } of this.members) await killTree(dataDir, null)
  }

  async #write(): Promise<void> {
    const { folder, world, mode, profile } = this.#options
    const { members, storeHost, owner, programs, store } = this.#plan
    for (const one of members) {
      mkdirSync(one.folder, { recursive: true, mode: 0o755 })
      const etcd = await world.route(one.host, storeHost, store.client.port)
      const text = patroniText({
        ...{ member: one.member, sql: one.own, rest: one.rest, etcd, folder: one.folder, dataDir: one.dataDir },
        ...{ binDir: programs.binDir, profile, mode, secrets: this.#secrets },
      })
      const file = join(one.folder, 'patroni.yaml')
      writeFileSync(file, text, { mode: 0o600 })
      await giveTo(one.folder, owner)
    }
    const backends = await Promise.all(
      members.map(async ({ member, host, own, rest }) => ({
        member,
        sql: await world.route(this.edge, host, own.port),
        rest: await world.route(this.edge, host, rest.port),
      })),
    )
    writeFileSync(join(folder, 'haproxy.cfg'), haproxyText(this.door, backends, profile))
  }

  #etcdWords() {
    const { client, peerPort } = this.#plan.store
    return { client, peer: { host: client.host, port: peerPort }, dataDir: join(this.#options.folder, 'etcd') }
  }

  /** PostgreSQL refuses to run as root; Patroni starts it as itself. */
  #asOwner(words: readonly string[]): readonly string[] {
    const { owner } = this.#plan
    return owner === null
      ? words
      : ['setpriv', `--reuid=${owner.uid}`, `--regid=${owner.gid}`, '--clear-groups', ...words]
  }

  async #makeDatabase(): Promise<void> {
    const leader = await this.whole(START_MS)
    const at = this.#plan.members.find((one) => one.member === leader)
    if (at === undefined) throw new Error(`${leader} is no member`)
    const superuser = { ...at.own, user: 'postgres', password: this.#secrets.superuser, database: 'postgres' }
    await asking(superuser, `create role app login password '${this.login.password}'`)
    await asking(superuser, 'create database app owner app')
  }

  async #cluster(): Promise<readonly ClusterMember[]> {
    return (await this.#any<{ members: readonly ClusterMember[] }>('/cluster')).members
  }

  /** The first member that answers. */
  async #any<T>(path: string): Promise<T> {
    const answers = this.#plan.members.map(async ({ rest }) => (await ask(rest, path)).text)
    return JSON.parse(await Promise.any(answers)) as T
  }

  async #until<T>(what: string, boundMs: number, look: () => Promise<T | null>): Promise<T> {
    const untilMs = performance.now() + boundMs
    let last: unknown = 'not yet'
    while (performance.now() < untilMs) {
      try {
        const found = await look()
        if (found !== null) return found
      } catch (error) {
        last = error
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    }
    throw new Error(`${this.name}: ${what} did not come within ${boundMs} ms (${String(last)})`)
  }
}

/** CLOCK_MONOTONIC. */
function nowNs(): number {
  return Number(process.hrtime.bigint())
}

function postmasterOf(dataDir: string): number | null {
  try {
    const pid = Number(readFileSync(join(dataDir, 'postmaster.pid'), 'utf8').split('\n')[0])
    return Number.isInteger(pid) && pid > 1 ? pid : null
  } catch {
    return null
  }
}

interface Asked {
  readonly body?: unknown
  readonly boundMs?: number
}

async function ask(at: Address, path: string, asked: Asked = {}): Promise<{ status: number; text: string }> {
  const response = await fetch(`http://${textOf(at)}${path}`, {
    signal: AbortSignal.timeout(asked.boundMs ?? ASK_MS),
    ...(asked.body === undefined ? {} : { method: 'POST', body: JSON.stringify(asked.body) }),
  })
  return { status: response.status, text: await response.text() }
}

interface Login extends Address {
  readonly user: string
  readonly password: string
  readonly database: string
}

async function asking(login: Login, sql: string): Promise<void> {
  const client = new pg.Client({ ...login, connectionTimeoutMillis: ASK_MS })
  client.on('error', () => {})
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end().catch(() => {})
  }
}
