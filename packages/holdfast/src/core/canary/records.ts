/**
 * What was acknowledged and where it is: which acknowledged numbers the primary lacks (lost), and how far what a
 * replica shows is behind (stale). Pure; nothing is lost before a look at a primary said so (SPEC.md, C5-C7).
 */
import { type CanaryAck, reachMs } from '../drill/figures.ts'
import { KEPT, LINES } from './model.ts'

export interface Ledger {
  /** By number, at most `KEPT`. */
  readonly acks: readonly CanaryAck[]
  /** The greatest number that was ever sent. */
  readonly sentMax: number
  /** Numbers told as lost, the newest `KEPT`. */
  readonly lost: readonly number[]
  readonly lostTotal: number
  /** When the newest look that told all of them was asked for. */
  readonly checkedMs: number | null
}

export const EMPTY: Ledger = { acks: [], sentMax: 0, lost: [], lostTotal: 0, checkedMs: null }

export function withSent(ledger: Ledger, n: number): Ledger {
  return n > ledger.sentMax ? { ...ledger, sentMax: n } : ledger
}

export function withAck(ledger: Ledger, ack: CanaryAck): Ledger {
  const { acks } = ledger
  const last = acks.at(-1)
  const inOrder = last === undefined || last.n < ack.n
  const all = inOrder ? [...acks, ack] : [...acks, ack].sort((a, b) => a.n - b.n)
  return { ...ledger, acks: all.length > KEPT ? all.slice(all.length - KEPT) : all }
}

/** Every record of this run that a primary holds, read on a connection on which a write had just been acknowledged. */
export interface Look {
  readonly numbers: ReadonlySet<number>
  readonly askedMs: number
}

export interface Loss {
  readonly records: number
  readonly from: number
  readonly to: number
  /** Age of what one would have to enter again. */
  readonly reachMs: number
  /** The oldest that is remembered is among them: more may be lost. */
  readonly atLeast: boolean
}

export interface Judgement {
  readonly ledger: Ledger
  readonly loss: Loss | null
  /** Once told as lost, now there. */
  readonly returned: readonly number[]
}

export function judge(ledger: Ledger, { numbers, askedMs }: Look): Judgement {
  const { acks, sentMax } = ledger
  // What is this old may have been deleted by a write that is still under way.
  const oldest = sentMax - KEPT + LINES
  const judged = acks.filter(({ n, ackedMs }) => ackedMs <= askedMs && n > oldest)
  const missing = judged.filter(({ n }) => !numbers.has(n))
  const returned = ledger.lost.filter((n) => numbers.has(n))
  const gone = new Set(missing.map(({ n }) => n))
  const next: Ledger = {
    ...ledger,
    acks: gone.size === 0 ? acks : acks.filter(({ n }) => !gone.has(n)),
    lost: [...ledger.lost.filter((n) => !numbers.has(n)), ...gone].slice(-KEPT),
    lostTotal: ledger.lostTotal + gone.size - returned.length,
    checkedMs: askedMs,
  }
  return { ledger: next, loss: lossOf(ledger, judged, missing), returned }
}

function lossOf({ acks }: Ledger, judged: readonly CanaryAck[], missing: readonly CanaryAck[]): Loss | null {
  const [first] = missing
  const last = missing.at(-1)
  if (first === undefined || last === undefined) return null
  const byTime = (all: readonly CanaryAck[]) => [...all].sort((a, b) => a.ackedMs - b.ackedMs)
  const reach = reachMs(byTime(acks), byTime(missing))
  // With number 1 among them nothing came before.
  const atLeast = first.n === judged[0]?.n && first.n > 1
  return { records: missing.length, from: first.n, to: last.n, reachMs: reach, atLeast }
}

export interface Staleness {
  /** Of the newest record it shows: it is at most so stale. Null: it shows none of this run. */
  readonly ageMs: number | null
  /** Acknowledged before it was asked, and not shown. */
  readonly lacks: number
  /** For how long the oldest of these has been acknowledged: it is at least so stale. 0: it lacks none. */
  readonly lacksMs: number
}

/** `newest`: the greatest number of this run that it showed; null: none. */
export function staleness({ acks }: Ledger, newest: number | null, askedMs: number): Staleness {
  const missing = acks.filter(({ n, ackedMs }) => n > (newest ?? 0) && ackedMs <= askedMs)
  const oldest = Math.min(...missing.map(({ ackedMs }) => ackedMs))
  const shown = newest === null ? undefined : acks.findLast(({ n }) => n <= newest)
  // What it shows was deleted elsewhere long ago: it is older than all that is remembered.
  const sentMs = newest === null ? null : (shown?.sentMs ?? acks[0]?.sentMs ?? null)
  return {
    ageMs: sentMs === null ? null : Math.max(0, askedMs - sentMs),
    lacks: missing.length,
    lacksMs: missing.length === 0 ? 0 : Math.max(1, askedMs - oldest),
  }
}

export interface Copy {
  readonly member: string
  readonly site: string
  /** Null: it was not looked at lately, or did not answer. */
  readonly stale: Staleness | null
  readonly lookedMsAgo: number | null
}

export interface AtRisk {
  readonly records: number
  readonly ms: number
  /** The copy that would be left with most. */
  readonly member: string
  readonly site: string
  readonly lookedMsAgo: number
}

/** What would be lost if the site of the primary burned: what the best copy elsewhere lacked when it was looked at. */
export function atRisk(copies: readonly Copy[], primarySite: string): AtRisk | null {
  let best: AtRisk | null = null
  for (const { member, site, stale, lookedMsAgo } of copies) {
    if (site === primarySite || stale === null || lookedMsAgo === null || stale.ageMs === null) continue
    if (best !== null && best.records <= stale.lacks) continue
    best = { records: stale.lacks, ms: stale.lacksMs, member, site, lookedMsAgo }
  }
  return best
}
