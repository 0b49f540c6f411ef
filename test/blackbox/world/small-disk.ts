/**
 * A disk of a fixed size that can be filled and freed: a tmpfs, mounted before whoever uses its folder starts. Linux
 * and root only. It lives in memory, so its size is kept small.
 */
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statfsSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'

const MIB = 1_048_576
const SIZE_MIB_MAX = 2_048
const MOUNT_MS = 5_000
const LOGS = /\.log(\.\d+)?$/

export class SmallDisk {
  readonly folder: string
  #mounted = true

  private constructor(folder: string) {
    this.folder = folder
  }

  /** Throws when nothing can be mounted here. */
  static mount(folder: string, sizeMiB: number): SmallDisk {
    const size = Math.min(SIZE_MIB_MAX, Math.max(1, Math.round(sizeMiB)))
    mkdirSync(folder, { recursive: true })
    const words = ['-t', 'tmpfs', '-o', `size=${size}m,mode=755`, 'tmpfs', folder]
    execFileSync('mount', words, { stdio: ['ignore', 'ignore', 'pipe'], timeout: MOUNT_MS })
    chmodSync(folder, 0o755)
    return new SmallDisk(folder)
  }

  /** Takes what is free but for `leaveBytes`. */
  fill(leaveBytes = 0): void {
    const file = this.#ballast()
    const { bavail, bsize } = statfsSync(this.folder)
    const chunk = Buffer.alloc(MIB)
    try {
      for (let left = bavail * bsize; left > 0; left -= MIB) writeFileSync(file, chunk, { flag: 'a' })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
    }
    if (leaveBytes > 0) truncateSync(file, Math.max(0, statSync(file).size - leaveBytes))
  }

  free(): void {
    rmSync(this.#ballast(), { force: true })
  }

  freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.folder)
    return bavail * bsize
  }

  /** What lies on it goes with it: the logs of the engines are put beside it before that. */
  rescueLogs(): void {
    for (const entry of readdirSync(this.folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !LOGS.test(entry.name)) continue
      const name = `${basename(entry.parentPath).replace(/^\./, '')}.${entry.name}`
      copyFileSync(join(entry.parentPath, entry.name), join(dirname(this.folder), name))
    }
  }

  /** Also while something still uses it; then it goes with its last user. */
  unmount(): void {
    if (!this.#mounted) return
    this.#mounted = false
    execFileSync('umount', ['-l', this.folder], { stdio: 'ignore', timeout: MOUNT_MS })
  }

  #ballast(): string {
    return join(this.folder, 'ballast')
  }
}
