/** Tokens: their secret is shown once, when one is made; the server keeps only its hash. */
import type { ApiRight, ApiSession, ApiToken, ApiTokenMade } from '@holdfast/client'
import { useState } from 'react'
import { server } from '../server.ts'
import { momentText } from '../words.ts'
import { Dialog } from './dialog.tsx'
import { Empty, Field, Section, TableBox, TroubleBox } from './pieces.tsx'
import { useAnswer } from './use-answer.ts'
import { useAsking } from './use-asking.ts'

const DAYS = [1, 7, 30, 90, 365] as const
const DAYS_FIRST = 30
const RIGHTS: readonly ApiRight[] = ['read', 'operate', 'approve', 'audit', 'admin']

export function Tokens({ session }: { readonly session: ApiSession }) {
  const { value, trouble, again } = useAnswer('tokens', {})
  const [making, setMaking] = useState(false)
  const [made, setMade] = useState<ApiTokenMade | null>(null)
  const revoking = useAsking()
  const revoke = async (id: string): Promise<void> => {
    await revoking.run(() => server.ask('removeToken', { params: { id } }))
    again()
  }
  const done = (token: ApiTokenMade): void => {
    setMaking(false)
    setMade(token)
    again()
  }
  const make = (
    <button type="button" onClick={() => setMaking(true)}>
      Make a token…
    </button>
  )
  return (
    <Section title="Tokens" aside={session.by === 'token' ? undefined : make}>
      {trouble !== null && <TroubleBox trouble={trouble} />}
      {revoking.trouble !== null && <TroubleBox trouble={revoking.trouble} />}
      {made !== null && (
        <div className="secret" role="status">
          <p>
            The secret of <strong>{made.token.label}</strong>. It is shown this once:
          </p>
          <code>{made.secret}</code>
          <button type="button" onClick={() => setMade(null)}>
            I have kept it
          </button>
        </div>
      )}
      {value !== null && value.length === 0 && <Empty>None. Programs that talk to the server need one.</Empty>}
      {value !== null && value.length > 0 && <TokenTable tokens={value} busy={revoking.busy} onRevoke={revoke} />}
      {making && <TokenDialog session={session} onMade={done} onClose={() => setMaking(false)} />}
    </Section>
  )
}

interface TokenTableProps {
  readonly tokens: readonly ApiToken[]
  readonly busy: boolean
  readonly onRevoke: (id: string) => Promise<void>
}

function TokenTable({ tokens, busy, onRevoke }: TokenTableProps) {
  return (
    <TableBox label="Tokens">
      <thead>
        <tr>
          <th scope="col">Label</th>
          <th scope="col">Of</th>
          <th scope="col">May</th>
          <th scope="col">Over</th>
          <th scope="col">Until</th>
          <th scope="col">Last used</th>
          <th scope="col">
            <span className="hidden">Revoke</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {tokens.map((token) => (
          <tr key={token.id}>
            <th scope="row">{token.label}</th>
            <td>{token.user}</td>
            <td>{token.rights.join(', ')}</td>
            <td>{token.groups === null ? 'everything' : token.groups.join(', ')}</td>
            <td className="nowrap">{momentText(token.expiresMs)}</td>
            <td className="nowrap">{token.lastUsedMs === null ? 'never' : momentText(token.lastUsedMs)}</td>
            <td>
              <button type="button" className="quiet" disabled={busy} onClick={() => void onRevoke(token.id)}>
                Revoke<span className="hidden"> {token.label}</span>
              </button>
            </td>
          </tr>
        ))}
      </tbody>
    </TableBox>
  )
}

interface TokenDialogProps {
  readonly session: ApiSession
  readonly onMade: (token: ApiTokenMade) => void
  readonly onClose: () => void
}

function TokenDialog({ session, onMade, onClose }: TokenDialogProps) {
  const [label, setLabel] = useState('')
  const [rights, setRights] = useState<readonly ApiRight[]>(['read'])
  const [validDays, setValidDays] = useState<number>(DAYS_FIRST)
  const asking = useAsking()
  const own = RIGHTS.filter((right) => right === 'read' || session.rights.includes(right))
  const run = async (): Promise<void> => {
    const token = await asking.run(() => server.ask('addToken', { body: { label: label.trim(), rights, validDays } }))
    if (token !== null) onMade(token)
  }
  return (
    <Dialog
      title="Make a token"
      does="Make it"
      ready={label.trim() !== '' && rights.length > 0}
      busy={asking.busy}
      trouble={asking.trouble}
      onDo={() => void run()}
      onClose={onClose}
    >
      <p>A program that has it acts in your name, within these rights.</p>
      <Field label="Label">
        <input name="label" required maxLength={200} value={label} onChange={(event) => setLabel(event.target.value)} />
      </Field>
      <fieldset>
        <legend>May</legend>
        {own.map((right) => (
          <label key={right} className="check">
            <input
              type="checkbox"
              checked={rights.includes(right)}
              onChange={({ target }) =>
                setRights((before) => (target.checked ? [...before, right] : before.filter((one) => one !== right)))
              }
            />
            {right}
          </label>
        ))}
      </fieldset>
      <Field label="For">
        <select name="validDays" value={validDays} onChange={(event) => setValidDays(Number(event.target.value))}>
          {DAYS.map((days) => (
            <option key={days} value={days}>
              {days === 1 ? '1 day' : `${days} days`}
            </option>
          ))}
        </select>
      </Field>
    </Dialog>
  )
}
