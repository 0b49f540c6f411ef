/**
 * One step of a drill: `(state, event, settings) -> { state, actions, reasons }`. What is done, when it is stopped, and
 * what may be said of it. Who is hit stands in `radius.ts`, figures in `figures.ts`. Invariants D1 to D9: SPEC.md.
 */
import { assert } from '../assert.ts'
import { lastsMs } from './lasts.ts'
import type {
  Count,
  DrillAction,
  DrillEvent,
  DrillReason,
  DrillSettings,
  DrillState,
  DrillStep,
  Outcome,
  Phase,
  ProbeSpec,
  When,
} from './model.ts'
import { TRANSITIONS } from './transitions.ts'
import { verdictOf } from './verdict.ts'

/** Steady state has to show within this; a group that needs longer is not steady. */
export const CHECK_MS = 20_000
/** An agent answers a fault's request in milliseconds; starting the watchers takes a second on a busy host. */
export const FAULT_ANSWER_MS = 20_000
/** Between two looks. */
export const PROBE_EVERY_MS = 500
/** Between two attempts to lift what is not proved gone. */
export const LIFT_EVERY_MS = 1_000
/** Added to the fault's own timer: after that the dead-man has ended it, or nobody here can. */
export const LIFT_EXTRA_MS = 30_000
export const MEASURE_MS = 60_000

const NO_CANARY = { acked: 0, failed: 0, lastAckMs: null }

export function startDrill(settings: DrillSettings, nowMs: number): DrillStep {
  const gate = approvalOf(settings, 'start')
  const none = (probes: readonly ProbeSpec[]): readonly Count[] => probes.map(() => ({ rounds: 0, held: 0 }))
  const state: DrillState = {
    phase: gate === null ? 'checking' : 'asking',
    sinceMs: nowMs,
    startedMs: nowMs,
    facts: null,
    canary: NO_CANARY,
    counts: { before: none(settings.before), during: none(settings.during), after: none(settings.after) },
    approvals: [],
    askedMs: null,
    onMs: null,
    goneMs: null,
    heldSinceMs: null,
    recoveredMs: null,
    liftAtMs: null,
    probeAtMs: null,
    probing: false,
    abort: null,
    faultFailed: null,
    measured: null,
    outcome: null,
    because: '',
  }
  const begun = { code: 'drill-begun', detail: { drill: settings.drill, group: settings.group } }
  if (gate !== null) return { state, actions: [{ kind: 'ask', approval: gate }], reasons: [begun] }
  return { state, actions: [], reasons: [begun] }
}

export function stepDrill(state: DrillState, event: DrillEvent, settings: DrillSettings): DrillStep {
  const turn = new Turn(state, event.nowMs, settings)
  turn.take(event)
  const { phase } = turn.state
  const allowed = phase === state.phase || TRANSITIONS[state.phase][event.kind].includes(phase)
  assert(allowed, `a drill does not go from ${state.phase} to ${phase} on ${event.kind}`)
  return { state: turn.state, actions: turn.actions, reasons: turn.reasons }
}

function approvalOf(settings: DrillSettings, gate: 'start' | 'fault') {
  return settings.approvals.find((one) => one.before === gate) ?? null
}

/** Collects what one event leads to. */
class Turn {
  state: DrillState
  readonly actions: DrillAction[] = []
  readonly reasons: DrillReason[] = []
  readonly #nowMs: number
  readonly #settings: DrillSettings

  constructor(state: DrillState, nowMs: number, settings: DrillSettings) {
    this.state = state
    this.#nowMs = nowMs
    this.#settings = settings
  }

  take(event: DrillEvent): void {
    if (this.state.phase === 'ended') return
    if (event.kind === 'facts') this.#set({ facts: event.facts })
    if (event.kind === 'canary') this.#set({ canary: event.canary })
    if (event.kind === 'abort') {
      this.#abort(event.by, event.because)
      return
    }
    if (event.kind === 'probed') this.#count(event.when, event.held)
    this.#decide(event)
  }

