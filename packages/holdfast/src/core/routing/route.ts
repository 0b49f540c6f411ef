/**
 * One door's decisions: to which member new connections go, when the sessions of an old route are cut, which clients
 * wait and which are refused. Sockets belong to `router/`; what a record means is decided by the leases' own room.
 * States, events and invariants: SPEC.md beside this file.
 */
import type { Epoch, GroupName, GroupRecord, MemberName, Phase, Reason } from '../model.ts'

export interface RouteSettings {
  readonly group: GroupName
  /** Members this router knows an address for. */
  readonly members: readonly MemberName[]
  /** How long a new connection may wait. */
  readonly holdMs: number
  /** How many may wait at once. */
  readonly heldMax: number
  /** Pause before a connection that the backend refused is tried again. */
  readonly retryMs: number
  /** How long new connections wait for an announced hand-over to begin; then they go to the present primary. */
  readonly quietMs: number
  /** A status of an agent's loop that is older than this says nothing (R10). */
  readonly loopAgeMaxMs: number
  /** No primary for this long: nobody waits for one any more, who comes is refused at once. Null: they wait. */
  readonly refuseAfterMs: number | null
}

export type ClientId = number

/** Who is written down as the group's holder. Only ever moves forward in `order`. */
export interface Standing {
  readonly epoch: Epoch
  readonly phase: Phase
  readonly member: MemberName | null
}

export interface Waiting {
  readonly id: ClientId
  readonly untilMs: number
  /** Not before this time; set after the backend refused it. */
  readonly retryAtMs: number
}

export type RouteKind = 'closed' | 'open' | 'changing'

export interface RouteState {
  readonly kind: RouteKind
  readonly standing: Standing | null
  /** In the order of arrival. */
  readonly waiting: readonly Waiting[]
  /** The hand-over for which new connections wait, and until when. */
  readonly quiet: { readonly id: string; readonly untilMs: number } | null
  readonly storeAway: boolean
  /** Since when no primary is to be had: none is open, or none took a connection since. Null: there is one. */
  readonly lostSinceMs: number | null
  /** When the primary of this route last did not take a connection. */
  readonly failedAtMs: number
  /** When an agent last said that the primary of this route may write; it may be only our way to it that is broken. */
  readonly vouchedAtMs: number
  /** Nobody waits any more; the sessions of a primary that takes no connections were cut. */
  readonly gaveUp: boolean
}

/** What one agent says about one group, taken from its status. */
export interface Hint {
  readonly standing: Standing
  /** The agent stands beside the holder itself, and the holder may write now. */
  readonly writable: boolean
  readonly loopAgeMs: number
}

export type RouteEvent =
  | { readonly kind: 'record'; readonly nowMs: number; readonly value: GroupRecord | null }
  | { readonly kind: 'hints'; readonly nowMs: number; readonly hints: readonly Hint[] }
  | { readonly kind: 'store-away'; readonly nowMs: number; readonly because: string }
  | { readonly kind: 'client'; readonly nowMs: number; readonly id: ClientId }
  | { readonly kind: 'client-gone'; readonly nowMs: number; readonly id: ClientId }
  /** The backend did not take the connection, or said it is not ready; the client has seen nothing of it. */
  | {
      readonly kind: 'connect-failed'
      readonly nowMs: number
      readonly id: ClientId
      readonly untilMs: number | null
    }
  /** The backend took a connection. Needs to be told only while `lostSinceMs` is set. */
  | { readonly kind: 'connected'; readonly nowMs: number }
  | { readonly kind: 'tick'; readonly nowMs: number }

export type RouteAction =
  /** Destroy every session of the route so far; comes before any `connect` to a new route (R5, R26). */
  | { readonly do: 'cut' }
  | {
      readonly do: 'connect'
      readonly id: ClientId
      readonly epoch: Epoch
      readonly member: MemberName
      /** The client's patience, to be handed back with `connect-failed`. */
      readonly untilMs: number
    }
  | { readonly do: 'refuse'; readonly id: ClientId; readonly why: Refusal }

