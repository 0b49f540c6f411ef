/**
 * The door to a group's primary: feeds the routing core with the record, the agents' word and its own clients, and
 * does what it says. Decides nothing (`core/routing/route.ts`).
 */
import type { Reason } from '../core/model.ts'
import {
  type Refusal,
  type RouteAction,
  type RouteEvent,
  type RouteSettings,
  type RouteState,
  startRoute,
  stepRoute,
} from '../core/routing/route.ts'
import type { Clock } from '../io/clock.ts'
import { Door, type DoorCounts } from './door.ts'
import { NOT_NOW, type RefusalText, TOO_MANY } from './postgres-greeting.ts'
import type { Session, Target } from './session.ts'

export interface PrimaryDoorOptions {
  readonly listen: { readonly host: string; readonly port: number }
  readonly settings: RouteSettings
  readonly targets: ReadonlyMap<string, Target>
  readonly sessionsMax: number
  readonly clock: Clock
  readonly onReason: (reason: Reason) => void
}

export interface PrimaryDoorStatus extends DoorCounts {
  readonly group: string
  readonly port: number
  readonly route: RouteState['kind']
  readonly epoch: number
  readonly member: string | null
  readonly held: number
  readonly storeAway: boolean
}

type Posted = RouteEvent extends infer E ? (E extends RouteEvent ? Omit<E, 'nowMs'> : never) : never

export class PrimaryDoor {
  readonly #options: PrimaryDoorOptions
  readonly #door: Door
  readonly #queue: Posted[] = []
  /** How long each client that is being connected was promised to wait. */
  readonly #patience = new Map<number, number>()
  #state: RouteState = startRoute()
  #stepping = false
  #timer: NodeJS.Timeout | undefined
  #port = 0
  #closed = false
  /** While a route is cut its sessions come back as failed: their waiting starts anew. */
  #cutting = false

  constructor(options: PrimaryDoorOptions) {
    this.#options = options
    this.#door = new Door({
      name: `group ${options.settings.group}`,
      listen: options.listen,
      sessionsMax: options.sessionsMax,
      onArrive: (session) => this.post({ kind: 'client', id: session.id }),
      onFailed: (session) => this.#onFailed(session),
      onGone: (session) => {
        this.#patience.delete(session.id)
        this.post({ kind: 'client-gone', id: session.id })
      },
    })
  }

  async open(): Promise<void> {
    this.#port = await this.#door.open()
  }

  /** Events are stepped one at a time, in order; what a step's actions cause waits its turn. */
  post(event: Posted): void {
    if (this.#closed) return
    this.#queue.push(event)
    if (this.#stepping) return
    this.#stepping = true
    for (let next = this.#queue.shift(); next; next = this.#queue.shift()) this.#step(next)
    this.#stepping = false
  }

  status(): PrimaryDoorStatus {
    const { kind, standing, waiting, storeAway } = this.#state
    const member = kind === 'open' ? (standing?.member ?? null) : null
    const { group } = this.#options.settings
    const route = { group, port: this.#port, route: kind, epoch: standing?.epoch ?? 0, member }
    return { ...route, held: waiting.length, storeAway, ...this.#door.counts() }
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    await this.#door.close()
  }

  #step(event: Posted): void {
    const { clock, settings, onReason } = this.#options
    const nowMs = clock.nowMs()
    const step = stepRoute(this.#state, { ...event, nowMs } as RouteEvent, settings)
    this.#state = step.state
    for (const action of step.actions) this.#perform(action)
    for (const reason of step.reasons) onReason(reason)
    clearTimeout(this.#timer)
    if (step.wakeAtMs !== null) {
      this.#timer = setTimeout(() => this.post({ kind: 'tick' }), Math.max(1, step.wakeAtMs - nowMs))
    }
  }

  #perform(action: RouteAction): void {
    if (action.do === 'cut') {
      this.#cutting = true
      this.#door.cut((target) => target !== null)
      this.#cutting = false
      return
    }
    const session = this.#door.get(action.id)
    if (!session) return
    if (action.do === 'refuse') {
      this.#door.refuse(session, refusalOf(this.#options.settings.group, action.why))
      return
    }
    const target = this.#options.targets.get(action.member)
    if (!target) return
    this.#patience.set(action.id, action.untilMs)
    session.connect(target)
  }

  #onFailed(session: Session): void {
    const untilMs = this.#cutting ? null : (this.#patience.get(session.id) ?? null)
    this.post({ kind: 'connect-failed', id: session.id, untilMs })
  }
}

/** What a refused client reads: the group, why, and what to do. */
function refusalOf(group: string, why: Refusal): RefusalText {
  const states = {
    closed: 'no primary has been seen yet',
    changing: 'the primary is being changed',
    open: 'the primary does not take connections',
  } as const
  const message = `group ${group} cannot take new connections now: ${states[why.kind]}`
  if (why.code === 'too-many-waiting') {
    const detail = `${why.heldMax} connections wait already, which is the bound.`
    return { sqlState: TOO_MANY, message, detail, hint: 'Try again with a growing pause; see "holdfast status".' }
  }
  const detail = `The connection waited ${why.holdMs} ms at the router, which is the bound.`
  return { sqlState: NOT_NOW, message, detail, hint: `Try again; "holdfast explain ${group}" tells what is missing.` }
}
