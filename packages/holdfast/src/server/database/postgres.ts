/** PostgreSQL for several servers at once: a pool of its own, everything in the schema `holdfast`. */
import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import type { Log } from '../../io/log.ts'
import type { Tables } from './tables.ts'

const CONNECTIONS_MAX = 8
const CONNECT_MS = 5_000
/** The slowest query reads a page; a page that takes longer is better refused than waited for. */
const STATEMENT_MS = 15_000
const INT8 = 20

export function openPostgres(url: string, log: Log): Kysely<Tables> {
  const pool = new pg.Pool({
    connectionString: url,
    max: CONNECTIONS_MAX,
    connectionTimeoutMillis: CONNECT_MS,
    statement_timeout: STATEMENT_MS,
    query_timeout: STATEMENT_MS + CONNECT_MS,
    idle_in_transaction_session_timeout: STATEMENT_MS,
    application_name: 'holdfast server',
    // Whatever the role has set, names of ours mean tables of ours.
    options: '-c search_path=holdfast -c synchronous_commit=on',
    types: {
      // Ours are counters and milliseconds, exact up to 2^53.
      getTypeParser: (oid: number, format?: 'text' | 'binary') =>
        oid === INT8 ? Number : pg.types.getTypeParser(oid, format as 'text'),
    } as pg.CustomTypesConfig,
  })
  // An idle connection that breaks is replaced at the next query; unheard, the event would end the process.
  pool.on('error', (error) => log.warn({ error }, 'database-connection-lost'))
  return new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) })
}
