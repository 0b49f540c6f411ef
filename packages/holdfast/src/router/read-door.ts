/**
 * The door to a group's replicas: each new connection goes to a live replica within the lag bound, the nearest site
 * first (`core/routing/replica-choice.ts`). Sessions of a member that stops being a replica are cut.
 */
import {
  keepsReaders,
  type ReplicaRule,
  type ReplicaView,
  replicasFor,
  replicaVerdict,
} from '../core/routing/replica-choice.ts'
import type { Clock } from '../io/clock.ts'
import type { StatusSeen } from './agent-poll.ts'
import { Door, type DoorCounts } from './door.ts'
import { NOT_NOW } from './postgres-greeting.ts'
import type { Session, Target } from './session.ts'

export interface ReadDoorOptions {
  readonly group: string
  readonly listen: { readonly host: string; readonly port: number }
  readonly rule: ReplicaRule
  readonly targets: ReadonlyMap<string, Target>
  readonly siteOf: ReadonlyMap<string, string>
  readonly sessionsMax: number
  readonly holdMs: number
  readonly retryMs: number
  readonly clock: Clock
  readonly statuses: () => readonly StatusSeen[]
}

export interface ReadDoorStatus extends DoorCounts {
  readonly group: string
  readonly port: number
  readonly held: number
  /** Why each member takes no new connection; null when it does. */
  readonly replicas: Readonly<Record<string, string | null>>
}

interface Waiting {
  readonly session: Session
  readonly untilMs: number
  /** Members that did not take this client; tried last. */
  readonly tried: Set<string>
}

export class ReadDoor {
  readonly #options: ReadDoorOptions
  readonly #door: Door
  readonly #waiting = new Map<number, Waiting>()
  /** Clients that are being connected, should that fail. */
  readonly #trying = new Map<number, Waiting>()
  #timer: NodeJS.Timeout | undefined
  #port = 0

  constructor(options: ReadDoorOptions) {
    this.#options = options
    const { clock, holdMs } = options
    this.#door = new Door({
      name: `replicas of group ${options.group}`,
      listen: options.listen,
      sessionsMax: options.sessionsMax,
      onArrive: (session) => this.#serve({ session, untilMs: clock.nowMs() + holdMs, tried: new Set() }),
      onFailed: (session) => this.#wait(this.#trying.get(session.id)),
      onGone: (session) => {
        this.#waiting.delete(session.id)
        this.#trying.delete(session.id)
      },
    })
  }

  async open(): Promise<void> {
    this.#port = await this.#door.open()
    this.#timer = setInterval(() => this.refresh(), this.#options.retryMs)
  }

  /** Looks at the replicas again: cuts the sessions of those that are none any more, serves those who wait. */
  refresh(): void {
    const { clock, group, holdMs, rule } = this.#options
    const lost = new Set(this.#views().flatMap((view) => (keepsReaders(view, rule) ? [] : [view.member])))
    if (lost.size > 0) this.#door.cut((target) => target !== null && lost.has(target.member))
    for (const one of [...this.#waiting.values()]) {
      if (clock.nowMs() < one.untilMs) {
        this.#serve(one)
        continue
      }
      this.#waiting.delete(one.session.id)
      this.#door.refuse(one.session, {
        sqlState: NOT_NOW,
        message: `group ${group} has no replica for reading now`,
        detail: `Waited ${holdMs} ms. ${this.#verdicts()}`,
        hint: `Try again, read from the primary, or raise lagBytesMax (${rule.lagBytesMax}).`,
      })
    }
  }

  status(): ReadDoorStatus {
    const { group, rule } = this.#options
    const replicas = Object.fromEntries(this.#views().map((view) => [view.member, replicaVerdict(view, rule)]))
    return { group, port: this.#port, held: this.#waiting.size, replicas, ...this.#door.counts() }
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#door.close()
  }

  #wait(one: Waiting | undefined): void {
    if (!one) return
    this.#trying.delete(one.session.id)
    this.#waiting.set(one.session.id, one)
  }

  #serve(one: Waiting): void {
    const best = replicasFor(this.#views(), this.#options.rule)
    const fresh = best.filter((member) => !one.tried.has(member))
    const member = fresh[0] ?? best[0]
    const target = member === undefined ? undefined : this.#options.targets.get(member)
    if (!target) {
      this.#wait(one)
      return
    }
    // Everybody was tried once: start over with the next round.
    if (fresh.length === 0) one.tried.clear()
    one.tried.add(target.member)
    this.#waiting.delete(one.session.id)
    this.#trying.set(one.session.id, one)
    one.session.connect(target)
  }

  #views(): readonly ReplicaView[] {
    const { clock, group, siteOf, statuses, targets } = this.#options
    const nowMs = clock.nowMs()
    const load = this.#door.load()
    return statuses().flatMap((status) =>
      status.members
        .filter((seen) => seen.group === group && targets.has(seen.member))
        .map((seen) => ({
          ...seen,
          site: siteOf.get(seen.member) ?? '',
          ageMs: nowMs - status.receivedMs + status.loopAgeMs,
          sessions: load.get(seen.member) ?? 0,
        })),
    )
  }

  #verdicts(): string {
    const { rule } = this.#options
    const list = this.#views().map((view) => `${view.member}: ${replicaVerdict(view, rule) ?? 'takes no connections'}`)
    return list.length === 0 ? 'No agent answers.' : `${list.join(', ')}.`
  }
}
