/**
 * Most events are peers' reports that say that all is as before (`routine.ts`), and beats of an agent whose members
 * just follow. They change nothing until the next event that is decided on, so they are kept aside and one copy of the
 * state takes in all of them. Whoever decides or explains reads them first; nobody sees a state without them.
 */
import type { MemberName, PeerReport } from '../model.ts'
import type { MemberSettings } from '../settings.ts'
import { isAmong, isGap } from './absorb.ts'
import type { MemberState, PeerFact } from './member-state.ts'
import { type Look, lookedAtByNobody } from './routine.ts'

/** What was heard and not yet read, newest first. */
export interface Unread {
  /** Who heard it. */
  readonly member: MemberName
  readonly atMs: number
  /** Null: time went on, nothing else. */
  readonly fact: PeerFact | null
  /** How many there are with this one. */
  readonly count: number
  readonly before: Unread | null
}

/** A beat comes long before; what is kept must be bounded all the same. */
const UNREAD_MAX = 64

export interface Hearing {
  readonly report: PeerReport
  readonly nowMs: number
  /** Of the session, which is live. */
  readonly confirmedAtMs: number
}

/** With this report left unread; null: it must be decided on. */
export function leftUnread(
  state: MemberState,
  settings: MemberSettings,
  unread: Unread | null,
  { report, nowMs, confirmedAtMs }: Hearing,
): Unread | null {
  const { self, members, failover } = settings
  if (failover === 'observe' || state.op !== null || nowMs >= state.wakeAtMs) return null
  if (report.member === self.member || !isAmong(members, report.member)) return null
  if (isGap(nowMs - lastAtMs(state, self.member, unread), settings)) return null
  const fact = { report, atMs: nowMs }
  const look: Look = { state, settings, nowMs, session: { confirmedAtMs } }
  const before = newest(unread, self.member, report.member) ?? state.peers[report.member]
  return lookedAtByNobody(look, before, fact) ? added(unread, self.member, nowMs, fact) : null
}

/**
 * With the time noted; null: the member must be looked at. One that follows a holder whose end is not near looks at
 * facts only, and wakes for everything it waits for.
 */
export function leftAlone(
  state: MemberState,
  settings: MemberSettings,
  unread: Unread | null,
  nowMs: number,
): Unread | null {
  if (state.role !== 'replica' || settings.failover === 'observe' || nowMs >= state.wakeAtMs) return null
  if (state.op !== null || state.write !== null || state.gathering !== null) return null
  const { member } = settings.self
  if (isGap(nowMs - lastAtMs(state, member, unread), settings)) return null
  const look: Look = { state, settings, nowMs, session: null }
  return lookedAtByNobody(look, undefined, undefined) ? added(unread, member, nowMs, null) : null
}

function added(before: Unread | null, member: MemberName, atMs: number, fact: PeerFact | null): Unread | null {
  const count = (before?.count ?? 0) + 1
  return count > UNREAD_MAX ? null : { member, atMs, fact, count, before }
}

/** When the newest event came. */
function lastAtMs(state: MemberState, member: MemberName, unread: Unread | null): number {
  for (let at = unread; at !== null; at = at.before) if (at.member === member) return at.atMs
  return state.lastEventAtMs
}

/** The newest unread report that `member` heard of `peer`. */
function newest(unread: Unread | null, member: MemberName, peer: MemberName): PeerFact | undefined {
  for (let at = unread; at !== null; at = at.before) {
    if (at.member === member && at.fact?.report.member === peer) return at.fact
  }
  return undefined
}

/** What the others heard; the same list when `member` heard nothing. */
export function unreadBut(unread: Unread | null, member: MemberName): Unread | null {
  if (unread === null) return null
  const before = unreadBut(unread.before, member)
  if (unread.member === member) return before
  if (before === unread.before) return unread
  return { ...unread, count: (before?.count ?? 0) + 1, before }
}

/** A copy of a member's state that has read everything. */
export function withRead(state: MemberState, member: MemberName, unread: Unread | null): MemberState {
  if (unread === null) return { ...state }
  const lastEventAtMs = lastAtMs(state, member, unread)
  const facts: PeerFact[] = []
  for (let at: Unread | null = unread; at !== null; at = at.before) {
    if (at.member === member && at.fact !== null) facts.push(at.fact)
  }
  if (facts.length === 0) return { ...state, lastEventAtMs }
  const peers: Record<MemberName, PeerFact> = Object.assign({}, state.peers)
  for (let i = facts.length - 1; i >= 0; i -= 1) {
    const fact = facts[i]
    if (fact !== undefined) peers[fact.report.member] = fact
  }
  return { ...state, peers, lastEventAtMs }
}
