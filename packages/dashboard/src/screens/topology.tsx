/** Every group drawn by site, those in need first. */
import type { ApiGroup } from '@holdfast/client'
import type { Level } from '../level.ts'
import { useLive } from '../live/use-live.tsx'
import { Badge, Empty, TONE_OF } from '../parts/pieces.tsx'
import { Link } from '../place.tsx'
import { placeText, standingOf } from '../standing.ts'
import { drawnGroup, MANAGER_NAMES, sitesOf, supervisedStanding } from '../supervised.ts'
import { GroupMap } from '../topology/group-map.tsx'
import { OrderMap } from '../topology/order-map.tsx'
import { countText } from '../words.ts'

const ORDER: readonly Level[] = ['down', 'unknown', 'exposed', 'paused', 'watched', 'safe']

export function Topology() {
  const platform = useLive((state) => state.platform)
  if (platform === null) return null
  const rank = (group: ApiGroup): number => ORDER.indexOf(standingOf(group).level)
  const groups = platform.groups.toSorted((a, b) => rank(a) - rank(b) || a.group.localeCompare(b.group))
  const agents = platform.agents.filter(({ reachable }) => reachable).length
  return (
    <>
      <h1>Topology</h1>
      <p className="dim">
        {countText(platform.sites.length, 'site')}, {agents} of {countText(platform.agents.length, 'agent')} answer,
        leases in{' '}
        {platform.store.kind === 'etcd' ? 'etcd' : `the embedded store in ${platform.store.site ?? 'no site'}`}. An
        arrow leads from whom a copy follows to the copy.
      </p>
      {platform.services.map((service) => (
        <section className="section map-section" key={service.service} data-service={service.service}>
          <div className="section-head">
            <h2>
              <Link to={`/services/${service.service}`}>{service.service}</Link>
            </h2>
            <span className="dim">service, {placeText(service)}</span>
          </div>
          <OrderMap service={service} groups={groups} />
        </section>
      ))}
      {platform.supervised.map((group) => {
        const { level, word } = supervisedStanding(group)
        return (
          <section className="section map-section" key={group.group} data-group={group.group}>
            <div className="section-head">
              <h2>
                <Link to={`/groups/${group.group}`}>{group.group}</Link>
              </h2>
              <Badge tone={TONE_OF[level]}>{word}</Badge>
              <span className="dim">led by {MANAGER_NAMES[group.by]}; Holdfast promotes nobody here</span>
            </div>
            {group.members.length === 0 ? (
              <Empty>{group.verdict.because}</Empty>
            ) : (
              <GroupMap group={drawnGroup(group)} sites={sitesOf(group)} />
            )}
          </section>
        )
      })}
      {groups.length === 0 && platform.supervised.length === 0 && <Empty>No group is visible to you.</Empty>}
      {groups.map((group) => {
        const { level, word } = standingOf(group)
        return (
          <section className="section map-section" key={group.group} data-group={group.group}>
            <div className="section-head">
              <h2>
                <Link to={`/groups/${group.group}`}>{group.group}</Link>
              </h2>
              <Badge tone={TONE_OF[level]}>{word}</Badge>
              <span className="dim">
                epoch {group.epoch}, {group.phase}
              </span>
            </div>
            <GroupMap group={group} />
          </section>
        )
      })}
    </>
  )
}
