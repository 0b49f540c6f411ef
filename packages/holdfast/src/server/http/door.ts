/**
 * The server's HTTP door: limits, headers, errors, and every route of the contract. What is answered stands in the
 * handlers. Without TLS it opens on loopback only, and answers only to loopback's names, so that no page of a stranger
 * can reach it under a name of his own.
 */
import { Readable } from 'node:stream'
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify'
import { isLoopback } from '../../config/quantities.ts'
import { HoldfastError } from '../../errors.ts'
import type { Log } from '../../io/log.ts'
import { boundRemotes } from '../../io/remote-bound.ts'
import { API_PREFIX, API_ROUTES, type ApiRoute, type RouteId } from '../api/routes.ts'
import { cookiesOf } from './cookies.ts'
import { errorAnswer } from './errors.ts'
import { type Guard, guardedCall, principalOf } from './guarded.ts'
import { securityHeaders } from './headers.ts'
import type { Call, Extras, Handlers, Outcome, StreamOutcome } from './request.ts'
import { type StaticFile, staticFile } from './static-files.ts'

/** The largest body is a user with many grants. */
const BODY_BYTES_MAX = 65_536
const HEADER_BYTES_MAX = 16_384
const REQUEST_MS = 15_000
const KEEP_ALIVE_MS = 60_000
const CONNECTIONS_MAX = 2_000
/** A company may sit behind one address. */
const CONNECTIONS_PER_REMOTE_MAX = 600
const PARAM_LENGTH_MAX = 128
/** An open stream is asked again whether it may still be. */
const RECHECK_MS = 20_000

export interface PlainAnswer {
  readonly status: number
  readonly type: string
  readonly text: string
}

export interface DoorOptions {
  readonly host: string
  readonly port: number
  readonly tls: { readonly cert: string; readonly key: string } | null
  readonly guard: Guard
  readonly handlers: Handlers
  /** `/livez`, `/readyz`, `/metrics`. */
  readonly plain: Readonly<Record<string, () => Promise<PlainAnswer>>>
  readonly files: ReadonlyMap<string, StaticFile> | null
  /** Names besides loopback's under which it may be asked without TLS. */
  readonly hosts: readonly string[]
  readonly onAnswered: (route: string, status: number, tookMs: number) => void
  readonly log: Log
}

export interface Door {
  readonly url: string
  readonly port: number
  close(): Promise<void>
}

export async function openDoor(options: DoorOptions): Promise<Door> {
  const { host, port, tls, log } = options
  if (tls === null && !isLoopback(host)) {
    const message = `the server would listen on ${host} without TLS; passwords could be read on the way`
    throw new HoldfastError('HF_LISTEN_UNSAFE', message, 'give it tls in the description, or a loopback address')
  }
  const app = appOf(options)
  app.setErrorHandler((error, _request, reply) => {
    const { status, body } = errorAnswer(error, log)
    return reply.status(status).send(body)
  })
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(securityHeaders(tls !== null))
    if (tls === null) ownName(options, request)
  })
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.config as { id?: string }
    options.onAnswered(route.id ?? 'other', reply.statusCode, reply.elapsedTime)
  })
  for (const [id, route] of Object.entries(API_ROUTES) as [RouteId, ApiRoute][]) addRoute(app, options, id, route)
  for (const [path, answer] of Object.entries(options.plain)) {
    app.get(path, { config: { id: path.slice(1) } }, async (_request, reply) => {
      const { status, type, text } = await answer()
      return reply.status(status).type(type).send(text)
    })
  }
  app.setNotFoundHandler((request, reply) => notFound(options, request, reply))
  boundRemotes(app.server, CONNECTIONS_PER_REMOTE_MAX)
  app.server.maxConnections = CONNECTIONS_MAX
  return listening(app, { host, port, secure: tls !== null })
}

function appOf({ tls }: DoorOptions): FastifyInstance {
  const limits = {
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    forceCloseConnections: true,
    trustProxy: false,
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: PARAM_LENGTH_MAX },
    logger: false,
  }
  const inner = { maxHeaderSize: HEADER_BYTES_MAX, headersTimeout: REQUEST_MS }
  if (tls === null) return fastify({ ...limits, http: inner })
  const secured = fastify({ ...limits, https: { ...inner, ...tls, minVersion: 'TLSv1.2' } })
  return secured as unknown as FastifyInstance
}

async function listening(
  app: FastifyInstance,
  { host, port, secure }: { readonly host: string; readonly port: number; readonly secure: boolean },
): Promise<Door> {
  try {
    await app.listen({ host, port })
  } catch (error) {
    await app.close()
    const because = error instanceof Error ? error.message : String(error)
    const next = 'free the port or name another in the description'
    throw new HoldfastError('HF_LISTEN_FAILED', `cannot listen on ${host}:${port}: ${because}`, next, error)
  }
  const bound = app.server.address()
  const boundPort = typeof bound === 'object' && bound !== null ? bound.port : port
  const shown = host.includes(':') ? `[${host}]` : host
  const url = `${secure ? 'https' : 'http'}://${shown}:${boundPort}`
  return { url, port: boundPort, close: () => app.close() }
}

