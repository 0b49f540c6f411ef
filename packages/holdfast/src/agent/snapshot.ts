/**
 * The agent's state in the words of `agent-api.ts` and of peers. Pure: reads the core's state, asks nobody, so every
 * answer is as fast as the loop is alive, and carries the loop's age where it matters.
 */
import type { GroupStatus, MemberStatus } from '@holdfast/client'
import type { MemberState } from '../core/lease/member-state.ts'
import { reportOf } from '../core/lease/report.ts'
import type { PeerReport } from '../core/model.ts'
import type { NodeSettings, NodeState } from '../core/node.ts'
import type { MemberSettings } from '../core/settings.ts'
import type { Work } from './engine-lane.ts'

export interface Moment {
  readonly state: NodeState
  readonly nowMs: number
  readonly loopAgeMs: number
}

/** Milliseconds for which the member may still write without another beat; 0 when it may not. */
export function writableForMs(moment: Moment, member: MemberState): number {
  return member.role === 'primary' ? trustedForMs(moment, member) : 0
}

/** What is left of the trust of the member's hold: its session's, or the failsafe's (R1, R21). */
function trustedForMs(moment: Moment, member: MemberState): number {
  const { session } = moment.state
  const { hold, failsafeUntilMs } = member
  if (hold === null) return 0
  const trusted = session.phase === 'live' && session.session === hold.session ? session.trustedUntilMs : 0
  return Math.max(0, Math.max(trusted, failsafeUntilMs) - moment.nowMs)
}

/** Bytes behind what the holder last published; null when unknown. */
export function lagBytes(member: MemberState): number | null {
  const published = member.holder?.published?.lsn ?? member.observed?.lsn ?? null
  const own = member.view?.position?.lsn ?? null
  if (member.role === 'primary' || (member.observed !== null && member.view?.role === 'primary')) return 0
  return published === null || own === null ? null : Math.max(0, published - own)
}

/** Age, at most, of the oldest published byte the member lacks; null when unknown. */
export function lagMs(moment: Moment, member: MemberState): number | null {
  const bytes = lagBytes(member)
  if (bytes === null || bytes === 0) return bytes
  const own = member.view?.position?.lsn ?? 0
  const missing = member.holder?.history.find((published) => published.lsn > own)
  return missing === undefined ? null : Math.max(0, moment.nowMs - missing.afterMs)
}

/**
 * Age, at most, of the member's data: what the holder had written before that is there. Null when nothing was heard of
 * a holder that its copy can be compared with. Published positions are those of the holder's look before the beat.
 */
export function staleMs(moment: Moment, member: MemberState, beatMs: number): number | null {
  if (member.role === 'primary') return 0
  const { holder, view } = member
  const position = view?.position ?? null
  if (holder === null || holder.published === null || position === null) return null
  const { published, publishedAfterMs, history } = holder
  // Places on two timelines cannot be compared: a copy that went another way may be further on and lack everything.
  if (position.timeline !== published.timeline) return null
  const own = position.lsn
  const complete = own >= published.lsn ? publishedAfterMs : history.findLast(({ lsn }) => lsn <= own)?.afterMs
  return complete === undefined || complete === null ? null : Math.max(0, moment.nowMs - complete) + beatMs
}

function peerReport(moment: Moment, settings: MemberSettings, member: MemberState): PeerReport {
  const { nowMs, loopAgeMs } = moment
  const writableUntilMs = nowMs + trustedForMs(moment, member)
  const { phase, trustedUntilMs } = moment.state.session
  const session = phase === 'live' ? { untilMs: trustedUntilMs } : null
  return reportOf(member, settings, { nowMs, writableUntilMs, session, loopAgeMs })
}

/** Reports of all members here. */
export function peerReports(moment: Moment, settings: NodeSettings): readonly PeerReport[] {
  return settings.members.flatMap((m) => {
    const state = moment.state.members[m.self.member]
    return state === undefined ? [] : [peerReport(moment, m, state)]
  })
}

export function memberStatus(
  moment: Moment,
  settings: MemberSettings,
  member: MemberState,
  extra: {
    readonly address: { readonly host: string; readonly port: number }
    readonly work: Work | null
    readonly started: string | null
  },
): MemberStatus {
  const { view } = member
  return {
    group: settings.group,
    member: settings.self.member,
    agent: settings.self.agent,
    site: settings.self.site,
    role: settings.failover === 'observe' ? observedRole(member) : member.role,
    epoch: member.hold?.epoch ?? member.record?.value?.epoch ?? 0,
    engine:
      view === null
        ? null
        : {
            running: view.running,
            answering: view.answering,
            role: view.role,
            data: view.data,
            timeline: view.position?.timeline ?? null,
            lsn: view.position?.lsn ?? null,
            receiving: view.receiving,
            upstream: view.upstream,
            started: extra.started,
          },
    writableForMs: Math.round(writableForMs(moment, member)),
    lagBytes: lagBytes(member),
    staleMs: rounded(staleMs(moment, member, settings.timing.beatMs)),
    address: extra.address,
    work: extra.work,
  }
}

function rounded(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms)
}

/** A member that is only observed is what its engine says. */
function observedRole({ view }: MemberState): string {
  return view === null || !view.answering || view.role === 'none' ? 'idle' : view.role
}

/** Null while no record was seen. */
export function groupStatus(moment: Moment, settings: MemberSettings, member: MemberState): GroupStatus | null {
  const record = member.record?.value ?? null
  if (record === null) return null
  const { pause } = record
  const seenMs = member.pauseSeen === null ? 0 : moment.nowMs - member.pauseSeen.atMs
  return {
    group: settings.group,
    epoch: record.epoch,
    phase: record.phase,
    holder: record.holder,
    eligible: record.sync.members,
    need: record.sync.need,
    paused:
      pause === null || seenMs >= pause.validMs
        ? null
        : { by: pause.by, because: pause.because, forMs: Math.round(pause.validMs - seenMs) },
    failsafe: member.failsafeUntilMs > moment.nowMs,
  }
}
