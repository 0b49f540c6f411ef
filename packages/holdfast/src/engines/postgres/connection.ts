/**
 * Connections to the member's own server over its socket, with deadlines that hold even when the server is stopped in
 * the middle of an answer. Results are values; a broken connection is opened anew by the next question.
 */
import type { Client, QueryArrayResult, QueryResult } from 'pg'
import { SUPERUSER } from './config.ts'
import type { Home } from './home.ts'
import type { PostgresOptions } from './options.ts'
import { demandScram } from './scram.ts'

/** A connection that is not open after this long is given up. */
const OPEN_MS = 3_000

export type Row = Readonly<Record<string, unknown>>

export type Answer =
  | { readonly ok: true; readonly rows: readonly Row[] }
  /** `code` is the SQLSTATE, or the system's code, or `timeout`. */
  | { readonly ok: false; readonly because: string; readonly code: string }

export interface Target {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
  readonly ssl?: { readonly ca?: string; readonly rejectUnauthorized: boolean } | false
  /** A server that others set up may ask for the password in the form it likes. */
  readonly anyProof?: true
}

export function localTarget(home: Home, o: PostgresOptions): Target {
  return { host: home.socketDir, port: o.port, user: SUPERUSER, password: o.secrets.superuser, database: 'postgres' }
}

/** One connection, one question at a time. A second question waits for the first within its own deadline. */
export class Line {
  readonly #target: Target
  readonly #name: string
  #client: Client | null = null
  #opening: Promise<Client> | null = null
  #turn: Promise<unknown> = Promise.resolve()
  #closed = false

  constructor(target: Target, name: string) {
    this.#target = target
    this.#name = name
  }

  /** Never rejects, never takes longer than `timeoutMs`. After a time-out the connection is dropped. */
  ask(sql: string, timeoutMs: number): Promise<Answer> {
    const before = this.#turn
    const mine = this.#ask(sql, timeoutMs, before)
    this.#turn = mine
    return mine
  }

  async #ask(sql: string, timeoutMs: number, before: Promise<unknown>): Promise<Answer> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<Answer>((resolve) => {
      timer = setTimeout(() => {
        this.drop()
        resolve({ ok: false, because: `no answer within ${timeoutMs} ms`, code: 'timeout' })
      }, timeoutMs)
    })
    try {
      return await Promise.race([late, before.then(() => this.#query(sql))])
    } finally {
      clearTimeout(timer)
    }
  }

  async #query(sql: string): Promise<Answer> {
    if (this.#closed) return { ok: false, because: 'closed', code: 'closed' }
    try {
      const client = this.#client ?? (await this.#connected())
      const result = (await client.query(sql)) as QueryResult | QueryResult[] | QueryArrayResult
      const last = Array.isArray(result) ? result.at(-1) : result
      return { ok: true, rows: (last?.rows ?? []) as Row[] }
    } catch (error) {
      return failed(error)
    }
  }

  /** A slow opening goes on when a question gives up on it: on a loaded machine the next one finds it done. */
  #connected(): Promise<Client> {
    this.#opening ??= this.#open().finally(() => {
      this.#opening = null
    })
    return this.#opening
  }

  async #open(): Promise<Client> {
    const client = await open(this.#target, this.#name)
    if (this.#closed) {
      destroy(client)
      throw new Error('closed')
    }
    this.#client = client
    const forget = (): void => {
      if (this.#client === client) this.#client = null
    }
    client.on('end', forget)
    client.on('error', forget)
    return client
  }

  /** Breaks the connection at once; the next question opens a new one. */
  drop(): void {
    const client = this.#client
    this.#client = null
    if (client !== null) destroy(client)
    this.#turn = Promise.resolve()
  }

  close(): void {
    this.#closed = true
    this.drop()
  }
}

/** Opens, asks once, closes. For the rare question to another member, or on a fresh session. */
export async function askOnce(target: Target, sql: string, timeoutMs: number, signal?: AbortSignal): Promise<Answer> {
  const line = new Line(target, 'holdfast')
  let cancel = (): void => undefined
  // The server may go on with it; what waits here does not wait for that.
  const cancelled = new Promise<Answer>((resolve) => {
    cancel = () => resolve({ ok: false, because: 'cancelled', code: 'cancelled' })
  })
  signal?.addEventListener('abort', cancel, { once: true })
  if (signal?.aborted) cancel()
  try {
    return await Promise.race([cancelled, line.ask(sql, timeoutMs)])
  } finally {
    signal?.removeEventListener('abort', cancel)
    line.close()
  }
}

async function open(target: Target, name: string): Promise<Client> {
  const { default: pg } = await import('pg')
  const client = new pg.Client({
    host: target.host,
    port: target.port,
    user: target.user,
    password: target.password,
    database: target.database,
    application_name: name,
    connectionTimeoutMillis: OPEN_MS,
    ...(target.ssl === undefined ? {} : { ssl: target.ssl }),
    enableChannelBinding: typeof target.ssl === 'object',
  })
  // Without a listener a broken connection would end the process.
  client.on('error', () => undefined)
  const assertProven = target.anyProof === true ? null : demandScram(client)
  try {
    await client.connect()
    assertProven?.()
  } catch (error) {
    destroy(client)
    throw error
  }
  return client
}

/** `end()` waits for the server, which may be stopped; the socket alone need not. */
function destroy(client: Client): void {
  const inner = client as unknown as { connection?: { stream?: { destroy(): void } } }
  inner.connection?.stream?.destroy()
}

function failed(error: unknown): Answer {
  const e = error as { message?: unknown; code?: unknown }
  const because = typeof e.message === 'string' && e.message !== '' ? e.message : String(error)
  return { ok: false, because, code: typeof e.code === 'string' ? e.code : 'unknown' }
}
