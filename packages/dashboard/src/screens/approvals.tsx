/** What waits for an approver, and what became of the rest. Nobody approves what he asked for himself. */
import type { ApiApproval, ApiService, ApiSession } from '@holdfast/client'
import { useState } from 'react'
import { useLive, useWallMs } from '../live/use-live.tsx'
import { Dialog } from '../parts/dialog.tsx'
import { IntentProgress } from '../parts/intent-progress.tsx'
import { Badge, Empty, Field, Section, Shape, TableBox, type Tone, TroubleBox } from '../parts/pieces.tsx'
import { PlanProgress } from '../parts/plan-progress.tsx'
import { useAnswer } from '../parts/use-answer.ts'
import { useAsking } from '../parts/use-asking.ts'
import { Link } from '../place.tsx'
import { planWords } from '../plan-words.ts'
import { mayOverAll } from '../rights.ts'
import { server } from '../server.ts'
import { durationText, momentText } from '../words.ts'

type Deciding = { readonly approval: ApiApproval; readonly how: 'approve' | 'reject' } | null

export function Approvals({ session }: { readonly session: ApiSession }) {
  const turn = useLive((state) => state.approvalsTurn)
  const { value, trouble, again } = useAnswer('approvals', { query: {} }, turn)
  const [deciding, setDeciding] = useState<Deciding>(null)
  const [done, setDone] = useState<ApiApproval | null>(null)
  const wallMs = useWallMs()
  const waiting = value?.filter(({ state }) => state === 'waiting') ?? []
  const decided = value?.filter(({ state }) => state !== 'waiting') ?? []
  const decide = (next: Deciding): void => setDeciding(next)
  return (
    <>
      <h1>Approvals</h1>
      {trouble !== null && <TroubleBox trouble={trouble} />}
      {done !== null && done.intent !== null && done.plan !== null && <PlanBegun approval={done} />}
      {done !== null && done.intent !== null && done.group !== null && (
        <IntentProgress key={done.id} group={done.group} asked={{ intent: done.intent, approval: done }} />
      )}
      {done?.state === 'failed' && (
        <TroubleBox
          trouble={{ message: 'It was approved and could not be carried out.', next: done.because, code: '' }}
        />
      )}
      <Section title="Waiting">
        {value !== null && waiting.length === 0 && <Empty>Nothing waits.</Empty>}
        <ul className="approvals">
          {waiting.map((one) => (
            <Waiting key={one.id} approval={one} session={session} wallMs={wallMs} onDecide={decide} />
          ))}
        </ul>
      </Section>
      <Section title="Decided">
        {value !== null && decided.length === 0 ? <Empty>None yet.</Empty> : <Decided approvals={decided} />}
      </Section>
      {deciding !== null && (
        <Decide
          {...deciding}
          onClose={(decided) => {
            setDeciding(null)
            if (decided !== null) setDone(decided)
            again()
          }}
        />
      )}
    </>
  )
}

function titleOf({ action, group, to, plan, allowDataLoss }: ApiApproval): string {
  const where = to === null ? '' : ` to ${to}`
  if (plan !== null) return `${planWords(plan)}${allowDataLoss ? ', losing data if need be' : ''}`
  return `${action} of ${group}${where}${allowDataLoss ? ', losing data if need be' : ''}`
}

/** A group that is in no service is moved as one of its own. */
function groupsOfPlanned(name: string, services: readonly ApiService[]): readonly string[] {
  if (name.startsWith('group:')) return [name.slice('group:'.length)]
  return services.find((one) => one.service === name)?.groups ?? []
}

function PlanBegun({ approval }: { readonly approval: ApiApproval }) {
  const plan = useLive((state) => state.platform?.plans.find(({ id }) => id === approval.intent) ?? null)
  if (plan === null) return <p className="progress">It has begun.</p>
  return <PlanProgress plan={plan} />
}

interface WaitingProps {
  readonly approval: ApiApproval
  readonly session: ApiSession
  readonly wallMs: number
  readonly onDecide: (deciding: Deciding) => void
}

