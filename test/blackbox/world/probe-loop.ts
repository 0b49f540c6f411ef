/**
 * Asks one database, past every proxy and every cut, whether it acknowledges a write right now: one insert every few
 * milliseconds on a connection of its own, made again as soon as it broke. Tells lines of history; judges nothing.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { PROCESS_STRIDE } from '../history.ts'
import type { ProbeOrder, UnnumberedLine } from './host-words.ts'

const CONNECT_MS = 300
/**
 * Statements that passed their deadline keep their connection until they are answered, for an engine that waits for a
 * confirmation would otherwise collect waiting sessions. With so many of them nothing new is asked.
 */
const OVERDUE_MAX = 8
/** Timeline as the database itself says, in the same statement: no second question could be answered late. */
const INSERT = `insert into probe (member, n) values ($1, $2)
  returning ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int as timeline`
/**
 * Refused before anything was written: a replica, too many sessions, no such table, or not allowed. A session that is
 * terminated is none of these: its write may stand.
 */
const REFUSALS = new Set(['25006', '53300', '42P01', '42501', '55000'])
/** The wait for a confirmation was given up: the write stands here, but nobody else may have it. */
const UNCONFIRMED = /synchronous replication/

type Outcome =
  | { readonly kind: 'ok'; readonly timeline: number }
  | { readonly kind: 'failed'; readonly code: string; readonly because: string }
  | { readonly kind: 'overdue' }

export class ProbeLoop {
  readonly #order: ProbeOrder
  readonly #tell: (line: UnnumberedLine) => void
  #client: pg.Client | null = null
  #process: number
  #n = 0
  #overdue = 0
  #going = true
  #done: Promise<void> = Promise.resolve()

  constructor(order: ProbeOrder, tell: (line: UnnumberedLine) => void) {
    this.#order = order
    this.#tell = tell
    this.#process = order.process
  }

  start(): void {
    this.#done = this.#run()
  }

  async stop(): Promise<void> {
    this.#going = false
    await this.#done
  }

  async #run(): Promise<void> {
    // Grows with the clock, so that a second probe of the same member begins above the first.
    this.#n = Math.floor(Date.now() / 10) * 100
    while (this.#going) {
      const startedMs = performance.now()
      await this.#once()
      const leftMs = this.#order.everyMs - (performance.now() - startedMs)
      if (leftMs > 0) await sleep(leftMs)
    }
    this.#leave()
  }

  async #once(): Promise<void> {
    if (this.#overdue >= OVERDUE_MAX) return
    const client = this.#client ?? (await this.#connect())
    if (client === null || !this.#going) return
    const value = { member: this.#order.member, n: ++this.#n }
    const say = (line: Pick<UnnumberedLine, 'type'> & Partial<UnnumberedLine>): void =>
      this.#tell({ time: Number(process.hrtime.bigint()), process: this.#process, f: 'probe', value, ...line })
    say({ type: 'invoke' })
    const outcome = await this.#ask(client, value.n)
    if (outcome.kind === 'ok') {
      say({ type: 'ok', node: this.#order.member, epoch: outcome.timeline })
      return
    }
    const refused = outcome.kind === 'failed' && REFUSALS.has(outcome.code)
    const error = outcome.kind === 'failed' ? outcome.because : `no answer within ${this.#order.deadlineMs} ms`
    say({ type: refused ? 'fail' : 'info', error })
    if (refused) return
    this.#process += PROCESS_STRIDE
    if (outcome.kind === 'failed') this.#leave()
    else this.#client = null
  }

  async #ask(client: pg.Client, n: number): Promise<Outcome> {
    let unconfirmed = ''
    const hear = ({ message = '' }: { message?: string | undefined }): void => {
      if (UNCONFIRMED.test(message)) unconfirmed = message
    }
    client.on('notice', hear)
    // Named, so that it is parsed once.
    const answer = client.query({ name: 'probe', text: INSERT, values: [this.#order.member, n] }).then(
      ({ rows }): Outcome =>
        unconfirmed === ''
          ? { kind: 'ok', timeline: Number(rows[0]?.timeline) }
          : { kind: 'failed', code: '', because: unconfirmed },
      (error: Error & { code?: unknown }): Outcome => ({
        kind: 'failed',
        code: String(error.code ?? ''),
        because: error.message,
      }),
    )
    const late = new AbortController()
    const deadline = sleep(this.#order.deadlineMs, { kind: 'overdue' } as const, { signal: late.signal })
    deadline.catch(() => {})
    const outcome = await Promise.race([answer, deadline])
    late.abort()
    if (outcome.kind !== 'overdue') {
      client.off('notice', hear)
      return outcome
    }
    this.#overdue += 1
    void answer.then(() => {
      this.#overdue -= 1
      client.end().catch(() => {})
    })
    return outcome
  }

  async #connect(): Promise<pg.Client | null> {
    const { own, login } = this.#order
    const client = new pg.Client({
      ...own,
      ...login,
      application_name: 'probe',
      connectionTimeoutMillis: CONNECT_MS,
    })
    client.on('error', () => {
      if (this.#client === client) this.#client = null
    })
    try {
      await client.connect()
    } catch {
      client.end().catch(() => {})
      return null
    }
    this.#client = client
    return client
  }

  #leave(): void {
    const client = this.#client
    this.#client = null
    client?.end().catch(() => {})
  }
}
