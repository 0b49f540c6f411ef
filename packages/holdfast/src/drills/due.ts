/** When a scheduled drill is due: by its cron in its time zone, not on days that are frozen, and since when overdue. */
import { Cron } from 'croner'
import type { DrillSchedule, DrillSpec } from '../config/drill.ts'
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

export function dueOf({ settings, schedule }: DrillSpec, past: readonly EndedDrill[], nowWallMs: number): Due {
  const runs = past.filter((run) => run.drill === settings.drill && run.outcome !== 'refused')
  const lastRunWallMs = runs.at(-1)?.endedWallMs ?? null
  const lastPassedWallMs = runs.findLast((run) => run.outcome === 'passed')?.endedWallMs ?? null
  const fixed = { drill: settings.drill, lastRunWallMs, lastPassedWallMs }
  if (schedule === null) return { ...fixed, state: 'unscheduled', nextWallMs: null, because: 'it has no schedule' }
  const nextWallMs = nextOf(schedule, nowWallMs)
  const frozen = frozenBy(schedule, nowWallMs)
  if (frozen !== null) return { ...fixed, state: 'frozen', nextWallMs, because: frozen }
  const ageMs = lastPassedWallMs === null ? null : nowWallMs - lastPassedWallMs
  const days = (ms: number): string => `${Math.floor(ms / 86_400_000)} days`
  const missed = missedSince(schedule, lastRunWallMs, nowWallMs)
  if (ageMs !== null && ageMs > schedule.overdueAfterMs) {
    return { ...fixed, state: 'overdue', nextWallMs, because: `it last passed ${days(ageMs)} ago` }
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
