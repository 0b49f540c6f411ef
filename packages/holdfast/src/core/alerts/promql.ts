/** Writes a question of `expression.ts` in Prometheus' language. Names are checked by the description: no quotes. */
import type { Expression, Where } from './expression.ts'

export function promql(expression: Expression): string {
  switch (expression.kind) {
    case 'series':
      return `${expression.name}${matchers(expression.where)}`
    case 'increase':
      return `increase(${expression.name}${matchers(expression.where)}[${durationWord(expression.overMs)}])`
    case 'fold':
      return `${expression.how} by (${expression.by.join(', ')}) (${promql(expression.of)})`
    case 'ratio':
      return `${inner(expression.left)} / on (${expression.on.join(', ')}) group_left () ${inner(expression.right)}`
    case 'until':
      return `${inner(expression.of)} - time()`
    case 'compare':
      return `${inner(expression.left)} ${expression.is} ${expression.right}`
    case 'and':
      return `${inner(expression.left)} and on (${expression.on.join(', ')}) ${inner(expression.right)}`
    case 'or':
      return `${inner(expression.left)} or ${inner(expression.right)}`
    case 'missing':
      // Of nobody nothing is missing.
      return expression.groups.length === 0
        ? 'vector(0) > 1'
        : expression.groups.map((group) => `absent(${expression.name}{group="${group}"})`).join(' or ')
  }
}

function inner(expression: Expression): string {
  const plain = expression.kind === 'series' || expression.kind === 'increase'
  return plain ? promql(expression) : `(${promql(expression)})`
}

function matchers(where: Where): string {
  const words = Object.entries(where).map(([label, values]) =>
    values.length === 1 ? `${label}="${values[0]}"` : `${label}=~"${values.join('|')}"`,
  )
  return words.length === 0 ? '' : `{${words.join(', ')}}`
}

/** `90s`, `10m`, `4h`: the largest unit that fits without a rest. */
export function durationWord(ms: number): string {
  const units = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1_000],
  ] as const
  const fit = units.find(([, size]) => ms > 0 && ms % size === 0)
  return fit === undefined ? `${Math.round(ms)}ms` : `${ms / fit[1]}${fit[0]}`
}
