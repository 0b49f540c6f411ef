/**
 * Answers requests from the embedded store's file. Linearizable because everything happens in this one thread on
 * committed data; writes that arrive together share one commit and one sync. Checks who asks (bearer token) and what
 * is asked. Retries, deadlines and decisions are the clients'.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { LIST_MAX } from '../contract.ts'
import { isObject } from '../limits.ts'
import type { StoreFile } from './file.ts'
import { BODY_BYTES_MAX, type CasRequest, parseCas, parseGet, parseList, parseWatch } from './protocol.ts'
import { WATCHERS_MAX, Watchers } from './watchers.ts'

/** Writes of one commit; more wait for the next. */
const BATCH_MAX = 256

export type Log = (message: string, detail: Readonly<Record<string, unknown>>) => void

interface Reply {
  readonly status: number
  readonly body: unknown
}

interface PendingWrite {
  readonly request: CasRequest
  readonly response: ServerResponse
}

export class StoreAnswers {
  readonly #file: StoreFile
  readonly #tokenDigest: Buffer | null
  readonly #log: Log
  readonly #watchers: Watchers
  #pending: PendingWrite[] = []
  #closed = false

  constructor(file: StoreFile, token: string | null, log: Log) {
    this.#file = file
    this.#tokenDigest = token === null ? null : digest(token)
    this.#log = log
    this.#watchers = new Watchers(file)
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#watchers.close()
    this.#file.close()
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
    request.on('error', () => response.destroy())
    response.on('error', () => response.destroy())
    const refused = this.#refusal(request)
    if (refused !== null) {
      // What is left of the body is not read: the connection ends with the answer.
      response.setHeader('connection', 'close')
      send(response, refused)
      return
    }
    const chunks: Buffer[] = []
    let bytes = 0
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes <= BODY_BYTES_MAX) chunks.push(chunk)
      else if (!response.headersSent) {
        response.setHeader('connection', 'close')
        send(response, refusal(413, 'too-large', `a request has at most ${BODY_BYTES_MAX} bytes`))
      }
    })
    request.on('end', () => {
      if (response.headersSent) return
      const reply = this.#answer(request.url ?? '', Buffer.concat(chunks), response)
      if (reply !== null) send(response, reply)
    })
  }

  #refusal(request: IncomingMessage): Reply | null {
    if (this.#closed) return refusal(503, 'closing', 'the store is being closed')
    if (this.#tokenDigest !== null) {
      const given = /^Bearer ([^\s]+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? ''
      // Digests have one length, so the comparison takes the same time for every wrong token.
      if (!timingSafeEqual(digest(given), this.#tokenDigest)) {
        return refusal(401, 'wrong-token', 'the bearer token is missing or wrong')
      }
    }
    if (request.method !== 'POST') return refusal(405, 'method-not-allowed', 'only POST is answered')
    // A web page can make a browser on this machine post here, but not with this type and without an origin.
    if (request.headers.origin !== undefined) return refusal(403, 'origin-refused', 'browsers are not answered')
    if (!/^application\/json\b/i.test(request.headers['content-type'] ?? '')) {
      return refusal(415, 'not-json', 'content-type must be application/json')
    }
    return null
  }

  #answer(path: string, bytes: Buffer, response: ServerResponse): Reply | null {
    let body: unknown
    try {
      body = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    } catch {
      return refusal(400, 'malformed', 'the body is not JSON')
    }
    if (!isObject(body)) return refusal(400, 'malformed', 'the body must be a JSON object')
    try {
      return this.#route(path, body, response)
    } catch (error) {
      this.#log('store failed to answer', { path, because: String(error) })
      return response.headersSent ? null : refusal(503, 'storage-failed', 'the file could not be read')
    }
  }

  #route(path: string, body: Readonly<Record<string, unknown>>, response: ServerResponse): Reply | null {
    if (this.#closed) return refusal(503, 'closing', 'the store is being closed')
    if (path === '/v1/get') {
      const parsed = parseGet(body)
      if (!parsed.ok) return refusal(400, 'malformed', parsed.because)
      return ok({ ...this.#file.stamp(), entry: this.#file.get(parsed.value.key) })
    }
    if (path === '/v1/list') {
      const parsed = parseList(body)
      if (!parsed.ok) return refusal(400, 'malformed', parsed.because)
      const entries = this.#file.changedAfter(parsed.value.prefix, 0, LIST_MAX)
      return ok({ ...this.#file.stamp(), entries })
    }
    if (path === '/v1/cas') {
      const parsed = parseCas(body)
      if (!parsed.ok) return refusal(400, 'malformed', parsed.because)
      this.#enqueue({ request: parsed.value, response })
      return null
    }
    if (path === '/v1/watch') {
      const parsed = parseWatch(body)
      if (!parsed.ok) return refusal(400, 'malformed', parsed.because)
      if (this.#watchers.isFull()) return refusal(503, 'busy', `${WATCHERS_MAX} watches are open`)
      this.#watchers.add(response, parsed.value)
      return null
    }
    return refusal(404, 'not-found', 'known are /v1/get, /v1/list, /v1/cas and /v1/watch')
  }

  #enqueue(write: PendingWrite): void {
    this.#pending.push(write)
    if (this.#pending.length === 1) setImmediate(() => this.#commit())
  }

  /** The queue is bounded by the connections: each carries one request at a time. */
  #commit(): void {
    if (this.#closed || this.#pending.length === 0) return
    const batch = this.#pending.splice(0, BATCH_MAX)
    if (this.#pending.length > 0) setImmediate(() => this.#commit())
    const outcome = this.#file.apply(batch.map((write) => write.request))
    if (outcome.kind === 'failed') {
      const code = outcome.diskFull ? 'disk-full' : 'storage-failed'
      this.#log('store could not write', { code, because: outcome.because, writes: batch.length })
      for (const { response } of batch) send(response, refusal(503, code, outcome.because))
      return
    }
    const stamp = this.#file.stamp()
    for (const [index, { response }] of batch.entries()) {
      const result = outcome.results[index]
      if (result === undefined) continue
      if (result.kind === 'refused') send(response, refusal(507, 'full', result.because))
      else send(response, ok({ ...stamp, applied: result.kind === 'applied', entry: result.entry }))
    }
    this.#watchers.feed()
  }
}

function ok(body: unknown): Reply {
  return { status: 200, body }
}

function refusal(status: number, code: string, message: string): Reply {
  return { status, body: { error: { code, message } } }
}

function send(response: ServerResponse, { status, body }: Reply): void {
  const text = JSON.stringify(body)
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
  response.end(text)
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
