/**
 * The embedded store's file: one SQLite database, one process. Durable before acknowledged: write-ahead log with a
 * sync for each commit, so a kill at any byte loses nothing that was answered. One counter for all keys is the
 * revision, written in the same transaction, so it never repeats. The exclusive lock keeps a second process out; the
 * system frees it with the process. Serving it is left to server.ts.
 */
import { closeSync, fsyncSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type SQLOutputValue, type StatementSync } from 'node:sqlite'
import { HoldfastError } from '../../errors.ts'
import { systemClock } from '../../io/clock.ts'
import { freshId } from '../../io/random.ts'
import { type KeyRevision, LIST_MAX, type StoredValue } from '../contract.ts'
import type { CasRequest, Stamped } from './protocol.ts'

/** "HfSt": marks the file as ours in SQLite's header. */
const APPLICATION_ID = 0x48665374
const FORMAT = 1
/** A predecessor that was just killed frees its lock when the system is done with it. */
const LOCK_WAIT_MS = 2_000
const LOCK_RETRY_MS = 50
/** The log is folded back at this size, which keeps that pause to a few milliseconds. */
const CHECKPOINT_PAGES = 512

const SCHEMA = `
  CREATE TABLE store (
    only INTEGER PRIMARY KEY CHECK (only = 1), id TEXT NOT NULL, revision INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE entries (
    key TEXT PRIMARY KEY, value TEXT NOT NULL, revision INTEGER NOT NULL, write_id TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE UNIQUE INDEX entries_by_revision ON entries (revision);
`

export type CasResult =
  | { readonly kind: 'applied' | 'conflict'; readonly entry: StoredValue }
  | { readonly kind: 'refused'; readonly because: string }

export type BatchResult =
  | { readonly kind: 'committed'; readonly results: readonly CasResult[] }
  /** Nothing of the batch was applied, as far as SQLite can tell; the disk may know better after a restart. */
  | { readonly kind: 'failed'; readonly diskFull: boolean; readonly because: string }

type Row = Record<string, SQLOutputValue>

export class StoreFile {
  readonly #database: DatabaseSync
  readonly #id: string
  #revision: KeyRevision
  readonly #get: StatementSync
  readonly #after: StatementSync
  readonly #put: StatementSync
  readonly #count: StatementSync
  readonly #advance: StatementSync

