/**
 * One record of the write-ahead log made readable (src/include/access/xlogrecord.h, rmgrlist.h; 15 to 18).
 * Never throws: a record whose inside is not understood keeps its header's facts. Leaves checks to `wal-parser.ts`.
 */
export const RECORD_HEADER_BYTES = 24

export interface BlockReference {
  readonly tablespace: number
  readonly database: number
  readonly relation: number
  readonly block: number
}

export interface WalRecord {
  readonly lsn: number
  /** Where the next record starts. */
  readonly endLsn: number
  readonly length: number
  readonly xid: number
  readonly rmgr: number
  readonly rmgrName: string
  readonly info: number
  readonly kind: string
  readonly previousLsn: number
  readonly crc: number
  /** Wall clock of the member that wrote it; only for the end of a transaction. */
  readonly commitWallMs?: number
  readonly blocks: readonly BlockReference[]
}

const MANAGERS = [
  'XLOG',
  'Transaction',
  'Storage',
  'CLOG',
  'Database',
  'Tablespace',
  'MultiXact',
  'RelMap',
  'Standby',
  'Heap2',
  'Heap',
  'Btree',
  'Hash',
  'Gin',
  'Gist',
  'Sequence',
  'SPGist',
  'BRIN',
  'CommitTs',
  'ReplicationOrigin',
  'Generic',
  'LogicalMessage',
] as const
/** Extensions register their own from here on (`RM_MIN_CUSTOM_ID`). */
const CUSTOM_MANAGER_MIN = 128

const XLOG = 0
const TRANSACTION = 1
const HEAP = 10
const XLOG_KINDS = [
  'checkpoint-shutdown',
  'checkpoint-online',
  'noop',
  'next-oid',
  'switch',
  'backup-end',
  'parameter-change',
  'restore-point',
  'full-page-writes',
  'end-of-recovery',
  'page-image-for-hint',
  'page-image',
  'info',
  'overwritten',
  'checkpoint-redo',
] as const
const TRANSACTION_KINDS = [
  'commit',
  'prepare',
  'abort',
  'commit-prepared',
  'abort-prepared',
  'assignment',
  'invalidate',
]
const HEAP_KINDS = ['insert', 'delete', 'update', 'truncate', 'hot-update', 'confirm', 'lock', 'inplace']
const ENDS_TRANSACTION: ReadonlySet<string> = new Set(['commit', 'abort', 'commit-prepared', 'abort-prepared'])
/** 2000-01-01 UTC in milliseconds since 1970: PostgreSQL's own zero. */
const EPOCH_WALL_MS = 946_684_800_000

export function isKnownRmgr(rmgr: number): boolean {
  return rmgr < MANAGERS.length || rmgr >= CUSTOM_MANAGER_MIN
}

export function isSwitch(rmgr: number, info: number): boolean {
  return rmgr === XLOG && (info & 0xf0) === 0x40
}

export interface RawRecord {
  readonly lsn: number
  readonly endLsn: number
  readonly length: number
  readonly header: Buffer
  /** Header and body, or null when the record is too large to be looked into. */
  readonly whole: Buffer | null
}

export function decodeRecord(raw: RawRecord): WalRecord {
  const { header, whole } = raw
  const info = header[16] ?? 0
  const rmgr = header[17] ?? 0
  const kind = kindOf(rmgr, info)
  const body = whole === null ? NOTHING : readBody(whole)
  const ends = rmgr === TRANSACTION && ENDS_TRANSACTION.has(kind) && body.main !== null && body.main.length >= 8
  const commit = ends && body.main !== null ? Number(body.main.readBigInt64LE(0)) / 1000 + EPOCH_WALL_MS : null
  return {
    lsn: raw.lsn,
    endLsn: raw.endLsn,
    length: raw.length,
    xid: header.readUInt32LE(4),
    rmgr,
    rmgrName: MANAGERS[rmgr] ?? `custom${rmgr}`,
    info,
    kind,
    previousLsn: Number(header.readBigUInt64LE(8)),
    crc: header.readUInt32LE(20),
    ...(commit === null ? {} : { commitWallMs: commit }),
    blocks: body.blocks,
  }
}

function kindOf(rmgr: number, info: number): string {
  const code = info >> 4
  const plain = `0x${(code << 4).toString(16)}`
  if (rmgr === XLOG) return XLOG_KINDS[code] ?? plain
  if (rmgr === TRANSACTION) return TRANSACTION_KINDS[code & 7] ?? plain
  if (rmgr === HEAP) return HEAP_KINDS[code & 7] ?? plain
  return plain
}

interface Body {
  readonly blocks: readonly BlockReference[]
  readonly main: Buffer | null
}

const NOTHING: Body = { blocks: [], main: null }
const BLOCK_ID_MAX = 32
const ID_TOP_LEVEL = 252
const ID_ORIGIN = 253
const ID_DATA_LONG = 254
const ID_DATA_SHORT = 255
const HAS_IMAGE = 0x10
const SAME_RELATION = 0x80
const IMAGE_HAS_HOLE = 0x01
const IMAGE_COMPRESSED = 0x1c

/** Walks the headers, as long as more is left than the data they announce; the main data is the last of it. */
function readBody(record: Buffer): Body {
  const blocks: BlockReference[] = []
  let at = RECORD_HEADER_BYTES
  let dataBytes = 0
  try {
    while (record.length - at > dataBytes) {
      const id = record.readUInt8(at)
      if (id === ID_DATA_SHORT) return { blocks, main: tail(record, record.readUInt8(at + 1)) }
      if (id === ID_DATA_LONG) return { blocks, main: tail(record, record.readUInt32LE(at + 1)) }
      if (id === ID_ORIGIN) at += 3
      else if (id === ID_TOP_LEVEL) at += 5
      else {
        const read = id <= BLOCK_ID_MAX ? readBlock(record, at, blocks.at(-1) ?? null) : null
        if (read === null) break
        blocks.push(read.reference)
        dataBytes += read.dataBytes
        at = read.next
      }
    }
  } catch {
    // A length that leads out of the record: what was read so far is still true.
  }
  return { blocks, main: null }
}

function tail(record: Buffer, length: number): Buffer | null {
  return length <= record.length - RECORD_HEADER_BYTES ? record.subarray(record.length - length) : null
}

interface ReadBlock {
  readonly reference: BlockReference
  readonly dataBytes: number
  readonly next: number
}

function readBlock(record: Buffer, start: number, last: BlockReference | null): ReadBlock | null {
  const flags = record.readUInt8(start + 1)
  let dataBytes = record.readUInt16LE(start + 2)
  let at = start + 4
  if ((flags & HAS_IMAGE) !== 0) {
    dataBytes += record.readUInt16LE(at)
    const imageInfo = record.readUInt8(at + 4)
    at += 5
    if ((imageInfo & IMAGE_HAS_HOLE) !== 0 && (imageInfo & IMAGE_COMPRESSED) !== 0) at += 2
  }
  let relation = last
  if ((flags & SAME_RELATION) === 0) {
    relation = {
      tablespace: record.readUInt32LE(at),
      database: record.readUInt32LE(at + 4),
      relation: record.readUInt32LE(at + 8),
      block: 0,
    }
    at += 12
  }
  if (relation === null) return null
  return { reference: { ...relation, block: record.readUInt32LE(at) }, dataBytes, next: at + 4 }
}
