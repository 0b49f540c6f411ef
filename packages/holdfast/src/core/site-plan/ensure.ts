/**
 * One look at a group for one step: is it as the step wants it, and if not, what is to be asked. A step that is done
 * again, by a retry or by another runner, finds its goal reached and changes nothing; what is asked names the epoch it
 * was decided on, so that a request that arrives late is refused.
 */
import { CAUGHT_UP_BYTES } from '../lease/restart.ts'
import type { MemberName } from '../model.ts'
import type { PlanRecord, PlanStep } from './plan.ts'

export interface GroupView {
  readonly group: string
  readonly epoch: number
  readonly phase: string
  readonly holder: MemberName | null
  /** The holder's own agent says that it may write. */
  readonly writable: boolean
  readonly sites: Readonly<Record<MemberName, string>>
  readonly paused: { readonly by: string } | null
  /** Of members whose agents answer. */
  readonly engines: Readonly<Record<MemberName, EngineSeen>>
  /** What became of the last thing asked for this step. */
  readonly asked: { readonly state: 'open' | 'refused'; readonly because: string } | null
}

export interface EngineSeen {
  /** Names its main process; null: none runs. */
  readonly started: string | null
  /** It is a replica that receives from the holder. */
  readonly following: boolean
  readonly lagBytes: number | null
}

/** `ifEpoch` and `ifPausedBy` are compared by the agent in the same write that takes the request. */
export type Ask =
  | {
      readonly verb: 'switchover'
      readonly to: MemberName
      readonly ifEpoch: number
      /** Null: whoever paused it, or nobody. */
      readonly ifPausedBy: string | null
    }
  | { readonly verb: 'failover'; readonly to: MemberName; readonly ifEpoch: number; readonly allowDataLoss: boolean }
  | { readonly verb: 'pause'; readonly by: string; readonly ifPausedBy: string | null }
  | { readonly verb: 'resume'; readonly ifPausedBy: string }
  | {
      readonly verb: 'restart'
      readonly member: MemberName
      readonly ifEpoch: number
      readonly ifStarted: string
    }

export type Ensured =
  | { readonly kind: 'done'; readonly because: string }
  | { readonly kind: 'ask'; readonly ask: Ask }
  | { readonly kind: 'wait'; readonly because: string }
  | { readonly kind: 'fail'; readonly because: string; readonly retry: boolean }

/** Who holds a group for a plan; also what people read in `status`. */
export function holdName(plan: Pick<PlanRecord, 'id'>): string {
  return `plan ${plan.id}`
}

/** The hold under which steps are taken back: what was asked under the other one and arrives late is refused. */
export function backName(plan: Pick<PlanRecord, 'id'>): string {
  return `plan ${plan.id}, on its way back`
}

export function ensure(plan: PlanRecord, step: PlanStep, way: 'do' | 'undo', view: GroupView): Ensured {
  switch (step.kind) {
    case 'hold':
      return way === 'do' ? held(plan, view) : released(plan, view)
    case 'release':
      return way === 'do' ? released(plan, view) : held(plan, view)
    case 'move':
      return way === 'do' ? led(plan, step, view) : ledBack(plan, step, view)
    case 'follow':
      return followed(plan, step, view)
    case 'restart':
      return restarted(plan, step, view)
    case 'hook':
      return { kind: 'fail', because: 'a hook looks at no group', retry: false }
  }
}

function held(plan: PlanRecord, { paused }: GroupView): Ensured {
  const name = holdName(plan)
  if (paused?.by === name) return { kind: 'done', because: 'held' }
  if (paused !== null && paused.by !== backName(plan))
    return { kind: 'fail', because: `already paused by ${paused.by}`, retry: false }
  return { kind: 'ask', ask: { verb: 'pause', by: name, ifPausedBy: paused?.by ?? null } }
}

function released(plan: PlanRecord, { paused }: GroupView): Ensured {
  if (paused === null || (paused.by !== holdName(plan) && paused.by !== backName(plan)))
    return { kind: 'done', because: 'not held' }
  return { kind: 'ask', ask: { verb: 'resume', ifPausedBy: paused.by } }
}

function led(plan: PlanRecord, step: PlanStep, view: GroupView): Ensured {
  const there =
    plan.to === null ? view.holder !== step.from || startedAnew(step, step.from, view) : siteOf(view) === plan.to
  return goal({ there, member: step.member, ifPausedBy: holdName(plan) }, view)
}

