/**
 * One step of one member: the state so far, and what was decided. Lives only inside `step`; nothing outside sees it.
 */
import type { GroupRecord, PublishedPosition, Reason, SessionId } from '../model.ts'
import type { Action, EngineCommand, WritePurpose } from '../protocol.ts'
import type { MemberSettings } from '../settings.ts'
import type { MemberState } from './member-state.ts'
import { publishedOf } from './report.ts'

export interface Turn {
  readonly settings: MemberSettings
  readonly nowMs: number
  /** The agent's session as it stands in this instant; null when not live. */
  readonly session: {
    readonly id: SessionId
    readonly untilMs: number
    readonly confirmedAtMs: number
    /** Log end of this group in the newest confirmed beat. */
    readonly published: PublishedPosition | null
    /** The same of the session that this one replaced. */
    readonly inherited: PublishedPosition | null
  } | null
  /** Drawn by `drawId` only. */
  nextId: number
  /** A copy of its own from the start of the step; see `ownState`. */
  state: MemberState
  /** Earliest time at which something is due without another event. */
  wakeAtMs: number
  readonly actions: Action[]
  readonly reasons: Reason[]
}

export function patch(turn: Turn, change: Partial<MemberState>): void {
  turn.state = { ...turn.state, ...change }
}

/**
 * The step's own copy of the state, to take facts in without another copy. Only at the very beginning and end of a
 * step, while nobody relies on a state seen before; deciding uses `patch`.
 */
export function ownState(turn: Turn): { -readonly [K in keyof MemberState]: MemberState[K] } {
  return turn.state
}

/** Ids of actions; each is used once. */
export function drawId(turn: { nextId: number }): number {
  const id = turn.nextId
  turn.nextId += 1
  return id
}

export function wake(turn: Turn, atMs: number): void {
  if (atMs < turn.wakeAtMs) turn.wakeAtMs = atMs
}

export type Detail = Readonly<Record<string, string | number | boolean | null>>

/** The numbers of a reason, and the rule that speaks. */
export interface Why {
  readonly rule?: string
  readonly [name: string]: string | number | boolean | null | undefined
}

/** Tells why, always. */
export function because(turn: Turn, code: string, why: Why = {}): void {
  const { group, self } = turn.settings
  const { rule, ...numbers } = why
  const detail = numbers as Detail
  const base = { code, group, member: self.member, detail }
  turn.reasons.push(rule === undefined ? base : { ...base, rule })
}

/** Tells a standing reason once: again only when the code for this topic changes. `null` clears the topic. */
export function standing(turn: Turn, topic: string, code: string | null, why: Why = {}): void {
  if (turn.state.said[topic] === (code ?? '')) return
  patch(turn, { said: { ...turn.state.said, [topic]: code ?? '' } })
  if (code !== null) because(turn, code, why)
}

/** Until when this member may be writable: its session's trust if the hold hangs on it, or the failsafe's (R1, R21). */
export function writableUntilMs(turn: Turn): number {
  const { hold, failsafeUntilMs } = turn.state
  if (hold === null) return 0
  const trust = turn.session !== null && turn.session.id === hold.session ? turn.session.untilMs : 0
  return Math.max(trust, failsafeUntilMs)
}

/** The fence must start here to be done in time (R2). */
export function fenceAtMs(turn: Turn): number {
  return writableUntilMs(turn) - turn.settings.timing.fenceMs
}

/**
 * Starts an engine command. A fence pre-empts whatever runs; freezing, promoting and following somebody else pre-empt
 * following, which may be waiting for a primary that is gone. Nothing else pre-empts.
 */
export function command(turn: Turn, what: EngineCommand, deadlineMs: number): boolean {
  const running = turn.state.op?.command.do
  const preempts =
    what.do === 'fence' ||
    (running === 'follow' && (what.do === 'freeze' || what.do === 'promote' || what.do === 'follow'))
  if (running !== undefined && !preempts) return false
  const id = drawId(turn)
  turn.actions.push({ kind: 'engine', id, member: turn.settings.self.member, command: what, deadlineMs })
  patch(turn, { op: { id, command: what, startedAtMs: turn.nowMs, deadlineMs } })
  return true
}

