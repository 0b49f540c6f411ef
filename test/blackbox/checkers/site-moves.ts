/**
 * B10 to B13: what a service over several sites promises beside what its groups promise. Judged by every version of its
 * plan that was seen in the store, by who was promoted when, and by where the groups were around each fault. Pure.
 */
import type { HistoryLine, Promotion, SeenPlan, Verdict } from '../contract.ts'
import { isOk, isWrite, msOf, operationsOf, quantile, verdictOf } from './operations.ts'
import { longestGap } from './outage.ts'

export interface ServiceInput {
  readonly groups: readonly ServiceGroup[]
  readonly plans: readonly SeenPlan[]
  readonly faults: readonly ServiceFault[]
}

export interface ServiceGroup {
  readonly group: string
  readonly after: readonly string[]
  /** Member to site. */
  readonly sites: Readonly<Record<string, string>>
  readonly promotions: readonly Promotion[]
  readonly history: readonly HistoryLine[]
}

export interface ServiceFault {
  readonly number: number
  readonly fault: string
  readonly losesSite: boolean
  readonly fromNs: number
  readonly toNs: number
  /** Group to the site of its primary. */
  readonly before: Readonly<Record<string, string>>
  readonly after: Readonly<Record<string, string>>
}

const OVER: ReadonlySet<string> = new Set(['done', 'undone', 'stopped'])
/** A hold ends by itself at some time; no plan that is looked after lasts as long. */
const HOLD_NS_MAX = 30e9

export function serviceVerdicts(input: ServiceInput): readonly Verdict[] {
  return [onePlan(input), held(input), inOrder(input), together(input), serviceOutage(input)]
}

/** B10, R31. A plan begins only when the one before is over, by a higher epoch, and each comes to its end. */
export function onePlan({ plans }: ServiceInput): Verdict {
  const findings: string[] = []
  let before: SeenPlan | null = null
  for (const plan of plans) {
    if (before !== null) findings.push(...turnMistakes(before, plan))
    before = plan
  }
  if (before !== null && !OVER.has(before.phase)) findings.push(`plan ${before.id} never ended: ${before.phase}`)
  const last = new Map(plans.map((plan) => [plan.id, plan]))
  const count = (of: (plan: SeenPlan) => boolean): number => [...last.values()].filter(of).length
  const figures = {
    plans: last.size,
    failovers: count(({ kind }) => kind === 'failover'),
    done: count(({ phase }) => phase === 'done'),
    undone: count(({ phase }) => phase === 'undone'),
    stopped: count(({ phase }) => phase === 'stopped'),
  }
  return verdictOf('one-plan', figures, findings)
}

function turnMistakes(before: SeenPlan, plan: SeenPlan): readonly string[] {
  if (plan.id === before.id) {
    if (plan.epoch < before.epoch) return [`plan ${plan.id} went back from epoch ${before.epoch} to ${plan.epoch}`]
    const moved = OVER.has(before.phase) && plan.phase !== before.phase
    return moved ? [`plan ${plan.id} was ${before.phase} and then ${plan.phase}`] : []
  }
  const mistakes: string[] = []
  if (!OVER.has(before.phase)) mistakes.push(`plan ${plan.id} began while ${before.id} was ${before.phase}`)
  if (plan.epoch <= before.epoch)
    mistakes.push(`plan ${plan.id} began in epoch ${plan.epoch}, not above ${before.epoch}`)
  return mistakes
}

interface Hold {
  readonly group: string
  readonly plan: string
  readonly fromNs: number
  toNs: number
}

/** B10, R31. Nobody claims the leadership of a group that a plan holds, unless the plan hands it over. */
export function held({ groups, plans }: ServiceInput): Verdict {
  const holds = holdsOf(plans)
  const findings: string[] = []
  for (const { group, promotions } of groups) {
    for (const { member, planned, claimedNs = Infinity, reason } of promotions) {
      const hold = holds.find((one) => one.group === group && one.fromNs < claimedNs && claimedNs < one.toNs)
      if (planned || hold === undefined) continue
      const ms = msOf(claimedNs - hold.fromNs)
      findings.push(`${member} took ${group} by itself ${ms} ms after plan ${hold.plan} held it: ${reason}`)
    }
  }
  const heldMs = holds.reduce((sum, { fromNs, toNs }) => sum + msOf(toNs - fromNs), 0)
  return verdictOf('held', { holds: holds.length, heldMs }, findings)
}

/** From the first look that saw it in place to the last that saw nobody let go of it. */
function holdsOf(plans: readonly SeenPlan[]): readonly Hold[] {
  const holds = new Map<string, Hold>()
  for (const { id, time, phase, steps } of plans) {
    if (phase !== 'running') continue
    for (const { kind, group, state } of steps) {
      const release = steps.find((step) => step.kind === 'release' && step.group === group)
      if (kind !== 'hold' || state !== 'done' || release?.state !== 'waiting') continue
      const known = holds.get(`${id} ${group}`)
      if (known === undefined) holds.set(`${id} ${group}`, { group, plan: id, fromNs: time, toNs: time })
      else known.toNs = Math.min(time, known.fromNs + HOLD_NS_MAX)
    }
  }
  return [...holds.values()]
}

