/**
 * PostgreSQL's replication protocol through `pg`: who is there, histories, slots, a base backup's stream, pieces of the
 * log. Every wait has a bound and ends when the signal aborts. Throws what the server or the network says; `failureOf`
 * makes a value of it. Leaves all files and decisions to its callers.
 */
import type { Duplex } from 'node:stream'
import type { Client } from 'pg'
import { demandScram } from './scram.ts'
import { type History, parseHistory } from './timeline-history.ts'
import { formatLsn, readLsn } from './wal-page.ts'

export interface Upstream {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly ssl?: { readonly ca?: string; readonly rejectUnauthorized: boolean }
}

export interface SystemIdentity {
  readonly systemId: string
  readonly timeline: number
  /** Flushed on a primary; received or replayed on a replica. */
  readonly flushLsn: number
}

export interface Failure {
  readonly ok: false
  readonly because: string
  readonly retryable: boolean
}

const OPEN_MS = 5_000
const ANSWER_MS = 10_000
/** A base backup is silent while the source checkpoints, which takes minutes on a slow disk. */
export const SILENCE_MS = 300_000
/** Received but not yet written; above this the socket is not read. */
const BUFFERED_BYTES_MAX = 2 ** 20
const DUPLICATE_OBJECT = '42710'

interface Inner {
  readonly connection: { readonly stream: Duplex; query(sql: string): void }
}

export class ReplicationLine {
  readonly client: Client
  #broken: Error | null = null
  #onBreak: ((error: Error) => void) | null = null
  readonly #signal: AbortSignal
  readonly #onAbort: () => void

