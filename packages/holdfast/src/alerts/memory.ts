/**
 * What the alerts must not forget: one SQLite file with the state, and with requests of people (silence, acknowledge)
 * that the runner takes up. One runner at a time; the command line only reads, and adds requests.
 */
import { chmodSync, existsSync, mkdirSync } from 'node:fs'
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type AlertsEvent, type AlertsState, EMPTY } from '../core/alerts/state.ts'
import { HoldfastError } from '../errors.ts'
import type { Clock } from '../io/clock.ts'
import { freshId } from '../io/random.ts'

const VERSION = 1
/** A runner saves with every look; one that has not for so long is gone. */
export const RUNNER_SILENT_MS = 120_000
const BUSY_MS = 2_000
/** People type them; more at once are a mistake of a script. */
const REQUESTS_MAX = 1_000
/** Time that passed while nobody ran; beyond it a clock was wrong. */
const AWAY_MAX_MS = 60 * 86_400_000

export type Wish = Extract<AlertsEvent, { kind: 'silence' | 'unsilence' | 'acknowledge' }>
/** Without the time, which is that of the runner. */
export type Request = Wish extends infer W ? (W extends Wish ? Omit<W, 'nowMs'> : never) : never

export interface Saved {
  readonly state: AlertsState
  /** Of the alerts' own clock, and of the wall, when it was saved. */
  readonly atMs: number
  readonly wallMs: number
  /** Null: nobody runs. */
  readonly runner: string | null
}

export interface Waiting {
  readonly id: number
  readonly request: Request
}

export interface Memory {
  read(): Saved | null
  /** Takes the place of the runner. Throws `HF_ALERTS_RUNNING` while another one saves. */
  claim(runner: string, clock: Pick<Clock, 'wallMs'>): void
  /** False: another runner has taken over. */
  save(runner: string, saved: Omit<Saved, 'runner'>): boolean
  /** Lets go of the place. */
  leave(runner: string): void
  /** Gives the number of the request. */
  add(request: Request, wallMs: number): number
  /** Requests nobody has taken up, oldest first. */
  waiting(): readonly Waiting[]
  /** This one and all before it are taken up. */
  done(id: number): void
  close(): void
}

export function memoryPath(dir: string): string {
  return join(dir, 'alerts.sqlite')
}

/** Null when there is none and none is to be made. */
export function openMemory(dir: string, make: boolean): Memory | null {
  const path = memoryPath(dir)
  if (!make && !existsSync(path)) return null
  const database = opened(path)
  return {
    read: () => readSaved(database, path),
    claim: (runner, clock) => claim(database, path, { runner, wallMs: clock.wallMs() }),
    save: (runner, saved) => {
      const text = JSON.stringify(saved.state)
      const sql = 'UPDATE state SET text = ?, at_ms = ?, wall_ms = ? WHERE runner = ?'
      return database.prepare(sql).run(text, saved.atMs, saved.wallMs, runner).changes === 1
    },
    leave: (runner) => void database.prepare('UPDATE state SET runner = NULL WHERE runner = ?').run(runner),
    add: (request, wallMs) => add(database, request, wallMs),
    waiting: () => waiting(database),
    done: (id) => void database.prepare('DELETE FROM requests WHERE id <= ?').run(id),
    close: () => database.close(),
  }
}

function opened(path: string): DatabaseSync {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    const database = new DatabaseSync(path)
    chmodSync(path, 0o600)
    database.exec(`PRAGMA busy_timeout = ${BUSY_MS}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
      CREATE TABLE IF NOT EXISTS state (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL,
        text TEXT NOT NULL, at_ms REAL NOT NULL, wall_ms REAL NOT NULL, runner TEXT);
      CREATE TABLE IF NOT EXISTS requests (id INTEGER PRIMARY KEY AUTOINCREMENT, wall_ms REAL NOT NULL,
        text TEXT NOT NULL);`)
    return database
  } catch (error) {
    throw unusable(path, error)
  }
}

