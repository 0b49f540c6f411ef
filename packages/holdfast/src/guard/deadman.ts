/**
 * The dead-man of a freeze: a process of its own that stops what a drill freezes and lets it run again at its deadline,
 * whatever became of the runner, the network, the agent and the guard. Knows pids and a time; no store, no database.
 *
 * Invariants:
 * - M1 Nothing is stopped before the deadline runs, and nothing by anybody else.
 * - M2 Every process that it stopped is continued: at the deadline, when asked, or when it is told to end.
 * - M3 A process is known by pid and start time, so a reused number is never signalled.
 * - M4 The deadline is of this host's monotonic clock; a jump of the wall clock moves nothing.
 *
 * Two are started for one freeze. The second, the keeper, has no door and stops nothing: it only keeps M2 should the
 * first be killed. A third net is the agent's own start, which continues what a note on its disk names.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { systemClock } from '../io/clock.ts'
import { isAlive, isStopped, type ProcessId } from '../io/process-tree.ts'
import { lineSplitter } from './lines.ts'

/** The first line it reads. */
export interface Order {
  /** In the order in which they are continued: who fences comes first. */
  readonly processes: readonly ProcessId[]
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
/** The kernel stops a process at its next return; one in uninterruptible sleep later. */
const STOP_SEEN_MS = 1_000
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
  #timer: NodeJS.Timeout | undefined
  #server: Server | null = null
  #finish: (code: number) => void = () => {}

  run(): Promise<number> {
    const splitter = lineSplitter(LINE_BYTES_MAX)
    for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
    process.stdin.on('error', () => {})
    // Whoever ends us ends the fault first.
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => this.#end())
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
    else if (line === 'lift') this.#lift()
  }

  #open({ door }: Order): void {
    if (door === null) {
      this.#tell({ is: 'ready', port: null })
      return
    }
    const listener = (request: IncomingMessage, response: ServerResponse): void => this.#answer(request, response)
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
      this.#stopped = [...order.processes]
      this.#dueMs += KEEPER_LATE_MS
      this.#state = 'on'
    } else setTimeout(() => this.#stop(order), order.delayMs)
    this.#wait()
  }

  #stop({ processes }: Order): void {
    if (this.#state !== 'waiting') return
    this.#state = 'on'
    for (const one of processes) {
      if (!isAlive(one)) continue
      this.#stopped.push(one)
      send(one, 'SIGSTOP')
    }
    const endMs = systemClock.nowMs() + STOP_SEEN_MS
    const look = (): void => {
      const still = this.#stopped.filter((one) => isAlive(one) && !isStopped(one.pid))
      if (still.length > 0 && systemClock.nowMs() < endMs && this.#state === 'on') setTimeout(look, 5)
      else this.#tell({ is: 'on', ...this.#view() })
    }
    look()
  }

  #wait(): void {
    clearTimeout(this.#timer)
    const leftMs = this.#dueMs - systemClock.nowMs()
    if (leftMs <= 0) this.#lift()
    else this.#timer = setTimeout(() => this.#wait(), Math.min(leftMs, SLEEP_MAX_MS))
  }

  #lift(): void {
    clearTimeout(this.#timer)
    if (this.#state !== 'off') {
      this.#state = 'off'
      this.#lateMs = Math.max(0, systemClock.nowMs() - this.#dueMs)
      setTimeout(() => this.#finish(0), this.#order?.door === null ? 0 : LINGER_MS)
    }
    // Also again, when it is asked again: SIGCONT does nothing to what runs.
    for (const one of this.#stopped) send(one, 'SIGCONT')
    this.#tell({ is: 'off', ...this.#view() })
  }

  #end(): void {
    this.#lift()
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
  #answer(request: IncomingMessage, response: ServerResponse): void {
    const secret = this.#order?.door?.secret ?? ''
    const known = secret !== '' && request.headers.authorization === `Bearer ${secret}`
    request.resume()
    if (known && request.method === 'POST' && request.url === '/lift') this.#lift()
    const status = known ? 200 : 401
    response.writeHead(status, { 'content-type': 'application/json', connection: 'close' })
    response.end(JSON.stringify(known ? this.#view() : {}))
  }

  #tell(words: object): void {
    process.stdout.write(`${JSON.stringify(words)}\n`)
  }
}

function send(one: ProcessId, signal: 'SIGSTOP' | 'SIGCONT'): void {
  try {
    if (isAlive(one)) process.kill(one.pid, signal)
  } catch {
    // Gone in between, or not ours: then the view says so.
  }
}
