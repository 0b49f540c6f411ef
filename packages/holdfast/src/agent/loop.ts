/**
 * The shell around the core: takes one event, steps, journals, performs the actions in order. Results come back as
 * events. Decides nothing; what an action means is for `perform.ts`, what an event means is for the core.
 *
 * Invariants: events are stepped strictly one at a time in the order they were posted; an event posted while another is
 * being stepped waits its turn; one timer, never later than `wakeAtMs` and never later than one beat.
 */
import assert from 'node:assert/strict'
import type { NodeEvent, NodeSettings, NodeState } from '../core/node.ts'
import type { Action, StepResult } from '../core/protocol.ts'
import type { Clock } from '../io/clock.ts'
import type { Journal } from './journal.ts'
import type { ReasonLog } from './reasons.ts'

/**
 * Events are stepped as they are posted, so the queue holds only what one step's actions post synchronously. More than
 * this means the core feeds itself; dying is safe, the guard fences.
 */
export const QUEUE_MAX = 1_024
/** A wake-up in the past is served after this long, so that a core which insists cannot take the whole processor. */
const WAKE_MIN_MS = 1

export interface Core {
  start(settings: NodeSettings, bootId: string, nowMs: number): NodeState
  step(state: NodeState, event: NodeEvent, settings: NodeSettings): StepResult<NodeState>
}

export interface LoopOptions {
  readonly core: Core
  readonly settings: NodeSettings
  readonly bootId: string
  /** When the core starts; the journal says the same. */
  readonly startMs?: number
  readonly clock: Clock
  readonly journal: Pick<Journal, 'append'>
  readonly reasons: Pick<ReasonLog, 'add'>
  /** Starts the action and returns at once; its result is posted. Must not throw. */
  readonly perform: (action: Action) => void
  /** After each step, its actions under way. */
  readonly onStepped?: (state: NodeState) => void
  /** A defect of the core; the loop has stopped. The process must end. */
  readonly onDefect: (error: unknown) => void
}

export class Loop {
  readonly #options: LoopOptions
  readonly #queue: NodeEvent[] = []
  #state: NodeState
  #stepping = false
  #stopped = false
  #timer: NodeJS.Timeout | null = null
  #lastStepMs: number
  #gapMaxMs = 0

  constructor(options: LoopOptions) {
    const nowMs = options.startMs ?? options.clock.nowMs()
    this.#options = options
    this.#lastStepMs = nowMs
    this.#state = options.core.start(options.settings, options.bootId, nowMs)
  }

  get state(): NodeState {
    return this.#state
  }

  /** Time since the core last ran. */
  ageMs(): number {
    return this.#options.clock.nowMs() - this.#lastStepMs
  }

  /** The longest pause between two steps so far. */
  gapMaxMs(): number {
    return this.#gapMaxMs
  }

  start(): void {
    this.tick()
  }

  tick(): void {
    this.post({ to: 'node', event: { kind: 'tick', nowMs: this.#options.clock.nowMs() } })
  }

  post(event: NodeEvent): void {
    if (this.#stopped) return
    assert.ok(this.#queue.length < QUEUE_MAX, `agent loop: more than ${QUEUE_MAX} events wait`)
    this.#queue.push(event)
    if (!this.#stepping) this.#drain()
  }

  /** No event is stepped and no action performed after this. */
  stop(): void {
    this.#stopped = true
    this.#queue.length = 0
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }

  #drain(): void {
    this.#stepping = true
    let wakeAtMs = Number.POSITIVE_INFINITY
    try {
      for (let event = this.#queue.shift(); event !== undefined; event = this.#queue.shift())
        wakeAtMs = this.#step(event)
    } catch (error) {
      this.stop()
      this.#options.onDefect(error)
      return
    } finally {
      this.#stepping = false
    }
    this.#arm(wakeAtMs)
  }

  #step(posted: NodeEvent): number {
    const { core, settings, journal, reasons, perform, clock } = this.#options
    const nowMs = clock.nowMs()
    this.#gapMaxMs = Math.max(this.#gapMaxMs, nowMs - this.#lastStepMs)
    this.#lastStepMs = nowMs
    const event = stamped(posted, nowMs)
    const before = this.#state
    const result = core.step(before, event, settings)
    this.#state = result.state
    journal.append({ e: event, a: result.actions, r: result.reasons }, before)
    for (const action of result.actions) perform(action)
    for (const reason of result.reasons) reasons.add(reason)
    this.#options.onStepped?.(result.state)
    return result.wakeAtMs
  }

  #arm(wakeAtMs: number): void {
    if (this.#stopped) return
    if (this.#timer !== null) clearTimeout(this.#timer)
    const { settings, clock } = this.#options
    const waitMs = Math.min(Math.ceil(wakeAtMs - clock.nowMs()), settings.beatMs)
    this.#timer = setTimeout(() => this.tick(), Math.max(WAKE_MIN_MS, waitMs))
  }
}

/** Events wait their turn, so they are stamped when it comes: the core never sees its clock go back for that. */
function stamped(event: NodeEvent, nowMs: number): NodeEvent {
  return { ...event, event: { ...event.event, nowMs } } as NodeEvent
}
