/** One incident: its phases in order with their times and reasons, and every decision that belongs to it. */
import type { ApiIncident } from '@holdfast/client'
import { useLive, useWallMs } from '../live/use-live.tsx'
import { lostText, outageText } from '../measured.ts'
import { AttemptBars } from '../parts/attempt-bars.tsx'
import { EventList } from '../parts/event-list.tsx'
import { Badge, Empty, Section, TroubleBox } from '../parts/pieces.tsx'
import { useAnswer } from '../parts/use-answer.ts'
import { PHASES, phaseRows } from '../phases.ts'
import { Link } from '../place.tsx'
import { durationText, momentText } from '../words.ts'

const EVENTS_MAX = 300

export function Incident({ id }: { readonly id: string }) {
  const live = useLive((state) => state.incidents.find((one) => one.id === id) ?? null)
  const asked = useAnswer('incident', { params: { id } })
  const incident = live ?? asked.value
  const turn = incident === null ? '' : `${incident.phases.length} ${incident.state}`
  const events = useAnswer('events', { query: { incident: id, limit: EVENTS_MAX } }, turn)
  if (incident === null) {
    return (
      <>
        <h1>Incident</h1>
        {asked.trouble === null ? (
          <p className="waiting">Asking the server…</p>
        ) : (
          <TroubleBox trouble={asked.trouble} />
        )}
      </>
    )
  }
  return (
    <>
      <div className="title">
        <h1>
          {incident.kind[0]?.toUpperCase()}
          {incident.kind.slice(1)} of <Link to={`/groups/${incident.group}`}>{incident.group}</Link>
        </h1>
        {incident.state === 'open' ? <Badge tone="bad">open</Badge> : <Badge tone="good">closed</Badge>}
      </div>
      <p className="lead">{incident.because}</p>
      <Numbers incident={incident} />
      <Section title="Timeline">
        <Timeline incident={incident} />
        <Clients incident={incident} />
      </Section>
      <Section title="Decisions">
        {events.trouble !== null && <TroubleBox trouble={events.trouble} />}
        {events.value !== null && events.value.events.length === 0 && <Empty>None was told.</Empty>}
        {events.value !== null && <EventList events={events.value.events} />}
      </Section>
    </>
  )
}

function Numbers({ incident }: { readonly incident: ApiIncident }) {
  const wallMs = useWallMs()
  const rows: readonly (readonly [string, string])[] = [
    ['Began', momentText(incident.openedMs)],
    ['Clients without writes', outageText(incident.canary)],
    ['Acknowledged and lost', lostText(incident.canary)],
    [
      'No member open, as agents saw',
      incident.writeGapMs === null ? 'no gap was seen' : durationText(incident.writeGapMs),
    ],
    ['Until healthy', durationText((incident.closedMs ?? wallMs) - incident.openedMs)],
    ['Primary', `${incident.from ?? 'nobody'} → ${incident.to ?? 'nobody yet'}`],
    ['Epoch', `${incident.fromEpoch} → ${incident.toEpoch ?? incident.fromEpoch}`],
  ]
  return (
    <dl className="facts">
      {rows.map(([name, value]) => (
        <div className="fact" key={name}>
          <dt>{name}</dt>
          <dd>
            <strong>{value}</strong>
          </dd>
        </div>
      ))}
    </dl>
  )
}

/** Asked again while more may come: a moment after its end clients' figures are complete. */
const CLIENTS_MS = 2_000
const CLIENTS_LATE_MS = 60_000

function Clients({ incident }: { readonly incident: ApiIncident }) {
  const wallMs = useWallMs()
  const coming =
    incident.closedMs === null || (incident.canary === null && wallMs - incident.closedMs < CLIENTS_LATE_MS)
  const turn = coming ? Math.floor(wallMs / CLIENTS_MS) : incident.canary === null ? 'none' : 'over'
  const { value, trouble } = useAnswer('incidentCanary', { params: { id: incident.id } }, turn)
  if (trouble !== null) return <TroubleBox trouble={trouble} />
  if (value === null) return null
  if (value.series === null) return <p className="dim">What clients saw of it was not measured.</p>
  return <AttemptBars measured={value} />
}

function Timeline({ incident }: { readonly incident: ApiIncident }) {
  const wallMs = useWallMs()
  const rows = phaseRows(incident, wallMs)
  return (
    <ol className="timeline">
      {PHASES.map((phase) => {
        const row = rows.find((one) => one.phase === phase)
        return (
          <li key={phase} className={row === undefined ? 'not-reached' : 'reached'} data-phase={phase}>
            <span className="phase">{phase}</span>
            <span className="offset">{row === undefined ? '' : `+${durationText(row.fromMs)}`}</span>
            <span className="track" aria-hidden="true">
              {row !== undefined && (
                <svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
                  <rect className={`bar bar-${phase}`} x={row.start} y="0" width={row.length} height="10" />
                </svg>
              )}
            </span>
            <span className="phase-words">
              {row === undefined ? (incident.state === 'open' ? 'not yet' : 'not told') : row.summary}
            </span>
          </li>
        )
      })}
    </ol>
  )
}
