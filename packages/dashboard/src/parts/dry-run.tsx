/** A move that was only drawn: its steps with predicted times, what could be lost, who would refuse, and the lever. */
import type { ApiPlanAsked, ApiPlanDraft } from '@holdfast/client'
import { useState } from 'react'
import { lossWords, planWords, sourceWords } from '../plan-words.ts'
import { server } from '../server.ts'
import { durationText } from '../words.ts'
import { Dialog } from './dialog.tsx'
import { Field, Shape, TroubleBox } from './pieces.tsx'
import { StepTable } from './plan-progress.tsx'
import { useAnswer } from './use-answer.ts'
import { useAsking } from './use-asking.ts'

/** Where to: a site, or away from a member. */
export type Way = { readonly to: string } | { readonly member: string }

interface DryRunProps {
  readonly service: string
  readonly way: Way
  /** Something changed, so the plan may be another. */
  readonly turn: string
  readonly mayBegin: boolean
  readonly onBegun: (asked: ApiPlanAsked) => void
}

export function DryRun({ service, way, turn, mayBegin, onBegun }: DryRunProps) {
  const { value: draft, trouble } = useAnswer('draftPlan', { params: { service }, query: way }, turn)
  const [open, setOpen] = useState(false)
  if (trouble !== null) return <TroubleBox trouble={trouble} />
  if (draft === null) return <p className="dim">Asking every group…</p>
  const title = planWords({ ...draft, ...way })
  if (draft.steps.length === 0 && draft.refusals.length === 0) {
    return <p role="status">{'to' in way ? `It is at ${way.to} already.` : `${way.member} leads nothing.`}</p>
  }
  const begins = draft.refusals.length === 0
  return (
    <div className="plan" data-dry-run={begins ? 'fits' : 'refused'}>
      <p className="lead">
        <strong>{title}</strong>: about {durationText(draft.predictedMs)} in all, along the longest way.
      </p>
      {draft.steps.length > 0 && <StepTable steps={draft.steps} to={draft.to} />}
      <Sources draft={draft} />
      <Losses draft={draft} />
      {draft.refusals.map((refusal) => (
        <p key={refusal} className="loss-line">
          <Shape tone="bad" />
          <span>Refused by {refusal}</span>
        </p>
      ))}
      {mayBegin && begins && (
        <div className="buttons start">
          <button type="button" className={draft.lossy ? 'danger' : 'primary'} onClick={() => setOpen(true)}>
            {title}…
          </button>
        </div>
      )}
      {open && (
        <BeginDialog
          {...{ service, way, draft, title }}
          onBegun={(asked) => {
            setOpen(false)
            onBegun(asked)
          }}
          onClose={() => setOpen(false)}
        />
      )}
    </div>
  )
}

function Sources({ draft }: { readonly draft: ApiPlanDraft }) {
  const known = new Set(draft.steps.map(({ predicted }) => sourceWords(predicted)))
  return <p className="dim">Predictions: {[...known].join('; ')}.</p>
}

function Losses({ draft }: { readonly draft: ApiPlanDraft }) {
  if (draft.losses.length === 0) {
    return (
      <p className="loss-line">
        <Shape tone="good" />
        <span>Nothing acknowledged can be lost.</span>
      </p>
    )
  }
  return draft.losses.map((loss) => (
    <p key={loss.group} className="loss-line">
      <Shape tone="bad" />
      <span>May lose acknowledged writes of {lossWords(loss)}</span>
    </p>
  ))
}

interface BeginProps {
  readonly service: string
  readonly way: Way
  readonly draft: ApiPlanDraft
  readonly title: string
  readonly onBegun: (asked: ApiPlanAsked) => void
  readonly onClose: () => void
}

function BeginDialog({ service, way, draft, title, onBegun, onClose }: BeginProps) {
  const [askApproval, setAskApproval] = useState(false)
  const [typed, setTyped] = useState('')
  const asking = useAsking()
  const { lossy, digest } = draft
  const name = service.replace(/^group:/, '')
  const run = async (): Promise<void> => {
    const more = { digest, ...(lossy ? { allowDataLoss: true } : {}), ...(askApproval ? { askApproval } : {}) }
    const asked = await asking.run(() => server.ask('beginPlan', { params: { service }, body: { ...way, ...more } }))
    if (asked !== null) onBegun(asked)
  }
  return (
    <Dialog
      title={title}
      does={lossy || askApproval ? 'Ask for approval' : 'Begin'}
      dangerous={lossy}
      ready={!lossy || typed === name}
      busy={asking.busy}
      trouble={asking.trouble}
      onDo={() => void run()}
      onClose={onClose}
    >
      <p>
        {draft.steps.length} steps, about {durationText(draft.predictedMs)}. It begins only if it is still the plan you
        see; it can be taken back while it runs{lossy ? ', but what is lost stays lost' : ''}.
      </p>
      {lossy ? (
        <div className="warning">
          <Shape tone="bad" />
          <div>
            <strong>What clients were told is written may be gone for good.</strong>
            <p>{draft.losses.map(lossWords).join('. ')}. It waits for another person, whoever you are.</p>
            <Field label={`Type ${name} to go on`}>
              <input name="typed" autoComplete="off" value={typed} onChange={(e) => setTyped(e.target.value)} />
            </Field>
          </div>
        </div>
      ) : (
        <label className="check">
          <input type="checkbox" checked={askApproval} onChange={(event) => setAskApproval(event.target.checked)} />
          Wait until an approver agrees
        </label>
      )}
    </Dialog>
  )
}
