/**
 * Events of the database in the order of their numbers, for everybody who listens at this server. Looks when it is told
 * that something was written, and every so often for what other servers wrote.
 */
import type { ApiEvent } from '@holdfast/client'
import type { Log } from '../../io/log.ts'
import type { Reading } from '../database/database.ts'
import { eventsAfter, lastEventNumber } from '../events.ts'

const LOOK_MS = 150
const PAGE = 500

export class EventFeed {
  readonly #read: Reading
  readonly #log: Log
  readonly #onEvents: (events: readonly ApiEvent[]) => void
  #last = 0
  #timer: NodeJS.Timeout | null = null
  #looking: Promise<void> | null = null
  #again = false
  #closed = false

  constructor(options: {
    readonly read: Reading
    readonly log: Log
    readonly onEvents: (events: readonly ApiEvent[]) => void
  }) {
    this.#read = options.read
    this.#log = options.log
    this.#onEvents = options.onEvents
  }

  /** Number of the newest event that was told. */
  get last(): number {
    return this.#last
  }

  async start(): Promise<void> {
    this.#last = await lastEventNumber(this.#read)
    this.#arm()
  }

  /** Something was written. */
  poke(): void {
    this.#again = true
    if (this.#looking !== null || this.#closed) return
    this.#looking = this.#look().finally(() => {
      this.#looking = null
      if (this.#again) this.poke()
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    await this.#looking
  }

  #arm(): void {
    this.#timer = setTimeout(() => {
      this.poke()
      if (!this.#closed) this.#arm()
    }, LOOK_MS)
  }

  async #look(): Promise<void> {
    this.#again = false
    try {
      for (;;) {
        const events = await eventsAfter(this.#read, this.#last, PAGE)
        const newest = events.at(-1)
        if (newest === undefined || this.#closed) return
        this.#last = newest.number
        this.#onEvents(events)
      }
    } catch (error) {
      this.#log.warn({ error }, 'events-not-read')
    }
  }
}
