/**
 * Transactions of list-append, what their reads prove about the order of appends, and whatever is wrong without any
 * cycle. After Elle: a list shows every append that ever happened to it in the order in which it happened, so the
 * longest list read of a key gives the order of its versions, and every other must be a beginning of it.
 */
import { type Operation, stepsOf } from './operations.ts'

export interface Txn {
  readonly operation: Operation
  /** Key, and the list as the transaction found it: without what it appended itself. */
  readonly reads: ReadonlyMap<number, readonly number[]>
  /** As told: with its own appends. */
  readonly evidence: readonly (readonly [key: number, list: readonly number[]])[]
  readonly appends: readonly (readonly [key: number, value: number])[]
  /** What it read cannot be true together with what it read or appended before. */
  readonly internal: string | null
}

export interface Append {
  readonly txn: Txn
  /** The transaction appended to this key again afterwards. */
  readonly intermediate: boolean
}

export interface ListModel {
  readonly txns: readonly Txn[]
  /** Who appended a value to a key. */
  readonly appends: ReadonlyMap<number, ReadonlyMap<number, Append>>
  readonly orders: ReadonlyMap<number, readonly number[]>
  readonly anomalies: readonly Anomaly[]
}

export interface Anomaly {
  readonly name: string
  readonly text: string
}

export function txnOf(operation: Operation): Txn {
  const reads = new Map<number, readonly number[]>()
  const own = new Map<number, number[]>()
  const appends: [number, number][] = []
  const evidence: [number, readonly number[]][] = []
  let internal: string | null = null
  for (const [kind, key, value] of stepsOf(operation.value)) {
    const mine = own.get(key) ?? []
    if (kind === 'append') {
      appends.push([key, Number(value)])
      own.set(key, [...mine, Number(value)])
      continue
    }
    if (operation.type !== 'ok' || !Array.isArray(value)) continue
    const list = value as readonly number[]
    evidence.push([key, list])
    const base = list.slice(0, Math.max(0, list.length - mine.length))
    const before = reads.get(key)
    const wrong = !isBeginning(mine, list.slice(base.length)) || (before !== undefined && !isSame(before, base))
    if (wrong) internal ??= `read ${tail(list)} of key ${key} after it had ${tail([...(before ?? []), ...mine])}`
    reads.set(key, before ?? base)
  }
  return { operation, reads, evidence, appends, internal }
}

/** `judged` are those whose reads count; `writers` all that may have appended. `finals` are lists read in the end. */
export function modelOf(
  judged: readonly Txn[],
  writers: readonly Txn[],
  finals: Readonly<Record<string, readonly number[]>>,
): ListModel {
  const anomalies: Anomaly[] = []
  const appends = appendsOf(writers)
  const lists = [
    ...judged.flatMap((txn) => txn.evidence.map(([key, list]) => ({ key, list, by: nameOf(txn) }))),
    ...Object.entries(finals).map(([key, list]) => ({ key: Number(key), list, by: 'the final read' })),
  ]
  const orders = new Map<number, readonly number[]>()
  for (const { key, list } of lists) if (list.length > (orders.get(key)?.length ?? 0)) orders.set(key, list)
  for (const { key, list, by } of lists) {
    if (!isBeginning(list, orders.get(key) ?? [])) {
      const text = `${by} saw ${tail(list)} of key ${key}, others ${tail(orders.get(key) ?? [])}`
      anomalies.push({ name: 'incompatible-order', text })
    }
  }
  for (const [key, order] of orders) anomalies.push(...wrongElements(key, order, appends.get(key)))
  for (const txn of judged) {
    if (txn.internal !== null) anomalies.push({ name: 'internal', text: `${nameOf(txn)} ${txn.internal}` })
    for (const [key, list] of txn.reads) {
      const last = appends.get(key)?.get(list.at(-1) ?? Number.NaN)
      if (last?.intermediate !== true || last.txn === txn) continue
      const text = `${nameOf(txn)} read key ${key} in the midst of ${nameOf(last.txn)}`
      anomalies.push({ name: 'G1b', text })
    }
  }
  return { txns: judged, appends, orders, anomalies }
}

function appendsOf(writers: readonly Txn[]): ReadonlyMap<number, ReadonlyMap<number, Append>> {
  const appends = new Map<number, Map<number, Append>>()
  for (const txn of writers) {
    for (const [at, [key, value]] of txn.appends.entries()) {
      const intermediate = txn.appends.slice(at + 1).some(([other]) => other === key)
      const ofKey = appends.get(key) ?? new Map<number, Append>()
      ofKey.set(value, { txn, intermediate })
      appends.set(key, ofKey)
    }
  }
  return appends
}

function wrongElements(
  key: number,
  order: readonly number[],
  appends: ReadonlyMap<number, Append> | undefined,
): readonly Anomaly[] {
  const found: Anomaly[] = []
  const seen = new Set<number>()
  for (const value of order) {
    if (seen.has(value)) found.push({ name: 'doubled-append', text: `${value} stands twice in the list of key ${key}` })
    seen.add(value)
    const append = appends?.get(value)
    if (append === undefined) {
      found.push({ name: 'unexpected-append', text: `${value} was appended to key ${key} by nobody` })
    } else if (append.txn.operation.type === 'fail') {
      found.push({ name: 'G1a', text: `${value} of key ${key} was read, though ${nameOf(append.txn)} had failed` })
    }
  }
  return found
}

export function nameOf({ operation }: Txn): string {
  return `transaction of process ${operation.process} at ${Math.round(operation.invokedNs / 1e6)} ms`
}

export function isBeginning(part: readonly number[], whole: readonly number[]): boolean {
  return part.length <= whole.length && part.every((value, at) => whole[at] === value)
}

function isSame(one: readonly number[], other: readonly number[]): boolean {
  return one.length === other.length && isBeginning(one, other)
}

/** The end of a list: there it differs. */
function tail(list: readonly number[]): string {
  return `[${list.length > 4 ? '... ' : ''}${list.slice(-4).join(' ')}]`
}
