/**
 * Makes a plan from what is wished and what is seen, or says who refuses and why. Nothing is begun here. The order is
 * the service's: hooks before, holds, then each group after those it needs, releases, hooks after.
 */
import type { GroupName, MemberName } from '../model.ts'
import type { Replication, Timing } from '../settings.ts'
import { inOrder } from './order.ts'
import type { PlanKind, PlanRecord, PlanStep, StepKind } from './plan.ts'
import { type PastRuns, predictionOf } from './predict.ts'

export interface MemberFacts {
  readonly member: MemberName
  readonly site: string
  readonly priority: number
  /** Its agent answers. */
  readonly heard: boolean
  /** Why it may not lead, with rule and numbers; null: it may, without loss. */
  readonly refusal: string | null
  /** Never, whatever is accepted: it is switched off for that, or its data is not there. */
  readonly never: boolean
  readonly lagBytes: number | null
  /** Names the main process of its engine; null: none runs. */
  readonly started: string | null
  /** A replica that receives from the holder. */
  readonly following: boolean
}

export interface GroupFacts {
  readonly group: GroupName
  readonly epoch: number
  readonly holder: MemberName | null
  /** Open for writes, and its holder's agent says so itself. */
  readonly open: boolean
  readonly pausedBy: string | null
  readonly members: readonly MemberFacts[]
  readonly replication: Replication
  readonly timing: Timing
}

export interface HookFacts {
  readonly name: string
  readonly when: 'before' | 'after'
  readonly group: GroupName | null
  readonly deadlineMs: number
  readonly undo: boolean
  readonly onFailure: 'undo' | 'stop' | 'go-on'
}

export interface Survey {
  readonly scope: string
  readonly order: readonly { readonly group: GroupName; readonly after: readonly GroupName[] }[]
  readonly groups: readonly GroupFacts[]
  readonly hooks: readonly HookFacts[]
  readonly past: PastRuns
}

export interface MoveWish {
  readonly id: string
  readonly kind: PlanKind
  /** The site that is left, where it is known; else that of the primaries. */
  readonly from?: string
  readonly to: string | null
  /** For `evacuate`. */
  readonly member: MemberName | null
  readonly by: string
  readonly origin: 'operator' | 'automatic'
  readonly lossAccepted: boolean
}

export interface Loss {
  readonly group: GroupName
  /** Null: nobody knows. */
  readonly bytes: number | null
  readonly because: string
}

export interface Draft {
  readonly plan: PlanRecord
  /** What could be lost, by group; empty: nothing. */
  readonly losses: readonly Loss[]
  /** Empty: it may begin. */
  readonly refusals: readonly string[]
  /** Of every group of the service when it was looked at. */
  readonly epochs: Readonly<Record<GroupName, number>>
  /** What it costs besides: for whom writes wait, and why. */
  readonly notes?: readonly string[]
}

/** It may begin only when somebody accepted that acknowledged writes are lost (R16). */
export function isLossy({ plan, losses }: Draft): boolean {
  return losses.length > 0 && plan.steps.some(({ mayLose }) => mayLose)
}

/**
 * All that somebody agrees to who agrees to a plan: what is done to whom in which order, what may be lost, and the
 * leaderships it was drawn from. Not who asked, nor what moves all the time: figures and predictions.
 */
export function gistOf({ plan, losses, epochs }: Draft): string {
  const { scope, kind, from, to } = plan
  const steps = plan.steps.map((step) => {
    const { id, kind: does, group, member, from: old, started, hook, after, onFailure, wayBack, mayLose } = step
    return [id, does, group, member, old, started, hook, after, onFailure, wayBack, mayLose]
  })
  const lost = losses.map(({ group, bytes }) => [group, bytes])
  const led = Object.entries(epochs).sort(([a], [b]) => (a < b ? -1 : 1))
  return JSON.stringify([scope, kind, from, to, steps, lost, led])
}

/** Looks of a step at its group go on until its deadline; a request that was refused is made again this often. */
export const ATTEMPTS = 3
/** One that failed is not called again; only one that was halted because its runner had lost the store. */
const HOOK_ATTEMPTS = 2
/** Deadline of a step beyond the group's own bounds: agents answer within two seconds each. */
export const PATIENCE_MS = 5_000

