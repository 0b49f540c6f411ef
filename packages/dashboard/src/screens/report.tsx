/** One report of a drill: promised, predicted and measured; checks, timeline; whether it is as it was signed. */
import type { ApiDrillReport } from '@holdfast/client'
import { useLive } from '../live/use-live.tsx'
import { Badge, Empty, Section, TableBox, type Tone, TroubleBox } from '../parts/pieces.tsx'
import { useAnswer } from '../parts/use-answer.ts'
import { Link } from '../place.tsx'
import { countText, durationText, momentText } from '../words.ts'
import { OUTCOMES } from './drills.tsx'

export function Report({ id }: { readonly id: string }) {
  const turn = useLive((state) => state.drillsTurn)
  const { value, trouble } = useAnswer('drillReport', { params: { id } }, turn)
  if (value === null) {
    return (
      <>
        <h1>Report</h1>
        {trouble === null ? <p className="waiting">Asking the server…</p> : <TroubleBox trouble={trouble} />}
      </>
    )
  }
  return (
    <>
      <div className="title">
        <h1>
          {value.drill} of <Link to={`/groups/${value.group}`}>{value.group}</Link>
        </h1>
        <Badge tone={OUTCOMES[value.outcome] ?? 'calm'}>{value.outcome}</Badge>
        {value.practice && <Badge tone="calm">practice on a copy</Badge>}
      </div>
      <p className="lead">{value.because}</p>
      {value.statement !== '' && <p className="dim">Believed: {value.statement}</p>}
      <Figures report={value} />
      <Verdict id={id} />
      <Downloads report={value} />
      <Section title="Acknowledged writes">
        <Rate report={value} />
      </Section>
      <Section title="Checks">
        <Checks report={value} />
      </Section>
      <Section title="Timeline">
        <Lines report={value} />
      </Section>
      <Section title="How it was done">
        <Done report={value} />
      </Section>
    </>
  )
}

const FIGURES = [
  ['RTO', 'rtoMs'],
  ['RPO', 'rpoMs'],
] as const

function Figures({ report }: { readonly report: ApiDrillReport }) {
  const { objective, prediction, measured } = report
  return (
    <TableBox label="Objective, prediction and measurement">
      <thead>
        <tr>
          <th scope="col">Figure</th>
          <th scope="col" className="number">
            Objective
          </th>
          <th scope="col" className="number">
            Predicted
          </th>
          <th scope="col" className="number">
            Measured
          </th>
          <th scope="col">Kept</th>
        </tr>
      </thead>
      <tbody>
        {FIGURES.map(([name, key]) => {
          const kept = measured !== null && measured[key] <= objective[key]
          const [tone, word]: readonly [Tone, string] =
            measured === null ? ['calm', 'not measured'] : kept ? ['good', 'kept'] : ['bad', 'broken']
          return (
            <tr key={name} data-figure={name} data-kept={word}>
              <th scope="row">{name}</th>
              <td className="number">{durationText(objective[key])}</td>
              <td className="number">{prediction === null ? '-' : durationText(prediction[key])}</td>
              <td className="number">{measured === null ? '-' : durationText(measured[key])}</td>
              <td>
                <Badge tone={tone}>{word}</Badge>
              </td>
            </tr>
          )
        })}
      </tbody>
    </TableBox>
  )
}

function Verdict({ id }: { readonly id: string }) {
  const { value, trouble, again } = useAnswer('verifyDrillReport', { params: { id } })
  if (trouble !== null) return <TroubleBox trouble={trouble} />
  if (value === null) return <p className="waiting">Verifying…</p>
  const parts: readonly (readonly [string, boolean, string])[] = [
    ['Signature', value.signature.ok, value.signature.because],
    ...(value.page === null ? [] : [['Page', value.page.ok, value.page.because] as const]),
    ['Chain', value.chain.ok, value.chain.because],
  ]
  return (
    <div className="verify" data-verdict={value.ok ? 'ok' : 'bad'}>
      <p role="status">
        <Badge tone={value.ok ? 'good' : 'bad'}>{value.ok ? 'Verified' : 'Not as it was signed'}</Badge>{' '}
        {value.ownKey ? 'by the key of this server' : `by key ${value.keyId ?? 'unknown'}, which is not this server's`}
      </p>
      <ul className="agents-said">
        {parts.map(([name, ok, because]) => (
          <li key={name}>
            <Badge tone={ok ? 'good' : 'bad'}>{name}</Badge> <span className="dim">{because}</span>
          </li>
        ))}
      </ul>
      <button type="button" onClick={again}>
        Verify again
      </button>
    </div>
  )
}

const FILES: Readonly<Record<ApiDrillReport['files'][number], string>> = {
  json: 'JSON, signed',
  html: 'HTML, signed',
  pdf: 'PDF',
  seal: 'Seal of the PDF',
}