function Waiting({ approval, session, wallMs, onDecide }: WaitingProps) {
  const own = approval.askedBy === session.user || approval.askedBy === `user ${session.user}`
  const services = useLive((state) => state.platform?.services)
  const { plan, group } = approval
  const groups = plan === null ? [group ?? ''] : groupsOfPlanned(plan.service, services ?? [])
  const able = mayOverAll(session, 'approve', groups, services)
  return (
    <li className={approval.allowDataLoss ? 'approval risky' : 'approval'} data-approval={approval.id}>
      <div>
        <strong>{titleOf(approval)}</strong>
        <p className="dim">
          Asked by {approval.askedBy} at {momentText(approval.askedMs)}; ends by itself in{' '}
          {durationText(approval.expiresMs - wallMs)}.{' '}
          {plan === null || plan.service.startsWith('group:') ? (
            <Link to={`/groups/${groups[0]}`}>Look at the group</Link>
          ) : (
            <Link to={`/services/${plan.service}`}>Look at the service</Link>
          )}
        </p>
        {plan !== null && (
          <>
            <p>{plan.steps.join(', then ')}</p>
            {plan.losses.map((loss) => (
              <p key={loss} className="loss-line">
                <Shape tone="bad" /> May lose acknowledged writes: {loss}
              </p>
            ))}
          </>
        )}
        {own && <p className="dim">You asked for it, so somebody else has to approve it.</p>}
      </div>
      <div className="buttons">
        {able && !own && (
          <button type="button" className="primary" onClick={() => onDecide({ approval, how: 'approve' })}>
            Approve…
          </button>
        )}
        {(able || own) && (
          <button type="button" onClick={() => onDecide({ approval, how: 'reject' })}>
            {own ? 'Withdraw…' : 'Reject…'}
          </button>
        )}
      </div>
    </li>
  )
}

const TONES: Readonly<Record<ApiApproval['state'], Tone>> = {
  waiting: 'risk',
  approved: 'good',
  rejected: 'calm',
  expired: 'calm',
  failed: 'bad',
}

function Decided({ approvals }: { readonly approvals: readonly ApiApproval[] }) {
  if (approvals.length === 0) return null
  return (
    <TableBox label="Decided">
      <thead>
        <tr>
          <th scope="col">What</th>
          <th scope="col">State</th>
          <th scope="col">Asked by</th>
          <th scope="col">Decided by</th>
          <th scope="col">Words</th>
        </tr>
      </thead>
      <tbody>
        {approvals.map((one) => (
          <tr key={one.id}>
            <th scope="row">{titleOf(one)}</th>
            <td>
              <Badge tone={TONES[one.state]}>{one.state}</Badge>
            </td>
            <td>{one.askedBy}</td>
            <td>{one.decidedBy === null ? '' : `${one.decidedBy}, ${momentText(one.decidedMs ?? 0)}`}</td>
            <td>{one.because}</td>
          </tr>
        ))}
      </tbody>
    </TableBox>
  )
}

interface DecideProps {
  readonly approval: ApiApproval
  readonly how: 'approve' | 'reject'
  /** With what became of it; null: nothing was decided. */
  readonly onClose: (decided: ApiApproval | null) => void
}

function Decide({ approval, how, onClose }: DecideProps) {
  const [because, setBecause] = useState('')
  const asking = useAsking()
  const run = async (): Promise<void> => {
    const body = because.trim() === '' ? {} : { because: because.trim() }
    const answer = await asking.run(() => server.ask(how, { params: { id: approval.id }, body }))
    if (answer !== null) onClose(answer)
  }
  return (
    <Dialog
      title={`${how === 'approve' ? 'Approve' : 'Reject'}: ${titleOf(approval)}`}
      does={how === 'approve' ? 'Approve' : 'Reject'}
      dangerous={how === 'approve' && approval.allowDataLoss}
      busy={asking.busy}
      trouble={asking.trouble}
      onDo={() => void run()}
      onClose={() => onClose(null)}
    >
      <p>{how === 'approve' ? 'It is carried out at once.' : 'It is not carried out; it can be asked for again.'}</p>
      <Field label="Words" hint="kept in the audit log; may be empty">
        <input name="because" maxLength={200} value={because} onChange={(event) => setBecause(event.target.value)} />
      </Field>
    </Dialog>
  )
}
