/**
 * Which times of a schedule have come, and what becomes of each. Pure. What was looked at is kept with the orders in
 * one transaction, so a change of leader leaves no time out and takes none twice; one that comes too late is told and
 * not run.
 */
import type { DrillSchedule } from '../../config/drill.ts'
import { timesBetween } from '../../drills/due.ts'

/** Kept for each scheduled drill. */
export interface Looked {
  /** Cron and time zone; another one begins anew. */
  readonly schedule: string
  /** When this schedule was first seen: times before it are nobody's. */
  readonly sinceMs: number
  /** Every time up to here was taken or told. */
  readonly untilMs: number
}

export type Slot = { readonly atMs: number } & (
  | { readonly kind: 'run' }
  | { readonly kind: 'missed'; readonly because: string }
)

/** A restart or a change of leader takes seconds; who expects a drill at ten does not expect it at noon. */
export const LATE_MS_MAX = 300_000
/** A clock that was set back by more than a hiccup: what comes is counted from now; times that were taken stay so. */
const BACK_MS = 60_000
/** After a long absence the last ones are told; the rest is the same news. */
const TOLD_MAX = 20

export function slotsOf(
  schedule: DrillSchedule,
  before: Looked | null,
  nowMs: number,
): { readonly looked: Looked; readonly slots: readonly Slot[] } {
  const gist = `${schedule.cron} ${schedule.timeZone}`
  if (before === null || before.schedule !== gist) {
    return { looked: { schedule: gist, sinceMs: before?.sinceMs ?? nowMs, untilMs: nowMs }, slots: [] }
  }
  const jumpedBack = before.untilMs - nowMs > BACK_MS
  const looked = { ...before, untilMs: jumpedBack ? nowMs : Math.max(before.untilMs, nowMs) }
  if (jumpedBack || nowMs <= before.untilMs) return { looked, slots: [] }
  const window = { afterMs: before.untilMs, untilMs: nowMs, max: 10_000 }
  const times = timesBetween(schedule, window).filter(({ frozen }) => frozen === null)
  const slots = times.slice(-TOLD_MAX).map(({ atMs }, index, all): Slot => {
    const newest = index === all.length - 1
    if (newest && nowMs - atMs <= LATE_MS_MAX) return { atMs, kind: 'run' }
    const late = Math.round((nowMs - atMs) / 60_000)
    return { atMs, kind: 'missed', because: `no server led at its time; it was seen ${late} minutes later` }
  })
  return { looked, slots }
}
