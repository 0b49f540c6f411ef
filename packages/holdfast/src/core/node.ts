/**
 * One agent's core: its session and the members it stands beside. Routes each event to its room and gathers what they
 * decide. The shell, the simulator and `replay` all drive exactly this function.
 */
import { withEntry } from './entry.ts'
import { stepMember } from './lease/decide.ts'
import { type MemberState, startMember } from './lease/member-state.ts'
import { publishedOf } from './lease/report.ts'
import {
  absorbSession,
  beatIfDue,
  CLOSED,
  lapse,
  type SessionState,
  type SessionTurn,
  sessionWakeAtMs,
} from './lease/session.ts'
import { ownState, type Turn } from './lease/turn.ts'
import { type AgentName, type MemberName, NEVER_MS, type PublishedPosition, type Reason } from './model.ts'
import type { Action, MemberEvent, SessionEvent, StepResult } from './protocol.ts'
import type { MemberSettings } from './settings.ts'

export interface NodeSettings {
  readonly agent: AgentName
  /** Ttl of the agent's session; the shortest ttl of its groups. */
  readonly ttlMs: number
  readonly beatMs: number
  readonly requestMs: number
  readonly marginMs: number
  readonly members: readonly MemberSettings[]
}

export interface NodeState {
  /** Drawn by the shell when the process starts; session ids are made from it and a counter. */
  readonly bootId: string
  readonly session: SessionState
  readonly members: Readonly<Record<MemberName, MemberState>>
  /** Ids of actions; each is used once in the life of the process. */
  readonly nextId: number
}

export type NodeEvent =
  | { readonly to: 'node'; readonly event: { readonly kind: 'tick'; readonly nowMs: number } }
  | { readonly to: 'session'; readonly event: SessionEvent }
  | { readonly to: 'member'; readonly member: MemberName; readonly event: MemberEvent }

export function startNode(settings: NodeSettings, bootId: string, nowMs: number): NodeState {
  const members = Object.fromEntries(settings.members.map((m) => [m.self.member, startMember(nowMs)]))
  return { bootId, session: { ...CLOSED, nextBeatAtMs: nowMs }, members, nextId: 1 }
}

/** What one step gathers. Mutable, but born and gone within `stepNode`. */
interface Draft {
  session: SessionState
  members: Readonly<Record<MemberName, MemberState>>
  nextId: number
  wakeAtMs: number
  readonly actions: Action[]
  readonly reasons: Reason[]
}

export function stepNode(state: NodeState, event: NodeEvent, settings: NodeSettings): StepResult<NodeState> {
  const { nowMs } = event.event
  const draft: Draft = {
    session: state.session,
    members: state.members,
    nextId: state.nextId,
    wakeAtMs: NEVER_MS,
    actions: [],
    reasons: [],
  }
  const before = draft.session
  if (before.phase === 'live' && nowMs >= before.trustedUntilMs) {
    draft.session = lapse(before, nowMs, keepsFailsafe(draft, nowMs))
  }
  if (event.to === 'session')
    draft.session = absorbSession(draft.session, event.event, { settings, bootId: state.bootId, nowMs })
  const trustMoved = draft.session !== before
  for (const member of settings.members) {
    const own = event.to === 'member' && event.member === member.self.member ? event.event : null
    // Every member is looked at whenever time or trust moved; a fact about one member concerns only that one.
    if (own !== null) runMember(draft, member, own)
    else if (event.to === 'node' || trustMoved) runMember(draft, member, { kind: 'tick', nowMs })
    draft.wakeAtMs = Math.min(draft.wakeAtMs, draft.members[member.self.member]?.wakeAtMs ?? NEVER_MS)
  }
  const closed = draft.session.phase === 'closed'
  const mayOpen = closed && nothingHeld(draft, settings)
  // What a beat needs is gathered only when one is due: most events are not about the session.
  if (nowMs >= draft.session.nextBeatAtMs && (!closed || mayOpen)) {
    draft.session = beatIfDue(draft.session, sessionTurn(state, draft, settings, nowMs))
  }
  const wakeAtMs = Math.min(draft.wakeAtMs, sessionWakeAtMs(draft.session, nowMs, mayOpen))
  const { session, members, nextId } = draft
  const next: NodeState = { bootId: state.bootId, session, members, nextId }
  return { state: next, actions: draft.actions, reasons: draft.reasons, wakeAtMs }
}

function runMember(draft: Draft, settings: MemberSettings, event: MemberEvent): void {
  const state = draft.members[settings.self.member]
  if (state === undefined) return
  const { session } = draft
  const live = session.phase === 'live' && session.session !== null
  const turn: Turn = {
    settings,
    nowMs: event.nowMs,
    session: live
      ? {
          id: session.session ?? '',
          untilMs: session.trustedUntilMs,
          confirmedAtMs: session.lastConfirmedSentAtMs,
          published: session.published[settings.group] ?? null,
          inherited: session.inherited[settings.group] ?? null,
        }
      : null,
    nextId: draft.nextId,
    state: { ...state },
    wakeAtMs: NEVER_MS,
    actions: draft.actions,
    reasons: draft.reasons,
  }
  stepMember(turn, event)
  ownState(turn).wakeAtMs = turn.wakeAtMs
  draft.nextId = turn.nextId
  draft.members = withEntry(draft.members, settings.self.member, turn.state)
}

function sessionTurn(state: NodeState, draft: Draft, settings: NodeSettings, nowMs: number): SessionTurn {
  return {
    settings,
    bootId: state.bootId,
    nowMs,
    mayOpen: nothingHeld(draft, settings),
    positions: () => positionsOf(draft, settings),
    nextId: () => draft.nextId++,
    emit: (action) => draft.actions.push(action),
  }
}

function keepsFailsafe(draft: Draft, nowMs: number): boolean {
  for (const name in draft.members) if ((draft.members[name]?.failsafeUntilMs ?? 0) > nowMs) return true
  return false
}

/** A new session says to everybody that the old one's holds are dead, so nothing may still be writable (R6). */
function nothingHeld(draft: Draft, settings: NodeSettings): boolean {
  for (const { self, failover } of settings.members) {
    if (failover === 'observe') continue
    const member = draft.members[self.member]
    if (member === undefined || member.hold !== null || member.role === 'fencing') return false
    if (member.view === null) return false
    if (member.view.role === 'primary' || (member.view.running && member.view.role !== 'replica')) return false
  }
  return true
}

function positionsOf(draft: Draft, settings: NodeSettings): Record<string, PublishedPosition> {
  const positions: Record<string, PublishedPosition> = {}
  for (const { self, group } of settings.members) {
    const member = draft.members[self.member]
    const published = member === undefined ? null : publishedOf(member)
    if (published !== null) positions[group] = published
  }
  return positions
}
