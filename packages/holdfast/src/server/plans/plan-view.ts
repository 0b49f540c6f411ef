/** Plans and drafts of them in the words of the API. Pure but for the digest. */
import { createHash } from 'node:crypto'
import type { ApiPlan, ApiPlanDraft, ApiPlanStep } from '@holdfast/client'
import { type Draft, gistOf, isLossy } from '../../core/site-plan/draft.ts'
import type { PlanRecord, PlanStep } from '../../core/site-plan/plan.ts'
import { totalMs } from '../../core/site-plan/predict.ts'

/** A plan of the store as one server sees it. */
export interface PlanSight {
  readonly record: PlanRecord
  /** It is not over and its record stands still. */
  readonly stalled: boolean
  readonly begunMs: number | null
  readonly endedMs: number | null
}

export function planOf({ record, stalled, begunMs, endedMs }: PlanSight): ApiPlan {
  const { id, scope, kind, from, to, by, origin, lossAccepted, epoch, phase, because, cancel, steps } = record
  return {
    ...{ id, service: scope, kind, from, to, by, origin, lossAccepted, epoch, phase, because, cancel },
    ...{ stalled, begunMs, endedMs },
    predictedMs: totalMs(steps),
    steps: steps.map(stepOf),
  }
}

function stepOf(step: PlanStep): ApiPlanStep {
  const { id, kind, group, member, from, hook, after, deadlineMs, predicted, mayLose, wayBack } = step
  const { state, attempt, because, measuredMs } = step
  return {
    ...{ id, kind, group, member, from, hook, after: [...after], deadlineMs, predicted, mayLose, wayBack },
    ...{ state, attempt, because, measuredMs },
  }
}

export function draftOf(draft: Draft): ApiPlanDraft {
  const { plan, losses, refusals } = draft
  return {
    ...{ service: plan.scope, kind: plan.kind, from: plan.from, to: plan.to },
    steps: plan.steps.map(stepOf),
    predictedMs: totalMs(plan.steps),
    losses: [...losses],
    refusals: [...refusals],
    lossy: isLossy(draft),
    digest: digestOf(draft),
  }
}

export function digestOf(draft: Draft): string {
  return createHash('sha256').update(gistOf(draft)).digest('hex')
}

/** `switchover of shop from north to south` */
export function planWords({ kind, service, from, to }: Pick<ApiPlan, 'kind' | 'service' | 'from' | 'to'>): string {
  return `${kind} of ${service}${from === null ? '' : ` from ${from}`}${to === null ? '' : ` to ${to}`}`
}
