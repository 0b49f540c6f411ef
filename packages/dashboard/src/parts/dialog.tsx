/** Asks before something is changed: the browser's own dialog, which keeps the focus inside and closes with Escape. */
import { type FormEvent, type ReactNode, useEffect, useRef } from 'react'
import type { Trouble } from '../server.ts'
import { TroubleBox } from './pieces.tsx'

interface DialogProps {
  readonly title: string
  readonly children: ReactNode
  /** Words of the button that does it. */
  readonly does: string
  readonly dangerous?: boolean
  readonly ready?: boolean
  readonly busy: boolean
  readonly trouble: Trouble | null
  readonly onDo: () => void
  readonly onClose: () => void
}

export function Dialog(props: DialogProps) {
  const { title, children, does, dangerous = false, ready = true, busy, trouble, onDo, onClose } = props
  const box = useRef<HTMLDialogElement>(null)
  useEffect(() => {
    const dialog = box.current
    if (dialog !== null && !dialog.open) dialog.showModal()
    return () => dialog?.close()
  }, [])
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    if (ready && !busy) onDo()
  }
  return (
    <dialog ref={box} aria-labelledby="dialog-title" onCancel={onClose}>
      <form onSubmit={submit}>
        <h2 id="dialog-title">{title}</h2>
        {children}
        {trouble !== null && <TroubleBox trouble={trouble} />}
        <div className="buttons">
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" className={dangerous ? 'danger' : 'primary'} disabled={!ready || busy}>
            {busy ? 'Asking…' : does}
          </button>
        </div>
      </form>
    </dialog>
  )
}
