/**
 * The workload: numbered transfers through the router on eight connections, and one prober per member that keeps an
 * old,
 * direct connection open across every fault and writes on it whenever the member lets it. Every acknowledgement is
 * remembered with the moment its statement left and
 * the moment it came back, and with the member and timeline that gave it, as the member itself says.
 *
 * A number whose answer was lost is looked up before it is sent again under a new attempt id, so a number that appears
 * twice means that a write which looked lost came back later.
 */
import pg from 'pg'
import { systemClock } from '../../io/clock.ts'
import type { Layout } from './layout.ts'

export interface Ack {
  readonly writer: number
  readonly n: number
  readonly sentMs: number
  readonly ackedMs: number
  readonly port: number
  readonly timeline: string
}

export interface Ledger {
  readonly acks: Ack[]
  /** Statements answered with an error, with the time and the code. */
  readonly refused: { readonly atMs: number; readonly code: string }[]
  /** New connections through the router that failed. */
  readonly failedConnects: { readonly atMs: number; readonly code: string }[]
  stop(): Promise<void>
}

const WRITERS = 8
/** Pause between two transfers of one writer: 8 writers make several hundred a second. */
const PACE_MS = 10
/** Back-off after a failure. */
const AGAIN_MS = 20
const CONNECT_MS = 12_000
/** An answer that takes longer is given up as unknown. */
const ANSWER_MS = 8_000
/** SQLSTATE of a write on a replica. */
const READ_ONLY = '25006'
const OPENING_BALANCE = 1_000_000

/** Writers from here on are the probers that talk straight to a member. */
export const FIRST_PROBER = 100
const PROBERS_MAX = 8
const ACCOUNTS = (WRITERS + PROBERS_MAX) * 2
/** Pause between two writes of a prober; bounds how finely two writers are told apart. */
const PROBE_MS = 20

export function connect(layout: Pick<Layout, 'password'>, port: number, timeoutMs = CONNECT_MS): pg.Client {
  const client = new pg.Client({
    host: '127.0.0.1',
    port,
    user: 'app',
    database: 'app',
    password: layout.password,
    connectionTimeoutMillis: timeoutMs,
    query_timeout: ANSWER_MS,
  })
  client.on('error', () => {})
  return client
}

export async function prepareLedger(layout: Layout): Promise<void> {
  const client = connect(layout, layout.routerPort, 30_000)
  await client.connect()
  await client.query(`
    create table account (id int primary key, balance bigint not null);
    create table transfer (attempt text primary key, writer int not null, n int not null, amount int not null);
    create index on transfer (writer, n);
    insert into account select i, ${OPENING_BALANCE} from generate_series(0, ${ACCOUNTS - 1}) i;
  `)
  await client.end()
}

export function startLedger(layout: Layout): Ledger {
  const acks: Ack[] = []
  const refused: Ledger['refused'] = []
  const failedConnects: Ledger['failedConnects'] = []
  let running = true

  const runWriter = async (writer: number): Promise<void> => {
    let client: pg.Client | null = null
    let n = 1
    let attempt = 1
    let unknown = false
    while (running) {
      try {
        client ??= await open(layout, failedConnects)
        if (unknown && (await isThere(client, writer, n))) {
          unknown = false
          n += 1
          continue
        }
        unknown = true
        acks.push(await transfer(client, { writer, n, attempt }))
        unknown = false
        n += 1
        attempt = 1
        await sleep(PACE_MS)
      } catch (error) {
        if (client !== null) refused.push({ atMs: systemClock.nowMs(), code: codeOf(error) })
        client?.end().catch(() => {})
        client = null
        attempt += 1
        await sleep(AGAIN_MS)
      }
    }
    await client?.end().catch(() => {})
  }
  const runProber = async (port: number, writer: number): Promise<void> => {
    let client: pg.Client | null = null
    for (let n = 1; running; n += 1) {
      try {
        if (client === null) {
          const fresh = connect(layout, port, 1_000)
          await fresh.connect()
          client = fresh
        }
        acks.push(await transfer(client, { writer, n, attempt: 1 }))
      } catch (error) {
        // A replica refuses; the connection stays. Anything else ended it.
        if (codeOf(error) !== READ_ONLY) {
          client?.end().catch(() => {})
          client = null
        } else await client?.query('rollback').catch(() => {})
      }
      await sleep(PROBE_MS)
    }
    client?.end().catch(() => {})
  }
  const writers = Array.from({ length: WRITERS }, (_, w) => runWriter(w))
  const probers = layout.members.map((m, i) => runProber(m.port, FIRST_PROBER + i))
  return {
    acks,
    refused,
    failedConnects,
    stop: async () => {
      running = false
      await Promise.race([Promise.all([...writers, ...probers]), sleep(ANSWER_MS)])
    },
  }
}

