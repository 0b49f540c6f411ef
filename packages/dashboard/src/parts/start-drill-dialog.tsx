/** Before a drill is started: what it does to whom, what ends it when nobody does, and what it is held against. */
import type { ApiDrill } from '@holdfast/client'
import { useState } from 'react'
import { server } from '../server.ts'
import { countText, durationText } from '../words.ts'
import { Dialog } from './dialog.tsx'
import { Field } from './pieces.tsx'
import { useAsking } from './use-asking.ts'

interface StartProps {
  readonly drill: ApiDrill
  readonly onClose: () => void
}

type Where = 'practice' | 'live'

export function StartDrillDialog({ drill, onClose }: StartProps) {
  const [where, setWhere] = useState<Where>(drill.where)
  const [askApproval, setAskApproval] = useState(false)
  const asking = useAsking()
  const { group, blastRadius, deadmanMs, objective } = drill
  const risky = where === 'live' && drill.liveRisky
  const waits = askApproval || risky
  const run = async (): Promise<void> => {
    const body = { drill: drill.drill, sha256: drill.sha256, where, askApproval }
    const answer = await asking.run(() => server.ask('startDrill', { params: { group }, body }))
    if (answer !== null) onClose()
  }
  const rows: readonly (readonly [string, string])[] = [
    ['Fault', drill.fault],
    [
      'Blast radius',
      `at most ${countText(blastRadius.members, 'member')}, ${countText(blastRadius.sites, 'site')}, ` +
        `${countText(blastRadius.groups, 'group')}`,
    ],
    [
      'Dead-man',
      deadmanMs === null
        ? 'none is needed: the fault is over when it is done'
        : `on the target; it ends the fault after ${durationText(deadmanMs)} even if nobody else does`,
    ],
    ['Stops itself at', drill.abortConditions],
    ['Objective', `RTO ${durationText(objective.rtoMs)}, RPO ${durationText(objective.rpoMs)}`],
    ...drill.approvals.map(({ before, by }) => [`Before the ${before}`, `waits for ${by.join(' or ')}`] as const),
  ]
  return (
    <Dialog
      title={`Run drill ${drill.drill} of ${group}`}
      does={waits ? 'Ask for approval' : where === 'live' ? 'Run it live' : 'Run it on a copy'}
      dangerous={where === 'live'}
      busy={asking.busy}
      trouble={asking.trouble}
      onDo={() => void run()}
      onClose={onClose}
    >
      {drill.statement !== '' && <p>{drill.statement}</p>}
      <dl className="drill-facts">
        {rows.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <Field
        label="Where"
        hint={where === 'live' ? 'on the platform itself' : "on the server's host; nothing here is touched"}
      >
        <select name="where" value={where} onChange={(event) => setWhere(event.target.value as Where)}>
          {drill.liveAllowed && <option value="live">Live</option>}
          <option value="practice">On a copy</option>
        </select>
      </Field>
      {risky && <p className="note">Acknowledged writes may be lost: it runs here once somebody else approves it.</p>}
      <label className="check">
        <input type="checkbox" checked={askApproval} onChange={(event) => setAskApproval(event.target.checked)} />
        Wait until an approver agrees
      </label>
    </Dialog>
  )
}
