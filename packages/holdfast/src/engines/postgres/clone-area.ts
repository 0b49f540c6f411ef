/**
 * The place beside a data directory where it is made or changed, so that the directory itself is always whole or
 * absent: `<data>.partial/` holds a mark of ours and `data/`. What a killed run left there is removed by the next one;
 * a directory of that name without our mark is never touched. The area is ours, not the engine's: its account cannot
 * enter while we write there, so what is inside may be named by path and given away at once.
 */
import { type BigIntStats, constants } from 'node:fs'
import { chmod, chown, lstat, mkdir, open, readdir, rename, rm, stat, statfs, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { shutDirectory } from '../../io/files.ts'

export interface Owner {
  readonly uid: number
  readonly gid: number
}

const MARK = 'holdfast.partial'
/** Kept free beside what is written: a full disk would stop the members that run on it. */
export const RESERVE_BYTES = 64 * 2 ** 20

/** Expected on a bad day; `because` names what is in the way and what to do. */
export class AreaError extends Error {
  override readonly name = 'AreaError'
}

export class CloneArea {
  readonly dataDir: string
  readonly root: string
  readonly inside: string
  readonly #owner: Owner | null

  constructor(dataDir: string, owner: Owner | null) {
    this.dataDir = dataDir
    this.root = `${dataDir}.partial`
    this.inside = join(this.root, 'data')
    this.#owner = owner
  }

  /** Removes what a killed run left, then makes the area anew. */
  async open(): Promise<void> {
    await this.discard()
    await mkdir(this.root, { mode: 0o700 })
    const text = 'Being made by Holdfast; removed at the next attempt.\n'
    await writeFile(join(this.root, MARK), text, { mode: 0o600, flag: 'wx' })
  }

  /** Throws AreaError when the directory of that name is not ours. */
  async discard(): Promise<void> {
    const found = await lstat(this.root).catch(absent)
    if (found === null) return
    const names = found.isDirectory() ? await readdir(this.root) : ['']
    if (names.length > 0 && !names.includes(MARK)) {
      throw new AreaError(`${this.root} is in the way and was not made by Holdfast; move it away`)
    }
    // What is removed must not be changed meanwhile by the account that worked in it.
    if (this.#owner !== null && found.isDirectory()) await shutDirectory(this.root)
    // The mark goes last: removal may be interrupted as well.
    for (const name of names) if (name !== MARK) await rm(join(this.root, name), { recursive: true, force: true })
    await rm(this.root, { recursive: true, force: true })
  }

  /** The data directory must be absent or empty, and renaming must be able to put the copy in its place. */
  async checkTarget(): Promise<void> {
    const parent = await stat(dirname(this.dataDir), { bigint: true }).catch(absent)
    if (parent === null) throw new AreaError(`${dirname(this.dataDir)} does not exist; make it first`)
    const found: BigIntStats | null = await lstat(this.dataDir, { bigint: true }).catch(absent)
    if (found === null) return
    if (!found.isDirectory()) throw new AreaError(`${this.dataDir} is not a directory; move it away`)
    if ((await readdir(this.dataDir)).length > 0) {
      throw new AreaError(`${this.dataDir} is not empty; it is not overwritten, move its content away`)
    }
    if (found.dev !== parent.dev) {
      throw new AreaError(`${this.dataDir} is a mount point; use a directory below it as data directory`)
    }
  }

  /** Refuses when `bytes` would leave less than the reserve. */
  async checkRoom(bytes: number): Promise<void> {
    await checkRoom(dirname(this.dataDir), bytes)
  }

  /** Puts the finished copy in its place: there at once, or not at all. */
  async publish(): Promise<void> {
    await chmod(this.inside, 0o700)
    await rename(this.inside, this.dataDir)
    await syncDirectory(dirname(this.dataDir))
    await rm(this.root, { recursive: true, force: true })
  }

  /** Takes the data directory out of its place to work on it as the engine's account, which may walk through. */
  async takeOut(): Promise<void> {
    await rename(this.dataDir, this.inside)
    await syncDirectory(dirname(this.dataDir))
    if (this.#owner === null) return
    await chown(this.root, process.getuid?.() ?? 0, this.#owner.gid)
    await chmod(this.root, 0o710)
  }
}

export async function checkRoom(dir: string, bytes: number): Promise<void> {
  const disk = await statfs(dir)
  const free = disk.bavail * disk.bsize
  if (free >= bytes + RESERVE_BYTES) return
  const needed = `${megabytes(bytes)} MB and ${megabytes(RESERVE_BYTES)} MB of reserve are needed`
  throw new AreaError(`the disk of ${dir} is too full: ${needed}, ${megabytes(free)} MB are free; make room there`)
}

export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, constants.O_RDONLY)
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

/** What the file system says, in words a person can act on. */
export function fileFailure(error: unknown): { ok: false; because: string; retryable: boolean } | null {
  if (error instanceof AreaError) {
    return { ok: false, because: error.message, retryable: error.message.includes('too full') }
  }
  if (typeof error !== 'object' || error === null || !('code' in error) || !('syscall' in error)) return null
  const path = 'path' in error ? ` at ${String(error.path)}` : ''
  if (error.code === 'ENOSPC' || error.code === 'EDQUOT') {
    return {
      ok: false,
      because: `the disk became full${path}; make room, what was written is removed`,
      retryable: true,
    }
  }
  const files = [
    'EACCES',
    'EPERM',
    'EROFS',
    'EIO',
    'ENOENT',
    'ENOTDIR',
    'EEXIST',
    'EXDEV',
    'EBUSY',
    'ENOTEMPTY',
    'EMFILE',
  ]
  if (!files.includes(String(error.code)) || error.syscall === 'connect') return null
  return { ok: false, because: `${String(error.code)} in ${String(error.syscall)}${path}`, retryable: false }
}

function megabytes(bytes: number): number {
  return Math.ceil(bytes / 2 ** 20)
}

function absent(error: unknown): null {
  if (typeof error === 'object' && error !== null && 'code' in error && error.code === 'ENOENT') return null
  throw error
}
