/** `holdfast alerts list`: read from the memory of whoever runs the alerts; asks no agent. */
import { alertsClock, openMemory, RUNNER_SILENT_MS, type Saved } from '../alerts/memory.ts'
import { alertsConfig } from '../alerts/settings.ts'
import type { Platform } from '../config/platform.ts'
import { durationText } from '../config/quantities.ts'
import { explainedBy, silenced } from '../core/alerts/mute.ts'
import type { Alert, AlertsConfig, Desk } from '../core/alerts/state.ts'
import { sentence } from '../core/alerts/text.ts'
import { HoldfastError } from '../errors.ts'
import { systemClock } from '../io/clock.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { type Common, fail } from './shell.ts'
import { tableLines } from './table.ts'

interface Listed {
  readonly id: string
  readonly rule: string
  readonly severity: string
  readonly phase: string
  readonly forMs: number
  readonly summary: string
  readonly next: string
  readonly labels: Alert['labels']
  readonly acknowledgedBy: string | null
  /** Why nobody is told; empty when somebody is. */
  readonly quiet: string
}

export function listAlerts(common: Common, platform: Platform): ExitCode {
  const saved = savedOf(common, platform)
  if (saved === null) return EXIT.failed
  const ageMs = systemClock.wallMs() - saved.wallMs
  const running = saved.runner !== null && Math.abs(ageMs) < RUNNER_SILENT_MS
  const nowMs = alertsClock(saved, systemClock)()
  const config = alertsConfig(platform)
  const alerts = Object.values(saved.state.alerts)
    .filter(({ phase }) => phase === 'firing' || phase === 'clearing')
    .map((alert) => listed(alert, saved, config, nowMs))
  const { silences, desks } = saved.state
  const failing = Object.values(desks).filter(({ failures }) => failures > 0)
  if (common.output === 'json') {
    const waits = failing.map(({ channel, scope, failures, because }) => ({ channel, scope, failures, because }))
    const quiet = silences.map(({ endsAtMs, ...rest }) => ({ ...rest, forMs: Math.round(endsAtMs - nowMs) }))
    common.terminal.out(`${JSON.stringify({ ok: true, running, ageMs, alerts, silences: quiet, failing: waits })}\n`)
    return EXIT.ok
  }
  const out = (text: string): void => common.terminal.out(`${text}\n`)
  if (!running)
    out(common.paint.warn(`Nobody looks: the last look was ${durationText(ageMs)} ago. Start: holdfast alerts run`))
  out(alerts.length === 0 ? 'Nothing fires.' : table(alerts))
  for (const { id, matchers, by, because, endsAtMs } of silences) {
    const words = Object.entries(matchers).map(([name, text]) => `${name}=${text}`)
    out(`silence ${id}: ${words.join(' ')}, ${durationText(endsAtMs - nowMs)} left, by ${by}: ${because}`)
  }
  for (const desk of failing) out(common.paint.bad(failingText(desk, nowMs)))
  return EXIT.ok
}

/** Null after it was told that nobody has looked yet, or that the memory cannot be read. */
export function savedOf(common: Common, platform: Platform): Saved | null {
  try {
    const memory = openMemory(platform.alerts.dir, false)
    const saved = memory?.read() ?? null
    memory?.close()
    if (saved !== null) return saved
    const what = `no alerts were ever run for ${platform.name} with their memory in ${platform.alerts.dir}`
    fail(common, 'HF_ALERT_UNKNOWN', what, 'holdfast alerts run')
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error
    fail(common, error.code, error.message, error.next)
  }
  return null
}

function listed(alert: Alert, saved: Saved, config: AlertsConfig, nowMs: number): Listed {
  const { id, rule, severity, phase, labels, firedAtMs, acknowledged, value, limit } = alert
  const row = config.rules.find((one) => one.id === rule)
  const larger = explainedBy(alert, saved.state, config)
  const hidden = larger === null ? '' : `hidden by ${larger}`
  return {
    id,
    rule,
    severity,
    phase,
    forMs: Math.round(nowMs - firedAtMs),
    summary: sentence(row?.summary ?? rule, labels, { value, limit }),
    next: sentence(row?.next ?? '', labels, { value, limit }),
    labels,
    acknowledgedBy: acknowledged?.by ?? null,
    quiet: silenced(alert, saved.state.silences, nowMs) ? 'silenced' : hidden,
  }
}

function table(alerts: readonly Listed[]): string {
  const columns = [{ title: 'ID' }, { title: 'SEVERITY' }, { title: 'FOR' }, { title: 'STATE' }, { title: 'WHAT' }]
  const rows = alerts.map(({ id, severity, forMs, quiet, acknowledgedBy, summary, next }) => {
    const state = acknowledgedBy === null ? quiet || 'open' : `taken by ${acknowledgedBy}`
    return [id, severity, durationText(forMs), state, `${summary}. Next: ${next}`]
  })
  return tableLines(columns, rows).join('\n')
}

function failingText({ channel, scope, failures, because, notBeforeMs }: Desk, nowMs: number): string {
  const again = durationText(Math.max(0, notBeforeMs - nowMs))
  return `channel ${channel} was not told of ${scope}, ${failures} times: ${because}; again in ${again}`
}
