/**
 * Who listens to the stream. Each message is made into bytes once; who reads too slowly is cut off and comes back with
 * the number of the last event he has. Memory is bounded by listeners times `BACKLOG_BYTES_MAX`.
 */
import type {
  ApiAgent,
  ApiCanaryFigures,
  ApiEvent,
  ApiFigures,
  ApiGroup,
  ApiIncident,
  ApiPlan,
  ApiService,
  ApiSupervisedGroup,
} from '@holdfast/client'

/** A screen each for a large team, and some programs. */
export const LISTENERS_MAX = 500
/** A whole platform of 500 members, some times over. */
export const BACKLOG_BYTES_MAX = 2 * 1024 * 1024

export interface Listener {
  /** Groups it may see; null: all. */
  readonly groups: ReadonlySet<string> | null
  /** Bytes that were written and not yet taken. */
  readonly backlog: () => number
  readonly write: (text: string) => void
  readonly cut: () => void
}

export class Hub {
  readonly #listeners = new Set<Listener>()

  get size(): number {
    return this.#listeners.size
  }

  add(listener: Listener): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  events(events: readonly ApiEvent[]): void {
    for (const event of events) this.#send(event.group, eventText(event))
  }

  changed(agents: readonly ApiAgent[], groups: readonly ApiGroup[]): void {
    for (const agent of agents) this.#send(null, messageText('agent', agent))
    for (const group of groups) this.#send(group.group, messageText('group', group))
  }

  incident(incident: ApiIncident): void {
    this.#send(incident.group, messageText('incident', incident))
  }

  /** `groups`: of its service; who may read them all is told. */
  plan(plan: ApiPlan, groups: readonly string[]): void {
    this.#send(groups, messageText('plan', plan))
  }

  supervised(group: ApiSupervisedGroup): void {
    this.#send(group.group, messageText('supervised', group))
  }

  service(service: ApiService): void {
    this.#send(service.groups, messageText('service', service))
  }

  figures(make: (groups: ReadonlySet<string> | null) => ApiFigures): void {
    this.#narrowed('figures', make)
  }

  canary(make: (groups: ReadonlySet<string> | null) => ApiCanaryFigures): void {
    this.#narrowed('canary', make)
  }

  close(): void {
    for (const { cut } of [...this.#listeners]) cut()
  }

  /** Made once for all who may see everything. */
  #narrowed(type: string, make: (groups: ReadonlySet<string> | null) => object): void {
    let all: string | null = null
    for (const listener of this.#listeners) {
      if (listener.groups === null) {
        all ??= messageText(type, make(null))
        this.#write(listener, all)
      } else this.#write(listener, messageText(type, make(listener.groups)))
    }
  }

  #send(over: string | null | readonly string[], text: string): void {
    const needed = over === null ? [] : typeof over === 'string' ? [over] : over
    for (const listener of this.#listeners) {
      const { groups } = listener
      if (groups === null || needed.every((group) => groups.has(group))) this.#write(listener, text)
    }
  }

  #write(listener: Listener, text: string): void {
    if (listener.backlog() <= BACKLOG_BYTES_MAX) listener.write(text)
    else listener.cut()
  }
}

export function eventText(event: ApiEvent): string {
  return `event: event\nid: ${event.number}\ndata: ${JSON.stringify(event)}\n\n`
}

export function messageText(type: string, data: object): string {
  return `event: ${type}\ndata: ${JSON.stringify(data)}\n\n`
}
