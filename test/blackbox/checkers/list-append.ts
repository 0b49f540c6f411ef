/**
 * B7. The transactions of list-append could have happened one after the other, in an order that respects which was over
 * before which began. After Elle: dependencies are inferred from the lists, cycles are found (Tarjan) and named.
 *
 * What is asked of `serializable`: no cycle at all. PostgreSQL's serializable is in fact strict on one primary: a
 * snapshot is taken after `begin`, so whatever was acknowledged before is in it, and the argument of serializable
 * snapshot isolation (a cycle has two rw edges in a row, between transactions that overlap) is not changed by edges of
 * real time, which like ww and wr go from a commit to a later begin. So a `-realtime` cycle is a stale read: somebody
 * read from a primary that was one no longer. Of `repeatable read` (snapshot isolation) write skew, G2, is allowed.
 *
 * In async mode a failover may take back what was acknowledged; so there each epoch is judged by itself, and lost
 * appends are only counted: how much may be lost is for `rpo` to judge.
 *
 * What it cannot see: an append in a transaction of unknown outcome that nobody ever read; anomalies of predicates.
 */
import type { CheckerInput, Verdict } from '../contract.ts'
import type { Isolation } from '../workloads/settings.ts'
import { cyclesOf, cycleText, RT, RW, WR, WW } from './cycles.ts'
import { Graph } from './graph.ts'
import { type Anomaly, isBeginning, type ListModel, modelOf, nameOf, type Txn, txnOf } from './list-model.ts'
import { operationsOf, verdictOf } from './operations.ts'

const FIGURES: readonly string[] = ['G0', 'G1a', 'G1b', 'G1c', 'G-single', 'G2', 'lost-append', 'incompatible-order']

export function listAppend(input: CheckerInput, isolation: Isolation = 'serializable'): Verdict {
  const txns = operationsOf(input.history)
    .filter(({ f }) => f === 'txn')
    .map(txnOf)
  const finals = input.final.members[input.final.primary]?.lists ?? {}
  const oks = txns.filter(({ operation }) => operation.type === 'ok')
  const lost = lostAppends(oks, finals)
  const judgedHere = input.mode !== 'async' || input.bound === null
  const anomalies: Anomaly[] = judgedHere ? [...lost] : []
  let edges = 0
  for (const part of input.mode === 'async' ? byEpoch(oks) : [oks]) {
    const last = input.mode !== 'async' || isNewest(part, oks)
    const model = modelOf(part, txns, last ? finals : {})
    const graph = graphOf(model)
    edges += graph.graph.edgeCount
    anomalies.push(...model.anomalies, ...cycleAnomalies(graph, isolation))
  }
  const figures: Record<string, number> = { txns: txns.length, ok: oks.length, keys: Object.keys(finals).length, edges }
  for (const name of FIGURES) figures[name] = 0
  for (const { name } of anomalies) figures[name] = (figures[name] ?? 0) + 1
  figures['lost-append'] = lost.length
  return verdictOf(
    'list-append',
    figures,
    anomalies.map(({ name, text }) => `${name}: ${text}`),
  )
}

function lostAppends(oks: readonly Txn[], finals: Readonly<Record<string, readonly number[]>>): readonly Anomaly[] {
  const there = new Map(Object.entries(finals).map(([key, list]) => [Number(key), new Set(list)]))
  return oks.flatMap((txn) =>
    txn.appends
      .filter(([key, value]) => there.get(key)?.has(value) !== true)
      .map(([key, value]) => ({ name: 'lost-append', text: `${value} of key ${key}, acknowledged to ${nameOf(txn)}` })),
  )
}

function byEpoch(oks: readonly Txn[]): readonly (readonly Txn[])[] {
  const parts = new Map<number, Txn[]>()
  for (const txn of oks) {
    const epoch = txn.operation.epoch ?? 0
    const part = parts.get(epoch)
    if (part === undefined) parts.set(epoch, [txn])
    else part.push(txn)
  }
  return [...parts.values()]
}

