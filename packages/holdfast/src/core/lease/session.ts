/**
 * The agent's session: a record in the store that moves with every beat. The right to write of every group this agent
 * holds hangs on it. Trust counts from just before a beat left, never from its answer (R1). A session that lapsed is
 * never revived, not even by a late answer: a new one is opened, and only after everything held was fenced.
 */
import { assert } from '../assert.ts'
import { NEVER_MS, type PublishedPosition, type Revision, type SessionId, type SessionRecord } from '../model.ts'
import type { Action, SessionEvent } from '../protocol.ts'

export interface SessionSettings {
  readonly agent: string
  readonly ttlMs: number
  readonly beatMs: number
  readonly requestMs: number
  readonly marginMs: number
}

interface Attempt {
  readonly id: number
  readonly beat: number
  readonly sentAtMs: number
  readonly positions: Positions
}

type Positions = Readonly<Record<string, PublishedPosition>>

export interface SessionState {
  /** `closed`: none, none wanted yet. `opening`: first write under way. `live`: confirmed at least once. */
  readonly phase: 'closed' | 'opening' | 'live'
  readonly session: SessionId | null
  /** Sessions opened so far by this process; part of the next id. */
  readonly opened: number
  readonly beat: number
  readonly revision: Revision
  /** Writable strictly before this; 0 when not live. */
  readonly trustedUntilMs: number
  readonly lastConfirmedSentAtMs: number
  /** What the session that ours replaced had published last; for the release of what it held. */
  readonly inherited: Positions
  /** Log ends that the newest confirmed beat published. */
  readonly published: Positions
  readonly nextBeatAtMs: number
  /** Session of another process under our name; it must fall silent for its ttl before ours replaces it. */
  readonly stranger: { readonly session: SessionId; readonly beat: number; readonly untilMs: number } | null
  /** Attempts whose answer may still come, newest last; bounded by ATTEMPTS_MAX. */
  readonly attempts: readonly Attempt[]
}

/** Answers older than this many attempts are not waited for. */
const ATTEMPTS_MAX = 4

export const CLOSED: SessionState = {
  phase: 'closed',
  session: null,
  opened: 0,
  beat: 0,
  revision: 0,
  trustedUntilMs: 0,
  lastConfirmedSentAtMs: 0,
  published: {},
  inherited: {},
  nextBeatAtMs: 0,
  stranger: null,
  attempts: [],
}

/** Where an event is taken in. */
export interface SessionMoment {
  readonly settings: SessionSettings
  readonly bootId: string
  readonly nowMs: number
}

/** Where a beat may be sent. */
export interface SessionTurn extends SessionMoment {
  /** Everything that was held is fenced: a new session may be opened (R6). */
  readonly mayOpen: boolean
  readonly positions: () => Readonly<Record<string, PublishedPosition>>
  readonly nextId: () => number
  readonly emit: (action: Action) => void
}

/** Ends a session whose trust ran out. Runs before any event of the same instant, so a late answer finds it gone. */
export function lapse(state: SessionState, nowMs: number, keep: boolean): SessionState {
  if (state.phase !== 'live' || nowMs < state.trustedUntilMs || keep) return state
  return { ...state, phase: 'closed', session: null, trustedUntilMs: 0, attempts: [], nextBeatAtMs: nowMs }
}

/** Takes one event; the caller has run `lapse` before. */
export function absorbSession(state: SessionState, event: SessionEvent, turn: SessionMoment): SessionState {
  if (event.kind === 'tick') return state
  const attempt = state.attempts.find((a) => a.id === event.id)
  if (attempt === undefined) return state
  assert(event.sentAtMs <= event.nowMs, 'a beat cannot leave after its answer', event.sentAtMs)
  const rest = state.attempts.filter((a) => a.id > event.id)
  const { outcome } = event
  switch (outcome.kind) {
    case 'unknown':
      return soon(state, turn)
    case 'ok':
      return confirm({ ...state, attempts: rest }, { ...attempt, sentAtMs: event.sentAtMs }, outcome.revision, turn)
    case 'conflict':
      return afterConflict(state, outcome.value, outcome.revision, turn)
  }
}

function confirm(state: SessionState, attempt: Attempt, revision: Revision, turn: SessionMoment): SessionState {
  const { ttlMs, marginMs } = turn.settings
  const until = attempt.sentAtMs + ttlMs - marginMs
  const newest = Math.max(state.revision, revision)
  if (until <= turn.nowMs && state.phase === 'opening') {
    const closed = { phase: 'closed', session: null, attempts: [], nextBeatAtMs: turn.nowMs } as const
    return { ...state, ...closed, stranger: null, revision: newest }
  }
  return {
    ...state,
    stranger: null,
    revision: newest,
    phase: 'live',
    trustedUntilMs: Math.max(state.trustedUntilMs, until),
    lastConfirmedSentAtMs: Math.max(state.lastConfirmedSentAtMs, attempt.sentAtMs),
    published: attempt.positions,
  }
}