  private constructor(client: Client, signal: AbortSignal) {
    this.client = client
    this.#signal = signal
    this.#onAbort = () => this.#break(new Error('aborted'))
    client.on('error', (error: Error) => this.#break(error))
    client.on('end', () => this.#break(new Error('the connection was closed')))
    signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  static async open(upstream: Upstream, signal: AbortSignal, kind: 'replication' | 'sql'): Promise<ReplicationLine> {
    signal.throwIfAborted()
    const { default: pg } = await import('pg')
    // `replication` is a setting of the start-up packet that the type does not know.
    const options = {
      host: upstream.host,
      port: upstream.port,
      user: upstream.user,
      password: upstream.password,
      database: 'postgres',
      application_name: 'holdfast-copy',
      connectionTimeoutMillis: OPEN_MS,
      keepAlive: true,
      ...(upstream.ssl === undefined ? {} : { ssl: upstream.ssl, enableChannelBinding: true }),
      ...(kind === 'replication' ? { replication: true } : {}),
    }
    const client = new pg.Client(options)
    const line = new ReplicationLine(client, signal)
    const assertProven = demandScram(client)
    try {
      await line.bounded(client.connect(), OPEN_MS)
      assertProven()
      return line
    } catch (error) {
      line.close()
      throw error
    }
  }

  get stream(): Duplex {
    return (this.client as unknown as Inner).connection.stream
  }

  /** Rejects when the connection breaks, the signal aborts or the time is over; then the connection is gone. */
  async bounded<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
    if (this.#broken !== null) throw this.#broken
    const timer = setTimeout(() => this.#break(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs)
    const broken = new Promise<never>((_, reject) => {
      this.#onBreak = reject
    })
    work.catch(() => undefined)
    try {
      return await Promise.race([work, broken])
    } finally {
      clearTimeout(timer)
      this.#onBreak = null
    }
  }

  async rows(sql: string, timeoutMs = ANSWER_MS): Promise<readonly (readonly (string | null)[])[]> {
    // Plain text for all: TIMELINE_HISTORY declares bytea but sends the file as it is.
    const query = { text: sql, rowMode: 'array' as const, types: { getTypeParser: () => String } }
    const result = await this.bounded(this.client.query(query as never), timeoutMs)
    return (result as { rows: (string | null)[][] }).rows
  }

  /** Runs a command that streams. `onData` is awaited before more is read than fits the buffer. */
  async copy(sql: string, handlers: CopyHandlers): Promise<void> {
    let silence: NodeJS.Timeout | undefined
    let stream: CopyStream | undefined
    const copied = new Promise<void>((resolve, reject) => {
      silence = setTimeout(() => reject(new Error(`nothing came for ${SILENCE_MS} ms`)), SILENCE_MS)
      stream = new CopyStream(this.stream, handlers, () => silence?.refresh(), { resolve, reject })
      this.client.query({
        ...stream.handlers(),
        submit: () => (this.client as unknown as Inner).connection.query(sql),
      } as never)
    })
    try {
      await this.bounded(copied, 2 ** 31 - 1)
    } finally {
      clearTimeout(silence)
      // Whoever cleans up now must not meet a write that is still under way.
      await stream?.stop()
    }
  }

  close(): void {
    this.#signal.removeEventListener('abort', this.#onAbort)
    this.#broken ??= new Error('closed')
    this.stream.destroy()
  }

  #break(error: Error): void {
    this.#broken ??= error
    this.stream.destroy()
    this.#onBreak?.(this.#broken)
  }
}

export interface CopyHandlers {
  /** A row before or after the stream; `set` counts the result sets. */
  onRow(set: number, row: readonly (string | null)[]): void
  onData(chunk: Buffer): Promise<void>
}

interface Settle {
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

class CopyStream {
  readonly #socket: Duplex
  readonly #user: CopyHandlers
  readonly #alive: () => void
  readonly #settle: Settle
  readonly #queue: Buffer[] = []
  #queuedBytes = 0
  #set = -1
  #pumping = false
  #ready = false
  #failed = false
  #pump: Promise<void> = Promise.resolve()

  constructor(socket: Duplex, user: CopyHandlers, alive: () => void, settle: Settle) {
    this.#socket = socket
    this.#user = user
    this.#alive = alive
    this.#settle = settle
  }

  /** What `pg` calls on a query object. */
  handlers(): object {
    const nothing = (): void => this.#alive()
    return {
      handleRowDescription: () => {
        this.#set += 1
      },
      handleDataRow: (message: { readonly fields: readonly (string | null)[] }) => {
        this.#user.onRow(this.#set, message.fields)
      },
      handleCopyData: (message: { readonly chunk: Buffer }) => this.#take(message.chunk),
      handleCommandComplete: nothing,
      handleEmptyQuery: nothing,
      handlePortalSuspended: nothing,
      handleCopyInResponse: nothing,
      handleError: (error: Error) => this.#fail(error),
      handleReadyForQuery: () => {
        this.#ready = true
        if (!this.#pumping && !this.#failed) this.#settle.resolve()
      },
    }
  }

  #take(chunk: Buffer): void {
    if (this.#failed) return
    this.#alive()
    // The parser reuses its buffer for the next packet.
    this.#queue.push(Buffer.from(chunk))
    this.#queuedBytes += chunk.length
    if (this.#queuedBytes > BUFFERED_BYTES_MAX) this.#socket.pause()
    if (!this.#pumping) this.#pump = this.#drain()
  }

  /** Drops what was not handed over and waits for what was. */
  async stop(): Promise<void> {
    this.#failed = true
    this.#queue.length = 0
    await this.#pump
  }

  async #drain(): Promise<void> {
    this.#pumping = true
    try {
      for (let chunk = this.#queue.shift(); chunk !== undefined; chunk = this.#queue.shift()) {
        await this.#user.onData(chunk)
        this.#alive()
        this.#queuedBytes -= chunk.length
        if (this.#queuedBytes <= BUFFERED_BYTES_MAX / 2 && this.#socket.isPaused()) this.#socket.resume()
      }
      this.#pumping = false
      if (this.#ready) this.#settle.resolve()
    } catch (error) {
      this.#pumping = false
      this.#fail(error instanceof Error ? error : new Error(String(error)))
    }
  }

  #fail(error: Error): void {
    this.#failed = true
    this.#queue.length = 0
    this.#settle.reject(error)
  }
}

export async function identify(line: ReplicationLine): Promise<SystemIdentity> {
  const [row] = await line.rows('IDENTIFY_SYSTEM')
  const flushLsn = readLsn(row?.[2] ?? '')
  const timeline = Number(row?.[1])
  if (row === undefined || row[0] === null || row[0] === undefined || flushLsn === null || !(timeline > 0)) {
    throw new Error('the answer to IDENTIFY_SYSTEM cannot be read')
  }
  return { systemId: row[0], timeline, flushLsn }
}

export async function fetchHistory(line: ReplicationLine, timeline: number): Promise<History> {
  if (timeline === 1) return { timeline: 1, ancestors: [] }
  const [row] = await line.rows(`TIMELINE_HISTORY ${timeline}`)
  const history = parseHistory(timeline, row?.[1] ?? '')
  if (history === null || history.ancestors.length === 0) {
    throw new Error(`the history of timeline ${timeline} cannot be read`)
  }
  return history
}

/** A slot that holds the log from now on or from earlier; one that lost its log is made anew. */
export async function reserveSlot(line: ReplicationLine, name: string): Promise<void> {
  if (!/^[a-z0-9_]{1,63}$/.test(name)) throw new Error(`${JSON.stringify(name)} is no name for a replication slot`)
  const [row] = await line.rows(`READ_REPLICATION_SLOT ${name}`)
  if (row?.[0] === 'physical' && row[1] !== null) return
  if (row?.[0] === 'physical') await line.rows(`DROP_REPLICATION_SLOT ${name}`)
  try {
    await line.rows(`CREATE_REPLICATION_SLOT ${name} PHYSICAL RESERVE_WAL`)
  } catch (error) {
    if (codeOf(error) !== DUPLICATE_OBJECT) throw error
  }
}

export interface WalPiece {
  readonly timeline: number
  readonly startLsn: number
  readonly bytes: number
}

const XLOG_DATA = 0x77
const XLOG_DATA_HEADER_BYTES = 25

/**
 * The log's bytes as this member holds them; null when it no longer has them. Uses the connection up. `bytes` must be
 * within what the member has on that timeline.
 */
export async function fetchWal(line: ReplicationLine, piece: WalPiece): Promise<Buffer | null> {
  const result = Buffer.alloc(piece.bytes)
  let got = 0
  let finish: () => void = () => undefined
  const enough = new Promise<void>((resolve) => {
    finish = resolve
  })
  const sql = `START_REPLICATION PHYSICAL ${formatLsn(piece.startLsn)} TIMELINE ${piece.timeline}`
  const streaming = line.copy(sql, {
    onRow: () => undefined,
    async onData(chunk) {
      if (chunk[0] !== XLOG_DATA || got >= piece.bytes) return
      const at = Number(chunk.readBigUInt64BE(1)) - piece.startLsn
      if (at !== got) throw new Error('the log came in the wrong order')
      got += chunk.copy(result, at, XLOG_DATA_HEADER_BYTES)
      if (got >= piece.bytes) finish()
    },
  })
  try {
    await line.bounded(Promise.race([enough, streaming]), ANSWER_MS)
    return got >= piece.bytes ? result : null
  } catch (error) {
    // 58P01: the segment was removed; 55000/22023-like refusals say that the position is not on that timeline.
    const code = codeOf(error)
    if (code !== null && /^(58|55|22|XX)/.test(code)) return null
    throw error
  } finally {
    streaming.catch(() => undefined)
    line.close()
  }
}

/** A wrong password or missing right does not go away by trying again. */
export function failureOf(upstream: Upstream, error: unknown): Failure {
  const code = codeOf(error)
  const message = error instanceof Error && error.message !== '' ? error.message : (code ?? String(error))
  const refused = code !== null && /^(28|42501|3D)/.test(code)
  return { ok: false, because: `${upstream.host}:${upstream.port}: ${message}`, retryable: !refused }
}

export function codeOf(error: unknown): string | null {
  if (typeof error !== 'object' || error === null || !('code' in error)) return null
  return typeof error.code === 'string' ? error.code : null
}
