/**
 * The runner of one plan: `step(state, event, config)` gives the next state and what to do. It owns a plan by a number
 * (epoch) won by compare-and-set, writes before it acts, keeps a beat, and takes over a plan whose beat stands still.
 * Performing and reading the clock are the shell's.
 */
import { absorb, advance, type Outcome } from './advance.ts'
import { isOver, type PlanRecord, type PlanStep, stepById } from './plan.ts'

export interface RunnerConfig {
  /** Fresh for each runner. */
  readonly self: string
  readonly beatMs: number
  /** After a confirmed write was sent, actions may begin for this long; less than `takeoverMs`. */
  readonly trustMs: number
  /** A plan that did not change for this long has nobody who runs it. */
  readonly takeoverMs: number
  readonly retryMs: number
}

/** What this runner is for. `cancel` also runs the way back when nobody else does. */
export type Wish =
  /** `ifRevision`: the record when the plan was made; another one means that others have acted since. */
  | { readonly kind: 'create'; readonly plan: PlanRecord; readonly ifRevision?: number }
  /** `id`: only of this plan; who looked at one must not touch the next. */
  | { readonly kind: 'resume'; readonly id?: string }
  | { readonly kind: 'cancel'; readonly by: string; readonly id?: string }

export type End = 'over' | 'busy' | 'taken-over' | 'nothing'

interface Flying {
  readonly name: string
  readonly untilMs: number
  /** Told to stop waiting; its answer is on its way. */
  readonly recalled: boolean
}

export interface RunnerState {
  readonly wish: Wish
  /** As it should be; differs from `saved` while a write is due. Null until it is owned. */
  readonly plan: PlanRecord | null
  readonly saved: PlanRecord | null
  readonly revision: number
  readonly asking: boolean
  readonly write: { readonly id: number; readonly plan: PlanRecord; readonly sentAtMs: number } | null
  /** Since when the plan somebody else runs did not change. */
  readonly seen: { readonly stamp: string; readonly atMs: number; readonly first: string } | null
  readonly confirmedAtMs: number
  readonly nextAtMs: number
  /** After a write without an answer. */
  readonly quietUntilMs: number
  /** Attempts begun by this very runner, by step. */
  readonly flying: Readonly<Record<string, Flying>>
  readonly landed: readonly string[]
  readonly notBeforeMs: Readonly<Record<string, number>>
  readonly drawn: number
  readonly end: End | null
}

export type RunnerEvent =
  | { readonly kind: 'tick'; readonly nowMs: number }
  | { readonly kind: 'read'; readonly nowMs: number; readonly plan: PlanRecord | null; readonly revision: number }
  | { readonly kind: 'unread'; readonly nowMs: number }
  | {
      readonly kind: 'written'
      readonly nowMs: number
      readonly id: number
      readonly outcome: 'ok' | 'conflict' | 'unknown'
      /** What is there now; of `unknown` null. */
      readonly plan: PlanRecord | null
      readonly revision: number
    }
  /** `name` repeats that of the action, so that a late result of another attempt is told apart. */
  | { readonly kind: 'acted'; readonly nowMs: number; readonly name: string; readonly outcome: Outcome }
  | { readonly kind: 'cancel'; readonly nowMs: number; readonly by: string }

export type RunnerAction =
  | { readonly kind: 'read' }
  | { readonly kind: 'write'; readonly id: number; readonly plan: PlanRecord; readonly ifRevision: number }
  | {
      readonly kind: 'act'
      readonly name: string
      readonly step: PlanStep
      readonly way: 'do' | 'undo'
      readonly plan: PlanRecord
    }
  /** Whoever does it must leave off; its result no longer counts. */
  | { readonly kind: 'halt'; readonly name: string }
  | { readonly kind: 'end'; readonly how: End; readonly plan: PlanRecord | null }

export interface Stepped {
  readonly state: RunnerState
  readonly actions: readonly RunnerAction[]
}

export function startRunner(wish: Wish): RunnerState {
  return {
    wish,
    plan: null,
    saved: null,
    revision: 0,
    asking: false,
    write: null,
    seen: null,
    confirmedAtMs: 0,
    nextAtMs: 0,
    quietUntilMs: 0,
    flying: {},
    landed: [],
    notBeforeMs: {},
    drawn: 0,
    end: null,
  }
}

export function stepRunner(state: RunnerState, event: RunnerEvent, config: RunnerConfig): Stepped {
  if (state.end !== null) return { state, actions: [] }
  const turn: Turn = { state, actions: [], config, nowMs: event.nowMs }
  take(turn, event)
  if (turn.state.end === null) decide(turn)
  return { state: turn.state, actions: turn.actions }
}

interface Turn {
  state: RunnerState
  readonly actions: RunnerAction[]
  readonly config: RunnerConfig
  readonly nowMs: number
}

function patch(turn: Turn, change: Partial<RunnerState>): void {
  turn.state = { ...turn.state, ...change }
}

