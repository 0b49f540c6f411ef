/** What a PostgreSQL behind Patroni says of itself. One reading query on one connection, with a deadline. */
import type { EngineWord } from '../../core/supervision/model.ts'
import type { Endpoint, SupervisorOptions } from '../supervisor.ts'

const QUERY = `select pg_is_in_recovery() as recovering,
  (case when pg_is_in_recovery() then coalesce(greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()),
     pg_last_wal_replay_lsn()) else pg_current_wal_lsn() end - '0/0'::pg_lsn)::text as position,
  (select coalesce(status, 'hidden') from pg_stat_wal_receiver limit 1) as receiver`

/** Ends within `timeoutMs`; whatever it answers is a word. */
export async function askPostgres(
  member: string,
  { host, port }: Endpoint,
  o: SupervisorOptions,
  timeoutMs: number,
): Promise<EngineWord> {
  const { observer, tls } = o
  if (observer === null) return silent(member, 'nobody is named to look with')
  const { default: pg } = await import('pg')
  const client = new pg.Client({
    ...{ host, port, user: observer.user, password: observer.password, database: observer.database },
    application_name: 'holdfast',
    connectionTimeoutMillis: timeoutMs,
    // Also the server's own guard: whatever is sent, nothing can be written.
    options: '-c default_transaction_read_only=on',
    ...(tls === null ? {} : { ssl: { ...tls, rejectUnauthorized: true } }),
  })
  client.on('error', () => undefined)
  const inner = client as unknown as { readonly connection?: { readonly stream?: { destroy(): void } } }
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<EngineWord>((resolve) => {
    timer = setTimeout(() => resolve(silent(member, `no answer within ${Math.round(timeoutMs)} ms`)), timeoutMs)
  })
  const asked = client.connect().then(async () => {
    const { rows } = await client.query(QUERY)
    return wordOf(member, rows[0] as Readonly<Record<string, unknown>> | undefined)
  })
  try {
    return await Promise.race([late, asked.catch((error: unknown) => silent(member, messageOf(error)))])
  } finally {
    clearTimeout(timer)
    inner.connection?.stream?.destroy()
  }
}

function wordOf(member: string, row: Readonly<Record<string, unknown>> | undefined): EngineWord {
  if (row === undefined || typeof row.recovering !== 'boolean') return silent(member, 'its answer is no answer')
  const position = Number(row.position)
  return {
    member,
    answering: true,
    because: '',
    role: row.recovering ? 'replica' : 'primary',
    position: Number.isFinite(position) ? position : null,
    timeline: null,
    // Who is no member of pg_monitor sees that there is a receiver, not what it does.
    streaming: row.receiver === 'streaming' || row.receiver === 'hidden',
  }
}

function silent(member: string, because: string): EngineWord {
  return { member, answering: false, because, role: null, position: null, timeline: null, streaming: false }
}

function messageOf(error: unknown): string {
  return error instanceof Error && error.message !== '' ? error.message : String(error)
}
