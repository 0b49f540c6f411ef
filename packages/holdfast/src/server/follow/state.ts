/** What the agents say, in the words of the API. Pure: sightings and the description in, groups and agents out. */
import type { AgentStatus, ApiAgent, ApiGroup, ApiLoss, ApiMember } from '@holdfast/client'
import { type AgentView, type GroupView, groupView } from '../../cli/status-view.ts'
import type { GroupMember, GroupSpec, Platform } from '../../config/platform.ts'
import { bytesText } from '../../config/quantities.ts'
import type { Sighting } from './agent-follower.ts'

export type Sightings = ReadonlyMap<string, Sighting>

export function agentOf(platform: Platform, name: string, sightings: Sightings): ApiAgent {
  const site = platform.agents.find((agent) => agent.name === name)?.site ?? ''
  const sighting = sightings.get(name)
  const status = sighting?.status ?? null
  return {
    agent: name,
    site,
    version: status?.version ?? null,
    reachable: status !== null,
    because: status === null ? (sighting?.because ?? 'not asked yet') : '',
    loopAgeMs: status?.loopAgeMs ?? null,
    store: status?.store ?? null,
    guardAlive: status?.guard.alive ?? null,
  }
}

export function groupOf(platform: Platform, group: GroupSpec, sightings: Sightings, incident: string | null): ApiGroup {
  const near = [...new Set(group.members.map(({ agent }) => agent))].map((name): AgentView => {
    const { site, because } = agentOf(platform, name, sightings)
    return { agent: name, site, status: sightings.get(name)?.status ?? null, because }
  })
  const view = groupView(group, near)
  const { record } = view
  const members = group.members.map((member) => memberOf(group, member, view, sightings))
  return {
    group: group.name,
    engine: group.engine,
    profile: group.profile,
    failover: group.failover,
    whenAlone: group.whenAlone,
    replication: replicationOf(group),
    ttlMs: group.timing.ttlMs,
    epoch: record?.epoch ?? 0,
    phase: record?.phase ?? 'unknown',
    holder: record?.holder ?? null,
    writer: members.find((member) => member.writableForMs > 0)?.member ?? null,
    eligible: record === null ? [] : [...record.eligible],
    need: record?.need ?? 0,
    paused: record?.paused ?? null,
    failsafe: record?.failsafe ?? false,
    verdict: view.verdict,
    loss: lossOf(group, view, members),
    doors: doorsOf(platform, group),
    members,
    incident,
  }
}

function replicationOf({ replication }: GroupSpec): ApiGroup['replication'] {
  return {
    kind: replication.kind,
    need: replication.kind === 'quorum' ? replication.need : null,
    lossBytesMax: replication.kind === 'async' ? replication.lossBytesMax : null,
    lossMsMax: replication.kind === 'async' ? replication.lossMsMax : null,
  }
}

function doorsOf(platform: Platform, group: GroupSpec): ApiGroup['doors'] {
  return platform.routers.flatMap((router) =>
    router.doors
      .filter((door) => door.group === group.name)
      .map(({ listen, read }) => ({ router: router.name, site: router.site, write: listen, read })),
  )
}

function memberOf(group: GroupSpec, spec: GroupMember, view: GroupView, sightings: Sightings): ApiMember {
  const found = ownWords(sightings.get(spec.agent)?.status ?? null, group.name, spec.name)
  const seen = view.members.find(({ member }) => member === spec.name)
  return {
    member: spec.name,
    site: spec.site,
    agent: spec.agent,
    address: spec.listen,
    role: seen?.role ?? 'unknown',
    state: seen?.state ?? 'unknown',
    epoch: found?.epoch ?? 0,
    timeline: found?.engine?.timeline ?? null,
    lsn: found?.engine?.lsn ?? null,
    lagBytes: found?.lagBytes ?? null,
    writableForMs: found?.writableForMs ?? 0,
    answering: seen?.answering ?? false,
    streaming: seen?.streaming ?? false,
    upstream: found?.engine?.upstream ?? null,
    eligible: view.record?.eligible.includes(spec.name) ?? false,
    priority: spec.priority,
    noFailover: spec.noFailover,
    work: found?.work ?? null,
    because: seen?.because ?? '',
  }
}

function ownWords(status: AgentStatus | null, group: string, member: string): AgentStatus['members'][number] | null {
  return status?.members.find((item) => item.group === group && item.member === member) ?? null
}

/** If the whole site of the primary were gone: what of the acknowledged is nowhere else, as far as counters tell. */
function lossOf(group: GroupSpec, view: GroupView, members: readonly ApiMember[]): ApiLoss {
  const unknown = (because: string): ApiLoss => ({ kind: 'unknown', bytes: null, because })
  const primary = members.find(({ member, role }) => member === view.record?.holder || role === 'primary')
  if (primary === undefined) return unknown('nobody is known to be primary')
  if (members.every(({ site }) => site === primary.site)) {
    return { kind: 'everything', bytes: null, because: `every member stands in ${primary.site}` }
  }
  const elsewhere = members.filter((item) => item.site !== primary.site && item.answering)
  if (elsewhere.length === 0) return unknown(`no member outside ${primary.site} answers`)
  if (group.replication.kind !== 'async' && view.record !== null) {
    const { eligible, need } = view.record
    const listed = eligible.filter((name) => name !== primary.member)
    const away = listed.filter((name) => elsewhere.some(({ member }) => member === name))
    // Every acknowledged write is on `need` of the listed; so one of these surely has it.
    if (need > 0 && away.length >= listed.length - need + 1) {
      return { kind: 'nothing', bytes: 0, because: `${away.join(' or ')} confirmed every acknowledged write` }
    }
  }
  const lags = elsewhere.flatMap(({ lagBytes }) => (lagBytes === null ? [] : [lagBytes]))
  if (lags.length === 0) return unknown(`how far those outside ${primary.site} are behind is not known`)
  const bytes = Math.min(...lags)
  return { kind: 'bytes', bytes, because: `the nearest outside ${primary.site} was ${bytesText(bytes)} behind` }
}
