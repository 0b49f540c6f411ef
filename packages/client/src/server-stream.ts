/**
 * Follows what `holdfast server` tells: opens the stream, opens it again when it ends or falls silent, and asks for the
 * events since the last one seen. An event is given once and in order; of everything else the newest counts.
 */
import { chunksOf, type Fetch } from './attempt.ts'
import { SERVER_ROUTES } from './server-routes.ts'
import type { StreamMessage } from './server-types.ts'

export type StreamState =
  | { readonly state: 'connecting' | 'live' }
  /** Will be tried again in `retryMs`. A `status` of 401 or 403 says that trying will not help. */
  | { readonly state: 'lost'; readonly because: string; readonly status: number | null; readonly retryMs: number }

export interface FollowOptions {
  readonly url: string
  readonly token?: string
  /** Number of the last event that is known; those after it are told first. Default: from now on. */
  readonly after?: number
  readonly onMessage: (message: StreamMessage) => void
  readonly onState?: (state: StreamState) => void
  readonly fetch?: Fetch
}

export interface Following {
  close(): void
}

/** The server says something at least every two seconds. */
const SILENT_MS = 7_000
const RETRY_FIRST_MS = 250
const RETRY_MAX_MS = 5_000
/** A first message of a platform with 500 members is half a MiB. */
const MESSAGE_CHARS_MAX = 16 * 1024 * 1024

export function followServer(options: FollowOptions): Following {
  const closed = new AbortController()
  void follow(options, closed.signal)
  return { close: () => closed.abort() }
}

interface Place {
  last: number | null
  retryMs: number
}

async function follow(options: FollowOptions, closed: AbortSignal): Promise<void> {
  const place: Place = { last: options.after ?? null, retryMs: RETRY_FIRST_MS }
  while (!closed.aborted) {
    options.onState?.({ state: 'connecting' })
    const lost = await once(options, place, closed)
    if (closed.aborted) return
    options.onState?.({ state: 'lost', ...lost, retryMs: place.retryMs })
    await pause(place.retryMs, closed)
    place.retryMs = Math.min(RETRY_MAX_MS, place.retryMs * 2)
  }
}

async function once(
  options: FollowOptions,
  place: Place,
  closed: AbortSignal,
): Promise<{ readonly because: string; readonly status: number | null }> {
  const silent = new AbortController()
  let timer = setTimeout(() => silent.abort(), SILENT_MS)
  const send: Fetch = options.fetch ?? fetch
  const headers = {
    accept: 'text/event-stream',
    ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
    ...(place.last === null ? {} : { 'last-event-id': String(place.last) }),
  }
  try {
    const signal = AbortSignal.any([closed, silent.signal])
    const answer = await send(`${options.url}${SERVER_ROUTES.stream.path}`, { method: 'GET', headers, signal })
    if (answer.status !== 200 || answer.body === null) {
      return { because: `the server answers ${answer.status}`, status: answer.status }
    }
    options.onState?.({ state: 'live' })
    const blocks = blockReader((block) => tell(options, place, block))
    const decoder = new TextDecoder()
    for await (const chunk of chunksOf(answer.body)) {
      clearTimeout(timer)
      timer = setTimeout(() => silent.abort(), SILENT_MS)
      blocks(decoder.decode(chunk, { stream: true }))
    }
    return { because: 'the server ended the stream', status: null }
  } catch (error) {
    const because = silent.signal.aborted ? `nothing came for ${SILENT_MS / 1_000} s` : wordsOf(error)
    return { because, status: null }
  } finally {
    clearTimeout(timer)
    silent.abort()
  }
}

interface Block {
  readonly type: string
  readonly id: number | null
  readonly data: string
}

function tell(options: FollowOptions, place: Place, block: Block): void {
  if (block.data === '') return
  if (block.type === 'event' && block.id !== null) {
    if (place.last !== null && block.id <= place.last) return
    place.last = block.id
  }
  const message = { type: block.type, data: JSON.parse(block.data) } as StreamMessage
  // What is told from now on follows this state.
  if (message.type === 'platform') place.last ??= message.data.lastEvent
  place.retryMs = RETRY_FIRST_MS
  options.onMessage(message)
}

/** Takes text as it comes and gives whole blocks. */
export function blockReader(onBlock: (block: Block) => void): (text: string) => void {
  let rest = ''
  return (text) => {
    rest += text
    if (rest.length > MESSAGE_CHARS_MAX) throw new Error('a message of the server is too long')
    for (let end = rest.indexOf('\n\n'); end !== -1; end = rest.indexOf('\n\n')) {
      const block = rest.slice(0, end)
      rest = rest.slice(end + 2)
      onBlock(blockOf(block))
    }
  }
}

function blockOf(text: string): Block {
  let type = 'message'
  let id: number | null = null
  const data: string[] = []
  for (const line of text.split('\n')) {
    if (line.startsWith('event:')) type = line.slice(6).trim()
    else if (line.startsWith('id:')) id = Number(line.slice(3))
    else if (line.startsWith('data:')) data.push(line.slice(5).replace(/^ /, ''))
  }
  return { type, id, data: data.join('\n') }
}

function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? error.cause.message : error.message
}

function pause(ms: number, closed: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      closed.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    closed.addEventListener('abort', done)
  })
}
