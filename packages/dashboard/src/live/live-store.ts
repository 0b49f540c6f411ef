/**
 * Holds the one live state: first load, then what the server tells, resumed from the last event after every break.
 * Screens subscribe to it; nothing needs a reload.
 */
import { type Following, followServer, type StreamMessage } from '@holdfast/client'
import { nowMs, wallMs } from '../clock.ts'
import { server } from '../server.ts'
import { FigureHistory } from './figures.ts'
import { afterLink, afterMessage, type LiveState, NOTHING_YET, withEvents, withIncidents } from './live-state.ts'
import { serverWallMs } from './server-clock.ts'

const FIRST_EVENTS = 100
const FIRST_INCIDENTS = 100

export class LiveStore {
  readonly figures = new FigureHistory()
  readonly #onLoggedOut: () => void
  readonly #listeners = new Set<() => void>()
  #state: LiveState = NOTHING_YET
  #following: Following | null = null

  constructor(onLoggedOut: () => void) {
    this.#onLoggedOut = onLoggedOut
  }

  readonly get = (): LiveState => this.#state

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  start(): void {
    this.#following = followServer({
      url: '',
      onMessage: (message) => this.#take(message),
      onState: (told) => {
        if (told.state === 'lost' && told.status === 401) {
          this.stop()
          this.#onLoggedOut()
          return
        }
        if (told.state === 'lost' && this.#state.link.state === 'live') this.figures.gap(this.nowWallMs())
        this.#set(afterLink(this.#state, told, nowMs()))
      },
    })
  }

  stop(): void {
    this.#following?.close()
    this.#following = null
  }

  /** The server's clock, as far as it is known. */
  nowWallMs(): number {
    return serverWallMs(this.#state.clock, nowMs(), wallMs())
  }

  #take(message: StreamMessage): void {
    if (message.type === 'figures') this.figures.add(message.data)
    if (message.type === 'canary') this.figures.addCanary(message.data)
    this.#set(afterMessage(this.#state, message, nowMs()))
    // The stream tells what changes from here on; what was before is asked once for each connection.
    if (message.type === 'platform') void this.#loadPast()
  }

  async #loadPast(): Promise<void> {
    const [events, incidents] = await Promise.all([
      server.ask('events', { query: { limit: FIRST_EVENTS } }),
      server.ask('incidents', { query: { limit: FIRST_INCIDENTS } }),
    ])
    const state = this.#state
    this.#set({
      ...state,
      events: events.ok ? withEvents(state.events, events.value.events) : state.events,
      // What the stream told meanwhile is newer than this answer.
      incidents: incidents.ok ? withIncidents(incidents.value, state.incidents) : state.incidents,
    })
  }

  #set(state: LiveState): void {
    if (state === this.#state) return
    this.#state = state
    for (const listener of this.#listeners) listener()
  }
}