  #decide(event: DrillEvent): void {
    const { phase } = this.state
    if (phase === 'asking') this.#asking(event, 'start')
    else if (phase === 'checking') this.#checking(event)
    else if (phase === 'asking-fault') this.#asking(event, 'fault')
    else if (phase === 'faulting') this.#faulting(event)
    else if (phase === 'faulted') this.#faulted(event)
    else if (phase === 'lifting') this.#lifting(event)
    else if (phase === 'recovering') this.#recovering(event)
    else if (phase === 'measuring') this.#measuring(event)
  }

  #asking(event: DrillEvent, gate: 'start' | 'fault'): void {
    const approval = approvalOf(this.#settings, gate)
    if (approval === null) return
    const unfit = gate === 'fault' ? this.#unfit() : null
    if (unfit !== null) {
      this.#end('refused', unfit)
      return
    }
    if (event.kind === 'approved' && event.gate === gate && approval.by.includes(event.by)) {
      this.#set({ approvals: [...this.state.approvals, { gate, by: event.by, atMs: this.#nowMs }] })
      this.#tell('approved', { gate, by: event.by })
      if (gate === 'start') this.#enter('checking')
      else this.#doFault()
      return
    }
    if (event.kind !== 'tick' || this.#inPhaseMs() < approval.withinMs) return
    this.#end('refused', `nobody of ${approval.by.join(', ')} approved within ${approval.withinMs} ms`)
  }

  /** D2: nothing is done to a group that is not well, or that somebody else is busy with. */
  #unfit(): string | null {
    const { facts } = this.state
    if (facts === null) return null
    if (facts.busyWith !== null) return `the group is busy: ${facts.busyWith}`
    return facts.healthy ? null : `the group is not healthy: ${facts.because}`
  }

  #checking(event: DrillEvent): void {
    const { facts } = this.state
    if (facts?.busyWith) {
      this.#end('refused', `the group is busy: ${facts.busyWith}`)
      return
    }
    if (event.kind === 'probed' && event.when === 'before') {
      // The steady state is one moment in which everything holds, not each thing at some moment.
      const steady = event.held.every(Boolean) && facts?.healthy === true
      if (steady) {
        const gate = approvalOf(this.#settings, 'fault')
        this.#tell('steady', { probes: event.held.length })
        if (gate === null) {
          this.#doFault()
          return
        }
        this.#enter('asking-fault')
        this.actions.push({ kind: 'ask', approval: gate })
        return
      }
    }
    if (event.kind !== 'tick') return
    if (this.#inPhaseMs() >= CHECK_MS) {
      const unfit = this.#unfit() ?? 'the steady state does not hold'
      this.#end('refused', `${unfit} within ${CHECK_MS} ms`)
      return
    }
    this.#probe('before')
  }

  #doFault(): void {
    const { fault } = this.#settings
    assert(this.state.askedMs === null, 'a drill does its fault once')
    assert(this.state.abort === null, 'an aborted drill does no fault')
    this.#set({ askedMs: this.#nowMs })
    this.#enter('faulting')
    this.#tell('fault-asked', { kind: fault.kind })
    this.actions.push({ kind: 'do-fault', fault })
  }

  #faulting(event: DrillEvent): void {
    if (event.kind === 'fault-on') {
      this.#set({ onMs: this.#nowMs })
      this.#tell('fault-on', { proof: event.proof })
      this.#enter('faulted')
      return
    }
    if (event.kind === 'fault-failed') {
      this.#failedFault(event.because)
      return
    }
    if (event.kind === 'tick' && this.#inPhaseMs() >= FAULT_ANSWER_MS) {
      this.#failedFault(`nobody confirmed the fault within ${FAULT_ANSWER_MS} ms`)
      return
    }
    if (event.kind === 'tick' || event.kind === 'canary') this.#watch()
  }

  #failedFault(because: string): void {
    this.#set({ faultFailed: because })
    this.#tell('fault-failed', { because })
    this.#lift()
  }

  #faulted(event: DrillEvent): void {
    if (event.kind === 'fault-off') {
      this.#gone(event.proof)
      return
    }
    if (event.kind === 'fault-failed') {
      this.#failedFault(event.because)
      return
    }
    if (event.kind === 'tick' || event.kind === 'canary' || event.kind === 'facts') if (this.#watch()) return
    if (event.kind !== 'tick') return
    if (this.#inPhaseMs() < lastsMs(this.#settings)) this.#probe('during')
    else this.#lift()
  }

  /** D3: what the file calls too much ends the drill, as anybody's word does. True when it did. */
  #watch(): boolean {
    const { canary, facts, startedMs } = this.state
    const { canaryGapMs, failedWritesMax, lagBytesMax } = this.#settings.abort
    const gapMs = this.#nowMs - (canary.lastAckMs ?? startedMs)
    const lag = facts?.lagBytes ?? 0
    let because: string | null = null
    if (gapMs > canaryGapMs) because = `no write was acknowledged for ${Math.round(gapMs)} ms (bound ${canaryGapMs} ms)`
    else if (canary.failed > failedWritesMax) because = `${canary.failed} writes failed (bound ${failedWritesMax})`
    else if (lagBytesMax !== null && lag > lagBytesMax) because = `${lag} bytes of lag (bound ${lagBytesMax})`
    if (because === null) return false
    this.#abort('the abort conditions', because)
    return true
  }

  #abort(by: string, because: string): void {
    const { phase } = this.state
    if (this.state.abort === null) {
      this.#set({ abort: { by, because } })
      this.#tell('abort', { by, because })
    }
    if (phase === 'faulting' || phase === 'faulted') {
      this.#lift()
      return
    }
    // Only what is still on has to be waited for.
    if (phase !== 'lifting') this.#end('aborted', because)
  }

  #lift(): void {
    this.#enter('lifting')
    this.#set({ liftAtMs: this.#nowMs })
    this.actions.push({ kind: 'lift-fault' })
  }

  #gone(proof: string): void {
    this.#set({ goneMs: this.#nowMs })
    this.#tell('fault-gone', { proof })
    const { abort, faultFailed } = this.state
    if (abort !== null) {
      this.#end('aborted', abort.because)
      return
    }
    if (faultFailed !== null) {
      this.#end('failed', `the fault could not be done as described: ${faultFailed}`)
      return
    }
    this.#enter('recovering')
  }

  #lifting(event: DrillEvent): void {
    if (event.kind === 'fault-off') {
      this.#gone(event.proof)
      return
    }
    if (event.kind === 'lift-failed') this.#tell('lift-failed', { because: event.because })
    // D1: it goes on asking long after the target's own timer has ended the fault.
    if (event.kind !== 'tick') return
    if (this.#inPhaseMs() >= lastsMs(this.#settings) + LIFT_EXTRA_MS) {
      this.#end('unproved', 'nobody could show that the fault is gone; look at the targets')
      return
    }
    if (this.#nowMs - (this.state.liftAtMs ?? 0) < LIFT_EVERY_MS) return
    this.#set({ liftAtMs: this.#nowMs })
    this.actions.push({ kind: 'lift-fault' })
  }

  #recovering(event: DrillEvent): void {
    if (event.kind === 'tick' || event.kind === 'canary') if (this.#watch()) return
    if (event.kind === 'probed' && event.when === 'after') this.#settle(event.held.every(Boolean))
    if (event.kind !== 'tick') return
    const { recoverMs, settleMs } = this.#settings
    // What holds in time may take until after it to show that it goes on holding.
    const late = this.#inPhaseMs() >= recoverMs + (this.state.heldSinceMs === null ? 0 : settleMs)
    if (!late) {
      this.#probe('after')
      return
    }
    this.#tell('not-recovered', { withinMs: recoverMs })
    this.#measure()
  }

  /** One good look is not recovery: what was killed may go on for a moment, and what is seen is older than now. */
  #settle(holds: boolean): void {
    const since = holds ? (this.state.heldSinceMs ?? this.#nowMs) : null
    this.#set({ heldSinceMs: since })
    if (since === null || this.#nowMs - since < this.#settings.settleMs) return
    this.#set({ recoveredMs: since })
    this.#tell('recovered', { afterMs: Math.round(since - this.state.sinceMs) })
    this.#measure()
  }

  #measure(): void {
    this.#enter('measuring')
    this.actions.push({ kind: 'measure' })
  }

  #measuring(event: DrillEvent): void {
    if (event.kind === 'measured') {
      this.#set({ measured: event.measured })
      const { outcome, because } = verdictOf(this.state, this.#settings, event.measured)
      this.#end(outcome, because)
      return
    }
    // D4: without a measurement nothing is said to have been kept.
    if (event.kind === 'measure-failed') {
      this.#end('failed', `it could not be measured: ${event.because}`)
      return
    }
    if (event.kind === 'tick' && this.#inPhaseMs() >= MEASURE_MS)
      this.#end('failed', `it could not be measured within ${MEASURE_MS} ms`)
  }

  #probe(when: When): void {
    const { probing, probeAtMs } = this.state
    if (probing || (probeAtMs !== null && this.#nowMs - probeAtMs < PROBE_EVERY_MS)) return
    this.#set({ probing: true, probeAtMs: this.#nowMs })
    this.actions.push({ kind: 'probe', when })
  }

  #count(when: When, held: readonly boolean[]): void {
    const counts = this.state.counts[when].map((count, index) => ({
      rounds: count.rounds + 1,
      held: count.held + (held[index] === true ? 1 : 0),
    }))
    this.#set({ probing: false, counts: { ...this.state.counts, [when]: counts } })
  }

  #end(outcome: Outcome, because: string): void {
    this.#enter('ended')
    this.#set({ outcome, because })
    this.#tell('ended', { outcome, because })
    this.actions.push({ kind: 'end', outcome, because })
  }

  #enter(phase: Phase): void {
    this.state = { ...this.state, phase, sinceMs: this.#nowMs, probeAtMs: null, probing: false }
  }

  #set(change: Partial<DrillState>): void {
    this.state = { ...this.state, ...change }
  }

  #tell(code: string, detail: DrillReason['detail']): void {
    this.reasons.push({ code, detail })
  }

  #inPhaseMs(): number {
    return this.#nowMs - this.state.sinceMs
  }
}
