/** A planned change of primary: to whom, tried dry first if wanted, or left to an approver. */
import type { ApiAsked, ApiGroup } from '@holdfast/client'
import { useState } from 'react'
import { server } from '../server.ts'
import { bytesText } from '../words.ts'
import { Dialog } from './dialog.tsx'
import { Field, TroubleBox } from './pieces.tsx'
import { useAsking } from './use-asking.ts'

interface SwitchoverDialogProps {
  readonly group: ApiGroup
  readonly onBegun: (asked: ApiAsked) => void
  readonly onClose: () => void
}

export function SwitchoverDialog({ group, onBegun, onClose }: SwitchoverDialogProps) {
  const [to, setTo] = useState('')
  const [askApproval, setAskApproval] = useState(false)
  const [fits, setFits] = useState(false)
  const asking = useAsking()
  const trying = useAsking()
  const others = group.members.filter(({ member }) => member !== group.holder)
  const body = to === '' ? {} : { to }
  const params = { group: group.group }
  const run = async (): Promise<void> => {
    const more = askApproval ? { askApproval } : {}
    const asked = await asking.run(() => server.ask('switchover', { params, body: { ...body, ...more } }))
    if (asked !== null) onBegun(asked)
  }
  const dryRun = async (): Promise<void> => {
    setFits(false)
    const answer = await trying.run(() => server.ask('switchover', { params, body: { ...body, dryRun: true } }))
    setFits(answer !== null)
  }
  return (
    <Dialog
      title={`Switch ${group.group} over`}
      does={askApproval ? 'Ask for approval' : 'Switch over'}
      busy={asking.busy}
      trouble={asking.trouble}
      onDo={() => void run()}
      onClose={onClose}
    >
      <p>
        {group.holder} hands its lease over when the other has everything. Nothing acknowledged is lost; writes wait for
        a moment.
      </p>
      <Field label="To">
        <select name="to" value={to} onChange={(event) => setTo(event.target.value)}>
          <option value="">the best candidate</option>
          {others.map((member) => (
            <option key={member.member} value={member.member}>
              {member.member} in {member.site}, {member.state}
              {member.lagBytes === null ? '' : `, ${bytesText(member.lagBytes)} behind`}
            </option>
          ))}
        </select>
      </Field>
      <label className="check">
        <input type="checkbox" checked={askApproval} onChange={(event) => setAskApproval(event.target.checked)} />
        Wait until an approver agrees
      </label>
      <div className="buttons start">
        <button type="button" disabled={trying.busy} onClick={() => void dryRun()}>
          {trying.busy ? 'Trying…' : 'Dry run'}
        </button>
        {fits && <span role="status">It would be carried out.</span>}
      </div>
      {trying.trouble !== null && <TroubleBox trouble={trying.trouble} />}
    </Dialog>
  )
}
