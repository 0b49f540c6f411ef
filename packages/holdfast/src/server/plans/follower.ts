/**
 * Follows the plan of every service as it stands in the store, whoever runs it: this server, another one, a person's
 * command, or an agent after a lost site. Seldom while nothing happens, often while a plan is under way, and at once
 * when something was heard of its groups.
 */

import { isOver, type PlanRecord } from '../../core/site-plan/plan.ts'
import type { Clock } from '../../io/clock.ts'
import { jitterMs } from '../../io/random.ts'
import type { PlanPort } from '../../plans/plan-port.ts'
import type { PlanSight } from './plan-view.ts'

export interface FollowerOptions {
  /** Names as plans are kept by, with the groups of each. */
  readonly scopes: ReadonlyMap<string, readonly string[]>
  readonly port: Pick<PlanPort, 'read'>
  readonly clock: Clock
  /** What was written down of a plan before this server began. */
  readonly known: (id: string) => Promise<Pick<PlanSight, 'begunMs' | 'endedMs'> | null>
  readonly onPlan: (sight: PlanSight) => void
}

const BUSY_MS = 120
const REST_MS = 2_000
/** A group in no service is moved by hand only, and its pause by the plan is heard of at once. */
const REST_ALONE_MS = 15_000
/** However much is heard of its groups. */
const GAP_MS = 60
/** Its runner beats every second, and may not act three seconds after its last beat. */
export const STALLED_MS = 3_000

interface Place {
  sight: PlanSight | null
  stamp: string
  stampMs: number
  told: string
  /** There was an answer before; what is new since then began since then. */
  read: boolean
  timer: NodeJS.Timeout | null
  looking: boolean
  again: boolean
}

export class PlanFollower {
  readonly #options: FollowerOptions
  readonly #places = new Map<string, Place>()
  #closed = false

  constructor(options: FollowerOptions) {
    this.#options = options
    const fresh = {
      sight: null,
      stamp: '',
      stampMs: 0,
      told: '',
      read: false,
      timer: null,
      looking: false,
      again: false,
    }
    for (const scope of options.scopes.keys()) this.#places.set(scope, { ...fresh })
  }

  start(): void {
    for (const scope of this.#places.keys()) this.poke(scope)
  }

  close(): void {
    this.#closed = true
    for (const { timer } of this.#places.values()) if (timer !== null) clearTimeout(timer)
  }

  plan(scope: string): PlanSight | null {
    return this.#places.get(scope)?.sight ?? null
  }

  all(): readonly PlanSight[] {
    return [...this.#places.values()].flatMap(({ sight }) => sight ?? [])
  }

  /** Something was heard of these groups. */
  heard(groups: readonly string[]): void {
    for (const [scope, own] of this.#options.scopes) if (own.some((group) => groups.includes(group))) this.poke(scope)
  }

  poke(scope: string): void {
    const place = this.#places.get(scope)
    if (place === undefined || this.#closed) return
    if (place.looking) place.again = true
    else this.#arm(scope, place, GAP_MS)
  }

  #arm(scope: string, place: Place, ms: number): void {
    if (this.#closed) return
    if (place.timer !== null) clearTimeout(place.timer)
    place.timer = setTimeout(() => void this.#look(scope, place), ms)
  }

  async #look(scope: string, place: Place): Promise<void> {
    place.looking = true
    place.again = false
    try {
      const found = await this.#options.port.read(scope)
      if (found.ok && found.plan !== null) await this.#take(place, found.plan)
      place.read ||= found.ok
    } catch {
      // Nobody could be asked; it is looked at again.
    }
    place.looking = false
    const rest = scope.startsWith('group:') ? REST_ALONE_MS : REST_MS
    const busy = place.sight !== null && !isOver(place.sight.record)
    this.#arm(scope, place, place.again ? GAP_MS : busy ? BUSY_MS : jitterMs(rest, rest + rest / 4))
  }

  async #take(place: Place, record: PlanRecord): Promise<void> {
    const { clock, onPlan } = this.#options
    const nowMs = clock.nowMs()
    if (place.stamp !== record.stamp) {
      place.stamp = record.stamp
      place.stampMs = nowMs
    }
    const over = isOver(record)
    const stalled = !over && nowMs - place.stampMs >= STALLED_MS
    const times = await this.#times(place, record)
    if (this.#closed) return
    place.sight = { record, stalled, ...times }
    const { id, phase, because, cancel, steps, epoch } = record
    const gist = JSON.stringify([id, phase, because, cancel, steps, epoch, stalled])
    if (gist === place.told) return
    place.told = gist
    onPlan(place.sight)
  }

  /** The record has no clock in it; these are what servers saw. */
  async #times(place: Place, record: PlanRecord): Promise<Pick<PlanSight, 'begunMs' | 'endedMs'>> {
    const wallMs = Math.round(this.#options.clock.wallMs())
    const over = isOver(record)
    const before = place.sight
    if (before?.record.id === record.id) {
      return { begunMs: before.begunMs, endedMs: before.endedMs ?? (over ? wallMs : null) }
    }
    const known = await this.#options.known(record.id).catch(() => null)
    if (known !== null) return { begunMs: known.begunMs, endedMs: known.endedMs }
    // What is there at the very first look may be of long ago.
    return { begunMs: place.read ? wallMs : null, endedMs: place.read && over ? wallMs : null }
  }
}
