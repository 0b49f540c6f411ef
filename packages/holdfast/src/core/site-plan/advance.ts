/**
 * What a plan does next, from the plan alone: which steps begin, which are taken back, when it is over. The runner's
 * part (writes, takeovers, deadlines) is in `runner.ts`.
 */
import { isOver, type PlanRecord, type PlanStep, stepById, withStep } from './plan.ts'

export interface Outcome {
  readonly ok: boolean
  readonly because: string
  /** Another attempt may help. */
  readonly retry: boolean
  readonly measuredMs: number
}

/** A plan is one record of the store, at most 64 KiB with all its steps. */
const WORDS_MAX = 300
const DONE_WORDS_MAX = 60

/** The end of one attempt. A result of a step that no longer waits for one changes nothing. */
export function absorb(plan: PlanRecord, id: string, outcome: Outcome): PlanRecord {
  const step = stepById(plan, id)
  if (step === null || isOver(plan)) return plan
  const told = { ...outcome, because: outcome.because.slice(0, WORDS_MAX) }
  if (step.state === 'running') return forward(plan, step, told)
  if (step.state === 'undoing') return backward(plan, step, told)
  return plan
}

function forward(plan: PlanRecord, step: PlanStep, { ok, because, retry, measuredMs }: Outcome): PlanRecord {
  if (ok) {
    const short = because.slice(0, DONE_WORDS_MAX)
    return withStep(plan, step.id, { state: 'done', because: short, measuredMs: Math.round(measuredMs) })
  }
  if (retry && step.attempt < step.attemptsMax && plan.phase === 'running')
    return withStep(plan, step.id, { state: 'waiting', because })
  const failed = withStep(plan, step.id, { state: 'failed', because })
  if (plan.phase !== 'running' || step.onFailure === 'go-on') return failed
  return turned(failed, step.onFailure === 'undo' ? 'undoing' : 'stopping', `${step.id}: ${because}`)
}

function backward(plan: PlanRecord, step: PlanStep, { ok, because, retry }: Outcome): PlanRecord {
  if (ok) return withStep(plan, step.id, { state: 'undone', because })
  if (retry && step.undoAttempt < step.attemptsMax)
    return withStep(plan, step.id, { undoAttempt: step.undoAttempt + 1, because })
  return turned(withStep(plan, step.id, { state: 'stuck', because }), 'stopping', `${step.id} not undone: ${because}`)
}

function turned(plan: PlanRecord, phase: 'undoing' | 'stopping', because: string): PlanRecord {
  return { ...plan, phase, because: plan.because === '' ? because : `${plan.because}; ${because}` }
}

/** Begins what is ready, or ends the plan. Same plan when there is nothing to do. */
export function advance(plan: PlanRecord): PlanRecord {
  if (isOver(plan)) return plan
  if (plan.cancel !== null && plan.phase === 'running')
    return advance(turned(plan, 'undoing', `cancelled by ${plan.cancel.by}`))
  if (plan.phase === 'running') return advanceForward(plan)
  // What is under way comes to its end, or to its deadline, first: nothing is done and undone at the same time.
  if (plan.steps.some((step) => step.state === 'running')) return plan
  return plan.phase === 'undoing' ? advanceBack(plan) : advanceStopping(plan)
}

function advanceForward(plan: PlanRecord): PlanRecord {
  const over = (id: string): boolean => {
    const step = stepById(plan, id)
    return step?.state === 'done' || (step?.state === 'failed' && step.onFailure === 'go-on')
  }
  if (plan.steps.every((step) => over(step.id))) return { ...plan, phase: 'done' }
  const unapproved = plan.steps.find((step) => step.mayLose && !plan.lossAccepted)
  if (unapproved !== undefined)
    return turned(plan, 'stopping', `${unapproved.id} may lose data, and nobody accepted that`)
  const ready = plan.steps.filter((step) => step.state === 'waiting' && step.after.every(over))
  if (ready.length === 0) return plan
  const begun = new Set(ready.map((step) => step.id))
  const steps = plan.steps.map(
    (step): PlanStep => (begun.has(step.id) ? { ...step, state: 'running', attempt: step.attempt + 1 } : step),
  )
  return { ...plan, steps }
}

/** A step leaves nothing behind: never begun, taken back, or there is nothing to take back. */
function settled(step: PlanStep): boolean {
  return step.attempt === 0 || step.state === 'undone' || (step.wayBack === 'nothing' && step.state !== 'undoing')
}

function advanceBack(plan: PlanRecord): PlanRecord {
  const final = plan.steps.find((step) => step.wayBack === 'none' && step.attempt > 0)
  if (final !== undefined) return advance(turned(plan, 'stopping', `${final.id} has no way back`))
  if (plan.steps.every(settled)) return { ...plan, phase: 'undone' }
  return undoing(plan, (step) => plan.steps.every((later) => !later.after.includes(step.id) || settled(later)))
}

/** Only holds are taken back: a group must not stay without its own failover because a plan ended badly. */
function advanceStopping(plan: PlanRecord): PlanRecord {
  if (plan.steps.some((step) => step.state === 'undoing' && step.kind !== 'hold')) return plan
  const holds = plan.steps.filter((step) => step.kind === 'hold')
  if (holds.every((step) => settled(step) || step.state === 'stuck')) return { ...plan, phase: 'stopped' }
  return undoing(plan, (step) => step.kind === 'hold')
}

function undoing(plan: PlanRecord, may: (step: PlanStep) => boolean): PlanRecord {
  let changed = false
  const steps = plan.steps.map((step): PlanStep => {
    const begin = step.wayBack === 'undo' && step.attempt > 0 && (step.state === 'done' || step.state === 'failed')
    const waits = step.wayBack === 'undo' && step.attempt > 0 && step.state === 'waiting'
    if (!(begin || waits) || !may(step)) return step
    changed = true
    return { ...step, state: 'undoing', undoAttempt: 1 }
  })
  return changed ? { ...plan, steps } : plan
}