export type Refusal =
  | { readonly code: 'waited-too-long'; readonly kind: RouteKind; readonly holdMs: number }
  | { readonly code: 'too-many-waiting'; readonly kind: RouteKind; readonly heldMax: number }
  | { readonly code: 'no-primary'; readonly kind: RouteKind; readonly lostMs: number }

export interface RouteStep {
  readonly state: RouteState
  readonly actions: readonly RouteAction[]
  readonly reasons: readonly Reason[]
  /** When a `tick` is due; null when nothing waits. */
  readonly wakeAtMs: number | null
}

export function startRoute(): RouteState {
  return {
    kind: 'closed',
    standing: null,
    waiting: [],
    quiet: null,
    storeAway: false,
    lostSinceMs: null,
    failedAtMs: Number.NEGATIVE_INFINITY,
    vouchedAtMs: Number.NEGATIVE_INFINITY,
    gaveUp: false,
  }
}

/** Within one epoch a record goes creating/claimed -> open -> released; across epochs it only grows. */
export function order(standing: Standing): number {
  const rank = { creating: 0, claimed: 0, open: 1, released: 2 } as const
  return standing.epoch * 3 + rank[standing.phase]
}

interface Turn {
  readonly settings: RouteSettings
  readonly nowMs: number
  state: RouteState
  readonly actions: RouteAction[]
  readonly reasons: Reason[]
}

export function stepRoute(state: RouteState, event: RouteEvent, settings: RouteSettings): RouteStep {
  const turn: Turn = { settings, nowMs: event.nowMs, state, actions: [], reasons: [] }
  if (state.kind !== 'open') lose(turn)
  if (event.kind === 'record') onRecord(turn, event.value)
  else if (event.kind === 'hints') for (const hint of event.hints) onHint(turn, hint)
  else if (event.kind === 'store-away') onStoreAway(turn, event.because)
  else if (event.kind === 'client') enter(turn, event.id, event.nowMs + settings.holdMs, event.nowMs)
  else if (event.kind === 'client-gone') {
    const waiting = state.waiting.filter((one) => one.id !== event.id)
    if (waiting.length !== state.waiting.length) patch(turn, { waiting })
  } else if (event.kind === 'connected') find(turn)
  else if (event.kind === 'connect-failed') {
    // Without a patience it was the route that was cut, which says nothing about the backend.
    if (event.untilMs !== null) failed(turn)
    enter(turn, event.id, event.untilMs ?? event.nowMs + settings.holdMs, event.nowMs + settings.retryMs)
  }
  giveUp(turn)
  serve(turn)
  return { state: turn.state, actions: turn.actions, reasons: turn.reasons, wakeAtMs: wakeAt(turn.state, settings) }
}

function patch(turn: Turn, change: Partial<RouteState>): void {
  turn.state = { ...turn.state, ...change }
}

function because(turn: Turn, code: string, detail: Reason['detail'], rule?: string): void {
  const member = turn.state.standing?.member ?? ''
  const base = { code, group: turn.settings.group, member, detail }
  turn.reasons.push(rule === undefined ? base : { ...base, rule })
}

function onRecord(turn: Turn, value: GroupRecord | null): void {
  if (turn.state.storeAway) {
    patch(turn, { storeAway: false })
    because(turn, 'store-back', {})
  }
  if (value === null) {
    if (turn.state.standing) because(turn, 'record-vanished', { keptEpoch: turn.state.standing.epoch }, 'R22')
    return
  }
  advance(turn, { epoch: value.epoch, phase: value.phase, member: value.holder }, 'record')
  noteHandover(turn, value)
}

/**
 * An agent's word opens a route only when it comes from beside a holder that may write now (R10); from anybody else it
 * can only close one.
 */
function onHint(turn: Turn, hint: Hint): void {
  if (hint.loopAgeMs > turn.settings.loopAgeMaxMs) return
  const before = turn.state.standing
  if (hint.writable && before?.epoch === hint.standing.epoch) vouch(turn, hint)
  if (before && order(hint.standing) <= order(before)) return
  if (hint.standing.phase === 'open' && !hint.writable) {
    if (!before || hint.standing.epoch > before.epoch) advance(turn, { ...hint.standing, phase: 'claimed' }, 'agents')
    return
  }
  advance(turn, hint.standing, 'agents')
}

