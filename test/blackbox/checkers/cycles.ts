/**
 * Names the cycles of a dependency graph after Adya, as Elle does:
 *   G0        writes overtook each other            ww only
 *   G1c       circular information flow             ww and wr
 *   G-single  one missed write (read skew)          exactly one rw
 *   G2        several missed writes (write skew)    more rw
 * and the same with `-realtime` when the cycle closes only by what was over before something else began. Each
 * component is named once, by its gravest cycle.
 */
import type { Edge, Graph } from './graph.ts'

export const WW = 1
export const WR = 2
export const RW = 4
/** One was over before the other began. */
export const RT = 8

const NAMES: Readonly<Record<number, string>> = { [WW]: 'ww', [WR]: 'wr', [RW]: 'rw', [RT]: 'rt' }
/** Of one component: a graph so broken that more would be needed is told by a coarser name. */
const TRIES_MAX = 2_000

export interface Cycle {
  readonly name: string
  readonly edges: readonly Edge[]
}

interface Form {
  readonly name: string
  /** The cycle has at least one edge of this kind, and comes back over edges of `back`. */
  readonly by: number
  readonly back: number
}

const FORMS: readonly Form[] = [
  { name: 'G0', by: WW, back: WW },
  { name: 'G1c', by: WR, back: WW | WR },
  { name: 'G-single', by: RW, back: WW | WR },
  { name: 'G2', by: RW, back: WW | WR | RW },
]
const ALL: readonly Form[] = [
  ...FORMS,
  ...FORMS.map(({ name, by, back }) => ({ name: `${name}-realtime`, by, back: back | RT })),
]

export function cyclesOf(graph: Graph): readonly Cycle[] {
  const cycles: Cycle[] = []
  for (const component of graph.components(WW | WR | RW | RT)) {
    for (const form of ALL) {
      const edges = cycleOf(graph, component, form)
      if (edges === null) continue
      cycles.push({ name: form.name, edges })
      break
    }
  }
  return cycles
}

function cycleOf(graph: Graph, component: readonly number[], { by, back }: Form): readonly Edge[] | null {
  const whole = new Set(component)
  // Without the rare edge the way back must exist by itself, so where it is allowed on the way only components count.
  const parts = (by & back) !== 0 ? graph.components(back, component).map((part) => new Set(part)) : [whole]
  let tries = 0
  for (const part of parts) {
    for (const node of part) {
      for (const edge of graph.edges(node)) {
        if (edge.kind !== by || !part.has(edge.to)) continue
        tries += 1
        if (tries > TRIES_MAX) return null
        const way = graph.path(edge.to, edge.from, back, part)
        if (way !== null) return [edge, ...way]
      }
    }
  }
  return null
}

export function cycleText({ edges }: Cycle, nameOf: (node: number) => string): string {
  const [first] = edges
  if (first === undefined) return ''
  return [nameOf(first.from), ...edges.map(({ kind, to }) => `-${NAMES[kind]}-> ${nameOf(to)}`)].join(' ')
}