/** Writes the group record on the version last seen. One at a time. */
export function writeRecord(turn: Turn, purpose: WritePurpose, record: Omit<GroupRecord, 'stamp' | 'v'>): boolean {
  const { state } = turn
  if (state.write !== null || state.record === null) return false
  if (turn.nowMs < state.writeNotBeforeMs) {
    wake(turn, state.writeNotBeforeMs)
    return false
  }
  const id = drawId(turn)
  const stamped: GroupRecord = { ...record, v: 1, stamp: `${turn.session?.id ?? turn.settings.self.agent}:${id}` }
  const ifRevision = state.record.revision
  turn.actions.push({ kind: 'write-record', id, purpose, record: stamped, ifRevision })
  patch(turn, { write: { id, purpose, record: stamped, ifRevision, sentAtMs: turn.nowMs, unknown: false } })
  return true
}

/** Least time between two attempts of the same write or read. */
const RETRY_GAP_MS = 50

/** An unknown outcome is made certain by writing the very same text again on the same revision (R8). */
export function repeatWrite(turn: Turn): void {
  const { write } = turn.state
  if (write === null) return
  const lateMs = write.sentAtMs + 2 * turn.settings.timing.requestMs
  if (!write.unknown && turn.nowMs < lateMs) {
    wake(turn, lateMs)
    return
  }
  const atMs = write.sentAtMs + Math.max(RETRY_GAP_MS, turn.settings.timing.requestMs / 3)
  if (turn.nowMs < atMs) {
    wake(turn, atMs)
    return
  }
  const { id, purpose, record, ifRevision } = write
  turn.actions.push({ kind: 'write-record', id, purpose, record, ifRevision })
  patch(turn, { write: { ...write, sentAtMs: turn.nowMs, unknown: false } })
}

export function readRecord(turn: Turn): void {
  const pending = mayRead(turn, turn.state.recordRead)
  if (!pending) return
  const id = drawId(turn)
  turn.actions.push({ kind: 'read-record', id, group: turn.settings.group })
  patch(turn, { recordRead: { id, atMs: turn.nowMs, failed: false } })
}

export function readSession(turn: Turn, agent: string): void {
  if (!mayRead(turn, turn.state.sessionRead)) return
  const id = drawId(turn)
  turn.actions.push({ kind: 'read-session', id, agent })
  patch(turn, { sessionRead: { id, atMs: turn.nowMs, failed: false } })
}

function mayRead(turn: Turn, last: MemberState['recordRead']): boolean {
  if (last === null) return true
  const gapMs = last.failed ? RETRY_GAP_MS : 2 * turn.settings.timing.requestMs
  if (turn.nowMs >= last.atMs + gapMs) return true
  wake(turn, last.atMs + gapMs)
  return false
}

/** A promotion came to nothing here: others go first, for longer each time. */
function standBack(turn: Turn): void {
  const failures = turn.state.failures + 1
  const waitMs = turn.settings.timing.ttlMs * 2 ** Math.min(failures, 5)
  patch(turn, { failures, failedUntilMs: turn.nowMs + waitMs })
}

/** Starts the fence and remembers what comes after it. The hold is dropped unless the engine is only restarted. */
export function fence(turn: Turn, why: string, after: MemberState['afterFence'], detail: Detail = {}): void {
  because(turn, why, { rule: 'R2', ...detail })
  const hold = after === 'restart' ? turn.state.hold : null
  if (turn.state.role === 'promoting') standBack(turn)
  patch(turn, {
    role: 'fencing',
    finalPublished: publishedOf(turn.state) ?? turn.state.finalPublished,
    afterFence: after,
    fenceBecause: why,
    hold,
    failsafeUntilMs: after === 'restart' ? turn.state.failsafeUntilMs : 0,
    round: null,
    handover: null,
    gathering: null,
    retry: { atMs: 0, count: 0 },
    engineSync: after === 'restart' ? turn.state.engineSync : null,
  })
  command(turn, { do: 'fence' }, turn.nowMs + turn.settings.timing.fenceMs)
}
