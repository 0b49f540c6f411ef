/**
 * Who an engine runs as, and whether that account can reach a path. Engines refuse to run as root; when we are root
 * they run as `postgres` if that account exists, else as `nobody`.
 */
import { chown, lstat, readdir, readFile, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

export interface Owner {
  readonly uid: number
  readonly gid: number
}

const NOBODY: Owner = { uid: 65534, gid: 65534 }

/**
 * Null when we are not root: then everything runs as ourselves. Data that `nobody` has stays with it, also when an
 * account comes with a package later: the engine would refuse to start on another's data. A run directory beside it
 * that is another account's says that `nobody` never ran this member, and the data was put there.
 */
export async function engineOwner(dataDir?: string): Promise<Owner | null> {
  if (process.getuid?.() !== 0) return null
  if (dataDir !== undefined && (await isNobodys(dataDir)) === true) {
    const ran = await isNobodys(join(dirname(dataDir), `.${basename(dataDir)}.run`))
    if (ran !== false) return NOBODY
  }
  try {
    for (const line of (await readFile('/etc/passwd', 'utf8')).split('\n')) {
      const [name, , uid, gid] = line.split(':')
      if (name === 'postgres' && Number(uid) > 0) return { uid: Number(uid), gid: Number(gid) }
    }
  } catch {
    // No passwd file to read: the number of `nobody` is the same everywhere.
  }
  return NOBODY
}

/** Null when it is not there. */
async function isNobodys(path: string): Promise<boolean | null> {
  const found = await stat(path).catch(() => null)
  return found === null ? null : found.uid === NOBODY.uid
}

/** `nobody` is shared with other programs, which can then reach the engine's files and processes. */
export function isShared(owner: Owner | null): boolean {
  return owner?.uid === NOBODY.uid
}

/** First directory on the way to `path`, itself included, that `owner` may not enter, or null. */
export async function blockedAt(path: string, owner: Owner | null): Promise<string | null> {
  if (owner === null) return null
  const chain: string[] = []
  for (let at = path; ; at = dirname(at)) {
    chain.unshift(at)
    if (at === dirname(at)) break
  }
  for (const dir of chain) {
    const s = await stat(dir).catch(() => null)
    if (s === null || !s.isDirectory()) continue
    const bit = s.uid === owner.uid ? 0o100 : s.gid === owner.gid ? 0o010 : 0o001
    if ((s.mode & bit) === 0) return dir
  }
  return null
}

/** Gives `path` and all below it to `owner`. Does not follow symbolic links. */
export async function giveTo(path: string, owner: Owner | null): Promise<void> {
  if (owner === null) return
  const s = await lstat(path)
  if (s.isSymbolicLink()) return
  if (s.uid !== owner.uid || s.gid !== owner.gid) await chown(path, owner.uid, owner.gid)
  if (!s.isDirectory()) return
  for (const name of await readdir(path)) await giveTo(join(path, name), owner)
}
