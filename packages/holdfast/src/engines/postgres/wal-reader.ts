/**
 * Reads the log of a stopped engine from its files, without PostgreSQL's tools: where it ends and what it holds.
 * Goes through segments the way recovery does, newest timeline first, in pieces, so that an agent's beats go on
 * meanwhile. Leaves every check of a record to `wal-parser.ts` and every decision to `rejoin.ts`.
 */
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { openPlain, readPlain } from '../../io/files.ts'
import { type History, historyFileName, parseHistory } from './timeline-history.ts'
import { lookIntoWal, PAGE_BYTES, segmentFile, type WalFiles } from './wal-page.ts'
import { WalParser } from './wal-parser.ts'
import type { WalRecord } from './wal-record.ts'

export interface WalRange {
  readonly walDir: string
  /** The newest timeline to read; its ancestors come from its history file. */
  readonly timeline: number
  readonly signal?: AbortSignal
}

export type WalEnd =
  | {
      readonly ok: true
      /** End of the last sound record, as PostgreSQL counts it. */
      readonly endLsn: number
      readonly lastRecordLsn: number
      /** What stands behind it. */
      readonly because: string
    }
  | { readonly ok: false; readonly because: string }

/** Bytes read at a time: about 1 ms of checking, then other work may run. */
const CHUNK_BYTES = 256 * 1024
const HISTORY_BYTES_MAX = 2 ** 22

/** Follows the log from `startLsn` (a record's start, best the redo point of the last checkpoint) to its end. */
export async function findWalEnd(range: WalRange & { readonly startLsn: number }): Promise<WalEnd> {
  const run = await startRun(range, range.startLsn)
  if (!run.ok) return run
  for await (const _ of run.batches());
  const { parser } = run
  const because = parser.ended ?? run.stopped
  if (parser.lastLsn === null) return { ok: false, because: `no record at the start of the range: ${because}` }
  return { ok: true, endLsn: parser.endLsn, lastRecordLsn: parser.lastLsn, because }
}

/** The records from `fromLsn` on, at most `limit`. Ends early, without an error, where the log ends. */
export async function* listRecords(
  range: WalRange & { readonly fromLsn: number; readonly limit: number },
): AsyncGenerator<WalRecord, void, undefined> {
  const run = await startRun(range, range.fromLsn)
  if (!run.ok) return
  let left = range.limit
  for await (const records of run.batches()) {
    for (const record of records) {
      if (left <= 0) return
      left -= 1
      yield record
    }
    if (left <= 0) return
  }
}

/** The history of a timeline from its file; null when it is missing or unreadable. Timeline 1 needs none. */
export async function readHistory(walDir: string, timeline: number): Promise<History | null> {
  if (timeline === 1) return { timeline: 1, ancestors: [] }
  try {
    const bytes = await readPlain(join(walDir, historyFileName(timeline)), HISTORY_BYTES_MAX)
    return bytes === null ? null : parseHistory(timeline, bytes.toString('utf8'))
  } catch {
    return null
  }
}

/** Raw bytes [startLsn, endLsn) as they stand in the files; null when some are missing. */
export async function readBytes(range: WalRange, startLsn: number, endLsn: number): Promise<Buffer | null> {
  const run = await startRun(range, startLsn)
  if (!run.ok) return null
  const bytes = Buffer.alloc(endLsn - startLsn)
  let at = startLsn
  try {
    while (at < endLsn) {
      const file = await run.fileAt(at)
      if (file === null) return null
      const inFile = at % run.segmentBytes
      const want = Math.min(endLsn - at, run.segmentBytes - inFile)
      const { bytesRead } = await file.read(bytes, at - startLsn, want, inFile)
      if (bytesRead === 0) return null
      at += bytesRead
    }
    return bytes
  } finally {
    await run.close()
  }
}

type Started = (Run & { readonly ok: true }) | { readonly ok: false; readonly because: string }

