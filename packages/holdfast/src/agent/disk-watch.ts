/**
 * How full the file systems of the data folders are, and how fast they fill. Looks by itself now and then; whoever asks
 * gets the last reading and waits for nothing. A file system that hangs takes one worker thread and no more: there is
 * never a second look while one is under way.
 */
import { statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Clock } from '../io/clock.ts'

export interface DiskReading {
  readonly freeBytes: number
  readonly sizeBytes: number
  /** Null until there are readings of `GROWTH_MIN_MS`. */
  readonly growthBytesPerSecond: number | null
}

export interface DiskWatchOptions {
  readonly folders: ReadonlyMap<string, string>
  readonly clock: Pick<Clock, 'nowMs'>
  readonly look?: (folder: string) => Promise<DiskLook>
}

export interface DiskLook {
  readonly freeBytes: number
  readonly sizeBytes: number
  readonly usedBytes: number
}

const EVERY_MS = 15_000
/** An older reading says nothing: the file system may hang. */
const READING_MAX_AGE_MS = 60_000
/** Growth is the slope over an hour; one point a minute is enough to see it. */
const POINT_EVERY_MS = 60_000
const POINTS_MAX = 61
const GROWTH_MIN_MS = 300_000
/** Deeper paths than this are no data folders. */
const DEPTH_MAX = 64

interface Point {
  readonly atMs: number
  readonly usedBytes: number
}

interface Kept {
  readonly atMs: number
  readonly look: DiskLook
  readonly points: readonly Point[]
}

export class DiskWatch {
  readonly #options: DiskWatchOptions
  readonly #kept = new Map<string, Kept>()
  #timer: NodeJS.Timeout | null = null
  #looking = false

  constructor(options: DiskWatchOptions) {
    this.#options = options
  }

  start(): void {
    void this.look()
    this.#timer = setInterval(() => void this.look(), EVERY_MS)
    this.#timer.unref()
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
  }

  /** One folder after the other, so that at most one worker thread can hang. */
  async look(): Promise<void> {
    if (this.#looking) return
    this.#looking = true
    const { folders, clock, look = lookAt } = this.#options
    try {
      for (const [member, folder] of folders) {
        const found = await look(folder).catch(() => null)
        if (found !== null) this.#keep(member, found, clock.nowMs())
      }
    } finally {
      this.#looking = false
    }
  }

  /** The last reading while it is fresh. */
  reading(member: string): DiskReading | null {
    const kept = this.#kept.get(member)
    if (kept === undefined || this.#options.clock.nowMs() - kept.atMs > READING_MAX_AGE_MS) return null
    const { freeBytes, sizeBytes } = kept.look
    return { freeBytes, sizeBytes, growthBytesPerSecond: slope(kept.points) }
  }

  #keep(member: string, look: DiskLook, atMs: number): void {
    const points = this.#kept.get(member)?.points ?? []
    const due = atMs - (points.at(-1)?.atMs ?? Number.NEGATIVE_INFINITY) >= POINT_EVERY_MS
    const point = { atMs, usedBytes: look.usedBytes }
    this.#kept.set(member, { atMs, look, points: due ? [...points, point].slice(-POINTS_MAX) : points })
  }
}

/** Least squares over the points, bytes per second; a single large file that comes and goes does not tip it over. */
export function slope(points: readonly Point[]): number | null {
  const first = points[0]
  const last = points.at(-1)
  if (first === undefined || last === undefined || last.atMs - first.atMs < GROWTH_MIN_MS) return null
  const seconds = points.map(({ atMs }) => (atMs - first.atMs) / 1_000)
  const meanX = mean(seconds)
  const meanY = mean(points.map(({ usedBytes }) => usedBytes))
  let above = 0
  let below = 0
  for (const [at, x] of seconds.entries()) {
    above += (x - meanX) * ((points[at]?.usedBytes ?? 0) - meanY)
    below += (x - meanX) ** 2
  }
  return below === 0 ? null : above / below
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, one) => sum + one, 0) / numbers.length
}

/** A folder that is not made yet will be made on the file system of the nearest one above it. */
async function lookAt(folder: string): Promise<DiskLook> {
  let path = folder
  for (let depth = 0; ; depth++) {
    try {
      const s = await statfs(path)
      const [freeBytes, sizeBytes] = [s.bavail * s.bsize, s.blocks * s.bsize]
      return { freeBytes, sizeBytes, usedBytes: sizeBytes - s.bfree * s.bsize }
    } catch (error) {
      const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
      if (!missing || depth >= DEPTH_MAX || dirname(path) === path) throw error
      path = dirname(path)
    }
  }
}
