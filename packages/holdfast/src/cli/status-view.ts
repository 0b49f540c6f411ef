/**
 * What the agents say, put together per group: the newest record, each member's own words, and whether the group is
 * safe now. Pure; asks nobody. Drawn by `status-screen.ts`.
 */
import type { AgentStatus, GroupStatus, MemberStatus, Result } from '@holdfast/client'
import type { GroupMember, GroupSpec, Platform } from '../config/platform.ts'
import { bytesText, durationText } from '../config/quantities.ts'
import type { SupervisedView } from './supervised-facts.ts'

export interface AgentView {
  readonly agent: string
  readonly site: string
  readonly status: AgentStatus | null
  /** Why there is no status; empty when there is. */
  readonly because: string
}

export interface MemberView {
  readonly member: string
  readonly site: string
  readonly agent: string
  /** Role of the failover core, or `unknown`. */
  readonly role: string
  readonly state: string
  readonly timeline: number | null
  readonly lagBytes: number | null
  readonly writableForMs: number
  readonly streaming: boolean
  readonly answering: boolean
  /** What its engine last refused, and the next step, while it is not well; empty otherwise. */
  readonly because: string
  /** Part of the data it holds, where the data of a group is divided. */
  readonly shard?: string
}

export interface Verdict {
  readonly safe: boolean
  readonly because: string
}

export interface GroupView {
  readonly group: string
  /** Nobody acts for it, so it has no record. */
  readonly observed: boolean
  /** Null when no agent of the group answered with a record. */
  readonly record: GroupStatus | null
  /** Another program leads it; then there are no agents and no record. */
  readonly supervised: SupervisedView | null
  readonly members: readonly MemberView[]
  readonly verdict: Verdict
}

export interface ServiceView {
  readonly service: string
  readonly home: string
  readonly comeHome: 'never' | 'when-healthy' | 'ask'
  /** The site where all its groups are led; null: they are not at one site, or one has no primary. */
  readonly at: string | null
  /** Where each group is led; null: nobody may write. */
  readonly groups: readonly { readonly group: string; readonly site: string | null }[]
}

export interface PlatformView {
  readonly platform: string
  readonly agents: readonly AgentView[]
  readonly groups: readonly GroupView[]
  readonly services: readonly ServiceView[]
}

export function platformView(
  platform: Platform,
  answers: readonly { readonly url: string; readonly result: Result<AgentStatus> }[],
  supervised: readonly GroupView[] = [],
): PlatformView {
  const agents = platform.agents.map((agent, index): AgentView => {
    const result = answers[index]?.result
    const status = result?.ok === true && result.value.agent === agent.name ? result.value : null
    return { agent: agent.name, site: agent.site, status, because: status === null ? silence(result) : '' }
  })
  const groups = [...platform.groups.map((group) => groupView(group, agents)), ...supervised]
  const services = platform.services.map((one) => placed(one, groups))
  return { platform: platform.name, agents, groups, services }
}

function placed(
  { name, home, comeHome, groups: entries }: Platform['services'][number],
  views: readonly GroupView[],
): ServiceView {
  const groups = entries.map(({ group }) => {
    const members = views.find((view) => view.group === group)?.members ?? []
    return { group, site: members.find((member) => member.writableForMs > 0)?.site ?? null }
  })
  const sites = new Set(groups.map(({ site }) => site))
  return { service: name, home, comeHome, at: sites.size === 1 ? (groups[0]?.site ?? null) : null, groups }
}

function silence(result: Result<AgentStatus> | undefined): string {
  if (result === undefined) return 'was not asked'
  if (result.ok) return `another agent answers at its address: ${result.value.agent}`
  if (result.kind === 'refused') return `${result.code}: ${result.message}`
  return result.kind === 'uncertain' ? result.because : (result.tried[0]?.because ?? 'no answer')
}

/** `agents`: at least those beside its members. */
export function groupView(group: GroupSpec, agents: readonly AgentView[]): GroupView {
  const near = agents.filter((view) => group.members.some((member) => member.agent === view.agent))
  const record = newestRecord(group.name, near)
  const members = group.members.map((member) => memberView(group, member, agents))
  const observed = group.failover === 'observe'
  return {
    group: group.name,
    observed,
    record,
    supervised: null,
    members,
    verdict: verdictOf(group, record, members, near),
  }
}

