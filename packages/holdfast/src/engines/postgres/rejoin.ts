/**
 * What a stopped copy has to do before it may follow an upstream (R28): follow at once, give up a tail that the
 * upstream never had, or be cloned. `follow` is only said when the upstream's history contains the end of our log and
 * the upstream holds the same bytes there: two members that were promoted onto a timeline of the same number have the
 * same history file, but not the same log. Changes nothing; `rewind.ts` acts.
 */
import { join } from 'node:path'
import { readPlain } from '../../io/files.ts'
import { type ControlFile, readControlFile } from './control-file.ts'
import {
  failureOf,
  fetchHistory,
  fetchWal,
  identify,
  ReplicationLine,
  type SystemIdentity,
  type Upstream,
} from './replication.ts'
import { endOf, type Fork, forkOf, type History, showHistory } from './timeline-history.ts'
import { formatLsn, LONG_HEADER_BYTES, lookIntoWal, parsePageHeader, parseSegmentName, readLsn } from './wal-page.ts'
import { findWalEnd, readBytes, readHistory } from './wal-reader.ts'
import { RECORD_HEADER_BYTES } from './wal-record.ts'

export interface RejoinBinaries {
  readonly binDir: string
  readonly major: number
  readonly hasRewind: boolean
  readonly env?: Readonly<Record<string, string>>
}

export interface RejoinOptions {
  readonly dataDir: string
  readonly binaries: RejoinBinaries
  readonly upstream: Upstream
  readonly signal: AbortSignal
}

export type RejoinDecision =
  | { readonly kind: 'follow' }
  /** Our log goes on to `endLsn` on `timeline`; the upstream's left it at `forkLsn`. */
  | { readonly kind: 'diverged'; readonly forkLsn: number; readonly endLsn: number; readonly timeline: number }
  | { readonly kind: 'clone'; readonly because: string }
  | { readonly kind: 'error'; readonly because: string; readonly retryable: boolean }

/** Compared before the end of our log. Any record written at another time differs within it. */
const COMPARED_BYTES_MAX = 64 * 1024

/** A dozen short lines. */
const LABEL_BYTES_MAX = 64 * 1024

/** The engine must be stopped. Bounded; never rejects. */
export async function rejoinDecision(options: RejoinOptions): Promise<RejoinDecision> {
  const { upstream, signal } = options
  try {
    const control = await readControlFile(options.dataDir)
    const line = await ReplicationLine.open(upstream, signal, 'replication')
    try {
      const theirs = await identify(line)
      if (control === null) return { kind: 'clone', because: 'global/pg_control cannot be read' }
      if (control.systemId !== theirs.systemId) return otherSystem(options, control, theirs)
      const history = await fetchHistory(line, theirs.timeline)
      const held = await heldLog(options.dataDir, control, signal)
      if ('because' in held) return { kind: 'clone', because: held.because }
      return await compare({ options, held, theirs, history })
    } finally {
      line.close()
    }
  } catch (error) {
    if (signal.aborted) return { kind: 'error', because: 'the comparison was cancelled', retryable: true }
    const { because, retryable } = failureOf(upstream, error)
    return { kind: 'error', because, retryable }
  }
}

/**
 * Has a running replica received log that its upstream never had? True only when the upstream left the replica's
 * timeline before `lsn`; false also when it cannot be told yet. Such a replica never streams for long: it has to be
 * stopped and compared (`rejoinDecision`). Never rejects.
 */
export async function leftBehind(o: {
  readonly upstream: Upstream
  readonly timeline: number
  readonly lsn: number
  readonly signal: AbortSignal
}): Promise<boolean> {
  try {
    const line = await ReplicationLine.open(o.upstream, o.signal, 'replication')
    try {
      const theirs = await identify(line)
      if (theirs.timeline <= o.timeline) return false
      const end = endOf(await fetchHistory(line, theirs.timeline), o.timeline)
      return end === undefined || (end !== null && o.lsn > end)
    } finally {
      line.close()
    }
  } catch {
    return false
  }
}

