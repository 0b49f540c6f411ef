/**
 * The shell around one runner: takes an event, lets the core decide, performs what it says, pushes the results back.
 * Ends when the plan is over, when somebody else runs it, or when it is told to leave it as it stands.
 */
import type { Outcome } from '../core/site-plan/advance.ts'
import { isOver, type PlanRecord } from '../core/site-plan/plan.ts'
import { remembered } from '../core/site-plan/predict.ts'
import {
  type End,
  type RunnerAction,
  type RunnerConfig,
  type RunnerEvent,
  type RunnerState,
  startRunner,
  stepRunner,
  trustedUntilMs,
  type Wish,
} from '../core/site-plan/runner.ts'
import type { Clock } from '../io/clock.ts'
import { freshId } from '../io/random.ts'
import type { Hands } from './hands.ts'
import type { PlanPort } from './plan-port.ts'

export interface RunOptions {
  readonly scope: string
  readonly wish: Wish
  readonly port: PlanPort
  readonly hands: Pick<Hands, 'carryOut'>
  readonly clock: Clock
  /** Aborted: nothing more is begun or written here; the plan stays as it stands. */
  readonly left: AbortSignal
  /** What kind of process runs it; stands before the runner's name in the record. Default: `r`. */
  readonly runs?: 'r' | 'server'
  readonly onChange?: (plan: PlanRecord, own: boolean) => void
  /** Why the store did not answer; told each time. */
  readonly onSilence?: (because: string) => void
  readonly config?: Partial<RunnerConfig>
}

export interface RunEnd {
  readonly how: End | 'left'
  readonly plan: PlanRecord | null
}

/** `takeoverMs` leaves room for the trust of the one before and for its last request (`hands.ts`). */
const RUNNER: Omit<RunnerConfig, 'self'> = { beatMs: 1_000, trustMs: 3_000, takeoverMs: 8_000, retryMs: 300 }
const TICK_MS = 100

export async function runPlan(options: RunOptions): Promise<RunEnd> {
  const run = new Run(options)
  const end = await run.toItsEnd()
  if (end.how === 'over' && end.plan?.phase === 'done' && run.owned) {
    const { steps } = end.plan
    await options.port.keepRuns(options.scope, (past) => remembered(past, steps))
  }
  return end
}

class Run {
  readonly #options: RunOptions
  readonly #config: RunnerConfig
  readonly #flights = new Map<string, AbortController>()
  #state: RunnerState
  #told = ''
  #finish: (end: RunEnd) => void = () => {}
  owned = false

  constructor(options: RunOptions) {
    this.#options = options
    this.#config = { ...RUNNER, ...options.config, self: `${options.runs ?? 'r'}-${freshId()}` }
    this.#state = startRunner(options.wish)
  }

  toItsEnd(): Promise<RunEnd> {
    const { left, clock } = this.#options
    return new Promise((resolve) => {
      const timer = setInterval(() => this.#feed({ kind: 'tick', nowMs: clock.nowMs() }), TICK_MS)
      const onLeft = (): void => this.#finish({ how: 'left', plan: this.#state.saved })
      this.#finish = (end) => {
        clearInterval(timer)
        left.removeEventListener('abort', onLeft)
        for (const flight of this.#flights.values()) flight.abort()
        this.#finish = () => {}
        resolve(end)
      }
      left.addEventListener('abort', onLeft, { once: true })
      if (left.aborted) onLeft()
      else this.#feed({ kind: 'tick', nowMs: clock.nowMs() })
    })
  }

  #feed(event: RunnerEvent): void {
    if (this.#options.left.aborted) return
    const { state, actions } = stepRunner(this.#state, event, this.#config)
    this.#state = state
    this.owned ||= state.plan !== null
    const shown = state.plan ?? this.#others(state)
    if (shown !== null && this.#told !== JSON.stringify([shown.phase, shown.steps, shown.cancel])) {
      this.#told = JSON.stringify([shown.phase, shown.steps, shown.cancel])
      this.#options.onChange?.(shown, state.plan !== null)
    }
    for (const action of actions) this.#perform(action)
  }

  /** The plan of somebody else, unless it was over before we came. */
  #others({ wish, saved }: RunnerState): PlanRecord | null {
    if (wish.kind === 'create' || saved === null || (isOver(saved) && this.#told === '')) return null
    return saved
  }

  #perform(action: RunnerAction): void {
    if (action.kind === 'read') void this.#read()
    else if (action.kind === 'write') void this.#write(action)
    else if (action.kind === 'act') void this.#act(action)
    else if (action.kind === 'halt') this.#flights.get(action.name)?.abort()
    else this.#finish({ how: action.how, plan: action.plan })
  }

  async #read(): Promise<void> {
    const { port, scope, clock } = this.#options
    const read = await port.read(scope).catch((error: unknown) => ({ ok: false as const, because: String(error) }))
    const nowMs = clock.nowMs()
    if (!read.ok) this.#options.onSilence?.(read.because)
    this.#feed(read.ok ? { kind: 'read', nowMs, ...read } : { kind: 'unread', nowMs })
  }

  async #write({ id, plan, ifRevision }: Extract<RunnerAction, { kind: 'write' }>): Promise<void> {
    const { port, clock } = this.#options
    const unknown = (error: unknown) => ({ outcome: 'unknown' as const, because: String(error) })
    const written = await port.write(plan, ifRevision).catch(unknown)
    const nowMs = clock.nowMs()
    if (written.outcome === 'unknown') {
      this.#options.onSilence?.(written.because)
      this.#feed({ kind: 'written', nowMs, id, outcome: 'unknown', plan: null, revision: 0 })
    } else this.#feed({ kind: 'written', nowMs, id, ...written })
  }

  async #act(flight: Extract<RunnerAction, { kind: 'act' }>): Promise<void> {
    const { hands, clock } = this.#options
    const controller = new AbortController()
    this.#flights.set(flight.name, controller)
    const trusted = (): boolean => clock.nowMs() < trustedUntilMs(this.#state, this.#config)
    // What cannot even be tried (a certificate that cannot be read) ends the step, never the process.
    const broken = (error: unknown): Outcome => ({ ok: false, because: String(error), retry: false, measuredMs: 0 })
    const outcome = await hands.carryOut(flight, { halted: controller.signal, trusted }).catch(broken)
    this.#flights.delete(flight.name)
    this.#feed({ kind: 'acted', nowMs: clock.nowMs(), name: flight.name, outcome })
  }
}
