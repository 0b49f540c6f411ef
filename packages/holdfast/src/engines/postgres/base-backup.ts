/**
 * Clones a running PostgreSQL into an absent or empty directory over the replication protocol (BASE_BACKUP, 15 to 18),
 * log included, so that the copy starts without its source. The directory appears whole or not at all, checked against
 * the source's manifest and on the disk. Leaves settings, `standby.signal` and the decision to clone to the adapter.
 * A slot that was asked for stays on the source also when the clone fails: the next attempt uses it.
 */
import { type FileHandle, mkdir, open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Progress } from '../contract.ts'
import { ManifestCheck, type WrittenFile } from './backup-manifest.ts'
import { AreaError, CloneArea, fileFailure, type Owner, syncDirectory } from './clone-area.ts'
import { crc32c } from './crc32c.ts'
import { failureOf, identify, ReplicationLine, reserveSlot, type SystemIdentity, type Upstream } from './replication.ts'
import { TarError, TarReader, type TarSink } from './tar-reader.ts'
import { readLsn } from './wal-page.ts'

export interface CloneOptions {
  readonly source: Upstream
  readonly dataDir: string
  readonly slot: string | null
  readonly owner: Owner | null
  readonly signal: AbortSignal
  readonly progress?: Progress
}

export type CloneResult =
  | {
      readonly ok: true
      readonly systemId: string
      readonly startLsn: number
      readonly timeline: number
      readonly bytes: number
    }
  | { readonly ok: false; readonly because: string; readonly retryable: boolean }

/** Files open at a time while they are forced to the disk. */
const SYNCS_AT_ONCE = 4
const PROGRESS_EVERY_BYTES = 2 ** 20
const KIBIBYTE = 1024
const COMMAND =
  "BASE_BACKUP (LABEL 'holdfast', PROGRESS true, CHECKPOINT 'fast', WAL true, " +
  "MANIFEST 'yes', MANIFEST_CHECKSUMS 'CRC32C')"

/** Idempotent: run again after any failure or kill. Aborting removes what was written. */
export async function cloneFrom(options: CloneOptions): Promise<CloneResult> {
  const area = new CloneArea(options.dataDir, options.owner)
  let line: ReplicationLine | null = null
  let opened = false
  try {
    await area.checkTarget()
    await area.discard()
    line = await ReplicationLine.open(options.source, options.signal, 'replication')
    const identity = await identify(line)
    if (options.slot !== null) await reserveSlot(line, options.slot)
    await area.open()
    opened = true
    return await receive(options, area, line, identity)
  } catch (error) {
    line?.close()
    if (opened) await area.discard().catch(() => undefined)
    if (options.signal.aborted) return { ok: false, because: 'the clone was cancelled', retryable: true }
    if (error instanceof TarError)
      return { ok: false, because: `the backup is refused: ${error.message}`, retryable: false }
    return fileFailure(error) ?? failureOf(options.source, error)
  } finally {
    line?.close()
  }
}

async function receive(
  options: CloneOptions,
  area: CloneArea,
  line: ReplicationLine,
  identity: SystemIdentity,
): Promise<CloneResult> {
  const { signal, progress } = options
  const writer = new BackupWriter(area.inside, options.owner)
  const backup = new BackupStream(area, writer, progress)
  progress?.('waiting for a checkpoint', 0, null)
  try {
    await line.copy(COMMAND, backup)
  } finally {
    await writer.close()
  }
  const wrong = backup.verdict()
  if (wrong !== null) return cancel(area, `the backup is not whole: ${wrong}`)
  await writer.syncAll(signal, progress)
  signal.throwIfAborted()
  await area.publish()
  const { startLsn, timeline } = backup
  return { ok: true, systemId: identity.systemId, startLsn, timeline, bytes: writer.bytes }
}

async function cancel(area: CloneArea, because: string): Promise<CloneResult> {
  await area.discard()
  return { ok: false, because, retryable: true }
}

/** Sorts the messages of BASE_BACKUP: positions, tablespaces, archives, the manifest. */
class BackupStream {
  readonly #area: CloneArea
  readonly #writer: BackupWriter
  readonly #progress: Progress | undefined
  readonly #manifest: ManifestCheck
  #tar: TarReader | null = null
  #inManifest = false
  #totalBytes: number | null = null
  #shownBytes = 0
  #tablespace: string | null = null
  startLsn = 0
  timeline = 0

  constructor(area: CloneArea, writer: BackupWriter, progress: Progress | undefined) {
    this.#area = area
    this.#writer = writer
    this.#progress = progress
    this.#manifest = new ManifestCheck(writer.written)
  }

  onRow(set: number, row: readonly (string | null)[]): void {
    if (set === 0) {
      this.startLsn = readLsn(row[0] ?? '') ?? 0
      this.timeline = Number(row[1])
    }
    if (set !== 1) return
    if (row[0] !== null) this.#tablespace ??= row[1] ?? '?'
    else if (row[2] !== null) this.#totalBytes = Number(row[2]) * KIBIBYTE
  }

