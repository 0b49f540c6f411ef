/**
 * The way of every request to its handler: who asks, whether the change comes from our own page, whether he may, and
 * only then what he says. The order is the contract: a stranger learns nothing about what exists.
 */
import type { FastifyRequest } from 'fastify'
import type { z } from 'zod'
import { HoldfastError } from '../../errors.ts'
import { bySession, byToken, sameText } from '../access/accounts.ts'
import { groupsOfScope, mayCall, type Principal, type Services } from '../access/grants.ts'
import type { ApiRoute, RouteId } from '../api/routes.ts'
import type { Database } from '../database/database.ts'
import { cookieName, cookiesOf } from './cookies.ts'
import type { Call } from './request.ts'

export const SESSION_COOKIE = 'holdfast-session'
export const CSRF_HEADER = 'holdfast-csrf'
/** Issues told of one body; the rest is the same mistake. */
const ISSUES_MAX = 5

export interface Guard {
  readonly database: Database
  readonly wallMs: () => number
  readonly secure: boolean
  /** `scheme://host[:port]` of pages that may send changes. */
  readonly origins: (host: string | undefined) => ReadonlySet<string>
  readonly groups: () => readonly string[]
  readonly services: () => Services
}

export async function guardedCall(guard: Guard, route: ApiRoute, request: FastifyRequest): Promise<Call<RouteId>> {
  const { headers } = request
  const cookies = cookiesOf(headers.cookie)
  const changes = route.method !== 'GET'
  if (changes) ownPage(guard, request)
  const who = route.needs === 'public' ? null : await principalOf(guard, request, cookies)
  if (who !== null && changes && who.session !== null) {
    const given = headers[CSRF_HEADER]
    if (typeof given !== 'string' || !sameText(given, who.session.csrf)) throw noCsrf()
  }
  const params = route.params === undefined ? undefined : checked(route.params, request.params, 'path')
  if (who !== null) {
    const groups = guard.groups()
    const services = guard.services()
    const place = placeIn(params)
    const over =
      place === null ? null : place.kind === 'group' ? [place.name] : groupsOfScope(place.name, groups, services)
    if (!mayCall(who, { route, over, groups, services })) throw forbidden(who, route, place)
  }
  const query = route.query === undefined ? undefined : checked(route.query, request.query, 'query')
  const body = route.body === undefined ? undefined : checked(route.body, request.body, 'body')
  const last = Number(headers['last-event-id'])
  const call = {
    ...{ params, query, body, who, cookies },
    address: request.ip,
    lastEventId: headers['last-event-id'] !== undefined && Number.isSafeInteger(last) && last >= 0 ? last : null,
  }
  return call as unknown as Call<RouteId>
}

/** Also for routes without a session: nobody else's page may log people in here. */
function ownPage({ origins }: Guard, { headers }: FastifyRequest): void {
  const { origin } = headers
  const site = headers['sec-fetch-site']
  if (site === 'cross-site') throw noCsrf()
  if (origin !== undefined && !origins(headers.host).has(origin)) throw noCsrf()
}

function noCsrf(): HoldfastError {
  const next = `send the session's csrf as ${CSRF_HEADER}, from our own page; or use an API token`
  return new HoldfastError('HF_CSRF_MISSING', 'this change may come from another page', next)
}

/** A token wins over a cookie: who sends one means it. */
export async function principalOf(
  { database, wallMs, secure }: Guard,
  { headers }: Pick<FastifyRequest, 'headers'>,
  cookies: ReadonlyMap<string, string>,
): Promise<Principal> {
  const bearer = /^Bearer (\S{1,200})$/.exec(headers.authorization ?? '')?.[1]
  const secret = cookies.get(cookieName(SESSION_COOKIE, secure))
  const found =
    headers.authorization !== undefined
      ? bearer === undefined
        ? null
        : await byToken(database.read, bearer, wallMs())
      : secret === undefined || secret === ''
        ? null
        : await bySession(database.read, secret, wallMs())
  if (found !== null) return found
  throw new HoldfastError('HF_AUTH_REQUIRED', 'nobody is logged in with this', 'log in, or send a valid API token')
}

interface Place {
  readonly kind: 'group' | 'service'
  readonly name: string
}

function placeIn(params: unknown): Place | null {
  const { group, service } = (params ?? {}) as { group?: unknown; service?: unknown }
  if (typeof group === 'string') return { kind: 'group', name: group }
  return typeof service === 'string' ? { kind: 'service', name: service } : null
}

function forbidden(who: Principal, route: ApiRoute, place: Place | null): HoldfastError {
  const where = place === null ? 'the whole platform' : `${place.kind} ${place.name}`
  const message = `${who.user} has no right to ${route.needs} over ${where}`
  return new HoldfastError('HF_FORBIDDEN', message, 'ask an admin for a role that has it')
}

function checked(schema: z.ZodType, value: unknown, where: string): unknown {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const issues = result.error.issues.slice(0, ISSUES_MAX).map(({ path, message }) => {
    const at = path.length === 0 ? where : path.join('.')
    return `${at}: ${message}`
  })
  const words = issues.join('; ').slice(0, 500)
  throw new HoldfastError('HF_BODY_INVALID', words, 'see docs/reference/api.md for what is taken')
}
