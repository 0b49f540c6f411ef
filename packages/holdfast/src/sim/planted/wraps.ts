/** Ways to make a core wrong from outside: change what it is told, what it does, or what it remembers. */
import type { MemberName } from '../../core/model.ts'
import type { NodeEvent, NodeSettings, NodeState } from '../../core/node.ts'
import type { Action, MemberEvent, StepResult } from '../../core/protocol.ts'
import type { MemberSettings } from '../../core/settings.ts'
import type { CorePort } from '../core-port.ts'

type MemberState = NodeState['members'][string]

export interface Seen {
  readonly state: NodeState
  readonly own: MemberState | undefined
  readonly settings: NodeSettings
}

/** Changes each event of a member before the core gets it. */
export function hearing(change: (event: MemberEvent, seen: Seen) => MemberEvent): (core: CorePort) => CorePort {
  return (core) => ({
    ...core,
    step(state, event, settings) {
      if (event.to !== 'member') return core.step(state, event, settings)
      const own = state.members[event.member]
      return core.step(state, { ...event, event: change(event.event, { state, own, settings }) }, settings)
    },
  })
}

/** Changes the actions the core decided on. */
export function doing(change: (action: Action, seen: Seen) => readonly Action[]): (core: CorePort) => CorePort {
  return (core) => ({
    ...core,
    step(state, event, settings) {
      const result = core.step(state, event, settings)
      if (result.actions.length === 0) return result
      const member = settings.members[0]?.self.member ?? ''
      const seen = { state: result.state, own: result.state.members[member], settings }
      return { ...result, actions: result.actions.flatMap((action) => change(action, seen)) }
    },
  })
}

/** Feeds further events right after an event, as if they had come. */
export function echoing(
  more: (event: NodeEvent, result: StepResult<NodeState>) => readonly NodeEvent[],
): (core: CorePort) => CorePort {
  return (core) => ({
    ...core,
    step(state, event, settings) {
      let result = core.step(state, event, settings)
      for (const next of more(event, result)) {
        const then = core.step(result.state, next, settings)
        const actions = [...result.actions, ...then.actions]
        const reasons = [...result.reasons, ...then.reasons]
        result = { state: then.state, actions, reasons, wakeAtMs: Math.min(result.wakeAtMs, then.wakeAtMs) }
      }
      return result
    },
  })
}

/** Makes it forget or misremember something after each step. */
export function remembering(change: (own: MemberState) => MemberState): (core: CorePort) => CorePort {
  return (core) => ({
    ...core,
    step(state, event, settings) {
      const result = core.step(state, event, settings)
      const members: Record<MemberName, MemberState> = {}
      for (const name in result.state.members) {
        const own = result.state.members[name]
        if (own !== undefined) members[name] = change(own)
      }
      return { ...result, state: { ...result.state, members } }
    },
  })
}

/** Other settings while `when` holds. */
export function believing(
  when: (own: MemberState) => boolean,
  change: (settings: MemberSettings) => MemberSettings,
): (core: CorePort) => CorePort {
  const changed = new WeakMap<NodeSettings, NodeSettings>()
  return (core) => ({
    ...core,
    step(state, event, settings) {
      const own = state.members[settings.members[0]?.self.member ?? '']
      if (own === undefined || !when(own)) return core.step(state, event, settings)
      let other = changed.get(settings)
      if (other === undefined) {
        other = { ...settings, members: settings.members.map(change) }
        changed.set(settings, other)
      }
      return core.step(state, event, other)
    },
  })
}
