/**
 * Everything the screens show of the platform, and how a message of the server changes it. Pure: the state before and a
 * message go in, the state after comes out. Lists are bounded; older things are asked of the server by page.
 */
import type {
  ApiCanaryFigures,
  ApiEvent,
  ApiGroup,
  ApiIncident,
  ApiPlatform,
  StreamMessage,
  StreamState,
} from '@holdfast/client'
import { clockAfter, type ServerClock } from './server-clock.ts'

export type Link =
  | { readonly state: 'connecting' }
  | { readonly state: 'live' }
  /** `sinceMs`: when the last word came, by the browser's monotonic clock. */
  | { readonly state: 'lost'; readonly because: string; readonly sinceMs: number; readonly status: number | null }

export interface LiveState {
  readonly platform: ApiPlatform | null
  /** Newest first. */
  readonly events: readonly ApiEvent[]
  /** Newest first. */
  readonly incidents: readonly ApiIncident[]
  /** What clients of each group see, where it is measured. */
  readonly canary: Readonly<Record<string, CanaryFigures>>
  readonly link: Link
  readonly clock: ServerClock | null
  /** When the last message came, by the browser's monotonic clock. */
  readonly heardMs: number
  /** Grows with each message that changed approvals. */
  readonly approvalsTurn: number
  /** The same for drills. */
  readonly drillsTurn: number
  readonly alertsTurn: number
}

export type CanaryFigures = ApiCanaryFigures['groups'][number]

/** More than a screen shows; a storm must not fill the browser. */
export const EVENTS_MAX = 500
export const INCIDENTS_MAX = 200

export const NOTHING_YET: LiveState = {
  platform: null,
  events: [],
  incidents: [],
  canary: {},
  link: { state: 'connecting' },
  clock: null,
  heardMs: 0,
  approvalsTurn: 0,
  drillsTurn: 0,
  alertsTurn: 0,
}

export function afterMessage(state: LiveState, message: StreamMessage, nowMs: number): LiveState {
  const heard = { ...state, heardMs: nowMs }
  switch (message.type) {
    case 'platform':
      return { ...heard, platform: message.data, clock: clockAfter(state.clock, message.data.wallMs, nowMs) }
    case 'event':
      return {
        ...heard,
        events: withEvents(state.events, [message.data]),
        approvalsTurn: state.approvalsTurn + (message.data.kind === 'approval' ? 1 : 0),
        drillsTurn: state.drillsTurn + (/^(?:drill|approval)$/.test(message.data.kind) ? 1 : 0),
        alertsTurn: state.alertsTurn + (message.data.kind === 'alert' ? 1 : 0),
      }
    case 'incident':
      return { ...heard, incidents: withIncidents(state.incidents, [message.data]) }
    case 'group':
      return withPlatform(heard, (platform) => ({ groups: replaced(platform.groups, message.data, byGroup) }))
    case 'agent':
      return withPlatform(heard, (platform) => ({ agents: replaced(platform.agents, message.data, byAgent) }))
    case 'service':
      return withPlatform(heard, (platform) => ({ services: replaced(platform.services, message.data, byService) }))
    case 'supervised':
      return withPlatform(heard, (platform) => ({ supervised: replaced(platform.supervised, message.data, byGroup) }))
    case 'plan':
      return withPlatform(heard, (platform) => ({ plans: replaced(platform.plans, message.data, byService) }))
    case 'canary':
      return { ...heard, canary: Object.fromEntries(message.data.groups.map((one) => [one.group, one])) }
    case 'figures': {
      const clock = clockAfter(state.clock, message.data.wallMs, nowMs)
      return { ...heard, clock }
    }
  }
}

export function afterLink(state: LiveState, told: StreamState, nowMs: number): LiveState {
  const { link } = state
  if (told.state === 'lost') {
    // Tries that fail one after the other are one loss.
    const sinceMs = link.state === 'lost' ? link.sinceMs : state.heardMs === 0 ? nowMs : state.heardMs
    return { ...state, link: { state: 'lost', because: told.because, status: told.status, sinceMs } }
  }
  // While it is tried again, what is shown is as old as before.
  if (told.state === 'connecting' && link.state === 'lost') return state
  return { ...state, link: { state: told.state } }
}

/** By number, each once, newest first. */
export function withEvents(known: readonly ApiEvent[], more: readonly ApiEvent[]): readonly ApiEvent[] {
  const newest = known[0]?.number ?? -1
  if (more.length === 1 && more[0] !== undefined && more[0].number > newest)
    return [more[0], ...known].slice(0, EVENTS_MAX)
  const all = new Map([...known, ...more].map((event) => [event.number, event]))
  return [...all.values()].sort((a, b) => b.number - a.number).slice(0, EVENTS_MAX)
}

export function withIncidents(known: readonly ApiIncident[], more: readonly ApiIncident[]): readonly ApiIncident[] {
  const all = new Map([...known, ...more].map((incident) => [incident.id, incident]))
  return [...all.values()].sort((a, b) => b.openedMs - a.openedMs).slice(0, INCIDENTS_MAX)
}

function withPlatform(state: LiveState, change: (platform: ApiPlatform) => Partial<ApiPlatform>): LiveState {
  return state.platform === null ? state : { ...state, platform: { ...state.platform, ...change(state.platform) } }
}

const byGroup = (group: { readonly group: string }): string => group.group
const byService = (one: { readonly service: string }): string => one.service
const byAgent = (agent: { readonly agent: string }): string => agent.agent

function replaced<T>(list: readonly T[], item: T, keyOf: (item: T) => string): readonly T[] {
  const key = keyOf(item)
  return list.some((one) => keyOf(one) === key) ? list.map((one) => (keyOf(one) === key ? item : one)) : [...list, item]
}

/** Off: every group is paused. Of groups that are only observed nobody acts for, so they do not count. */
export function automationOf(groups: readonly ApiGroup[]): 'on' | 'off' | 'some' | 'none' {
  const acting = groups.filter((group) => group.failover !== 'observe')
  if (acting.length === 0) return 'none'
  const paused = acting.filter((group) => group.paused !== null).length
  return paused === 0 ? 'on' : paused === acting.length ? 'off' : 'some'
}
