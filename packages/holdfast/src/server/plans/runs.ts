/**
 * The plans this server runs, as one more runner beside people's commands and agents (R31). Each runs on after its
 * request was answered; what ends it in the middle (this process, the store) leaves the plan as it stands, and another
 * runner goes on.
 */
import type { Platform } from '../../config/platform.ts'
import type { PlanRecord } from '../../core/site-plan/plan.ts'
import type { Wish } from '../../core/site-plan/runner.ts'
import type { Clock } from '../../io/clock.ts'
import type { Log } from '../../io/log.ts'
import { hooksOf } from '../../plans/draft-move.ts'
import { Hands } from '../../plans/hands.ts'
import type { PlanPort } from '../../plans/plan-port.ts'
import { type RunEnd, runPlan } from '../../plans/run-plan.ts'

export interface RunsOptions {
  readonly platform: Platform
  readonly port: PlanPort
  readonly clock: Clock
  readonly log: Log
  /** Something of it was written, or may have been. */
  readonly onNews: (scope: string) => void
}

/** Stands before the runner's name in the record of a plan that a server runs. */
const SERVER = 'server-'
/** The store answers in milliseconds, or is busy for seconds; who asked waits no longer. */
const BEGIN_MS = 15_000

export type Begun =
  | { readonly ok: true; readonly plan: PlanRecord }
  /** It ended at once, or somebody else has the service; `left`: the store did not answer in time. */
  | { readonly ok: false; readonly how: RunEnd['how']; readonly plan: PlanRecord | null; readonly silence: string }

interface Run {
  readonly id: string
  readonly kind: Wish['kind']
}

export class PlanRuns {
  readonly #options: RunsOptions
  readonly #closing = new AbortController()
  readonly #runs = new Map<string, Set<Run>>()
  readonly #ends = new Set<Promise<unknown>>()

  constructor(options: RunsOptions) {
    this.#options = options
  }

  /** Resolves when the store says that it has begun, or that it has not. */
  begin(plan: PlanRecord, ifRevision: number): Promise<Begun> {
    const wish: Wish = { kind: 'create', plan, ifRevision }
    return this.#run({ scope: plan.scope, id: plan.id, wish, taken: (seen, own) => own && seen.id === plan.id })
  }

  /** Resolves when the wish stands in the store; the way back is walked by whoever runs the plan, or by this server. */
  cancel(scope: string, id: string, by: string): Promise<Begun> {
    const taken = (plan: PlanRecord): boolean => plan.id === id && plan.cancel !== null
    return this.#run({ scope, id, wish: { kind: 'cancel', by, id }, taken })
  }

  /** Resolves at once: it is taken over when nobody has run it for eight seconds. */
  resume(scope: string, id: string): Promise<Begun> {
    return this.#run({ scope, id, wish: { kind: 'resume', id }, taken: (plan) => plan.id === id })
  }

  isAt(scope: string, id: string): boolean {
    return [...(this.#runs.get(scope) ?? [])].some((run) => run.id === id)
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await Promise.all(this.#ends)
  }

  #run({ scope, id, wish, taken }: Task): Promise<Begun> {
    const { platform, port, clock, log, onNews } = this.#options
    const run: Run = { id, kind: wish.kind }
    const own = this.#runs.get(scope) ?? new Set()
    this.#runs.set(scope, own.add(run))
    const late = new AbortController()
    let silence = ''
    return new Promise((resolve) => {
      let begun = false
      const timer = setTimeout(() => late.abort(), BEGIN_MS)
      const end = runPlan({
        ...{ scope, wish, port, clock, runs: 'server' },
        hands: new Hands({ platform, hooks: hooksOf(platform, scope), clock }),
        left: AbortSignal.any([this.#closing.signal, late.signal]),
        onChange: (plan, isOwn) => {
          onNews(scope)
          if (begun || !taken(plan, isOwn)) return
          begun = true
          clearTimeout(timer)
          resolve({ ok: true, plan })
        },
        onSilence: (because) => {
          silence = because
        },
      })
        .catch((error: unknown): RunEnd => {
          log.error({ error, scope }, 'plan-run-failed')
          return { how: 'left', plan: null }
        })
        .then(({ how, plan }) => {
          clearTimeout(timer)
          own.delete(run)
          this.#ends.delete(end)
          onNews(scope)
          log.info({ scope, plan: id, how, phase: plan?.phase }, 'plan-run-over')
          resolve({ ok: false, how, plan, silence })
        })
      this.#ends.add(end)
    })
  }
}

interface Task {
  readonly scope: string
  readonly id: string
  readonly wish: Wish
  /** What was asked for stands in the store. */
  readonly taken: (plan: PlanRecord, own: boolean) => boolean
}

/** A server began it, or went on with it last. */
export function isOfServers({ runner }: PlanRecord): boolean {
  return runner.startsWith(SERVER)
}
