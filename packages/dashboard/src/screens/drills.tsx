/** Drills: what runs, what waits, each with its proof and its next time, the calendar, and the reports. */
import type { ApiDrill, ApiDrillOrder, ApiDrillScores, ApiDrills, ApiSession } from '@holdfast/client'
import { useState } from 'react'
import { useLive, useWallMs } from '../live/use-live.tsx'
import { phaseText } from '../parts/drill-bar.tsx'
import { EventList } from '../parts/event-list.tsx'
import { Badge, Empty, Section, TableBox, type Tone, TroubleBox } from '../parts/pieces.tsx'
import { StartDrillDialog } from '../parts/start-drill-dialog.tsx'
import { useAnswer } from '../parts/use-answer.ts'
import { useAsking } from '../parts/use-asking.ts'
import type { DrillsNow } from '../parts/use-drills.ts'
import { Link } from '../place.tsx'
import { mayOver } from '../rights.ts'
import { server } from '../server.ts'
import { agoText, dateText, durationText, momentText } from '../words.ts'

const REPORTS = 20
const CALENDAR = 14

export const OUTCOMES: Readonly<Record<string, Tone>> = {
  passed: 'good',
  failed: 'bad',
  unproved: 'bad',
  aborted: 'risk',
  refused: 'calm',
}

export function Drills({ session, drills }: { readonly session: ApiSession; readonly drills: DrillsNow }) {
  const turn = useLive((state) => state.drillsTurn)
  const scores = useAnswer('drillScores', {}, turn)
  const { value, trouble } = drills
  const [starting, setStarting] = useState<ApiDrill | null>(null)
  return (
    <>
      <h1>Drills</h1>
      <p className="lead">Planned faults, measured by a client, with signed reports.</p>
      {trouble !== null && <TroubleBox trouble={trouble} />}
      {value !== null && value.storeBecause !== '' && (
        <p className="note">What ran may be out of date: {value.storeBecause}</p>
      )}
      {value?.mistakes.map(({ file, line, what, right }) => (
        <p className="note" key={`${file} ${line} ${what}`}>
          {file}:{line}: {what}; right: {right}
        </p>
      ))}
      {value !== null && <Running drills={value} />}
      {value !== null && <Orders session={session} orders={value.orders} onDecided={drills.again} />}
      <Section title="Known drills">
        {value !== null && value.drills.length === 0 && (
          <Empty>
            None. Name their files in the description: <code>drills: [drills]</code>
          </Empty>
        )}
        {value !== null && value.drills.length > 0 && (
          <Known session={session} drills={value.drills} scores={scores.value} onStart={setStarting} />
        )}
      </Section>
      {value !== null && <Calendar drills={value.drills} />}
      <Reports turn={turn} />
      {starting !== null && (
        <StartDrillDialog
          drill={starting}
          onClose={() => {
            setStarting(null)
            drills.again()
          }}
        />
      )}
    </>
  )
}

const STEPS: readonly (readonly [string, readonly string[]])[] = [
  ['All is well', ['asking', 'checking', 'asking-fault']],
  ['Fault', ['faulting', 'faulted']],
  ['Fault ends', ['lifting']],
  ['Recovery', ['recovering']],
  ['Every record', ['measuring']],
]

function Running({ drills }: { readonly drills: ApiDrills }) {
  const events = useLive((state) => state.events)
  const wallMs = useWallMs()
  if (drills.active.length === 0) return null
  return (
    <Section title="Running now">
      {drills.active.map((one) => {
        const at = STEPS.findIndex(([, phases]) => phases.includes(one.phase))
        const lines = events.filter(({ kind, detail }) => kind === 'drill' && detail.id === one.id)
        return (
          <article key={one.id} className="card risk running" data-running={one.drill}>
            <header>
              <h3>
                {one.drill} of {one.group}
              </h3>
              <Badge tone="risk">{phaseText(one)}</Badge>
            </header>
            <ol className="drill-steps" aria-label="Progress">
              {STEPS.map(([title], index) => (
                <li
                  key={title}
                  className={index < at ? 'done' : index === at ? 'now' : ''}
                  aria-current={index === at ? 'step' : undefined}
                >
                  {title}
                </li>
              ))}
            </ol>
            <p className="dim">
              Asked by {one.by}, runs for {durationText(wallMs - one.startedMs)}
              {one.members.length > 0 && <>; the fault is done to {one.members.join(', ')}</>}
            </p>
            {lines.length > 0 && <EventList events={lines} />}
          </article>
        )
      })}
    </Section>
  )
}

