/**
 * The directories of one member and what Holdfast wrote into them: who the data belongs to, which copy it is, and
 * whether somebody was in the middle of making it. Nothing is ever removed that does not carry our own marks.
 *
 *   <data>/holdfast.member.json   whose data this is; written last, so a directory with it is complete
 *   <data>.unfinished             create or clone is under way or was interrupted: ours to wipe
 *   <run>/                        socket, settings, users, log; outside the data
 */
import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, lstat, mkdir, open, readdir, readFile, realpath, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import type { DataState } from '../../core/model.ts'
import { blockedAt, type Owner } from '../../io/unprivileged.ts'
import type { RedisOptions } from './options.ts'

/** A stretch of history under one leadership: `lsn = base + offset` of the server (SPEC.md). */
export interface LogLine {
  readonly timeline: number
  readonly base: number
}

/** What a clean stop left behind. */
export interface CleanEnd {
  readonly timeline: number
  readonly lsn: number
  readonly replid: string
  readonly offset: number
  /** The snapshot was saved, so that the server can go on where it was. */
  readonly saved: boolean
}

export interface MemberFile {
  readonly v: 1
  readonly engine: 'redis'
  readonly group: string
  readonly member: string
  /** New with each create and clone, and whenever what is on the disk may be less than what was confirmed. */
  readonly diskId: string
  readonly madeBy: 'create' | 'clone' | 'crash'
  readonly systemId: string
  /** Set before a promotion, cleared before the first write could be acknowledged. */
  readonly unopenedEpoch: number | null
  /** Created or promoted here, and has followed nobody since. */
  readonly wasPrimary: boolean
  /** The line the data was last on. */
  readonly line: LogLine
  /** Lines by the replication id the server shows while on them; the newest last. */
  readonly lines: Readonly<Record<string, LogLine>>
  /** As a primary it never told a position beyond this. */
  readonly reservedLsn: number
  /** The data reaches at least this far. */
  readonly lastLsn: number
  /** Memory holds what the log on the disk does not hold yet (a copy was just loaded). */
  readonly logPending: boolean
  /** The host's boot during which the server was last started. */
  readonly bootId: string
  readonly clean: CleanEnd | null
}

export interface Home {
  readonly dataDir: string
  readonly runDir: string
  readonly socket: string
  readonly confFile: string
  readonly usersFile: string
  readonly pidFile: string
  readonly logFile: string
  readonly marker: string
  readonly owner: Owner | null
}

export interface DataLook {
  readonly state: DataState
  readonly file: MemberFile | null
  /** For `foreign` and `unfinished`: what is there and what to do. */
  readonly because: string
}

const MEMBER_FILE = 'holdfast.member.json'
const INNER_MARKER = 'holdfast.unfinished'
/** `sun_path` is 108 bytes with its final zero (unix(7)). */
const SOCKET_PATH_BYTES_MAX = 107

/** Resolves links now: the kernel tells real paths, and processes are found by them. */
export async function homeOf(o: RedisOptions, owner: Owner | null): Promise<Home> {
  const asked = resolve(o.dataDir)
  await mkdir(dirname(asked), { recursive: true, mode: 0o755 })
  const dataDir = await realpath(asked).catch(async () => join(await realpath(dirname(asked)), basename(asked)))
  const runDir = resolve(o.runDir ?? join(dirname(dataDir), `.${basename(dataDir)}.run`))
  const hash = createHash('sha256').update(dataDir).digest('hex').slice(0, 12)
  const inRunDir = join(runDir, 'redis.sock')
  const fits = Buffer.byteLength(inRunDir) <= SOCKET_PATH_BYTES_MAX
  return {
    dataDir,
    runDir,
    socket: fits ? inRunDir : join(tmpdir(), `holdfast-${hash}`, 'redis.sock'),
    confFile: join(runDir, 'redis.conf'),
    usersFile: join(runDir, 'users.acl'),
    pidFile: join(runDir, 'redis.pid'),
    logFile: join(runDir, 'redis.log'),
    marker: `${dataDir}.unfinished`,
    owner,
  }
}

