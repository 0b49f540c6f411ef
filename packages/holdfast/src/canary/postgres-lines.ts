/**
 * The canary's records in PostgreSQL: a table of the application's own, a row a record, what is old deleted by the
 * statement that writes the next one.
 */
import { connect } from 'node:net'
import pg from 'pg'
import type { Address, GroupSpec } from '../config/platform.ts'
import { KEPT } from '../core/canary/model.ts'
import { connectPostgres } from './door.ts'
import { ANSWER_MS, type CanaryLine, type EngineLines, type Found, type Wrote } from './engine-lines.ts'

export const TABLE = 'holdfast_canary'
const MAKE = `create table if not exists ${TABLE} (
  run text not null, n int not null, record text not null, made timestamptz not null default now(),
  primary key (run, n))`
const WRITE = `with old as (delete from ${TABLE} where run = $1 and n <= $4)
  insert into ${TABLE} (run, n, record) values ($1, $2, $3)`
/** What earlier runs of servers left; those of a person's command clean up behind themselves, unless killed. */
const SWEEP = `delete from ${TABLE} where run <> $1 and (starts_with(run, $2) or made < now() - interval '1 hour')`
const READ = `select n, record from ${TABLE} where run = $1 and n <= $3 order by n desc limit $2`
const NEWEST = 1
/** With room for what somebody else may have put there. */
const ALL = KEPT + 100
const CANCEL_REQUEST = 80_877_102
const UNDEFINED_TABLE = '42P01'
const TAKEN = '23505'
/** Another connection made the table in the same moment. */
const MADE_TWICE = new Set([TAKEN, '42P07'])
/** Wrong password, no such account or database, no right. */
const REFUSED = /^(28...|3D000|42501)$/
/** The server went while it worked: a commit may have been written. */
const UNSURE = /^(08...|57...|58...|XX...)$/

/** `earlier`: how the runs begin that are over. */
export function postgresLines(group: GroupSpec, run: string, earlier: string): EngineLines {
  const made = { table: false }
  return { open: (at) => new PostgresLine({ group, at, run, earlier, made }) }
}

interface LineOptions {
  readonly group: GroupSpec
  readonly at: Address
  readonly run: string
  readonly earlier: string
  /** Shared by the lines of a run. */
  readonly made: { table: boolean }
}

class PostgresLine implements CanaryLine {
  readonly #options: LineOptions
  #client: pg.Client | null = null
  #closed = false

  constructor(options: LineOptions) {
    this.#options = options
  }

  async write(n: number, text: string): Promise<Wrote> {
    const { run, made } = this.#options
    let client: pg.Client
    try {
      client = await this.#connected()
      if (!made.table) await this.#prepare(client)
    } catch (error) {
      return { kind: REFUSED.test(codeOf(error)) ? 'refused' : 'fail', because: wordsOf(error) }
    }
    try {
      await client.query({ name: 'holdfast-canary-write', text: WRITE, values: [run, n, text, n - KEPT] })
      return { kind: 'ok' }
    } catch (error) {
      const code = codeOf(error)
      if (code === UNDEFINED_TABLE) made.table = false
      if (REFUSED.test(code)) return { kind: 'refused', because: wordsOf(error) }
      if (code === TAKEN) return { kind: 'taken' }
      if (code === '') cancel(this.#options.at, client)
      return { kind: code === '' || UNSURE.test(code) ? 'info' : 'fail', because: wordsOf(error) }
    }
  }

  async read(how: 'all' | 'newest', upTo: number): Promise<Found> {
    const values = [this.#options.run, how === 'all' ? ALL : NEWEST, upTo]
    try {
      const client = await this.#connected()
      const { rows } = await client.query<{ n: number; record: string }>({
        ...{ name: 'holdfast-canary-read', text: READ, values },
      })
      return { ok: true, records: rows.map(({ n, record }) => ({ n, text: record })) }
    } catch (error) {
      const code = codeOf(error)
      // A replica that has not received the table shows nothing, and answers.
      if (code === UNDEFINED_TABLE) return { ok: true, records: [] }
      return { ok: false, because: wordsOf(error), refused: REFUSED.test(code) }
    }
  }

  async clean(): Promise<void> {
    try {
      const client = await this.#connected()
      await client.query(`delete from ${TABLE} where run = $1`, [this.#options.run])
    } catch {
      // The next server that starts removes it.
    }
  }

  close(): void {
    this.#closed = true
    const client = this.#client
    this.#client = null
    if (client !== null) void client.end().catch(() => {})
  }

  async #connected(): Promise<pg.Client> {
    if (this.#client !== null) return this.#client
    const { group, at } = this.#options
    const bounds = { name: 'holdfast canary', connectMs: ANSWER_MS, answerMs: ANSWER_MS }
    const client = await connectPostgres(group, at, bounds)
    if (this.#closed) {
      void client.end().catch(() => {})
      throw new Error('closed')
    }
    // As a pool does it: what broke while nobody used it is opened anew.
    const forget = (): void => {
      if (this.#client === client) this.#client = null
    }
    client.on('error', forget)
    client.on('end', forget)
    this.#client = client
    return client
  }

  /** `if not exists` alone would ask for the right to create even where the table is. */
  async #prepare(client: pg.Client): Promise<void> {
    const { run, made, earlier } = this.#options
    const { rows } = await client.query<{ there: boolean }>(`select to_regclass('${TABLE}') is not null as there`)
    if (rows[0]?.there === true) await client.query(SWEEP, [run, earlier])
    else {
      await client.query(MAKE).catch((error: unknown) => {
        if (!MADE_TWICE.has(codeOf(error))) throw error
      })
    }
    made.table = true
  }
}

/** A commit that waits for a standby holds its connection for as long, also when nobody waits for it any more. */
function cancel(at: Address, client: pg.Client): void {
  const { processID, secretKey } = client as unknown as { processID: unknown; secretKey: unknown }
  if (typeof processID !== 'number' || typeof secretKey !== 'number') return
  const packet = Buffer.alloc(16)
  packet.writeInt32BE(16, 0)
  packet.writeInt32BE(CANCEL_REQUEST, 4)
  packet.writeInt32BE(processID, 8)
  packet.writeInt32BE(secretKey, 12)
  const socket = connect(at)
  socket.setTimeout(ANSWER_MS, () => socket.destroy())
  socket.on('error', () => {})
  socket.resume()
  socket.end(packet)
}

/** The SQLSTATE; empty when the server did not answer. */
function codeOf(error: unknown): string {
  return error instanceof pg.DatabaseError ? (error.code ?? '') : ''
}

function wordsOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  const code = codeOf(error)
  return (code === '' ? text || 'no answer' : `${text} (${code})`).slice(0, 300)
}