function onStoreAway(turn: Turn, why: string): void {
  if (turn.state.storeAway) return
  patch(turn, { storeAway: true })
  because(turn, 'store-away', { because: why, kept: turn.state.kind })
}

/** The only place where the route changes. Never goes back (R19); cuts before it opens (R26). */
function advance(turn: Turn, next: Standing, source: string): void {
  const before = turn.state.standing
  if (before && order(next) <= order(before)) {
    if (order(next) < order(before)) {
      because(turn, 'older-refused', { epoch: next.epoch, phase: next.phase, seenEpoch: before.epoch, source }, 'R19')
    }
    return
  }
  const known = next.member !== null && turn.settings.members.includes(next.member)
  const opens = next.phase === 'open' && known
  if (turn.state.kind === 'open') turn.actions.push({ do: 'cut' })
  patch(turn, { kind: opens ? 'open' : 'changing', standing: next, quiet: null })
  if (opens) find(turn)
  else lose(turn)
  const { epoch, phase } = next
  const waiting = turn.state.waiting.length
  if (opens) {
    // Whoever waits has waited for this; a pause after a refusal by the old backend has no meaning any more.
    patch(turn, { waiting: turn.state.waiting.map((one) => ({ ...one, retryAtMs: turn.nowMs })) })
    because(turn, 'route-open', { epoch, source, waiting }, 'R26')
  } else if (next.phase === 'open') because(turn, 'holder-unknown', { epoch, holder: next.member, source })
  else because(turn, 'route-closed', { epoch, phase, source }, 'R5')
}

/** A planned hand-over is announced in the record: new connections wait for it rather than meet a stopping backend. */
function noteHandover(turn: Turn, value: GroupRecord): void {
  const { standing, kind, quiet } = turn.state
  if (kind !== 'open' || value.epoch !== standing?.epoch) return
  const id = value.intent?.kind === 'switchover' ? value.intent.id : null
  if (id === null) patch(turn, { quiet: null })
  else if (quiet?.id !== id) {
    patch(turn, { quiet: { id, untilMs: turn.nowMs + turn.settings.quietMs } })
    because(turn, 'holds-for-handover', { id, forMs: turn.settings.quietMs }, 'R30')
  }
}

/** Nobody need come for the return of a primary to be noticed. While it is vouched for, whoever meets no door waits. */
function vouch(turn: Turn, { loopAgeMs }: Hint): void {
  patch(turn, { vouchedAtMs: turn.nowMs - loopAgeMs })
  const { kind, gaveUp, waiting } = turn.state
  if (kind === 'open' && (gaveUp || waiting.length === 0)) find(turn)
}

function lose(turn: Turn): void {
  if (turn.state.lostSinceMs === null) patch(turn, { lostSinceMs: turn.nowMs })
}

/** An attempt that meets nothing at all takes seconds to fail, and then comes the next one. */
const UNTRIED_MS = 15_000

/** A failure long after the one before it begins anew: in between nobody knows. */
function failed(turn: Turn): void {
  const { failedAtMs, gaveUp } = turn.state
  const { refuseAfterMs } = turn.settings
  const known = gaveUp || refuseAfterMs === null || turn.nowMs - failedAtMs <= Math.max(refuseAfterMs, UNTRIED_MS)
  if (turn.state.kind === 'open' && !known) patch(turn, { lostSinceMs: turn.nowMs })
  else lose(turn)
  patch(turn, { failedAtMs: turn.nowMs })
}

function find(turn: Turn): void {
  const { lostSinceMs, gaveUp } = turn.state
  if (gaveUp) because(turn, 'primary-back', { lostMs: Math.round(turn.nowMs - (lostSinceMs ?? turn.nowMs)) })
  patch(turn, { lostSinceMs: null, gaveUp: false })
}

/**
 * A short change is waited out by everybody. Once no primary is to be had for longer, waiting only hides that from
 * applications, and what is still connected to a primary that takes nobody would hang until its system gives up.
 */
