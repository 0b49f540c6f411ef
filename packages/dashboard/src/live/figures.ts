/** What moves all the time, kept for the charts: the newest minutes, bounded, one column of numbers a line. */
import type { ApiCanaryFigures, ApiFigures } from '@holdfast/client'

/** Ten minutes at one a second. */
export const POINTS_MAX = 600

export interface Track {
  readonly atMs: number[]
  readonly values: (number | null)[]
}

/** What was not measured is a gap in the line. */
const SERVED = { up: 1, down: 0, starting: null, unmeasured: null } as const

export class FigureHistory {
  readonly #tracks = new Map<string, Track>()

  add(figures: ApiFigures): void {
    for (const { member, lagBytes, writableForMs } of figures.members) {
      this.#push(`lag ${member}`, figures.wallMs, lagBytes)
      this.#push(`open ${member}`, figures.wallMs, writableForMs > 0 ? 1 : 0)
    }
    for (const { group, lossBytes } of figures.groups) this.#push(`loss ${group}`, figures.wallMs, lossBytes)
  }

  addCanary({ wallMs, groups }: ApiCanaryFigures): void {
    for (const { group, writes, reads, latencyMs, replicas } of groups) {
      this.#push(`write ${group}`, wallMs, writes === 'up' ? latencyMs : null)
      this.#push(`served writes ${group}`, wallMs, SERVED[writes])
      this.#push(`served reads ${group}`, wallMs, SERVED[reads])
      for (const { member, lacksMs } of replicas) this.#push(`stale ${member}`, wallMs, lacksMs)
    }
  }

  /** A break in the lines: nobody told us anything meanwhile. */
  gap(wallMs: number): void {
    for (const track of this.#tracks.values()) push(track, wallMs, null)
  }

  track(name: string): Track {
    return this.#tracks.get(name) ?? { atMs: [], values: [] }
  }

  #push(name: string, atMs: number, value: number | null): void {
    let track = this.#tracks.get(name)
    if (track === undefined) {
      track = { atMs: [], values: [] }
      this.#tracks.set(name, track)
    }
    push(track, atMs, value)
  }
}

function push(track: Track, atMs: number, value: number | null): void {
  const last = track.atMs.at(-1)
  // A clock that was set back would draw a line backwards.
  if (last !== undefined && atMs <= last) return
  track.atMs.push(atMs)
  track.values.push(value)
  if (track.atMs.length > POINTS_MAX) {
    track.atMs.shift()
    track.values.shift()
  }
}

/** Several tracks over one axis of time, in seconds, as the charts take them. */
export function aligned(tracks: readonly Track[]): readonly (readonly (number | null)[])[] {
  const times = [...new Set(tracks.flatMap((track) => track.atMs))].sort((a, b) => a - b)
  const lines = tracks.map((track) => {
    const values = new Map(track.atMs.map((at, index) => [at, track.values[index] ?? null]))
    return times.map((at) => values.get(at) ?? null)
  })
  return [times.map((at) => at / 1_000), ...lines]
}
