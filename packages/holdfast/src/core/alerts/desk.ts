/**
 * What each channel should know, against what it was told: one desk for each channel and scope. The difference is sent
 * as one message; it counts as told only when the channel has confirmed it. At most one message of a desk is under way.
 */

import { keyOf } from './look.ts'
import { muted, silenced } from './mute.ts'
import type { Alert, AlertsConfig, AlertsReason, AlertsState, Delivery, Desk, Told } from './state.ts'
import { durationOf, sentence } from './text.ts'

/** A channel that fails is tried again after this, then twice as long each time. */
const RETRY_MS = 1_000
const RETRY_MAX_MS = 300_000
/** A receiver may ask for patience, not for silence. */
const WAIT_MAX_MS = 3_600_000
const BECAUSE_MAX = 300

const NEW_DESK = {
  told: {},
  underWay: null,
  failed: null,
  dirtySinceMs: 0,
  toldAtMs: 0,
  failures: 0,
  notBeforeMs: 0,
  because: '',
} as const

interface Content {
  readonly channel: string
  readonly scope: string
  readonly firing: Told[]
  readonly resolved: Told[]
}

export function deskKey(channel: string, scope: string): string {
  return `${channel} ${scope}`
}

export function episodeId({ rule, labels, episode }: Pick<Alert, 'rule' | 'labels' | 'episode'>): string {
  return `${keyOf(rule, labels)}#${episode}`
}

/** By severity, and for critical ones that nobody took in time whoever else is to know. */
export function channelsFor(alert: Alert, config: AlertsConfig, nowMs: number): readonly string[] {
  const usual = config.routes[alert.severity]
  return escalated(alert, config, nowMs) ? [...new Set([...usual, ...(config.escalation?.to ?? [])])] : usual
}

export function escalated(alert: Alert, { escalation }: AlertsConfig, nowMs: number): boolean {
  const open = alert.phase === 'firing' || alert.phase === 'clearing'
  if (escalation === null || alert.severity !== 'critical' || alert.acknowledged !== null || !open) return false
  return nowMs - alert.firedAtMs >= escalation.afterMs
}

/** The desks that are to hear of an end: those that were told, and those that would have been. */
export function owedBy(alert: Alert, state: AlertsState, config: AlertsConfig): readonly string[] {
  const id = episodeId(alert)
  const told = Object.entries(state.desks).flatMap(([key, desk]) =>
    desk.told[id] || inDelivery(desk, id) ? [key] : [],
  )
  if (muted(alert, state, config, alert.endedAtMs)) return told
  const wanted = config.routes[alert.severity].map((channel) => deskKey(channel, alert.scope))
  return [...new Set([...told, ...wanted])]
}

/** A message under way may arrive; then its desk has been told. */
function inDelivery({ underWay, failed }: Desk, id: string): boolean {
  return [underWay, failed].some((delivery) => delivery?.firing.some((told) => episodeId(told) === id) === true)
}

interface Settled {
  readonly state: AlertsState
  readonly deliveries: readonly Delivery[]
}

/** Compares every desk with what it should know, and sends what is due. */
export function settle(state: AlertsState, config: AlertsConfig, nowMs: number): Settled {
  const wanted = contents(state, config, nowMs)
  const desks: Record<string, Desk> = {}
  const deliveries: Delivery[] = []
  let { nextDelivery } = state
  for (const key of new Set([...Object.keys(state.desks), ...wanted.keys()])) {
    const content = wanted.get(key)
    const found = state.desks[key]
    const [channel, scope] = [content?.channel ?? found?.channel ?? '', content?.scope ?? found?.scope ?? '']
    const desk: Desk = found ?? { ...NEW_DESK, channel, scope }
    const dirty = content !== undefined && differs(desk, content, config, nowMs)
    // One that failed may have arrived all the same, so its desk is remembered until the end was told.
    const blank = desk.underWay === null && desk.failed === null && Object.keys(desk.told).length === 0
    if (!dirty && blank) continue
    const dirtySinceMs = dirty ? desk.dirtySinceMs || nowMs : 0
    // What is already in the hands of a person is not urgent, and what fires together is told together.
    const due = dirty && nowMs - dirtySinceMs >= config.groupWaitMs && nowMs >= desk.notBeforeMs
    if (!due || content === undefined || desk.underWay !== null) {
      desks[key] = { ...desk, dirtySinceMs }
      continue
    }
    const draft = deliveryOf(desk, key, content, config)
    const again = desk.failed !== null && sameContent(desk.failed, draft)
    const delivery =
      again && desk.failed !== null ? desk.failed : { ...draft, id: `${config.platform}-${nextDelivery++}` }
    desks[key] = { ...desk, dirtySinceMs, underWay: delivery, failed: null }
    deliveries.push(delivery)
  }
  return { state: { ...state, desks, nextDelivery }, deliveries }
}

function contents(state: AlertsState, config: AlertsConfig, nowMs: number): Map<string, Content> {
  const found = new Map<string, Content>()
  const at = (channel: string, scope: string): Content => {
    const key = deskKey(channel, scope)
    const content = found.get(key) ?? { channel, scope, firing: [], resolved: [] }
    found.set(key, content)
    return content
  }
  const known = new Set<string>()
  for (const alert of Object.values(state.alerts)) {
    if (alert.phase === 'pending') continue
    known.add(episodeId(alert))
    if (muted(alert, state, config, nowMs)) continue
    const told = toldOf(alert, config)
    if (alert.phase === 'ended') {
      for (const key of alert.owedTo) {
        const channel = key.slice(0, key.indexOf(' '))
        at(channel, alert.scope).resolved.push(told)
      }
      continue
    }
    const knowing = Object.values(state.desks).filter((desk) => desk.told[episodeId(alert)] !== undefined)
    const channels = new Set([...channelsFor(alert, config, nowMs), ...knowing.map((desk) => desk.channel)])
    for (const channel of channels) at(channel, alert.scope).firing.push(told)
  }
  // Told of, and forgotten since: the bounds were reached. Whoever was told hears the end all the same.
  for (const desk of Object.values(state.desks)) {
    for (const [id, told] of Object.entries(desk.told)) {
      if (known.has(id) || silenced(told, state.silences, nowMs)) continue
      at(desk.channel, desk.scope).resolved.push({ ...told, endedAtMs: told.endedAtMs ?? nowMs })
    }
  }
  return found
}

