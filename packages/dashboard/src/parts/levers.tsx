/** The levers over everything: automation on or off, with a reason and an end, so that no pause is forgotten. */
import type { ApiGroup, ApiSession } from '@holdfast/client'
import { useState } from 'react'
import { mayOver } from '../rights.ts'
import { server } from '../server.ts'
import { Dialog } from './dialog.tsx'
import { PAUSE_CHOICES, PauseFields } from './pause-fields.tsx'
import { Badge } from './pieces.tsx'
import { useAsking } from './use-asking.ts'

interface LeversProps {
  readonly session: ApiSession
  readonly groups: readonly ApiGroup[]
  readonly automation: 'on' | 'off' | 'some' | 'none'
}

const STATES = {
  on: ['good', 'Automation on'],
  off: ['risk', 'Automation off'],
  some: ['risk', 'Automation paused in part'],
  none: ['calm', 'Only observed'],
} as const

export function Levers({ session, groups, automation }: LeversProps) {
  const [turning, setTurning] = useState<'on' | 'off' | null>(null)
  const [tone, words] = STATES[automation]
  const allowed = groups.length > 0 && groups.every(({ group }) => mayOver(session, 'operate', group))
  const paused = groups.filter((group) => group.paused !== null)
  const observed = groups.filter((group) => group.failover === 'observe')
  return (
    <div className="levers">
      <Badge tone={tone}>{words}</Badge>
      {paused.length > 0 && automation === 'some' && (
        <span className="dim">{paused.map(({ group }) => group).join(', ')}</span>
      )}
      {observed.length > 0 && automation !== 'none' && (
        <span className="dim">observe-only: {observed.map(({ group }) => group).join(', ')}</span>
      )}
      {allowed && automation !== 'none' && (
        <span className="buttons">
          {automation !== 'off' && (
            <button type="button" onClick={() => setTurning('off')}>
              Turn automation off…
            </button>
          )}
          {automation !== 'on' && (
            <button type="button" className="primary" onClick={() => setTurning('on')}>
              Turn automation on…
            </button>
          )}
        </span>
      )}
      {turning !== null && <AutomationDialog turn={turning} onClose={() => setTurning(null)} />}
    </div>
  )
}

function AutomationDialog({ turn, onClose }: { readonly turn: 'on' | 'off'; readonly onClose: () => void }) {
  const [because, setBecause] = useState(turn === 'on' ? 'work is done' : '')
  const [validMs, setValidMs] = useState<number>(PAUSE_CHOICES[0].ms)
  const [failed, setFailed] = useState<readonly string[]>([])
  const asking = useAsking()
  const run = async (): Promise<void> => {
    const body = { automation: turn, because: because.trim(), ...(turn === 'off' ? { validMs } : {}) }
    const answer = await asking.run(() => server.ask('automation', { body }))
    if (answer === null) return
    const left = answer.outcomes.filter(({ ok }) => !ok).map((one) => `${one.group}: ${one.because}`)
    if (left.length === 0) onClose()
    else setFailed(left)
  }
  return (
    <Dialog
      title={`Turn automation ${turn} for every group`}
      does={`Turn it ${turn}`}
      dangerous={turn === 'off'}
      ready={because.trim() !== ''}
      busy={asking.busy}
      trouble={asking.trouble}
      onDo={() => void run()}
      onClose={onClose}
    >
      {turn === 'off' ? (
        <p>Nobody is promoted or demoted by itself until it ends. A primary that is lost stays lost meanwhile.</p>
      ) : (
        <p>Every pause ends now; Holdfast acts again.</p>
      )}
      <PauseFields
        because={because}
        onBecause={setBecause}
        validMs={turn === 'off' ? validMs : null}
        onValidMs={setValidMs}
      />
      {failed.length > 0 && (
        <ul className="trouble-list" role="alert">
          {failed.map((line) => (
            <li key={line}>{line}</li>
          ))}
        </ul>
      )}
    </Dialog>
  )
}