interface Choice {
  readonly facts: GroupFacts
  readonly target: MemberFacts | null
  readonly refusal: string | null
  readonly loss: Loss | null
}

export function draftPlan(survey: Survey, wish: MoveWish): Draft {
  const choices = survey.groups.map((facts) => choose(facts, wish))
  const moving = choices.filter((one) => !there(one.facts, wish))
  const from = wish.from ?? commonSite(moving.map(({ facts }) => holderSite(facts)))
  const steps = moving.length === 0 ? [] : graph(survey, wish, moving)
  const refusals = moving.flatMap((one) => one.refusal ?? [])
  const losses = moving.flatMap((one) => one.loss ?? [])
  const epochs = Object.fromEntries(survey.groups.map(({ group, epoch }) => [group, epoch]))
  return { plan: planOf(survey, wish, steps, from), losses, refusals, epochs }
}

export function planOf(survey: Survey, wish: MoveWish, steps: readonly PlanStep[], from: string | null): PlanRecord {
  return {
    v: 1,
    stamp: '',
    scope: survey.scope,
    id: wish.id,
    kind: wish.kind,
    from,
    to: wish.to,
    by: wish.by,
    origin: wish.origin,
    lossAccepted: wish.lossAccepted,
    epoch: 0,
    runner: '',
    beat: 0,
    phase: 'running',
    because: '',
    cancel: null,
    steps,
  }
}

/** Its primary is where the wish wants it. */
function there(facts: GroupFacts, wish: MoveWish): boolean {
  // The leases were faster; the order, the hooks and the record are still to come.
  if (wish.kind === 'failover' && wish.origin === 'automatic') return false
  if (!facts.open || facts.holder === null) return false
  return wish.to === null ? facts.holder !== wish.member : holderSite(facts) === wish.to
}

function holderSite({ holder, members }: GroupFacts): string | null {
  return members.find(({ member }) => member === holder)?.site ?? null
}

function commonSite(sites: readonly (string | null)[]): string | null {
  const [first] = sites
  return first !== undefined && sites.every((site) => site === first) ? first : null
}

function choose(facts: GroupFacts, wish: MoveWish): Choice {
  const { group, members, pausedBy } = facts
  const able = members.filter((one) =>
    wish.to === null ? one.member !== wish.member && one.member !== facts.holder : one.site === wish.to,
  )
  const place = wish.to === null ? 'beside it' : `at ${wish.to}`
  const no = (because: string): Choice => ({ facts, target: null, refusal: `${group}: ${because}`, loss: null })
  if (able.length === 0) return no(`no member ${place}`)
  if (wish.kind === 'failover') return chooseLossy(facts, able)
  if (pausedBy !== null) return no(`paused by ${pausedBy}; end it with: holdfast resume ${group}`)
  if (!facts.open) return no('nobody is open for writes (R30); for a site that is gone ask for a failover')
  const best = able.filter((one) => one.refusal === null).sort(better)[0]
  if (best === undefined) return no(able.map((one) => `${one.member} ${one.refusal}`).join('; '))
  return { facts, target: best, refusal: null, loss: null }
}

/** The old site is gone: somebody must take over, and what that may lose is said. */
function chooseLossy(facts: GroupFacts, able: readonly MemberFacts[]): Choice {
  const { group, replication } = facts
  const no = (because: string): Choice => ({ facts, target: null, refusal: `${group}: ${because}`, loss: null })
  const heard = able.filter((one) => one.heard && !one.never)
  const safe = heard.filter((one) => one.refusal === null).sort(better)[0]
  const best = safe ?? heard.sort(better)[0]
  if (best === undefined) return no(able.map((one) => `${one.member} ${one.refusal ?? 'does not answer'}`).join('; '))
  if (safe !== undefined && replication.kind !== 'async') return { facts, target: safe, refusal: null, loss: null }
  const bytes = safe === undefined || replication.kind !== 'async' ? null : replication.lossBytesMax
  const because = safe === undefined ? (best.refusal ?? '') : 'asynchronous: within its bound'
  return { facts, target: best, refusal: null, loss: { group, bytes, because: `${best.member}: ${because}` } }
}

