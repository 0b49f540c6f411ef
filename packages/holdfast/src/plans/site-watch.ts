/**
 * Stands in every agent beside a service that may move without a person. At rest it looks at its own agent's state
 * only; when a primary is silent, has changed, or is away from home, it asks the others, and what the core says is then
 * carried out by whichever agent wins the plan's compare-and-set.
 */
import { groupByName, type Platform, type ServiceSpec } from '../config/platform.ts'
import { draftPlan, type MoveWish } from '../core/site-plan/draft.ts'
import { isOver, type PlanRecord } from '../core/site-plan/plan.ts'
import { judge, type ServiceSeen, type SiteSeen, type WatchRules, type WatchVerdict } from '../core/site-plan/watch.ts'
import type { Clock } from '../io/clock.ts'
import type { Log } from '../io/log.ts'
import { freshId } from '../io/random.ts'
import { Hands } from './hands.ts'
import { type GroupLook, Lookout } from './look.ts'
import type { PlanPort } from './plan-port.ts'
import { runPlan } from './run-plan.ts'
import { surveyOf } from './survey.ts'

/** What this agent knows by itself of one group, without asking anybody. */
export interface LocalGroup {
  readonly holder: string | null
  readonly epoch: number
  readonly open: boolean
  /** Time for which the holder's beat stood still here. */
  readonly silentMs: number
}

export interface SiteWatchOptions {
  readonly platform: Platform
  /** Those beside this agent that may move without a person. */
  readonly services: readonly ServiceSpec[]
  readonly agent: string
  readonly port: PlanPort
  readonly clock: Clock
  readonly log: Log
  readonly local: (group: string) => LocalGroup | null
}

const TICK_MS = 250
/** While something is wrong, or has just changed. */
const URGENT_MS = 10_000
/** While it is merely away from home. */
const AWAY_EVERY_MS = 5_000
const CALM_MS = 30_000
const PATIENCE_MS = 300_000
const NEVER_MS = Number.MAX_SAFE_INTEGER

/** Starts one watch per service; the answer ends them. */
export function startSiteWatch(options: SiteWatchOptions): { close(): Promise<void> } {
  const controller = new AbortController()
  const running = options.services.map((one) => new Watch(one, options, controller.signal).run())
  return {
    close: async () => {
      controller.abort()
      await Promise.all(running)
    },
  }
}

class Watch {
  readonly #one: ServiceSpec
  readonly #options: SiteWatchOptions
  readonly #left: AbortSignal
  readonly #lookout: Lookout
  readonly #rules: WatchRules
  /** Since when each silent site did not answer any look of ours. */
  readonly #silentSinceMs = new Map<string, number>()
  readonly #ownSite: string
  readonly #sites: ReadonlyMap<string, string>
  #signature = ''
  #urgentUntilMs = 0
  #nextLookMs = 0
  #calmSinceMs: number | null = null
  #failedAtMs = -NEVER_MS
  #failedId = ''
  #told = ''

  constructor(one: ServiceSpec, options: SiteWatchOptions, left: AbortSignal) {
    this.#one = one
    this.#options = options
    this.#left = left
    this.#lookout = new Lookout(options.platform)
    this.#ownSite = options.platform.agents.find(({ name }) => name === options.agent)?.site ?? ''
    const members = options.platform.groups.flatMap((group) => group.members)
    this.#sites = new Map(members.map(({ name, site }) => [name, site]))
    const ttls = one.groups.map(({ group }) => groupByName(options.platform, group)?.timing.ttlMs ?? 0)
    this.#rules = { ...one, lostAfterMs: Math.max(...ttls), calmMs: CALM_MS, patienceMs: PATIENCE_MS }
  }