function end(turn: Turn, how: End, plan: PlanRecord | null): void {
  for (const { name } of Object.values(turn.state.flying)) turn.actions.push({ kind: 'halt', name })
  patch(turn, { end: how, flying: {} })
  turn.actions.push({ kind: 'end', how, plan })
}

function take(turn: Turn, event: RunnerEvent): void {
  if (event.kind === 'read') found(turn, event.plan, event.revision)
  else if (event.kind === 'unread') patch(turn, { asking: false, nextAtMs: turn.nowMs + turn.config.retryMs })
  else if (event.kind === 'written') written(turn, event)
  else if (event.kind === 'acted') acted(turn, event.name, event.outcome)
  else if (event.kind === 'cancel' && turn.state.plan !== null && turn.state.plan.cancel === null)
    patch(turn, { plan: { ...turn.state.plan, cancel: { by: event.by } } })
}

function found(turn: Turn, plan: PlanRecord | null, revision: number): void {
  const { seen } = turn.state
  const stamp = plan?.stamp ?? ''
  const first = seen?.first ?? stamp
  const fresh = seen === null || seen.stamp !== stamp ? { stamp, atMs: turn.nowMs, first } : seen
  patch(turn, { asking: false, saved: plan, revision, seen: fresh, nextAtMs: turn.nowMs + turn.config.retryMs })
  if (turn.state.plan !== null || turn.state.write !== null) return
  enter(turn, plan)
}

/** What is in the store, seen by somebody who does not own it. */
function enter(turn: Turn, there: PlanRecord | null): void {
  const { wish, seen } = turn.state
  const { self, takeoverMs } = turn.config
  // The answer to our own write was lost. It gives no trust: the next beat does.
  if (there?.runner === self && !isOver(there)) patch(turn, { plan: there, nextAtMs: turn.nowMs })
  else if (wish.kind === 'create') {
    const since = wish.ifRevision !== undefined && turn.state.revision !== wish.ifRevision
    if (there !== null && (!isOver(there) || (since && there.id !== wish.plan.id))) end(turn, 'busy', there)
    else if (there?.id === wish.plan.id) end(turn, 'over', there)
    else send(turn, { ...wish.plan, epoch: (there?.epoch ?? 0) + 1, runner: self, beat: 1 })
  } else if (there === null) end(turn, 'nothing', null)
  else if (wish.id !== undefined && wish.id !== there.id) end(turn, 'nothing', there)
  else if (isOver(there)) end(turn, seen?.first === there.stamp ? 'nothing' : 'over', there)
  else if (wish.kind === 'cancel' && there.cancel === null) send(turn, { ...there, cancel: { by: wish.by } })
  else if (seen !== null && turn.nowMs - seen.atMs >= takeoverMs)
    send(turn, { ...there, epoch: there.epoch + 1, runner: self, beat: there.beat + 1 })
}

/** Persist before tell: nothing is done that the store does not say. */
function send(turn: Turn, plan: PlanRecord): void {
  const { state, config, nowMs } = turn
  const id = state.drawn + 1
  const stamped = { ...plan, stamp: `${config.self}:${id}` }
  patch(turn, { drawn: id, write: { id, plan: stamped, sentAtMs: nowMs } })
  turn.actions.push({ kind: 'write', id, plan: stamped, ifRevision: state.revision })
}

function written(turn: Turn, event: Extract<RunnerEvent, { kind: 'written' }>): void {
  const { write, plan } = turn.state
  if (write === null || write.id !== event.id) return
  patch(turn, { write: null })
  if (event.outcome === 'unknown') {
    // It may be there or not. The next write, or the next look, meets what is there.
    patch(turn, { quietUntilMs: turn.nowMs + turn.config.retryMs, nextAtMs: turn.nowMs + turn.config.retryMs })
    return
  }
  const there = event.outcome === 'ok' ? write.plan : event.plan
  if (there?.stamp === write.plan.stamp) confirmed(turn, write, event.revision)
  else if (plan === null) found(turn, there, event.revision)
  else if (there?.runner !== turn.config.self || there.epoch !== plan.epoch) end(turn, 'taken-over', there)
  // An earlier write of ours, or a wish to cancel: nothing else may be written into a plan by somebody else.
  else patch(turn, { saved: there, revision: event.revision, plan: { ...plan, cancel: plan.cancel ?? there.cancel } })
}

function confirmed(turn: Turn, write: NonNullable<RunnerState['write']>, revision: number): void {
  patch(turn, { saved: write.plan, revision, nextAtMs: turn.nowMs })
  if (write.plan.runner !== turn.config.self) {
    const first = turn.state.seen?.first ?? ''
    patch(turn, { seen: { stamp: write.plan.stamp, atMs: turn.nowMs, first } })
    return
  }
  const plan = turn.state.plan ?? write.plan
  patch(turn, { plan, confirmedAtMs: write.sentAtMs, nextAtMs: turn.nowMs + turn.config.beatMs })
}

