/**
 * Talks to `holdfast server`. One call for every route, typed by the route's name; every outcome is a value, and a
 * change that may have reached the server is never sent a second time. No dependencies: it uses `fetch`.
 *
 *     const server = createServerClient({ url: 'https://holdfast.example.org', token })
 *     const asked = await server.ask('switchover', { params: { group: 'orders' }, body: {} })
 */
import { attempt, type Fetch, type Result } from './attempt.ts'
import { SERVER_ROUTES, type ServerRoutes } from './server-routes.ts'

export interface ServerClientOptions {
  /** Base URL without a trailing slash; empty in a browser that has the page from the server. */
  readonly url: string
  /** An API token; without one the browser's session counts. */
  readonly token?: string
  /** What `session` told as `csrf`; needed with a session for everything that changes something. */
  readonly csrf?: () => string
  /** Deadline of one call. Default 10000: the server may have to ask agents. */
  readonly timeoutMs?: number
  readonly fetch?: Fetch
}

/** Routes that answer with one JSON document. */
export type AskRoute = {
  [K in keyof ServerRoutes]: ServerRoutes[K]['answer'] extends 'lines' | 'stream' | 'redirect' | 'file' ? never : K
}[keyof ServerRoutes]

export type AskInput<K extends AskRoute> = Omit<ServerRoutes[K], 'answer'>

export interface ServerClient {
  ask<K extends AskRoute>(route: K, input: AskInput<K>): Promise<Result<ServerRoutes[K]['answer']>>
}

const TIMEOUT_MS = 10_000

interface AnyInput {
  readonly params?: Readonly<Record<string, string>>
  readonly query?: Readonly<Record<string, string | number | undefined>>
  readonly body?: object
}

export function createServerClient(options: ServerClientOptions): ServerClient {
  return {
    ask: <K extends AskRoute>(route: K, input: AskInput<K>) => {
      const { method, path } = SERVER_ROUTES[route]
      const { params = {}, query = {}, body } = input as AnyInput
      const csrf = method === 'GET' ? '' : (options.csrf?.() ?? '')
      return attempt<ServerRoutes[K]['answer']>({ whom: 'a server', timeoutMs: TIMEOUT_MS, ...options }, options.url, {
        method,
        path: `${filled(path, params)}${queryText(query)}`,
        headers: {
          ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
          ...(csrf === '' ? {} : { 'holdfast-csrf': csrf }),
        },
        ...(body === undefined ? {} : { body }),
      })
    },
  }
}

function filled(path: string, params: Readonly<Record<string, string>>): string {
  return path.replace(/:(\w+)/g, (_, name: string) => encodeURIComponent(params[name] ?? ''))
}

function queryText(query: NonNullable<AnyInput['query']>): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined)
  if (given.length === 0) return ''
  return `?${new URLSearchParams(given.map(([key, value]): [string, string] => [key, String(value)]))}`
}