function toldOf(alert: Alert, config: AlertsConfig): Told {
  const { id, rule, severity, labels, episode, firedAtMs, acknowledged, value, limit } = alert
  const row = config.rules.find((one) => one.id === rule)
  const numbers = { value, limit }
  return {
    key: keyOf(rule, labels),
    id,
    rule,
    severity,
    labels,
    summary: row === undefined ? rule : sentence(row.summary, labels, numbers),
    next: row === undefined ? '' : sentence(row.next, labels, numbers),
    episode,
    firedAtMs,
    endedAtMs: alert.phase === 'ended' ? alert.endedAtMs : null,
    acknowledgedBy: acknowledged?.by ?? null,
  }
}

function differs(desk: Desk, content: Content, config: AlertsConfig, nowMs: number): boolean {
  if (content.resolved.length > 0) return true
  const changed = content.firing.some((now) => {
    const before = desk.told[episodeId(now)]
    return before === undefined || before.acknowledgedBy !== now.acknowledgedBy
  })
  const open = content.firing.some(({ acknowledgedBy }) => acknowledgedBy === null)
  return changed || (open && nowMs - desk.toldAtMs >= config.repeatMs)
}

function deliveryOf(
  desk: Desk,
  key: string,
  content: Content,
  config: AlertsConfig,
): Omit<Delivery, 'id'> & { id: string } {
  const { channel, scope, firing, resolved } = content
  const left = Object.values(afterwards(desk, content))
  const taken = left.every(({ acknowledgedBy }) => acknowledgedBy !== null)
  const kind = left.length === 0 ? 'resolve' : taken ? 'acknowledge' : 'trigger'
  return { id: '', desk: key, channel, platform: config.platform, scope, kind, firing, resolved }
}

function sameContent(a: Delivery, b: Delivery): boolean {
  const text = ({ kind, firing, resolved }: Delivery): string =>
    JSON.stringify([kind, firing.map((told) => [episodeId(told), told.acknowledgedBy]), resolved.map(episodeId)])
  return text(a) === text(b)
}

/** What a desk knows once this has arrived. What is muted just now stays as it was told. */
function afterwards(desk: Desk, { firing, resolved }: Pick<Delivery, 'firing' | 'resolved'>): Desk['told'] {
  const told: Record<string, Told> = { ...desk.told }
  for (const one of resolved) delete told[episodeId(one)]
  for (const one of firing) told[episodeId(one)] = one
  return told
}

export interface Arrival {
  readonly nowMs: number
  readonly desk: string
  readonly id: string
  readonly ok: boolean
  readonly because: string
  readonly waitMs: number
  readonly chance: number
}

/** An answer of a channel. One about a message that is not under way is late and says nothing. */
export function delivered(
  state: AlertsState,
  event: Arrival,
): { state: AlertsState; reasons: readonly AlertsReason[] } {
  const desk = state.desks[event.desk]
  const delivery = desk?.underWay ?? null
  if (desk === undefined || delivery === null || delivery.id !== event.id) return { state, reasons: [] }
  const { nowMs } = event
  const about = { channel: desk.channel, id: delivery.id }
  if (!event.ok) {
    const failures = desk.failures + 1
    const backoffMs = Math.min(RETRY_MAX_MS, RETRY_MS * 2 ** Math.min(failures - 1, 20)) * (0.5 + event.chance / 2)
    const waitMs = Math.max(backoffMs, Math.min(event.waitMs, WAIT_MAX_MS))
    const because = event.because.slice(0, BECAUSE_MAX)
    const failed: Desk = { ...desk, underWay: null, failed: delivery, failures, notBeforeMs: nowMs + waitMs, because }
    const detail = { ...about, because, failures, again: durationOf(waitMs / 1_000) }
    return {
      state: { ...state, desks: { ...state.desks, [event.desk]: failed } },
      reasons: [{ code: 'not-told', detail }],
    }
  }
  const { channel, scope } = desk
  const after: Desk = { ...NEW_DESK, channel, scope, told: afterwards(desk, delivery), toldAtMs: nowMs }
  const detail = { ...about, firing: delivery.firing.length, resolved: delivery.resolved.length }
  return {
    state: { ...state, alerts: paid(state.alerts, delivery), desks: { ...state.desks, [event.desk]: after } },
    reasons: [{ code: 'told', detail }],
  }
}

/** The ends this message told are owed no more; an alert that is owed to nobody is forgotten. */
function paid(alerts: AlertsState['alerts'], { desk, resolved }: Delivery): AlertsState['alerts'] {
  const ids = new Set(resolved.map(episodeId))
  const left: Record<string, Alert> = {}
  for (const [key, alert] of Object.entries(alerts)) {
    if (alert.phase !== 'ended' || !ids.has(episodeId(alert))) left[key] = alert
    else {
      const owedTo = alert.owedTo.filter((one) => one !== desk)
      if (owedTo.length > 0) left[key] = { ...alert, owedTo }
    }
  }
  return left
}