function otherSystem(options: RejoinOptions, ours: ControlFile, theirs: SystemIdentity): RejoinDecision {
  const at = `${options.upstream.host}:${options.upstream.port}`
  const what = `${options.dataDir} has system identifier ${ours.systemId}, ${at} has ${theirs.systemId}`
  const next = 'these are two data sets: move one away, or mend the address'
  return { kind: 'error', because: `system-id-mismatch: ${what}; ${next}`, retryable: false }
}

/** All the log that a stopped copy holds, replayed or not. */
export interface HeldLog {
  readonly walDir: string
  readonly history: History
  readonly startLsn: number
  readonly lastRecordLsn: number
  readonly endLsn: number
  readonly segmentBytes: number
}

/** Reads our log from the last checkpoint, or from the start of the backup that this copy is, to its end. */
export async function heldLog(
  dataDir: string,
  control: ControlFile,
  signal: AbortSignal,
): Promise<HeldLog | { readonly because: string }> {
  const walDir = join(dataDir, 'pg_wal')
  const label = await readLabel(dataDir)
  if (label === 'unreadable') return { because: 'backup_label cannot be read' }
  const start = label ?? { lsn: control.redoLsn, timeline: control.timeline }
  try {
    const timeline = await newestTimeline(walDir, start.timeline)
    const history = await readHistory(walDir, timeline)
    if (history === null) return { because: `the history of timeline ${timeline} is missing from pg_wal` }
    const left = endOf(history, start.timeline)
    if (left === undefined || (left !== null && left < start.lsn)) {
      return { because: `pg_wal has timeline ${showHistory(history)}, the checkpoint is on ${start.timeline}` }
    }
    const end = await findWalEnd({ walDir, timeline, startLsn: start.lsn, signal })
    if (!end.ok) return { because: `the log cannot be read from ${formatLsn(start.lsn)}: ${end.because}` }
    const { endLsn, lastRecordLsn } = end
    // A control file from before the backup started says nothing of the log that came with it.
    const needed = label === null ? Math.max(control.checkpointLsn + 1, control.minRecoveryLsn) : 0
    if (endLsn < needed) {
      return { because: `the log ends at ${formatLsn(endLsn)}, before the ${formatLsn(needed)} that the data needs` }
    }
    return { walDir, history, startLsn: start.lsn, lastRecordLsn, endLsn, segmentBytes: control.walSegmentBytes }
  } catch (error) {
    if (signal.aborted) throw error
    return { because: `the log cannot be read: ${error instanceof Error ? error.message : String(error)}` }
  }
}

interface Label {
  readonly lsn: number
  readonly timeline: number
}

async function readLabel(dataDir: string): Promise<Label | null | 'unreadable'> {
  const bytes = await readPlain(join(dataDir, 'backup_label'), LABEL_BYTES_MAX).catch(() => 'unreadable' as const)
  if (bytes === null || bytes === 'unreadable') return bytes
  const text = bytes.toString('utf8')
  const lsn = readLsn(/^START WAL LOCATION: ([0-9A-F]+\/[0-9A-F]+)/m.exec(text)?.[1] ?? '')
  const timeline = Number(/^START TIMELINE: (\d+)$/m.exec(text)?.[1])
  return lsn === null || !(timeline > 0) ? 'unreadable' : { lsn, timeline }
}

/** The newest timeline that a segment is named after; segments made ahead of use carry the current one's name. */
async function newestTimeline(walDir: string, atLeast: number): Promise<number> {
  const files = await lookIntoWal(walDir)
  let newest = atLeast
  for (const name of files?.names ?? []) newest = Math.max(newest, parseSegmentName(name)?.timeline ?? 0)
  return newest
}

interface Comparison {
  readonly options: RejoinOptions
  readonly held: HeldLog
  readonly theirs: SystemIdentity
  readonly history: History
}

