/**
 * A TCP door: accepts clients, keeps their sessions, bounds their number. Knows nothing of groups, epochs or replicas;
 * `primary-door.ts` and `read-door.ts` decide.
 */
import { createServer, type Server, type Socket } from 'node:net'
import { HoldfastError } from '../errors.ts'
import { type RefusalText, TOO_MANY } from './postgres-greeting.ts'
import { KEEP_ALIVE_MS, Session, type Target } from './session.ts'

export interface DoorOptions {
  /** For people: the group and what the door is for. */
  readonly name: string
  readonly listen: { readonly host: string; readonly port: number }
  readonly sessionsMax: number
  readonly onArrive: (session: Session) => void
  readonly onFailed: (session: Session, because: string) => void
  readonly onJoined?: (session: Session) => void
  readonly onGone: (session: Session) => void
}

export interface DoorCounts {
  readonly accepted: number
  readonly refused: number
  readonly cut: number
  readonly retried: number
  readonly sessions: number
  readonly open: number
  readonly bytesUp: number
  readonly bytesDown: number
}

/** Beyond `sessionsMax` this many more are told why; the rest is closed without a word. */
const REFUSING_MAX = 256
const BACKLOG = 1_024

export class Door {
  readonly #options: DoorOptions
  readonly #server: Server
  readonly #sessions = new Map<number, Session>()
  #nextId = 1
  #accepted = 0
  #refused = 0
  #cut = 0
  #retried = 0
  #bytesUp = 0
  #bytesDown = 0

  constructor(options: DoorOptions) {
    this.#options = options
    const socketOptions = { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS }
    this.#server = createServer(socketOptions, (socket) => this.#accept(socket))
  }

  /** Starts to listen; the result is the port. */
  open(): Promise<number> {
    const { host, port } = this.#options.listen
    return new Promise((resolve, reject) => {
      this.#server.once('error', (error) => {
        const next = 'end what listens there, or give the door another address'
        const what = `${this.#options.name} cannot listen on ${host}:${port}: ${error.message}`
        reject(new HoldfastError('HF_LISTEN_FAILED', what, next, error))
      })
      this.#server.listen({ host, port, backlog: BACKLOG }, () => {
        // Accept errors (no more file handles) pass by themselves; a door does not end for them.
        this.#server.on('error', () => {})
        const address = this.#server.address()
        resolve(typeof address === 'object' && address ? address.port : port)
      })
    })
  }

  get(id: number): Session | undefined {
    return this.#sessions.get(id)
  }

  refuse(session: Session, text: RefusalText): void {
    this.#refused += 1
    session.refuse(text)
  }

  /** Cuts the sessions that `chosen` picks by their target; those that saw nothing of it fail over to waiting. */
  cut(chosen: (target: Target | null) => boolean): number {
    let count = 0
    for (const session of [...this.#sessions.values()]) {
      if (!chosen(session.target)) continue
      if (session.phase === 'open') count += 1
      session.cut()
    }
    this.#cut += count
    return count
  }

  /** Sessions per member. */
  load(): ReadonlyMap<string, number> {
    const load = new Map<string, number>()
    for (const { target } of this.#sessions.values()) {
      if (target) load.set(target.member, (load.get(target.member) ?? 0) + 1)
    }
    return load
  }

  counts(): DoorCounts {
    let open = 0
    let up = this.#bytesUp
    let down = this.#bytesDown
    for (const session of this.#sessions.values()) {
      if (session.phase === 'open') open += 1
      up += session.bytesUp
      down += session.bytesDown
    }
    return {
      accepted: this.#accepted,
      refused: this.#refused,
      cut: this.#cut,
      retried: this.#retried,
      sessions: this.#sessions.size,
      open,
      bytesUp: up,
      bytesDown: down,
    }
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    for (const session of [...this.#sessions.values()]) session.end()
    await closed
  }

  /** The oldest silent client leaves, so that silence alone cannot keep the others out. */
  #endDawdler(): void {
    for (const session of this.#sessions.values()) {
      if (!session.dawdles) continue
      session.end()
      return
    }
  }

  #accept(socket: Socket): void {
    const { sessionsMax, name } = this.#options
    if (this.#sessions.size >= sessionsMax) this.#endDawdler()
    if (this.#sessions.size >= sessionsMax + REFUSING_MAX) {
      socket.on('error', () => {})
      socket.resetAndDestroy()
      return
    }
    const id = this.#nextId
    this.#nextId += 1
    this.#accepted += 1
    const full = this.#sessions.size >= sessionsMax
    const session = new Session(id, socket, {
      onArrive: (one) => this.#options.onArrive(one),
      onFailed: (one, because) => {
        this.#retried += 1
        this.#options.onFailed(one, because)
      },
      onJoined: (one) => this.#options.onJoined?.(one),
      onEnd: (one) => {
        this.#sessions.delete(one.id)
        this.#bytesUp += one.bytesUp
        this.#bytesDown += one.bytesDown
        this.#options.onGone(one)
      },
    })
    this.#sessions.set(id, session)
    if (!full) return
    this.refuse(session, {
      sqlState: TOO_MANY,
      message: `${name}: this door has ${sessionsMax} connections and takes no more`,
      detail: 'The bound protects the router; it is not a limit of the database.',
      hint: 'Close idle connections, use a pool, or raise the bound of the door.',
    })
  }
}
