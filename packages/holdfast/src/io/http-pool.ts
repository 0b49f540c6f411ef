/**
 * Keep-alive HTTP connections to one address: undici's pool, taken from its file so that a process which lives for
 * years does not carry the rest of the library (fetch, WebSocket, mocks: 11 MB resident, measured on 8.12.4).
 */
import { createRequire } from 'node:module'
import type { Dispatcher, Pool } from 'undici'
import { blockade } from './blockade.ts'

const load = createRequire(import.meta.url)
const PoolClass = load('undici/lib/dispatcher/pool.js') as typeof Pool
const dispatcher = load('undici/lib/dispatcher/dispatcher.js') as { readonly prototype: Dispatcher }
/** `request` and its kin; the library's own door adds them the same way. */
Object.assign(dispatcher.prototype, load('undici/lib/api/index.js'))

export interface Exchange {
  readonly method: 'GET' | 'POST' | 'PATCH'
  readonly path: string
  readonly headers: Record<string, string>
  readonly body?: string
}

/** `text` is null when the answer was longer than allowed; its connection is closed. */
export interface Exchanged {
  readonly status: number
  readonly text: string | null
}

export interface Bounds {
  /** The question ends by then, whatever the server does. */
  readonly timeoutMs: number
  readonly bytesMax: number
}

/**
 * One small question and its whole answer, without the streams of `pool.request` and without an `AbortSignal` a
 * question: an agent asks some twenty of these a second for as long as it lives. Rejects with undici's error, or when
 * the time is up; an abandoned question closes its connection.
 */
export function exchange(pool: Pool, question: Exchange, bounds: Bounds): Promise<Exchanged> {
  return new Promise((resolve, reject) => {
    const origin = origins.get(pool) ?? ''
    const collector = new Collector(bounds, { resolve, reject }, origin)
    // A drill may have put this address out of reach: then nothing leaves, and the time runs out as it would.
    if (!blockade.covers(origin)) pool.dispatch(question, collector)
  })
}

interface Settle {
  readonly resolve: (answer: Exchanged) => void
  readonly reject: (error: unknown) => void
}

/** Where each pool leads. */
const origins = new WeakMap<Pool, string>()

class Collector implements Dispatcher.DispatchHandler {
  readonly #origin: string
  readonly #bytesMax: number
  readonly #settle: Settle
  readonly #timer: NodeJS.Timeout
  #controller: Dispatcher.DispatchController | null = null
  #chunks: Buffer[] = []
  #bytes = 0
  #status = 0
  #over = false

  constructor({ timeoutMs, bytesMax }: Bounds, settle: Settle, origin: string) {
    this.#origin = origin
    this.#bytesMax = bytesMax
    this.#settle = settle
    // undici tells of an abort only once it has a connection, so its word is not waited for.
    this.#timer = setTimeout(() => this.#abandon(`no answer within ${Math.round(timeoutMs)} ms`), timeoutMs)
  }

  /** Also called anew when the question is sent again on another connection. */
  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#over) controller.abort(new Error('abandoned'))
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number): void {
    this.#status = status
    this.#chunks = []
    this.#bytes = 0
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bytes += chunk.length
    if (this.#bytes <= this.#bytesMax) {
      this.#chunks.push(chunk)
      return
    }
    this.#end(() => this.#settle.resolve({ status: this.#status, text: null }))
    controller.abort(new Error('the answer is too long'))
  }

  onResponseEnd(): void {
    // Asked before the address was put out of reach, answered after.
    if (blockade.covers(this.#origin)) return
    const [first] = this.#chunks
    const whole = this.#chunks.length === 1 && first !== undefined ? first : Buffer.concat(this.#chunks)
    this.#end(() => this.#settle.resolve({ status: this.#status, text: whole.toString('utf8') }))
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#end(() => this.#settle.reject(error))
  }

  #abandon(because: string): void {
    const reason = new Error(because)
    this.#end(() => this.#settle.reject(reason))
    this.#controller?.abort(reason)
  }

  #end(settle: () => void): void {
    if (this.#over) return
    this.#over = true
    clearTimeout(this.#timer)
    settle()
    this.#chunks = []
  }
}

export interface Listener {
  readonly onStatus: (status: number) => void
  readonly onChunk: (chunk: Buffer) => void
  /** Once, and nothing after it; null: the answer came to its end. Not called after `close`. */
  readonly onEnd: (error: Error | null) => void
}

/** One question whose answer goes on and on, on a connection of its own. Closing it closes the connection. */
export function listen(pool: Pool, question: Exchange, listener: Listener): { close(): void } {
  const origin = origins.get(pool) ?? ''
  const ear = new Ear(listener, origin)
  if (!ear.cut()) pool.dispatch(question, ear)
  return { close: () => ear.close() }
}

class Ear implements Dispatcher.DispatchHandler {
  readonly #listener: Listener
  readonly #origin: string
  #controller: Dispatcher.DispatchController | null = null
  #over = false
  #forget: () => void = () => {}

  constructor(listener: Listener, origin: string) {
    this.#listener = listener
    this.#origin = origin
  }

  /** True while a drill has put the address out of reach: silence, and a broken connection once it is over. */
  cut(): boolean {
    if (this.#over || !blockade.covers(this.#origin)) return this.#over
    this.#over = true
    this.#controller?.abort(new Error('out of reach'))
    this.#forget = blockade.whenOpen(() => this.#listener.onEnd(new Error('the connection was lost')))
    return true
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#over) controller.abort(new Error('closed'))
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number): void {
    if (!this.#over) this.#listener.onStatus(status)
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.cut()) this.#listener.onChunk(chunk)
  }

  onResponseEnd(): void {
    this.#end(null)
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#end(error)
  }

  close(): void {
    this.#over = true
    this.#forget()
    this.#controller?.abort(new Error('closed'))
  }

  #end(error: Error | null): void {
    if (this.#over) return
    this.#over = true
    this.#listener.onEnd(error)
  }
}

export function httpPool(origin: string, options: Pool.Options): Pool {
  const pool = new PoolClass(origin, options)
  origins.set(pool, new URL(origin).origin)
  return pool
}
