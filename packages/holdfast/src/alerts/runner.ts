/**
 * Looks, steps the core, saves, sends: in this order. A message that was under way when the process ended is sent again
 * after the next start, under the same id. One look at a time, one message of a desk at a time.
 */

import type { AlertsConfig, AlertsEvent, AlertsReason, AlertsState, Delivery } from '../core/alerts/state.ts'
import { EMPTY } from '../core/alerts/state.ts'
import { stepAlerts } from '../core/alerts/step.ts'
import type { Clock } from '../io/clock.ts'
import type { Log } from '../io/log.ts'
import { jitterMs } from '../io/random.ts'
import type { Channel, Context } from './channel.ts'
import { alertsClock, type Memory } from './memory.ts'
import type { Lookout } from './targets.ts'

export interface RunnerOptions {
  readonly config: AlertsConfig
  readonly memory: Memory
  /** Name of this process, for whoever finds the place taken. */
  readonly name: string
  readonly lookout: Lookout
  readonly channels: ReadonlyMap<string, Channel>
  readonly runbookOf: Context['runbookOf']
  readonly everyMs: number
  readonly clock: Clock
  readonly log: Log
  /** Another process has taken over; this one must end. */
  readonly onReplaced: () => void
  /** Each decision, besides the log. */
  readonly onReason?: (reason: AlertsReason) => void
}

/** Requests of people and waits that are over are seen this often. */
const TICK_MS = 500

export class Runner {
  readonly #options: RunnerOptions
  readonly #nowMs: () => number
  #state: AlertsState
  #savedText = ''
  #lookTimer: NodeJS.Timeout | null = null
  #tickTimer: NodeJS.Timeout | null = null
  #closed = false

  /** Takes the runner's place in the memory; throws when another one has it. */
  constructor(options: RunnerOptions) {
    const { memory, name, clock } = options
    memory.claim(name, clock)
    const saved = memory.read()
    this.#options = options
    this.#state = saved?.state ?? EMPTY
    this.#nowMs = alertsClock(saved, clock)
  }

  get state(): AlertsState {
    return this.#state
  }

  start(): void {
    this.#step({ kind: 'resumed', nowMs: this.#nowMs() })
    this.#tickTimer = setInterval(() => this.#tick(), TICK_MS)
    void this.#look()
  }

  /** What is under way is left to the next start. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    if (this.#lookTimer !== null) clearTimeout(this.#lookTimer)
    if (this.#tickTimer !== null) clearInterval(this.#tickTimer)
    const { memory, name, lookout } = this.#options
    await lookout.close()
    memory.leave(name)
    memory.close()
  }

  async #look(): Promise<void> {
    const { lookout, everyMs, clock } = this.#options
    const startedMs = clock.nowMs()
    const series = await lookout.look()
    if (this.#closed) return
    this.#step({ kind: 'looked', nowMs: this.#nowMs(), wallMs: clock.wallMs(), series })
    const waitMs = Math.max(0, everyMs - (clock.nowMs() - startedMs))
    this.#lookTimer = setTimeout(() => void this.#look(), waitMs)
  }

  #tick(): void {
    this.#takeUp()
    this.#step({ kind: 'tick', nowMs: this.#nowMs() })
  }

  /** Requests are removed only once what they changed is saved; one that is met twice changes nothing. */
  #takeUp(): void {
    const { memory, log } = this.#options
    try {
      const waiting = memory.waiting()
      for (const { request } of waiting) this.#step({ ...request, nowMs: this.#nowMs() })
      const last = waiting.at(-1)
      if (last !== undefined && !this.#closed) memory.done(last.id)
    } catch (error) {
      log.warn({ because: String(error) }, 'requests-unread')
    }
  }

  #step(event: AlertsEvent): void {
    if (this.#closed) return
    const { state, deliveries, reasons } = stepAlerts(this.#state, event, this.#options.config)
    this.#state = state
    if (!this.#save()) return
    for (const reason of reasons) this.#tell(reason)
    for (const delivery of deliveries) void this.#send(delivery)
  }

  /** A memory that cannot be written is no reason to keep quiet; after a restart something may then be told twice. */
  #save(): boolean {
    const { memory, name, clock, log, onReplaced } = this.#options
    const text = JSON.stringify(this.#state)
    if (text === this.#savedText) return true
    try {
      if (memory.save(name, { state: this.#state, atMs: this.#nowMs(), wallMs: clock.wallMs() })) {
        this.#savedText = text
        return true
      }
      log.error({}, 'alerts-taken-over')
      onReplaced()
      return false
    } catch (error) {
      log.error({ because: String(error) }, 'alerts-not-saved')
      return true
    }
  }

  async #send(delivery: Delivery): Promise<void> {
    const { channels, runbookOf, clock } = this.#options
    const channel = channels.get(delivery.channel)
    const context: Context = { runbookOf, wallOf: (atMs) => clock.wallMs() - (this.#nowMs() - atMs) }
    const outcome =
      channel === undefined
        ? { ok: false, because: 'there is no such channel', waitMs: 0 }
        : await channel.send(delivery, context)
    const { desk, id } = delivery
    const rest = outcome.ok ? { because: '', waitMs: 0 } : { because: outcome.because, waitMs: outcome.waitMs }
    this.#step({ kind: 'delivered', nowMs: this.#nowMs(), desk, id, ok: outcome.ok, ...rest, chance: jitterMs(0, 1) })
  }

  #tell(reason: AlertsReason): void {
    const { log, onReason } = this.#options
    const { code, detail } = reason
    onReason?.(reason)
    log[code === 'not-told' || code === 'dropped' ? 'warn' : 'info']({ detail }, code)
  }
}
