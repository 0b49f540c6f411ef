/**
 * Names and page headers of PostgreSQL's write-ahead log, versions 15 to 18 (src/include/access/xlog_internal.h),
 * little-endian builds. Pure but for looking into a directory. Positions (LSN) are bytes since the start of the log.
 */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { openPlain } from '../../io/files.ts'

export const PAGE_BYTES = 8192
export const SHORT_HEADER_BYTES = 24
export const LONG_HEADER_BYTES = 40
const SEGMENT_BYTES_MIN = 2 ** 20
const SEGMENT_BYTES_MAX = 2 ** 30

/** `XLOG_PAGE_MAGIC` of each major version. */
const MAJOR_OF_MAGIC: Readonly<Record<number, number>> = { 53520: 15, 53523: 16, 53526: 17, 53528: 18 }

const FIRST_IS_CONTINUATION = 0x01
const LONG_HEADER = 0x02
const FIRST_IS_OVERWRITE = 0x08

export interface PageHeader {
  readonly major: number
  readonly timeline: number
  readonly pageLsn: number
  /** Bytes of a record that began on an earlier page and are still to come, this page included. */
  readonly remainingBytes: number
  readonly continues: boolean
  /** The record that began before was given up after a crash; a new one starts here. */
  readonly overwrites: boolean
  readonly headerBytes: number
  readonly long: { readonly systemId: string; readonly segmentBytes: number } | null
}

/** Null when this is not a page of a known version. */
export function parsePageHeader(page: Buffer): PageHeader | null {
  if (page.length < SHORT_HEADER_BYTES) return null
  const major = MAJOR_OF_MAGIC[page.readUInt16LE(0)]
  if (major === undefined) return null
  const info = page.readUInt16LE(2)
  const isLong = (info & LONG_HEADER) !== 0
  if ((info & ~0x0f) !== 0 || (isLong && page.length < LONG_HEADER_BYTES)) return null
  if (isLong && page.readUInt32LE(36) !== PAGE_BYTES) return null
  return {
    major,
    timeline: page.readUInt32LE(4),
    pageLsn: Number(page.readBigUInt64LE(8)),
    remainingBytes: page.readUInt32LE(16),
    continues: (info & FIRST_IS_CONTINUATION) !== 0,
    overwrites: (info & FIRST_IS_OVERWRITE) !== 0,
    headerBytes: isLong ? LONG_HEADER_BYTES : SHORT_HEADER_BYTES,
    long: isLong ? { systemId: page.readBigUInt64LE(24).toString(), segmentBytes: page.readUInt32LE(32) } : null,
  }
}

export interface SegmentName {
  readonly timeline: number
  readonly log: number
  readonly part: number
}

export function parseSegmentName(name: string): SegmentName | null {
  const m = /^([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})$/.exec(name)
  if (m === null) return null
  const number = (text: string | undefined): number => Number.parseInt(text ?? '', 16)
  return { timeline: number(m[1]), log: number(m[2]), part: number(m[3]) }
}

export function segmentNumber(name: SegmentName, segmentBytes: number): number {
  return name.log * (2 ** 32 / segmentBytes) + name.part
}

export function segmentFile(timeline: number, segment: number, segmentBytes: number): string {
  const perLog = 2 ** 32 / segmentBytes
  return hex8(timeline) + hex8(Math.floor(segment / perLog)) + hex8(segment % perLog)
}

/** `X/Y` notation. */
export function formatLsn(lsn: number): string {
  return `${Math.floor(lsn / 2 ** 32)
    .toString(16)
    .toUpperCase()}/${(lsn % 2 ** 32).toString(16).toUpperCase()}`
}

/** Null when it is not a position. */
export function readLsn(text: string): number | null {
  const m = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text)
  if (m === null) return null
  const lsn = Number.parseInt(m[1] ?? '', 16) * 2 ** 32 + Number.parseInt(m[2] ?? '', 16)
  return Number.isSafeInteger(lsn) ? lsn : null
}

function hex8(n: number): string {
  return n.toString(16).toUpperCase().padStart(8, '0')
}

export interface WalFiles {
  readonly segmentBytes: number
  readonly systemId: string
  readonly names: ReadonlySet<string>
}

/** Lists a log directory; null when no segment in it has a sound first page. Throws what the file system throws. */
export async function lookIntoWal(walDir: string): Promise<WalFiles | null> {
  const names = (await readdir(walDir)).filter((name) => parseSegmentName(name) !== null).sort()
  for (const name of names) {
    const file = await openPlain(join(walDir, name))
    if (file === null) continue
    try {
      const head = Buffer.alloc(LONG_HEADER_BYTES)
      const { bytesRead } = await file.read(head, 0, head.length, 0)
      const long = parsePageHeader(head.subarray(0, bytesRead))?.long
      if (long !== null && long !== undefined && isSegmentSize(long.segmentBytes)) {
        return { ...long, names: new Set(names) }
      }
    } finally {
      await file.close()
    }
  }
  return null
}

function isSegmentSize(bytes: number): boolean {
  return bytes >= SEGMENT_BYTES_MIN && bytes <= SEGMENT_BYTES_MAX && Number.isInteger(Math.log2(bytes))
}