function giveUp(turn: Turn): void {
  const { state, settings, nowMs } = turn
  const giveUpMs = giveUpAtMs(state, settings)
  if (state.gaveUp || giveUpMs === null || nowMs < giveUpMs) return
  if (state.kind === 'open') turn.actions.push({ do: 'cut' })
  patch(turn, { gaveUp: true })
  because(turn, 'no-primary', { lostMs: Math.round(nowMs - (state.lostSinceMs ?? nowMs)), route: state.kind })
}

/** Null: not before another event. */
function giveUpAtMs(state: RouteState, { refuseAfterMs, loopAgeMaxMs }: RouteSettings): number | null {
  if (refuseAfterMs === null || state.lostSinceMs === null || state.gaveUp) return null
  const atMs = state.lostSinceMs + refuseAfterMs
  if (state.kind !== 'open') return atMs
  // One who met nothing and left proves nothing about those who are still connected: it has to fail all along.
  if (state.failedAtMs - state.lostSinceMs < refuseAfterMs / 2) return null
  return Math.max(atMs, state.vouchedAtMs + loopAgeMaxMs)
}

function enter(turn: Turn, id: ClientId, untilMs: number, retryAtMs: number): void {
  const { waiting, kind } = turn.state
  const { heldMax } = turn.settings
  if (waiting.some((one) => one.id === id)) return
  if (waiting.length >= heldMax && !(kind === 'open' && retryAtMs <= turn.nowMs)) {
    turn.actions.push({ do: 'refuse', id, why: { code: 'too-many-waiting', kind, heldMax } })
    because(turn, 'client-refused', { why: 'too-many-waiting', heldMax })
    return
  }
  patch(turn, { waiting: [...waiting, { id, untilMs, retryAtMs }] })
}

function serve(turn: Turn): void {
  const { nowMs, state, settings } = turn
  const { kind, standing, quiet } = state
  if (state.waiting.length === 0) return
  if (state.gaveUp) {
    serveNobody(turn)
    return
  }
  const open = kind === 'open' && (quiet === null || quiet.untilMs <= nowMs)
  const left: Waiting[] = []
  for (const one of state.waiting) {
    if (one.untilMs <= nowMs) {
      turn.actions.push({ do: 'refuse', id: one.id, why: { code: 'waited-too-long', kind, holdMs: settings.holdMs } })
      because(turn, 'client-refused', { why: 'waited-too-long', holdMs: settings.holdMs, route: kind })
    } else if (open && standing?.member && one.retryAtMs <= nowMs) {
      const { epoch, member } = standing
      turn.actions.push({ do: 'connect', id: one.id, epoch, member, untilMs: one.untilMs })
    } else left.push(one)
  }
  if (left.length !== state.waiting.length) patch(turn, { waiting: left })
}

/** Each who comes is one attempt at the primary of an open route, which is how its return is noticed; nobody waits. */
function serveNobody(turn: Turn): void {
  const { nowMs, state } = turn
  const { kind, standing } = state
  const lostMs = Math.round(nowMs - (state.lostSinceMs ?? nowMs))
  for (const { id, untilMs, retryAtMs } of state.waiting) {
    if (kind === 'open' && standing?.member && retryAtMs <= nowMs) {
      turn.actions.push({ do: 'connect', id, epoch: standing.epoch, member: standing.member, untilMs })
    } else {
      turn.actions.push({ do: 'refuse', id, why: { code: 'no-primary', kind, lostMs } })
      because(turn, 'client-refused', { why: 'no-primary', lostMs, route: kind })
    }
  }
  patch(turn, { waiting: [] })
}

function wakeAt(state: RouteState, settings: RouteSettings): number | null {
  let wakeMs = giveUpAtMs(state, settings)
  for (const one of state.waiting) {
    const openAtMs = state.kind === 'open' ? Math.max(one.retryAtMs, state.quiet?.untilMs ?? 0) : one.untilMs
    const atMs = Math.min(one.untilMs, openAtMs)
    if (wakeMs === null || atMs < wakeMs) wakeMs = atMs
  }
  return wakeMs
}
