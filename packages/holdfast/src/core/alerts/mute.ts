/** Whom nobody is told of just now: alerts under a silence, and alerts that a larger one explains. */
import type { Alert, AlertsConfig, AlertsState, Silence } from './state.ts'

export function silenced(
  alert: Pick<Alert, 'rule' | 'severity' | 'labels'>,
  silences: readonly Silence[],
  nowMs: number,
): boolean {
  return silences.some((silence) => nowMs < silence.endsAtMs && covers(silence, alert))
}

function covers(
  { matchers }: Silence,
  { rule, severity, labels }: Pick<Alert, 'rule' | 'severity' | 'labels'>,
): boolean {
  const words: Readonly<Record<string, string>> = { ...labels, rule, severity }
  return Object.entries(matchers).every(([name, pattern]) => fits(pattern, words[name] ?? ''))
}

/** `*` stands for any text. Walks once, so that no pattern takes long. */
export function fits(pattern: string, text: string): boolean {
  const parts = pattern.split('*')
  const [first = '', ...rest] = parts
  if (rest.length === 0) return pattern === text
  const last = rest.pop() ?? ''
  if (!text.startsWith(first) || text.length < first.length + last.length || !text.endsWith(last)) return false
  let at = first.length
  for (const part of rest) {
    const found = text.indexOf(part, at)
    if (found === -1 || found + part.length > text.length - last.length) return false
    at = found + part.length
  }
  return true
}

/** A larger alert that fires and explains this one; null: none. */
export function explainedBy(alert: Alert, state: AlertsState, config: AlertsConfig): string | null {
  const hiddenBy = config.rules.find(({ id }) => id === alert.rule)?.hiddenBy ?? []
  for (const { rule, equal } of hiddenBy) {
    const larger = Object.values(state.alerts).find(
      (other) =>
        other.rule === rule &&
        (other.phase === 'firing' || other.phase === 'clearing') &&
        equal.every((label) => (other.labels[label] ?? '') === (alert.labels[label] ?? '')),
    )
    if (larger !== undefined) return rule
  }
  return null
}

export function muted(alert: Alert, state: AlertsState, config: AlertsConfig, nowMs: number): boolean {
  return silenced(alert, state.silences, nowMs) || explainedBy(alert, state, config) !== null
}
