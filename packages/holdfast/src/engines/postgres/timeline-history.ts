/**
 * Timelines: which one grew out of which, and where. Pure; `replication.ts` fetches another member's history file and
 * `wal-reader.ts` reads our own.
 */
import { formatLsn, readLsn } from './wal-page.ts'

/** One step: `timeline` ended at `endLsn`, where the next one began. */
export interface TimelineStep {
  readonly timeline: number
  readonly endLsn: number
}

/** A timeline and its ancestors, the oldest first. The last one has no end. */
export interface History {
  readonly timeline: number
  readonly ancestors: readonly TimelineStep[]
}

const STEPS_MAX = 100_000

/** Null when the text is no history of `timeline`: unordered, or with lines that cannot be read. */
export function parseHistory(timeline: number, text: string): History | null {
  const ancestors: TimelineStep[] = []
  for (const line of text.split('\n')) {
    const bare = line.trim()
    if (bare === '' || bare.startsWith('#')) continue
    const m = /^(\d{1,10})\s+([0-9A-Fa-f]+\/[0-9A-Fa-f]+)/.exec(bare)
    const endLsn = m === null ? null : readLsn(m[2] ?? '')
    if (m === null || endLsn === null || ancestors.length === STEPS_MAX) return null
    const last = ancestors.at(-1)
    const step = { timeline: Number(m[1]), endLsn }
    if (last !== undefined && (step.timeline <= last.timeline || step.endLsn < last.endLsn)) return null
    ancestors.push(step)
  }
  const last = ancestors.at(-1)
  if (last !== undefined && last.timeline >= timeline) return null
  return { timeline, ancestors }
}

export function historyFileName(timeline: number): string {
  return `${timeline.toString(16).toUpperCase().padStart(8, '0')}.history`
}

/** Where `timeline` ended on the way to `history.timeline`; null for the last one; undefined when it is not on it. */
export function endOf(history: History, timeline: number): number | null | undefined {
  if (timeline === history.timeline) return null
  return history.ancestors.find((step) => step.timeline === timeline)?.endLsn
}

export interface Fork {
  /** The newest timeline that both went through. */
  readonly timeline: number
  /** Up to here both are the same; null when neither left that timeline. */
  readonly forkLsn: number | null
}

/** Null when they have nothing in common. */
export function forkOf(ours: History, theirs: History): Fork | null {
  let common: Fork | null = null
  const length = Math.min(ours.ancestors.length, theirs.ancestors.length) + 1
  for (let i = 0; i < length; i++) {
    const a = ours.ancestors[i] ?? { timeline: ours.timeline, endLsn: Number.POSITIVE_INFINITY }
    const b = theirs.ancestors[i] ?? { timeline: theirs.timeline, endLsn: Number.POSITIVE_INFINITY }
    if (a.timeline !== b.timeline) break
    const end = Math.min(a.endLsn, b.endLsn)
    common = { timeline: a.timeline, forkLsn: Number.isFinite(end) ? end : null }
    if (a.endLsn !== b.endLsn) break
  }
  return common
}

/** For messages: `1 to 0/3000000, 2`. */
export function showHistory(history: History): string {
  const steps = history.ancestors.map((step) => `${step.timeline} to ${formatLsn(step.endLsn)}`)
  return [...steps, String(history.timeline)].join(', ')
}
