/**
 * B5. No two members are writable at one moment; the overlap must be 0 ms. Two ways of looking, for each misses what
 * the other sees.
 *
 * By probe: each member is written to directly, every `PROBE_PERIOD_MS`, past every proxy. An `ok` proves that the
 * member took a write at some moment between its invoke and its reply. Two consecutive oks that follow each other
 * closely, with nothing but oks between them, are taken as proof that it was writable from the first one's reply to the
 * second one's invoke. A gap, a failure, an unknown answer or a slow one ends the interval. An ok by itself is a moment
 * somewhere in [invoke, reply]; it counts when all of that lies inside an interval of another member.
 * What it cannot see: two writers for less than about two periods; a member that takes writes of others but not the
 * probe's; one whose probe waits (for a replica that is cut off, say), which is no acknowledgement either. What it
 * assumes: nobody stops and resumes taking writes within four periods.
 *
 * By term: one term is one member in one epoch. If an older term acknowledged a write that was invoked after a newer
 * term's first acknowledgement had come back, both were writable between. This uses every write, also the clients', and
 * assumes nothing; but it sees an old primary only if somebody still wrote to it.
 */
import type { CheckerInput, Verdict } from '../contract.ts'
import { PROBE_PERIOD_MS } from '../workloads/tables.ts'
import {
  fieldOf,
  isOk,
  isWrite,
  msOf,
  type OkOperation,
  type Operation,
  operationsOf,
  verdictOf,
} from './operations.ts'

interface Interval {
  readonly member: string
  readonly fromNs: number
  readonly toNs: number
}

const GAP_NS_MAX = 4 * PROBE_PERIOD_MS * 1e6

export function twoWriters({ history }: CheckerInput): Verdict {
  const operations = operationsOf(history)
  const { intervals, moments } = writable(operations.filter(({ f }) => f === 'probe'))
  const overlaps = overlapsOf(intervals)
  const inside = moments.filter((moment) => intervals.some((interval) => contains(interval, moment)))
  const terms = termOverlap(operations.filter(isOk).filter(isWrite))
  const overlapNs = overlaps.reduce((sum, { fromNs, toNs }) => sum + toNs - fromNs, 0)
  const findings = [
    ...overlaps.map(({ member, fromNs, toNs }) => `${member} were both writable for ${msOf(toNs - fromNs)} ms`),
    ...inside.map(({ member }) => `${member} took a write while another member was writable`),
    ...(terms.ns > 0 ? [`${terms.text} for ${msOf(terms.ns)} ms`] : []),
  ]
  const probes = operations.filter(({ f, type }) => f === 'probe' && type === 'ok').length
  const figures = { probes, intervals: intervals.length, overlapMs: msOf(overlapNs), moments: inside.length }
  return verdictOf('two-writers', { ...figures, termOverlapMs: msOf(terms.ns) }, findings)
}

function contains(interval: Interval, moment: Interval): boolean {
  return interval.member !== moment.member && interval.fromNs <= moment.fromNs && moment.toNs <= interval.toNs
}

function writable(probes: readonly Operation[]): { intervals: readonly Interval[]; moments: readonly Interval[] } {
  const byMember = new Map<string, Operation[]>()
  for (const probe of probes) {
    const member = String(fieldOf(probe.value, 'member'))
    const list = byMember.get(member)
    if (list === undefined) byMember.set(member, [probe])
    else list.push(probe)
  }
  const intervals: Interval[] = []
  const moments: Interval[] = []
  for (const [member, list] of byMember) {
    for (const chain of chainsOf(list)) {
      const first = chain[0]
      const last = chain.at(-1)
      if (first === undefined || last === undefined) continue
      // Each ok is a moment too: the one that ends a chain may lie wholly inside the other member's interval.
      for (const one of chain) moments.push({ member, fromNs: one.invokedNs, toNs: one.endedNs })
      if (last.invokedNs > first.endedNs) intervals.push({ member, fromNs: first.endedNs, toNs: last.invokedNs })
    }
  }
  return { intervals, moments }
}

type Answered = Operation & { readonly endedNs: number }

/** Oks of one member that follow each other closely. A slow answer belongs neither to what was before nor after it. */
function chainsOf(probes: readonly Operation[]): readonly (readonly Answered[])[] {
  const chains: Answered[][] = []
  let chain: Answered[] = []
  for (const probe of probes) {
    const ok = probe.type === 'ok' && probe.endedNs !== null
    const last = chain.at(-1)
    if (ok && last !== undefined && isClose(last, probe as Answered)) {
      chain.push(probe as Answered)
      continue
    }
    chain = ok ? [probe as Answered] : []
    if (ok) chains.push(chain)
  }
  return chains
}

function isClose(one: Answered, next: Answered): boolean {
  return next.invokedNs - one.invokedNs < GAP_NS_MAX && next.endedNs - one.endedNs < GAP_NS_MAX
}

/** Common time of intervals of different members, swept from left to right. */
function overlapsOf(intervals: readonly Interval[]): readonly Interval[] {
  const overlaps: Interval[] = []
  let open: Interval[] = []
  for (const next of [...intervals].sort((a, b) => a.fromNs - b.fromNs)) {
    open = open.filter(({ toNs }) => toNs > next.fromNs)
    for (const one of open) {
      if (one.member === next.member) continue
      const member = `${one.member} and ${next.member}`
      overlaps.push({ member, fromNs: next.fromNs, toNs: Math.min(one.toNs, next.toNs) })
    }
    open.push(next)
  }
  return overlaps
}

interface Term {
  readonly node: string
  readonly epoch: number
  readonly probe: boolean
  firstEndedNs: number
  lastInvokedNs: number
}

function termOverlap(oks: readonly OkOperation[]): { readonly ns: number; readonly text: string } {
  const terms = new Map<string, Term>()
  for (const { f, node, epoch, invokedNs, endedNs } of oks) {
    const probe = f === 'probe'
    const key = `${epoch} ${probe} ${node}`
    const term = terms.get(key)
    if (term === undefined) {
      terms.set(key, { node, epoch, probe, firstEndedNs: endedNs, lastInvokedNs: invokedNs })
    } else {
      term.firstEndedNs = Math.min(term.firstEndedNs, endedNs)
      term.lastInvokedNs = Math.max(term.lastInvokedNs, invokedNs)
    }
  }
  const all = [...terms.values()]
  let worst = { ns: 0, text: '' }
  for (const older of all) {
    for (const newer of all) {
      // One member in two epochs is one writer: only its timeline changed under it.
      if (older.node === newer.node || !comesBefore(older, newer)) continue
      const ns = older.lastInvokedNs - newer.firstEndedNs
      const text = `${older.node} in epoch ${older.epoch} wrote on beside ${newer.node} in epoch ${newer.epoch}`
      if (ns > worst.ns) worst = { ns, text }
    }
  }
  return worst
}

/**
 * Two members may share an epoch when each was promoted without knowing of the other; then the earlier is the older.
 * Only names of one source are compared then: a client may know a member by its address, its probe by its name.
 */
function comesBefore(older: Term, newer: Term): boolean {
  if (older.epoch !== newer.epoch) return older.epoch < newer.epoch
  if (older.probe !== newer.probe) return false
  return older.firstEndedNs < newer.firstEndedNs
}
