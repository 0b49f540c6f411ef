/** A plan as people read it: its steps, what waits for what, predictions and where they come from, what may be lost. */
import { bytesText, durationText } from '../config/quantities.ts'
import { wrapped } from '../config/report.ts'
import type { Draft } from '../core/site-plan/draft.ts'
import type { PlanRecord, PlanStep, Prediction } from '../core/site-plan/plan.ts'
import { totalMs } from '../core/site-plan/predict.ts'
import type { Paint } from './paint.ts'
import { tableLines } from './table.ts'

const COLUMNS = [
  { title: 'STEP' },
  { title: 'WHAT', widthMax: 44 },
  { title: 'WAITS FOR', widthMax: 40 },
  { title: 'PREDICTED', align: 'right' },
  { title: 'FROM' },
] as const

export function draftLines({ plan, losses, refusals, notes = [] }: Draft, paint: Paint): readonly string[] {
  if (plan.steps.length === 0 && refusals.length === 0)
    return [`${plan.scope} is there already; nothing is to be done.`]
  const rows = plan.steps.map((step) => [
    step.id,
    whatOf(plan, step),
    step.after.join(', '),
    durationText(step.predicted.ms),
    fromText(step.predicted),
  ])
  const way = [plan.from === null ? '' : ` from ${plan.from}`, plan.to === null ? '' : ` to ${plan.to}`].join('')
  const title = `${plan.kind} of ${plan.scope}${way}`
  const total = `in all about ${durationText(totalMs(plan.steps))} along the longest way`
  const lost = losses.map(({ group, bytes, because }) => {
    const much = bytes === null ? 'an unknown number of acknowledged writes' : `at most ${bytesText(bytes)}`
    return `${group} may lose ${much}: ${because}`
  })
  return [
    paint.bold(title),
    ...tableLines(COLUMNS, rows),
    total,
    '',
    ...(lost.length === 0
      ? ['Nothing acknowledged can be lost.']
      : lost.flatMap((line) => wrapped(paint.warn(line), ''))),
    ...notes.flatMap((line) => wrapped(paint.warn(line), '')),
    ...refusals.flatMap((line) => wrapped(paint.bad(`refused: ${line}`), '')),
  ]
}

function fromText({ from, runs }: Prediction): string {
  if (from === 'past-runs') return `${runs} past run${runs === 1 ? '' : 's'}`
  return from === 'formula' ? "the group's timing" : 'its deadline'
}

export function whatOf(plan: Pick<PlanRecord, 'to'>, step: PlanStep): string {
  switch (step.kind) {
    case 'hook':
      return `hook ${step.hook}`
    case 'hold':
      return `hold the failover of ${step.group}`
    case 'release':
      return `let ${step.group} fail over by itself again`
    case 'move':
      return `${step.group}: ${step.from ?? 'nobody'} -> ${step.member ?? 'nobody'}`
    case 'restart':
      return `${step.group}: the engine of ${step.member} anew`
    case 'follow':
      return `${step.group}: a primary at ${plan.to}, ${step.member ?? 'any'}`
  }
}

/** One line per step that changed since the last look. */
export class Progress {
  readonly #seen = new Map<string, string>()
  #phase = ''

  news(plan: PlanRecord): readonly string[] {
    const lines: string[] = []
    for (const step of plan.steps) {
      const now = `${step.state} ${step.attempt} ${step.undoAttempt} ${step.because}`
      if (this.#seen.get(step.id) === now) continue
      this.#seen.set(step.id, now)
      if (step.state !== 'waiting' || step.because !== '') lines.push(stepText(step))
    }
    if (plan.phase !== this.#phase) {
      const ended = plan.kind === 'restart' && plan.phase === 'undone' ? 'cancelled; what runs anew stays so' : null
      if (plan.phase !== 'running')
        lines.push(`${ended ?? PHASES[plan.phase]}${plan.because === '' ? '' : `: ${plan.because}`}`)
      this.#phase = plan.phase
    }
    return lines
  }
}

const PHASES: Readonly<Record<PlanRecord['phase'], string>> = {
  running: 'begun',
  undoing: 'taking everything back',
  stopping: 'stopping',
  done: 'done',
  undone: 'taken back; all is as it was before',
  stopped: 'stopped; a person must look',
}

function stepText(step: PlanStep): string {
  const again = step.attempt > 1 ? `, attempt ${step.attempt}` : ''
  const why = step.because === '' ? '' : `: ${step.because}`
  const took = step.measuredMs === null || step.state !== 'done' ? '' : ` in ${durationText(step.measuredMs)}`
  return `${step.id} ${step.state}${took}${again}${why}`
}

/** What a run leaves for machines. */
export function stepsJson(plan: PlanRecord): readonly object[] {
  return plan.steps.map((step) => ({
    name: step.id,
    state: step.state,
    predictedMs: step.predicted.ms,
    predictedFrom: step.predicted.from,
    measuredMs: step.measuredMs,
    because: step.because,
  }))
}
