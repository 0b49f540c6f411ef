/** Makes another member primary when the primary is gone. With possible loss only after the group's name was typed. */
import type { ApiAsked, ApiGroup, ApiSession } from '@holdfast/client'
import { useState } from 'react'
import { mayOver } from '../rights.ts'
import { server } from '../server.ts'
import { bytesText } from '../words.ts'
import { Dialog } from './dialog.tsx'
import { Field, Shape } from './pieces.tsx'
import { useAsking } from './use-asking.ts'

interface FailoverDialogProps {
  readonly group: ApiGroup
  readonly session: ApiSession
  readonly onBegun: (asked: ApiAsked) => void
  readonly onClose: () => void
}

export function FailoverDialog({ group, session, onBegun, onClose }: FailoverDialogProps) {
  const [to, setTo] = useState('')
  const [allowDataLoss, setAllowDataLoss] = useState(false)
  const [typed, setTyped] = useState('')
  // What stood here when it was opened is what is decided on.
  const [seenEpoch] = useState(group.epoch)
  const asking = useAsking()
  const run = async (): Promise<void> => {
    const body = { ...(to === '' ? {} : { to }), ...(allowDataLoss ? { allowDataLoss } : {}), ifEpoch: seenEpoch }
    const asked = await asking.run(() => server.ask('failover', { params: { group: group.group }, body }))
    if (asked !== null) onBegun(asked)
  }
  const alone = mayOver(session, 'approve', group.group)
  return (
    <Dialog
      title={`Fail ${group.group} over`}
      does={allowDataLoss && !alone ? 'Ask for approval' : 'Fail over'}
      dangerous
      ready={!allowDataLoss || typed === group.group}
      busy={asking.busy}
      trouble={asking.trouble}
      onDo={() => void run()}
      onClose={onClose}
    >
      <p>For a primary that is gone. While it answers, switch over instead: that waits until nothing can be lost.</p>
      <Field label="To">
        <select name="to" value={to} onChange={(event) => setTo(event.target.value)}>
          <option value="">the best candidate</option>
          {group.members
            .filter(({ member }) => member !== group.writer)
            .map((member) => (
              <option key={member.member} value={member.member}>
                {member.member} in {member.site}, {member.state}
                {member.lagBytes === null ? '' : `, ${bytesText(member.lagBytes)} behind`}
              </option>
            ))}
        </select>
      </Field>
      <label className="check">
        <input type="checkbox" checked={allowDataLoss} onChange={(event) => setAllowDataLoss(event.target.checked)} />
        Go on even if acknowledged writes are lost
      </label>
      {allowDataLoss && (
        <div className="warning">
          <Shape tone="bad" />
          <div>
            <strong>What clients were told is written may be gone for good.</strong>
            <p>
              {group.loss.kind === 'unknown'
                ? `How much is not known: ${group.loss.because}.`
                : `By the counters: ${group.loss.because}.`}
              {!alone && ' It waits for an approver.'}
            </p>
            <Field label={`Type ${group.group} to go on`}>
              <input name="typed" autoComplete="off" value={typed} onChange={(e) => setTyped(e.target.value)} />
            </Field>
          </div>
        </div>
      )}
    </Dialog>
  )
}
