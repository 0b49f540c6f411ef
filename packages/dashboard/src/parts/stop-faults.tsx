/** The lever on the frame: stops every drill and every fault, and shows what each agent says afterwards. */
import type { ApiFaults, ApiSession } from '@holdfast/client'
import { useState } from 'react'
import { may } from '../rights.ts'
import { server } from '../server.ts'
import { Dialog } from './dialog.tsx'
import { Badge, Field } from './pieces.tsx'
import { useAsking } from './use-asking.ts'

export function StopFaults({ session }: { readonly session: ApiSession }) {
  const [open, setOpen] = useState(false)
  if (!may(session, 'operate')) return null
  return (
    <div className="frame-levers">
      <button type="button" className="danger" onClick={() => setOpen(true)}>
        Stop all faults…
      </button>
      {open && <StopDialog onClose={() => setOpen(false)} />}
    </div>
  )
}

function StopDialog({ onClose }: { readonly onClose: () => void }) {
  const [because, setBecause] = useState('')
  const [found, setFound] = useState<ApiFaults | null>(null)
  const asking = useAsking()
  const run = async (): Promise<void> => {
    const answer = await asking.run(() => server.ask('stopFaults', { body: { because: because.trim() } }))
    if (answer !== null) setFound(answer)
  }
  return (
    <Dialog
      title="Stop all faults"
      does={found === null ? 'Stop them now' : 'Stop and ask again'}
      dangerous={true}
      ready={because.trim() !== ''}
      busy={asking.busy}
      trouble={asking.trouble}
      onDo={() => void run()}
      onClose={onClose}
    >
      <p>
        Every drill that runs is stopped, every one that waits is dropped, every fault is ended, and each agent is asked
        whether one is left. Databases and failover are not touched.
      </p>
      <Field label="Reason" hint="kept in the audit log">
        <input name="because" maxLength={200} value={because} onChange={(event) => setBecause(event.target.value)} />
      </Field>
      {found !== null && (
        <div role="status" data-faults={found.allOff ? 'off' : 'left'}>
          <p>
            <Badge tone={found.allOff ? 'good' : 'bad'}>
              {found.allOff ? 'None is left' : 'Not all are known to be off'}
            </Badge>
          </p>
          <ul className="agents-said">
            {found.agents.map(({ agent, site, off, because: words }) => (
              <li key={agent}>
                <Badge tone={off ? 'good' : 'bad'}>{off ? 'off' : 'look'}</Badge> {agent} in {site}:{' '}
                <span className="dim">{words}</span>
              </li>
            ))}
          </ul>
        </div>
      )}
    </Dialog>
  )
}