  async onData(message: Buffer): Promise<void> {
    const body = message.subarray(1)
    switch (message[0]) {
      case 0x6e:
        return this.#begin(body)
      case 0x6d:
        this.#tar?.end()
        this.#inManifest = true
        return
      case 0x64:
        return this.#data(body)
      default:
        // 'p': the same number as what we count ourselves.
        return
    }
  }

  verdict(): string | null {
    if (this.#tar === null) return 'no archive came'
    if (!this.#inManifest) return 'no manifest came'
    if (!(this.startLsn > 0 && this.timeline > 0)) return 'no position came'
    return this.#manifest.verdict()
  }

  async #begin(body: Buffer): Promise<void> {
    if (this.#tablespace !== null) {
      throw new TarError(
        `the source has a tablespace at ${this.#tablespace}; tablespaces are not cloned, move its tables to pg_default`,
      )
    }
    const name = body.toString('utf8', 0, Math.max(0, body.indexOf(0)))
    if (this.#tar !== null || name !== 'base.tar')
      throw new TarError(`an archive ${JSON.stringify(name)} was not expected`)
    await this.#area.checkRoom(this.#totalBytes ?? 0)
    await this.#writer.begin()
    this.#tar = new TarReader(this.#writer)
  }

  async #data(body: Buffer): Promise<void> {
    if (this.#tar === null) throw new TarError('data came before an archive')
    if (this.#inManifest) return this.#manifest.push(body)
    await this.#tar.push(body)
    const { bytes } = this.#writer
    if (bytes - this.#shownBytes < PROGRESS_EVERY_BYTES) return
    this.#shownBytes = bytes
    // The log comes on top of what the source announced.
    this.#progress?.('cloning', bytes, this.#totalBytes === null ? null : Math.max(this.#totalBytes, bytes))
  }
}

/** Writes entries below one directory; what comes twice is refused, so no entry can change another. */
class BackupWriter implements TarSink {
  readonly written = new Map<string, WrittenFile>()
  bytes = 0
  readonly #root: string
  readonly #owner: Owner | null
  readonly #directories: string[] = []
  readonly #known = new Set<string>()
  #file: FileHandle | null = null
  #path = ''
  #crc = 0
  #size = 0

  constructor(root: string, owner: Owner | null) {
    this.#root = root
    this.#owner = owner
  }

  async begin(): Promise<void> {
    await this.#makeDirectory(this.#root)
  }

  async directory(path: string): Promise<void> {
    if (path === '' || this.#known.has(path)) return
    await this.#parents(path)
    this.#known.add(path)
    await this.#makeDirectory(join(this.#root, path))
  }

  async fileStart(path: string): Promise<void> {
    await this.#parents(path)
    if (path === '' || this.#known.has(path) || this.written.has(path)) throw new TarError(`${path} came twice`)
    this.#path = path
    this.#crc = 0
    this.#size = 0
    this.#file = await open(join(this.#root, path), 'wx', 0o600)
    if (this.#owner !== null) await this.#file.chown(this.#owner.uid, this.#owner.gid)
  }

  async fileData(chunk: Buffer): Promise<void> {
    if (this.#file === null) return
    for (let at = 0; at < chunk.length; ) {
      at += (await this.#file.write(chunk, at, chunk.length - at)).bytesWritten
    }
    this.#crc = crc32c(chunk, this.#crc)
    this.#size += chunk.length
    this.bytes += chunk.length
  }

  async fileEnd(): Promise<void> {
    await this.close()
    this.written.set(this.#path, { sizeBytes: this.#size, crc: this.#crc })
  }

  async close(): Promise<void> {
    const file = this.#file
    this.#file = null
    await file?.close()
  }

  /** Files first, then the directories that name them. */
  async syncAll(signal: AbortSignal, progress: Progress | undefined): Promise<void> {
    const names = [...this.written.keys()]
    let done = 0
    const worker = async (): Promise<void> => {
      for (let name = names.pop(); name !== undefined; name = names.pop()) {
        signal.throwIfAborted()
        const file = await open(join(this.#root, name), 'r')
        await file.sync().finally(() => file.close())
        done += 1
      }
    }
    progress?.('writing to the disk', 0, names.length)
    await Promise.all(Array.from({ length: SYNCS_AT_ONCE }, worker))
    for (const directory of this.#directories.reverse()) await syncDirectory(directory)
    progress?.('writing to the disk', done, done)
  }

  /** PostgreSQL names a directory before what is in it; a missing parent is made all the same. */
  async #parents(path: string): Promise<void> {
    const parent = dirname(path)
    if (parent === '.' || this.#known.has(parent)) return
    if (this.written.has(parent)) throw new TarError(`${parent} is a file and a directory`)
    await this.directory(parent)
  }

  async #makeDirectory(path: string): Promise<void> {
    try {
      await mkdir(path, { mode: 0o700 })
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'EEXIST') {
        throw new AreaError(`${path} exists already`)
      }
      throw error
    }
    this.#directories.push(path)
    if (this.#owner === null) return
    const directory = await open(path, 'r')
    await directory.chown(this.#owner.uid, this.#owner.gid).finally(() => directory.close())
  }
}
