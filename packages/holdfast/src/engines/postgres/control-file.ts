/**
 * Reads `global/pg_control` without PostgreSQL's tools (the npm builds have no pg_controldata).
 *
 * Layout, from src/include/catalog/pg_control.h, little-endian 64-bit builds. `ControlFileData` is the same up to the
 * segment size in 15, 16 (pg_control_version 1300), 17 (1700) and 18 (1800); only the place of the CRC moved in 18,
 * which put `default_char_signedness` before the nonce:
 *
 *     0 uint64 system_identifier      8 uint32 pg_control_version     16 int32 state
 *    32 uint64 checkPoint            40 uint64 checkPointCopy.redo    48 uint32 checkPointCopy.ThisTimeLineID
 *   136 uint64 minRecoveryPoint     144 uint32 minRecoveryPointTLI   172 int32 wal_level
 *   176 bool wal_log_hints          228 uint32 xlog_seg_size         252 uint32 data_checksum_version
 *   288 (15-17) or 292 (18) uint32 crc, CRC-32C of all before it
 */
import { join } from 'node:path'
import { openPlain, readPlain } from '../../io/files.ts'
import { crc32c } from './crc32c.ts'

/** `DBState` of pg_control.h, in its order. */
const STATES = [
  'starting up',
  'shut down',
  'shut down in recovery',
  'shutting down',
  'in crash recovery',
  'in archive recovery',
  'in production',
] as const

export interface ControlFile {
  readonly systemId: string
  readonly controlVersion: number
  readonly state: (typeof STATES)[number]
  readonly checkpointLsn: number
  readonly redoLsn: number
  readonly timeline: number
  readonly minRecoveryLsn: number
  readonly minRecoveryTimeline: number
  readonly walSegmentBytes: number
  readonly checksums: boolean
}

const CRC_AT: Readonly<Record<number, number>> = { 1300: 288, 1700: 288, 1800: 292 }
const ATTEMPTS = 3
/** PG_CONTROL_FILE_SIZE; the rest of it is zeros. */
const CONTROL_FILE_BYTES = 8192

/** Null when there is no readable control file: no data directory, a torn write three times, an unknown version. */
export async function readControlFile(dataDir: string): Promise<ControlFile | null> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    let bytes: Buffer | null
    try {
      bytes = await readPlain(join(dataDir, 'global', 'pg_control'), CONTROL_FILE_BYTES)
    } catch {
      return null
    }
    if (bytes === null) return null
    const parsed = parseControlFile(bytes)
    if (parsed !== null) return parsed
  }
  return null
}

export function parseControlFile(b: Buffer): ControlFile | null {
  if (b.length < 296) return null
  const controlVersion = b.readUInt32LE(8)
  const crcAt = CRC_AT[controlVersion]
  if (crcAt === undefined || b.readUInt32LE(crcAt) !== crc32c(b.subarray(0, crcAt))) return null
  const state = STATES[b.readInt32LE(16)]
  if (state === undefined) return null
  return {
    systemId: b.readBigUInt64LE(0).toString(),
    controlVersion,
    state,
    checkpointLsn: Number(b.readBigUInt64LE(32)),
    redoLsn: Number(b.readBigUInt64LE(40)),
    timeline: b.readUInt32LE(48),
    minRecoveryLsn: Number(b.readBigUInt64LE(136)),
    minRecoveryTimeline: b.readUInt32LE(144),
    walSegmentBytes: b.readUInt32LE(228),
    checksums: b.readUInt32LE(252) !== 0,
  }
}

const WAL_PAGE_BYTES = 8192
const SHORT_HEADER_BYTES = 24
const LONG_HEADER_BYTES = 40
/** A checkpoint record is 114 bytes in 15 to 18; anything far off means that the place holds something else. */
const CHECKPOINT_RECORD_BYTES_MAX = 512

/**
 * Where the log ends after a clean shutdown: behind the shutdown checkpoint, which is the last record. A standby that
 * received everything reports exactly this position. Null when the engine was not shut down cleanly.
 */
export async function cleanEnd(dataDir: string): Promise<{ timeline: number; lsn: number } | null> {
  const control = await readControlFile(dataDir)
  if (control === null || control.state !== 'shut down') return null
  const name = segmentName(control.timeline, control.checkpointLsn, control.walSegmentBytes)
  let length: number
  try {
    const file = await openPlain(join(dataDir, 'pg_wal', name))
    if (file === null) return null
    try {
      const head = Buffer.alloc(4)
      await file.read(head, 0, 4, control.checkpointLsn % control.walSegmentBytes)
      length = head.readUInt32LE(0)
    } finally {
      await file.close()
    }
  } catch {
    return null
  }
  if (length === 0 || length > CHECKPOINT_RECORD_BYTES_MAX) return null
  return { timeline: control.timeline, lsn: endOfRecord(control.checkpointLsn, length, control.walSegmentBytes) }
}

/** `XLogBytePosToEndRecPtr`: records are padded to 8 bytes and skip the header of a page they cross into. */
export function endOfRecord(lsn: number, length: number, segmentBytes: number): number {
  const size = Math.ceil(length / 8) * 8
  const left = WAL_PAGE_BYTES - (lsn % WAL_PAGE_BYTES)
  if (size <= left) return lsn + size
  const nextPage = lsn + left
  return lsn + size + (nextPage % segmentBytes === 0 ? LONG_HEADER_BYTES : SHORT_HEADER_BYTES)
}

/** File name of the segment that holds the byte at `lsn`. */
export function segmentName(timeline: number, lsn: number, segmentBytes: number): string {
  const perFile = 2 ** 32 / segmentBytes
  const segment = Math.floor(lsn / segmentBytes)
  return hex8(timeline) + hex8(Math.floor(segment / perFile)) + hex8(segment % perFile)
}

/** PostgreSQL's `X/Y` notation as bytes since the start of the log; exact up to 2^53. */
export function parseLsn(text: string): number {
  const m = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text)
  if (m === null) return 0
  return Number.parseInt(m[1] ?? '0', 16) * 2 ** 32 + Number.parseInt(m[2] ?? '0', 16)
}

function hex8(n: number): string {
  return n.toString(16).toUpperCase().padStart(8, '0')
}
