/** What clients of one group see: availability, outages, how stale each replica is, and what would be lost. */
import type { ApiCanary, ApiGroup } from '@holdfast/client'
import { CanaryCharts } from '../charts/canary-charts.tsx'
import { useLive, useWallMs } from '../live/use-live.tsx'
import { availabilityText, windowText } from '../measured.ts'
import { Link } from '../place.tsx'
import { bytesText, durationText, momentText } from '../words.ts'
import { MinuteStrip } from './minute-strip.tsx'
import { Empty, Section, TableBox, TroubleBox } from './pieces.tsx'
import { useAnswer } from './use-answer.ts'

const ASK_MS = 5_000
const OUTAGES_SHOWN = 8

export function GroupCanary({ group }: { readonly group: ApiGroup }) {
  const wallMs = useWallMs()
  const objectives = useLive((state) => state.platform?.services.find(({ groups }) => groups.includes(group.group)))
  const asked = useAnswer('groupCanary', { params: { group: group.group } }, Math.floor(wallMs / ASK_MS))
  const { value: canary, trouble } = asked
  return (
    <Section title="What clients see">
      {trouble !== null && <TroubleBox trouble={trouble} />}
      {canary?.now === null && <Empty>Not measured: {canary.because}</Empty>}
      {canary?.now != null && (
        <>
          <Figures canary={canary} rtoMs={objectives?.rtoMs ?? null} />
          <CanaryCharts group={group} rpoMs={objectives?.rpoMs ?? null} />
          <MinuteStrip minutes={canary.minutes} wallMs={wallMs} />
          <Replicas canary={canary} />
        </>
      )}
      {canary !== null && canary.outages.length > 0 && <Outages canary={canary} />}
    </Section>
  )
}

function Figures({ canary, rtoMs }: { readonly canary: ApiCanary; readonly rtoMs: number | null }) {
  const { now, because } = canary
  if (now === null) return null
  const served = { up: 'served', down: 'NOT served', starting: 'just begun', unmeasured: 'not measured' } as const
  const longest = Math.max(0, ...canary.outages.map(({ ms }) => ms))
  const kept = longest === 0 ? 'none on record' : durationText(longest)
  const rows: (readonly [string, string, string])[] = [
    [
      'Writes now',
      served[now.writes.condition],
      because !== ''
        ? because
        : now.outage === null
          ? `by the ${now.writes.via}`
          : `for ${durationText(now.outage.forMs)}`,
    ],
    [
      'Reads now',
      served[now.reads.condition],
      now.reads.because !== '' ? now.reads.because : `by the ${now.reads.via}`,
    ],
    ...canary.availability.map((one) => [`Writes, ${windowText(one)}`, ...availabilityText(one)] as const),
    [
      'Longest outage',
      kept,
      rtoMs === null ? '' : `objective: back within ${durationText(rtoMs)}, ${longest <= rtoMs ? 'kept' : 'BROKEN'}`,
    ],
    [
      'Acknowledged and lost',
      now.checkedMsAgo === null ? 'not known yet' : `${now.lost} records`,
      now.checkedMsAgo === null ? '' : `looked through the primary ${durationText(now.checkedMsAgo)} ago`,
    ],
  ]
  return (
    <dl className="facts">
      {rows.map(([name, value, more]) => (
        <div className="fact" key={name}>
          <dt>{name}</dt>
          <dd>
            <strong>{value}</strong>
            {more !== '' && <span className="dim">{more}</span>}
          </dd>
        </div>
      ))}
    </dl>
  )
}

function Replicas({ canary }: { readonly canary: ApiCanary }) {
  return (
    <TableBox label="How stale each replica is" stacked>
      <thead>
        <tr>
          <th scope="col">Replica</th>
          <th scope="col">Site</th>
          <th scope="col" className="number">
            Stale, at least
          </th>
          <th scope="col" className="number">
            at most
          </th>
          <th scope="col" className="number">
            Records it lacks
          </th>
          <th scope="col" className="number">
            Predicted by counters
          </th>
        </tr>
      </thead>
      <tbody>
        {canary.now?.replicas.map((one) => (
          <tr key={one.member} data-replica={one.member}>
            <th scope="row">{one.member}</th>
            <td data-label="Site">{one.site}</td>
            <td className="number" data-label="Stale, at least">
              {one.lacksMs === null ? one.because || 'not known' : durationText(one.lacksMs)}
            </td>
            <td className="number" data-label="at most">
              {one.ageMs === null ? 'not known' : durationText(one.ageMs)}
            </td>
            <td className="number" data-label="Records it lacks">
              {one.lacks ?? 'not known'}
            </td>
            <td className="number" data-label="Predicted by counters">
              {one.lagBytesPredicted === null ? 'not known' : bytesText(one.lagBytesPredicted)}
            </td>
          </tr>
        ))}
      </tbody>
    </TableBox>
  )
}

function Outages({ canary }: { readonly canary: ApiCanary }) {
  return (
    <TableBox label="Outages as clients saw them" stacked>
      <thead>
        <tr>
          <th scope="col">Outage</th>
          <th scope="col" className="number">
            Without writes
          </th>
          <th scope="col" className="number">
            Failed
          </th>
          <th scope="col" className="number">
            Without an answer
          </th>
          <th scope="col">Incident</th>
        </tr>
      </thead>
      <tbody>
        {canary.outages.slice(0, OUTAGES_SHOWN).map((one) => (
          <tr key={one.id}>
            <th scope="row">{momentText(one.fromMs)}</th>
            <td className="number" data-label="Without writes">
              {durationText(one.ms)}
            </td>
            <td className="number" data-label="Failed">
              {one.failed}
            </td>
            <td className="number" data-label="Without an answer">
              {one.unknown}
            </td>
            <td data-label="Incident">
              {one.incident === null ? (
                'none: the agents saw a writer'
              ) : (
                <Link to={`/incidents/${one.incident}`}>open it</Link>
              )}
            </td>
          </tr>
        ))}
      </tbody>
    </TableBox>
  )
}
