/** Why each member may or may not take over, from what this agent knows now. The verdicts are the core's own. */
import type { CandidateVerdict, GroupExplanation, ReasonLine } from '@holdfast/client'
import { type Candidate, type Case, caseOf, type Verdict, verdictOf } from '../core/lease/eligibility.ts'
import type { MemberState } from '../core/lease/member-state.ts'
import { type Observation, observation } from '../core/lease/observe.ts'
import type { GroupRecord } from '../core/model.ts'
import type { MemberSettings, MemberSpec } from '../core/settings.ts'
import type { Moment } from './snapshot.ts'

export interface Known {
  readonly settings: MemberSettings
  readonly member: MemberState
  readonly moment: Moment
  readonly wallMs: number
}

/** One verdict per member of the group; empty while no record was seen. */
export function verdicts(known: Known, allowDataLoss: boolean): readonly Verdict[] {
  const { settings, member, moment } = known
  const record = member.record?.value ?? null
  if (record === null) return []
  const question: Case = { ...caseOf(member, settings, record, moment.nowMs), allowDataLoss }
  return settings.members.map((spec) => verdictOf(question, candidate(known, spec)))
}

/** The newest view of a member's engine that may still be believed. */
function candidate(known: Known, spec: MemberSpec): Candidate {
  const { settings, member, moment } = known
  if (spec.member === settings.self.member) return { spec, view: member.view }
  const fact = member.peers[spec.member]
  const fresh = fact !== undefined && moment.nowMs - fact.atMs <= settings.timing.reportMaxAgeMs
  return { spec, view: fresh ? fact.report.engine : null }
}

/** One group seen from one agent; a group that is only observed has no record to explain. */
export function explain(known: Known): GroupExplanation {
  return known.settings.failover === 'observe' ? explainObserved(known) : explainLed(known)
}

function explainLed(known: Known): GroupExplanation {
  const { settings, member, wallMs } = known
  const record = member.record?.value ?? null
  const found = verdicts(known, false)
  const candidates = found.map((verdict) => told(verdict, settings.group, wallMs))
  return {
    group: settings.group,
    seenBy: settings.self.member,
    holder: record?.holder ?? null,
    epoch: record?.epoch ?? 0,
    phase: record?.phase ?? 'unknown',
    candidates,
    wouldDo: wouldDo(settings, record, found),
  }
}

function told(
  verdict: Pick<Verdict, 'member' | 'eligible' | 'because'>,
  group: string,
  wallMs: number,
): CandidateVerdict {
  const { member, eligible } = verdict
  const because = verdict.because.map((exclusion): ReasonLine => ({ wallMs, group, member, ...exclusion }))
  return { member, eligible, because }
}

function explainObserved({ settings, member, moment, wallMs }: Known): GroupExplanation {
  const seen = observation(member, settings, moment.nowMs)
  return {
    group: settings.group,
    seenBy: settings.self.member,
    holder: seen.primary?.member ?? null,
    epoch: 0,
    phase: 'observed',
    candidates: seen.verdicts.map((verdict) => told(verdict, settings.group, wallMs)),
    wouldDo: wouldHaveDone(seen, settings.timing.ttlMs),
  }
}

function wouldHaveDone({ primary, last, to, behindBytes }: Observation, ttlMs: number): string {
  if (last === null) return 'Nothing: nobody was seen as primary yet.'
  const bytes = `${behindBytes ?? 'an unknown number of'} bytes`
  const how = `it is the furthest on, ${bytes} behind the last position of ${last.member}`
  if (primary !== null) {
    if (to === null) return `If ${primary.member} died now I would find nobody who may take over.`
    return `If ${primary.member} died now I would fail over to ${to} because ${how}.`
  }
  const silent = `${last.member} has not answered as primary for ${Math.round(last.silentMs)} ms`
  if (last.silentMs < ttlMs) return `Nothing yet: ${silent}, and the lease would last ${ttlMs} ms.`
  if (to === null) return `Now I would have failed over because ${silent}, and I find nobody who may take over.`
  return `Now I would have failed over to ${to} because ${silent} (lease ${ttlMs} ms); ${how}.`
}

function wouldDo(settings: MemberSettings, record: GroupRecord | null, found: readonly Verdict[]): string {
  if (record === null) return 'Nothing: this agent has not seen the record of the group yet.'
  if (record.pause !== null) return 'Nothing while the group is paused; `holdfast resume` ends that.'
  const heirs = found.filter((verdict) => verdict.eligible && verdict.member !== record.holder)
  if (heirs.length === 0) {
    return 'No other member may take over without loss: the group would stay without a writer until its holder returns.'
  }
  const [first] = [...heirs].sort((a, b) => place(settings, b) - place(settings, a))
  const who = first?.member ?? ''
  if (settings.failover === 'manual') return `It would wait for an operator; ${who} is the best candidate.`
  return `${who} would take over.`
}

/** Further ahead first, then the higher priority (R12). */
function place(settings: MemberSettings, verdict: Verdict): number {
  const priority = settings.members.find((spec) => spec.member === verdict.member)?.priority ?? 0
  return (verdict.position?.lsn ?? 0) + priority / 1_000
}
