/** Alerts: what fires and what to do first, who has it in hand, what is silenced, which channel fails, what was. */
import type { ApiAlerts, ApiSession } from '@holdfast/client'
import { useState } from 'react'
import { useLive, useWallMs } from '../live/use-live.tsx'
import { EventList } from '../parts/event-list.tsx'
import { Badge, Empty, Section, type Tone, TroubleBox } from '../parts/pieces.tsx'
import { SilenceDialog } from '../parts/silence-dialog.tsx'
import { useAnswer } from '../parts/use-answer.ts'
import { type Asking, useAsking } from '../parts/use-asking.ts'
import { may, mayOver } from '../rights.ts'
import { server } from '../server.ts'
import { agoText, durationText, momentText } from '../words.ts'

const PAST = 50

type Alert = ApiAlerts['alerts'][number]

const TONES: Readonly<Record<Alert['severity'], Tone>> = { critical: 'bad', warning: 'risk', info: 'calm' }

export function Alerts({ session }: { readonly session: ApiSession }) {
  const turn = useLive((state) => state.alertsTurn)
  const { value, trouble, again } = useAnswer('alerts', {}, turn)
  const past = useAnswer('events', { query: { kind: 'alert', limit: PAST } }, turn)
  const [silencing, setSilencing] = useState<Readonly<Record<string, string>> | null>(null)
  const asking = useAsking()
  const operates = may(session, 'operate')
  return (
    <>
      <h1>Alerts</h1>
      {trouble !== null && <TroubleBox trouble={trouble} />}
      {asking.trouble !== null && <TroubleBox trouble={asking.trouble} />}
      {value !== null && !value.running && <p className="note">Nobody looks just now: {value.because}</p>}
      {value?.running === true && value.channels.length === 0 && (
        <p className="note">Nobody is told: the description has no channels. What fires is shown here all the same.</p>
      )}
      {value?.failing.map(({ channel, scope, because }) => (
        <p className="note" key={`${channel} ${scope}`}>
          Channel {channel} could not be told of {scope}: {because}
        </p>
      ))}
      <Section
        title="Firing"
        aside={
          operates && (
            <button type="button" onClick={() => setSilencing({})}>
              Silence…
            </button>
          )
        }
      >
        {value !== null && value.alerts.length === 0 && <Empty>Nothing fires.</Empty>}
        <ul className="approvals">
          {value?.alerts.map((alert) => (
            <Firing
              key={alert.id}
              alert={alert}
              session={session}
              asking={asking}
              onDone={again}
              onSilence={operates ? setSilencing : null}
            />
          ))}
        </ul>
      </Section>
      <Silences value={value} operates={operates} asking={asking} onDone={again} />
      <Section title="Lately">
        {past.value !== null && past.value.events.length === 0 && <Empty>None yet.</Empty>}
        {past.value !== null && <EventList events={past.value.events} />}
      </Section>
      {silencing !== null && (
        <SilenceDialog
          matchers={silencing}
          onClose={() => {
            setSilencing(null)
            again()
          }}
        />
      )}
    </>
  )
}

interface FiringProps {
  readonly alert: Alert
  readonly session: ApiSession
  readonly asking: Asking
  readonly onDone: () => void
  readonly onSilence: ((matchers: Readonly<Record<string, string>>) => void) | null
}

function Firing({ alert, session, asking, onDone, onSilence }: FiringProps) {
  const wallMs = useWallMs()
  const services = useLive((state) => state.platform?.services)
  const { id, rule, severity, summary, next, labels, acknowledgedBy, quiet, runbook } = alert
  const { group } = labels
  const able = group === undefined ? may(session, 'operate') : mayOver(session, 'operate', group, services)
  const take = async (): Promise<void> => {
    if ((await asking.run(() => server.ask('acknowledge', { params: { id }, body: {} }))) !== null) onDone()
  }
  return (
    <li className={severity === 'critical' ? 'approval risky' : 'approval'} data-alert={rule}>
      <div>
        <Badge tone={TONES[severity]}>{severity}</Badge> <strong>{summary}</strong>
        <p>Next: {next}</p>
        <p className="dim">
          {rule}, since {momentText(alert.sinceMs)} ({agoText(wallMs - alert.sinceMs)});{' '}
          {acknowledgedBy === null ? quiet || 'open' : `in the hands of ${acknowledgedBy}`}. Runbook:{' '}
          {/^https?:/.test(runbook) ? <a href={runbook}>{rule}</a> : <code>{runbook}</code>}
        </p>
      </div>
      <div className="buttons">
        {able && acknowledgedBy === null && (
          <button type="button" className="primary" disabled={asking.busy} onClick={() => void take()}>
            I have it
          </button>
        )}
        {onSilence !== null && (
          <button type="button" onClick={() => onSilence({ rule, ...(group === undefined ? {} : { group }) })}>
            Silence…
          </button>
        )}
      </div>
    </li>
  )
}

interface SilencesProps {
  readonly value: ApiAlerts | null
  readonly operates: boolean
  readonly asking: Asking
  readonly onDone: () => void
}

function Silences({ value, operates, asking, onDone }: SilencesProps) {
  const wallMs = useWallMs()
  if (value === null || value.silences.length === 0) return null
  const end = async (id: string): Promise<void> => {
    if ((await asking.run(() => server.ask('endSilence', { params: { id }, body: {} }))) !== null) onDone()
  }
  return (
    <Section title="Silenced">
      <ul className="approvals">
        {value.silences.map(({ id, matchers, by, because, endsMs }) => (
          <li key={id} className="approval" data-silence={id}>
            <div>
              <strong>
                {Object.entries(matchers)
                  .map(([name, text]) => `${name}=${text}`)
                  .join(' ')}
              </strong>
              <p className="dim">
                {because}; by {by}, {durationText(Math.max(0, endsMs - wallMs))} left
              </p>
            </div>
            {operates && (
              <div className="buttons">
                <button type="button" disabled={asking.busy} onClick={() => void end(id)}>
                  End it
                </button>
              </div>
            )}
          </li>
        ))}
      </ul>
    </Section>
  )
}