function Downloads({ report }: { readonly report: ApiDrillReport }) {
  return (
    <div className="report-files">
      <div className="buttons">
        {report.files.map((kind) => (
          <a key={kind} className="button" href={`/api/v1/drills/reports/${report.id}/files/${kind}`} download={true}>
            {FILES[kind]}
          </a>
        ))}
      </div>
      <p className="dim">
        Anybody can check these files without the server: <code>holdfast evidence verify FILE</code>
      </p>
    </div>
  )
}

const WIDTH = 720
const HEIGHT = 120

function Rate({ report }: { readonly report: ApiDrillReport }) {
  const { acked, stepMs } = report.rate
  if (acked.every((count) => count === 0)) return <Empty>No write was counted.</Empty>
  const most = Math.max(1, ...acked)
  const width = WIDTH / acked.length
  const gaps = acked.filter((count) => count === 0).length
  const without = `${countText(gaps, 'step')} without any`
  const words = `Writes in steps of ${durationText(stepMs)}; at most ${most} in one, ${without}`
  return (
    <>
      <svg className="rate" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={words} preserveAspectRatio="none">
        {acked.map((count, index) => {
          const height = (count / most) * HEIGHT
          // biome-ignore lint/suspicious/noArrayIndexKey: a step is its place
          return <rect key={index} x={index * width} y={HEIGHT - height} width={width * 0.9} height={height} />
        })}
      </svg>
      <p className="dim">{words}.</p>
    </>
  )
}

function Checks({ report }: { readonly report: ApiDrillReport }) {
  if (report.checks.length === 0) return <Empty>None was made.</Empty>
  return (
    <TableBox label="Checks" stacked={true}>
      <thead>
        <tr>
          <th scope="col">When</th>
          <th scope="col">What</th>
          <th scope="col" className="number">
            Looks
          </th>
          <th scope="col" className="number">
            Held
          </th>
        </tr>
      </thead>
      <tbody>
        {report.checks.map(({ when, check, looks, held }) => (
          <tr key={`${when} ${check}`}>
            <td data-label="When">{when}</td>
            <th scope="row" data-label="What">
              {check}
            </th>
            <td data-label="Looks" className="number">
              {looks}
            </td>
            <td data-label="Held" className="number">
              {held}
            </td>
          </tr>
        ))}
      </tbody>
    </TableBox>
  )
}

function Lines({ report }: { readonly report: ApiDrillReport }) {
  return (
    <ol className="report-lines">
      {report.timeline.map(({ sinceMs, source, code, words }, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: lines of a report never move
        <li key={index}>
          <span className="mono">+{durationText(sinceMs)}</span>
          <span className="dim">{source}</span>
          <span>
            <strong>{code}</strong> {words}
          </span>
        </li>
      ))}
    </ol>
  )
}

function Done({ report }: { readonly report: ApiDrillReport }) {
  const { measured, blastRadius, approvals } = report
  const rows: readonly (readonly [string, string])[] = [
    ['Fault', report.fault],
    ['Done to', report.members.length === 0 ? 'nobody' : report.members.join(', ')],
    [
      'Blast radius',
      [
        countText(blastRadius.members, 'member'),
        countText(blastRadius.sites, 'site'),
        countText(blastRadius.groups, 'group'),
      ].join(', '),
    ],
    ['Stops itself at', report.abortConditions],
    ['Asked by', report.by],
    [
      'Approved by',
      approvals.length === 0 ? 'nobody had to' : approvals.map(({ gate, by }) => `${by} (${gate})`).join(', '),
    ],
    ['Began', momentText(report.startedMs)],
    ['Took', durationText(report.endedMs - report.startedMs)],
    [
      'Writes',
      measured === null
        ? 'not measured'
        : [
            `${measured.acked} acknowledged, ${measured.failed} failed`,
            `${measured.lost} lost, ${measured.doubled} doubled`,
          ].join(', '),
    ],
    ['Engine', report.engine],
    ['Tool', report.tool],
    ['Drill file', report.drillSha256],
    ['Description', report.configSha256],
    ['This report', `${report.seq}, ${report.sha256}`],
    ['The one before', report.previousSha256 ?? 'none'],
  ]
  return (
    <>
      <dl className="drill-facts">
        {rows.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {report.controls.length > 0 && (
        <details>
          <summary>Which rules it supports, and what it does not prove</summary>
          <ul>
            {report.controls.map(({ rule, clause, supports, notProved }) => (
              <li key={`${rule} ${clause}`}>
                <strong>
                  {rule}, {clause}
                </strong>
                : {supports} <span className="dim">Not proved: {notProved}</span>
              </li>
            ))}
          </ul>
        </details>
      )}
    </>
  )
}
