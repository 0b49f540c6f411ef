/** What may be asked of a group, by who may ask it: switchover, pause and resume, failover. Each is confirmed first. */
import type { ApiAsked, ApiGroup, ApiSession } from '@holdfast/client'
import { useState } from 'react'
import { useLive } from '../live/use-live.tsx'
import { mayOver } from '../rights.ts'
import { server } from '../server.ts'
import { durationText } from '../words.ts'
import { FailoverDialog } from './failover-dialog.tsx'
import { IntentProgress } from './intent-progress.tsx'
import { PauseDialog } from './pause-dialog.tsx'
import { TroubleBox } from './pieces.tsx'
import { SwitchoverDialog } from './switchover-dialog.tsx'
import { useAsking } from './use-asking.ts'

type Open = 'switchover' | 'failover' | 'pause' | null

export function GroupActions({ group, session }: { readonly group: ApiGroup; readonly session: ApiSession }) {
  const [open, setOpen] = useState<Open>(null)
  const [asked, setAsked] = useState<ApiAsked | null>(null)
  const services = useLive((state) => state.platform?.services)
  const resuming = useAsking()
  if (group.failover === 'observe') {
    return <p className="dim">Holdfast only observes this group: it has no lever here, and its own tools move it.</p>
  }
  if (!mayOver(session, 'operate', group.group, services)) {
    return <p className="dim">You may look at this group; to act on it takes the role of an operator.</p>
  }
  const close = (): void => setOpen(null)
  const begun = (answer: ApiAsked): void => {
    setAsked(answer)
    setOpen(null)
  }
  return (
    <div className="actions">
      <div className="buttons">
        <button
          type="button"
          className="primary"
          disabled={group.writer === null}
          onClick={() => setOpen('switchover')}
        >
          Switch over…
        </button>
        {group.paused === null ? (
          <button type="button" onClick={() => setOpen('pause')}>
            Pause automation…
          </button>
        ) : (
          <button
            type="button"
            disabled={resuming.busy}
            onClick={() => void resuming.run(() => server.ask('resume', { params: { group: group.group }, body: {} }))}
          >
            Resume automation
          </button>
        )}
        <button type="button" className="danger" onClick={() => setOpen('failover')}>
          Fail over…
        </button>
      </div>
      {group.paused !== null && (
        <p className="note">
          Paused by {group.paused.by} for {durationText(group.paused.forMs)}: {group.paused.because}
        </p>
      )}
      {resuming.trouble !== null && <TroubleBox trouble={resuming.trouble} />}
      {asked !== null && <IntentProgress key={asked.intent ?? asked.approval?.id} group={group.group} asked={asked} />}
      {open === 'switchover' && <SwitchoverDialog group={group} onBegun={begun} onClose={close} />}
      {open === 'failover' && <FailoverDialog group={group} session={session} onBegun={begun} onClose={close} />}
      {open === 'pause' && <PauseDialog group={group.group} onClose={close} />}
    </div>
  )
}
