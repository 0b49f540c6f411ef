/**
 * The hands of a runner: carries out one attempt at one step by the agents' HTTP API, and says how it ended. Looks,
 * asks, and looks again until the goal is seen; every request is bounded, and none is sent at the end of the time or
 * without the runner's trust, because it would arrive after somebody else has acted.
 */
import type { AgentClient, Result } from '@holdfast/client'
import { groupByName, type HookSpec, type Platform } from '../config/platform.ts'
import type { Outcome } from '../core/site-plan/advance.ts'
import { type Ask, ensure, type GroupView } from '../core/site-plan/ensure.ts'
import type { PlanRecord, PlanStep } from '../core/site-plan/plan.ts'
import type { RunnerAction } from '../core/site-plan/runner.ts'
import type { Clock } from '../io/clock.ts'
import { clientFor } from './agent-clients.ts'
import { callHook } from './hook-call.ts'
import { agentsBeside, Lookout } from './look.ts'
import { whyNot } from './plan-port.ts'

export type Flight = Extract<RunnerAction, { kind: 'act' }>

export interface HandsOptions {
  readonly platform: Platform
  readonly hooks: readonly HookSpec[]
  readonly clock: Clock
}

export interface Grip {
  readonly halted: AbortSignal
  /** The runner may still act. */
  readonly trusted: () => boolean
}

const LOOK_MS = 50
/** One request takes effect within this time or never. */
const REQUEST_MS = 2_000
const RESTART_LOOK_MS = 250
/** A hold ends by itself, so that a plan whose runner died does not keep groups without their failover for long. */
const HOLD_EXTRA_MS = 30_000
const HOLD_MAX_MS = 15 * 60_000

export class Hands {
  readonly #options: HandsOptions
  readonly #lookout: Lookout
  readonly #clients = new Map<string, AgentClient>()

  constructor(options: HandsOptions) {
    this.#options = options
    this.#lookout = new Lookout(options.platform)
  }

  async carryOut(flight: Flight, grip: Grip): Promise<Outcome> {
    const startedMs = this.#options.clock.nowMs()
    const done = (ok: boolean, because: string, retry: boolean): Outcome => {
      return { ok, because: because.slice(0, 1_000), retry, measuredMs: this.#options.clock.nowMs() - startedMs }
    }
    if (flight.step.kind === 'hook') {
      const { ok, because, retry } = await this.#hook(flight, grip)
      return done(ok, because, retry)
    }
    return this.#ensured(flight, grip, { startedMs, done })
  }

  async #hook({ plan, step, way }: Flight, grip: Grip): Promise<Pick<Outcome, 'ok' | 'because' | 'retry'>> {
    const hook = this.#options.hooks.find(({ name }) => name === step.hook)
    if (hook === undefined) return { ok: false, because: `no hook ${step.hook} is described here`, retry: false }
    const action = way === 'do' ? hook.action : hook.undo
    if (action === null) return { ok: true, because: 'nothing to take back', retry: false }
    const facts = {
      service: plan.scope,
      plan: plan.id,
      kind: plan.kind,
      step: step.id,
      way,
      group: step.group ?? '',
      from: plan.from ?? '',
      to: plan.to ?? '',
    }
    // Whoever has lost the store may have a successor soon, who calls the hook again: two of one must not run at once.
    const lost = new AbortController()
    const watch = setInterval(() => grip.trusted() || lost.abort(), LOOK_MS)
    const halted = AbortSignal.any([grip.halted, lost.signal])
    const { folder } = this.#options.platform
    const { ok, because } = await callHook(action, { folder, deadlineMs: step.deadlineMs, facts, halted })
    clearInterval(watch)
    const retry = !ok && lost.signal.aborted
    return { ok, because: retry ? `the store was out of reach: ${because}` : because, retry }
  }

