/** What a member tells the others, and what the agent's session publishes for it. */
import type { PeerReport, PublishedPosition } from '../model.ts'
import type { MemberSettings } from '../settings.ts'
import type { MemberState } from './member-state.ts'
import { unready } from './readiness.ts'

/** What the node knows and the member does not. */
export interface ReportMoment {
  readonly nowMs: number
  /** The trust of the hold. */
  readonly writableUntilMs: number
  /** Of the agent; null when it is not live. */
  readonly session: { readonly untilMs: number } | null
  /** Filled in by the shell. */
  readonly loopAgeMs: number
}

export function reportOf(state: MemberState, settings: MemberSettings, at: ReportMoment): PeerReport {
  const open = state.role === 'primary' || state.role === 'demoting'
  return {
    member: settings.self.member,
    agent: settings.self.agent,
    role: state.role,
    epoch: state.hold?.epoch ?? state.record?.value?.epoch ?? 0,
    writableForMs: open ? Math.max(0, at.writableUntilMs - at.nowMs) : 0,
    loopAgeMs: at.loopAgeMs,
    engine: state.view,
    frozenForEpoch: state.frozenForEpoch,
    unready: unready(state, settings, at)?.code ?? null,
    noFailover: settings.self.noFailover,
    priority: settings.self.priority,
  }
}

/** Log end and acknowledged floor of an open primary; null for everybody else. */
export function publishedOf(state: MemberState): PublishedPosition | null {
  const { hold, view, record } = state
  const value = record?.value ?? null
  if (state.role !== 'primary' || hold === null || view === null || value === null) return null
  if (view.role !== 'primary' || view.position === null) return null
  const { timeline, lsn } = view.position
  const need = value.sync.need
  const confirmed = view.standbys.filter((s) => value.sync.members.includes(s.member)).map((s) => s.flushLsn)
  const ackedLsn = need === 0 ? 0 : (confirmed.sort((a, b) => b - a)[need - 1] ?? 0)
  return {
    epoch: hold.epoch,
    timeline,
    lsn,
    ackedLsn: Math.min(ackedLsn, lsn),
  }
}
