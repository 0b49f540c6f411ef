/** Asks the program that leads a group for a planned switch, tried dry first if wanted, or left to an approver. */
import type { ApiAsked, ApiSupervisedGroup } from '@holdfast/client'
import { useState } from 'react'
import { server } from '../server.ts'
import { MANAGER_NAMES } from '../supervised.ts'
import { bytesText } from '../words.ts'
import { Dialog } from './dialog.tsx'
import { Field, TroubleBox } from './pieces.tsx'
import { useAsking } from './use-asking.ts'

interface ManagedDialogProps {
  readonly group: ApiSupervisedGroup
  readonly onBegun: (asked: ApiAsked) => void
  readonly onClose: () => void
}

export function ManagedDialog({ group, onBegun, onClose }: ManagedDialogProps) {
  const [to, setTo] = useState('')
  const [askApproval, setAskApproval] = useState(false)
  const [fits, setFits] = useState(false)
  const asking = useAsking()
  const trying = useAsking()
  const name = MANAGER_NAMES[group.by]
  const params = { group: group.group }
  const body = to === '' ? {} : { to }
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
      title={`Ask ${name} to switch ${group.group} over`}
      does={askApproval ? 'Ask for approval' : `Ask ${name}`}
      busy={asking.busy}
      trouble={asking.trouble}
      onDo={() => void run()}
      onClose={onClose}
    >
      <p>
        {name} is asked by its own command and has the last word.
        {group.holdsWriters && ' Writers are held meanwhile, so that nothing acknowledged is lost.'}
      </p>
      {group.namesTarget ? (
        <Field label="To">
          <select name="to" value={to} onChange={(event) => setTo(event.target.value)}>
            <option value="">{group.shards.length > 1 ? 'choose a replica' : 'the best candidate'}</option>
            {group.members
              .filter(({ role }) => role !== 'primary')
              .map(({ member, state, lagBytes }) => (
                <option key={member} value={member}>
                  {member}, {state}
                  {lagBytes === null ? '' : `, ${bytesText(lagBytes)} behind`}
                </option>
              ))}
          </select>
        </Field>
      ) : (
        <p className="dim">{name} chooses the target by its own rule.</p>
      )}
      <label className="check">
        <input type="checkbox" checked={askApproval} onChange={(event) => setAskApproval(event.target.checked)} />
        Wait until an approver agrees
      </label>
      <div className="buttons start">
        <button type="button" disabled={trying.busy} onClick={() => void dryRun()}>
          {trying.busy ? 'Trying…' : 'Dry run'}
        </button>
        {fits && <span role="status">It would be asked for.</span>}
      </div>
      {trying.trouble !== null && <TroubleBox trouble={trying.trouble} />}
    </Dialog>
  )
}
