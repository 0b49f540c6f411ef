/**
 * Which replica a read connection goes to. Pure; statuses are gathered by `router/`.
 *
 * A replica counts only when its own agent said so recently: it runs, answers, receives, and its lag is known and
 * within the bound (unknown is too far). The nearest site wins, then who has the fewest sessions, then the name. When
 * none counts because nobody sends them anything any more, the service's policy may let reads go on from the data as it
 * was left, as long as its age is known and bounded.
 */
import type { MemberName } from '../model.ts'

export interface ReplicaView {
  readonly member: MemberName
  readonly site: string
  readonly role: string
  readonly answering: boolean
  readonly receiving: boolean
  readonly lagBytes: number | null
  /** Since the status was read, plus the age of the agent's loop at that time. */
  readonly ageMs: number
  /** Sessions this router has open to it. */
  readonly sessions: number
  /** Age, at most, of its data: what the primary wrote before that is there. Null: nobody knows. */
  readonly staleMs: number | null
}

export interface ReplicaRule {
  readonly site: string
  readonly lagBytesMax: number
  readonly ageMaxMs: number
  /** Without a primary new reads go on from data that is at most this old; null: they do not. */
  readonly staleMsMax: number | null
  /** Sessions to a member that receives nothing are cut when its data is older; null: never. */
  readonly keepMsMax: number | null
}

/** Why a member takes no new read connection; null when it does. */
export function replicaVerdict(view: ReplicaView, rule: ReplicaRule): string | null {
  if (view.ageMs > rule.ageMaxMs) return 'status-too-old'
  if (view.role !== 'replica') return 'not-a-replica'
  if (!view.answering) return 'not-answering'
  if (!view.receiving) return 'not-receiving'
  if (view.lagBytes === null) return 'lag-unknown'
  return view.lagBytes > rule.lagBytesMax ? 'lag-too-high' : null
}

/** What keeps a member that receives nothing from being read all the same; null when nothing does. */
export function staleVerdict(view: ReplicaView, rule: ReplicaRule): string | null {
  if (view.ageMs > rule.ageMaxMs) return 'status-too-old'
  if (view.role !== 'replica') return 'not-a-replica'
  if (!view.answering) return 'not-answering'
  if (view.lagBytes !== null && view.lagBytes > rule.lagBytesMax) return 'lag-too-high'
  if (rule.staleMsMax === null) return 'reads-stop'
  if (view.staleMs === null) return 'staleness-unknown'
  return view.staleMs > rule.staleMsMax ? 'too-stale' : null
}

export interface ReadChoice {
  /** The members to try, best first. */
  readonly members: readonly MemberName[]
  /** None of them receives; what they show is as old as their `staleMs`. */
  readonly degraded: boolean
}

export function readChoice(views: readonly ReplicaView[], rule: ReplicaRule): ReadChoice {
  const fresh = views.filter((view) => replicaVerdict(view, rule) === null)
  if (fresh.length > 0) return { members: inOrder(fresh, rule), degraded: false }
  const stale = views.filter((view) => staleVerdict(view, rule) === null)
  return { members: inOrder(stale, rule), degraded: stale.length > 0 }
}

function inOrder(views: readonly ReplicaView[], rule: ReplicaRule): readonly MemberName[] {
  const distance = (view: ReplicaView): number => (view.site === rule.site ? 0 : 1)
  return views
    .toSorted((a, b) => distance(a) - distance(b) || a.sessions - b.sessions || (a.member < b.member ? -1 : 1))
    .map((view) => view.member)
}

/**
 * Sessions stay until the member is known to be something else than a replica, or known to be left behind for longer
 * than the policy allows: only new ones look at lag and age. An agent that restarts (`idle`) or does not answer leaves
 * its replica running.
 */
export function keepsReaders(view: ReplicaView, rule: ReplicaRule): boolean {
  if (view.ageMs > rule.ageMaxMs || view.role === 'idle') return true
  if (view.role !== 'replica') return false
  const left = !view.receiving && view.staleMs !== null
  return !left || rule.keepMsMax === null || (view.staleMs ?? 0) <= rule.keepMsMax
}

/**
 * When a member's data was last known to be complete, on the reader's clock; null: never. An agent that does not know
 * any more (its group has no holder now, or it was restarted) takes nothing from what was known.
 */
export function completeAtMs(knownMs: number | null, staleMs: number | null, atMs: number): number | null {
  if (staleMs === null) return knownMs
  return Math.max(knownMs ?? Number.NEGATIVE_INFINITY, atMs - staleMs)
}
