/** Addresses events: turns "this happened" into the core's events for the members it concerns, stamped with now. */
import type { AgentName, GroupName, MemberName } from '../core/model.ts'
import type { NodeEvent, NodeSettings } from '../core/node.ts'
import type { MemberEvent } from '../core/protocol.ts'
import type { MemberSettings } from '../core/settings.ts'
import type { Clock } from '../io/clock.ts'

export class Mailbox {
  readonly #byMember: ReadonlyMap<MemberName, MemberSettings>
  readonly #post: (event: NodeEvent) => void
  readonly #clock: Clock

  constructor(settings: NodeSettings, clock: Clock, post: (event: NodeEvent) => void) {
    this.#byMember = new Map(settings.members.map((member) => [member.self.member, member]))
    this.#post = post
    this.#clock = clock
  }

  nowMs(): number {
    return this.#clock.nowMs()
  }

  settingsOf(member: MemberName): MemberSettings | null {
    return this.#byMember.get(member) ?? null
  }

  membersOf(group: GroupName): readonly MemberName[] {
    return [...this.#byMember.values()].filter((m) => m.group === group).map((m) => m.self.member)
  }

  /** Groups of ours that `member`, ours or a peer's, belongs to. */
  groupsWith(member: MemberName): readonly GroupName[] {
    const ours = [...this.#byMember.values()].filter((m) => m.members.some((other) => other.member === member))
    return [...new Set(ours.map((m) => m.group))]
  }

  toMember(member: MemberName, event: MemberEvent): void {
    if (this.#byMember.has(member)) this.#post({ to: 'member', member, event })
  }

  toGroup(group: GroupName, event: MemberEvent): void {
    for (const [member, settings] of this.#byMember) if (settings.group === group) this.toMember(member, event)
  }

  /** Members of groups in which `agent` stands beside a member. */
  toSharersOf(agent: AgentName, event: MemberEvent): void {
    for (const [member, settings] of this.#byMember) {
      if (settings.members.some((other) => other.agent === agent)) this.toMember(member, event)
    }
  }

  toAll(event: MemberEvent): void {
    for (const member of this.#byMember.keys()) this.toMember(member, event)
  }

  toSession(event: Extract<NodeEvent, { to: 'session' }>['event']): void {
    this.#post({ to: 'session', event })
  }
}