/** B11. A group is moved after those it needs, and goes back before them: in the plan, and in who was promoted when. */
export function inOrder({ groups, plans }: ServiceInput): Verdict {
  const findings = new Set<string>()
  let pairs = 0
  for (const { group, after } of groups) {
    for (const need of after) {
      for (const plan of plans) {
        const [own, other] = [stateOf(plan, group), stateOf(plan, need)]
        if (own === null || other === null) continue
        pairs += 1
        if ((own === 'running' || own === 'done') && other !== 'done')
          findings.add(`plan ${plan.id} moved ${group} (${own}) while ${need}, which it needs, was ${other}`)
        if ((other === 'undoing' || other === 'undone') && own !== 'undone' && own !== 'waiting')
          findings.add(`plan ${plan.id} took ${need} back (${other}) while ${group}, which needs it, was ${own}`)
      }
      for (const text of handedOver(plans, groups, [group, need])) findings.add(text)
    }
  }
  return verdictOf('in-order', { pairs }, [...findings])
}

/** Of what follows a lost site the leases decide, not the plan. */
function stateOf({ steps }: SeenPlan, group: string): string | null {
  return steps.find((step) => step.kind === 'move' && step.group === group)?.state ?? null
}

function handedOver(
  plans: readonly SeenPlan[],
  groups: readonly ServiceGroup[],
  [group, need]: readonly [string, string],
): readonly string[] {
  const findings: string[] = []
  for (const id of new Set(plans.map((plan) => plan.id))) {
    const versions = plans.filter((plan) => plan.id === id)
    const [first, last] = [versions[0], versions.at(-1)]
    if (first === undefined || last === undefined || last.phase !== 'done') continue
    const opened = (name: string): number | undefined => {
      const one = groups.find((known) => known.group === name)
      const during = ({ time }: Promotion): boolean => first.time <= time && time <= last.time
      return one?.promotions.find((p) => p.planned && during(p) && one.sites[p.member] === last.to)?.time
    }
    const [own, other] = [opened(group), opened(need)]
    if (stateOf(last, group) === null || own === undefined || other === undefined || own >= other) continue
    findings.push(`plan ${id}: ${group} opened at ${last.to} ${msOf(other - own)} ms before ${need}, which it needs`)
  }
  return findings
}

/** B12. A service that was at one site and lost it is at one site again, or its plan ended badly and says why. */
export function together({ plans, faults }: ServiceInput): Verdict {
  const findings: string[] = []
  const losses = faults.filter(({ losesSite, before }) => losesSite && sitesOf(before).size === 1)
  let moved = 0
  let explained = 0
  for (const { number, fault, fromNs, toNs, before, after } of losses) {
    if (JSON.stringify(before) !== JSON.stringify(after)) moved += 1
    if (sitesOf(after).size === 1 && Object.keys(after).length === Object.keys(before).length) continue
    const bad = plans.find(({ time, phase, because }) => {
      return fromNs <= time && time <= toNs && (phase === 'stopped' || phase === 'undone') && because !== ''
    })
    if (bad !== undefined) explained += 1
    else findings.push(`after fault ${number} ${fault} the groups stay at ${placesText(after)}, and no plan says why`)
  }
  return verdictOf('together', { losses: losses.length, moved, explained }, findings)
}

function sitesOf(places: Readonly<Record<string, string>>): ReadonlySet<string> {
  return new Set(Object.values(places))
}

function placesText(places: Readonly<Record<string, string>>): string {
  return Object.entries(places)
    .map(([group, site]) => `${site} (${group})`)
    .join(', ')
}

/** B13. The service is out while any of its groups takes no writes: how long around each fault. Judges nothing. */
export function serviceOutage({ groups, faults }: ServiceInput): Verdict {
  const rounds = roundsOf(groups.map(({ history }) => ackTimes(history)))
  const byFault = new Map<string, number[]>()
  const all: number[] = []
  for (const { fault, fromNs, toNs } of faults) {
    const ms = msOf(longestGap(rounds, { fromNs, toNs }))
    all.push(ms)
    byFault.set(fault, [...(byFault.get(fault) ?? []), ms])
  }
  all.sort((a, b) => a - b)
  const figures: Record<string, number> = { faults: faults.length }
  figures.rtoMedianMs = quantile(all, 0.5)
  figures.rtoMaxMs = all.at(-1) ?? 0
  for (const [fault, times] of byFault) {
    const sorted = times.sort((a, b) => a - b)
    figures[`medianMs:${fault}`] = quantile(sorted, 0.5)
    figures[`maxMs:${fault}`] = sorted.at(-1) ?? 0
  }
  return verdictOf('service-outage', figures, [])
}

function ackTimes(history: readonly HistoryLine[]): readonly number[] {
  const oks = operationsOf(history).filter(isOk)
  const writes = oks.filter((one) => one.f !== 'probe' && one.f !== 'long' && isWrite(one))
  return writes.map(({ endedNs }) => endedNs).sort((a, b) => a - b)
}

/** Moments by which every group had taken a write since the one before. */
export function roundsOf(lanes: readonly (readonly number[])[]): readonly number[] {
  const all = lanes.flatMap((times, lane) => times.map((time) => ({ time, lane }))).sort((a, b) => a.time - b.time)
  const rounds: number[] = []
  let seen = new Set<number>()
  for (const { time, lane } of all) {
    seen.add(lane)
    if (seen.size < lanes.length) continue
    rounds.push(time)
    seen = new Set()
  }
  return rounds
}
