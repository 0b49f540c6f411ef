/** Acknowledged writes over time, with the fault behind them; a drawing made of numbers alone. */

import type { DrillReport } from './report.ts'
import { durationText } from './words.ts'

const WIDTH = 720
const HEIGHT = 160
const LEFT = 48
const BOTTOM = 24
const TOP = 8

export function chart({ rate, faultProof }: DrillReport): string {
  const { stepMs, acked } = rate
  const steps = Math.max(1, acked.length)
  const totalMs = steps * stepMs
  const most = Math.max(1, ...acked)
  const x = (ms: number): number => LEFT + (Math.min(ms, totalMs) / totalMs) * (WIDTH - LEFT)
  const width = (WIDTH - LEFT) / steps
  const bars = acked.map((count, index) => {
    if (count === 0) return ''
    const height = (count / most) * (HEIGHT - BOTTOM - TOP)
    const at = LEFT + index * width
    const box = { x: at, y: HEIGHT - BOTTOM - height, width: Math.max(0.5, width - 0.4), height }
    return rect('bar', box)
  })
  const { askedMs, goneMs } = faultProof
  const on =
    askedMs === null
      ? ''
      : rect('fault', {
          x: x(askedMs),
          y: TOP,
          width: Math.max(2, x(goneMs ?? totalMs) - x(askedMs)),
          height: HEIGHT - BOTTOM - TOP,
        })
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => {
    const anchor = share === 0 ? 'start' : share === 1 ? 'end' : 'middle'
    const at = share * totalMs
    return `<text x="${f(x(at))}" y="${HEIGHT - 6}" text-anchor="${anchor}">+${durationText(at)}</text>`
  })
  const perSecond = Math.round((most * 1_000) / stepMs)
  const words = `Acknowledged writes per second from the start of the drill; at most ${perSecond}. The fault is shaded.`
  return `<figure>
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${words}">
${on}
${bars.join('')}
<line class="axis" x1="${LEFT}" y1="${HEIGHT - BOTTOM}" x2="${WIDTH}" y2="${HEIGHT - BOTTOM}"/>
<text x="${LEFT - 6}" y="${TOP + 8}" text-anchor="end">${perSecond}/s</text>
<text x="${LEFT - 6}" y="${HEIGHT - BOTTOM}" text-anchor="end">0</text>
${ticks.join('')}
</svg>
<figcaption>${words}</figcaption>
</figure>`
}

function f(value: number): string {
  return value.toFixed(1)
}

function rect(name: string, box: { x: number; y: number; width: number; height: number }): string {
  const { x, y, width, height } = box
  return `<rect class="${name}" x="${f(x)}" y="${f(y)}" width="${f(width)}" height="${f(height)}"/>`
}
