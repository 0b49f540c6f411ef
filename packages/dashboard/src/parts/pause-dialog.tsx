/** Pauses one group, with a reason and an end. */
import { useState } from 'react'
import { server } from '../server.ts'
import { Dialog } from './dialog.tsx'
import { PAUSE_CHOICES, PauseFields } from './pause-fields.tsx'
import { useAsking } from './use-asking.ts'

export function PauseDialog({ group, onClose }: { readonly group: string; readonly onClose: () => void }) {
  const [because, setBecause] = useState('')
  const [validMs, setValidMs] = useState<number>(PAUSE_CHOICES[0].ms)
  const asking = useAsking()
  const run = async (): Promise<void> => {
    const body = { because: because.trim(), validMs }
    const answer = await asking.run(() => server.ask('pause', { params: { group }, body }))
    if (answer !== null) onClose()
  }
  return (
    <Dialog
      title={`Pause automation of ${group}`}
      does="Pause it"
      ready={because.trim() !== ''}
      busy={asking.busy}
      trouble={asking.trouble}
      onDo={() => void run()}
      onClose={onClose}
    >
      <p>Nobody is promoted or demoted by itself until it ends. A primary that is lost stays lost meanwhile.</p>
      <PauseFields because={because} onBecause={setBecause} validMs={validMs} onValidMs={setValidMs} />
    </Dialog>
  )
}
