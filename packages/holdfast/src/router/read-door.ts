/**
 * The door to a group's replicas: each new connection goes to a live replica within the lag bound, the nearest site
 * first (`core/routing/replica-choice.ts`). Sessions of a member that stops being a replica are cut. Remembers when
 * each member's data was last known to be complete: that is how old it is once nobody sends it anything any more.
 */
import type { Reason } from '../core/model.ts'
import {
  completeAtMs,
  keepsReaders,
  type ReadChoice,
  type ReplicaRule,
  type ReplicaView,
  readChoice,
  replicaVerdict,
  staleVerdict,
} from '../core/routing/replica-choice.ts'
import type { Clock } from '../io/clock.ts'
import type { MemberSeen, StatusSeen } from './agent-poll.ts'
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
  /** No member to read from for this long: nobody waits for one any more. Null: each waits `holdMs`. */
  readonly refuseAfterMs: number | null
  readonly clock: Clock
  readonly statuses: () => readonly StatusSeen[]
  readonly onReason: (reason: Reason) => void
}

export interface ReadDoorStatus extends DoorCounts {
  readonly group: string
  readonly port: number
  readonly held: number
  /** Why each member takes no new connection; null when it does. */
  readonly replicas: Readonly<Record<string, string | null>>
  /** No member receives: those that take connections show data that is `staleMs` old. */
  readonly degraded: boolean
  /** Age, at most, of each member's data; null: nobody knows. */
  readonly staleMs: Readonly<Record<string, number | null>>
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
  /** By member: when its data was last known to be complete. */
  readonly #complete = new Map<string, number>()
  /** Since when there is nobody to read from; null: there is somebody. */
  #nobodySinceMs: number | null = null
  #degraded = false
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
    const { clock, rule, refuseAfterMs } = this.#options
    const nowMs = clock.nowMs()
    const views = this.#views()
    const lost = new Set(views.flatMap((view) => (keepsReaders(view, rule) ? [] : [view.member])))
    if (lost.size > 0) this.#door.cut((target) => target !== null && lost.has(target.member))
    const choice = readChoice(views, rule)
    this.#note(choice, views)
    this.#nobodySinceMs = choice.members.length > 0 ? null : (this.#nobodySinceMs ?? nowMs)
    const gaveUp =
      refuseAfterMs !== null && this.#nobodySinceMs !== null && nowMs - this.#nobodySinceMs >= refuseAfterMs
    for (const one of [...this.#waiting.values()]) {
      if (!gaveUp && nowMs < one.untilMs) this.#serve(one)
      else this.#refuse(one)
    }
  }

  status(): ReadDoorStatus {
    const { group, rule } = this.#options
    const views = this.#views()
    const { members, degraded } = readChoice(views, rule)
    const verdict = (view: ReplicaView): string | null =>
      members.includes(view.member) ? null : (replicaVerdict(view, rule) ?? staleVerdict(view, rule))
    const replicas = Object.fromEntries(views.map((view) => [view.member, verdict(view)]))
    const staleMs = Object.fromEntries(views.map((view) => [view.member, roundedMs(view.staleMs)]))
    return { group, port: this.#port, held: this.#waiting.size, replicas, degraded, staleMs, ...this.#door.counts() }
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
    const best = readChoice(this.#views(), this.#options.rule).members
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
          staleMs: this.#staleMs(seen, status.receivedMs - status.loopAgeMs, nowMs),
        })),
    )
  }

  #staleMs({ member, staleMs }: MemberSeen, atMs: number, nowMs: number): number | null {
    const complete = completeAtMs(this.#complete.get(member) ?? null, staleMs, atMs)
    if (complete === null) return null
    this.#complete.set(member, complete)
    return nowMs - complete
  }

  /** Tells once when reads go on without a primary, with how old the data is, and once when that is over. */
  #note({ degraded, members }: ReadChoice, views: readonly ReplicaView[]): void {
    if (degraded === this.#degraded) return
    this.#degraded = degraded
    const [member = ''] = members
    const staleMs = views.find((view) => view.member === member)?.staleMs ?? null
    const code = degraded ? 'reads-degraded' : members.length > 0 ? 'reads-whole' : 'reads-stopped'
    this.#options.onReason({ code, group: this.#options.group, member, detail: { staleMs: roundedMs(staleMs) } })
  }

  #refuse({ session }: Waiting): void {
    const { clock, group, holdMs, rule } = this.#options
    this.#waiting.delete(session.id)
    const forMs = this.#nobodySinceMs === null ? holdMs : clock.nowMs() - this.#nobodySinceMs
    this.#door.refuse(session, {
      sqlState: NOT_NOW,
      redis: 'MASTERDOWN',
      message: `group ${group} has no replica for reading now`,
      detail: `There has been none for ${Math.round(forMs / 100) / 10} s. ${this.#verdicts()}`,
      hint: `Try again, read from the primary, or raise lagBytesMax (${rule.lagBytesMax}) or stalenessMax.`,
    })
  }

  #verdicts(): string {
    const { rule } = this.#options
    const list = this.#views().map((view) => {
      const age = view.staleMs === null ? '' : ` (${Math.round(view.staleMs / 1_000)} s old)`
      const why = replicaVerdict(view, rule) ?? 'takes no connections'
      return `${view.member}: ${why}${why === 'not-receiving' ? `, ${staleVerdict(view, rule)}${age}` : ''}`
    })
    return list.length === 0 ? 'No agent answers.' : `${list.join(', ')}.`
  }
}

function roundedMs(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms)
}
