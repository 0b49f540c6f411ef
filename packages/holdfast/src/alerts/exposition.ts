/** Reads the text that agents and routers tell Prometheus; keeps only the series asked for. What is odd is left out. */
import type { Sample } from '../core/alerts/expression.ts'

/** An agent with a hundred members tells a tenth of this. */
const LINES_MAX = 200_000
const LINE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+\d+)?$/
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)",?/g

export function readExposition(
  text: string,
  wanted: ReadonlySet<string>,
  common: Readonly<Record<string, string>>,
): readonly { readonly name: string; readonly sample: Sample }[] {
  const found: { name: string; sample: Sample }[] = []
  let lines = 0
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue
    if (lines++ >= LINES_MAX) break
    const name = /^[a-zA-Z_:][a-zA-Z0-9_:]*/.exec(line)?.[0] ?? ''
    if (!wanted.has(name)) continue
    const [, , labels = '', number = ''] = LINE.exec(line) ?? []
    const value = numberOf(number)
    if (value !== null) found.push({ name, sample: { labels: { ...common, ...labelsOf(labels) }, value } })
  }
  return found
}

function labelsOf(text: string): Record<string, string> {
  const labels: Record<string, string> = {}
  for (const [, name = '', value = ''] of text.matchAll(LABEL)) {
    labels[name] = value.replace(/\\(.)/g, (_, letter: string) => (letter === 'n' ? '\n' : letter))
  }
  return labels
}

function numberOf(text: string): number | null {
  if (text === '+Inf') return Number.POSITIVE_INFINITY
  if (text === '-Inf') return Number.NEGATIVE_INFINITY
  const value = Number(text)
  return text === '' || Number.isNaN(value) ? null : value
}
