/**
 * One client at a door, and the backend it is joined to. Reads the greeting, waits for the door's word, joins, passes
 * bytes both ways with back-pressure, and ends both sides together. Who connects where and when is decided elsewhere.
 *
 * Until the backend's first byte the client has seen nothing of it: a backend that fails or says "not now" before that
 * is dropped and the client waits on. A greeting is only ever repeated when it is a lone start-up packet or a probe, so
 * nothing a client asked for can be done twice.
 */
import { connect, type OnReadOpts, type Socket } from 'node:net'
import { systemClock } from '../io/clock.ts'
import {
  GREETING_BYTES_MAX,
  type Greeting,
  greetingOf,
  NO_ENCRYPTION,
  type RefusalText,
  saysNotNow,
} from './postgres-greeting.ts'
import { refusalFor } from './redis-greeting.ts'

export interface Target {
  readonly member: string
  readonly host: string
  readonly port: number
}

export interface SessionEvents {
  /** The greeting is there: the session wants a backend. */
  onArrive(session: Session): void
  /** The backend of `connect` did not take it; the client waits on. */
  onFailed(session: Session, because: string): void
  /** The backend of `connect` took it. */
  onJoined(session: Session): void
  /** Both sides are gone. Called once. */
  onEnd(session: Session): void
}

export type SessionPhase = 'greeting' | 'waiting' | 'trying' | 'open' | 'refusing' | 'ended'

/** Who has not said hello by then is not coming, and holds a place that others want. */
const GREETING_MAX_MS = 10_000
/** And after this long it gives its place to somebody else when there is no other. */
const DAWDLE_MS = 1_000
/** A backend host that swallows packets must not hold an attempt longer than this. */
const CONNECT_MAX_MS = 1_000
/** One side said goodbye; the other one's last words may take this long. */
const HALF_OPEN_MAX_MS = 60_000
/** A refused client gets this long to read why. */
const REFUSAL_MAX_MS = 2_000
export const KEEP_ALIVE_MS = 10_000
/** Each session keeps so much to read answers into; one whose answers fill it gets the larger one meanwhile. */
const READ_SMALL_BYTES = 8_192
const READ_LARGE_BYTES = 65_536

export class Session {
  readonly id: number
  readonly #arrivedMs = systemClock.nowMs()
  readonly #client: Socket
  readonly #events: SessionEvents
  #phase: SessionPhase = 'greeting'
  #backend: Socket | null = null
  /** The backend's system took the connection, so what the client said may have arrived. */
  #reached = false
  #target: Target | null = null
  /** What the client said and no backend has answered. */
  #head: Buffer = Buffer.alloc(0)
  #greeting: Greeting | null = null
  #refusal: RefusalText | null = null
  #timer: NodeJS.Timeout | undefined
  bytesUp = 0
  bytesDown = 0

