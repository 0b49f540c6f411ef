/** A plan as it is carried out: each step with what was predicted, what was measured, and why. */
import type { ApiPlan, ApiPlanStep } from '@holdfast/client'
import { isOver, PHASE_WORDS, planWords, stepWords, timeWords, waitWords } from '../plan-words.ts'
import { durationText, momentText } from '../words.ts'
import { Badge, TableBox, type Tone } from './pieces.tsx'

const PHASE_TONES: Readonly<Record<ApiPlan['phase'], Tone>> = {
  running: 'calm',
  undoing: 'risk',
  stopping: 'risk',
  done: 'good',
  undone: 'risk',
  stopped: 'bad',
}

export function PlanBadge({ plan }: { readonly plan: ApiPlan }) {
  return (
    <Badge tone={plan.stalled ? 'bad' : PHASE_TONES[plan.phase]}>
      {plan.stalled ? 'Nobody runs it' : PHASE_WORDS[plan.phase]}
    </Badge>
  )
}

export function PlanProgress({ plan }: { readonly plan: ApiPlan }) {
  const times = timeWords(plan)
  return (
    <section className="plan" data-plan={plan.id} data-phase={plan.phase} aria-label={planWords(plan)}>
      <div className="section-head" role="status">
        <h3>{planWords(plan)}</h3>
        <PlanBadge plan={plan} />
        <span className="dim">
          asked by {plan.by}
          {plan.begunMs === null ? '' : `, ${momentText(plan.begunMs)}`}
          {times === '' ? '' : `; took ${times}`}
        </span>
      </div>
      {plan.because !== '' && <p>{plan.because}</p>}
      {plan.cancel !== null && !isOver(plan) && <p>{plan.cancel.by} asked to take it back.</p>}
      <StepTable steps={plan.steps} to={plan.to} measured />
    </section>
  )
}

const STEP_TONES: Readonly<Record<ApiPlanStep['state'], Tone>> = {
  waiting: 'calm',
  running: 'calm',
  done: 'good',
  failed: 'bad',
  undoing: 'risk',
  undone: 'risk',
  stuck: 'bad',
}

interface StepTableProps {
  readonly steps: readonly ApiPlanStep[]
  readonly to: string | null
  /** Carried out, or about to be; else only drawn. */
  readonly measured?: boolean
}

export function StepTable({ steps, to, measured = false }: StepTableProps) {
  return (
    <TableBox label="Steps" stacked>
      <thead>
        <tr>
          <th scope="col">Step</th>
          {measured && <th scope="col">State</th>}
          <th scope="col">Waits for</th>
          <th scope="col" className="number">
            Predicted
          </th>
          {measured && (
            <th scope="col" className="number">
              Measured
            </th>
          )}
          {measured && <th scope="col">Because</th>}
        </tr>
      </thead>
      <tbody>
        {steps.map((step) => (
          <tr key={step.id} data-step={step.id} data-state={step.state}>
            <th scope="row" className="step-name">
              {stepWords(step, to)}
              {step.mayLose && <span className="tag bad">may lose writes</span>}
            </th>
            {measured && (
              <td data-label="State">
                <Badge tone={STEP_TONES[step.state]}>
                  {step.state}
                  {step.attempt > 1 ? `, try ${step.attempt}` : ''}
                </Badge>
              </td>
            )}
            <td data-label="Waits for" className="dim">
              {waitWords(step, steps)}
            </td>
            <td className="number" data-label="Predicted">
              {durationText(step.predicted.ms)}
            </td>
            {measured && (
              <td className="number" data-label="Measured">
                {step.measuredMs === null ? '' : durationText(step.measuredMs)}
              </td>
            )}
            {measured && (
              <td data-label="Because" className="details">
                {step.because}
              </td>
            )}
          </tr>
        ))}
      </tbody>
    </TableBox>
  )
}
