/**
 * The door to a group's primary: feeds the routing core with the record, the agents' word and its own clients, and
 * does what it says. Decides nothing (`core/routing/route.ts`).
 */
import type { Reason } from '../core/model.ts'
import { type RelayMode, relayTurn, sameMode } from '../core/routing/relay.ts'
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
  /** Stands before this door, which then listens on loopback alone. */
  readonly relay?: DoorRelay
  readonly clock: Clock
  readonly onReason: (reason: Reason) => void
}

/** What carries the bytes instead of this door; see `haproxy.ts`. */
export interface DoorRelay {
  /** Where clients come to. */
  readonly port: number
  readonly patienceMs: number
  /** Fulfilled once it is so. */
  turn(mode: RelayMode, cut: boolean): Promise<void>
  counts(): {
    readonly sessions: number
    readonly accepted: number
    readonly bytesUp: number
    readonly bytesDown: number
  }
  running(): boolean
  /** Null while it changes. */
  leadsTo(): RelayMode | null
}

export interface PrimaryDoorStatus extends DoorCounts {
  readonly group: string
  readonly port: number
  readonly route: RouteState['kind']
  readonly epoch: number
  readonly member: string | null
  readonly held: number
  readonly storeAway: boolean
  /** For how long no primary has been to be had; null: there is one. */
  readonly lostForMs: number | null
  /** Whoever comes is refused at once. */
  readonly refusing: boolean
  /** What went through the relay before this door, clients that it led to this door included; null without one. */
  readonly relay:
    | (ReturnType<DoorRelay['counts']> & { readonly running: boolean; readonly leadsTo: RelayMode | null })
    | null
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
  #mode: RelayMode = { to: 'router' }
  #changingSinceMs: number | null = null
  #relayTimer: NodeJS.Timeout | undefined
  /** While the relay cuts nobody is connected: those who should be, in their order. */
  #gate: Map<number, RouteAction> | null = null

  constructor(options: PrimaryDoorOptions) {
    this.#options = options
    this.#door = new Door({
      name: `group ${options.settings.group}`,
      listen: options.listen,
      sessionsMax: options.sessionsMax,
      onArrive: (session) => this.post({ kind: 'client', id: session.id }),
      onFailed: (session) => this.#onFailed(session),
      onJoined: () => {
        if (this.#state.lostSinceMs !== null) this.post({ kind: 'connected' })
      },
      onGone: (session) => {
        this.#patience.delete(session.id)
        this.#gate?.delete(session.id)
        this.post({ kind: 'client-gone', id: session.id })
      },
    })
  }

  /** The port it listens on itself, which is not where clients come to when a relay stands before it. */
  async open(): Promise<number> {
    this.#port = await this.#door.open()
    return this.#port
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
    const { kind, standing, waiting, storeAway, lostSinceMs, gaveUp } = this.#state
    const member = kind === 'open' ? (standing?.member ?? null) : null
    const { group } = this.#options.settings
    const port = this.#options.relay?.port ?? this.#port
    const route = { group, port, route: kind, epoch: standing?.epoch ?? 0, member }
    const lostForMs = lostSinceMs === null ? null : Math.round(this.#options.clock.nowMs() - lostSinceMs)
    const lost = { held: waiting.length, storeAway, lostForMs, refusing: gaveUp }
    return { ...route, ...lost, relay: this.#relayStatus(), ...this.#door.counts() }
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    clearTimeout(this.#relayTimer)
    await this.#door.close()
  }

  #step(event: Posted): void {
    const { clock, settings, onReason } = this.#options
    const nowMs = clock.nowMs()
    const step = stepRoute(this.#state, { ...event, nowMs } as RouteEvent, settings)
    this.#state = step.state
    this.#steerRelay(
      nowMs,
      step.actions.some((action) => action.do === 'cut'),
    )
    for (const action of step.actions) this.#perform(action)
    for (const reason of step.reasons) onReason(reason)
    clearTimeout(this.#timer)
    if (step.wakeAtMs !== null) {
      this.#timer = setTimeout(() => this.post({ kind: 'tick' }), Math.max(1, step.wakeAtMs - nowMs))
    }
  }

  #steerRelay(nowMs: number, cut: boolean): void {
    const { relay } = this.#options
    if (relay === undefined) return
    this.#changingSinceMs = this.#state.kind === 'changing' ? (this.#changingSinceMs ?? nowMs) : null
    const { mode, wakeAtMs } = relayTurn(this.#state, this.#changingSinceMs, relay.patienceMs, nowMs)
    clearTimeout(this.#relayTimer)
    if (wakeAtMs !== null) {
      this.#relayTimer = setTimeout(() => this.post({ kind: 'tick' }), Math.max(1, Math.ceil(wakeAtMs - nowMs)))
    }
    if (!cut && sameMode(mode, this.#mode)) return
    this.#mode = mode
    const turned = relay.turn(mode, cut)
    if (!cut) return
    // Whoever was to be connected on the old route waits anew.
    for (const id of this.#gate?.keys() ?? []) this.post({ kind: 'connect-failed', id, untilMs: null })
    const gate = new Map<number, RouteAction>()
    this.#gate = gate
    void turned.then(() => {
      if (this.#gate !== gate || this.#closed) return
      this.#gate = null
      for (const action of gate.values()) this.#perform(action)
    })
  }

  #relayStatus(): PrimaryDoorStatus['relay'] {
    const { relay } = this.#options
    return relay === undefined ? null : { ...relay.counts(), running: relay.running(), leadsTo: relay.leadsTo() }
  }

  #perform(action: RouteAction): void {
    if (action.do === 'connect' && this.#gate !== null) {
      this.#gate.set(action.id, action)
      return
    }
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

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`
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
  if (why.code === 'no-primary') {
    const lost = `group ${group} has no primary, for ${Math.round(why.lostMs / 1_000)} s now; nothing can be written`
    const detail = `${states[why.kind]}; nobody waits for it any more.`
    const hint = `Read from the replicas' door, try again later; "holdfast explain ${group}" tells what is missing.`
    return { sqlState: NOT_NOW, redis: 'MASTERDOWN', message: lost, detail: sentence(detail), hint }
  }
  const detail = `The connection waited ${why.holdMs} ms at the router, which is the bound.`
  return { sqlState: NOT_NOW, message, detail, hint: `Try again; "holdfast explain ${group}" tells what is missing.` }
}
