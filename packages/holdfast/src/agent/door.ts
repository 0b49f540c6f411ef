/**
 * The agent's HTTP door: who may come in, how much they may bring, how an error looks. What is answered stands in the
 * routes. Health checks need no token; everything else does. Without token and TLS it opens on loopback only.
 */
import { hash, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { ERRORS, HoldfastError } from '../errors.ts'
import { boundRemotes } from '../io/remote-bound.ts'

/** A request names a group, a member and a reason. */
export const BODY_BYTES_MAX = 16_384
const CONNECTIONS_MAX = 512
/** Peers, routers and people of one host need a few; so no host alone can shut the others out. */
const CONNECTIONS_PER_REMOTE_MAX = 128
const HEADERS_TIMEOUT_MS = 5_000
const REQUEST_TIMEOUT_MS = 10_000
/** Node looks for connections beyond these limits only so often. */
const CHECK_MS = 1_000
/** Longer than the keep-alive of peers and routers, so that they end idle connections and not we. */
const KEEP_ALIVE_MS = 60_000

export interface Request {
  readonly params: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  readonly body: unknown
}

export interface Answer {
  readonly status: number
  /** Text is sent as it is, anything else as JSON. */
  readonly body: unknown
  readonly contentType?: string
}

export interface Route {
  readonly method: 'GET' | 'POST'
  /** Segments; `:name` takes one. */
  readonly path: string
  /** Needs no token. */
  readonly open: boolean
  /** `BODY_BYTES_MAX` where it is absent. */
  readonly bodyBytesMax?: number
  readonly handle: (request: Request) => Answer | Promise<Answer>
}

export interface DoorOptions {
  readonly host: string
  readonly port: number
  readonly token: string | null
  readonly tls: { readonly cert: string; readonly key: string } | null
  readonly routes: readonly Route[]
  /** Sent with every answer as `holdfast-loop-age-ms`. */
  readonly loopAgeMs: () => number
}

export interface Door {
  readonly url: string
  close(): Promise<void>
}

export async function openDoor(options: DoorOptions): Promise<Door> {
  const { host, port, tls } = options
  if (!isLoopback(host) && (options.token === null || tls === null)) {
    throw new HoldfastError(
      'HF_LISTEN_UNSAFE',
      `the agent would listen on ${host} without ${options.token === null ? 'a token' : 'TLS'}`,
      'give the agent a token and tls in the description, or a loopback address',
    )
  }
  const digest = options.token === null ? null : sha256(options.token)
  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    void serve(options, digest, request, response)
  }
  const limits = {
    maxHeaderSize: 8_192,
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionsCheckingInterval: CHECK_MS,
  }
  const server =
    tls === null
      ? createServer(limits, onRequest)
      : createTlsServer({ ...limits, handshakeTimeout: HEADERS_TIMEOUT_MS, ...tls }, onRequest)
  server.keepAliveTimeout = KEEP_ALIVE_MS
  server.maxConnections = CONNECTIONS_MAX
  boundRemotes(server, CONNECTIONS_PER_REMOTE_MAX)
  await listen(server, host, port)
  const bound = server.address()
  const boundPort = typeof bound === 'object' && bound !== null ? bound.port : port
  const shown = host.includes(':') ? `[${host}]` : host
  return { url: `${tls === null ? 'http' : 'https'}://${shown}:${boundPort}`, close: () => shut(server) }
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host)
}

async function serve(
  options: DoorOptions,
  digest: Buffer | null,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  let answer: Answer
  try {
    answer = await route(options, digest, request)
  } catch (error) {
    answer = errorAnswer(error)
  }
  if (response.destroyed) return
  const text = typeof answer.body === 'string' ? answer.body : `${JSON.stringify(answer.body)}\n`
  const plain = typeof answer.body === 'string' ? 'text/plain; charset=utf-8' : 'application/json'
  response.writeHead(answer.status, {
    'content-type': answer.contentType ?? plain,
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    'holdfast-loop-age-ms': options.loopAgeMs().toFixed(1),
    ...(answer.status === 401 ? { 'www-authenticate': 'Bearer' } : {}),
    // A body that was refused unread must not be taken for the next request.
    ...(request.complete ? {} : { connection: 'close' }),
  })
  response.end(request.method === 'HEAD' ? undefined : text)
}

