/** One look at all targets: which rules hold, and what that makes of each alert. */
import { counted, counterKey, increaseOf } from './counters.ts'
import { evaluate, type Labels, type Scene, type SeriesName, seriesKey, seriesOf } from './expression.ts'
import type { Alert, AlertsConfig, AlertsEvent, AlertsReason, AlertsState, Rule } from './state.ts'

/** Pending, firing and ended together; far above what anybody reads. */
export const ALERTS_MAX = 1_000

type Looked = Extract<AlertsEvent, { kind: 'looked' }>

/** Desks to be told of an end; asked when an alert ends. */
export type Owes = (alert: Alert, state: AlertsState) => readonly string[]

interface Holds {
  readonly rule: Rule
  readonly labels: Labels
  readonly value: number
}

export function looked(
  state: AlertsState,
  event: Looked,
  config: AlertsConfig,
  owes: Owes,
): { readonly state: AlertsState; readonly reasons: readonly AlertsReason[] } {
  const { nowMs } = event
  const counters = counted(state.counters, event.series, counterNames(config), nowMs)
  const scene: Scene = {
    wallMs: event.wallMs,
    series: event.series,
    increase: (name, labels, overMs) => increaseOf(counters[counterKey(name, labels)], overMs, nowMs),
  }
  const holding = whatHolds(config, scene)
  const alerts: Record<string, Alert> = {}
  const reasons: AlertsReason[] = []
  let { nextEpisode, dropped } = state
  for (const [key, before] of Object.entries(state.alerts)) {
    const holds = holding.get(key)
    holding.delete(key)
    const rule = config.rules.find(({ id }) => id === before.rule)
    const after = moved(before, holds ?? null, rule ?? null, nowMs)
    if (after === null) {
      reasons.push({ code: 'clears-before', detail: { rule: before.rule, id: before.id } })
      continue
    }
    // It came back while its end was not told to everybody: a new firing; the old one stays owed under its own name.
    if (before.phase === 'ended' && holds !== undefined) {
      alerts[`${key}#${before.episode}`] = before
      alerts[key] = begun(holds, key, nextEpisode++, nowMs)
    } else alerts[key] = after
    if (before.phase !== after.phase) reasons.push(...told(before, after, nowMs))
  }
  for (const [key, holds] of holding) {
    if (Object.keys(alerts).length >= ALERTS_MAX) {
      dropped++
      continue
    }
    const alert = begun(holds, key, nextEpisode++, nowMs)
    alerts[key] = alert
    if (alert.phase === 'firing') reasons.push(fires(alert))
  }
  if (dropped > state.dropped)
    reasons.push({ code: 'dropped', detail: { alerts: dropped - state.dropped, limit: ALERTS_MAX } })
  const after = { ...state, alerts, counters, nextEpisode, dropped, lookedAtMs: nowMs }
  return { state: { ...after, alerts: endings(after, owes) }, reasons }
}

function counterNames(config: AlertsConfig): ReadonlySet<string> {
  const all = config.rules.flatMap(({ asks }) => seriesOf(asks))
  return new Set(all.filter(({ counter }) => counter).map(({ name }) => name))
}

/** Every series the rules read; nothing else needs to be kept of an answer. */
export function seriesNames(config: Pick<AlertsConfig, 'rules'>): ReadonlySet<SeriesName> {
  return new Set(config.rules.flatMap(({ asks }) => seriesOf(asks)).map(({ name }) => name))
}

function whatHolds(config: AlertsConfig, scene: Scene): Map<string, Holds> {
  const found = new Map<string, Holds>()
  for (const rule of config.rules) {
    const question = { kind: 'fold', how: 'max', by: rule.by, of: rule.asks } as const
    for (const { labels, value } of evaluate(question, scene)) {
      // The state is kept as JSON, which has no infinity.
      const finite = Number.isFinite(value) ? value : Number.MAX_SAFE_INTEGER
      found.set(keyOf(rule.id, labels), { rule, labels, value: finite })
    }
  }
  return found
}

export function keyOf(rule: string, labels: Labels): string {
  return `${rule}{${seriesKey(labels)}}`
}

function begun({ rule, labels, value }: Holds, key: string, episode: number, nowMs: number): Alert {
  return {
    id: shortName(key),
    rule: rule.id,
    severity: rule.severity,
    labels,
    phase: rule.forMs === 0 ? 'firing' : 'pending',
    scope: scopeOf(labels),
    episode,
    sinceMs: nowMs,
    firedAtMs: nowMs,
    clearSinceMs: 0,
    endedAtMs: 0,
    value,
    limit: rule.limit,
    acknowledged: null,
    owedTo: [],
  }
}

/** What is told together: all of a group, else all of a site, else the rest. */
function scopeOf(labels: Labels): string {
  if (labels.group !== undefined) return `group/${labels.group}`
  return labels.site === undefined ? 'platform' : `site/${labels.site}`
}

/** Null: it is over and never fired. A rule that left the description holds no more. */
function moved(before: Alert, holds: Holds | null, rule: Rule | null, nowMs: number): Alert | null {
  const { phase } = before
  if (phase === 'ended') return before
  if (holds !== null && rule !== null) {
    const now = { ...before, value: holds.value, limit: rule.limit, severity: rule.severity }
    if (phase !== 'pending') return { ...now, phase: 'firing', clearSinceMs: 0 }
    return nowMs - before.sinceMs >= rule.forMs ? { ...now, phase: 'firing', firedAtMs: nowMs } : now
  }
  if (phase === 'pending') return null
  const clearSinceMs = phase === 'clearing' ? before.clearSinceMs : nowMs
  const over = nowMs - clearSinceMs >= (rule?.keepMs ?? 0)
  return { ...before, phase: over ? 'ended' : 'clearing', clearSinceMs, endedAtMs: over ? nowMs : 0 }
}

/** Each alert that has just ended is owed to those who were told of it or would have been. */
function endings(state: AlertsState, owes: Owes): Readonly<Record<string, Alert>> {
  const alerts: Record<string, Alert> = {}
  for (const [key, alert] of Object.entries(state.alerts)) {
    if (alert.phase !== 'ended' || alert.endedAtMs !== state.lookedAtMs || alert.owedTo.length > 0) {
      alerts[key] = alert
      continue
    }
    const owedTo = owes(alert, state)
    if (owedTo.length > 0) alerts[key] = { ...alert, owedTo }
  }
  return alerts
}

function told(before: Alert, after: Alert, nowMs: number): readonly AlertsReason[] {
  if (before.phase === 'pending' && after.phase === 'firing') return [fires(after)]
  if (after.phase !== 'ended') return []
  return [{ code: 'ends', detail: { rule: after.rule, id: after.id, afterMs: Math.round(nowMs - after.firedAtMs) } }]
}

function fires({ rule, id, severity, value, labels }: Alert): AlertsReason {
  return { code: 'fires', detail: { rule, id, severity, value, ...labels } }
}

/** Eight digits from the key (FNV-1a): enough to tell the alerts of one platform apart. */
export function shortName(key: string): string {
  let hash = 0x811c9dc5
  for (let at = 0; at < key.length; at++) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193)
  return (hash >>> 0).toString(16).padStart(8, '0')
}
