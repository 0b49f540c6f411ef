/**
 * Takes the pages of a write-ahead log in order and gives out the records in them, with the checks that PostgreSQL's
 * own reader makes (xlogreader.c): page address, timeline, link to the record before, manager, CRC. The first thing
 * that does not fit is the end of the log: nothing behind it is ever looked at. Pure; leaves files to `wal-reader.ts`.
 */
import { crc32c } from './crc32c.ts'
import { PAGE_BYTES, type PageHeader, parsePageHeader } from './wal-page.ts'
import { decodeRecord, isKnownRmgr, isSwitch, RECORD_HEADER_BYTES, type WalRecord } from './wal-record.ts'

/** `XLogRecordMaxSize`. */
const RECORD_BYTES_MAX = 1020 * 2 ** 20
/** Larger records are checked but not looked into, to keep the memory bounded. */
const LOOKED_INTO_BYTES_MAX = 2 ** 20
const CRC_AT = 20

interface OpenRecord {
  readonly lsn: number
  readonly length: number
  gotBytes: number
  bodyCrc: number
  readonly header: Buffer
  readonly parts: Buffer[] | null
}

export interface ParserOptions {
  readonly startLsn: number
  readonly segmentBytes: number
  readonly systemId: string | null
  readonly timelines: ReadonlySet<number>
}

export class WalParser {
  readonly #o: ParserOptions
  #open: OpenRecord | null = null
  /** Where to read on; behind a page's header when that comes first. */
  #nextLsn: number
  /** End of the last record as PostgreSQL counts it: at the end of a page, before the next header. */
  #endLsn: number
  #lastLsn: number | null = null
  #timeline = 0
  #ended: string | null = null

  constructor(options: ParserOptions) {
    this.#o = options
    this.#nextLsn = options.startLsn
    this.#endLsn = options.startLsn
  }

  /** Why the log ends, once it did. */
  get ended(): string | null {
    return this.#ended
  }

  /** End of the last sound record: where the next one would start. */
  get endLsn(): number {
    return this.#endLsn
  }

  get lastLsn(): number | null {
    return this.#lastLsn
  }

  /** Pages before this position need not be given (a switch of segments leaves the rest of one unused). */
  get wantsLsn(): number {
    return this.#nextLsn
  }