function isNewest(part: readonly Txn[], oks: readonly Txn[]): boolean {
  const newest = oks.reduce((max, { operation }) => Math.max(max, operation.epoch ?? 0), 0)
  return part[0]?.operation.epoch === newest
}

interface TxnGraph {
  readonly graph: Graph
  readonly txns: readonly Txn[]
}

/** Nodes: whoever was acknowledged, and whoever's append was seen. */
function graphOf(model: ListModel): TxnGraph {
  const nodes = new Map<Txn, number>()
  const nodeOf = (txn: Txn | undefined): number | null => {
    if (txn === undefined || txn.operation.type === 'fail') return null
    const known = nodes.get(txn)
    if (known !== undefined) return known
    nodes.set(txn, nodes.size)
    return nodes.size - 1
  }
  const writers = new Map<number, readonly (number | null)[]>()
  for (const [key, order] of model.orders) {
    const appends = model.appends.get(key)
    writers.set(
      key,
      order.map((value) => nodeOf(appends?.get(value)?.txn)),
    )
  }
  for (const txn of model.txns) nodeOf(txn)
  const graph = new Graph(nodes.size)
  const link = (from: number | null | undefined, to: number | null | undefined, kind: number): void => {
    if (typeof from === 'number' && typeof to === 'number') graph.add(from, to, kind)
  }
  for (const order of writers.values()) for (const [at, writer] of order.entries()) link(writer, order[at + 1], WW)
  for (const txn of model.txns) {
    for (const [key, list] of txn.reads) {
      if (!isBeginning(list, model.orders.get(key) ?? [])) continue
      const order = writers.get(key) ?? []
      const self = nodes.get(txn)
      const seen = order[list.length - 1]
      link(seen, self, WR)
      // A read in the midst of a transaction is named G1b already; it is not read skew besides.
      const next = nextOther(order, list.length, self)
      if (next !== seen) link(self, next, RW)
    }
  }
  const judged = new Set(model.txns)
  linkRealTime(
    graph,
    [...nodes].filter(([txn]) => judged.has(txn) || txn.operation.type === 'info'),
  )
  return { graph, txns: [...nodes.keys()] }
}

/** The first append it did not see is of somebody else, or its own and then the one after that. */
function nextOther(
  order: readonly (number | null)[],
  from: number,
  self: number | undefined,
): number | null | undefined {
  let at = from
  while (order[at] === self && at < order.length) at += 1
  return order[at]
}

/**
 * From each that is over to those that begin after it, leaving out what follows from others: an ended transaction is
 * kept only until another that began after it has ended as well. So the edges are as many as transactions times
 * clients, not times transactions.
 */
function linkRealTime(graph: Graph, nodes: readonly (readonly [Txn, number])[]): void {
  const events = nodes.flatMap(([{ operation }, node]) => {
    const begin = { ns: operation.invokedNs, node, ends: false }
    const known = operation.type === 'ok' && operation.endedNs !== null
    return known ? [begin, { ns: operation.endedNs, node, ends: true }] : [begin]
  })
  // At the same moment nothing is before anything.
  events.sort((a, b) => a.ns - b.ns || Number(a.ends) - Number(b.ends))
  const over = new Set<number>()
  const before = new Map<number, readonly number[]>()
  for (const { node, ends } of events) {
    if (ends) {
      for (const earlier of before.get(node) ?? []) over.delete(earlier)
      over.add(node)
      before.delete(node)
    } else {
      before.set(node, [...over])
      for (const earlier of over) graph.add(earlier, node, RT)
    }
  }
}

function cycleAnomalies({ graph, txns }: TxnGraph, isolation: Isolation): readonly Anomaly[] {
  const allowed = isolation === 'serializable' ? [] : ['G2', 'G2-realtime']
  return cyclesOf(graph)
    .filter(({ name }) => !allowed.includes(name))
    .map((cycle) => {
      const text = cycleText(cycle, (node) => {
        const txn = txns[node]
        return txn === undefined ? '?' : nameOf(txn)
      })
      return { name: cycle.name, text }
    })
}