  async run(): Promise<void> {
    while (!this.#left.aborted) {
      try {
        if (this.#mayMatter()) await this.#look()
      } catch (error) {
        // A watch that fails must not end its agent; the groups keep their own leases.
        this.#options.log.error({ error, service: this.#one.name }, 'site-watch-failed')
      }
      await paused(TICK_MS, this.#left)
    }
  }

  /** From this agent's own state alone. */
  #mayMatter(): boolean {
    const nowMs = this.#options.clock.nowMs()
    const own = this.#one.groups.map(({ group }) => this.#options.local(group))
    const signature = JSON.stringify(own.map((group) => [group?.holder, group?.epoch, group?.open]))
    const wrong = own.some((group) => group !== null && (!group.open || group.silentMs > this.#rules.lostAfterMs / 2))
    if (signature !== this.#signature || wrong) this.#urgentUntilMs = nowMs + URGENT_MS
    this.#signature = signature
    if (nowMs < this.#urgentUntilMs) return true
    const away = own.some((group) => group !== null && this.#siteOf(group.holder) !== this.#one.home)
    return away && nowMs >= this.#nextLookMs
  }

  #siteOf(member: string | null): string | null {
    return this.#sites.get(member ?? '') ?? null
  }

  async #look(): Promise<void> {
    const { clock, port, platform } = this.#options
    const specs = this.#one.groups.flatMap(({ group }) => groupByName(platform, group) ?? [])
    const looks = await Promise.all(specs.map((group) => this.#lookout.group(group)))
    const read = await port.read(this.#one.name)
    const nowMs = clock.nowMs()
    this.#nextLookMs = nowMs + AWAY_EVERY_MS
    if (!read.ok) return
    const seen = this.#seen(looks, read.plan, nowMs)
    const verdict = judge(seen, this.#rules)
    this.#tell(verdict)
    if (verdict.kind !== 'nothing') await this.#act(verdict, read.revision)
  }

  #seen(looks: readonly GroupLook[], plan: PlanRecord | null, nowMs: number): ServiceSeen {
    const sites = this.#sitesSeen(looks, nowMs)
    const home = sites.find(({ site }) => site === this.#one.home)
    const whole = home !== undefined && home.silentMs === 0 && home.able
    // Whoever ran it: a plan that did not end well is not tried again at once by the next agent.
    const failed = plan !== null && isOver(plan) && plan.phase !== 'done' && plan.origin === 'automatic'
    if (failed && plan.id !== this.#failedId) {
      this.#failedId = plan.id
      this.#failedAtMs = nowMs
    }
    this.#calmSinceMs = whole ? (this.#calmSinceMs ?? nowMs) : null
    return {
      sites,
      groups: looks.map(({ view }) => ({
        group: view.group,
        site: this.#siteOf(view.holder),
        open: view.phase === 'open' && view.writable,
      })),
      plan,
      homeCalmMs: this.#calmSinceMs === null ? 0 : nowMs - this.#calmSinceMs,
      sinceFailedMs: nowMs - this.#failedAtMs,
    }
  }

  #sitesSeen(looks: readonly GroupLook[], nowMs: number): readonly SiteSeen[] {
    const members = looks.flatMap((look) => look.members)
    const names = new Set(looks.flatMap(({ view }) => Object.values(view.sites)))
    return [...names].map((site) => {
      const heard = site === this.#ownSite || members.some((member) => member.site === site)
      const since = this.#silentSinceMs.get(site) ?? nowMs
      if (heard) this.#silentSinceMs.delete(site)
      else {
        this.#silentSinceMs.set(site, since)
        this.#urgentUntilMs = nowMs + URGENT_MS
      }
      const able = looks.every((look) =>
        look.members.some((one) => one.site === site && one.engine?.answering === true && one.engine.data === 'ready'),
      )
      // The first look without an answer counts as silence, too, however short.
      return { site, silentMs: heard ? 0 : Math.max(1, nowMs - since), able }
    })
  }

  #tell(verdict: WatchVerdict): void {
    const text = JSON.stringify(verdict)
    if (text === this.#told) return
    this.#told = text
    const level = verdict.kind === 'nothing' ? 'debug' : 'warn'
    this.#options.log[level]({ service: this.#one.name, ...verdict }, 'site-watch')
  }

  async #act(verdict: Exclude<WatchVerdict, { kind: 'nothing' }>, revision: number): Promise<void> {
    const { platform, port, clock, log, agent } = this.#options
    const scope = this.#one.name
    const common = {
      scope,
      port,
      clock,
      left: this.#left,
      hands: new Hands({ platform, hooks: this.#one.hooks, clock }),
      onChange: (plan: PlanRecord) =>
        log.info(
          { service: scope, phase: plan.phase, steps: plan.steps.map(({ id, state }) => `${id} ${state}`) },
          'plan',
        ),
    }
    if (verdict.kind === 'resume') {
      const end = await runPlan({ ...common, wish: { kind: 'resume' } })
      this.#noteEnd(end.plan)
      return
    }
    const planned = verdict.kind === 'failback'
    const survey = await surveyOf(this.#one, { platform, port, planned })
    const wish: MoveWish = {
      id: freshId(),
      kind: verdict.kind,
      ...(planned ? {} : { from: verdict.from }),
      to: verdict.to,
      member: null,
      by: `agent ${agent}`,
      origin: 'automatic',
      lossAccepted: false,
    }
    const draft = draftPlan(survey, wish)
    if (draft.plan.steps.length === 0) return
    if (draft.refusals.length > 0) {
      log.warn({ service: scope, refusals: draft.refusals }, 'site-plan-refused')
      return
    }
    const end = await runPlan({ ...common, wish: { kind: 'create', plan: draft.plan, ifRevision: revision } })
    this.#noteEnd(end.plan)
  }

  #noteEnd(plan: PlanRecord | null): void {
    if (plan === null || !isOver(plan)) return
    this.#options.log.warn({ service: plan.scope, phase: plan.phase, because: plan.because }, 'plan-over')
  }
}

function paused(ms: number, left: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const onAbort = (): void => {
      clearTimeout(timer)
      resolve()
    }
    const timer = setTimeout(() => {
      left.removeEventListener('abort', onAbort)
      resolve()
    }, ms)
    left.addEventListener('abort', onAbort, { once: true })
    if (left.aborted) onAbort()
  })
}
