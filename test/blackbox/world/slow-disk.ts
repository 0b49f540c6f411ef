/**
 * A slow disk for some processes: the kernel lets them write so many times a second to the device their folder is on
 * (blkio throttle of cgroup version 1), so that each flush waits its turn. Others on the same device feel nothing. What
 * a thread of the kernel writes for them (the journal of the file system) is not slowed. Linux and root only.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { identify } from '../../../packages/holdfast/src/io/process-tree.ts'

const ROOT = '/sys/fs/cgroup/blkio'
const PREFIX = 'holdfast-slow-'
const LIMIT = 'blkio.throttle.write_iops_device'
const GONE_MS = 3_000
const LOOK_MS = 20
let made = 0

export interface Slowness {
  /** Any folder on the disk. */
  readonly folder: string
  readonly writesPerSecond: number
  /** Their future children are slow as well. */
  readonly pids: readonly number[]
}

export class SlowDisk {
  readonly #group: string
  readonly #device: string
  #over = false
  readonly #onExit = (): void => void this.#release()

  private constructor(group: string, device: string) {
    this.#group = group
    this.#device = device
  }

  /** Null when it can be had here; else why not. Folders in memory (tmpfs) have no device to slow down. */
  static missing(folder: string): string | null {
    if (process.getuid?.() !== 0) return 'only root may slow a disk down'
    if (!existsSync(join(ROOT, LIMIT))) return `the kernel offers no ${LIMIT}`
    return deviceOf(folder) === null ? `${folder} is on no device` : null
  }

  /** Throws when it cannot be done. */
  static begin({ folder, writesPerSecond, pids }: Slowness): SlowDisk {
    const missing = SlowDisk.missing(folder)
    const device = deviceOf(folder)
    if (missing !== null || device === null) throw new Error(missing ?? `${folder} is on no device`)
    removeLeftovers()
    const group = join(ROOT, `${PREFIX}${process.pid}-${made++}`)
    mkdirSync(group)
    const disk = new SlowDisk(group, device)
    process.on('exit', disk.#onExit)
    try {
      writeFileSync(join(group, LIMIT), `${device} ${Math.max(1, Math.round(writesPerSecond))}`)
    } catch (error) {
      process.off('exit', disk.#onExit)
      rmdirSync(group)
      throw error
    }
    disk.join(pids)
    return disk
  }

  /** More of them: an engine that was started again comes from its agent, which is not slow. */
  join(pids: readonly number[]): void {
    if (!this.#over) for (const pid of pids) move(pid, this.#group)
  }

  /** May be called twice. What waits is let go at once. */
  async end(): Promise<void> {
    if (this.#over) return
    this.#over = true
    process.off('exit', this.#onExit)
    const endMs = performance.now() + GONE_MS
    // A process that ended a moment ago keeps the group for another one.
    while (!this.#release() && performance.now() < endMs) await sleep(LOOK_MS)
  }

  #release(): boolean {
    return release(this.#group, this.#device)
  }
}

function release(group: string, device: string | null): boolean {
  try {
    if (device !== null) writeFileSync(join(group, LIMIT), `${device} 0`)
    for (const pid of readFileSync(join(group, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean)) {
      move(Number(pid), ROOT)
    }
    rmdirSync(group)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT'
  }
}

function move(pid: number, group: string): void {
  try {
    writeFileSync(join(group, 'cgroup.procs'), String(pid))
  } catch {
    // It ended in between.
  }
}

/** Of runs that were killed. */
function removeLeftovers(): void {
  for (const name of readdirSync(ROOT).filter((one) => one.startsWith(PREFIX))) {
    const owner = Number(/(\d+)-\d+$/.exec(name)?.[1])
    if (identify(owner) === null) release(join(ROOT, name), null)
  }
}

/** `major:minor` of the whole disk or the partition; null where there is none (memory, network). */
function deviceOf(folder: string): string | null {
  const { dev } = statSync(folder)
  const major = (dev >> 8) & 0xfff
  const device = `${major}:${(dev & 0xff) | ((dev >> 12) & 0xfff00)}`
  const entry = `/sys/dev/block/${device}`
  if (major === 0 || !existsSync(entry)) return null
  // The kernel throttles whole disks; a partition knows its own.
  if (!existsSync(join(entry, 'partition'))) return device
  return readFileSync(join(entry, '..', 'dev'), 'utf8').trim()
}
