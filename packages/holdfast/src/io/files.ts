/**
 * Files that must survive a crash, files that must not be read by others, files that must not fill the memory.
 * Everything is synchronous or short: callers on a decision's path do not use this room (R3).
 */
import { constants } from 'node:fs'
import { type FileHandle, lstat, open, rename, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { HoldfastError } from '../errors.ts'
import { freshId } from './random.ts'

/** Longest secret that is read; a token or password is far below, a key file not above. */
const SECRET_BYTES_MAX = 65_536
/** Rights of others than the owner. */
const OTHERS_RIGHTS = 0o077
const READ_CHUNK_BYTES = 65_536

/**
 * Replaces `path` as a whole: after a crash at any point it holds the old content or the new, never a part. Returns
 * when the new content is on the disk. `mode` are the new file's rights. Two writers at once: the last one wins.
 */
export async function writeFileDurable(path: string, data: string | Uint8Array, mode: number): Promise<void> {
  const unfinished = join(dirname(path), `.${basename(path)}.${freshId()}.tmp`)
  try {
    const file = await open(unfinished, 'wx', mode)
    try {
      // The creation mask may have taken rights away; what was asked for counts.
      await file.chmod(mode)
      await file.writeFile(data)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(unfinished, path)
  } catch (cause) {
    await unlink(unfinished).catch(() => undefined)
    throw writeError(path, cause)
  }
  await syncDirectory(dirname(path))
}

/** Makes creations, renames and removals in `path` survive a crash. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, constants.O_RDONLY)
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

/** From now on only we may enter: what is below can be removed or written while its former owner looks on. */
export async function shutDirectory(path: string): Promise<void> {
  const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants
  const directory = await open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
  try {
    await directory.chown(process.getuid?.() ?? 0, process.getgid?.() ?? 0)
    await directory.chmod(0o700)
  } finally {
    await directory.close()
  }
}

/** Reads a whole file; throws HF_FILE_TOO_LARGE beyond `bytesMax`, also when it grows while it is read. */
export async function readFileLimited(path: string, bytesMax: number): Promise<Buffer> {
  const file = await openForReading(path)
  try {
    return await readUpTo(file, path, bytesMax)
  } finally {
    await file.close()
  }
}

/**
 * Opens a file in a directory that belongs to an account we do not trust, as an engine's does: a link is not followed,
 * a pipe is not waited for, and a second name of somebody else's file is refused. Null when there is none.
 */
export async function openPlain(path: string): Promise<FileHandle | null> {
  const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants
  let file: FileHandle
  try {
    file = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return null
    throw notPlain(path, codeOf(cause), cause)
  }
  try {
    const s = await file.stat()
    if (!s.isFile()) throw notPlain(path, 'it is no file')
    const strange = s.nlink > 1 && s.uid !== (await lstat(dirname(path))).uid
    if (strange) throw notPlain(path, `it is another name of a file of user ${s.uid}`)
    return file
  } catch (error) {
    await file.close()
    throw error
  }
}

/** The whole of such a file, or null when there is none. Throws HF_FILE_TOO_LARGE beyond `bytesMax`. */
export async function readPlain(path: string, bytesMax: number): Promise<Buffer | null> {
  const file = await openPlain(path)
  if (file === null) return null
  try {
    return await readUpTo(file, path, bytesMax)
  } finally {
    await file.close()
  }
}

/** Where a secret comes from: exactly one of the two. */
export type SecretSource = { readonly env: string } | { readonly file: string }

/**
 * The secret without the line's end. Refuses a file that others than its owner may read, and an empty secret: a
 * password of no characters is a mistake in every case seen.
 */
export async function readSecret(source: SecretSource): Promise<string> {
  if ('env' in source) {
    const value = process.env[source.env] ?? ''
    if (value !== '') return value
    const next = `Set it before the start: export ${source.env}=..., or name a file instead.`
    throw new HoldfastError('HF_SECRET_MISSING', `The environment variable ${source.env} is not set.`, next)
  }
  const file = await openForReading(source.file)
  try {
    const { mode } = await file.stat()
    if ((mode & OTHERS_RIGHTS) !== 0) {
      const rights = (mode & 0o777).toString(8)
      const message = `The secret file ${source.file} is open to others than its owner (mode ${rights}).`
      throw new HoldfastError('HF_SECRET_FILE_OPEN', message, `Run: chmod 600 ${source.file}`)
    }
    const secret = (await readUpTo(file, source.file, SECRET_BYTES_MAX)).toString('utf8').replace(/\r?\n$/, '')
    if (secret !== '') return secret
    const next = 'Write the secret into it, in one line.'
    throw new HoldfastError('HF_SECRET_MISSING', `The secret file ${source.file} is empty.`, next)
  } finally {
    await file.close()
  }
}

async function openForReading(path: string): Promise<FileHandle> {
  try {
    return await open(path, constants.O_RDONLY)
  } catch (cause) {
    const next = `See that the file exists and that this user may read it: ls -l ${path}`
    throw new HoldfastError('HF_FILE_UNREADABLE', `Cannot read ${path}: ${codeOf(cause)}.`, next, cause)
  }
}

function notPlain(path: string, because: string, cause?: unknown): HoldfastError {
  const what = because === 'ELOOP' ? 'it is a link' : because
  const next = `Look at what stands there and move it away: ls -l ${path}`
  return new HoldfastError('HF_FILE_UNREADABLE', `${path} cannot be read as a plain file: ${what}.`, next, cause)
}

async function readUpTo(file: FileHandle, path: string, bytesMax: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let total = 0
  for (;;) {
    const chunk = Buffer.alloc(Math.min(READ_CHUNK_BYTES, bytesMax + 1))
    let bytesRead: number
    try {
      ;({ bytesRead } = await file.read(chunk, 0, chunk.length, null))
    } catch (cause) {
      const next = `See that it is a file and not a directory: ls -ld ${path}`
      throw new HoldfastError('HF_FILE_UNREADABLE', `Cannot read ${path}: ${codeOf(cause)}.`, next, cause)
    }
    if (bytesRead === 0) return Buffer.concat(chunks)
    total += bytesRead
    if (total > bytesMax) {
      const message = `${path} is larger than the ${bytesMax} bytes that are read.`
      throw new HoldfastError('HF_FILE_TOO_LARGE', message, 'See that this is the file you meant.')
    }
    chunks.push(chunk.subarray(0, bytesRead))
  }
}

function writeError(path: string, cause: unknown): HoldfastError {
  const code = codeOf(cause)
  const full = code === 'ENOSPC' || code === 'EDQUOT'
  const next = full
    ? `Make room on the disk of ${dirname(path)}: df -h ${dirname(path)}. The former content is untouched.`
    : `See that the directory exists and that this user may write there: ls -ld ${dirname(path)}`
  return new HoldfastError(full ? 'HF_DISK_FULL' : 'HF_FILE_UNWRITABLE', `Cannot write ${path}: ${code}.`, next, cause)
}

function codeOf(cause: unknown): string {
  if (typeof cause === 'object' && cause !== null && 'code' in cause) return String(cause.code)
  return String(cause)
}