  /** The next page, whole; `pageLsn` is where it stands. Gives the records that end in it. */
  page(page: Buffer, pageLsn: number): WalRecord[] {
    if (this.#ended !== null) return []
    const header = parsePageHeader(page)
    const wrong = header === null ? 'no page of a known version' : this.#unfit(header, pageLsn)
    if (header === null || wrong !== null) return this.#end(wrong ?? '')
    this.#timeline = header.timeline
    const records: WalRecord[] = []
    const at = this.#enter(page, pageLsn, header, records)
    if (at !== null) this.#walk(page, pageLsn, at, records)
    return records
  }

  #unfit(header: PageHeader, pageLsn: number): string | null {
    if (header.pageLsn !== pageLsn) return 'a page of another place'
    if (!this.#o.timelines.has(header.timeline)) return `a page of timeline ${header.timeline}`
    if (header.timeline < this.#timeline) return `timeline ${header.timeline} after ${this.#timeline}`
    const first = pageLsn % this.#o.segmentBytes === 0
    if (first !== (header.long !== null)) return 'a header of the wrong length'
    if (header.long === null) return null
    if (header.long.segmentBytes !== this.#o.segmentBytes) return 'another segment size'
    if (this.#o.systemId !== null && header.long.systemId !== this.#o.systemId) return 'another system identifier'
    return null
  }

  /** Where on the page records start; null when there is nothing more to read on it. */
  #enter(page: Buffer, pageLsn: number, header: PageHeader, records: WalRecord[]): number | null {
    const open = this.#open
    if (open !== null && header.overwrites) {
      this.#open = null
      this.#nextLsn = pageLsn + header.headerBytes
      return header.headerBytes
    }
    if (open !== null) {
      if (!header.continues || header.remainingBytes !== open.length - open.gotBytes) {
        this.#end('a record is not continued')
        return null
      }
      const part = page.subarray(header.headerBytes, header.headerBytes + header.remainingBytes)
      if (!this.#append(open, part)) return null
      if (open.gotBytes < open.length) return null
      this.#open = null
      const end = header.headerBytes + aligned(part.length)
      return this.#complete(open, pageLsn + end, records) ? this.#nextLsn - pageLsn : null
    }
    const at = this.#nextLsn - pageLsn
    if (at > 0 && at < header.headerBytes) this.#end('a start inside of a page header')
    if (at > 0) return this.#ended === null ? at : null
    if (header.continues) {
      this.#end('the middle of a record where one should start')
      return null
    }
    this.#nextLsn = pageLsn + header.headerBytes
    return header.headerBytes
  }

  #walk(page: Buffer, pageLsn: number, start: number, records: WalRecord[]): void {
    let at = start
    while (at < PAGE_BYTES && this.#ended === null) {
      const length = page.readUInt32LE(at)
      if (length < RECORD_HEADER_BYTES || length > RECORD_BYTES_MAX) {
        this.#end(length === 0 ? 'no record' : `a record of ${length} bytes`)
        return
      }
      const open: OpenRecord = {
        lsn: pageLsn + at,
        length,
        gotBytes: 0,
        bodyCrc: 0,
        header: Buffer.alloc(RECORD_HEADER_BYTES),
        parts: length <= LOOKED_INTO_BYTES_MAX ? [] : null,
      }
      const part = page.subarray(at, at + length)
      if (!this.#append(open, part)) return
      if (open.gotBytes < length) {
        this.#open = open
        return
      }
      if (!this.#complete(open, pageLsn + at + aligned(length), records)) return
      at = this.#nextLsn - pageLsn
    }
  }

  /** False, and the end, when the header turns out to be none. */
  #append(open: OpenRecord, part: Buffer): boolean {
    const before = open.gotBytes
    const headerPart = Math.max(0, Math.min(part.length, RECORD_HEADER_BYTES - before))
    if (headerPart > 0) part.copy(open.header, before, 0, headerPart)
    open.gotBytes += part.length
    if (headerPart > 0 && open.gotBytes >= RECORD_HEADER_BYTES) {
      const wrong = this.#badHeader(open)
      if (wrong !== null) {
        this.#end(wrong)
        return false
      }
    }
    if (part.length > headerPart) open.bodyCrc = crc32c(part.subarray(headerPart), open.bodyCrc)
    // Pages are read into one buffer again and again: a part that waits for the next page must be its own copy.
    open.parts?.push(before === 0 && part.length === open.length ? part : Buffer.from(part))
    return true
  }

  #badHeader(open: OpenRecord): string | null {
    const previous = Number(open.header.readBigUInt64LE(8))
    if (!isKnownRmgr(open.header[17] ?? 0)) return `an unknown resource manager ${open.header[17]}`
    if (this.#lastLsn === null) return previous < open.lsn ? null : 'a link forward'
    return previous === this.#lastLsn ? null : 'a link to another record'
  }

  #complete(open: OpenRecord, endLsn: number, records: WalRecord[]): boolean {
    const crc = crc32c(open.header.subarray(0, CRC_AT), open.bodyCrc)
    if (crc !== open.header.readUInt32LE(CRC_AT)) {
      this.#end('a record with a wrong checksum')
      return false
    }
    const switches = isSwitch(open.header[17] ?? 0, open.header[16] ?? 0)
    const next = switches ? Math.ceil(endLsn / this.#o.segmentBytes) * this.#o.segmentBytes : endLsn
    this.#lastLsn = open.lsn
    this.#nextLsn = next
    this.#endLsn = next
    const whole =
      open.parts === null ? null : open.parts.length === 1 ? (open.parts[0] ?? null) : Buffer.concat(open.parts)
    records.push(decodeRecord({ lsn: open.lsn, endLsn: next, length: open.length, header: open.header, whole }))
    return !switches
  }

  #end(why: string): [] {
    this.#ended = why
    return []
  }
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / 8) * 8
}
