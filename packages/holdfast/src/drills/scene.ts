/** What the agents say, as a drill needs it: is the group well, who is where, who may take over. Pure. */
import type { AgentStatus, Result } from '@holdfast/client'
import { type AgentSpec, type GroupSpec, membersOfAgent, type Platform } from '../config/platform.ts'
import { replicationOf } from '../config/settings.ts'
import type { Facts } from '../core/drill/model.ts'
import type { Place, Scene } from '../core/drill/radius.ts'

/** Of each agent of the platform, by name; null: no answer. */
export type Statuses = ReadonlyMap<string, AgentStatus | null>

export interface Seen {
  readonly facts: Facts
  readonly scene: Scene
  /** Members that say they may write. */
  readonly writers: readonly string[]
  /** Members that are open or follow. */
  readonly well: readonly string[]
  /** Of the replica that is furthest behind. */
  readonly lagBytes: number | null
}

export function statusesOf(
  agents: readonly AgentSpec[],
  answers: readonly { readonly result: Result<AgentStatus> }[],
): Statuses {
  return new Map(
    agents.map((agent, index) => {
      const result = answers[index]?.result
      return [agent.name, result?.ok === true && result.value.agent === agent.name ? result.value : null]
    }),
  )
}

export function seen(platform: Platform, group: GroupSpec, statuses: Statuses): Seen {
  const record = [...statuses.values()]
    .flatMap((status) => status?.groups.filter((one) => one.group === group.name) ?? [])
    .sort((a, b) => b.epoch - a.epoch)[0]
  const members = group.members.map((member) => {
    const status = statuses.get(member.agent) ?? null
    return { member, status: status?.members.find((one) => one.member === member.name) ?? null }
  })
  const writers = members.filter(({ status }) => (status?.writableForMs ?? 0) > 0).map(({ member }) => member.name)
  const follows = members.filter(({ status }) => status?.role === 'replica' && status.engine?.receiving === true)
  const well = [...writers, ...follows.map(({ member }) => member.name)]
  const lags = follows.map(({ status }) => status?.lagBytes ?? null).filter((lag) => lag !== null)
  const lagBytes = lags.length === 0 ? null : Math.max(...lags)
  const replication = replicationOf(group)
  const need = replication.kind === 'async' ? 0 : replication.kind === 'sync' ? 1 : replication.need
  const primary = record?.phase === 'open' ? record.holder : null
  const eligible = new Set(replication.kind === 'async' ? well : (record?.eligible ?? []))
  const places = members.map(
    ({ member }): Place => ({
      member: member.name,
      agent: member.agent,
      site: member.site,
      groups: [...new Set(membersOfAgent(platform, member.agent).map((one) => one.group.name))],
      well: well.includes(member.name),
      eligible: eligible.has(member.name),
    }),
  )
  const because = sick({ writers, primary, well, need, eligible, phase: record?.phase ?? null })
  const paused = record?.paused ?? null
  const busyWith =
    paused !== null ? `a pause asked by ${paused.by}` : record?.failsafe === true ? 'the failsafe: no store' : null
  return {
    facts: { healthy: because === '', because, busyWith, lagBytes },
    scene: { places, primary, need },
    writers,
    well,
    lagBytes,
  }
}

/** Why it is not well; empty when it is. */
function sick(of: {
  readonly writers: readonly string[]
  readonly primary: string | null
  readonly well: readonly string[]
  readonly need: number
  readonly eligible: ReadonlySet<string>
  readonly phase: string | null
}): string {
  const { writers, primary, well, need, eligible, phase } = of
  if (phase === null) return 'no agent knows a record of the group'
  if (primary === null) return `nobody is open for writes (${phase})`
  if (writers.length !== 1) return `${writers.length} members say that they may write`
  if (well.length < need + 1) return `${well.length} members are well, ${need + 1} are needed`
  const heirs = [...eligible].filter((member) => member !== primary && well.includes(member))
  return need > 0 && heirs.length === 0 ? 'nobody may take over without loss' : ''
}