async function startRun(range: WalRange, startLsn: number): Promise<Started> {
  try {
    const files = await lookIntoWal(range.walDir)
    if (files === null) return { ok: false, because: `no readable log segment in ${range.walDir}` }
    const history = await readHistory(range.walDir, range.timeline)
    if (history === null) return { ok: false, because: `no readable ${historyFileName(range.timeline)}` }
    return new Run(range, files, history, startLsn)
  } catch (error) {
    return { ok: false, because: `cannot read ${range.walDir}: ${error instanceof Error ? error.message : error}` }
  }
}

class Run {
  readonly ok = true
  readonly parser: WalParser
  readonly segmentBytes: number
  readonly #range: WalRange
  readonly #files: WalFiles
  readonly #history: History
  #file: FileHandle | null = null
  #fileSegment = -1
  #fileTimeline = 0
  stopped = ''

  constructor(range: WalRange, files: WalFiles, history: History, startLsn: number) {
    this.#range = range
    this.#files = files
    this.#history = history
    this.segmentBytes = files.segmentBytes
    this.parser = new WalParser({
      startLsn,
      segmentBytes: files.segmentBytes,
      systemId: files.systemId,
      timelines: new Set([history.timeline, ...history.ancestors.map((step) => step.timeline)]),
    })
  }

  async *batches(): AsyncGenerator<WalRecord[], void, undefined> {
    const chunk = Buffer.alloc(CHUNK_BYTES)
    let lsn = pageStart(this.parser.wantsLsn)
    try {
      for (;;) {
        this.#range.signal?.throwIfAborted()
        lsn = Math.max(lsn, pageStart(this.parser.wantsLsn))
        const file = await this.fileAt(lsn)
        if (file === null) {
          this.stopped = 'no further segment'
          return
        }
        const inFile = lsn % this.segmentBytes
        const want = Math.min(CHUNK_BYTES, this.segmentBytes - inFile)
        const { bytesRead } = await file.read(chunk, 0, want, inFile)
        const wholeBytes = bytesRead - (bytesRead % PAGE_BYTES)
        const records = this.#feed(chunk.subarray(0, wholeBytes), lsn)
        if (records.length > 0) yield records
        if (this.parser.ended !== null) return
        if (wholeBytes < want) {
          this.stopped = 'a segment that is cut short'
          return
        }
        lsn += wholeBytes
      }
    } finally {
      await this.close()
    }
  }

  #feed(chunk: Buffer, startLsn: number): WalRecord[] {
    const records: WalRecord[] = []
    for (let at = 0; at < chunk.length; at += PAGE_BYTES) {
      if (startLsn + at < pageStart(this.parser.wantsLsn)) continue
      for (const record of this.parser.page(chunk.subarray(at, at + PAGE_BYTES), startLsn + at)) records.push(record)
      if (this.parser.ended !== null) break
    }
    return records
  }

  /** The file of the newest timeline that can hold this place; never goes back to an older timeline. */
  async fileAt(lsn: number): Promise<FileHandle | null> {
    const segment = Math.floor(lsn / this.segmentBytes)
    if (segment === this.#fileSegment) return this.#file
    await this.close()
    const path = [...this.#history.ancestors, { timeline: this.#history.timeline, endLsn: 0 }]
    for (let i = path.length - 1; i >= 0; i--) {
      const timeline = path[i]?.timeline ?? 0
      if (timeline < this.#fileTimeline) break
      const beginLsn = path[i - 1]?.endLsn ?? 0
      if (Math.floor(beginLsn / this.segmentBytes) > segment) continue
      const name = segmentFile(timeline, segment, this.segmentBytes)
      if (!this.#files.names.has(name)) continue
      this.#file = await openPlain(join(this.#range.walDir, name))
      this.#fileSegment = segment
      this.#fileTimeline = timeline
      return this.#file
    }
    return null
  }

  async close(): Promise<void> {
    const file = this.#file
    this.#file = null
    this.#fileSegment = -1
    await file?.close()
  }
}

function pageStart(lsn: number): number {
  return lsn - (lsn % PAGE_BYTES)
}
