/** The last hour, a bar a minute: how much of the measured time writes were served. */
import type { ApiCanary } from '@holdfast/client'
import { clockText, countText, durationText } from '../words.ts'

type Minute = ApiCanary['minutes'][number]

const MINUTE_MS = 60_000
const MINUTES = 60
const WIDTH = 10
const HEIGHT = 36
/** So that a second without writes in a minute is seen. */
const DOWN_MIN = 8

export function MinuteStrip({ minutes, wallMs }: { readonly minutes: readonly Minute[]; readonly wallMs: number }) {
  const newest = Math.floor(wallMs / MINUTE_MS) * MINUTE_MS
  const slots = Array.from({ length: MINUTES }, (_, at) => newest - (MINUTES - 1 - at) * MINUTE_MS)
  const down = minutes.filter(({ downMs }) => downMs > 0)
  const lastAt = clockText(down.at(-1)?.startMs ?? 0)
  const label =
    down.length === 0
      ? 'No outage in the last hour, as far as it was measured'
      : `${countText(down.length, 'minute')} with an outage in the last hour, the last at ${lastAt}`
  return (
    <figure className="chart minutes">
      <figcaption>Writes served, minute by minute, last hour</figcaption>
      <svg viewBox={`0 0 ${MINUTES * WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={label}>
        {slots.map((startMs, at) => (
          <Bar key={startMs} minute={minutes.find((one) => one.startMs === startMs) ?? null} x={at * WIDTH} />
        ))}
      </svg>
      <ul className="legend">
        <li>
          <span className="stroke mark-up" aria-hidden="true" />
          served
        </li>
        <li>
          <span className="stroke mark-down" aria-hidden="true" />
          not served: {durationText(down.reduce((sum, { downMs }) => sum + downMs, 0))}
        </li>
        <li>
          <span className="stroke mark-blind" aria-hidden="true" />
          not measured
        </li>
      </ul>
    </figure>
  )
}

function Bar({ minute, x }: { readonly minute: Minute | null; readonly x: number }) {
  const shape = { x: x + 1, width: WIDTH - 2 }
  const measured = minute !== null && (minute.acked > 0 || minute.downMs > 0)
  if (!measured) return <rect className="minute-blind" {...shape} y={HEIGHT - 4} height={4} />
  const lost = minute.downMs === 0 ? 0 : Math.max(DOWN_MIN, (HEIGHT * minute.downMs) / MINUTE_MS)
  const height = Math.min(HEIGHT, lost)
  return (
    <>
      <rect className="minute-up" {...shape} y={0} height={HEIGHT - height} />
      {height > 0 && <rect className="minute-down" {...shape} y={HEIGHT - height} height={height} />}
    </>
  )
}
