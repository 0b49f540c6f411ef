/**
 * Makes the plan that restarts the engines of one group, one after the other, for new binaries of the same major
 * version or for parameters that need it: each replica until it has caught up again, then a switchover, then the former
 * primary. Writers meet one switchover. Where a group has one replica, `sync` writes wait for it while it is away, and
 * the plan says so. A replica that does not come back stops the plan before the next one is touched.
 */
import type { MemberName } from '../model.ts'
import {
  ATTEMPTS,
  type Bare,
  better,
  type Draft,
  FRESH,
  type GroupFacts,
  holdStep,
  type MemberFacts,
  type MoveWish,
  NOBODY,
  PATIENCE_MS,
  planOf,
  type Survey,
} from './draft.ts'
import type { PlanStep } from './plan.ts'
import { predictionOf } from './predict.ts'

/** A large server writes what it has in memory, starts, and catches up with what came meanwhile. */
const RESTART_MS = 15 * 60_000

/** `wish.member`: only this one; null: all of the survey's one group. */
export function draftRestart(survey: Survey, wish: MoveWish): Draft {
  const [facts] = survey.groups
  const plan = planOf(survey, wish, facts === undefined ? [] : graph(survey, facts, wish.member), wish.from ?? null)
  if (facts === undefined) return { plan, losses: [], refusals: ['there is no such group'], epochs: {} }
  const refusals = refusalsOf(facts, wish.member).map((one) => `${facts.group}: ${one}`)
  return { plan, losses: [], refusals, epochs: { [facts.group]: facts.epoch }, notes: notesOf(facts) }
}

function wanted(facts: GroupFacts, only: MemberName | null): readonly MemberFacts[] {
  const all = facts.members.filter(({ member }) => only === null || member === only)
  // The primary comes last.
  return [...all].sort((a, b) => Number(a.member === facts.holder) - Number(b.member === facts.holder))
}

/** At the primary's own site where somebody there can lead: a restart is no reason to tear a service apart. */
function targetOf(facts: GroupFacts): MemberFacts | null {
  const able = facts.members.filter((one) => one.member !== facts.holder && one.refusal === null && !one.never)
  const site = facts.members.find(({ member }) => member === facts.holder)?.site
  const near = able.filter((one) => one.site === site)
  return [...(near.length > 0 ? near : able)].sort(better)[0] ?? null
}

function refusalsOf(facts: GroupFacts, only: MemberName | null): readonly string[] {
  const { members, holder, open, pausedBy } = facts
  if (pausedBy !== null) return [`paused by ${pausedBy}; end it with: holdfast resume ${facts.group}`]
  if (!open) return ['nobody is open for writes; a restart would only add to that']
  if (members.length === 1) return ['it has one member, so nobody can lead meanwhile: a restart is an outage here']
  const unfit = members.flatMap((one) => {
    if (!one.heard) return [`the agent of ${one.member} does not answer`]
    if (one.started === null) return [`the engine of ${one.member} does not run`]
    return one.member === holder || one.following ? [] : [`${one.member} does not follow ${holder ?? 'anybody'}`]
  })
  if (unfit.length > 0 || (only !== null && only !== holder) || targetOf(facts) !== null) return unfit
  const others = members.filter(({ member }) => member !== holder)
  return [`nobody can take over from ${holder ?? ''}: ${others.map((o) => `${o.member} ${o.refusal}`).join('; ')}`]
}

function notesOf({ group, members, replication }: GroupFacts): readonly string[] {
  const need = replication.kind === 'quorum' ? replication.need : replication.kind === 'sync' ? 1 : 0
  if (members.length - 2 >= need) return []
  return [`${group} has ${members.length - 1} to confirm writes: they wait while one of these is restarted (R14)`]
}

function graph(survey: Survey, facts: GroupFacts, only: MemberName | null): readonly PlanStep[] {
  const steps: PlanStep[] = []
  const add = (step: Bare): void => {
    const after = steps.at(-1)?.id
    const predicted = predictionOf(step, facts.timing, survey.past)
    steps.push({ ...step, after: after === undefined ? [] : [after], predicted, ...FRESH })
  }
  for (const one of wanted(facts, only)) {
    if (one.member === facts.holder) {
      add(holdStep('hold', { facts }))
      add(awayStep(facts, one))
      // Nothing is moved back, so nothing is held again for that.
      add({ ...holdStep('release', { facts }), wayBack: 'nothing' })
    }
    add(restartStep(facts, one))
  }
  return steps
}

function restartStep({ group }: GroupFacts, { member, started }: MemberFacts): Bare {
  const rest = { deadlineMs: RESTART_MS, attemptsMax: 1, onFailure: 'stop', wayBack: 'nothing' } as const
  return { ...NOBODY, ...rest, started, id: `restart:${member}`, kind: 'restart', group, member }
}

/** Nobody wants a second outage because a plan was cancelled: who leads then goes on. */
function awayStep(facts: GroupFacts, { member, started }: MemberFacts): Bare {
  const { group, timing } = facts
  const deadlineMs = PATIENCE_MS + timing.stopMs + timing.promoteMs + 2 * timing.ttlMs
  const rest = { deadlineMs, attemptsMax: ATTEMPTS, onFailure: 'undo', wayBack: 'nothing' } as const
  const target = targetOf(facts)?.member ?? null
  return { ...NOBODY, ...rest, started, id: `move:${group}`, kind: 'move', group, member: target, from: member }
}
