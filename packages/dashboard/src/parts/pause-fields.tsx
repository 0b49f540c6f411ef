/** A reason, and how long: a pause always ends by itself. */
import { Field } from './pieces.tsx'

export const PAUSE_CHOICES = [
  { ms: 15 * 60_000, words: '15 minutes' },
  { ms: 3_600_000, words: '1 hour' },
  { ms: 4 * 3_600_000, words: '4 hours' },
  { ms: 24 * 3_600_000, words: '1 day' },
  { ms: 7 * 24 * 3_600_000, words: '7 days' },
] as const

interface PauseFieldsProps {
  readonly because: string
  readonly onBecause: (because: string) => void
  /** Null: it does not end by itself. */
  readonly validMs: number | null
  readonly onValidMs: (ms: number) => void
}

export function PauseFields({ because, onBecause, validMs, onValidMs }: PauseFieldsProps) {
  return (
    <>
      <Field label="Reason" hint="is kept in the audit log and shown to everybody">
        <input name="because" maxLength={200} required value={because} onChange={(e) => onBecause(e.target.value)} />
      </Field>
      {validMs !== null && (
        <Field label="For">
          <select name="validMs" value={validMs} onChange={(event) => onValidMs(Number(event.target.value))}>
            {PAUSE_CHOICES.map(({ ms, words }) => (
              <option key={ms} value={ms}>
                {words}
              </option>
            ))}
          </select>
        </Field>
      )}
    </>
  )
}
