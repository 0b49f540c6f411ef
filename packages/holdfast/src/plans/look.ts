/** What the agents of a group say now, put together: the newest record, and the holder's own word that it may write. */
import type { AgentClient, AgentStatus, MemberStatus } from '@holdfast/client'
import type { AgentSpec, GroupSpec, Platform } from '../config/platform.ts'
import type { GroupView } from '../core/site-plan/ensure.ts'
import { clientFor } from './agent-clients.ts'

/** While a step waits for its goal, a look waits no longer for an agent whose host is silent. */
const LOOK_TIMEOUT_MS = 500

export interface GroupLook {
  readonly view: Omit<GroupView, 'asked'>
  readonly members: readonly MemberStatus[]
}

/** Keeps a client to each group's agents. */
export class Lookout {
  readonly #platform: Platform
  readonly #timeoutMs: number
  readonly #clients = new Map<string, AgentClient>()

  constructor(platform: Platform, timeoutMs = LOOK_TIMEOUT_MS) {
    this.#platform = platform
    this.#timeoutMs = timeoutMs
  }

  async group(group: GroupSpec): Promise<GroupLook> {
    const agents = agentsBeside(this.#platform, group)
    const client = this.#clients.get(group.name) ?? clientFor(agents, this.#timeoutMs)
    this.#clients.set(group.name, client)
    const answers = await client.statusOfEach()
    return lookOf(
      group,
      answers.flatMap(({ result }) => (result.ok ? [result.value] : [])),
    )
  }
}

export function agentsBeside(platform: Platform, group: GroupSpec): readonly AgentSpec[] {
  return platform.agents.filter((agent) => group.members.some((member) => member.agent === agent.name))
}

export function lookOf(group: GroupSpec, statuses: readonly AgentStatus[]): GroupLook {
  const members = statuses.flatMap((status) => status.members.filter((member) => member.group === group.name))
  const told = statuses.flatMap((status) =>
    status.groups.filter((one) => one.group === group.name).map((one) => ({ agent: status.agent, one })),
  )
  const epoch = Math.max(0, ...told.map(({ one }) => one.epoch))
  const newest = told.filter(({ one }) => one.epoch === epoch)
  // Who is open for writes saw the record last.
  const writer = members.find((member) => member.writableForMs > 0 && member.epoch === epoch) ?? null
  const best = newest.find(({ agent }) => agent === writer?.agent) ?? newest[0] ?? null
  const holder = best?.one.holder ?? null
  return {
    members,
    view: {
      group: group.name,
      epoch,
      phase: best?.one.phase ?? 'unknown',
      holder,
      writable: writer !== null && writer.member === holder,
      sites: Object.fromEntries(group.members.map((member) => [member.name, member.site])),
      engines: Object.fromEntries(
        members.map(({ member, role, engine, lagBytes }) => [
          member,
          {
            started: engine?.started ?? null,
            following: role === 'replica' && engine?.receiving === true && engine.upstream === holder,
            lagBytes,
          },
        ]),
      ),
      paused: best?.one.paused === null || best === null ? null : { by: best.one.paused?.by ?? '' },
    },
  }
}
