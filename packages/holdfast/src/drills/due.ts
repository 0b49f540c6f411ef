/** When a scheduled drill is due: by its cron in its time zone, not on days that are frozen, and since when overdue. */
import { Cron } from 'croner'
import type { DrillFile, DrillSchedule } from '../config/drill.ts'
import type { EndedDrill } from './ledger.ts'

export interface Due {
  readonly drill: string
  readonly state: 'due' | 'overdue' | 'later' | 'frozen' | 'unscheduled'
  readonly nextWallMs: number | null
  readonly lastRunWallMs: number | null
  readonly lastPassedWallMs: number | null
  readonly because: string
}

/** A year of days that are all frozen is a mistake of the file. */
const LOOKS_MAX = 400

export type Scheduled = Pick<DrillFile, 'schedule'> & { readonly settings: Pick<DrillFile['settings'], 'drill'> }

/** `knownSinceMs`: when it was first seen; one that never passed is overdue counted from then. */
export function dueOf(
  { settings, schedule }: Scheduled,
  past: readonly EndedDrill[],
  nowWallMs: number,
  knownSinceMs: number | null = null,
): Due {
  const runs = past.filter((run) => run.drill === settings.drill && run.outcome !== 'refused')
  const lastRunWallMs = runs.at(-1)?.endedWallMs ?? null
  const lastPassedWallMs = runs.findLast((run) => run.outcome === 'passed')?.endedWallMs ?? null
  const fixed = { drill: settings.drill, lastRunWallMs, lastPassedWallMs }
  if (schedule === null) return { ...fixed, state: 'unscheduled', nextWallMs: null, because: 'it has no schedule' }
  const nextWallMs = nextOf(schedule, nowWallMs)
  const frozen = frozenBy(schedule, nowWallMs)
  if (frozen !== null) return { ...fixed, state: 'frozen', nextWallMs, because: frozen }
  const ageMs = lastPassedWallMs === null ? null : nowWallMs - lastPassedWallMs
  const knownMs = knownSinceMs === null ? null : nowWallMs - knownSinceMs
  const days = (ms: number): string => `${Math.floor(ms / 86_400_000)} days`
  // Times of before it was known are nobody's.
  const missed = missedSince(schedule, lastRunWallMs ?? knownSinceMs, nowWallMs)
  if (ageMs !== null && ageMs > schedule.overdueAfterMs) {
    return { ...fixed, state: 'overdue', nextWallMs, because: `it last passed ${days(ageMs)} ago` }
  }
  if (ageMs === null && knownMs !== null && knownMs > schedule.overdueAfterMs) {
    return { ...fixed, state: 'overdue', nextWallMs, because: `it is known for ${days(knownMs)} and never passed` }
  }
  if (missed !== null) {
    const never = lastPassedWallMs === null ? '; it never passed' : ''
    return { ...fixed, state: 'due', nextWallMs, because: `its time was ${new Date(missed).toISOString()}${never}` }
  }
  return {
    ...fixed,
    state: 'later',
    nextWallMs,
    because: lastRunWallMs === null ? 'it never ran' : 'its time will come',
  }
}

/** Since when it is overdue; null: it is not. */
export function overdueSince(
  { settings, schedule }: Scheduled,
  past: readonly EndedDrill[],
  { nowWallMs, knownSinceMs }: { readonly nowWallMs: number; readonly knownSinceMs: number },
): number | null {
  if (schedule === null) return null
  const passed = past.findLast((run) => run.drill === settings.drill && run.outcome === 'passed')
  const since = (passed?.endedWallMs ?? knownSinceMs) + schedule.overdueAfterMs
  return since < nowWallMs && frozenBy(schedule, nowWallMs) === null ? since : null
}

/** Times after one moment up to another; those on frozen days say why they are skipped. */
export function timesBetween(
  schedule: DrillSchedule,
  { afterMs, untilMs, max }: { readonly afterMs: number; readonly untilMs: number; readonly max: number },
): readonly { readonly atMs: number; readonly frozen: string | null }[] {
  const cron = cronOf(schedule)
  const times: { atMs: number; frozen: string | null }[] = []
  for (let at = cron.nextRun(new Date(afterMs)); at !== null && times.length < max; at = cron.nextRun(at)) {
    if (at.getTime() > untilMs) break
    times.push({ atMs: at.getTime(), frozen: frozenBy(schedule, at.getTime()) })
  }
  return times
}

/** The next time on a day that is not frozen. */
function nextOf(schedule: DrillSchedule, afterWallMs: number): number | null {
  const cron = cronOf(schedule)
  let at: Date | null = new Date(afterWallMs)
  for (let looks = 0; looks < LOOKS_MAX; looks += 1) {
    at = cron.nextRun(at)
    if (at === null) return null
    if (frozenBy(schedule, at.getTime()) === null) return at.getTime()
  }
  return null
}

/** The latest time since its last run that has passed; of one that never ran, within the last interval. */
function missedSince(schedule: DrillSchedule, lastRunWallMs: number | null, nowWallMs: number): number | null {
  const cron = cronOf(schedule)
  const [latest] = cron.previousRuns(1, new Date(nowWallMs))
  const at = latest?.getTime() ?? null
  if (at === null || (lastRunWallMs !== null && lastRunWallMs >= at)) return null
  return frozenBy(schedule, at) === null ? at : null
}

/** Why this moment is frozen, by the day it is where the schedule lives; null: it is not. */
function frozenBy({ freezes, timeZone }: DrillSchedule, wallMs: number): string | null {
  // Sweden writes dates as files do.
  const day = new Intl.DateTimeFormat('sv-SE', { timeZone }).format(new Date(wallMs))
  const found = freezes.find(({ from, to }) => from <= day && day <= to)
  if (found === undefined) return null
  const because = found.because === '' ? '' : `: ${found.because}`
  return `frozen from ${found.from} to ${found.to}${because}`
}

function cronOf({ cron, timeZone }: DrillSchedule): Cron {
  return new Cron(cron, { paused: true, mode: '5-part', timezone: timeZone })
}
