/**
 * The HTTP side of a store client, one channel an endpoint: JSON requests over kept-alive connections, and NDJSON
 * streams over connections of their own, so that a watch never stands before a beat in a queue. Small requests leave
 * at once (TCP_NODELAY), one request a connection (no pipelining), no HTTP/2 (one stalled connection would stall all
 * its streams, and an abandoned request would not close it). What an answer means is left to the adapters.
 */
import { connect as connectTcp } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { buildConnector, Pool } from 'undici'
import { exchange, httpPool, listen } from '../io/http-pool.ts'
import { isObject } from './limits.ts'
import { LineCutter } from './lines.ts'

/**
 * Calls of one process that may be under way at once: beats, group records and what an operator asks, and for a
 * second the connections of abandoned attempts at a host that is gone.
 */
const CALL_CONNECTIONS = 64
/** Watches of one process: sessions, groups, and a reserve while a broken one is replaced. */
const STREAM_CONNECTIONS = 64
/** Longer than any pause between beats, so that a beat never pays for a connection. */
const KEEP_ALIVE_MS = 60_000
/** A connection that is not there by then belongs to a host that is not there. */
const CONNECT_MS = 1_000
/** An answer to one key with its JSON escapes; listings have a bound of their own. */
export const ANSWER_BYTES_MAX = 1_048_576
/** A listing of usual records is some 10 MB; more is not worth waiting for. */
export const LISTING_BYTES_MAX = 67_108_864
/** A stream's line may hold several entries. */
const LINE_BYTES_MAX = 16_777_216
/** A broken server's words are cut to this for messages. */
const QUOTE_CHARS = 120

export interface ChannelOptions {
  readonly url: string
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

export interface ChannelRequest {
  readonly path: string
  readonly body: unknown
  readonly headers: Readonly<Record<string, string>>
}

/** `sent` false: the request surely never reached the server. */
export type ChannelAnswer =
  | { readonly kind: 'answer'; readonly status: number; readonly json: Readonly<Record<string, unknown>> }
  | { readonly kind: 'failed'; readonly because: string; readonly sent: boolean }

export interface StreamHandlers {
  onLine(json: Readonly<Record<string, unknown>>): void
  /** Once; nothing comes after it. Not called after `close`. */
  onEnd(because: string): void
}

export interface Stream {
  close(): void
}

export class Channel {
  readonly url: string
  readonly #calls: Pool
  readonly #streams: Pool

  constructor(options: ChannelOptions) {
    this.url = options.url
    const origin = new URL(options.url).origin
    const pool = (connections: number) =>
      httpPool(origin, {
        connections,
        pipelining: 1,
        allowH2: false,
        connect: connector(options),
        keepAliveTimeout: KEEP_ALIVE_MS,
        keepAliveMaxTimeout: KEEP_ALIVE_MS,
        // Deadlines are the callers': undici's own timers are as coarse as half a second.
        headersTimeout: 0,
        bodyTimeout: 0,
      })
    this.#calls = pool(CALL_CONNECTIONS)
    this.#streams = pool(STREAM_CONNECTIONS)
  }

  /** Ends within `timeoutMs`, whatever the server does; an abandoned request closes its connection. Never throws. */
  async call(request: ChannelRequest, timeoutMs: number, bytesMax = ANSWER_BYTES_MAX): Promise<ChannelAnswer> {
    try {
      const { status, text } = await exchange(this.#calls, post(request), { timeoutMs, bytesMax })
      if (text === null) return this.#failed(`its answer is longer than ${bytesMax} bytes`, true)
      const json = parseObject(text)
      if (json === null) return this.#failed(`it answered ${status} with no JSON object: ${quote(text)}`, true)
      return { kind: 'answer', status, json }
    } catch (error) {
      return this.#failed(wordsOf(error), !neverConnected(error))
    }
  }

  stream(request: ChannelRequest, handlers: StreamHandlers): Stream {
    const cutter = new LineCutter(LINE_BYTES_MAX)
    let status = 0
    let ended = false
    // A closed pool refuses before there is anything to close.
    let ear: Stream | null = null
    const end = (because: string): void => {
      if (ended) return
      ended = true
      ear?.close()
      handlers.onEnd(`${this.url}: ${because}`)
    }
    ear = listen(this.#streams, post(request), {
      onStatus: (code) => {
        status = code
      },
      onChunk: (chunk) => {
        const cut = cutter.push(chunk)
        if (!cut.ok) return end(cut.because)
        for (const line of cut.lines) {
          if (ended) return
          const json = parseObject(line)
          if (json === null) return end(`it streamed what is no JSON object: ${quote(line)}`)
          if (status !== 200) return end(`it answered ${status}: ${quote(line)}`)
          handlers.onLine(json)
        }
      },
      onEnd: (error) => end(error === null ? 'the stream ended' : wordsOf(error)),
    })
    return {
      close: () => {
        ended = true
        ear?.close()
      },
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.#calls.destroy(), this.#streams.destroy()])
  }

  #failed(because: string, sent: boolean): ChannelAnswer {
    return { kind: 'failed', because: `${this.url}: ${because}`, sent }
  }
}

function post(request: ChannelRequest) {
  return {
    method: 'POST',
    path: request.path,
    headers: { 'content-type': 'application/json', ...request.headers },
    body: JSON.stringify(request.body),
  } as const
}

/** Like undici's own, with a time-out that is exact: theirs may come half a second late. */
function connector(options: ChannelOptions): buildConnector.connector {
  const { ca, cert, key } = options
  const secrets = {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  }
  return ({ hostname, protocol, port, servername }, callback) => {
    const host = hostname.replace(/^\[|\]$/g, '')
    const secure = protocol === 'https:'
    const address = { host, port: Number(port) || (secure ? 443 : 80), noDelay: true, keepAlive: true }
    const socket = secure
      ? connectTls({ ...address, ...secrets, ALPNProtocols: ['http/1.1'], ...(servername ? { servername } : {}) })
      : connectTcp(address)
    const timer = setTimeout(() => socket.destroy(connectFailure('no connection')), CONNECT_MS)
    let told = false
    const tell = (error: Error | null) => {
      if (told) return
      told = true
      clearTimeout(timer)
      if (error === null) callback(null, socket)
      else callback(connectFailure(wordsOf(error)), null)
    }
    socket.once(secure ? 'secureConnect' : 'connect', () => tell(null))
    socket.on('error', tell)
    socket.once('close', () => tell(connectFailure('connection closed at once')))
  }
}

const CONNECT_FAILED = 'HOLDFAST_CONNECT_FAILED'

function connectFailure(because: string): Error {
  return Object.assign(new Error(because), { code: CONNECT_FAILED })
}

function neverConnected(error: unknown): boolean {
  return isCoded(error) && error.code === CONNECT_FAILED
}

function isCoded(error: unknown): error is { code: string } {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string'
}

function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error instanceof AggregateError && error.errors.length > 0) return wordsOf(error.errors[0])
  if (error.message !== '') return quote(error.message)
  return isCoded(error) ? error.code : error.name
}

function parseObject(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const json: unknown = JSON.parse(text)
    return isObject(json) ? json : null
  } catch {
    return null
  }
}

/** A stranger's text made fit for one line of a message. */
export function quote(text: string): string {
  const line = text.replace(/[^\x20-\x7e]+/g, ' ').trim()
  return line.length > QUOTE_CHARS ? `${line.slice(0, QUOTE_CHARS)}...` : line
}