export function better(a: MemberFacts, b: MemberFacts): number {
  return (a.lagBytes ?? Infinity) - (b.lagBytes ?? Infinity) || b.priority - a.priority
}

function graph(survey: Survey, wish: MoveWish, moving: readonly Choice[]): readonly PlanStep[] {
  const names = new Set(moving.map(({ facts }) => facts.group))
  const hooks = (when: 'before' | 'after', group: GroupName | null) =>
    survey.hooks.filter((hook) => hook.when === when && hook.group === group)
  const steps: PlanStep[] = []
  const add = (step: Bare, after: readonly string[]): string => {
    const timing = moving.find(({ facts }) => facts.group === step.group)?.facts.timing ?? null
    const predicted = predictionOf(step, step.kind === 'hook' ? null : timing, survey.past)
    steps.push({ ...step, after, predicted, ...FRESH })
    return step.id
  }
  const chain = (list: readonly HookFacts[], after: readonly string[]): readonly string[] =>
    list.reduce<readonly string[]>((last, hook) => [add(hookStep(hook), last)], after)
  const begun = chain(hooks('before', null), [])
  const holds = wish.kind === 'failover' ? [] : moving.map((one) => add(holdStep('hold', one), begun))
  const ends = new Map<GroupName, readonly string[]>()
  for (const group of inOrder(survey.order.map(({ group: name, after }) => ({ name, after })))) {
    const choice = moving.find(({ facts }) => facts.group === group)
    if (choice === undefined) continue
    const needs = survey.order.find((one) => one.group === group)?.after.filter((name) => names.has(name)) ?? []
    const waits = needs.flatMap((name) => ends.get(name) ?? [])
    const before = chain(hooks('before', group), [...(holds.length > 0 ? holds : begun), ...waits])
    const moved = [add(moveStep(wish, choice), before)]
    ends.set(group, chain(hooks('after', group), moved))
  }
  const all = [...ends.values()].flat()
  const released = wish.kind === 'failover' ? [] : moving.map((one) => add(holdStep('release', one), all))
  chain(hooks('after', null), released.length > 0 ? released : all)
  return steps
}

export type Bare = Omit<PlanStep, 'after' | 'predicted' | keyof typeof FRESH>

export const FRESH = {
  state: 'waiting',
  attempt: 0,
  undoAttempt: 0,
  because: '',
  measuredMs: null,
} as const satisfies Partial<PlanStep>

export const NOBODY = { group: null, member: null, from: null, started: null, hook: null, mayLose: false } as const

function hookStep(hook: HookFacts): Bare {
  const { name, deadlineMs, onFailure, undo } = hook
  const rest = { deadlineMs, onFailure, attemptsMax: HOOK_ATTEMPTS, wayBack: undo ? 'undo' : 'nothing' } as const
  return { ...NOBODY, ...rest, id: `hook:${name}`, kind: 'hook', group: hook.group, hook: name }
}

export function holdStep(kind: Extract<StepKind, 'hold' | 'release'>, { facts }: Pick<Choice, 'facts'>): Bare {
  const { group, timing } = facts
  const rest = { deadlineMs: PATIENCE_MS + 2 * timing.ttlMs, attemptsMax: ATTEMPTS, wayBack: 'undo' } as const
  return { ...NOBODY, ...rest, id: `${kind}:${group}`, kind, group, onFailure: 'undo' }
}

function moveStep(wish: MoveWish, { facts, target, loss }: Choice): Bare {
  const { group, timing, holder } = facts
  const kind = wish.kind === 'failover' ? 'follow' : 'move'
  // A clean stop, a promotion and the target's two ttl to become fit; or a lease that runs out first.
  const deadlineMs = PATIENCE_MS + timing.stopMs + timing.promoteMs + 2 * timing.ttlMs
  return {
    ...NOBODY,
    id: `${kind}:${group}`,
    kind,
    group,
    member: target?.member ?? null,
    from: holder,
    deadlineMs,
    attemptsMax: ATTEMPTS,
    onFailure: kind === 'follow' ? 'stop' : 'undo',
    wayBack: kind === 'follow' ? 'none' : 'undo',
    mayLose: loss !== null && wish.origin === 'operator',
  }
}
