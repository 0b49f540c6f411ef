/** What became of a client's writes around an incident, second by second: beneath its timeline. */
import type { ApiIncidentMeasured } from '@holdfast/client'
import { clockText, countText } from '../words.ts'

const WIDTH = 6
const HEIGHT = 70

export function AttemptBars({ measured }: { readonly measured: ApiIncidentMeasured }) {
  const { series } = measured
  if (series === null) return null
  const steps = series.acked.map((acked, at) => {
    return { acked, failed: series.failed[at] ?? 0, unknown: series.unknown[at] ?? 0 }
  })
  const most = Math.max(1, ...steps.map(({ acked, failed, unknown }) => acked + failed + unknown))
  const sum = (kind: 'acked' | 'failed' | 'unknown'): number => steps.reduce((all, step) => all + step[kind], 0)
  const endMs = series.fromMs + steps.length * series.stepMs
  const told = `${sum('acked')} acknowledged, ${sum('failed')} failed, ${sum('unknown')} without an answer`
  return (
    <figure className="chart attempts">
      <figcaption>
        Writes of a client, each {series.stepMs === 1_000 ? 'second' : countText(series.stepMs / 1_000, 'second')}
      </figcaption>
      <svg
        viewBox={`0 0 ${steps.length * WIDTH} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`From ${clockText(series.fromMs)} to ${clockText(endMs)}: ${told}`}
      >
        {steps.map((step, at) => {
          const scale = HEIGHT / most
          const [ok, bad, open] = [step.acked * scale, step.failed * scale, step.unknown * scale]
          const shape = { x: at * WIDTH + 0.5, width: WIDTH - 1 }
          const startMs = series.fromMs + at * series.stepMs
          return (
            <g key={startMs}>
              <rect className="attempt-ok" {...shape} y={HEIGHT - ok} height={ok} />
              <rect className="attempt-unknown" {...shape} y={HEIGHT - ok - open} height={open} />
              <rect className="attempt-failed" {...shape} y={HEIGHT - ok - open - bad} height={bad} />
            </g>
          )
        })}
      </svg>
      <p className="ends dim">
        <span>{clockText(series.fromMs)}</span>
        <span>{clockText(endMs)}</span>
      </p>
      <ul className="legend">
        <li>
          <span className="stroke mark-up" aria-hidden="true" />
          {sum('acked')} acknowledged
        </li>
        <li>
          <span className="stroke mark-down" aria-hidden="true" />
          {sum('failed')} failed
        </li>
        <li>
          <span className="stroke mark-unknown" aria-hidden="true" />
          {sum('unknown')} without an answer
        </li>
      </ul>
    </figure>
  )
}
