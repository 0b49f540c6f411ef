/**
 * A directed graph with coloured edges, and what the search for cycles needs of it: strongly connected components and
 * shortest paths over edges of chosen colours. Nodes are 0..n-1. Linear in time; no recursion, histories are long.
 */

/** Colours are single bits, so that several are chosen by adding them. */
export interface Edge {
  readonly from: number
  readonly to: number
  readonly kind: number
}

export class Graph {
  readonly size: number
  readonly #out: Edge[][]

  constructor(size: number) {
    this.size = size
    this.#out = Array.from({ length: size }, () => [])
  }

  add(from: number, to: number, kind: number): void {
    if (from !== to) this.#out[from]?.push({ from, to, kind })
  }

  edges(from: number): readonly Edge[] {
    return this.#out[from] ?? []
  }

  get edgeCount(): number {
    return this.#out.reduce((sum, list) => sum + list.length, 0)
  }

  /** Components with a cycle, over edges of `kinds`, among `nodes` if given (Tarjan, with a stack of its own). */
  components(kinds: number, nodes?: readonly number[]): readonly (readonly number[])[] {
    const allowed = nodes === undefined ? null : new Set(nodes)
    const order = new Int32Array(this.size).fill(-1)
    const low = new Int32Array(this.size)
    const onStack = new Uint8Array(this.size)
    const stack: number[] = []
    const found: number[][] = []
    let next = 0
    const enter = (node: number): Visit => {
      order[node] = low[node] = next
      next += 1
      stack.push(node)
      onStack[node] = 1
      return { node, at: 0 }
    }
    const leave = (node: number): void => {
      if (low[node] !== order[node]) return
      const component: number[] = []
      for (let member = -1; member !== node; ) {
        member = stack.pop() ?? node
        onStack[member] = 0
        component.push(member)
      }
      if (component.length > 1) found.push(component)
    }
    for (const start of nodes ?? order.keys()) {
      if (order[start] !== -1) continue
      const visits = [enter(start)]
      for (let visit = visits.at(-1); visit !== undefined; visit = visits.at(-1)) {
        const edge = this.edges(visit.node)[visit.at]
        visit.at += 1
        if (edge === undefined) {
          visits.pop()
          leave(visit.node)
          const parent = visits.at(-1)
          if (parent !== undefined) low[parent.node] = Math.min(low[parent.node] ?? 0, low[visit.node] ?? 0)
        } else if ((edge.kind & kinds) !== 0 && allowed?.has(edge.to) !== false) {
          if (order[edge.to] === -1) visits.push(enter(edge.to))
          else if (onStack[edge.to] === 1) low[visit.node] = Math.min(low[visit.node] ?? 0, order[edge.to] ?? 0)
        }
      }
    }
    return found
  }

  /** The shortest way over edges of `kinds` within `nodes`; null when there is none. */
  path(from: number, to: number, kinds: number, nodes: ReadonlySet<number>): readonly Edge[] | null {
    const came = new Map<number, Edge>()
    const queue = [from]
    for (let at = 0; at < queue.length; at += 1) {
      for (const edge of this.edges(queue[at] ?? from)) {
        if ((edge.kind & kinds) === 0 || !nodes.has(edge.to) || came.has(edge.to)) continue
        came.set(edge.to, edge)
        if (edge.to === to) return wayBack(came, from, to)
        queue.push(edge.to)
      }
    }
    return null
  }
}

interface Visit {
  readonly node: number
  at: number
}

function wayBack(came: ReadonlyMap<number, Edge>, from: number, to: number): readonly Edge[] {
  const way: Edge[] = []
  for (let node = to; ; ) {
    const edge = came.get(node)
    if (edge === undefined) break
    way.unshift(edge)
    node = edge.from
    if (node === from) break
  }
  return way
}