/** The highest epoch; of equals the one whose agent heard from the store last. */
function newestRecord(group: string, agents: readonly AgentView[]): GroupStatus | null {
  const found = agents.flatMap(({ status }) => {
    const record = status?.groups.find((item) => item.group === group)
    return record === undefined ? [] : [{ record, ageMs: status?.store.lastConfirmedMsAgo ?? Number.MAX_VALUE }]
  })
  found.sort((a, b) => b.record.epoch - a.record.epoch || a.ageMs - b.ageMs)
  return found[0]?.record ?? null
}

function memberView(group: GroupSpec, member: GroupMember, agents: readonly AgentView[]): MemberView {
  const status = agents.find((view) => view.agent === member.agent)?.status ?? null
  const found = status?.members.find((item) => item.group === group.name && item.member === member.name) ?? null
  const fixed = { member: member.name, site: member.site, agent: member.agent }
  if (found === null) {
    const state = status === null ? 'agent silent' : 'not known to its agent'
    const none = { timeline: null, lagBytes: null, writableForMs: 0, streaming: false, answering: false, because: '' }
    return { ...fixed, role: 'unknown', state, ...none }
  }
  return {
    ...fixed,
    role: found.role,
    state: stateOf(found),
    timeline: found.engine?.timeline ?? null,
    lagBytes: found.lagBytes,
    writableForMs: found.writableForMs,
    streaming: found.engine?.receiving ?? false,
    answering: found.engine?.answering ?? false,
    because: becauseOf(found, status?.reasons ?? []),
  }
}

/** The newest refusal of its engine, unless it is well by now or works on it. */
function becauseOf({ member, engine, work, writableForMs }: MemberStatus, reasons: AgentStatus['reasons']): string {
  if (work !== null || writableForMs > 0 || engine?.receiving === true) return ''
  const refusal = reasons.findLast(
    ({ code, member: whose, detail }) =>
      code === 'engine-refused' && whose === member && !PASSING.has(String(detail.because)),
  )
  return refusal === undefined ? '' : String(refusal.detail.because)
}

/** A command that gave way to a newer one says nothing about the engine. */
const PASSING = new Set(['superseded', 'upstream-unreachable'])

function stateOf({ engine, work, role }: MemberStatus): string {
  if (work !== null) {
    const percent = work.total === null || work.total === 0 ? '' : ` ${Math.floor((100 * work.done) / work.total)} %`
    return `${work.step}${percent}`
  }
  if (engine === null) return 'not looked at yet'
  if (!engine.running) return engine.data === 'ready' ? 'stopped' : `${engine.data} data`
  if (!engine.answering) return 'no answer'
  if (engine.role === 'primary') return role === 'primary' ? 'open' : 'not open'
  return engine.receiving ? 'streaming' : 'not streaming'
}

/** The first thing that is wrong, the most urgent first; `safe` means one more loss is survived. */
function verdictOf(
  group: GroupSpec,
  record: GroupStatus | null,
  members: readonly MemberView[],
  agents: readonly AgentView[],
): Verdict {
  const no = (because: string): Verdict => ({ safe: false, because })
  const writers = members.filter((member) => member.writableForMs > 0)
  if (writers.length > 1) return no(`${writers.map((item) => item.member).join(' and ')} both say they may write`)
  const silent = agents.filter((view) => view.status === null)
  if (silent.length === agents.length) return no('no agent of this group answers')
  if (group.failover === 'observe') return observedVerdict(group, members, agents)
  if (record === null) return no('no agent of this group has seen its record yet')
  if (record.holder === null) return no(`nobody holds the lease (phase ${record.phase})${byHand(group)}`)
  const holder = members.find((member) => member.member === record.holder)
  if (holder === undefined) return no(`${record.holder} holds the lease and is not in this description`)
  if (holder.role === 'unknown') return no(`${record.holder} holds the lease, and its agent is silent${byHand(group)}`)
  if (holder.writableForMs === 0)
    return no(`${record.holder} holds the lease and is not open for writes (${holder.role})${byHand(group)}`)
  if (record.failsafe) return no('the store is away: writes go on by consent of every member, nobody could take over')
  const cutOff = agents.find((view) => view.status?.store.reachable === false)
  if (cutOff !== undefined) return no(`agent ${cutOff.agent} does not reach the store`)
  const { paused } = record
  if (paused !== null) {
    return no(
      `paused by ${paused.by} for ${durationText(paused.forMs)}: ${paused.because}; nobody takes over meanwhile`,
    )
  }
  return heirVerdict(group, record, guarded(members, agents))
}

