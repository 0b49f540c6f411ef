/** While a drill runs, every screen says so and has the button that stops it. */
import type { ApiActiveDrill, ApiDrills, ApiSession } from '@holdfast/client'
import { useState } from 'react'
import { useLive } from '../live/use-live.tsx'
import { Link } from '../place.tsx'
import { mayOver } from '../rights.ts'
import { server } from '../server.ts'
import { durationText } from '../words.ts'
import { Dialog } from './dialog.tsx'
import { Badge, Field } from './pieces.tsx'
import { useAsking } from './use-asking.ts'

interface DrillBarProps {
  readonly session: ApiSession
  readonly drills: ApiDrills | null
}

/** In words a person on duty reads once. */
const PHASES: Readonly<Record<string, string>> = {
  asking: 'waits for an approval to start',
  checking: 'looks whether all is well',
  'asking-fault': 'waits for an approval before its fault',
  faulting: 'does its fault',
  faulted: 'has its fault on',
  lifting: 'ends its fault',
  recovering: 'waits for recovery',
  measuring: 'looks for every record',
  ended: 'is over',
}

export function phaseText({ phase, abort }: ApiActiveDrill): string {
  const words = PHASES[phase] ?? phase
  return abort === null ? words : `${words}; told to stop by ${abort.by}`
}

/** A runner says every second that it lives. */
const SILENT_MS = 10_000

export function DrillBar({ session, drills }: DrillBarProps) {
  const services = useLive((state) => state.platform?.services)
  const [stopping, setStopping] = useState<ApiActiveDrill | null>(null)
  if (drills === null || drills.active.length === 0) return null
  return (
    <section className="drill-bar" aria-label="Running drills">
      {drills.active.map((one) => (
        <div key={one.id} className="drill-bar-row" data-active-drill={one.drill} data-phase={one.phase}>
          <p>
            <Badge tone="risk">Drill</Badge>{' '}
            <strong>
              <Link to="/drills">{one.drill}</Link>
            </strong>{' '}
            of <Link to={`/groups/${one.group}`}>{one.group}</Link> {phaseText(one)}.{' '}
            {one.silentMs > SILENT_MS && (
              <strong>Its runner has been silent for {durationText(one.silentMs)}; it is ended from here.</strong>
            )}
          </p>
          {mayOver(session, 'operate', one.group, services) && (
            <button type="button" className="danger" onClick={() => setStopping(one)}>
              Stop drill…
            </button>
          )}
        </div>
      ))}
      {stopping !== null && <StopDialog drill={stopping} onClose={() => setStopping(null)} />}
    </section>
  )
}

function StopDialog({ drill, onClose }: { readonly drill: ApiActiveDrill; readonly onClose: () => void }) {
  const [because, setBecause] = useState('')
  const asking = useAsking()
  const run = async (): Promise<void> => {
    const body = { because: because.trim() }
    const answer = await asking.run(() => server.ask('abortDrill', { params: { group: drill.group }, body }))
    if (answer !== null) onClose()
  }
  return (
    <Dialog
      title={`Stop drill ${drill.drill} of ${drill.group}`}
      does="Stop it now"
      dangerous={true}
      ready={because.trim() !== ''}
      busy={asking.busy}
      trouble={asking.trouble}
      onDo={() => void run()}
      onClose={onClose}
    >
      <p>Its fault is ended at once and shown to be gone; its report says that it was stopped, by whom and why.</p>
      <Field label="Reason" hint="stands in the report and in the audit log">
        <input name="because" maxLength={200} value={because} onChange={(event) => setBecause(event.target.value)} />
      </Field>
    </Dialog>
  )
}
