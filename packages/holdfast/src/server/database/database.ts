/** Opens the server's database, whichever it is, brings it to this version, and is the only way to it. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Kysely, sql, type Transaction } from 'kysely'
import { HoldfastError } from '../../errors.ts'
import type { Clock } from '../../io/clock.ts'
import type { Log } from '../../io/log.ts'
import { jitterMs } from '../../io/random.ts'
import { type Migration, migrate } from './migrations.ts'
import { openPostgres } from './postgres.ts'
import { isBusy, openSqlite } from './sqlite.ts'
import type { Tables } from './tables.ts'

export type Reading = Kysely<Tables>
export type Writing = Transaction<Tables>

export interface Database {
  readonly kind: 'sqlite' | 'postgres'
  readonly read: Reading
  /** All of it or nothing; it is on disk when this resolves. Throws `HF_DATABASE_UNUSABLE` when it cannot be. */
  write<T>(change: (transaction: Writing) => Promise<T>): Promise<T>
  close(): Promise<void>
}

export interface DatabaseOptions {
  /** Folder of the SQLite file. */
  readonly dir: string
  /** `postgres://...` instead of SQLite. */
  readonly url: string | null
  readonly clock: Clock
  readonly log: Log
  readonly migrations?: readonly Migration[]
}

/** Another server writes for a few milliseconds; longer means it hangs. */
const BUSY_MS_MAX = 8_000
/** Any number nobody else uses for an advisory lock of this database. */
const MIGRATION_LOCK = 5_701_377_212

export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const { url, dir, clock, log } = options
  const kind = url === null ? 'sqlite' : 'postgres'
  if (url === null) mkdirSync(dir, { recursive: true, mode: 0o700 })
  const db = url === null ? openSqlite(join(dir, 'server.sqlite')) : openPostgres(url, log)
  const lock = async (transaction: Writing): Promise<void> => {
    if (kind === 'sqlite') return
    await sql`select pg_advisory_xact_lock(${MIGRATION_LOCK})`.execute(transaction)
    await sql`create schema if not exists holdfast`.execute(transaction)
  }
  try {
    await patiently(clock, () => migrate({ db, lock, wallMs: () => clock.wallMs() }, options.migrations))
  } catch (error) {
    await db.destroy()
    throw error instanceof HoldfastError ? error : unusable(error)
  }
  return {
    kind,
    read: db,
    write: async (change) => {
      try {
        return await patiently(clock, () => db.transaction().execute(change))
      } catch (error) {
        throw error instanceof HoldfastError ? error : unusable(error)
      }
    },
    close: () => db.destroy(),
  }
}

/** A transaction that could not begin because another server writes is begun again, for a few seconds. */
async function patiently<T>(clock: Clock, run: () => Promise<T>): Promise<T> {
  const endMs = clock.nowMs() + BUSY_MS_MAX
  for (;;) {
    try {
      return await run()
    } catch (error) {
      if (!isBusy(error) || clock.nowMs() > endMs) throw error
    }
    await new Promise((resolve) => setTimeout(resolve, jitterMs(2, 15)))
  }
}

/** Words of the database go into the log with the cause; what a caller reads holds no statement and no value. */
function unusable(cause: unknown): HoldfastError {
  const code = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : ''
  const next = "see the server's log; look at its disk, or at the PostgreSQL behind it"
  return new HoldfastError(
    'HF_DATABASE_UNUSABLE',
    `the server's database does not answer as it should${code}`,
    next,
    cause,
  )
}
