/**
 * Keeps the part of a log that is about to be given up: the segments as they are, and a readable list of what they
 * held, so that people can find out what was lost (R28). The result appears whole or not at all, is on the disk when
 * this returns, and is made only once for the same tail. Knows nothing of why it is given up.
 */
import { constants } from 'node:fs'
import { copyFile, lstat, mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { systemClock } from '../../io/clock.ts'
import { openPlain } from '../../io/files.ts'
import { checkRoom, syncDirectory } from './clone-area.ts'
import { formatLsn, lookIntoWal, parseSegmentName, segmentNumber, type WalFiles } from './wal-page.ts'
import { listRecords } from './wal-reader.ts'
import type { WalRecord } from './wal-record.ts'

export interface TailOptions {
  readonly walDir: string
  readonly keepDir: string
  readonly member: string
  readonly systemId: string
  readonly timeline: number
  readonly forkLsn: number
  /** Null when it is not known: then everything from the fork on is kept. */
  readonly endLsn: number | null
  readonly signal: AbortSignal
}

/** Segments kept of one tail; a longer one is cut at its end, and the summary says so. */
export const KEPT_BYTES_MAX = 2 ** 30
/** Tails of one member; a host that fails over often must not fill its own disk. The oldest go first. */
export const TAILS_KEPT = 5
const LISTED_MAX = 200_000
const LINES_AT_ONCE = 1_000

export interface TailSummary {
  readonly member: string
  readonly systemId: string
  readonly timeline: number
  readonly forkLsn: string
  readonly endLsn: string | null
  readonly bytes: number
  readonly segments: readonly string[]
  readonly commits: number
  readonly aborts: number
  readonly records: number
  readonly recordsListed: number
  readonly truncated: boolean
  readonly keptAt: string
}

/** The directory that holds the tail. Throws what the file system throws, and AreaError when there is no room. */
export async function keepTail(options: TailOptions): Promise<string> {
  await mkdir(options.keepDir, { recursive: true, mode: 0o700 })
  const before = await keptBefore(options)
  if (before !== null) return before
  const keptAt = new Date(systemClock.wallMs()).toISOString()
  const name = `${keptAt.replaceAll(':', '-')}-tl${options.timeline}`
  const target = join(options.keepDir, name)
  const making = join(options.keepDir, `.${name}.partial`)
  try {
    const files = await lookIntoWal(options.walDir).catch(() => null)
    const chosen = await choose(options, files)
    await dropOldest(options.keepDir)
    await checkRoom(options.keepDir, chosen.bytes)
    await mkdir(making, { mode: 0o700 })
    for (const segment of chosen.names) await copyDurable(join(options.walDir, segment), join(making, segment))
    const counted = await writeList(options, join(making, 'records.txt'))
    const summary: TailSummary = {
      member: options.member,
      systemId: options.systemId,
      timeline: options.timeline,
      forkLsn: formatLsn(options.forkLsn),
      endLsn: options.endLsn === null ? null : formatLsn(options.endLsn),
      bytes: options.endLsn === null ? chosen.bytes : options.endLsn - options.forkLsn,
      segments: chosen.names,
      ...counted,
      truncated: chosen.truncated,
      keptAt,
    }
    await writeDurable(join(making, 'summary.json'), `${JSON.stringify(summary, null, 2)}\n`)
    await syncDirectory(making)
    await rename(making, target)
    await syncDirectory(options.keepDir)
    await syncDirectory(dirname(options.keepDir))
    return target
  } catch (error) {
    await rm(making, { recursive: true, force: true }).catch(() => undefined)
    throw error
  }
}

/** Leaves room for one more. Only what is named as a tail is touched. */
async function dropOldest(keepDir: string): Promise<void> {
  const tails = (await readdir(keepDir)).filter((name) => /^\d{4}-[^/]*-tl\d+$/.test(name)).sort()
  for (const name of tails.slice(0, Math.max(0, tails.length - TAILS_KEPT + 1))) {
    await rm(join(keepDir, name), { recursive: true, force: true })
  }
}

/** A second attempt to rejoin finds the tail of the first. Also clears what a killed attempt left. */
async function keptBefore(options: TailOptions): Promise<string | null> {
  let found: string | null = null
  for (const name of await readdir(options.keepDir)) {
    const path = join(options.keepDir, name)
    if (/^\.\d{4}-.*-tl\d+\.partial$/.test(name)) await rm(path, { recursive: true, force: true })
    if (options.endLsn === null || !name.endsWith(`-tl${options.timeline}`) || name.startsWith('.')) continue
    try {
      const s = JSON.parse(await readFile(join(path, 'summary.json'), 'utf8')) as TailSummary
      const same = s.systemId === options.systemId && s.forkLsn === formatLsn(options.forkLsn)
      if (same && s.endLsn === formatLsn(options.endLsn)) found = path
    } catch {
      // Not ours, or edited: it is left alone.
    }
  }
  return found
}

interface Chosen {
  readonly names: readonly string[]
  readonly bytes: number
  readonly truncated: boolean
}

async function choose(options: TailOptions, files: WalFiles | null): Promise<Chosen> {
  const all = await readdir(options.walDir)
  const histories = all.filter((name) => /^[0-9A-F]{8}\.history$/.test(name))
  const segmentBytes = files?.segmentBytes ?? 2 ** 24
  const first = Math.floor(options.forkLsn / segmentBytes)
  const last = options.endLsn === null ? Number.POSITIVE_INFINITY : Math.floor((options.endLsn - 1) / segmentBytes)
  const numbered = all.flatMap((name) => {
    const parsed = parseSegmentName(name)
    if (parsed === null || parsed.timeline > options.timeline) return []
    const segment = segmentNumber(parsed, segmentBytes)
    return segment >= first && segment <= last ? [{ name, segment }] : []
  })
  numbered.sort((a, b) => a.segment - b.segment || a.name.localeCompare(b.name))
  const names = [...histories]
  let bytes = 0
  let truncated = false
  for (const { name } of numbered) {
    const { size } = await lstat(join(options.walDir, name))
    if (bytes + size > KEPT_BYTES_MAX) {
      truncated = true
      break
    }
    bytes += size
    names.push(name)
  }
  return { names, bytes, truncated }
}

async function writeList(
  options: TailOptions,
  path: string,
): Promise<{ records: number; recordsListed: number; commits: number; aborts: number }> {
  const file = await open(path, 'wx', 0o600)
  let records = 0
  let commits = 0
  let aborts = 0
  let lines: string[] = ['# position  manager  kind  transaction  time of commit  tablespace/database/relation:block']
  try {
    const range = {
      walDir: options.walDir,
      timeline: options.timeline,
      fromLsn: options.forkLsn,
      signal: options.signal,
    }
    for await (const record of listRecords({ ...range, limit: Number.MAX_SAFE_INTEGER })) {
      records += 1
      if (record.kind.startsWith('commit') && record.commitWallMs !== undefined) commits += 1
      if (record.kind.startsWith('abort') && record.commitWallMs !== undefined) aborts += 1
      if (records > LISTED_MAX) continue
      lines.push(showRecord(record))
      if (lines.length < LINES_AT_ONCE) continue
      await file.write(`${lines.join('\n')}\n`)
      lines = []
    }
    if (records > LISTED_MAX)
      lines.push(`# ${records - LISTED_MAX} more records are not listed; the segments hold them`)
    if (lines.length > 0) await file.write(`${lines.join('\n')}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
  return { records, recordsListed: Math.min(records, LISTED_MAX), commits, aborts }
}

function showRecord(r: WalRecord): string {
  const time = r.commitWallMs === undefined ? '-' : new Date(r.commitWallMs).toISOString()
  const blocks = r.blocks.map((b) => `${b.tablespace}/${b.database}/${b.relation}:${b.block}`).join(',')
  return `${formatLsn(r.lsn)}  ${r.rmgrName}  ${r.kind}  ${r.xid}  ${time}  ${blocks === '' ? '-' : blocks}`
}

async function copyDurable(from: string, to: string): Promise<void> {
  const source = await openPlain(from)
  if (source === null) throw new Error(`${from} went away while it was kept`)
  try {
    // By its handle, so that it is the very file that was looked at; only Linux gives handles a name.
    const name = process.platform === 'linux' ? `/proc/self/fd/${source.fd}` : from
    await copyFile(name, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE)
  } finally {
    await source.close()
  }
  const file = await open(to, 'r+')
  await file.sync().finally(() => file.close())
}

async function writeDurable(path: string, text: string): Promise<void> {
  await writeFile(path, text, { mode: 0o600, flag: 'wx', flush: true })
}
