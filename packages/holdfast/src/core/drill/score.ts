/**
 * How much a proof is still worth. A drill that passed counts 100 and halves every 90 days; a later one that did not
 * pass halves it at once; drills that never passed are worth a quarter of that, because somebody looked.
 *
 *   score = 100 * 2^(-days since it last passed / 90) * (0.5 if a later run did not pass) * (0.5 if on a copy)
 *   never passed: 25 * 2^(-days since the last run / 90); never run: 0
 */
export interface PastRun {
  readonly endedWallMs: number
  readonly outcome: string
  /** On a copy: shows the procedure, not the systems themselves. */
  readonly practice: boolean
}

const DAY_MS = 86_400_000
export const HALF_LIFE_DAYS = 90
const NEVER_PASSED = 25

/** Runs that did nothing (refused) or were stopped (aborted) prove nothing either way, except that they were tried. */
const TELLING: ReadonlySet<string> = new Set(['passed', 'failed', 'unproved'])

/** 0 to 100. Runs of the future (a clock that was wrong) count as of now. */
export function scoreOf(runs: readonly PastRun[], nowWallMs: number): number {
  const telling = runs.filter((run) => TELLING.has(run.outcome)).sort((a, b) => a.endedWallMs - b.endedWallMs)
  const last = telling.at(-1)
  if (last === undefined) return 0
  if (!telling.some((run) => run.outcome === 'passed')) return NEVER_PASSED * fading(nowWallMs - last.endedWallMs)
  const since = last.outcome === 'passed' ? 1 : 0.5
  const worth = (run: PastRun): number => 100 * fading(nowWallMs - run.endedWallMs) * (run.practice ? 0.5 : 1)
  const best = Math.max(...telling.filter((run) => run.outcome === 'passed').map(worth))
  return best * since
}

function fading(ageMs: number): number {
  return 2 ** (-Math.max(0, ageMs) / (HALF_LIFE_DAYS * DAY_MS))
}
