/** Every change anybody made: searched, verified, taken along. */
import type { ApiAuditEntry, ApiAuditVerdict } from '@holdfast/client'
import { type FormEvent, useEffect, useState } from 'react'
import { Badge, Empty, Field, TableBox, type Tone, TroubleBox } from '../parts/pieces.tsx'
import { useAsking } from '../parts/use-asking.ts'
import { server } from '../server.ts'
import { countText, detailText, momentText } from '../words.ts'

const PAGE = 100

export function Audit() {
  const [search, setSearch] = useState('')
  const [entries, setEntries] = useState<readonly ApiAuditEntry[]>([])
  const [next, setNext] = useState<number | null>(null)
  const [loaded, setLoaded] = useState(false)
  const asking = useAsking()
  const load = async (words: string, before: number | null): Promise<void> => {
    const query = { limit: PAGE, ...(words === '' ? {} : { search: words }), ...(before === null ? {} : { before }) }
    const page = await asking.run(() => server.ask('audit', { query }))
    if (page === null) return
    setEntries((known) => (before === null ? page.entries : [...known, ...page.entries]))
    setNext(page.next)
    setLoaded(true)
  }
  // biome-ignore lint/correctness/useExhaustiveDependencies: the first page is asked for once
  useEffect(() => {
    void load('', null)
  }, [])
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    void load(search.trim(), null)
  }
  return (
    <>
      <h1>Audit</h1>
      <Verify />
      <form className="search" onSubmit={submit}>
        <Field label="Search" hint="in who, what, on what, and the details">
          <input
            name="search"
            type="search"
            maxLength={200}
            value={search}
            onChange={(e) => setSearch(e.target.value)}
          />
        </Field>
        <button type="submit" disabled={asking.busy}>
          Search
        </button>
      </form>
      {asking.trouble !== null && <TroubleBox trouble={asking.trouble} />}
      {loaded && entries.length === 0 && <Empty>Nothing fits.</Empty>}
      {entries.length > 0 && <Entries entries={entries} />}
      {next !== null && (
        <button type="button" disabled={asking.busy} onClick={() => void load(search.trim(), next)}>
          Older entries
        </button>
      )}
    </>
  )
}

const TONES: Readonly<Record<ApiAuditEntry['outcome'], Tone>> = {
  asked: 'calm',
  done: 'good',
  refused: 'risk',
  failed: 'bad',
  unknown: 'risk',
}

function Entries({ entries }: { readonly entries: readonly ApiAuditEntry[] }) {
  return (
    <TableBox label="Entries of the audit log">
      <thead>
        <tr>
          <th scope="col" className="number">
            No.
          </th>
          <th scope="col">When</th>
          <th scope="col">Who</th>
          <th scope="col">What</th>
          <th scope="col">On what</th>
          <th scope="col">Outcome</th>
          <th scope="col">Details</th>
        </tr>
      </thead>
      <tbody>
        {entries.map((entry) => (
          <tr key={entry.number}>
            <th scope="row" className="number">
              {entry.number}
            </th>
            <td className="nowrap">{momentText(entry.wallMs)}</td>
            <td>
              {entry.actor}
              {entry.address !== '' && <span className="cell-note">{entry.address}</span>}
            </td>
            <td className="mono">{entry.action}</td>
            <td>{entry.subject}</td>
            <td>
              <Badge tone={TONES[entry.outcome]}>{entry.outcome}</Badge>
            </td>
            <td className="details">{detailText(entry.detail)}</td>
          </tr>
        ))}
      </tbody>
    </TableBox>
  )
}

function verdictText({ ok, entries, checkpoints, lastSigned, because, at }: ApiAuditVerdict): string {
  if (!ok) return `At entry ${at ?? '?'}: ${because}`
  const newest = lastSigned === null ? '' : `, the newest over entry ${lastSigned}`
  return `${countText(entries, 'entry', 'entries')} in one chain; ${countText(checkpoints, 'signature')} fit${newest}.`
}

function Verify() {
  const [verdict, setVerdict] = useState<ApiAuditVerdict | null>(null)
  const asking = useAsking()
  const run = async (): Promise<void> => {
    setVerdict(null)
    setVerdict(await asking.run(() => server.ask('auditVerify', {})))
  }
  return (
    <div className="verify">
      <div className="buttons start">
        <button type="button" className="primary" disabled={asking.busy} onClick={() => void run()}>
          {asking.busy ? 'Verifying…' : 'Verify the whole log'}
        </button>
        <a className="button" href="/api/v1/audit/export" download>
          Export
        </a>
      </div>
      {asking.trouble !== null && <TroubleBox trouble={asking.trouble} />}
      {verdict !== null && (
        <p role="status" data-verdict={verdict.ok ? 'ok' : 'bad'}>
          <Badge tone={verdict.ok ? 'good' : 'bad'}>{verdict.ok ? 'Whole' : 'Changed'}</Badge> {verdictText(verdict)}
        </p>
      )}
      <p className="dim">
        An exported file can be verified without the server: <code>holdfast audit verify FILE</code>
      </p>
    </div>
  )
}
