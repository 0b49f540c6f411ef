/** What happened, newest first: when, where, what, with the decision's own numbers. */
import type { ApiEvent } from '@holdfast/client'
import { Link } from '../place.tsx'
import { clockText, detailText, momentText } from '../words.ts'
import { Shape, type Tone } from './pieces.tsx'

const TONES: Readonly<Record<ApiEvent['severity'], Tone>> = {
  info: 'calm',
  notice: 'calm',
  warning: 'risk',
  critical: 'bad',
}

export function EventList({ events }: { readonly events: readonly ApiEvent[] }) {
  return (
    <ol className="events">
      {events.map((event) => (
        <li key={event.number}>
          <Shape tone={TONES[event.severity]} />
          <time dateTime={new Date(event.wallMs).toISOString()} title={momentText(event.wallMs)}>
            {clockText(event.wallMs)}
          </time>
          <span className="event-words">
            {event.group !== null && <Link to={`/groups/${event.group}`}>{event.group}</Link>}
            {event.member !== null && <span className="mono">{event.member}</span>}
            <span>{wordsOf(event)}</span>
            {event.rule !== null && <span className="rule">{event.rule}</span>}
          </span>
          <span className="dim source">{event.source}</span>
        </li>
      ))}
    </ol>
  )
}

/** A decision's numbers with their units; everything else speaks for itself. */
function wordsOf({ kind, code, summary, detail }: ApiEvent): string {
  if (kind !== 'reason' || code.startsWith('HF_')) return summary
  const numbers = detailText(detail)
  return numbers === '' ? code.replaceAll('-', ' ') : `${code.replaceAll('-', ' ')}: ${numbers}`
}