async function compare(c: Comparison): Promise<RejoinDecision> {
  const { held, theirs, history } = c
  const fork = forkOf(held.history, history)
  if (fork === null) {
    return {
      kind: 'clone',
      because: `no common timeline: ours ${showHistory(held.history)}, theirs ${showHistory(history)}`,
    }
  }
  const { timeline } = held.history
  const limit = fork.forkLsn ?? theirs.flushLsn
  if (held.endLsn > limit) {
    const waiting = await notYetPrimary(c)
    if (waiting !== null) return waiting
    if (fork.forkLsn !== null) return { kind: 'diverged', forkLsn: fork.forkLsn, endLsn: held.endLsn, timeline }
    const ahead = `${formatLsn(held.endLsn)} is ahead of ${formatLsn(theirs.flushLsn)}`
    return { kind: 'clone', because: `our log is ahead of the upstream's on the same timeline ${timeline}: ${ahead}` }
  }
  return sameBytes(c, fork)
}

/** An upstream that is about to be promoted has not yet decided where the timelines part. */
async function notYetPrimary(c: Comparison): Promise<RejoinDecision | null> {
  const { upstream, signal } = c.options
  const line = await ReplicationLine.open(upstream, signal, 'sql')
  try {
    const [row] = await line.rows('select pg_is_in_recovery()')
    if (row?.[0] !== 't') return null
    const because = `${upstream.host}:${upstream.port} is behind us and not a primary yet`
    return { kind: 'error', because, retryable: true }
  } finally {
    line.close()
  }
}

/**
 * The upstream may have removed what is old. Then the last record alone is compared; and where our log ends with a
 * segment, as it does in a fresh clone, the upstream's next record must link back to our last one. That link is only
 * a position, so it counts on timeline 1 alone, of which a system never has two.
 */
async function sameBytes(c: Comparison, fork: Fork): Promise<RejoinDecision> {
  const { endLsn, startLsn, lastRecordLsn, segmentBytes } = c.held
  const commonTimeline = fork.timeline
  const longest = Math.max(startLsn, endLsn - COMPARED_BYTES_MAX)
  const segmentStart = endLsn - 1 - ((endLsn - 1) % segmentBytes)
  const starts = [longest]
  if (segmentStart > longest && lastRecordLsn >= segmentStart) starts.push(segmentStart)
  for (const start of starts) {
    const same = await sameFrom(c, commonTimeline, start)
    if (same === true) return { kind: 'follow' }
    if (same === null) continue
    const where = `timeline ${commonTimeline} before ${formatLsn(endLsn)}`
    return { kind: 'clone', because: `our log and the upstream's differ on ${where} although their histories agree` }
  }
  if (commonTimeline === 1 && endLsn % segmentBytes === 0 && (await linksBack(c, fork.forkLsn)))
    return { kind: 'follow' }
  return { kind: 'clone', because: `the upstream no longer has the log at ${formatLsn(longest)}, where ours ends` }
}

/** Null when one of us does not have the bytes. */
async function sameFrom(c: Comparison, timeline: number, startLsn: number): Promise<boolean | null> {
  const { walDir, endLsn, history } = c.held
  const { signal, upstream } = c.options
  const ours = await readBytes({ walDir, timeline: history.timeline, signal }, startLsn, endLsn)
  if (ours === null || ours.length === 0) return null
  const line = await ReplicationLine.open(upstream, signal, 'replication')
  const theirs = await fetchWal(line, { timeline, startLsn, bytes: ours.length })
  return theirs === null ? null : ours.equals(theirs)
}

async function linksBack(c: Comparison, forkLsn: number | null): Promise<boolean> {
  const { endLsn, lastRecordLsn } = c.held
  const bytes = LONG_HEADER_BYTES + RECORD_HEADER_BYTES
  if (c.theirs.flushLsn < endLsn + bytes) return false
  // Where they were promoted right at our end, their next record is on the next timeline.
  const next = c.history.ancestors[1]?.timeline ?? c.history.timeline
  const timeline = forkLsn === endLsn ? next : 1
  if (timeline === 1 && forkLsn !== null && forkLsn < endLsn + bytes) return false
  const line = await ReplicationLine.open(c.options.upstream, c.options.signal, 'replication')
  const theirs = await fetchWal(line, { timeline, startLsn: endLsn, bytes })
  const header = theirs === null ? null : parsePageHeader(theirs)
  if (theirs === null || header === null || header.continues || header.pageLsn !== endLsn) return false
  return Number(theirs.readBigUInt64LE(LONG_HEADER_BYTES + 8)) === lastRecordLsn
}