function acted(turn: Turn, name: string, outcome: Outcome): void {
  const { plan, flying } = turn.state
  const entry = Object.entries(flying).find(([, flight]) => flight.name === name)
  if (plan === null || entry === undefined) return
  const [id] = entry
  const { [id]: _gone, ...others } = flying
  const next = absorb(plan, id, outcome)
  const notBeforeMs = { ...turn.state.notBeforeMs, [id]: turn.nowMs + (outcome.ok ? 0 : turn.config.retryMs) }
  patch(turn, { plan: next, flying: others, landed: [...turn.state.landed, name], notBeforeMs })
}

function decide(turn: Turn): void {
  const { state, nowMs } = turn
  if (state.plan === null) {
    if (state.write !== null || state.asking || nowMs < state.nextAtMs) return
    patch(turn, { asking: true })
    turn.actions.push({ kind: 'read' })
    return
  }
  late(turn)
  const plan = moved(turn)
  const changed = plan !== turn.state.plan
  patch(turn, { plan })
  recall(turn, plan)
  if (turn.state.write === null) {
    const { saved } = turn.state
    if (saved !== null && isOver(plan) && isOver(saved)) {
      end(turn, 'over', plan)
      return
    }
    const due = changed || differs(plan, saved) || nowMs >= turn.state.nextAtMs
    if (due && nowMs >= turn.state.quietUntilMs) send(turn, { ...plan, beat: (saved?.beat ?? 0) + 1 })
  }
  begin(turn)
}

/** Steps that wait after a failed attempt begin again only after a while. */
function moved(turn: Turn): PlanRecord {
  const { plan, notBeforeMs } = turn.state
  if (plan === null) throw new Error('no plan to advance')
  const early = plan.steps.some((step) => step.state === 'waiting' && (notBeforeMs[step.id] ?? 0) > turn.nowMs)
  return early && plan.cancel === null ? plan : advance(plan)
}

function differs(plan: PlanRecord, saved: PlanRecord | null): boolean {
  return saved === null || plan.phase !== saved.phase || plan.steps !== saved.steps || plan.cancel !== saved.cancel
}

/** An attempt that gave no result in time. */
function late(turn: Turn): void {
  for (const [id, flight] of Object.entries(turn.state.flying)) {
    if (turn.nowMs < flight.untilMs) continue
    turn.actions.push({ kind: 'halt', name: flight.name })
    const kind = turn.state.plan?.steps.find((step) => step.id === id)?.kind
    // A command that hung once is not tried again; a look at a group may be.
    const outcome = { ok: false, because: 'no result before its deadline', retry: kind !== 'hook', measuredMs: 0 }
    acted(turn, flight.name, outcome)
  }
}

/**
 * A restart may wait for its moment for many minutes; once the plan ends it is told to stop waiting. It answers itself,
 * so that what it sent a moment before still counts.
 */
function recall(turn: Turn, plan: PlanRecord): void {
  if (plan.phase === 'running') return
  for (const [id, flight] of Object.entries(turn.state.flying)) {
    if (flight.recalled || stepById(plan, id)?.kind !== 'restart') continue
    turn.actions.push({ kind: 'halt', name: flight.name })
    patch(turn, { flying: { ...turn.state.flying, [id]: { ...flight, recalled: true } } })
  }
}

/** Until when whoever acts for this runner may send another request. */
export function trustedUntilMs({ confirmedAtMs, end: ended }: RunnerState, { trustMs }: RunnerConfig): number {
  return ended === null ? confirmedAtMs + trustMs : 0
}

/** Begins what the store says is begun and this runner has not: after a takeover that is what its predecessor began. */
function begin(turn: Turn): void {
  const { state, config, nowMs } = turn
  const { plan, saved } = state
  if (plan === null || saved === null || saved.runner !== config.self) return
  if (nowMs >= state.confirmedAtMs + config.trustMs) return
  for (const step of plan.steps) {
    const kept = saved.steps.find((one) => one.id === step.id)
    if (kept === undefined || kept.state !== step.state || state.flying[step.id] !== undefined) continue
    if (step.state !== 'running' && step.state !== 'undoing') continue
    const way = step.state === 'running' ? 'do' : 'undo'
    const attempt = way === 'do' ? step.attempt : step.undoAttempt
    const keptAttempt = way === 'do' ? kept.attempt : kept.undoAttempt
    const name = `${step.id}/${way}/${attempt}`
    if (keptAttempt !== attempt || turn.state.landed.includes(name)) continue
    if (nowMs < (turn.state.notBeforeMs[step.id] ?? 0)) continue
    patch(turn, {
      flying: { ...turn.state.flying, [step.id]: { name, untilMs: nowMs + step.deadlineMs, recalled: false } },
    })
    turn.actions.push({ kind: 'act', name, step, way, plan: saved })
  }
}
