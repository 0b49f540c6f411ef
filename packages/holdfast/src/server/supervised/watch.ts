/** Looks at every supervised group again and again, each server for itself. Reads only; decides nothing. */
import type { ApiSupervisedGroup } from '@holdfast/client'
import type { SupervisedSpec } from '../../config/supervised.ts'
import type { Supervisor } from '../../engines/supervisor.ts'
import type { Clock } from '../../io/clock.ts'
import type { Log } from '../../io/log.ts'
import { jitterMs } from '../../io/random.ts'
import { LOOK_MS, openSupervised } from './open.ts'
import { notSeen, supervisedGist, supervisedOf } from './view.ts'

export interface SupervisedWatchOptions {
  readonly specs: readonly SupervisedSpec[]
  readonly clock: Clock
  readonly log: Log
  readonly onChanged: (group: ApiSupervisedGroup) => void
  /** The same with figures that move all the time: told at most this often. */
  readonly onFigures: (group: ApiSupervisedGroup) => void
}

const REST_MS = 1_500
/** While the manager moves it, or was just asked to. */
const BUSY_MS = 250
const BUSY_FOR_MS = 30_000

interface Place {
  readonly spec: SupervisedSpec
  supervisor: Promise<Supervisor> | null
  shown: ApiSupervisedGroup
  told: string
  busyUntilMs: number
  timer: NodeJS.Timeout | null
}

export class SupervisedWatch {
  readonly #options: SupervisedWatchOptions
  readonly #places: ReadonlyMap<string, Place>
  readonly #looks = new Set<Promise<void>>()
  #closed = false

  constructor(options: SupervisedWatchOptions) {
    this.#options = options
    const fresh = { supervisor: null, told: '', busyUntilMs: 0, timer: null }
    this.#places = new Map(options.specs.map((spec) => [spec.name, { ...fresh, spec, shown: notSeen(spec) }]))
  }

  start(): void {
    for (const place of this.#places.values()) this.#arm(place, 0)
  }

  groups(): readonly ApiSupervisedGroup[] {
    return [...this.#places.values()].map(({ shown }) => shown)
  }

  group(name: string): ApiSupervisedGroup | null {
    return this.#places.get(name)?.shown ?? null
  }

  /** Throws a HoldfastError when a secret or a certificate is missing. */
  supervisor(name: string): Promise<Supervisor> {
    const place = this.#places.get(name)
    if (place === undefined) throw new Error(`no supervised group ${name}`)
    // A file that is missing now may be there at the next look.
    place.supervisor ??= openSupervised(place.spec).catch((error: unknown) => {
      place.supervisor = null
      throw error
    })
    return place.supervisor
  }

  /** It was asked to move. */
  hurry(name: string): void {
    const place = this.#places.get(name)
    if (place === undefined) return
    place.busyUntilMs = this.#options.clock.nowMs() + BUSY_FOR_MS
    this.#arm(place, 0)
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const { timer } of this.#places.values()) if (timer !== null) clearTimeout(timer)
    await Promise.all(this.#looks)
    for (const { supervisor } of this.#places.values())
      await supervisor?.then((one) => one.close()).catch(() => undefined)
  }

  #arm(place: Place, ms: number): void {
    if (this.#closed) return
    if (place.timer !== null) clearTimeout(place.timer)
    place.timer = setTimeout(() => {
      const look = this.#look(place).finally(() => this.#looks.delete(look))
      this.#looks.add(look)
    }, ms)
  }

  async #look(place: Place): Promise<void> {
    const { clock, log, onChanged, onFigures } = this.#options
    try {
      const supervisor = await this.supervisor(place.spec.name)
      const look = await supervisor.look(LOOK_MS)
      if (this.#closed) return
      place.shown = supervisedOf(place.spec, look, supervisor, clock.wallMs())
    } catch (error) {
      log.warn({ error, group: place.spec.name }, 'supervised-not-seen')
      const because = error instanceof Error ? error.message : String(error)
      place.shown = { ...notSeen(place.spec), verdict: { safe: false, because } }
    }
    const gist = supervisedGist(place.shown)
    if (gist === place.told) onFigures(place.shown)
    else onChanged(place.shown)
    place.told = gist
    const busy = place.shown.moving !== null || clock.nowMs() < place.busyUntilMs
    this.#arm(place, busy ? BUSY_MS : jitterMs(REST_MS, REST_MS + REST_MS / 4))
  }
}
