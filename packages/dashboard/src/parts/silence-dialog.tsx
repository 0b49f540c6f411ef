/** Tells nobody of some alerts for a while; always with an end and a reason. */
import { useState } from 'react'
import { server } from '../server.ts'
import { Dialog } from './dialog.tsx'
import { Field } from './pieces.tsx'
import { useAsking } from './use-asking.ts'

const CHOICES = [
  { ms: 1_800_000, words: '30 minutes' },
  { ms: 7_200_000, words: '2 hours' },
  { ms: 86_400_000, words: 'a day' },
  { ms: 7 * 86_400_000, words: 'a week' },
] as const

interface SilenceProps {
  readonly matchers: Readonly<Record<string, string>>
  readonly onClose: () => void
}

const NAMES = ['rule', 'group', 'site'] as const

export function SilenceDialog({ matchers, onClose }: SilenceProps) {
  const [words, setWords] = useState<Readonly<Record<string, string>>>(matchers)
  const [because, setBecause] = useState('')
  const [validMs, setValidMs] = useState<number>(CHOICES[1].ms)
  const asking = useAsking()
  const given = Object.fromEntries(Object.entries(words).filter(([, text]) => text.trim() !== ''))
  const run = async (): Promise<void> => {
    const body = { matchers: given, because: because.trim(), validMs }
    if ((await asking.run(() => server.ask('silence', { body }))) !== null) onClose()
  }
  return (
    <Dialog
      title="Silence alerts"
      does="Silence them"
      ready={because.trim() !== '' && Object.keys(given).length > 0}
      busy={asking.busy}
      trouble={asking.trouble}
      onDo={() => void run()}
      onClose={onClose}
    >
      <p>Nobody is told of alerts that fit all of these. They are still shown here.</p>
      {NAMES.map((name) => (
        <Field key={name} label={name} hint={name === 'rule' ? 'a rule, or with * for any text' : 'empty: any'}>
          <input
            name={name}
            maxLength={100}
            value={words[name] ?? ''}
            onChange={(event) => setWords((before) => ({ ...before, [name]: event.target.value }))}
          />
        </Field>
      ))}
      <Field label="For">
        <select name="for" value={validMs} onChange={(event) => setValidMs(Number(event.target.value))}>
          {CHOICES.map(({ ms, words: text }) => (
            <option key={ms} value={ms}>
              {text}
            </option>
          ))}
        </select>
      </Field>
      <Field label="Reason">
        <input name="because" maxLength={200} value={because} onChange={(event) => setBecause(event.target.value)} />
      </Field>
    </Dialog>
  )
}
