/**
 * Append-only NDJSON of everything the core was told and what it decided, so that `holdfast replay` can run it again.
 *
 * A file is a row of segments. Each begins with `{"v":1,"start":{settings,bootId,nowMs},"state":...}` (`state` is
 * missing when the core had just started) and goes on with `{"e":event,"a":actions,"r":reasons}`. Inside a segment no
 * event is missing; where some had to be dropped (disk full, slow disk) a new segment starts from a copy of the state.
 *
 * The hot path only keeps a reference to immutable data; text is made and written later. Nothing here can block or end
 * the loop. A killed agent loses at most the last `FLUSH_MS`.
 */
import { close, open, rename, write } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Reason } from '../core/model.ts'
import type { NodeEvent, NodeSettings, NodeState } from '../core/node.ts'
import type { Action } from '../core/protocol.ts'
import type { Clock } from '../io/clock.ts'
import type { Log } from '../io/log.ts'

export const JOURNAL_BYTES_MAX = 16 * 1_024 * 1_024
/** Half a minute of a busy agent; more waiting than this means the disk does not follow. */
export const PENDING_MAX = 4_096
/** A write goes through a thread and back; fewer of them leave the machine alone. */
const FLUSH_MS = 500
const RETRY_MS = 5_000

export interface JournalEntry {
  readonly e: NodeEvent
  readonly a: readonly Action[]
  readonly r: readonly Reason[]
}

export interface JournalStart {
  readonly v: 1
  readonly start: { readonly settings: NodeSettings; readonly bootId: string; readonly nowMs: number }
  readonly state?: NodeState
  /** Entries lost before this segment. */
  readonly dropped?: number
}

export interface JournalOptions {
  readonly dir: string
  readonly settings: NodeSettings
  readonly bootId: string
  readonly nowMs: number
  readonly clock: Clock
  readonly log: Pick<Log, 'warn'>
  readonly bytesMax?: number
}

const openFile = promisify(open)
const closeFile = promisify(close)
const renameFile = promisify(rename)
const writeFile = promisify(write) as (fd: number, text: string) => Promise<{ bytesWritten: number }>

export function journalPath(dir: string): string {
  return join(dir, 'journal.ndjson')
}

export class Journal {
  readonly #options: JournalOptions
  readonly #path: string
  #pending: (JournalEntry | JournalStart)[] = []
  #fd: number | null = null
  #bytes = 0
  #dropped = 0
  #droppedTotal = 0
  #needsStart = true
  /** The file is full: the next entry opens a segment in a new one. */
  #rotateDue = false
  #rotateAt: JournalStart | null = null
  #fresh = true
  #retryAtMs = 0
  #timer: NodeJS.Timeout | null = null
  #writing: Promise<void> | null = null
  #closed = false

  constructor(options: JournalOptions) {
    this.#options = options
    this.#path = journalPath(options.dir)
  }

  /** Entries that could not be kept since the start. */
  get droppedTotal(): number {
    return this.#droppedTotal
  }

  /** `before` is the state the event met. */
  append(entry: JournalEntry, before: NodeState): void {
    if (this.#closed) return
    if (this.#pending.length >= PENDING_MAX || this.#options.clock.nowMs() < this.#retryAtMs) {
      this.#fresh = false
      this.#drop(1)
      return
    }
    if (this.#needsStart || this.#rotateDue) this.#begin(before)
    this.#pending.push(entry)
    if (this.#timer === null && this.#writing === null) this.#timer = setTimeout(() => this.#flush(), FLUSH_MS)
  }

  async close(): Promise<void> {
    this.#closed = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    await this.#writing
    if (this.#pending.length > 0) await this.#write()
    if (this.#fd !== null) await closeFile(this.#fd).catch(() => undefined)
    this.#fd = null
  }

  #begin(before: NodeState): void {
    const { settings, bootId, nowMs } = this.#options
    const line: JournalStart = {
      v: 1,
      start: { settings, bootId, nowMs },
      ...(this.#fresh ? {} : { state: before }),
      ...(this.#dropped > 0 ? { dropped: this.#dropped } : {}),
    }
    this.#pending.push(line)
    if (this.#rotateDue) this.#rotateAt = line
    this.#rotateDue = false
    this.#fresh = false
    this.#needsStart = false
    this.#dropped = 0
  }

  #drop(entries: number): void {
    this.#dropped += entries
    this.#droppedTotal += entries
    this.#needsStart = true
  }

  #flush(): void {
    this.#timer = null
    this.#writing = this.#write().finally(() => {
      this.#writing = null
      if (this.#pending.length > 0 && !this.#closed) this.#timer = setTimeout(() => this.#flush(), FLUSH_MS)
    })
  }

  async #write(): Promise<void> {
    const batch = this.#pending
    this.#pending = []
    try {
      const cut = this.#rotateAt === null ? -1 : batch.indexOf(this.#rotateAt)
      await this.#put(batch.slice(0, cut === -1 ? batch.length : cut))
      if (cut !== -1) {
        if (this.#fd !== null) await closeFile(this.#fd)
        this.#fd = null
        await this.#put(batch.slice(cut))
        this.#rotateAt = null
      }
      if (this.#bytes >= (this.#options.bytesMax ?? JOURNAL_BYTES_MAX) && this.#rotateAt === null)
        this.#rotateDue = true
    } catch (error) {
      this.#fresh = false
      this.#drop(batch.length + this.#pending.length)
      this.#pending = []
      this.#rotateAt = null
      this.#retryAtMs = this.#options.clock.nowMs() + RETRY_MS
      this.#options.log.warn({ error: String(error), dropped: this.#droppedTotal }, 'journal cannot be written')
      if (this.#fd !== null) await closeFile(this.#fd).catch(() => undefined)
      this.#fd = null
    }
  }

  /** A file left by an earlier run is kept as the older of the two; a torn last line stays in it. */
  async #open(): Promise<number> {
    await renameFile(this.#path, `${this.#path}.1`).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error
    })
    this.#bytes = 0
    return openFile(this.#path, 'w', 0o640)
  }

  async #put(lines: readonly (JournalEntry | JournalStart)[]): Promise<void> {
    if (lines.length === 0) return
    this.#fd ??= await this.#open()
    this.#bytes += await writeAll(this.#fd, `${lines.map((line) => JSON.stringify(line)).join('\n')}\n`)
  }
}

async function writeAll(fd: number, text: string): Promise<number> {
  const { bytesWritten } = await writeFile(fd, text)
  const bytes = Buffer.byteLength(text)
  if (bytesWritten < bytes) throw new Error(`short write: ${bytesWritten} of ${bytes} bytes`)
  return bytes
}
