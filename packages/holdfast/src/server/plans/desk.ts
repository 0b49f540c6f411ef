/** Everything of a server that has to do with plans, put together: who follows, runs, and writes them down. */
import type { ApiAgent, ApiGroup, ApiPlan } from '@holdfast/client'
import type { Platform } from '../../config/platform.ts'
import { isOver } from '../../core/site-plan/plan.ts'
import type { Clock } from '../../io/clock.ts'
import type { Log } from '../../io/log.ts'
import type { PlanPort } from '../../plans/plan-port.ts'
import type { Services } from '../access/grants.ts'
import type { Reading } from '../database/database.ts'
import type { Leader } from '../database/leader.ts'
import { agentsPort } from './agents-port.ts'
import { PlanBook, writtenPlan } from './book.ts'
import { PlanFollower } from './follower.ts'
import { planOf } from './plan-view.ts'
import { isOfServers, PlanRuns } from './runs.ts'

export interface DeskOptions {
  readonly platform: Platform
  readonly scopes: ReadonlyMap<string, readonly string[]>
  readonly leader: Leader
  readonly read: Reading
  readonly clock: Clock
  readonly log: Log
  readonly name: string
  readonly agents: () => readonly ApiAgent[]
  readonly onPlan: (plan: ApiPlan, groups: readonly string[]) => void
  readonly onWritten: () => void
}

/** Every name plans are kept by, with its groups. */
export function scopesOf({ groups }: Platform, services: Services): ReadonlyMap<string, readonly string[]> {
  const served = new Set([...services.values()].flat())
  const alone = groups.filter(({ name }) => !served.has(name))
  return new Map([...services, ...alone.map(({ name }) => [`group:${name}`, [name]] as const)])
}

export class PlanDesk {
  readonly port: PlanPort
  readonly follower: PlanFollower
  readonly runs: PlanRuns
  readonly #options: DeskOptions
  readonly #book: PlanBook
  #ledEpoch = -1

  constructor(options: DeskOptions) {
    const { platform, scopes, read, clock, log, agents, onPlan } = options
    this.#options = options
    this.port = agentsPort(platform, agents)
    this.runs = new PlanRuns({ platform, port: this.port, clock, log, onNews: (scope) => this.follower.poke(scope) })
    this.#book = new PlanBook({ ...options, groupOf: (plan) => groupOf(plan, scopes) })
    this.follower = new PlanFollower({
      ...{ scopes, port: this.port, clock },
      known: (id) => writtenPlan(read, id),
      onPlan: (sight) => {
        const plan = planOf(sight)
        this.#book.note(plan)
        onPlan(plan, scopes.get(plan.service) ?? [])
        void this.#book.flush()
      },
    })
  }

  heard(groups: readonly ApiGroup[]): void {
    this.follower.heard(groups.map(({ group }) => group))
  }

  /** To be called several times a second. */
  async turn(): Promise<void> {
    const { leading, epoch } = this.#options.leader.state
    if (!leading) return
    // What was seen while another one led, and he may not have written.
    if (this.#ledEpoch !== epoch) for (const sight of this.follower.all()) this.#book.note(planOf(sight))
    this.#ledEpoch = epoch
    await this.#book.flush()
    this.#goOn()
  }

  /** A plan that a server began does not stay half-way because that server is gone. */
  #goOn(): void {
    for (const { record, stalled } of this.follower.all()) {
      const { scope, id } = record
      if (isOver(record) || !stalled || !isOfServers(record) || this.runs.isAt(scope, id)) continue
      this.#options.log.warn({ scope, plan: id }, 'plan-gone-on-with')
      void this.runs.resume(scope, id)
    }
  }

  async close(): Promise<void> {
    this.follower.close()
    await this.runs.close()
    await this.#book.flush()
  }
}

function groupOf({ steps, service }: ApiPlan, scopes: ReadonlyMap<string, readonly string[]>): string | null {
  return steps.find(({ group }) => group !== null)?.group ?? scopes.get(service)?.[0] ?? null
}