function ledBack(plan: PlanRecord, step: PlanStep, view: GroupView): Ensured {
  const { paused } = view
  if (paused?.by === holdName(plan))
    return { kind: 'ask', ask: { verb: 'pause', by: backName(plan), ifPausedBy: paused.by } }
  const site = step.from === null ? null : (view.sites[step.from] ?? null)
  const there = plan.kind === 'evacuate' ? view.holder === step.from : siteOf(view) === site
  return goal({ there, member: step.from, ifPausedBy: null }, view)
}

function followed(plan: PlanRecord, step: PlanStep, view: GroupView): Ensured {
  const there = siteOf(view) === plan.to
  if (view.writable || plan.origin === 'automatic' || there)
    return goal({ there, member: step.member, ifPausedBy: null }, view)
  if (view.asked !== null) return asked(view.asked)
  if (step.member === null) return { kind: 'fail', because: 'nobody is named to take over', retry: false }
  const allowDataLoss = plan.lossAccepted && step.mayLose
  return { kind: 'ask', ask: { verb: 'failover', to: step.member, ifEpoch: view.epoch, allowDataLoss } }
}

/** Its process is another one than when the plan was made, for whatever reason. */
function startedAnew({ started }: PlanStep, member: MemberName | null, { engines }: GroupView): boolean {
  const now = engines[member ?? '']?.started ?? null
  return started !== null && now !== null && now !== started
}

/** Only a replica is restarted; a primary is by then, because the plan switched away from it. */
function restarted(plan: PlanRecord, step: PlanStep, view: GroupView): Ensured {
  const { member, started } = step
  const engine = view.engines[member ?? '']
  if (member === null || started === null) return { kind: 'fail', because: 'nobody is named', retry: false }
  // A step that waited for its moment must not find it after somebody called the work off.
  const ends = plan.phase !== 'running' || plan.cancel !== null
  const left: Ensured = { kind: 'fail', because: `${member} is left as it is: the plan ends`, retry: false }
  if (engine === undefined) return ends ? left : { kind: 'wait', because: `the agent of ${member} does not answer` }
  const leads = view.holder === member
  if (startedAnew(step, member, view)) {
    if (leads || (engine.following && (engine.lagBytes ?? Infinity) <= CAUGHT_UP_BYTES))
      return { kind: 'done', because: leads ? 'runs anew and leads' : 'runs anew and has caught up' }
    const lag = engine.lagBytes === null ? 'an unknown lag' : `${engine.lagBytes} bytes behind`
    return ends
      ? left
      : { kind: 'wait', because: `${member} runs anew, ${engine.following ? lag : 'does not follow yet'}` }
  }
  if (ends) return left
  if (leads) return { kind: 'fail', because: `${member} leads now; ask again for who is left`, retry: false }
  if (engine.started === null) return { kind: 'wait', because: `the engine of ${member} does not run` }
  if (view.phase !== 'open' || !view.writable) return { kind: 'wait', because: 'nobody is open for writes' }
  if (!engine.following) return { kind: 'wait', because: `${member} does not follow` }
  return { kind: 'ask', ask: { verb: 'restart', member, ifEpoch: view.epoch, ifStarted: started } }
}

interface Goal {
  readonly there: boolean
  readonly member: MemberName | null
  readonly ifPausedBy: string | null
}

function goal({ there, member, ifPausedBy }: Goal, view: GroupView): Ensured {
  const who = `${view.holder ?? 'nobody'} leads, epoch ${view.epoch}`
  const open = view.phase === 'open' && view.writable
  if (there && open) return { kind: 'done', because: who }
  if (view.asked !== null) return asked(view.asked)
  if (!open) return { kind: 'wait', because: `${who}, not open for writes (${view.phase})` }
  if (member === null) return { kind: 'fail', because: 'nobody is named to lead', retry: false }
  return { kind: 'ask', ask: { verb: 'switchover', to: member, ifEpoch: view.epoch, ifPausedBy } }
}

function asked({ state, because }: NonNullable<GroupView['asked']>): Ensured {
  return state === 'open' ? { kind: 'wait', because } : { kind: 'fail', because, retry: true }
}

function siteOf(view: GroupView): string | null {
  return view.holder === null ? null : (view.sites[view.holder] ?? null)
}
