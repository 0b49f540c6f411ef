/**
 * Moves two things that cannot move together - the engine's sync setting (who confirms an acknowledgement) and the
 * record's sync set (who may take over) - one at a time, so that at every instant each set that can acknowledge meets
 * each set that can be elected (R14, R15). Pure; SPEC.md has the proof.
 *
 * With engine `ANY k of E` and record `(S, r)`, an election needs |S| - r + 1 members of S. A set of k confirmations
 * has at least k - |E \ S| members inside S, so the two always meet when  k - |E \ S| >= r  (or r = 0: only the holder
 * itself is electable, and it holds everything).
 */
import type { MemberName, SyncSet } from '../model.ts'

export interface SyncPlanInput {
  readonly recorded: SyncSet
  /** In effect in the engine, and the log end after it took effect; null when not known. */
  readonly engine: { readonly sync: SyncSet; readonly lsn: number } | null
  readonly wanted: { readonly recorded: SyncSet; readonly engine: SyncSet }
  /** Durable log end each member confirmed on the present timeline; absent: nothing known. */
  readonly confirmedLsn: Readonly<Record<MemberName, number>>
}

export type SyncStep =
  | { readonly do: 'nothing' }
  | { readonly do: 'apply'; readonly sync: SyncSet }
  | { readonly do: 'publish'; readonly sync: SyncSet }
  | { readonly do: 'wait'; readonly confirmed: number; readonly need: number; readonly lsn: number }

/** True when no acknowledgement under `engine` can be missed by an election under `recorded`. */
export function meets(engine: SyncSet, recorded: SyncSet): boolean {
  if (recorded.need === 0) return true
  const outside = engine.members.filter((m) => !recorded.members.includes(m)).length
  return engine.need - outside >= recorded.need
}

/** True when every write acknowledged before `lsn` is on enough members of `recorded` for an election to find it. */
export function holdsHistory(
  recorded: SyncSet,
  lsn: number,
  confirmedLsn: Readonly<Record<MemberName, number>>,
): boolean {
  const complete = recorded.members.filter((m) => (confirmedLsn[m] ?? -1) >= lsn).length
  return complete >= recorded.need
}

/** An engine setting that meets both sets; the way between two that do not meet directly. */
export function bridge(from: SyncSet, to: SyncSet): SyncSet {
  const members = [...new Set([...from.members, ...to.members])].sort()
  const outside = (s: SyncSet): number => members.length - s.members.length
  return { members, need: Math.max(needOf(from, outside(from)), needOf(to, outside(to))) }
}

function needOf(set: SyncSet, outside: number): number {
  return set.need === 0 ? 0 : set.need + outside
}

export function sameSync(a: SyncSet, b: SyncSet): boolean {
  if (a.need !== b.need || a.members.length !== b.members.length) return false
  for (const m of a.members) if (!b.members.includes(m)) return false
  return true
}

/** Nothing is left to do for `wanted`. */
export function settled({ recorded, engine, wanted }: Omit<SyncPlanInput, 'confirmedLsn'>): boolean {
  return engine !== null && sameSync(recorded, wanted.recorded) && sameSync(engine.sync, wanted.engine)
}

/** The next single step towards `wanted`. Repeating it after each step's success ends at `wanted` in at most four. */
export function nextSyncStep(input: SyncPlanInput): SyncStep {
  const { recorded, engine, wanted } = input
  if (engine === null)
    return { do: 'apply', sync: meets(wanted.engine, recorded) ? wanted.engine : bridgeOrKeep(input) }
  const mustPublish = !sameSync(recorded, wanted.recorded)
  if (mustPublish && meets(engine.sync, wanted.recorded)) {
    if (holdsHistory(wanted.recorded, engine.lsn, input.confirmedLsn)) return { do: 'publish', sync: wanted.recorded }
  }
  if (!sameSync(engine.sync, wanted.engine) && meets(wanted.engine, recorded))
    return { do: 'apply', sync: wanted.engine }
  if (mustPublish && !meets(engine.sync, wanted.recorded)) {
    const via = bridge(recorded, wanted.recorded)
    if (!sameSync(via, engine.sync) && meets(via, recorded)) return { do: 'apply', sync: via }
  }
  if (!mustPublish) return { do: 'nothing' }
  const confirmed = wanted.recorded.members.filter((m) => (input.confirmedLsn[m] ?? -1) >= engine.lsn).length
  return { do: 'wait', confirmed, need: wanted.recorded.need, lsn: engine.lsn }
}

function bridgeOrKeep(input: SyncPlanInput): SyncSet {
  const via = bridge(input.recorded, input.wanted.recorded)
  return via.need > 0 ? via : input.wanted.engine
}
