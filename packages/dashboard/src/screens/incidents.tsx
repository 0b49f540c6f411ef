/** Failovers, switchovers and outages, newest first. */
import { useLive, useWallMs } from '../live/use-live.tsx'
import { Badge, Empty, TableBox } from '../parts/pieces.tsx'
import { Link } from '../place.tsx'
import { durationText, momentText } from '../words.ts'

export function Incidents() {
  const incidents = useLive((state) => state.incidents)
  const wallMs = useWallMs()
  return (
    <>
      <h1>Incidents</h1>
      {incidents.length === 0 ? (
        <Empty>None yet. A failover, a switchover or an outage opens one by itself.</Empty>
      ) : (
        <TableBox label="Incidents">
          <thead>
            <tr>
              <th scope="col">When</th>
              <th scope="col">Group</th>
              <th scope="col">What</th>
              <th scope="col">From, to</th>
              <th scope="col" className="number">
                Without writes
              </th>
              <th scope="col" className="number">
                Until healthy
              </th>
              <th scope="col">State</th>
            </tr>
          </thead>
          <tbody>
            {incidents.map((one) => (
              <tr key={one.id} data-incident={one.id}>
                <th scope="row">
                  <Link to={`/incidents/${one.id}`}>{momentText(one.openedMs)}</Link>
                </th>
                <td>
                  <Link to={`/groups/${one.group}`}>{one.group}</Link>
                </td>
                <td>{one.kind}</td>
                <td className="mono">
                  {one.from ?? 'nobody'} → {one.to ?? '?'}
                </td>
                <td className="number">{one.writeGapMs === null ? 'not seen' : durationText(one.writeGapMs)}</td>
                <td className="number">{durationText((one.closedMs ?? wallMs) - one.openedMs)}</td>
                <td>{one.state === 'open' ? <Badge tone="bad">open</Badge> : <Badge tone="good">closed</Badge>}</td>
              </tr>
            ))}
          </tbody>
        </TableBox>
      )}
    </>
  )
}
