/**
 * Talks to the agents of a platform over HTTP. Knows several and tries them in turn; every outcome is a value. A change
 * that may have reached an agent is never sent a second time: the answer is then `uncertain`.
 * No dependencies: it uses `fetch`; pass another one for an authority of your own (TLS) or a proxy.
 */
import type { AgentStatus, GroupExplanation, IntentAccepted, IntentState } from './agent-api.ts'

export interface FetchInit {
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  readonly signal: AbortSignal
}

export interface FetchAnswer {
  readonly status: number
  readonly body: AsyncIterable<Uint8Array> | null
}

export type Fetch = (url: string, init: FetchInit) => Promise<FetchAnswer>

export interface AgentClientOptions {
  /** Base URLs of agents, e.g. `http://127.0.0.1:7301`; tried in this order. */
  readonly urls: readonly string[]
  readonly token: string
  /** Deadline of one attempt at one agent. Default 2000. */
  readonly timeoutMs?: number
  /** Default: the global `fetch`. */
  readonly fetch?: Fetch
}

export interface Tried {
  readonly url: string
  readonly because: string
}

export interface Refusal {
  readonly ok: false
  readonly kind: 'refused'
  readonly url: string
  readonly status: number
  /** `HF_...` */
  readonly code: string
  readonly message: string
  /** What to do about it; may be empty. */
  readonly next: string
  readonly retryable: boolean
}

export type Result<T> =
  | { readonly ok: true; readonly value: T; readonly url: string }
  /** An agent understood and said no. */
  | Refusal
  /** No agent answered; nothing was changed. */
  | { readonly ok: false; readonly kind: 'unreachable'; readonly tried: readonly Tried[] }
  /** The request went out and no answer came; the change may still happen. */
  | { readonly ok: false; readonly kind: 'uncertain'; readonly url: string; readonly because: string }

export interface AgentClient {
  /** The view of each agent, in the order of `urls`; none is left out. */
  statusOfEach(): Promise<readonly { readonly url: string; readonly result: Result<AgentStatus> }[]>
  explain(group: string): Promise<Result<GroupExplanation>>
  switchover(group: string, body: { to?: string; by: string; dryRun?: boolean }): Promise<Result<IntentAccepted>>
  failover(group: string, body: { to?: string; by: string; allowDataLoss: boolean }): Promise<Result<IntentAccepted>>
  intent(group: string, id: string): Promise<Result<IntentState>>
  pause(group: string, body: { by: string; because: string; validMs: number }): Promise<Result<{ ok: true }>>
  resume(group: string, body: { by: string }): Promise<Result<{ ok: true }>>
}

const TIMEOUT_MS = 2_000
/** A status with 200 reasons is below 100 KiB. */
const ANSWER_BYTES_MAX = 4 * 1024 * 1024
/** Failures before a request left this machine, or before a connection stood: nothing was changed. */
const NOT_SENT = new RegExp(
  [
    '^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|EACCES|EADDRNOTAVAIL|UND_ERR_CONNECT_TIMEOUT',
    'CERT_|ERR_TLS|ERR_SSL|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|HOSTNAME_MISMATCH)',
  ].join('|'),
)
/** Answers that another agent may not give: it has no member of the group, or is overloaded. */
const ASK_ANOTHER = new Set(['HF_GROUP_UNKNOWN', 'HF_BUSY', 'HF_PATH_UNKNOWN'])

interface Call {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly body?: object
}

export function createAgentClient(options: AgentClientOptions): AgentClient {
  const at = (group: string, rest: string) => `/v1/groups/${encodeURIComponent(group)}/${rest}`
  const get = <T>(path: string) => ask<T>(options, { method: 'GET', path })
  const post = <T>(path: string, body: object) => ask<T>(options, { method: 'POST', path, body })
  return {
    statusOfEach: () =>
      Promise.all(
        options.urls.map(async (url) => {
          const only = { ...options, urls: [url] }
          return { url, result: await ask<AgentStatus>(only, { method: 'GET', path: '/v1/status' }) }
        }),
      ),
    explain: (group) => get(at(group, 'explain')),
    switchover: (group, body) => post(at(group, 'switchover'), body),
    failover: (group, body) => post(at(group, 'failover'), body),
    intent: (group, id) => get(at(group, `intents/${encodeURIComponent(id)}`)),
    pause: (group, body) => post(at(group, 'pause'), body),
    resume: (group, body) => post(at(group, 'resume'), body),
  }
}

async function ask<T>(options: AgentClientOptions, call: Call): Promise<Result<T>> {
  const tried: Tried[] = []
  let refusal: Refusal | null = null
  for (const url of options.urls) {
    const result = await attempt<T>(options, url, call)
    if (result.ok || result.kind === 'uncertain') return result
    if (result.kind === 'unreachable') {
      tried.push(...result.tried)
      continue
    }
    refusal = result
    if (!ASK_ANOTHER.has(result.code)) return result
  }
  return refusal ?? { ok: false, kind: 'unreachable', tried }
}

async function attempt<T>(options: AgentClientOptions, url: string, call: Call): Promise<Result<T>> {
  const send: Fetch = options.fetch ?? fetch
  const body = call.body === undefined ? {} : { body: JSON.stringify(call.body) }
  const headers = {
    accept: 'application/json',
    authorization: `Bearer ${options.token}`,
    ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
  }
  let status: number
  let text: string
  try {
    const signal = AbortSignal.timeout(options.timeoutMs ?? TIMEOUT_MS)
    const answer = await send(`${url}${call.path}`, { method: call.method, headers, signal, ...body })
    status = answer.status
    text = await bounded(answer.body)
  } catch (error) {
    const { code, because } = failureOf(error)
    if (call.method === 'GET' || NOT_SENT.test(code)) {
      return { ok: false, kind: 'unreachable', tried: [{ url, because }] }
    }
    return { ok: false, kind: 'uncertain', url, because }
  }
  const value = parsed(text)
  if (status >= 200 && status < 300 && typeof value === 'object' && value !== null) {
    return { ok: true, value: value as T, url }
  }
  return refusalOf(url, status, value)
}

async function bounded(body: AsyncIterable<Uint8Array> | null): Promise<string> {
  if (body === null) return ''
  const decoder = new TextDecoder()
  let text = ''
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.byteLength
    if (bytes > ANSWER_BYTES_MAX) throw new Error(`the answer is longer than ${ANSWER_BYTES_MAX} bytes`)
    text += decoder.decode(chunk, { stream: true })
  }
  return text + decoder.decode()
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

function refusalOf(url: string, status: number, value: unknown): Refusal {
  const outer = fields(value)
  const error = fields(outer.error)
  const words = (key: string) => (typeof error[key] === 'string' ? error[key] : '')
  const known = words('code') !== ''
  return {
    ok: false,
    kind: 'refused',
    url,
    status,
    code: known ? words('code') : 'HF_ANSWER_UNKNOWN',
    message: known ? words('message') : `HTTP ${status} without words an agent would use; is this an agent?`,
    next: words('next'),
    retryable: error.retryable === true,
  }
}

function fields(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

function failureOf(error: unknown): { code: string; because: string } {
  if (!(error instanceof Error)) return { code: '', because: String(error) }
  if (error.name === 'TimeoutError') return { code: '', because: 'no answer in time' }
  const cause = error.cause instanceof Error ? error.cause : error
  const code = 'code' in cause ? String(cause.code) : ''
  const because = code === 'ECONNREFUSED' ? 'connection refused' : cause.message || code
  return { code, because }
}