function unusable(path: string, error: unknown): HoldfastError {
  const because = error instanceof Error ? error.message : String(error)
  const forgotten = 'silences and acknowledgements are then forgotten'
  const next = `see that this user may write there, or move ${path} away: ${forgotten}`
  return new HoldfastError('HF_ALERTS_FILE_UNUSABLE', `${path} cannot be used: ${because}`, next, error)
}

interface Row {
  readonly version: number
  readonly text: string
  readonly at_ms: number
  readonly wall_ms: number
  readonly runner: string | null
}

function readSaved(database: DatabaseSync, path: string): Saved | null {
  try {
    const row = database.prepare('SELECT * FROM state WHERE one = 1').get() as Row | undefined
    if (row === undefined) return null
    if (row.version !== VERSION) throw new Error(`it is of version ${row.version}, this is version ${VERSION}`)
    const state = JSON.parse(row.text) as AlertsState
    if (typeof state.alerts !== 'object' || typeof state.desks !== 'object') throw new Error('it holds no alerts')
    return { state, atMs: row.at_ms, wallMs: row.wall_ms, runner: row.runner }
  } catch (error) {
    throw unusable(path, error)
  }
}

function claim(database: DatabaseSync, path: string, { runner, wallMs }: { runner: string; wallMs: number }): void {
  database.exec('BEGIN IMMEDIATE')
  try {
    const found = readSaved(database, path)
    const fresh = found !== null && Math.abs(wallMs - found.wallMs) < RUNNER_SILENT_MS
    if (fresh && found.runner !== null && !isGone(found.runner)) {
      throw new HoldfastError(
        'HF_ALERTS_RUNNING',
        `${found.runner} already runs the alerts of ${path}`,
        `end it first; if it was killed, wait ${RUNNER_SILENT_MS / 1_000} seconds`,
      )
    }
    if (found === null) {
      const sql = 'INSERT INTO state (one, version, text, at_ms, wall_ms, runner) VALUES (1, ?, ?, 0, ?, ?)'
      database.prepare(sql).run(VERSION, JSON.stringify(EMPTY), wallMs, runner)
    } else database.prepare('UPDATE state SET runner = ? WHERE one = 1').run(runner)
    database.exec('COMMIT')
  } catch (error) {
    database.exec('ROLLBACK')
    throw error
  }
}

/** Names the process, so that one that was killed on this host can be told from one that runs. */
export function runnerName(): string {
  return `${hostname()} process ${process.pid} ${freshId().slice(0, 6)}`
}

/** It ran on this host and its process is not there any more; of other hosts only the time tells. */
function isGone(runner: string): boolean {
  const [, host, pid] = /^(\S+) process (\d+) /.exec(runner) ?? []
  if (host !== hostname() || pid === undefined) return false
  try {
    process.kill(Number(pid), 0)
    return false
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ESRCH'
  }
}

function add(database: DatabaseSync, request: Request, wallMs: number): number {
  const { count } = database.prepare('SELECT count(*) AS count FROM requests').get() as { count: number }
  if (count >= REQUESTS_MAX) {
    const next = 'start the runner, which takes them up: holdfast alerts run'
    throw new HoldfastError('HF_BUSY', `${count} requests wait for a runner`, next)
  }
  const sql = 'INSERT INTO requests (wall_ms, text) VALUES (?, ?)'
  return Number(database.prepare(sql).run(wallMs, JSON.stringify(request)).lastInsertRowid)
}

function waiting(database: DatabaseSync): readonly Waiting[] {
  const rows = database.prepare('SELECT id, text FROM requests ORDER BY id').all() as { id: number; text: string }[]
  return rows.map(({ id, text }) => ({ id, request: JSON.parse(text) as Request }))
}

/** Goes on where it was saved: by the wall for the time away, by the monotonic clock from then on. */
export function alertsClock(saved: Pick<Saved, 'atMs' | 'wallMs'> | null, clock: Clock): () => number {
  const awayMs = saved === null ? 0 : Math.min(Math.max(0, clock.wallMs() - saved.wallMs), AWAY_MAX_MS)
  const startMs = (saved?.atMs ?? 0) + awayMs
  const fromMs = clock.nowMs()
  return () => startMs + (clock.nowMs() - fromMs)
}
