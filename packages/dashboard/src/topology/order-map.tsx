/** The order of a service as a graph: what must be up before what, and where each group is led. */
import type { ApiGroup, ApiService } from '@holdfast/client'
import { useLayoutEffect, useRef, useState } from 'react'
import { standingOf } from '../standing.ts'
import { orderLayout } from './order-layout.ts'

const FIRST_WIDTH = 800
const TONES = {
  safe: 'copies',
  exposed: 'idle',
  paused: 'idle',
  watched: 'copies',
  down: 'gone',
  unknown: 'gone',
} as const

export function OrderMap({ service, groups }: { readonly service: ApiService; readonly groups: readonly ApiGroup[] }) {
  const box = useRef<HTMLDivElement>(null)
  const [width, setWidth] = useState(FIRST_WIDTH)
  useLayoutEffect(() => {
    const place = box.current
    if (place === null) return
    setWidth(place.clientWidth)
    const size = new ResizeObserver(() => setWidth(place.clientWidth))
    size.observe(place)
    return () => size.disconnect()
  }, [])
  const layout = orderLayout(service.places, width)
  const tip = `order-tip-${service.service}`
  return (
    <div ref={box} className="map">
      <svg width={layout.width} height={layout.height} role="img" aria-label={spoken(service)}>
        <g className="arrow">
          <defs>
            <marker id={tip} viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
              <path d="M0 0L8 4L0 8Z" />
            </marker>
          </defs>
        </g>
        {layout.arrows.map(({ from, to, path }) => (
          <g key={`${from} ${to}`} className="arrow flows">
            <path className="line" d={path} markerEnd={`url(#${tip})`} />
          </g>
        ))}
        {layout.boxes.map(({ group, needs, x, y, width: wide, height }) => {
          const found = groups.find((one) => one.group === group)
          const site = service.places.find((place) => place.group === group)?.site ?? null
          const standing = found === undefined ? null : standingOf(found)
          return (
            <g key={group} className={`member ${standing === null ? 'gone' : TONES[standing.level]}`}>
              <rect x={x} y={y} width={wide} height={height} rx="6" />
              <text x={x + 14} y={y + 26} className="name">
                {group}
              </text>
              <text x={x + 14} y={y + 47}>
                {standing?.word ?? 'Unknown'}, {site === null ? 'nobody leads' : `led in ${site}`}
              </text>
              {needs.length > 0 && (
                <text x={x + 14} y={y + 67}>
                  after {needs.join(', ')}
                </text>
              )}
            </g>
          )
        })}
      </svg>
    </div>
  )
}

function spoken({ service, places }: ApiService): string {
  const each = places.map(({ group, site, after }) => {
    const where = site === null ? 'has no primary' : `is led in ${site}`
    return `${group} ${where}${after.length === 0 ? '' : `, after ${after.join(' and ')}`}`
  })
  return `order of ${service}: ${each.join('; ')}`
}