async function open(layout: Layout, failed: Ledger['failedConnects']): Promise<pg.Client> {
  const client = connect(layout, layout.routerPort)
  try {
    await client.connect()
    return client
  } catch (error) {
    failed.push({ atMs: systemClock.nowMs(), code: codeOf(error) })
    throw error
  }
}

async function transfer(client: pg.Client, what: { writer: number; n: number; attempt: number }): Promise<Ack> {
  const { writer, n, attempt } = what
  const from = (writer < FIRST_PROBER ? writer : WRITERS + writer - FIRST_PROBER) * 2
  const amount = (n % 7) + 1
  const sentMs = systemClock.nowMs()
  const answer: unknown = await client.query(`
    begin;
    insert into transfer select '${writer}-${n}-${attempt}', ${writer}, ${n}, ${amount}
      from pg_advisory_xact_lock(${writer});
    update account set balance = balance - ${amount} where id = ${from};
    update account set balance = balance + ${amount} where id = ${from + 1};
    select inet_server_port() as port, substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) as timeline;
    commit`)
  const ackedMs = systemClock.nowMs()
  const results = Array.isArray(answer) ? (answer as pg.QueryResult[]) : []
  if (results.at(-1)?.command !== 'COMMIT') throw new Error('rolled back')
  const row: unknown = results.find((r) => r.command === 'SELECT')?.rows[0]
  const { port, timeline } = row as { port: number; timeline: string }
  return { writer, n, sentMs, ackedMs, port, timeline }
}

/** Waits for an attempt that was given up and may still be committing: until it is over, its row is not to be seen. */
async function isThere(client: pg.Client, writer: number, n: number): Promise<boolean> {
  const answer: unknown = await client.query(`
    begin;
    select pg_advisory_xact_lock(${writer});
    select n from transfer where writer = ${writer} and n = ${n};
    commit`)
  const results = Array.isArray(answer) ? (answer as pg.QueryResult[]) : []
  return (results[2]?.rowCount ?? 0) > 0
}

export function codeOf(error: unknown): string {
  if (typeof error === 'object' && error !== null && 'code' in error) return String(error.code)
  return error instanceof Error ? error.message : String(error)
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

export interface Audit {
  /** Acknowledged transfers that the primary does not have. */
  readonly lost: Ack[]
  /** Numbers that stand in the ledger more than once. */
  readonly doubled: number
  /** Sum of all balances differs from what was put in. */
  readonly unbalanced: number
}

/** Compares every acknowledgement with what the present primary holds. */
export async function audit(layout: Layout, acks: readonly Ack[]): Promise<Audit> {
  const client = connect(layout, layout.routerPort)
  await client.connect()
  try {
    const rows = await client.query<{ key: string; times: string }>(
      `select writer || '-' || n as key, count(*) as times from transfer group by writer, n`,
    )
    const sum = await client.query<{ sum: string }>('select sum(balance) as sum from account')
    const times = new Map(rows.rows.map((r) => [r.key, Number(r.times)]))
    return {
      lost: acks.filter((a) => !times.has(`${a.writer}-${a.n}`)),
      doubled: [...times.values()].filter((t) => t > 1).length,
      unbalanced: Number(sum.rows[0]?.sum ?? 0) - ACCOUNTS * OPENING_BALANCE,
    }
  } finally {
    await client.end()
  }
}