  constructor(id: number, client: Socket, events: SessionEvents) {
    this.id = id
    this.#client = client
    this.#events = events
    client.on('data', (chunk) => this.#onClientData(chunk))
    client.on('end', () => this.#onClientEnd())
    client.on('drain', () => this.#backend?.resume())
    client.on('error', () => this.end())
    client.on('close', () => this.end())
    this.#limit(GREETING_MAX_MS)
  }

  get phase(): SessionPhase {
    return this.#phase
  }

  get target(): Target | null {
    return this.#target
  }

  /** It came and does not say what it wants. */
  get dawdles(): boolean {
    return this.#phase === 'greeting' && systemClock.nowMs() - this.#arrivedMs > DAWDLE_MS
  }

  /** Joins the client to a backend; only in phase `waiting`. */
  connect(target: Target): void {
    if (this.#phase !== 'waiting') return
    this.#phase = 'trying'
    this.#target = target
    const { host, port } = target
    const onread = this.#readFrom(() => backend)
    const backend: Socket = connect({ host, port, allowHalfOpen: true, noDelay: true, onread })
    this.#backend = backend
    this.#reached = false
    this.#limit(CONNECT_MAX_MS)
    backend.setKeepAlive(true, KEEP_ALIVE_MS)
    backend.on('connect', () => {
      if (backend !== this.#backend) return
      this.#reached = true
      this.#limit(0)
      this.#greetBackend(backend)
    })
    backend.on('drain', () => {
      if (backend === this.#backend) this.#client.resume()
    })
    backend.on('end', () => {
      if (backend === this.#backend) this.#onBackendEnd('closed before it answered')
    })
    backend.on('error', (error) => {
      if (backend === this.#backend) this.#onBackendLost(error.message)
    })
    backend.on('close', () => {
      if (backend === this.#backend) this.#onBackendLost('closed')
    })
  }

  /**
   * Where the bytes of one backend go: into the same memory again and again, which saves the largest cost of passing
   * small answers on. Memory that the client's socket still has to send is left to it and replaced.
   */
  #readFrom(from: () => Socket): OnReadOpts {
    let memory = Buffer.allocUnsafeSlow(READ_SMALL_BYTES)
    return {
      buffer: () => memory,
      callback: (length) => {
        const backend = from()
        if (backend !== this.#backend) return false
        const view = memory.subarray(0, length)
        const waits = this.#client.writableLength > 0
        this.#onBackendData(backend, waits ? Buffer.from(view) : view)
        const lent = !waits && this.#client.writableLength > 0
        const bytes = nextBytes(memory.length, length)
        if (lent || bytes !== memory.length) memory = Buffer.allocUnsafeSlow(bytes)
        return !backend.isPaused()
      },
    }
  }

  /** Tells the client why and lets it go. */
  refuse(text: RefusalText): void {
    if (this.#phase === 'open' || this.#phase === 'ended') {
      this.end()
      return
    }
    this.#dropBackend()
    this.#refusal = text
    this.#phase = 'refusing'
    this.#limit(REFUSAL_MAX_MS)
    this.#client.resume()
    this.#sayRefusal()
  }

  /** The route is gone. A client that has seen nothing of the backend waits on; everybody else is cut off, now. */
  cut(): void {
    if (this.#phase === 'trying' && this.#repeatable()) this.#fail('the route changed')
    else if (this.#phase === 'trying' || this.#phase === 'open') this.end()
    else if (this.#phase === 'greeting') this.#dropBackend()
  }

  end(): void {
    if (this.#phase === 'ended') return
    this.#phase = 'ended'
    clearTimeout(this.#timer)
    this.#dropBackend()
    this.#client.destroy()
    this.#events.onEnd(this)
  }

  #limit(ms: number): void {
    clearTimeout(this.#timer)
    if (ms > 0) this.#timer = setTimeout(() => this.#onLimit(), ms)
  }

  #onLimit(): void {
    if (this.#phase === 'trying') this.#onBackendLost(`no connection within ${CONNECT_MAX_MS} ms`)
    else this.end()
  }

  #onClientData(chunk: Buffer): void {
    if (this.#phase === 'open') {
      this.bytesUp += chunk.length
      if (this.#backend?.write(chunk) === false) this.#client.pause()
      return
    }
    if (this.#phase === 'refusing' && !this.#refusal) return
    this.#head = this.#head.length === 0 ? chunk : Buffer.concat([this.#head, chunk])
    if (this.#phase === 'greeting') this.#readGreeting()
    else if (this.#phase === 'refusing') this.#sayRefusal()
    else if (this.#backend && this.#phase === 'trying' && !this.#backend.connecting) this.#backend.write(chunk)
    // Nobody reads on until there is a backend; the client's kernel holds the rest.
    if (this.#phase !== 'refusing' && this.#head.length > GREETING_BYTES_MAX) this.#client.pause()
  }

  #readGreeting(): void {
    this.#greeting = greetingOf(this.#head)
    if (!this.#greeting) return
    this.#limit(0)
    if (this.#backend) {
      this.#phase = 'trying'
      this.#greetBackend(this.#backend)
      return
    }
    this.#phase = 'waiting'
    this.#events.onArrive(this)
  }

  #greetBackend(backend: Socket): void {
    this.bytesUp += this.#head.length
    backend.write(this.#head)
    if (this.#greeting?.kind === 'foreign' || this.#greeting?.kind === 'cancel') this.#open()
  }

  #onBackendData(backend: Socket, chunk: Buffer): void {
    if (this.#phase === 'trying' && this.#greeting?.kind === 'probe' && chunk.equals(NO_ENCRYPTION)) {
      this.#head = this.#head.subarray(this.#greeting.bytes)
      this.#greeting = null
      this.#phase = 'greeting'
      this.#limit(GREETING_MAX_MS)
      this.#client.write(chunk)
      if (this.#head.length > 0) this.#readGreeting()
      return
    }
    if (this.#phase === 'trying') {
      if (this.#greeting?.kind === 'startup' && this.#repeatable() && saysNotNow(chunk)) {
        this.#fail('it starts or stops')
        return
      }
      this.#open()
    }
    this.bytesDown += chunk.length
    if (!this.#client.write(chunk)) backend.pause()
  }

  #open(): void {
    this.#phase = 'open'
    this.#head = Buffer.alloc(0)
    this.#client.resume()
    this.#events.onJoined(this)
  }

  #onClientEnd(): void {
    if (this.#phase !== 'open') {
      this.end()
      return
    }
    this.#backend?.end()
    this.#limit(HALF_OPEN_MAX_MS)
  }

  #onBackendEnd(because: string): void {
    if (this.#phase !== 'open') {
      this.#onBackendLost(because)
      return
    }
    this.#client.end()
    this.#limit(HALF_OPEN_MAX_MS)
  }

  #onBackendLost(because: string): void {
    if (this.#phase === 'trying' && this.#repeatable()) this.#fail(because)
    else if (this.#phase === 'greeting') this.#dropBackend()
    else if (this.#phase === 'open' && this.#client.writableEnded) this.#dropBackend()
    else this.end()
  }

  /** Nothing was sent, or only what may be sent again. */
  #repeatable(): boolean {
    if (!this.#reached) return true
    const kind = this.#greeting?.kind
    return (kind === 'startup' || kind === 'probe') && this.#head.length === this.#greeting?.bytes
  }

  #fail(because: string): void {
    this.#dropBackend()
    this.#phase = 'waiting'
    this.#limit(0)
    this.#events.onFailed(this, because)
  }

  #dropBackend(): void {
    const backend = this.#backend
    this.#backend = null
    this.#target = null
    if (!backend) return
    // A reset rather than a goodbye: whatever is still on its way must not be taken for the end of a conversation.
    if (backend.connecting) backend.destroy()
    else backend.resetAndDestroy()
  }

  #sayRefusal(): void {
    const refusal = this.#refusal
    const greeting = greetingOf(this.#head)
    if (!refusal || !greeting) return
    if (greeting.kind === 'cancel') {
      this.end()
      return
    }
    if (greeting.kind === 'probe') {
      this.#head = this.#head.subarray(greeting.bytes)
      this.#client.write(NO_ENCRYPTION)
      if (this.#head.length > 0) this.#sayRefusal()
      return
    }
    this.#refusal = null
    const words = refusalFor(greeting, this.#head, refusal)
    if (words === null) this.#client.end()
    else this.#client.end(words)
    // What it may still say is read and dropped, so that the refusal is not lost to a reset.
    this.#head = Buffer.alloc(0)
  }
}

function nextBytes(bytes: number, read: number): number {
  if (read === bytes) return READ_LARGE_BYTES
  return read < READ_SMALL_BYTES ? READ_SMALL_BYTES : bytes
}