function ownName({ host, hosts }: DoorOptions, request: FastifyRequest): void {
  const asked = (request.headers.host ?? '').replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1')
  if (asked === host || isLoopback(asked) || hosts.includes(asked)) return
  const next = 'use the address the server printed, or set publicUrl in the description'
  throw new HoldfastError('HF_FORBIDDEN', 'the server does not answer under this name', next)
}

function addRoute(app: FastifyInstance, options: DoorOptions, id: RouteId, route: ApiRoute): void {
  app.route({
    method: route.method,
    url: `${API_PREFIX}${route.path}`,
    config: { id },
    handler: async (request, reply) => {
      const call = await guardedCall(options.guard, route, request)
      const handle = options.handlers[id] as (call: Call<RouteId>) => Promise<Outcome<unknown>>
      return send(options, { request, reply }, await handle(call))
    },
  })
}

interface Exchange {
  readonly request: FastifyRequest
  readonly reply: FastifyReply
}

function send(options: DoorOptions, { request, reply }: Exchange, outcome: Outcome<unknown>): FastifyReply {
  if (outcome.kind === 'document') {
    // Text of our own making, so that nothing is left out of it or added to it.
    return withExtras(reply, outcome.extras).type('application/json').send(JSON.stringify(outcome.document))
  }
  if (outcome.kind === 'redirect') {
    return withExtras(reply, outcome.extras).status(303).header('location', outcome.to).send()
  }
  if (outcome.kind === 'lines') {
    reply.type('application/x-ndjson').header('content-disposition', `attachment; filename="${outcome.fileName}"`)
    return reply.send(Readable.from(withBreaks(outcome.lines)))
  }
  if (outcome.kind === 'file') {
    reply.type(outcome.type).header('content-disposition', `attachment; filename="${outcome.fileName}"`)
    return reply.send(outcome.bytes)
  }
  openStream(options, { request, reply }, outcome)
  return reply
}

async function* withBreaks(lines: AsyncIterable<string>): AsyncGenerator<string> {
  for await (const line of lines) yield `${line}\n`
}

function withExtras(reply: FastifyReply, extras: Extras | undefined): FastifyReply {
  const cookies = extras?.cookies ?? []
  return cookies.length === 0 ? reply : reply.header('set-cookie', [...cookies])
}

function openStream({ guard, tls }: DoorOptions, { request, reply }: Exchange, { open, still }: StreamOutcome): void {
  reply.hijack()
  const { raw } = reply
  raw.writeHead(200, {
    ...securityHeaders(tls !== null),
    'content-type': 'text/event-stream; charset=utf-8',
    'x-accel-buffering': 'no',
  })
  // Small messages are to leave at once.
  raw.socket?.setNoDelay(true)
  const close = open({
    write: (text) => {
      if (!raw.destroyed) raw.write(text)
    },
    backlog: () => raw.writableLength,
    end: () => raw.destroy(),
  })
  // Logged out, disabled, out of date, or with other rights: the stream ends; who may comes back to what he may read.
  const recheck = setInterval(() => {
    principalOf(guard, request, cookiesOf(request.headers.cookie))
      .then(still)
      .catch(() => false)
      .then((stays) => stays || raw.end())
  }, RECHECK_MS)
  raw.on('close', () => {
    clearInterval(recheck)
    close()
  })
}

function notFound(options: DoorOptions, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const path = request.url.split('?', 1)[0] ?? '/'
  const file = options.files === null || path.startsWith('/api/') ? null : staticFile(options.files, path)
  const reading = request.method === 'GET' || request.method === 'HEAD'
  if (file !== null && reading) return sendFile(request, reply, file)
  const next = 'see docs/reference/api.md'
  const error = new HoldfastError('HF_PATH_UNKNOWN', `nothing at ${request.method} ${path.slice(0, 200)}`, next)
  const { status, body } = errorAnswer(error, options.log)
  return reply.status(status).send(body)
}

function sendFile(request: FastifyRequest, reply: FastifyReply, file: StaticFile): FastifyReply {
  reply
    .header('etag', file.etag)
    .header('vary', 'accept-encoding')
    .header('cache-control', file.forever ? 'public, max-age=31536000, immutable' : 'no-cache')
  if (request.headers['if-none-match'] === file.etag) return reply.status(304).send()
  const taken = String(request.headers['accept-encoding'] ?? '')
  const packed = /\bbr\b/.test(taken) ? 'br' : /\bgzip\b/.test(taken) ? 'gzip' : null
  const body = packed === 'br' ? file.brotli : packed === 'gzip' ? file.gzip : null
  if (packed !== null && body !== null) reply.header('content-encoding', packed)
  return reply
    .type(file.type)
    .status(200)
    .send(body ?? file.plain)
}
