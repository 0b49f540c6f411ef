/**
 * The dead-man of a freeze: a process of its own that stops what a drill freezes and lets it run again at its deadline,
 * whatever became of the runner, the network, the agent and the guard. Knows pids and a time; no store, no database.
 *
 * Invariants:
 * - M1 Nothing is stopped before the deadline runs, and nothing by anybody else.
 * - M2 Every process that it stopped is continued: at the deadline, when asked, or when it is told to end.
 * - M3 A process is known by pid and start time, so a reused number is never signalled.
 * - M4 Who fences is stopped last, when no process of the engine runs any more and none that is new was found, and
 *   runs again first. What cannot be brought to stand within a bound stays with its guard: then all runs again.
 * - M5 The deadline is of this host's monotonic clock; a jump of the wall clock moves nothing.
 *
 * Two are started for one freeze. The second, the keeper, has no door and stops nothing: it only keeps M2 should the
 * first be killed. A third net is the agent's own start, which continues what a note on its disk names.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '../io/clock.ts'
import { isAlive, isStopped, type ProcessId } from '../io/process-tree.ts'
import { lineSplitter } from './lines.ts'
import { type EngineHome, FENCERS_FIRST_MS, processesOf, signalOne } from './standstill.ts'

/** The first line it reads. */
export interface Order {
  /** In the order in which they are continued; they are stopped in the opposite order, after the engines. */
  readonly fencers: readonly ProcessId[]
  readonly engines: readonly EngineHome[]
  readonly forMs: number
  /** After `go`; so that the agent's answer leaves before the agent stands still. */
  readonly delayMs: number
  /** Null: a keeper. */
  readonly door: {
    readonly host: string
    readonly secret: string
    readonly tls: { readonly cert: string; readonly key: string } | null
  } | null
}

export interface DeadmanView {
  readonly state: 'waiting' | 'on' | 'off'
  readonly stopped: number
  /** Of those it stopped: running again, and gone since. */
  readonly running: number
  readonly gone: number
  readonly leftMs: number
  /** How late it continued them. */
  readonly lateMs: number | null
}

/** A keeper leaves the work to the first one, which needs a moment. */
const KEEPER_LATE_MS = 100
/** Timers may be late under load. */
const SLEEP_MAX_MS = 100
/** The proof can still be fetched for so long. */
const LINGER_MS = 30_000
/** The kernel stops a process at its next return; one in uninterruptible sleep later. All have to stand within this. */
const STOP_SEEN_MS = 2_000
const LOOK_AGAIN_MS = 5
/** An agent that falls between the order and `go` leaves nothing to do. */
const GO_MS = 10_000
const LINE_BYTES_MAX = 262_144

export function runDeadman(): Promise<number> {
  process.title = 'holdfast dead-man'
  return new Deadman().run()
}

class Deadman {
  #order: Order | null = null
  #dueMs = Number.POSITIVE_INFINITY
  #stopped: ProcessId[] = []
  #state: DeadmanView['state'] = 'waiting'
  #lateMs: number | null = null
  /** The head start of those who fence, once there was a lift. */
  #headStart: Promise<void> | null = null
  #timer: NodeJS.Timeout | undefined
  #server: Server | null = null
  #finish: (code: number) => void = () => {}