/** The key holds something else: our own earlier attempt whose answer was lost, or a stranger's session. */
function afterConflict(
  state: SessionState,
  value: SessionRecord | null,
  revision: Revision,
  turn: SessionMoment,
): SessionState {
  const ours = value !== null && value.session === state.session
  const attempt = ours ? state.attempts.find((a) => a.beat === value.beat) : undefined
  const known = soon({ ...state, revision }, turn)
  if (attempt !== undefined) return confirm(known, attempt, revision, turn)
  if (ours) return known
  if (state.phase === 'opening') return meetStranger(known, value, turn)
  return { ...known, phase: 'closed', session: null, trustedUntilMs: 0, attempts: [] }
}

/**
 * A key left by an earlier process of this agent, or held by a second agent with our name. It is watched by writes that
 * cannot succeed (revision 0) until it has not moved for its own ttl; only then is it replaced. So a replaced session
 * proves to everybody that its holder had lapsed.
 */
function meetStranger(state: SessionState, value: SessionRecord | null, turn: SessionMoment): SessionState {
  if (value === null || value.session.startsWith(`${turn.bootId}-`)) return { ...state, stranger: null }
  const { stranger } = state
  const same = stranger !== null && stranger.session === value.session && stranger.beat === value.beat
  const untilMs = same ? stranger.untilMs : turn.nowMs + value.ttlMs + turn.settings.marginMs
  const nextBeatAtMs = Math.max(state.nextBeatAtMs, Math.min(untilMs, turn.nowMs + turn.settings.beatMs))
  return {
    ...state,
    nextBeatAtMs,
    inherited: value.positions,
    stranger: { session: value.session, beat: value.beat, untilMs },
  }
}

/** Brings the next attempt forward, but never closer to the last one than a third of a request's deadline. */
function soon(state: SessionState, turn: SessionMoment): SessionState {
  const lastSentAtMs = state.attempts.at(-1)?.sentAtMs ?? Number.NEGATIVE_INFINITY
  const atMs = Math.max(turn.nowMs, lastSentAtMs + turn.settings.requestMs / 3)
  return { ...state, nextBeatAtMs: Math.min(state.nextBeatAtMs, atMs) }
}

/** Sends what is due: the opening write or the next beat. */
export function beatIfDue(state: SessionState, turn: SessionTurn): SessionState {
  if (state.phase === 'closed') {
    return turn.mayOpen && turn.nowMs >= state.nextBeatAtMs ? send(open(state, turn), turn) : state
  }
  return turn.nowMs >= state.nextBeatAtMs ? send(state, turn) : state
}

function open(state: SessionState, turn: SessionTurn): SessionState {
  const opened = state.opened + 1
  return { ...state, phase: 'opening', opened, session: `${turn.bootId}-${opened}`, beat: 0, attempts: [] }
}

function send(state: SessionState, turn: SessionTurn): SessionState {
  const { settings } = turn
  assert(state.session !== null, 'a beat needs a session', state.phase)
  const id = turn.nextId()
  const beat = state.beat + 1
  const positions = turn.positions()
  turn.emit({
    kind: 'write-session',
    id,
    ifRevision: state.stranger !== null && turn.nowMs < state.stranger.untilMs ? 0 : state.revision,
    record: {
      v: 1,
      agent: settings.agent,
      session: state.session,
      beat,
      ttlMs: settings.ttlMs,
      positions,
    },
  })
  const attempts = [...state.attempts, { id, beat, sentAtMs: turn.nowMs, positions }].slice(-ATTEMPTS_MAX)
  return { ...state, beat, attempts, nextBeatAtMs: turn.nowMs + settings.beatMs }
}

export function sessionWakeAtMs(state: SessionState, nowMs: number, mayOpen: boolean): number {
  if (state.phase === 'closed') return mayOpen ? state.nextBeatAtMs : NEVER_MS
  // Kept alive by a failsafe its own trust may be over; there is nothing to wake for then.
  const lapseAt = state.phase === 'live' && state.trustedUntilMs > nowMs ? state.trustedUntilMs : NEVER_MS
  return Math.min(state.nextBeatAtMs, lapseAt)
}