function Orders({
  session,
  orders,
  onDecided,
}: {
  readonly session: ApiSession
  readonly orders: readonly ApiDrillOrder[]
  readonly onDecided: () => void
}) {
  const asking = useAsking()
  const decide = async (how: 'approveDrills' | 'rejectDrills', id: string): Promise<void> => {
    if ((await asking.run(() => server.ask(how, { params: { id }, body: {} }))) !== null) onDecided()
  }
  const open = orders.filter(({ state }) => state === 'waiting' || state === 'ready' || state === 'running')
  const over = orders.filter((one) => !open.includes(one)).slice(0, 5)
  if (open.length + over.length === 0) return null
  return (
    <Section title="Asked for">
      {asking.trouble !== null && <TroubleBox trouble={asking.trouble} />}
      <ul className="approvals">
        {[...open, ...over].map((order) => (
          <OrderItem key={order.id} order={order} session={session} busy={asking.busy} onDecide={decide} />
        ))}
      </ul>
    </Section>
  )
}

interface OrderItemProps {
  readonly order: ApiDrillOrder
  readonly session: ApiSession
  readonly busy: boolean
  readonly onDecide: (how: 'approveDrills' | 'rejectDrills', id: string) => Promise<void>
}

function OrderItem({ order, session, busy, onDecide }: OrderItemProps) {
  const wallMs = useWallMs()
  const services = useLive((state) => state.platform?.services)
  const own = order.by === session.user
  const able = order.drills.every(({ group }) => mayOver(session, 'approve', group, services))
  const waiting = order.state === 'waiting'
  return (
    <li className="approval" data-order={order.state}>
      <div>
        <strong>{order.title}</strong> <Badge tone={ORDER_TONES[order.state]}>{order.state}</Badge>
        <p className="dim">
          {order.by === 'schedule' ? 'By its schedule' : `Asked by ${order.by}`}, {agoText(wallMs - order.askedMs)}
          {order.decidedBy !== null && `; decided by ${order.decidedBy}`}
          {waiting && order.expiresMs !== null && `; ends by itself in ${durationText(order.expiresMs - wallMs)}`}
        </p>
        <p className="dim">
          {order.drills
            .map(({ drill, group, practice, outcome }) => {
              const where = practice ? 'on a copy' : 'live'
              return `${drill} of ${group}, ${where}${outcome === null ? '' : `: ${outcome}`}`
            })
            .join('; ')}
        </p>
        {order.because !== '' && <p>{order.because}</p>}
        {waiting && own && <p className="dim">You asked for it, so somebody else has to approve it.</p>}
      </div>
      {waiting && (
        <div className="buttons">
          {able && !own && (
            <button
              type="button"
              className="primary"
              disabled={busy}
              onClick={() => void onDecide('approveDrills', order.id)}
            >
              Approve
            </button>
          )}
          {(able || own) && (
            <button type="button" disabled={busy} onClick={() => void onDecide('rejectDrills', order.id)}>
              {own ? 'Withdraw' : 'Reject'}
            </button>
          )}
        </div>
      )}
    </li>
  )
}

const ORDER_TONES: Readonly<Record<ApiDrillOrder['state'], Tone>> = {
  waiting: 'risk',
  ready: 'calm',
  running: 'risk',
  ended: 'calm',
  rejected: 'calm',
  expired: 'calm',
  missed: 'bad',
}

const DUE_TONES: Readonly<Record<ApiDrill['due']['state'], Tone>> = {
  due: 'risk',
  overdue: 'bad',
  later: 'good',
  frozen: 'calm',
  unscheduled: 'calm',
}

interface KnownProps {
  readonly session: ApiSession
  readonly drills: readonly ApiDrill[]
  readonly scores: ApiDrillScores | null
  readonly onStart: (drill: ApiDrill) => void
}