  private constructor(database: DatabaseSync) {
    this.#database = database
    const row = database.prepare('SELECT id, revision FROM store').get() ?? {}
    this.#id = String(row.id)
    this.#revision = Number(row.revision)
    this.#get = database.prepare('SELECT key, value, revision, write_id FROM entries WHERE key = ?')
    this.#after = database.prepare(
      `SELECT key, value, revision FROM entries
       WHERE revision > ?1 AND substr(key, 1, length(?2)) = ?2 ORDER BY revision LIMIT ?3`,
    )
    this.#put = database.prepare(
      `INSERT INTO entries (key, value, revision, write_id) VALUES (?, ?, ?, ?)
       ON CONFLICT (key) DO UPDATE SET value = excluded.value, revision = excluded.revision,
       write_id = excluded.write_id`,
    )
    this.#count = database.prepare('SELECT count(*) AS keys FROM entries')
    this.#advance = database.prepare('UPDATE store SET revision = ?')
  }

  /** Opens the file, makes it when there is none. Throws a HoldfastError when it is in use, foreign or damaged. */
  static async open(path: string): Promise<StoreFile> {
    const untilMs = systemClock.nowMs() + LOCK_WAIT_MS
    for (;;) {
      try {
        return StoreFile.#openOnce(path)
      } catch (error) {
        if (!isBusy(error)) throw openFailure(path, error)
        if (systemClock.nowMs() >= untilMs) throw inUse(path, error)
      }
      await new Promise((resolve) => setTimeout(resolve, LOCK_RETRY_MS))
    }
  }

  static #openOnce(path: string): StoreFile {
    prepareFile(path)
    const database = new DatabaseSync(path, { timeout: 0 })
    try {
      // Before the first access: the log's index then stays in memory and the lock is held until the end.
      database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA trusted_schema = OFF')
      database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA fullfsync = ON')
      database.exec(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}; BEGIN IMMEDIATE`)
      makeOrVerify(database, path)
      database.exec('COMMIT')
      return new StoreFile(database)
    } catch (error) {
      database.close()
      throw error
    }
  }

  stamp(): Stamped {
    return { store: this.#id, revision: this.#revision }
  }

  get(key: string): StoredValue {
    const row = this.#get.get(key)
    return row === undefined ? { key, value: null, revision: 0 } : entryOf(row)
  }

  /** Entries under the prefix that changed after a revision, in the order of their revisions. */
  changedAfter(prefix: string, after: KeyRevision, countMax: number): readonly StoredValue[] {
    return this.#after.all(after, prefix, countMax).map(entryOf)
  }

  /** All or none in one transaction with one sync: many beats at once cost one. Synchronous. */
  apply(requests: readonly CasRequest[]): BatchResult {
    const before = this.#revision
    try {
      this.#database.exec('BEGIN IMMEDIATE')
      const results = requests.map((request) => this.#applyOne(request))
      if (this.#revision !== before) this.#advance.run(this.#revision)
      this.#database.exec('COMMIT')
      return { kind: 'committed', results }
    } catch (error) {
      this.#revision = before
      this.#rollBack()
      return { kind: 'failed', diskFull: sqliteCode(error) === SQLITE_FULL, because: messageOf(error) }
    }
  }

  close(): void {
    if (this.#database.isOpen) this.#database.close()
  }

  #rollBack(): void {
    try {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
    } catch {
      // SQLite rolled back by itself, or the next BEGIN fails and says so.
    }
  }

  #applyOne(request: CasRequest): CasResult {
    const { key, value, ifRevision, writeId } = request
    const row = this.#get.get(key)
    const present: StoredValue = row === undefined ? { key, value: null, revision: 0 } : entryOf(row)
    if (present.revision !== ifRevision) {
      return { kind: row?.write_id === writeId ? 'applied' : 'conflict', entry: present }
    }
    if (row === undefined && Number(this.#count.get()?.keys) >= LIST_MAX) {
      return { kind: 'refused', because: `the store holds ${LIST_MAX} keys and takes no more` }
    }
    this.#revision += 1
    this.#put.run(key, value, this.#revision, writeId)
    return { kind: 'applied', entry: { key, value, revision: this.#revision } }
  }
}

/** Only the owner may read it; the directory's entry is made durable with it. */
function prepareFile(path: string): void {
  const directory = dirname(path)
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  closeSync(openSync(path, 'a', 0o600))
  const handle = openSync(directory, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}

function makeOrVerify(database: DatabaseSync, path: string): void {
  const pragma = (name: string) => Number(Object.values(database.prepare(`PRAGMA ${name}`).get() ?? {})[0])
  const applicationId = pragma('application_id')
  const tables = Number(database.prepare('SELECT count(*) AS tables FROM sqlite_schema').get()?.tables)
  if (applicationId === 0 && tables === 0) {
    database.exec(SCHEMA)
    database.prepare('INSERT INTO store (only, id, revision) VALUES (1, ?, 0)').run(freshId())
    database.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${FORMAT}`)
    return
  }
  if (applicationId !== APPLICATION_ID) {
    throw foreign(path, 'it is a database of another program')
  }
  const format = pragma('user_version')
  if (format !== FORMAT) throw foreign(path, `it has format ${format}; this version knows ${FORMAT}`)
  const check = Object.values(database.prepare('PRAGMA quick_check(1)').get() ?? {})[0]
  if (check !== 'ok') throw damaged(path, String(check))
}

function entryOf(row: Row): StoredValue {
  return { key: String(row.key), value: String(row.value), revision: Number(row.revision) }
}

const SQLITE_BUSY = 5
const SQLITE_LOCKED = 6
const SQLITE_CORRUPT = 11
const SQLITE_FULL = 13
const SQLITE_NOTADB = 26

function sqliteCode(error: unknown): number {
  if (typeof error !== 'object' || error === null || !('errcode' in error)) return 0
  // The low byte is the primary code.
  return typeof error.errcode === 'number' ? error.errcode & 0xff : 0
}

function isBusy(error: unknown): boolean {
  const code = sqliteCode(error)
  return code === SQLITE_BUSY || code === SQLITE_LOCKED
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function openFailure(path: string, error: unknown): HoldfastError {
  if (error instanceof HoldfastError) return error
  const code = sqliteCode(error)
  if (code === SQLITE_NOTADB) return foreign(path, 'it is no database', error)
  if (code === SQLITE_CORRUPT) return damaged(path, messageOf(error), error)
  return new HoldfastError(
    'HF_STORE_FILE_UNUSABLE',
    `the store's file ${path} cannot be opened: ${messageOf(error)}`,
    'check that the directory exists, has room and belongs to the user that runs the store',
    error,
  )
}

function inUse(path: string, error: unknown): HoldfastError {
  const next = 'end the other process first, or give this one a file of its own'
  return new HoldfastError('HF_STORE_FILE_IN_USE', `another process serves the store's file ${path}`, next, error)
}

function foreign(path: string, because: string, error?: unknown): HoldfastError {
  const next = 'name another file; this one was left as it is'
  return new HoldfastError('HF_STORE_FILE_FOREIGN', `${path} is not a store's file: ${because}`, next, error)
}

function damaged(path: string, because: string, error?: unknown): HoldfastError {
  return new HoldfastError(
    'HF_STORE_FILE_DAMAGED',
    `the store's file ${path} is damaged: ${because}`,
    'stop all agents, check the disk, move the file away and start with a new one; agents then claim their groups anew',
    error,
  )
}
