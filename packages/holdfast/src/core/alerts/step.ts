/**
 * The alerts' core: what one look at the targets, an answer of a channel or a word of a person makes of the alerts, and
 * which messages follow. Pure; the shell saves the state before it sends (SPEC.md).
 */
import { delivered, owedBy, settle } from './desk.ts'
import { looked } from './look.ts'
import type {
  Alert,
  AlertsConfig,
  AlertsEvent,
  AlertsReason,
  AlertsResult,
  AlertsState,
  Delivery,
  Desk,
} from './state.ts'

const SILENCES_MAX = 200
/** Ends that could not be told are kept up to this; beyond it the oldest is forgotten and counted. */
const ENDED_MAX = 500
/** A silence ends by itself; a longer one is a rule that should be off. */
export const SILENCE_MAX_MS = 30 * 86_400_000

type Stepped = { readonly state: AlertsState; readonly reasons: readonly AlertsReason[] }

export function stepAlerts(before: AlertsState, event: AlertsEvent, config: AlertsConfig): AlertsResult {
  const { nowMs } = event
  const { state, reasons } = absorbed(before, event, config)
  const settled = settle(bounded(state, nowMs), config, nowMs)
  const again = event.kind === 'resumed' ? underWay(before, config) : []
  return { state: settled.state, deliveries: [...again, ...settled.deliveries], reasons }
}

function absorbed(state: AlertsState, event: AlertsEvent, config: AlertsConfig): Stepped {
  switch (event.kind) {
    case 'looked':
      return looked(state, event, config, (alert, now) => owedBy(alert, now, config))
    case 'delivered':
      return delivered(state, event)
    case 'silence':
      return silence(state, event)
    case 'unsilence':
      return { state: { ...state, silences: state.silences.filter(({ id }) => id !== event.id) }, reasons: [] }
    case 'acknowledge':
      return acknowledge(state, event)
    case 'resumed':
      return { state: withoutStrangers(state, config), reasons: [] }
    case 'tick':
      return { state, reasons: [] }
  }
}

function silence(state: AlertsState, event: Extract<AlertsEvent, { kind: 'silence' }>): Stepped {
  const { id, matchers, by, because, nowMs } = event
  const empty = Object.keys(matchers).length === 0
  if (empty || state.silences.length >= SILENCES_MAX || state.silences.some((one) => one.id === id)) {
    return { state, reasons: [] }
  }
  const endsAtMs = nowMs + Math.min(Math.max(0, event.validMs), SILENCE_MAX_MS)
  const words = Object.entries(matchers).map(([name, pattern]) => `${name}=${pattern}`)
  return {
    state: { ...state, silences: [...state.silences, { id, matchers, by, because, endsAtMs }] },
    reasons: [{ code: 'silenced', detail: { id, by, because, matchers: words.join(' ') } }],
  }
}

/** Whoever was first has it. */
function acknowledge(state: AlertsState, event: Extract<AlertsEvent, { kind: 'acknowledge' }>): Stepped {
  const { id, by, nowMs } = event
  const reasons: AlertsReason[] = []
  const taken = Object.entries(state.alerts).map(([key, alert]): [string, Alert] => {
    const open = alert.phase === 'firing' || alert.phase === 'clearing'
    if (alert.id !== id || !open || alert.acknowledged !== null) return [key, alert]
    reasons.push({ code: 'acknowledged', detail: { id, rule: alert.rule, by } })
    return [key, { ...alert, acknowledged: { by, atMs: nowMs } }]
  })
  return { state: reasons.length === 0 ? state : { ...state, alerts: Object.fromEntries(taken) }, reasons }
}

/** Silences that are over, and ends beyond what is kept. */
function bounded(state: AlertsState, nowMs: number): AlertsState {
  const silences = state.silences.filter(({ endsAtMs }) => nowMs < endsAtMs)
  const lean = silences.length === state.silences.length ? state : { ...state, silences }
  const ended = Object.entries(lean.alerts).filter(([, { phase }]) => phase === 'ended')
  if (ended.length <= ENDED_MAX) return lean
  ended.sort(([, a], [, b]) => a.endedAtMs - b.endedAtMs)
  const over = new Set(ended.slice(0, ended.length - ENDED_MAX).map(([key]) => key))
  const alerts = Object.fromEntries(Object.entries(lean.alerts).filter(([key]) => !over.has(key)))
  return { ...lean, alerts, dropped: lean.dropped + over.size }
}

function underWay({ desks }: AlertsState, config: AlertsConfig): readonly Delivery[] {
  const known = channelsOf(config)
  return Object.values(desks).flatMap(({ underWay: one }) => (one !== null && known.has(one.channel) ? [one] : []))
}

/** Desks of channels that left the description, and what was owed to them. */
function withoutStrangers(state: AlertsState, config: AlertsConfig): AlertsState {
  const known = channelsOf(config)
  const stays = (desk: Pick<Desk, 'channel'>): boolean => known.has(desk.channel)
  const desks = Object.fromEntries(Object.entries(state.desks).filter(([, desk]) => stays(desk)))
  const alerts = Object.fromEntries(
    Object.entries(state.alerts).flatMap(([key, alert]) => {
      if (alert.phase !== 'ended') return [[key, alert]]
      const owedTo = alert.owedTo.filter((desk) => known.has(desk.slice(0, desk.indexOf(' '))))
      return owedTo.length === 0 ? [] : [[key, { ...alert, owedTo }]]
    }),
  )
  return { ...state, desks, alerts }
}

function channelsOf({ routes, escalation }: AlertsConfig): ReadonlySet<string> {
  return new Set([...Object.values(routes).flat(), ...(escalation?.to ?? [])])
}
