/** One group drawn by site: the one writer, who follows whom and how far behind, and where the leases are kept. */
import type { ApiGroup } from '@holdfast/client'
import { useLayoutEffect, useRef, useState } from 'react'
import { useLive } from '../live/use-live.tsx'
import { durationText } from '../words.ts'
import { type Arrow, type Layout, layoutOf, type MemberBox, type SiteBox } from './layout.ts'

const FIRST_WIDTH = 800

interface GroupMapProps {
  readonly group: ApiGroup
  /** Instead of the platform's; then no store is drawn either: others keep the lease. */
  readonly sites?: readonly { readonly site: string; readonly witness: boolean }[]
}

export function GroupMap({ group, sites }: GroupMapProps) {
  const platform = useLive((state) => state.platform)
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
  if (platform === null) return null
  const ground =
    sites === undefined ? { sites: platform.sites, storeSite: platform.store.site } : { sites, storeSite: null }
  const layout = layoutOf(group, { ...ground, width })
  return (
    <div ref={box} className="map">
      <svg width={layout.width} height={layout.height} role="img" aria-label={spoken(group, layout)}>
        {layout.sites.map((site) => (
          <Site key={site.site} site={site} storeKind={platform.store.kind} />
        ))}
        {layout.arrows.map((arrow) => (
          <ArrowLine key={`${arrow.from} ${arrow.to}`} arrow={arrow} />
        ))}
        {layout.members.map((one) => (
          <Member key={one.member.member} box={one} group={group} />
        ))}
        {layout.arrows.map((arrow) => (
          <ArrowLabel key={`${arrow.from} ${arrow.to}`} arrow={arrow} />
        ))}
      </svg>
    </div>
  )
}

function spoken(group: ApiGroup, layout: Layout): string {
  const primaries = group.members.filter(({ role }) => role === 'primary').map(({ member }) => member)
  const leads = primaries.length === 0 ? 'nobody writes' : `${primaries.join(' and ')} primary`
  const writer = group.writer === null ? leads : `${group.writer} writes`
  const arrows = layout.arrows.map(({ from, to, label }) => `${to} follows ${from}, ${label}`)
  const places = layout.sites.map((site) => {
    const inside = layout.members.filter(({ member }) => member.site === site.site).map(({ member }) => member.member)
    return `site ${site.site}: ${inside.length === 0 ? 'no members' : inside.join(', ')}`
  })
  return `${group.group}: ${[writer, `epoch ${group.epoch}`, ...arrows, ...places].join('; ')}`
}

function Site({ site, storeKind }: { readonly site: SiteBox; readonly storeKind: string }) {
  const { store } = site
  return (
    <g className="site">
      <rect x={site.x} y={site.y} width={site.width} height={site.height} rx="10" />
      <text x={site.x + 14} y={site.y + 22}>
        {site.site}
        {site.witness ? ' (witness)' : ''}
      </text>
      {store !== null && (
        <g className="store">
          <rect x={store.x} y={store.y} width={store.width} height={store.height} rx="6" />
          <text x={store.x + 12} y={store.y + 25} className="name">
            store of leases
          </text>
          <text x={store.x + 12} y={store.y + 45}>
            {storeKind}
          </text>
        </g>
      )}
    </g>
  )
}

function Member({ box, group }: { readonly box: MemberBox; readonly group: ApiGroup }) {
  const { member, writes, x, y, width, height } = box
  const well = member.answering || writes
  const kind = writes ? 'writes' : !well ? 'gone' : member.streaming || member.role === 'primary' ? 'copies' : 'idle'
  const second = writes
    ? `writes, epoch ${group.epoch}, lease ${durationText(group.ttlMs)}`
    : `${member.role}, ${member.state}`
  return (
    <g className={`member ${kind}`} data-map-member={member.member} data-writes={writes ? 'yes' : 'no'}>
      <rect x={x} y={y} width={width} height={height} rx="6" />
      {writes && <rect className="edge" x={x} y={y} width="5" height={height} rx="2.5" />}
      <text x={x + 14} y={y + 25} className="name">
        {member.member}
      </text>
      <text x={x + 14} y={y + 46}>
        {second}
      </text>
    </g>
  )
}

function ArrowLine({ arrow }: { readonly arrow: Arrow }) {
  const id = `tip-${arrow.from}-${arrow.to}`
  return (
    <g className={arrow.flows ? 'arrow flows' : 'arrow broken'}>
      <defs>
        <marker id={id} viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
          <path d="M0 0L8 4L0 8Z" />
        </marker>
      </defs>
      <path className="line" d={arrow.path} markerEnd={`url(#${id})`} />
    </g>
  )
}

const LETTER = 6.6

function ArrowLabel({ arrow: { label, labelAt, flows } }: { readonly arrow: Arrow }) {
  const width = label.length * LETTER + 14
  return (
    <g className={flows ? 'arrow-label' : 'arrow-label broken'}>
      <rect x={labelAt.x - width / 2} y={labelAt.y - 11} width={width} height="22" rx="11" />
      <text x={labelAt.x} y={labelAt.y + 4} textAnchor="middle">
        {label}
      </text>
    </g>
  )
}
