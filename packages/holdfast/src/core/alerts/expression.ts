/**
 * What a rule asks of the exported numbers, as data. `evaluate` answers it from one look at all targets; `promql.ts`
 * writes the same question for Prometheus. The meaning of each node is that of Prometheus, so that both answer alike.
 */
import type { MetricName } from '../metric-families.ts'

export type Labels = Readonly<Record<string, string>>

export interface Sample {
  readonly labels: Labels
  readonly value: number
}

/** `up` is one for a target that answered; a histogram has a sum and a count. */
export type SeriesName =
  | MetricName
  | 'up'
  | 'holdfast_store_request_seconds_sum'
  | 'holdfast_store_request_seconds_count'

/** Allowed values by label; an empty list allows none. */
export type Where = Readonly<Record<string, readonly string[]>>

export type Expression =
  | { readonly kind: 'series'; readonly name: SeriesName; readonly where: Where }
  /** Growth of a counter over a window. */
  | { readonly kind: 'increase'; readonly name: SeriesName; readonly where: Where; readonly overMs: number }
  | { readonly kind: 'fold'; readonly how: Fold; readonly by: readonly string[]; readonly of: Expression }
  /** Each left value by the one right value with the same `on`; keeps the labels of the left. */
  | { readonly kind: 'ratio'; readonly left: Expression; readonly right: Expression; readonly on: readonly string[] }
  /** Seconds from now until a unix time. */
  | { readonly kind: 'until'; readonly of: Expression }
  /** Keeps what compares so; the value stays. */
  | { readonly kind: 'compare'; readonly left: Expression; readonly is: '<' | '>' | '=='; readonly right: number }
  | { readonly kind: 'and'; readonly left: Expression; readonly right: Expression; readonly on: readonly string[] }
  | { readonly kind: 'or'; readonly left: Expression; readonly right: Expression }
  /** One, for each of these groups that nobody tells of. */
  | { readonly kind: 'missing'; readonly name: SeriesName; readonly groups: readonly string[] }

export type Fold = 'max' | 'sum' | 'count'

/** All that was seen in one look. */
export interface Scene {
  readonly wallMs: number
  readonly series: ReadonlyMap<string, readonly Sample[]>
  /** Growth of a counter within the last `overMs`. */
  readonly increase: (name: string, labels: Labels, overMs: number) => number
}

export function evaluate(expression: Expression, scene: Scene): readonly Sample[] {
  switch (expression.kind) {
    case 'series':
      return chosen(scene, expression.name, expression.where)
    case 'increase': {
      const { name, overMs } = expression
      const samples = chosen(scene, name, expression.where)
      return samples.map(({ labels }) => ({ labels, value: scene.increase(name, labels, overMs) }))
    }
    case 'fold':
      return folded(expression.how, expression.by, evaluate(expression.of, scene))
    case 'ratio':
      return ratio(evaluate(expression.left, scene), evaluate(expression.right, scene), expression.on)
    case 'until':
      return evaluate(expression.of, scene).map(({ labels, value }) => ({
        labels,
        value: value - scene.wallMs / 1_000,
      }))
    case 'compare':
      return evaluate(expression.left, scene).filter(({ value }) => compares(value, expression.is, expression.right))
    case 'and': {
      const right = new Set(evaluate(expression.right, scene).map(({ labels }) => keyOf(labels, expression.on)))
      return evaluate(expression.left, scene).filter(({ labels }) => right.has(keyOf(labels, expression.on)))
    }
    case 'or': {
      const left = evaluate(expression.left, scene)
      const keys = new Set(left.map(({ labels }) => seriesKey(labels)))
      return [...left, ...evaluate(expression.right, scene).filter(({ labels }) => !keys.has(seriesKey(labels)))]
    }
    case 'missing': {
      const told = new Set((scene.series.get(expression.name) ?? []).map(({ labels }) => labels.group))
      return expression.groups.filter((group) => !told.has(group)).map((group) => ({ labels: { group }, value: 1 }))
    }
  }
}

function chosen(scene: Scene, name: string, where: Where): readonly Sample[] {
  const wanted = Object.entries(where)
  const samples = scene.series.get(name) ?? []
  if (wanted.length === 0) return samples
  return samples.filter(({ labels }) => wanted.every(([label, values]) => values.includes(labels[label] ?? '')))
}

function folded(how: Fold, by: readonly string[], samples: readonly Sample[]): readonly Sample[] {
  const found = new Map<string, { labels: Labels; value: number }>()
  for (const { labels, value } of samples) {
    const key = keyOf(labels, by)
    const before = found.get(key)
    const own = how === 'count' ? 1 : value
    if (before === undefined) found.set(key, { labels: only(labels, by), value: own })
    else before.value = how === 'max' ? Math.max(before.value, own) : before.value + own
  }
  return [...found.values()]
}

function ratio(left: readonly Sample[], right: readonly Sample[], on: readonly string[]): readonly Sample[] {
  const below = new Map(right.map(({ labels, value }) => [keyOf(labels, on), value]))
  return left.flatMap(({ labels, value }) => {
    const divisor = below.get(keyOf(labels, on))
    return divisor === undefined ? [] : [{ labels, value: value / divisor }]
  })
}

function compares(value: number, is: '<' | '>' | '==', right: number): boolean {
  if (is === '<') return value < right
  return is === '>' ? value > right : value === right
}

function only(labels: Labels, names: readonly string[]): Labels {
  return Object.fromEntries(names.flatMap((name) => (labels[name] ? [[name, labels[name]]] : [])))
}

function keyOf(labels: Labels, names: readonly string[]): string {
  return names.map((name) => labels[name] ?? '').join('\n')
}

/** The same for the same labels in any order. */
export function seriesKey(labels: Labels): string {
  return Object.keys(labels)
    .sort()
    .map((name) => `${name}=${labels[name]}`)
    .join(',')
}

/** Every series a question reads, and of those the ones it reads as counters. */
export function seriesOf(expression: Expression): readonly { readonly name: SeriesName; readonly counter: boolean }[] {
  switch (expression.kind) {
    case 'series':
    case 'missing':
      return [{ name: expression.name, counter: false }]
    case 'increase':
      return [{ name: expression.name, counter: true }]
    case 'fold':
    case 'until':
      return seriesOf(expression.of)
    case 'compare':
      return seriesOf(expression.left)
    case 'ratio':
    case 'and':
    case 'or':
      return [...seriesOf(expression.left), ...seriesOf(expression.right)]
  }
}