async function route(options: DoorOptions, digest: Buffer | null, request: IncomingMessage): Promise<Answer> {
  const { path, query } = addressOf(request.url ?? '/')
  const fitting = fittingRoutes(options.routes, path)
  const open = fitting.some((f) => f.route.open)
  // Whether a path exists is told only to those who may know.
  if (!open && digest !== null && !bears(request, digest)) {
    const next = 'send the token that the agents have from their description, as Authorization: Bearer TOKEN'
    throw new HoldfastError('HF_AUTH_REQUIRED', 'this path needs the token of the agents', next)
  }
  if (fitting.length === 0) {
    throw new HoldfastError('HF_PATH_UNKNOWN', `nothing at ${path.slice(0, 200)}`, 'see GET /v1/status')
  }
  const method = open && (request.method === 'HEAD' || request.method === 'OPTIONS') ? 'GET' : request.method
  const found = fitting.find((f) => f.route.method === method)
  if (found === undefined) {
    const takes = fitting.map((f) => f.route.method).join(', ')
    throw new HoldfastError('HF_METHOD_WRONG', `${request.method} does not fit ${path}`, `use ${takes}`)
  }
  const { bodyBytesMax = BODY_BYTES_MAX } = found.route
  const body = found.route.method === 'POST' ? await readJson(request, bodyBytesMax) : null
  return found.route.handle({ params: found.params, query, body })
}

/** Peers and routers ask for the same few paths all the time; those need no more than to be cut. */
const PLAIN_ADDRESS = /^\/[a-z0-9/]*(\?|$)/

function addressOf(url: string): { readonly path: string; readonly query: URLSearchParams } {
  if (PLAIN_ADDRESS.test(url) && !url.startsWith('//')) {
    const at = url.indexOf('?')
    return at === -1
      ? { path: url, query: new URLSearchParams() }
      : { path: url.slice(0, at), query: new URLSearchParams(url.slice(at)) }
  }
  const parsed = URL.parse(url, 'http://agent')
  if (parsed === null) throw new HoldfastError('HF_PATH_UNKNOWN', 'this is no path', 'see GET /v1/status')
  return { path: parsed.pathname, query: parsed.searchParams }
}

interface Fitting {
  readonly route: Route
  readonly params: Readonly<Record<string, string>>
}

function fittingRoutes(routes: readonly Route[], path: string): readonly Fitting[] {
  const exact = path.includes(':') ? [] : routes.filter((route) => route.path === path)
  if (exact.length > 0) return exact.map((route) => ({ route, params: {} }))
  return routes.flatMap((route) => {
    const params = paramsOf(route.path, path)
    return params === null ? [] : [{ route, params }]
  })
}

function paramsOf(pattern: string, path: string): Readonly<Record<string, string>> | null {
  const wanted = pattern.split('/')
  const given = path.split('/')
  if (wanted.length !== given.length) return null
  const params: Record<string, string> = {}
  for (const [at, want] of wanted.entries()) {
    const have = given[at] ?? ''
    if (want.startsWith(':')) params[want.slice(1)] = decoded(have)
    else if (want !== have) return null
  }
  return params
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}

async function readJson(request: IncomingMessage, bytesMax: number): Promise<unknown> {
  const text = await readText(request, bytesMax)
  if (text === null) {
    throw new HoldfastError('HF_BODY_TOO_LARGE', `more than ${bytesMax} bytes`, 'send only the fields named')
  }
  try {
    return JSON.parse(text)
  } catch {
    throw new HoldfastError('HF_BODY_INVALID', 'the body is not JSON', 'send one JSON object')
  }
}

/** Null: too long; the rest is not read. */
function readText(request: IncomingMessage, bytesMax: number): Promise<string | null> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let bytes = 0
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes <= bytesMax) chunks.push(chunk)
      else {
        request.pause()
        resolve(null)
      }
    })
    request.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')))
    request.on('error', reject)
    request.on('close', () => reject(new Error('the connection ended within the body')))
  })
}

function errorAnswer(error: unknown): Answer {
  const known = error instanceof HoldfastError ? error : unexpected(error)
  const row = ERRORS[known.code]
  const { code, message, next } = known
  const doc = `docs/reference/errors.md#${code.toLowerCase()}`
  return { status: row.status, body: { error: { code, message, next, retryable: row.retryable, doc } } }
}

function unexpected(error: unknown): HoldfastError {
  const message = error instanceof Error ? error.message : String(error)
  return new HoldfastError('HF_INTERNAL', message, "look at the agent's log and report it")
}

/** Compares digests, so that neither length nor content of the token shows in the time it takes. */
function bears(request: IncomingMessage, digest: Buffer): boolean {
  const header = request.headers.authorization ?? ''
  const token = header.startsWith('Bearer ') ? header.slice('Bearer '.length) : ''
  return timingSafeEqual(sha256(token), digest)
}

function sha256(text: string): Buffer {
  return hash('sha256', text, 'buffer')
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const next =
        error.code === 'EADDRINUSE' ? 'free the port or name another in the description' : 'check the address'
      reject(new HoldfastError('HF_LISTEN_FAILED', `cannot listen on ${host}:${port}: ${error.message}`, next, error))
    })
    server.listen(port, host, () => resolve())
  })
}

function shut(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
