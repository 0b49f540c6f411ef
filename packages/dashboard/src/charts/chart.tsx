/** One chart by uPlot, fed with the newest minutes every second; its words come from the table beneath it. */
import { useEffect, useRef, useState } from 'react'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { aligned } from '../live/figures.ts'
import { useStore } from '../live/use-live.tsx'

export interface ChartLine {
  /** Name in the history of figures. */
  readonly track: string
  readonly label: string
}

interface ChartProps {
  readonly title: string
  readonly lines: readonly ChartLine[]
  readonly format: (value: number) => string
  /** Values jump; nothing lies between. */
  readonly steps?: boolean
  /** Default: bytes. */
  readonly unit?: Unit
  /** A line to stay below. */
  readonly limit?: { readonly label: string; readonly value: number } | null
}

type Unit = 'bytes' | 'ms'

const HEIGHT = 150
const REDRAW_MS = 1_000
/** Five that differ in brightness as well; more lines begin anew with a dash. */
const COLOURS = 5

export function Chart({ title, lines, format, steps = false, unit = 'bytes', limit = null }: ChartProps) {
  const store = useStore()
  const box = useRef<HTMLDivElement>(null)
  const [now, setNow] = useState<readonly (number | null)[]>([])
  const form = useRef(format)
  form.current = format
  useEffect(() => {
    const place = box.current
    if (place === null) return
    const data = (): uPlot.AlignedData => {
      const columns = aligned(lines.map(({ track }) => store.figures.track(track)))
      const level = limit === null ? [] : [(columns[0] ?? []).map(() => limit.value)]
      return [...columns, ...level] as uPlot.AlignedData
    }
    const make = (): uPlot => {
      const options = optionsOf({ place, lines, steps, unit, limit, format: (value) => form.current(value) })
      return new uPlot(options, data(), place)
    }
    let plot = make()
    const draw = (): void => {
      if (document.hidden) return
      plot.setData(data())
      setNow(lines.map(({ track }) => store.figures.track(track).values.at(-1) ?? null))
    }
    draw()
    const timer = setInterval(draw, REDRAW_MS)
    const size = new ResizeObserver(() => plot.setSize({ width: place.clientWidth, height: HEIGHT }))
    size.observe(place)
    const stopColours = onColours(() => {
      plot.destroy()
      plot = make()
    })
    return () => {
      clearInterval(timer)
      size.disconnect()
      stopColours()
      plot.destroy()
    }
  }, [store, lines, steps, unit, limit])
  const told = lines.map(({ label }, index) => {
    const value = now[index] ?? null
    return `${label} ${value === null ? 'not known' : format(value)}`
  })
  return (
    <figure className="chart">
      <figcaption>{title}</figcaption>
      <div ref={box} className="plot" role="img" aria-label={`${title}: now ${told.join(', ')}`} />
      <ul className="legend">
        {lines.map(({ label }, index) => (
          <li key={label}>
            <span className={`stroke stroke-${index % COLOURS}`} aria-hidden="true" />
            {told[index]}
          </li>
        ))}
        {limit !== null && (
          <li>
            <span className="stroke stroke-limit" aria-hidden="true" />
            {limit.label} {format(limit.value)}
          </li>
        )}
      </ul>
    </figure>
  )
}

interface Drawing {
  readonly place: HTMLElement
  readonly lines: readonly ChartLine[]
  readonly steps: boolean
  readonly unit: Unit
  readonly limit: { readonly value: number } | null
  readonly format: (value: number) => string
}

function optionsOf({ place, lines, steps, unit, limit, format }: Drawing): uPlot.Options {
  const colour = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim()
  const ink = colour('--dim')
  const grid = { stroke: colour('--line'), width: 1 }
  const stepped = steps && uPlot.paths.stepped !== undefined ? { paths: uPlot.paths.stepped({ align: 1 }) } : {}
  return {
    width: place.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    scales: { y: { range: (_, __, max) => [0, steps ? 1.2 : Math.max(max ?? 0, FLOOR[unit]) * 1.1] } },
    axes: [
      { stroke: ink, grid, ticks: grid, space: 90, values: '{HH}:{mm}:{ss}', font: '11px system-ui, sans-serif' },
      {
        stroke: ink,
        grid,
        ticks: grid,
        size: 68,
        font: '11px system-ui, sans-serif',
        ...(steps ? { splits: () => [0, 1] } : { incrs: STEPS[unit] }),
        values: (_, splits) => splits.map(format),
      },
    ],
    series: [
      {},
      ...lines.map((_, index) => ({
        ...stepped,
        stroke: colour(`--stroke-${index % COLOURS}`),
        width: 2,
        points: { show: false },
        ...(index >= COLOURS ? { dash: [6, 3] } : {}),
      })),
      ...(limit === null ? [] : [{ stroke: colour('--bad'), width: 1, dash: [2, 3], points: { show: false } }]),
    ],
  }
}

/** Round numbers: of bytes, and of milliseconds up to hours. */
const STEPS: Readonly<Record<Unit, number[]>> = {
  bytes: Array.from({ length: 44 }, (_, power) => 2 ** power),
  ms: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 300_000, 600_000, 3_600_000],
}
/** A chart of nothing is not drawn as a mountain. */
const FLOOR: Readonly<Record<Unit, number>> = { bytes: 1_024, ms: 20 }

function onColours(redraw: () => void): () => void {
  const system = window.matchMedia('(prefers-color-scheme: dark)')
  system.addEventListener('change', redraw)
  const chosen = new MutationObserver(redraw)
  chosen.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] })
  return () => {
    system.removeEventListener('change', redraw)
    chosen.disconnect()
  }
}