/** Who waits for a takeover that nobody will make should know what to do. */
function byHand(group: GroupSpec): string {
  const next = `holdfast failover ${group.name}`
  return group.failover === 'manual' ? `; with failover: manual nobody takes over before \`${next}\`` : ''
}

/** Never safe: nobody acts. What would have been done comes from the agents' own words. */
function observedVerdict(group: GroupSpec, members: readonly MemberView[], agents: readonly AgentView[]): Verdict {
  const no = (because: string): Verdict => ({ safe: false, because })
  const leads = members.filter((member) => member.role === 'primary').map((member) => member.member)
  if (leads.length > 1) return no(`only observed: ${leads.join(' and ')} both answer as primary`)
  if (leads.length === 1) return no(`only observed: ${leads[0]} is primary, and nobody would act if it were lost`)
  const words = agents.flatMap(({ status }) => status?.reasons ?? [])
  const would = words
    .filter(({ group: of, code }) => of === group.name && code.startsWith('would-'))
    .sort((a, b) => a.wallMs - b.wallMs)
    .at(-1)
  if (would === undefined) return no('only observed: nobody answers as primary')
  const { from, to, silentMs, behindBytes } = would.detail
  const because = `${from} was silent for ${durationText(Number(silentMs))}`
  if (to === null || to === undefined)
    return no(`only observed: now I would have failed over because ${because}, and found nobody`)
  const behind = typeof behindBytes === 'number' ? `, ${bytesText(behindBytes)} behind it` : ''
  return no(`only observed: now I would have failed over to ${to}${behind}, because ${because}`)
}

/** Who has no guard takes no lease (R3). */
function guarded(members: readonly MemberView[], agents: readonly AgentView[]): readonly MemberView[] {
  const without = new Set(agents.filter(({ status }) => status?.guard.alive === false).map(({ agent }) => agent))
  return members.filter(({ agent }) => !without.has(agent))
}

function heirVerdict(group: GroupSpec, record: GroupStatus, members: readonly MemberView[]): Verdict {
  const holder = record.holder ?? ''
  const able = members.filter((view) => {
    const spec = group.members.find((item) => item.name === view.member)
    return view.member !== holder && view.answering && view.streaming && spec?.noFailover !== true
  })
  const heirs = group.replication.kind === 'async' ? asyncHeirs(group.replication, able) : syncHeirs(record, able)
  if (heirs.length === 0) {
    const alone = group.replication.kind !== 'async' && record.eligible.every((name) => name === holder)
    const few =
      group.replication.kind === 'async' ? 'no standby is near enough' : 'too few of the confirming standbys stream'
    const why = alone ? 'no standby confirms its writes' : few
    return { safe: false, because: `if ${holder} were lost now, nobody could take over without loss: ${why}` }
  }
  const names = heirs.map((heir) => heir.member).join(' or ')
  const lagBytes = Math.max(...heirs.map((heir) => heir.lagBytes ?? 0))
  const loss =
    group.replication.kind === 'async' ? `, losing at most ${bytesText(lagBytes)} seen so far` : ' without loss'
  const how = { automatic: '', manual: ' once an operator asks', observe: ' but it is only observed' }[group.failover]
  return { safe: group.failover !== 'observe', because: `${names} could take over from ${holder}${loss}${how}` }
}

function asyncHeirs(bound: { readonly lossBytesMax: number }, able: readonly MemberView[]): readonly MemberView[] {
  return able.filter((view) => view.lagBytes !== null && view.lagBytes <= bound.lossBytesMax)
}

/** Every acknowledged write is on `need` of the eligible: so many of them must be seen that one surely has it. */
function syncHeirs(record: GroupStatus, able: readonly MemberView[]): readonly MemberView[] {
  const listed = record.eligible.filter((name) => name !== record.holder)
  const seen = able.filter((view) => listed.includes(view.member))
  if (record.need === 0 || seen.length < listed.length - record.need + 1) return []
  return seen
}
