/** Order of groups as a graph: what must be up before what. */

export interface Ordered {
  readonly name: string
  readonly after: readonly string[]
}

/** Names along one cycle, the first one repeated at the end; null when there is none. */
export function cycleIn(nodes: readonly Ordered[]): readonly string[] | null {
  const byName = new Map(nodes.map((node) => [node.name, node]))
  const settled = new Set<string>()
  const walk = (name: string, trail: readonly string[]): readonly string[] | null => {
    const at = trail.indexOf(name)
    if (at !== -1) return [...trail.slice(at), name]
    if (settled.has(name)) return null
    for (const before of byName.get(name)?.after ?? []) {
      const found = walk(before, [...trail, name])
      if (found !== null) return found
    }
    settled.add(name)
    return null
  }
  for (const node of nodes) {
    const found = walk(node.name, [])
    if (found !== null) return found
  }
  return null
}

/** Names in an order in which each comes after what it waits for; equal ones in the order given. Needs no cycle. */
export function inOrder(nodes: readonly Ordered[]): readonly string[] {
  const known = new Set(nodes.map((node) => node.name))
  const placed: string[] = []
  let left = nodes
  while (left.length > 0) {
    const ready = left.filter((node) => node.after.every((name) => !known.has(name) || placed.includes(name)))
    if (ready.length === 0) return [...placed, ...left.map((node) => node.name)]
    placed.push(...ready.map((node) => node.name))
    left = left.filter((node) => !ready.includes(node))
  }
  return placed
}
