/**
 * The server as a process: started in a session of its own so that it outlives the agent (the guard decides then),
 * found again by a restarted agent, watched, signalled, killed with all it started.
 *
 * Invariant: a pid is only signalled while it works in our data directory and has the start time we noted.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { readFile, rm } from 'node:fs/promises'
import {
  identify,
  isAlive,
  isStopped,
  type KillResult,
  killTree,
  nameOfProcess,
  type ProcessId,
  treeOf,
  worksIn,
} from '../../io/process-tree.ts'
import { type Binaries, SERVER_ENV } from './binaries.ts'
import { type Home, openLog } from './home.ts'

/** How often a server that is not our child is looked at. */
const WATCH_MS = 20
/** A large server gives its memory back slowly; the caller's deadline cuts in anyway. */
const KILL_BOUND_MS = 2_000

export class ServerProcess {
  readonly #home: Home
  #id: ProcessId | null = null
  #watch: NodeJS.Timeout | null = null
  #expected = false
  #leftovers = true
  readonly #callbacks: (() => void)[] = []
  readonly #waiters = new Set<() => void>()

  constructor(home: Home) {
    this.#home = home
  }

  /** Main process while it lives, or null. */
  get pid(): number | null {
    return this.#id?.pid ?? null
  }

  /** Names the main process while it lives; another one after each start. */
  get name(): string | null {
    return this.#id === null ? null : nameOfProcess(this.#id)
  }

  get stopped(): boolean {
    return this.#id !== null && isStopped(this.#id.pid)
  }

  /** Any process of the engine is alive, also one that its main process left behind. */
  anyAlive(): boolean {
    if (this.#id !== null) return true
    // Nothing starts without us: once an empty tree was seen there is no need to search again.
    if (this.#leftovers) this.#leftovers = treeOf(this.#home.dataDir, null).length > 0
    return this.#leftovers
  }

  /** Calls back once for each end nobody here asked for. */
  onExit(callback: () => void): void {
    this.#callbacks.push(callback)
  }

  /** Finds a server that already runs in our directory. */
  async adopt(): Promise<boolean> {
    if (this.#id !== null) return true
    const content = await readFile(this.#home.pidFile, 'utf8').catch(() => '')
    const pid = Number.parseInt(content.split('\n')[0] ?? '', 10)
    if (!(pid > 1) || this.#id !== null || !worksIn(pid, this.#home.dataDir)) return this.#id !== null
    const id = identify(pid)
    if (id === null) return false
    this.#took(id)
    this.#watch = setInterval(() => {
      if (!isAlive(id)) this.#ended(id)
    }, WATCH_MS)
    this.#watch.unref()
    return true
  }

  /** Starts it. The caller has checked that nothing runs in the directory. */
  async start(binaries: Binaries, mayStart: () => boolean): Promise<string | null> {
    await rm(this.#home.pidFile, { force: true })
    const log = await openLog(this.#home.logFile)
    try {
      if (this.#home.owner !== null) await log.chown(this.#home.owner.uid, this.#home.owner.gid)
      // From here to the noted pid there is no waiting: a fence either prevents the start or finds the process.
      if (!mayStart()) return 'superseded'
      const child = spawn(binaries.server, [this.#home.confFile], {
        cwd: this.#home.dataDir,
        detached: true,
        env: SERVER_ENV,
        stdio: ['ignore', log.fd, log.fd],
        ...(this.#home.owner ?? {}),
      })
      return await this.#follow(child)
    } finally {
      await log.close()
    }
  }

  #follow(child: ChildProcess): Promise<string | null> {
    child.unref()
    const { pid } = child
    return new Promise((resolve) => {
      child.once('error', (error) => resolve(`cannot start the server: ${error.message}`))
      if (pid === undefined) return
      const id = identify(pid) ?? { pid, started: '' }
      this.#took(id)
      child.once('exit', () => this.#ended(id))
      resolve(null)
    })
  }

  signal(name: 'SIGTERM'): boolean {
    if (this.#id === null || !isAlive(this.#id)) return false
    try {
      process.kill(this.#id.pid, name)
      return true
    } catch {
      return false
    }
  }

  /** The next end is ours. */
  expectEnd(): void {
    this.#expected = true
  }

  /** It goes on after all: its end would be a surprise again. */
  expectLife(): void {
    this.#expected = false
  }

  /** True when the main process ended within the time. */
  gone(timeoutMs: number, signal: AbortSignal): Promise<boolean> {
    if (this.#id === null) return Promise.resolve(true)
    return new Promise((resolve) => {
      const finish = (): void => {
        clearTimeout(timer)
        this.#waiters.delete(finish)
        signal.removeEventListener('abort', finish)
        resolve(this.#id === null)
      }
      const timer = setTimeout(finish, timeoutMs)
      this.#waiters.add(finish)
      signal.addEventListener('abort', finish, { once: true })
      if (signal.aborted) finish()
    })
  }

  /** Kills every process of the engine. No query, no network, no disk. */
  async kill(boundMs = KILL_BOUND_MS): Promise<KillResult> {
    this.#expected = true
    const id = this.#id
    const result = await killTree(this.#home.dataDir, id?.pid ?? null, { boundMs })
    this.#leftovers = result.alive > 0
    if (id !== null && !isAlive(id)) this.#ended(id)
    return result
  }

  /** Stops watching; the server runs on. */
  close(): void {
    if (this.#watch !== null) clearInterval(this.#watch)
    this.#callbacks.length = 0
  }

  #took(id: ProcessId): void {
    this.#id = id
    this.#expected = false
    this.#leftovers = false
  }

  #ended(id: ProcessId): void {
    if (this.#id !== id) return
    this.#id = null
    // A child that saves or rewrites may live on for a moment.
    this.#leftovers = true
    if (this.#watch !== null) clearInterval(this.#watch)
    this.#watch = null
    const surprise = !this.#expected
    this.#expected = false
    for (const waiter of [...this.#waiters]) waiter()
    if (surprise) for (const callback of [...this.#callbacks]) callback()
  }
}