/** Owner and mode go to the very directory that was looked at, never to where a link in its place points. */
async function takeDirectory(dir: string, owner: Owner | null): Promise<string | null> {
  const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants
  const file = await open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
  try {
    const s = await file.stat()
    const mine = s.uid === (process.getuid?.() ?? 0) || s.uid === owner?.uid
    if (!mine) return `${dir} belongs to user ${s.uid}; remove it or set another run directory`
    if (owner !== null) await file.chown(owner.uid, owner.gid)
    await file.chmod(0o700)
    return null
  } finally {
    await file.close()
  }
}

/** A new file in place of whatever has that name; a link there is removed, not followed. */
export async function writeAnew(path: string, content: string, owner: Owner | null): Promise<void> {
  await rm(path, { force: true })
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writeFile(content)
    if (owner !== null) await file.chown(owner.uid, owner.gid)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Makes the directories beside the data. Returns what is in the way, or null. */
export async function prepareHome(home: Home): Promise<string | null> {
  try {
    for (const dir of new Set([home.runDir, dirname(home.socket)])) {
      await mkdir(dir, { recursive: true, mode: 0o700 })
      const refused = await takeDirectory(dir, home.owner)
      if (refused !== null) return refused
    }
  } catch (error) {
    return `cannot prepare ${home.runDir}: ${text(error)}`
  }
  const blocked = await blockedAt(dirname(home.dataDir), home.owner)
  if (blocked === null) return null
  const who = home.owner?.uid
  return `${blocked} may not be entered by user ${who}, as which Redis runs; chmod o+x ${blocked} or move the data`
}

export async function lookAtData(home: Home, o: RedisOptions): Promise<DataLook> {
  const marked = (await exists(home.marker)) || (await exists(join(home.dataDir, INNER_MARKER)))
  const names = await namesIn(home.dataDir)
  if (names === 'not a directory') return foreign(home, 'is not a directory')
  if (names === 'unreadable') return foreign(home, 'cannot be read')
  const file = await readMemberFile(home)
  if (marked) {
    const theirs = await markedBy(home)
    if (theirs !== null && theirs !== `${o.group}/${o.member}`) return foreign(home, `is being made for ${theirs}`)
    return { state: 'unfinished', file: null, because: `${home.dataDir} was not made to the end; it is made again` }
  }
  if (names.length === 0) return { state: 'empty', file: null, because: '' }
  if (file === null) return foreign(home, await whoseElse(home))
  if (file.group !== o.group || file.member !== o.member) {
    return foreign(home, `belongs to member ${file.member} of group ${file.group}`)
  }
  return { state: 'ready', file, because: '' }
}

function foreign(home: Home, what: string): DataLook {
  const next = 'it is left alone: move it away, or give this member another data directory'
  return { state: 'foreign', file: null, because: `${home.dataDir} ${what}; ${next}` }
}

async function whoseElse(home: Home): Promise<string> {
  try {
    const { v, engine } = JSON.parse(await readFile(join(home.dataDir, MEMBER_FILE), 'utf8')) as Partial<MemberFile>
    if (v !== 1) return `was written by another version of Holdfast (${MEMBER_FILE} has v ${JSON.stringify(v)})`
    if (engine !== 'redis') return 'holds the data of another engine'
    return `has a ${MEMBER_FILE} that lacks fields`
  } catch {
    return 'is not empty and was not made by Holdfast'
  }
}

export async function readMemberFile(home: Home): Promise<MemberFile | null> {
  try {
    const f = JSON.parse(await readFile(join(home.dataDir, MEMBER_FILE), 'utf8')) as MemberFile
    return f.v === 1 && typeof f.diskId === 'string' && f.engine === 'redis' ? f : null
  } catch {
    return null
  }
}

/** Durable when it returns: a promotion relies on `unopenedEpoch` being there after a power cut. */
export async function writeMemberFile(home: Home, file: MemberFile): Promise<void> {
  await writeOwned(home, join(home.dataDir, MEMBER_FILE), `${JSON.stringify(file)}\n`, true)
}

/** From now on the data directory counts as unfinished. Durable when it returns. */
export async function markUnfinished(home: Home, o: RedisOptions): Promise<void> {
  await writeOwned(home, home.marker, `${o.group}/${o.member}\n`, true)
}

export async function unmark(home: Home): Promise<void> {
  await rm(join(home.dataDir, INNER_MARKER), { force: true })
  await rm(home.marker, { force: true })
  await syncDirectory(dirname(home.marker))
}

/** Empties the data directory; refuses unless it is marked as ours and unfinished. */
export async function wipe(home: Home, o: RedisOptions): Promise<string | null> {
  const look = await lookAtData(home, o)
  if (look.state === 'empty') return null
  if (look.state !== 'unfinished') return look.because || `${home.dataDir} is complete; it is not wiped`
  for (const name of await readdir(home.dataDir).catch(() => [])) {
    await rm(join(home.dataDir, name), { recursive: true, force: true })
  }
  return null
}

/** Writes by rename, owned by the engine's account, readable by it alone. */
export async function writeOwned(home: Home, path: string, content: string, durable = false): Promise<void> {
  const partial = `${path}.new`
  await rm(partial, { force: true })
  const file = await open(partial, 'wx', 0o600)
  try {
    await file.writeFile(content)
    if (home.owner !== null) await file.chown(home.owner.uid, home.owner.gid)
    if (durable) await file.sync()
  } catch (error) {
    await rm(partial, { force: true })
    throw error
  } finally {
    await file.close()
  }
  await rename(partial, path)
  if (durable) await syncDirectory(dirname(path))
}

/**
 * The log lies in a directory of the engine's own account. As root we must not follow what that account may have put in
 * its place: only a plain file with one name is opened.
 */
export async function openLog(path: string): Promise<FileHandle> {
  const { O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_RDWR } = constants
  const file = await open(path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600)
  const s = await file.stat()
  if (s.isFile() && s.nlink === 1) return file
  await file.close()
  throw new Error(`${path} is not a plain file; remove it`)
}

/** Cuts a log that grew beyond `bytesMax` and keeps one older part. The server appends, so cutting in place is safe. */
export async function boundLog(home: Home, bytesMax: number): Promise<void> {
  const s = await lstat(home.logFile).catch(() => null)
  if (s === null || s.size <= bytesMax) return
  const file = await openLog(home.logFile)
  try {
    await writeAnew(`${home.logFile}.1`, await tailOf(home, 0, bytesMax), home.owner)
    await file.truncate(0)
  } finally {
    await file.close()
  }
}

/** The end of the log from byte `from` on, at most `bytesMax`. */
export async function tailOf(home: Home, from: number, bytesMax: number): Promise<string> {
  try {
    const file = await open(home.logFile, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    try {
      const { size } = await file.stat()
      const start = Math.max(from > size ? 0 : from, size - bytesMax)
      const bytes = Buffer.alloc(size - start)
      await file.read(bytes, 0, bytes.length, start)
      return bytes.toString('utf8')
    } finally {
      await file.close()
    }
  } catch {
    return ''
  }
}

export async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  )
}

/** What happened, with the next step where a person has to take it. */
export function text(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { code } = error as NodeJS.ErrnoException
  const full = code === 'ENOSPC' || code === 'EDQUOT'
  return full ? `${error.message}; the disk is full: make room, then it is tried again` : error.message
}

async function markedBy(home: Home): Promise<string | null> {
  const content = await readFile(home.marker, 'utf8').catch(() => null)
  return content === null || content.trim() === '' ? null : content.trim()
}

async function namesIn(dir: string): Promise<string[] | 'not a directory' | 'unreadable'> {
  try {
    return (await readdir(dir)).filter((n) => n !== 'lost+found')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT') return []
    return code === 'ENOTDIR' ? 'not a directory' : 'unreadable'
  }
}

async function syncDirectory(dir: string): Promise<void> {
  const file = await open(dir, 'r')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}
