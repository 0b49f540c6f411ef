/** Fills the sentences of rules with labels and numbers, for people and, with Prometheus' own words, for its rules. */
import type { Labels } from './expression.ts'

const PLACE = /\{(\w+)(?:\|(percent|duration|count))?\}/g

export function sentence(
  template: string,
  labels: Labels,
  numbers: { readonly value: number; readonly limit: number },
): string {
  const filled = template.replace(PLACE, (_, name: string, form: string | undefined) => {
    if (name === 'value' || name === 'limit') return shaped(numbers[name], form)
    return labels[name] ?? ''
  })
  return filled.replace(/ {2,}/g, ' ')
}

/** The same sentence as a template of Prometheus; the limit is known. */
export function prometheusSentence(template: string, limit: number): string {
  return template.replace(PLACE, (_, name: string, form: string | undefined) => {
    if (name === 'limit') return shaped(limit, form)
    if (name !== 'value') return `{{ $labels.${name} }}`
    if (form === 'percent') return '{{ $value | humanizePercentage }}'
    if (form === 'duration') return '{{ $value | humanizeDuration }}'
    return '{{ $value | printf "%.0f" }}'
  })
}

function shaped(value: number, form: string | undefined): string {
  if (form === 'percent') return `${trimmed(value * 100)} %`
  if (form === 'duration') return durationOf(value)
  return String(Math.ceil(value))
}

/** Of seconds. */
export function durationOf(seconds: number): string {
  if (seconds < 0) return `${durationOf(-seconds)} ago`
  if (seconds < 1) return `${Math.round(seconds * 1_000)} ms`
  if (seconds < 60) return `${trimmed(seconds)} s`
  if (seconds < 3_600) return `${trimmed(seconds / 60)} min`
  return seconds < 172_800 ? `${trimmed(seconds / 3_600)} h` : `${trimmed(seconds / 86_400)} days`
}

function trimmed(value: number): string {
  return value.toFixed(1).replace(/\.0$/, '')
}
