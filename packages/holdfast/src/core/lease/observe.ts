/**
 * Observe mode: Holdfast touches nothing, and says what it would have done. The primary is whoever answers as one; when
 * none was seen for one ttl, the best copy is named with its verdict. There is no record and no lease, so the rules
 * look only at what the engines themselves say.
 */
import type { MemberName, Position } from '../model.ts'
import type { MemberSettings } from '../settings.ts'
import { better, type Candidate, candidatesOf, type Exclusion } from './eligibility.ts'
import type { MemberState } from './member-state.ts'
import { patch, standing, type Turn, wake } from './turn.ts'

export interface ObservedVerdict {
  readonly member: MemberName
  readonly eligible: boolean
  readonly because: readonly Exclusion[]
  readonly position: Position | null
}

export interface Observation {
  /** Who answers as primary now. */
  readonly primary: { readonly member: MemberName; readonly lsn: number } | null
  /** Who did last, and for how long nobody has. Null when never seen. */
  readonly last: { readonly member: MemberName; readonly lsn: number; readonly silentMs: number } | null
  readonly verdicts: readonly ObservedVerdict[]
  /** Who would take over, and how far behind what was last seen of the primary. */
  readonly to: MemberName | null
  readonly behindBytes: number | null
}

export function observation(state: MemberState, settings: MemberSettings, nowMs: number): Observation {
  const candidates = candidatesOf(state, settings, nowMs)
  const leads = candidates.find((c) => c.view?.role === 'primary' && c.view.answering)
  const primary = leads === undefined ? null : { member: leads.spec.member, lsn: leads.view?.position?.lsn ?? 0 }
  const seen = state.observed
  const silentMs = primary === null && seen !== null ? nowMs - seen.atMs : 0
  const last = primary !== null ? { ...primary, silentMs } : seen === null ? null : { ...seen, silentMs }
  const verdicts = candidates.map((c) => verdictOn(c, settings, last))
  const priorityOf = (member: MemberName) => settings.members.find((m) => m.member === member)?.priority ?? 0
  const [best] = verdicts
    .filter((v) => v.eligible && v.member !== primary?.member)
    .map((v) => ({ ...v, priority: priorityOf(v.member) }))
    .sort(better)
  return { primary, last, verdicts, to: best?.member ?? null, behindBytes: behindBytes(best?.position, last) }
}

export function observe(turn: Turn): void {
  const { state, settings, nowMs } = turn
  const { primary, last, to, behindBytes } = observation(state, settings, nowMs)
  if (primary !== null) {
    patch(turn, { observed: { member: primary.member, atMs: nowMs, lsn: primary.lsn } })
    standing(turn, 'observe', `sees-primary-${primary.member}`, { lsn: primary.lsn })
    return
  }
  if (last === null) return
  const { ttlMs } = settings.timing
  if (last.silentMs < ttlMs) {
    wake(turn, nowMs + ttlMs - last.silentMs)
    return
  }
  const why = { rule: 'R12', from: last.member, to, silentMs: Math.round(last.silentMs), behindBytes }
  standing(turn, 'observe', to === null ? 'would-find-nobody' : `would-fail-over-to-${to}`, why)
}

function verdictOn({ spec, view }: Candidate, settings: MemberSettings, last: Observation['last']): ObservedVerdict {
  const position = view?.position ?? null
  const because: Exclusion[] = []
  const no = (code: string, rule: string, detail: Exclusion['detail'] = {}) => because.push({ code, rule, detail })
  if (spec.noFailover) no('no-failover', 'R11')
  if (view === null) no('not-seen', 'R11')
  else if (!view.answering) no('engine-not-answering', 'R11', { running: view.running })
  else if (position === null) no('position-unknown', 'R11')
  const { replication } = settings
  const lossBytes = behindBytes(position, last)
  if (replication.kind === 'async' && lossBytes !== null && lossBytes > replication.lossBytesMax) {
    no('loss-bytes-above-bound', 'R11', { lossBytes, boundBytes: replication.lossBytesMax })
  }
  return { member: spec.member, eligible: because.length === 0, because, position }
}

function behindBytes(position: Position | null | undefined, last: Observation['last']): number | null {
  return position == null || last === null ? null : Math.max(0, last.lsn - position.lsn)
}
