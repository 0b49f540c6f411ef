/** What became of the plans of one service, newest first. */
import type { ApiPlan } from '@holdfast/client'
import { useState } from 'react'
import { useLive } from '../live/use-live.tsx'
import { isOver, measuredMs, planWords } from '../plan-words.ts'
import { durationText, momentText } from '../words.ts'
import { Empty, TableBox, TroubleBox } from './pieces.tsx'
import { PlanBadge, PlanProgress } from './plan-progress.tsx'
import { useAnswer } from './use-answer.ts'

export function PlanHistory({ service }: { readonly service: string }) {
  const live = useLive((state) => state.platform?.plans.find((one) => one.service === service) ?? null)
  const { value, trouble } = useAnswer('plans', { params: { service }, query: {} }, `${live?.id} ${live?.phase}`)
  const [shown, setShown] = useState<string | null>(null)
  const past = value?.filter(isOver) ?? []
  const open = past.find(({ id }) => id === shown) ?? null
  if (trouble !== null) return <TroubleBox trouble={trouble} />
  if (value === null) return null
  if (past.length === 0) return <Empty>It was never moved.</Empty>
  return (
    <>
      <TableBox label="Plans" stacked>
        <thead>
          <tr>
            <th scope="col">What</th>
            <th scope="col">End</th>
            <th scope="col">Begun</th>
            <th scope="col">By</th>
            <th scope="col" className="number">
              Predicted
            </th>
            <th scope="col" className="number">
              Measured
            </th>
            <th scope="col">
              <span className="hidden">Steps</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {past.map((plan) => (
            <Row key={plan.id} plan={plan} open={plan.id === shown} onOpen={setShown} />
          ))}
        </tbody>
      </TableBox>
      {open !== null && (
        <div className="section">
          <PlanProgress plan={open} />
        </div>
      )}
    </>
  )
}

interface RowProps {
  readonly plan: ApiPlan
  readonly open: boolean
  readonly onOpen: (id: string | null) => void
}

function Row({ plan, open, onOpen }: RowProps) {
  const took = measuredMs(plan)
  return (
    <tr data-past-plan={plan.id}>
      <th scope="row" className="step-name">
        {planWords(plan)}
      </th>
      <td data-label="End">
        <PlanBadge plan={plan} />
      </td>
      <td data-label="Begun">{plan.begunMs === null ? 'before this server' : momentText(plan.begunMs)}</td>
      <td data-label="By">
        {plan.by}
        {plan.origin === 'automatic' ? ', by itself' : ''}
      </td>
      <td className="number" data-label="Predicted">
        {durationText(plan.predictedMs)}
      </td>
      <td className="number" data-label="Measured">
        {took === null ? '' : durationText(took)}
      </td>
      <td className="row-buttons">
        <button type="button" aria-expanded={open} onClick={() => onOpen(open ? null : plan.id)}>
          {open ? 'Hide steps' : 'Steps'}
        </button>
      </td>
    </tr>
  )
}