  run(): Promise<number> {
    const splitter = lineSplitter(LINE_BYTES_MAX)
    for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
    process.stdin.on('error', () => {})
    // Whoever ends us ends the fault first.
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void this.#end())
    process.stdin.on('data', (chunk: Buffer) => {
      for (const line of splitter.push(chunk)) if (line !== null) this.#hear(line)
    })
    const waiting = setTimeout(() => this.#dueMs === Number.POSITIVE_INFINITY && this.#finish(0), GO_MS)
    waiting.unref()
    return new Promise((resolve) => {
      this.#finish = resolve
      // Without an order and without an agent there is nothing to keep.
      process.stdin.on('close', () => this.#dueMs === Number.POSITIVE_INFINITY && resolve(0))
    })
  }

  #hear(line: string): void {
    if (this.#order === null) {
      this.#order = JSON.parse(line) as Order
      this.#open(this.#order)
    } else if (line === 'go') this.#go(this.#order)
    else if (line === 'lift') void this.#lift()
  }

  #open({ door }: Order): void {
    if (door === null) {
      this.#tell({ is: 'ready', port: null })
      return
    }
    const listener = (request: IncomingMessage, response: ServerResponse): void => void this.#answer(request, response)
    const limits = { requestTimeout: 5_000, headersTimeout: 5_000 }
    this.#server =
      door.tls === null ? createServer(limits, listener) : createTlsServer({ ...limits, ...door.tls }, listener)
    this.#server.maxConnections = 16
    this.#server.on('error', (error) => this.#tell({ is: 'ready', port: null, because: error.message }))
    this.#server.listen(0, door.host, () => {
      const address = this.#server?.address()
      this.#tell({ is: 'ready', port: typeof address === 'object' ? (address?.port ?? null) : null })
    })
  }

  #go(order: Order): void {
    if (this.#dueMs !== Number.POSITIVE_INFINITY) return
    this.#dueMs = systemClock.nowMs() + order.delayMs + order.forMs
    if (order.door === null) {
      this.#stopped = [...order.fencers]
      this.#dueMs += KEEPER_LATE_MS
      this.#state = 'on'
    } else setTimeout(() => this.#stop(order), order.delayMs)
    this.#wait()
  }

  #stop({ fencers, engines }: Order): void {
    if (this.#state !== 'waiting') return
    this.#state = 'on'
    const endMs = systemClock.nowMs() + STOP_SEEN_MS
    const left = [...fencers]
    const round = (): void => {
      if (this.#state !== 'on') return
      const stand = this.#bringToStand(engines)
      if (stand && left.length === 0) this.#tell({ is: 'on', ...this.#view() })
      else if (systemClock.nowMs() >= endMs) void this.#lift()
      else {
        const next = stand ? left.pop() : undefined
        if (next !== undefined) this.#halt(next)
        setTimeout(round, LOOK_AGAIN_MS)
      }
    }
    round()
  }

  /** True when all stood before this look, which found nobody new: one that ran until just now may have forked. */
  #bringToStand(engines: readonly EngineHome[]): boolean {
    const stood = this.#stopped.every((one) => !isAlive(one) || isStopped(one.pid))
    const isKnown = ({ pid, started }: ProcessId): boolean =>
      this.#stopped.some((one) => one.pid === pid && one.started === started)
    // Main processes first: they are who starts others.
    const found = processesOf(engines).filter((one) => !isKnown(one))
    for (const one of found) this.#halt(one)
    return stood && found.length === 0
  }

  #halt(one: ProcessId): void {
    if (!isAlive(one)) return
    this.#stopped.push(one)
    signalOne(one, 'SIGSTOP')
  }

  #wait(): void {
    clearTimeout(this.#timer)
    const leftMs = this.#dueMs - systemClock.nowMs()
    if (leftMs <= 0) void this.#lift()
    else this.#timer = setTimeout(() => this.#wait(), Math.min(leftMs, SLEEP_MAX_MS))
  }

  /** Resolves when all were told to run. */
  async #lift(): Promise<void> {
    clearTimeout(this.#timer)
    const order = this.#order
    const isKeeper = order?.door === null
    if (this.#state !== 'off') {
      this.#state = 'off'
      this.#lateMs = Math.max(0, systemClock.nowMs() - this.#dueMs)
      if (!isKeeper) setTimeout(() => this.#finish(0), LINGER_MS)
    }
    const fencers = this.#stopped.filter(({ pid }) => order?.fencers.some((one) => one.pid === pid))
    // Also again, when it is asked again: SIGCONT does nothing to what runs.
    for (const one of fencers) signalOne(one, 'SIGCONT')
    this.#headStart ??= fencers.length === 0 ? Promise.resolve() : sleep(FENCERS_FIRST_MS)
    await this.#headStart
    // The keeper was not told whom the first one found.
    const engines = isKeeper && this.#dueMs !== Number.POSITIVE_INFINITY ? processesOf(order.engines) : this.#stopped
    for (const one of engines) signalOne(one, 'SIGCONT')
    this.#tell({ is: 'off', ...this.#view() })
    if (isKeeper) this.#finish(0)
  }

  async #end(): Promise<void> {
    await this.#lift()
    this.#finish(0)
  }

  #view(): DeadmanView {
    const alive = this.#stopped.filter(isAlive)
    const running = alive.filter((one) => !isStopped(one.pid)).length
    return {
      // "Off" is what is seen, not what was done.
      state: this.#state === 'off' && running < alive.length ? 'on' : this.#state,
      stopped: this.#stopped.length,
      running,
      gone: this.#stopped.length - alive.length,
      leftMs: Math.max(0, Math.min(this.#dueMs - systemClock.nowMs(), Number.MAX_SAFE_INTEGER)),
      lateMs: this.#lateMs,
    }
  }

  /** Knows two questions; the secret only ever ends a fault. */
  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const secret = this.#order?.door?.secret ?? ''
    const known = secret !== '' && request.headers.authorization === `Bearer ${secret}`
    request.resume()
    if (known && request.method === 'POST' && request.url === '/lift') await this.#lift()
    const status = known ? 200 : 401
    response.writeHead(status, { 'content-type': 'application/json', connection: 'close' })
    response.end(JSON.stringify(known ? this.#view() : {}))
  }

  #tell(words: object): void {
    process.stdout.write(`${JSON.stringify(words)}\n`)
  }
}
