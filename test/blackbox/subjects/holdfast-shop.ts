/**
 * The shop of `examples/active-passive.yaml` as a service: where it is, how a person moves it, and every version of its
 * plan, read from the store itself past every cut.
 */
import type { PlanRecord } from '../../../packages/holdfast/src/core/site-plan/plan.ts'
import { isOver } from '../../../packages/holdfast/src/core/site-plan/plan.ts'
import { type PlanPort, portOnStore } from '../../../packages/holdfast/src/plans/plan-port.ts'
import type { Store } from '../../../packages/holdfast/src/store/contract.ts'
import { openStore } from '../../../packages/holdfast/src/store/open.ts'
import type { Answer, EngineName, SeenPlan, Service } from '../contract.ts'
import { type Layout, PLATFORM } from './holdfast-files.ts'

/** One command of an operator, typed at the edge; `signal` kills it. */
export type Typed = (words: readonly string[], boundMs: number, signal?: AbortSignal) => Promise<Answer>

export interface ShopGroup {
  readonly group: string
  readonly engine: EngineName
  readonly after: readonly string[]
}

export const SHOP = {
  sites: ['north', 'south'],
  // Orders reserve stock, so stock is up first.
  groups: [
    { group: 'orders', engine: 'postgres', after: ['stock'] },
    { group: 'stock', engine: 'redis', after: [] },
  ],
  service: { name: 'shop', home: 'north', witness: 'hill' },
} as const

const LOOK_MS = 50
const READ_MS = 1_000
/** Longer than every deadline of every step of a plan, tried as often as it is. */
const MOVE_MS = 180_000

export class HoldfastShop implements Service {
  readonly name: string
  readonly home: string
  readonly sites: Service['sites']
  readonly after: Service['after']
  readonly #typed: Typed
  readonly #store: Store
  readonly #port: PlanPort
  readonly #seen: SeenPlan[] = []
  readonly #movers = new Set<AbortController>()
  #timer: NodeJS.Timeout | null = null
  #last = ''
  #revision = 0

  constructor(layout: Layout, typed: Typed) {
    const { name, home } = layout.service ?? SHOP.service
    this.name = name
    this.home = home
    const sites = [...new Set(layout.agents.map(({ site }) => site))]
    this.sites = Object.fromEntries(
      sites.map((site) => [site, layout.agents.filter((one) => one.site === site).map(({ host }) => host)]),
    )
    this.after = Object.fromEntries(layout.groups.map(({ group, after }) => [group, after]))
    this.#typed = typed
    this.#store = storeOf(layout)
    this.#port = portOnStore(this.#store, READ_MS)
  }

  start(): void {
    const look = async (): Promise<void> => {
      await this.#look()
      if (this.#timer !== null) this.#timer = setTimeout(look, LOOK_MS)
    }
    this.#timer ??= setTimeout(look, LOOK_MS)
  }

  async close(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    this.killMovers()
    await this.#store.close()
  }

  plans(): readonly SeenPlan[] {
    return this.#seen
  }

  move(to: string): Promise<Answer> {
    return this.#mover(['--to', to, '--yes'])
  }

  killMovers(): void {
    for (const one of this.#movers) one.abort()
  }

  async mend(way: 'resume' | 'cancel'): Promise<Answer | null> {
    const plan = await this.#look()
    // What the agents began they also end; and a mover that lives goes on by itself.
    if (plan === null || isOver(plan) || plan.origin === 'automatic' || this.#movers.size > 0) return null
    return this.#mover([`--${way}`])
  }

  /** What keeps the service from being whole beside its groups. */
  async lack(): Promise<string | null> {
    const read = await this.#port.read(this.name)
    if (!read.ok) return `its plan cannot be read: ${read.because}`
    this.#note(read.plan, read.revision)
    if (read.plan === null || isOver(read.plan)) return null
    return `a ${read.plan.kind} to ${read.plan.to} by ${read.plan.by} is ${read.plan.phase}`
  }

  async #mover(words: readonly string[]): Promise<Answer> {
    const controller = new AbortController()
    this.#movers.add(controller)
    try {
      return await this.#typed(['move', this.name, ...words], MOVE_MS, controller.signal)
    } finally {
      this.#movers.delete(controller)
    }
  }

  async #look(): Promise<PlanRecord | null> {
    const read = await this.#port.read(this.name).catch(() => null)
    if (read?.ok !== true) return null
    this.#note(read.plan, read.revision)
    return read.plan
  }

  /** Answers may overtake each other; an older version is not noted behind a newer one. */
  #note(plan: PlanRecord | null, revision: number): void {
    if (plan === null || revision <= this.#revision) return
    this.#revision = revision
    const text = JSON.stringify([plan.id, plan.epoch, plan.phase, plan.cancel, plan.steps])
    if (text === this.#last) return
    this.#last = text
    const { id, kind, origin, from, to, epoch, phase, because } = plan
    const steps = plan.steps.map(({ id: step, kind: does, group, state }) => {
      return { id: step, kind: does, group: group ?? '', state }
    })
    const time = Number(process.hrtime.bigint())
    this.#seen.push({ time, id, kind, origin, from, to, epoch, phase, because, steps })
  }
}

/** The harness sees every host as it is. */
function storeOf({ world, store, stores, secrets }: Layout): Store {
  const at = stores.map(({ host, port }) => `${world.addressOf(host)}:${port}`)
  if (store === 'etcd') {
    const endpoints = at.map((one) => `http://${one}`)
    return openStore({ kind: 'etcd', endpoints, prefix: `/holdfast/${PLATFORM}/`, requestMs: READ_MS })
  }
  const urls = at.map((one) => `https://${one}`)
  return openStore({ kind: 'embedded', urls, token: secrets.token, ca: secrets.ca, requestMs: READ_MS })
}