  async #ensured(
    flight: Flight,
    grip: Grip,
    { startedMs, done }: { startedMs: number; done: (ok: boolean, because: string, retry: boolean) => Outcome },
  ): Promise<Outcome> {
    const { clock, platform } = this.#options
    const group = groupByName(platform, flight.step.group ?? '')
    if (group === null) return done(false, `no group ${flight.step.group} is described here`, false)
    const request = new Request(this.#clientOf(group.name), flight)
    let told = 'nothing was seen yet'
    while (!grip.halted.aborted && clock.nowMs() < startedMs + flight.step.deadlineMs) {
      const { view } = await this.#lookout.group(group)
      const found = ensure(flight.plan, flight.step, flight.way, { ...view, asked: await request.state() })
      if (found.kind === 'done') return done(true, found.because, false)
      if (found.kind === 'fail') return done(false, found.because, found.retry)
      const last = clock.nowMs() > startedMs + flight.step.deadlineMs - REQUEST_MS
      if (found.kind === 'wait') told = found.because
      else if (!last && grip.trusted()) {
        const answer = await request.send(found.ask)
        if (answer?.fatal === true) return done(false, answer.because, true)
        if (answer !== null) told = answer.because
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    }
    return done(false, grip.halted.aborted ? 'halted' : `not in time: ${told}`, true)
  }

  #clientOf(name: string): AgentClient {
    const known = this.#clients.get(name)
    if (known !== undefined) return known
    const { platform } = this.#options
    const group = groupByName(platform, name)
    const client = clientFor(group === null ? [] : agentsBeside(platform, group), REQUEST_MS)
    this.#clients.set(name, client)
    return client
  }
}

/** What was asked of a group in this attempt, and what became of it. */
class Request {
  readonly #client: AgentClient
  readonly #flight: Flight
  #id: string | null = null

  constructor(client: AgentClient, flight: Flight) {
    this.#client = client
    this.#flight = flight
  }

  async state(): Promise<GroupView['asked']> {
    if (this.#id === null) return null
    const found = await this.#client.intent(this.#flight.step.group ?? '', this.#id)
    if (!found.ok) {
      if (found.kind === 'refused' && found.code === 'HF_INTENT_UNKNOWN') this.#id = null
      return this.#id === null ? null : { state: 'open', because: whyNot(found) }
    }
    const { state, because } = found.value
    if (state === 'done') this.#id = null
    if (state === 'refused') return { state: 'refused', because }
    return state === 'done' ? null : { state: 'open', because: `${state}: ${because}` }
  }

  /** Null: taken. `fatal`: the group says no, and waiting does not help. */
  async send(ask: Ask): Promise<{ readonly fatal: boolean; readonly because: string } | null> {
    const { plan, step } = this.#flight
    const group = step.group ?? ''
    const by = `plan ${plan.id} of ${plan.by}`
    if (ask.verb === 'pause' || ask.verb === 'resume') {
      const { ifPausedBy } = ask
      const because = `${plan.kind} of ${plan.scope}`
      const result =
        ask.verb === 'pause'
          ? await this.#client.pause(group, { by: ask.by, because, validMs: holdMs(plan), ifPausedBy })
          : await this.#client.resume(group, { by, ifPausedBy })
      return result.ok ? null : this.#refused(result)
    }
    if (ask.verb === 'restart') {
      const { verb: _verb, ...body } = ask
      const result = await this.#client.restart(group, { ...body, by })
      // Refused is not yet, and taken is seen by another process: neither needs to be asked every moment.
      await new Promise((resolve) => setTimeout(resolve, RESTART_LOOK_MS))
      return result.ok ? null : this.#refused(result)
    }
    const { to, ifEpoch } = ask
    const result =
      ask.verb === 'switchover'
        ? await this.#client.switchover(group, { to, by, ifEpoch, ...pausedBy(ask.ifPausedBy) })
        : await this.#client.failover(group, { to, by, ifEpoch, allowDataLoss: ask.allowDataLoss })
    if (!result.ok) return this.#refused(result)
    this.#id = result.value.id
    return null
  }

  async #refused(result: Exclude<Result<unknown>, { ok: true }>): Promise<{ fatal: boolean; because: string }> {
    // It may be on its way: whatever it does is seen before anything else is asked.
    if (result.kind === 'uncertain') await new Promise((resolve) => setTimeout(resolve, REQUEST_MS))
    return { fatal: result.kind === 'refused' && result.code === 'HF_INTENT_REFUSED', because: whyNot(result) }
  }
}

function pausedBy(by: string | null): { readonly ifPausedBy?: string } {
  return by === null ? {} : { ifPausedBy: by }
}

/** As long as every step may take, within a bound. */
function holdMs({ steps }: PlanRecord): number {
  // Restarts are done without a hold: the group must be able to fail over meanwhile.
  const held = steps.filter(({ kind }) => kind !== 'restart')
  const worst = held.reduce((sum: number, step: PlanStep) => sum + step.deadlineMs, 0)
  return Math.min(HOLD_MAX_MS, worst + HOLD_EXTRA_MS)
}
