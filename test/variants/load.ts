/**
 * Numbered writes through a router's door, and what became of them: when each was acknowledged, and which are gone.
 * And a host that crashes: its agent, its guard and its engine at once.
 */
import { readFileSync } from 'node:fs'
import pg from 'pg'
import { treeOf } from '../../packages/holdfast/src/io/process-tree.ts'
import { PATIENCE_MS, type Running, SECRETS, type TestPlatform, until } from '../platform.ts'

const WRITERS = 4
const PACE_MS = 10
const AGAIN_MS = 20
const CONNECT_MS = 12_000
const ANSWER_MS = 10_000

export interface Target {
  readonly port: number
  readonly ssl?: { readonly ca: string; readonly cert?: string } | false
}

export async function connected(target: Target): Promise<pg.Client> {
  const client = new pg.Client({
    host: '127.0.0.1',
    port: target.port,
    user: 'app',
    database: 'app',
    password: SECRETS.HF_APP,
    ssl: target.ssl ?? false,
    connectionTimeoutMillis: CONNECT_MS,
    query_timeout: ANSWER_MS,
  })
  client.on('error', () => {})
  await client.connect()
  return client
}

/** Asks until it is answered: right after a move a new connection may be refused. */
export async function asked(target: Target, sql: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
  return until(`an answer to ${sql.slice(0, 60)}`, async () => {
    try {
      const client = await connected(target)
      try {
        return (await client.query(sql)).rows
      } finally {
        await client.end().catch(() => {})
      }
    } catch {
      return null
    }
  })
}

export class Load {
  readonly acked: { readonly n: number; readonly atMs: number }[] = []
  readonly #target: Target
  readonly #writers: Promise<void>[] = []
  #running = true
  #next = 0

  private constructor(target: Target) {
    this.#target = target
  }

  /** Ends with the test at the latest. */
  static async start(target: Target, t: { after(end: () => void): void }): Promise<Load> {
    await asked(target, 'create table if not exists number (n int primary key)')
    const load = new Load(target)
    t.after(() => {
      load.#running = false
    })
    for (let writer = 0; writer < WRITERS; writer++) load.#writers.push(load.#write())
    await load.more()
    return load
  }

  /** Waits for some more acknowledgements. */
  async more(count = 20): Promise<void> {
    const goal = this.acked.length + count
    await until(`${count} more acknowledged writes`, async () => this.acked.length >= goal)
  }

  /** The longest time without any acknowledgement since `fromMs`. */
  outageMs(fromMs: number): number {
    let last = fromMs
    let longest = 0
    for (const { atMs } of this.acked) {
      if (atMs <= fromMs) continue
      longest = Math.max(longest, atMs - last)
      last = atMs
    }
    return Math.round(Math.max(longest, performance.now() - last))
  }

  /** Ends the writers and tells which acknowledged numbers are not there. */
  async lost(): Promise<readonly number[]> {
    this.#running = false
    await Promise.all(this.#writers)
    const rows = await asked(this.#target, 'select array_agg(n) as all from number')
    const there = new Set(rows[0]?.all as number[])
    return this.acked.filter(({ n }) => !there.has(n)).map(({ n }) => n)
  }

  async #write(): Promise<void> {
    let client: pg.Client | null = null
    while (this.#running) {
      const n = this.#next++
      try {
        client ??= await connected(this.#target)
        await client.query('insert into number values ($1)', [n])
        this.acked.push({ n, atMs: performance.now() })
        await pause(PACE_MS)
      } catch {
        client?.end().catch(() => {})
        client = null
        await pause(AGAIN_MS)
      }
    }
    await client?.end().catch(() => {})
  }
}

/** Names of the engines' main processes, by member. */
export async function enginesOf(platform: TestPlatform): Promise<Readonly<Record<string, string | null>>> {
  const found = await Promise.all(
    platform.members.map(async (name) => {
      const status = await platform.status(name)
      return [name, status?.members.find(({ member }) => member === name)?.engine?.started ?? null] as const
    }),
  )
  return Object.fromEntries(found)
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** The agents of a platform by name, so that single hosts can crash and come back. */
export class Hosts {
  readonly agents = new Map<string, Running>()
  readonly #platform: TestPlatform

  constructor(platform: TestPlatform) {
    this.#platform = platform
  }

  async start(names: readonly string[] = this.#platform.members.map((_, at) => `a${at + 1}`)): Promise<void> {
    for (const name of names) this.agents.set(name, this.#platform.agent(name))
    for (const name of names) await this.agents.get(name)?.says(/ready at/)
  }

  /** SIGKILL of everything that runs on the member's host. */
  crash(member: string): void {
    const at = this.#platform.members.indexOf(member)
    this.crashAgent(`a${at + 1}`, [this.#platform.dataDir(member)])
  }

  /** Agent, guard and engine of a member's host, as far as they run. */
  pidsOf(member: string): readonly number[] {
    return this.#pids(`a${this.#platform.members.indexOf(member) + 1}`, [this.#platform.dataDir(member)])
  }

  crashAgent(name: string, dataDirs: readonly string[]): void {
    for (const pid of this.#pids(name, dataDirs)) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // It ended between the look and the signal.
      }
    }
  }

  #pids(name: string, dataDirs: readonly string[]): readonly number[] {
    const agent = this.agents.get(name)?.child.pid
    const own = agent === undefined ? [] : [agent, ...childrenOf(agent)]
    return [...own, ...dataDirs.flatMap((dir) => treeOf(dir, null).map(({ pid }) => pid))]
  }
}

/** The guard is a child of its agent. */
function childrenOf(pid: number): readonly number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').filter(Boolean).map(Number)
  } catch {
    return []
  }
}

/** Runs the work beside the clock and tells how long it took, in milliseconds. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now()
  await work()
  return Math.round(performance.now() - startedMs)
}

/** A condition watched all the time: the first value that breaks it is kept. */
export async function always<T>(look: () => Promise<T>, fits: (value: T) => boolean, ms: number): Promise<T | null> {
  const untilMs = performance.now() + Math.min(ms, PATIENCE_MS)
  while (performance.now() < untilMs) {
    const value = await look()
    if (!fits(value)) return value
    await pause(100)
  }
  return null
}
