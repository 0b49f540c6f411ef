/** SQLite as Node brings it, in the form Kysely's dialect asks for. WAL, and every commit is on disk (full sync). */
import { chmodSync, closeSync, openSync } from 'node:fs'
import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import { Kysely, type SqliteDatabase, SqliteDialect } from 'kysely'
import { HoldfastError } from '../../errors.ts'
import type { Tables } from './tables.ts'

/** While SQLite waits for another process, this one stands still; so it waits hardly, and `database.ts` tries again. */
const BUSY_MS = 10
const SQLITE_BUSY = 5
/** Statements kept prepared; the queries of the server are some sixty. */
const PREPARED_MAX = 200

export function openSqlite(file: string): Kysely<Tables> {
  let database: DatabaseSync
  try {
    // Nobody else may read password hashes, not even for the moment before the mode is set.
    closeSync(openSync(file, 'a', 0o600))
    chmodSync(file, 0o600)
    database = new DatabaseSync(file, { timeout: BUSY_MS, enableForeignKeyConstraints: true })
    database.exec('pragma journal_mode = wal')
    database.exec('pragma synchronous = full')
    // A damaged file is met now, not in the middle of a change.
    database.prepare('select count(*) from sqlite_master').get()
  } catch (cause) {
    throw unusable(file, cause)
  }
  return new Kysely<Tables>({ dialect: new SqliteDialect({ database: adapted(database) }) })
}

function adapted(database: DatabaseSync): SqliteDatabase {
  const prepared = new Map<string, ReturnType<DatabaseSync['prepare']>>()
  const statementOf = (sql: string) => {
    const known = prepared.get(sql)
    if (known !== undefined) return known
    const made = database.prepare(sql)
    if (prepared.size >= PREPARED_MAX) prepared.clear()
    prepared.set(sql, made)
    return made
  }
  return {
    close: () => database.close(),
    prepare(text) {
      // Every transaction here writes; one that reads first and writes later could find itself out of date.
      const sql = text === 'begin' ? 'begin immediate' : text
      const statement = statementOf(sql)
      const values = (parameters: readonly unknown[]) => parameters as readonly SQLInputValue[]
      return {
        reader: statement.columns().length > 0,
        all: (parameters) => statement.all(...values(parameters)),
        run: (parameters) => statement.run(...values(parameters)),
        iterate: (parameters) => statement.iterate(...values(parameters)),
      }
    },
  }
}

function unusable(file: string, cause: unknown): HoldfastError {
  const because = cause instanceof Error ? cause.message : String(cause)
  const next = 'see that the folder exists and may be written by this user; a damaged file: put back its copy'
  return new HoldfastError('HF_DATABASE_UNUSABLE', `the database ${file} cannot be opened: ${because}`, next, cause)
}

/** Another server of this host writes just now; nothing was done. */
export function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY
}
