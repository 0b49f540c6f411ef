/** What a step takes: the median of past runs of the same step, else from the group's timing. Never a guess unnamed. */
import type { Timing } from '../settings.ts'
import type { PlanStep, Prediction, StepKind } from './plan.ts'

/** From the decision to the first write: a promotion and one write to the store. Measured: 35-80 ms and 5-20 ms. */
export const PROMOTE_MS = 300

/** Last beat to first write when the holder vanishes: its lease, the comparison of positions, the promotion. */
export function failoverWorstMs({ ttlMs, marginMs, requestMs }: Timing): number {
  return ttlMs + marginMs + 2 * requestMs + PROMOTE_MS
}

/** Measured times of past runs, newest last, by `kind group` or `hook name`. Key `timings/<scope>`. */
export type PastRuns = Readonly<Record<string, readonly number[]>>

/** More say nothing new, and the record stays small. */
export const RUNS_KEPT = 20

export function timingKey(step: Pick<PlanStep, 'kind' | 'group' | 'hook'>): string {
  return step.kind === 'hook' ? `hook ${step.hook ?? ''}` : `${step.kind} ${step.group ?? ''}`
}

export function predictionOf(
  step: Pick<PlanStep, 'kind' | 'group' | 'hook' | 'deadlineMs'>,
  timing: Timing | null,
  past: PastRuns,
): Prediction {
  const runs = past[timingKey(step)] ?? []
  if (runs.length > 0) return { ms: Math.round(median(runs)), from: 'past-runs', runs: runs.length }
  // How long an engine takes to end and to catch up is in no timing.
  if (timing === null || step.kind === 'restart') return { ms: step.deadlineMs, from: 'deadline', runs: 0 }
  return { ms: formulaMs(step.kind, timing), from: 'formula', runs: 0 }
}

function formulaMs(kind: StepKind, timing: Timing): number {
  if (kind === 'follow') return failoverWorstMs(timing)
  // A pause is one write of the group's record.
  if (kind === 'hold' || kind === 'release') return timing.requestMs
  return PROMOTE_MS + 2 * timing.requestMs
}

/** Adds what a plan measured. */
export function remembered(past: PastRuns, steps: readonly PlanStep[]): PastRuns {
  const next: Record<string, readonly number[]> = { ...past }
  for (const step of steps) {
    if (step.state !== 'done' || step.measuredMs === null) continue
    const key = timingKey(step)
    next[key] = [...(next[key] ?? []), step.measuredMs].slice(-RUNS_KEPT)
  }
  return next
}

/** Time along the longest way through the graph. */
export function totalMs(steps: readonly PlanStep[]): number {
  const ends = new Map<string, number>()
  const endOf = (step: PlanStep): number => {
    const known = ends.get(step.id)
    if (known !== undefined) return known
    const before = steps.filter((one) => step.after.includes(one.id)).map(endOf)
    const end = Math.max(0, ...before) + step.predicted.ms
    ends.set(step.id, end)
    return end
  }
  return Math.max(0, ...steps.map(endOf))
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] ?? 0
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2
}
