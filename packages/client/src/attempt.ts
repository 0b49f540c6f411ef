/** One request to one address of Holdfast, an agent or a server: bounded in time and size, every outcome a value. */
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

export interface AttemptOptions {
  /** Who is meant to answer, for the words about somebody else. */
  readonly whom: 'an agent' | 'a server'
  readonly timeoutMs: number
  readonly fetch?: Fetch
}

/** A status with 200 reasons is below 100 KiB. */
const ANSWER_BYTES_MAX = 4 * 1024 * 1024
/** Failures before a request left this machine, or before a connection stood: nothing was changed. */
const NOT_SENT = new RegExp(
  [
    '^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|EACCES|EADDRNOTAVAIL|UND_ERR_CONNECT_TIMEOUT',
    'CERT_|ERR_TLS|ERR_SSL|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|HOSTNAME_MISMATCH)',
  ].join('|'),
)
export interface Call {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: object
}

export async function attempt<T>(options: AttemptOptions, url: string, call: Call): Promise<Result<T>> {
  const send: Fetch = options.fetch ?? fetch
  const body = call.body === undefined ? {} : { body: JSON.stringify(call.body) }
  const headers = {
    accept: 'application/json',
    ...call.headers,
    ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
  }
  let status: number
  let text: string
  try {
    const signal = AbortSignal.timeout(options.timeoutMs)
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
  return refusalOf(options.whom, { url, status, value })
}

async function bounded(body: AsyncIterable<Uint8Array> | null): Promise<string> {
  if (body === null) return ''
  const decoder = new TextDecoder()
  let text = ''
  let bytes = 0
  for await (const chunk of chunksOf(body)) {
    bytes += chunk.byteLength
    if (bytes > ANSWER_BYTES_MAX) throw new Error(`the answer is longer than ${ANSWER_BYTES_MAX} bytes`)
    text += decoder.decode(chunk, { stream: true })
  }
  return text + decoder.decode()
}

/** Not every browser can walk through a body. */
export async function* chunksOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (Symbol.asyncIterator in body) {
    yield* body
    return
  }
  const reader = (body as ReadableStream<Uint8Array>).getReader()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    yield value
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

function refusalOf(
  whom: AttemptOptions['whom'],
  { url, status, value }: { readonly url: string; readonly status: number; readonly value: unknown },
): Refusal {
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
    message: known ? words('message') : `HTTP ${status} without words ${whom} would use; is this ${whom}?`,
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