function Known({ session, drills, scores, onStart }: KnownProps) {
  const wallMs = useWallMs()
  const services = useLive((state) => state.platform?.services)
  return (
    <>
      {scores !== null && <Scores scores={scores} />}
      <TableBox label="Known drills" stacked={true}>
        <thead>
          <tr>
            <th scope="col">Drill</th>
            <th scope="col">Group</th>
            <th scope="col">Fault</th>
            <th scope="col">Last run</th>
            <th scope="col">Due</th>
            <th scope="col">Run it</th>
          </tr>
        </thead>
        <tbody>
          {drills.map((one) => (
            <tr key={one.drill} data-drill={one.drill}>
              <th scope="row" data-label="Drill">
                {one.drill}
                {one.description !== '' && <span className="cell-note">{one.description}</span>}
              </th>
              <td data-label="Group">
                <Link to={`/groups/${one.group}`}>{one.group}</Link>
              </td>
              <td data-label="Fault">
                {one.fault}
                <span className="cell-note">{one.where === 'live' ? 'live' : 'on a copy unless asked otherwise'}</span>
              </td>
              <td data-label="Last run">
                {one.last === null ? (
                  'never'
                ) : (
                  <>
                    <Badge tone={OUTCOMES[one.last.outcome] ?? 'calm'}>{one.last.outcome}</Badge>{' '}
                    {one.last.seq === null ? (
                      agoText(wallMs - one.last.endedMs)
                    ) : (
                      <Link to={`/drills/${one.last.id}`}>{agoText(wallMs - one.last.endedMs)}</Link>
                    )}
                  </>
                )}
              </td>
              <td data-label="Due">
                <Badge tone={DUE_TONES[one.due.state]}>{one.due.state}</Badge>
                <span className="cell-note">
                  {one.due.nextMs === null ? one.due.because : momentText(one.due.nextMs)}
                </span>
              </td>
              <td data-label="Run it">
                {mayOver(session, 'operate', one.group, services) ? (
                  <button type="button" onClick={() => onStart(one)} aria-label={`Run ${one.drill}…`}>
                    Run…
                  </button>
                ) : (
                  <span className="dim">needs an operator</span>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </TableBox>
    </>
  )
}

function Scores({ scores }: { readonly scores: ApiDrillScores }) {
  const wallMs = useWallMs()
  return (
    <ul className="scores" aria-label="What the proof of each group is worth">
      {scores.groups.map(({ group, score, lastPassedDrill }) => (
        <li key={group} data-score={group}>
          <strong>{group}</strong> <span className="score">{score}</span>
          <span className="dim">
            {lastPassedDrill === null
              ? 'never proved'
              : `proved ${agoText(wallMs - lastPassedDrill.endedMs)} by ${lastPassedDrill.drill}`}
          </span>
        </li>
      ))}
    </ul>
  )
}

function Calendar({ drills }: { readonly drills: readonly ApiDrill[] }) {
  const scheduled = drills.filter(({ due }) => due.state !== 'unscheduled')
  if (scheduled.length === 0) return null
  const times = scheduled
    .flatMap(({ drill, group, due }) => due.times.map((time) => ({ drill, group, ...time })))
    .sort((a, b) => a.atMs - b.atMs)
    .slice(0, CALENDAR)
  const freezes = scheduled.flatMap(({ drill, freezes: own }) => own.map((one) => ({ drill, ...one })))
  return (
    <Section title="Calendar" aside={<span className="dim">times of this browser, the next 90 days</span>}>
      {times.length === 0 && <Empty>No time comes within 90 days.</Empty>}
      <ol className="calendar">
        {times.map(({ drill, group, atMs, frozen }) => (
          <li key={`${drill} ${atMs}`} className={frozen === null ? '' : 'frozen'}>
            <time dateTime={new Date(atMs).toISOString()}>{momentText(atMs)}</time>
            <span>
              {drill} of {group}
            </span>
            {frozen !== null && <Badge tone="calm">{frozen}</Badge>}
          </li>
        ))}
      </ol>
      {freezes.length > 0 && (
        <p className="dim">
          Freeze windows:{' '}
          {freezes
            .map(
              ({ drill, from, to, because }) =>
                `${drill} from ${from} to ${to}${because === '' ? '' : ` (${because})`}`,
            )
            .join('; ')}
        </p>
      )}
    </Section>
  )
}

function Reports({ turn }: { readonly turn: number }) {
  const { value, trouble } = useAnswer('drillReports', { query: { limit: REPORTS } }, turn)
  return (
    <Section title="Reports">
      {trouble !== null && <TroubleBox trouble={trouble} />}
      {value !== null && value.length === 0 && <Empty>None yet.</Empty>}
      {value !== null && value.length > 0 && (
        <TableBox label="Reports" stacked={true}>
          <thead>
            <tr>
              <th scope="col">Report</th>
              <th scope="col">Drill</th>
              <th scope="col">Outcome</th>
              <th scope="col" className="number">
                RTO
              </th>
              <th scope="col" className="number">
                RPO
              </th>
              <th scope="col">When</th>
            </tr>
          </thead>
          <tbody>
            {value.map((one) => (
              <tr key={one.id} data-report={one.id}>
                <th scope="row" data-label="Report">
                  <Link to={`/drills/${one.id}`}>
                    Report {one.seq}
                    {one.practice && ', practice'}
                  </Link>
                </th>
                <td data-label="Drill">
                  {one.drill} of {one.group}
                </td>
                <td data-label="Outcome">
                  <Badge tone={OUTCOMES[one.outcome] ?? 'calm'}>{one.outcome}</Badge>
                </td>
                <td data-label="RTO" className="number">
                  {one.measured === null ? '-' : durationText(one.measured.rtoMs)}
                </td>
                <td data-label="RPO" className="number">
                  {one.measured === null ? '-' : durationText(one.measured.rpoMs)}
                </td>
                <td data-label="When">{dateText(one.endedMs)}</td>
              </tr>
            ))}
          </tbody>
        </TableBox>
      )}
    </Section>
  )
}
