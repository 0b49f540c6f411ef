/**
 * Priority queue on (ms, order of arrival): a total order without ties, so a run depends on nothing but its scenario.
 * The times lie beside the items in an array of plain numbers: most of the work is comparing them.
 */
const FIRST_ROOM = 256

export class Heap<T> {
  private readonly items: T[] = []
  private times = new Float64Array(FIRST_ROOM)
  private orders = new Float64Array(FIRST_ROOM)
  private pushed = 0

  get size(): number {
    return this.items.length
  }

  peekMs(): number {
    return this.items.length === 0 ? Number.POSITIVE_INFINITY : (this.times[0] as number)
  }

  push(ms: number, item: T): void {
    const { items } = this
    let at = items.length
    if (at === this.times.length) this.grow()
    const { times, orders } = this
    items.push(item)
    // What came earlier stays before its equals, so only later times move down.
    while (at > 0) {
      const up = (at - 1) >> 1
      const upMs = times[up] as number
      if (upMs <= ms) break
      items[at] = items[up] as T
      times[at] = upMs
      orders[at] = orders[up] as number
      at = up
    }
    items[at] = item
    times[at] = ms
    orders[at] = this.pushed
    this.pushed += 1
  }

  pop(): T | undefined {
    const { items, times, orders } = this
    const top = items[0]
    const last = items.pop()
    const size = items.length
    if (top === undefined || last === undefined || size === 0) return top
    const ms = times[size] as number
    const order = orders[size] as number
    let at = 0
    for (let child = 1; child < size; child = 2 * at + 1) {
      if (child + 1 < size && this.precedes(child + 1, times[child] as number, orders[child] as number)) child += 1
      if (!this.precedes(child, ms, order)) break
      items[at] = items[child] as T
      times[at] = times[child] as number
      orders[at] = orders[child] as number
      at = child
    }
    items[at] = last
    times[at] = ms
    orders[at] = order
    return top
  }

  private precedes(at: number, ms: number, order: number): boolean {
    const atMs = this.times[at] as number
    return atMs < ms || (atMs === ms && (this.orders[at] as number) < order)
  }

  private grow(): void {
    const { times, orders } = this
    this.times = new Float64Array(times.length * 2)
    this.orders = new Float64Array(times.length * 2)
    this.times.set(times)
    this.orders.set(orders)
  }
}
