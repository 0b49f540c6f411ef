/** Moves a service, or a group in none: where to, the plan as it would be, and the plan that is under way. */
import type { ApiApproval, ApiGroup, ApiPlan, ApiSession } from '@holdfast/client'
import { useState } from 'react'
import { useLive, useWallMs } from '../live/use-live.tsx'
import { Link } from '../place.tsx'
import { isOver, planWords } from '../plan-words.ts'
import { mayOverAll } from '../rights.ts'
import { server } from '../server.ts'
import { Dialog } from './dialog.tsx'
import { DryRun, type Way } from './dry-run.tsx'
import { Field, TroubleBox } from './pieces.tsx'
import { PlanProgress } from './plan-progress.tsx'
import { useAnswer } from './use-answer.ts'
import { useAsking } from './use-asking.ts'

/** A plan that is over stays in sight for so long; later it is among those of the past. */
const LATELY_MS = 10 * 60_000

interface MovePanelProps {
  /** As plans are kept by: a service, or `group:NAME`. */
  readonly service: string
  readonly groups: readonly ApiGroup[]
  readonly at: string | null
  readonly session: ApiSession
}

export function MovePanel({ service, groups, at, session }: MovePanelProps) {
  const plan = useLive((state) => state.platform?.plans.find((one) => one.service === service) ?? null)
  const services = useLive((state) => state.platform?.services)
  const [approval, setApproval] = useState<ApiApproval | null>(null)
  const wallMs = useWallMs()
  const names = groups.map(({ group }) => group)
  const mayBegin = mayOverAll(session, 'operate', names, services)
  const busy = plan !== null && !isOver(plan)
  return (
    <>
      {plan !== null && (busy || wallMs - (plan.endedMs ?? 0) < LATELY_MS) && <PlanProgress plan={plan} />}
      {busy && mayBegin && <PlanLevers plan={plan} />}
      {approval !== null && <AskedApproval approval={approval} />}
      {!busy && (
        <Picker
          key={plan?.id ?? ''}
          {...{ service, groups, at, mayBegin }}
          onAsked={({ approval: asked }) => setApproval(asked)}
        />
      )}
      {!mayBegin && <p className="dim">To move it takes the role of an operator over every group of it.</p>}
    </>
  )
}

/** Until it is decided; what became of it then is shown by the plan, or told here. */
function AskedApproval({ approval }: { readonly approval: ApiApproval }) {
  const turn = useLive((state) => state.approvalsTurn)
  const { value } = useAnswer('approvals', { query: {} }, turn)
  const now = value?.find(({ id }) => id === approval.id) ?? approval
  const title = now.plan === null ? now.action : planWords(now.plan)
  if (now.state === 'approved') return null
  if (now.state === 'waiting') {
    return (
      <p className="progress" role="status">
        It waits for an approver: {title}. <Link to="/approvals">See what waits</Link>
      </p>
    )
  }
  return (
    <p className="progress refused" role="status">
      {title} is {now.state}
      {now.because === '' ? '.' : `: ${now.because}`}
    </p>
  )
}

interface PickerProps extends Omit<MovePanelProps, 'session'> {
  readonly mayBegin: boolean
  readonly onAsked: (asked: { readonly plan: ApiPlan | null; readonly approval: ApiApproval | null }) => void
}

function Picker({ service, groups, at, mayBegin, onAsked }: PickerProps) {
  const sites = useLive((state) => state.platform?.sites)
  const members = groups.flatMap((group) => group.members)
  const there = (sites ?? []).filter(({ site }) => site !== at && members.some((member) => member.site === site))
  const writers = groups.flatMap(({ writer }) => writer ?? [])
  const ways: readonly (readonly [string, Way])[] = [
    ...there.map(({ site }) => [`to ${site}`, { to: site }] as const),
    ...writers.map((member) => [`away from ${member}`, { member }] as const),
  ]
  const [chosen, setChosen] = useState('')
  const way = ways.find(([words]) => words === chosen)?.[1] ?? null
  // The plan is drawn again when who leads, or who could, is another.
  const turn = JSON.stringify(groups.map(({ epoch, eligible, paused }) => [epoch, eligible, paused?.by]))
  return (
    <div className="actions">
      <Field label="Where to" hint="shows the plan; nothing is changed by looking">
        <select className="way" name="way" value={chosen} onChange={(event) => setChosen(event.target.value)}>
          <option value="">choose…</option>
          {ways.map(([words]) => (
            <option key={words}>{words}</option>
          ))}
        </select>
      </Field>
      {way !== null && (
        <DryRun
          key={chosen}
          {...{ service, way, turn, mayBegin }}
          onBegun={(asked) => {
            setChosen('')
            onAsked(asked)
          }}
        />
      )}
    </div>
  )
}

function PlanLevers({ plan }: { readonly plan: ApiPlan }) {
  const [confirming, setConfirming] = useState(false)
  const cancelling = useAsking()
  const resuming = useAsking()
  const params = { service: plan.service, id: plan.id }
  const cancel = async (): Promise<void> => {
    const answer = await cancelling.run(() => server.ask('cancelPlan', { params, body: {} }))
    if (answer !== null) setConfirming(false)
  }
  return (
    <div className="actions">
      <div className="buttons start">
        {plan.cancel === null && plan.phase === 'running' && (
          <button type="button" className="danger" onClick={() => setConfirming(true)}>
            Take it back…
          </button>
        )}
        {plan.stalled && (
          <button
            type="button"
            className="primary"
            disabled={resuming.busy}
            onClick={() => void resuming.run(() => server.ask('resumePlan', { params, body: {} }))}
          >
            Go on with it
          </button>
        )}
      </div>
      {plan.stalled && (
        <p className="note">
          Whoever ran it is silent, and its groups are held meanwhile. Somebody else may run it some eight seconds after
          the last word.
        </p>
      )}
      {resuming.trouble !== null && <TroubleBox trouble={resuming.trouble} />}
      {confirming && (
        <Dialog
          title={`Take back: ${planWords(plan)}`}
          does="Take it back"
          dangerous
          busy={cancelling.busy}
          trouble={cancelling.trouble}
          onDo={() => void cancel()}
          onClose={() => setConfirming(false)}
        >
          <p>What is under way comes to its end, then every step that was done is undone, the last one first.</p>
        </Dialog>
      )}
    </div>
  )
}
