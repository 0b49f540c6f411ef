/**
 * Which replica a read connection goes to. Pure; statuses are gathered by `router/`.
 *
 * A replica counts only when its own agent said so recently: it runs, answers, receives, and its lag is known and
 * within the bound (unknown is too far). The nearest site wins, then who has the fewest sessions, then the name.
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
}

export interface ReplicaRule {
  readonly site: string
  readonly lagBytesMax: number
  readonly ageMaxMs: number
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

/** The members to try, best first. */
export function replicasFor(views: readonly ReplicaView[], rule: ReplicaRule): readonly MemberName[] {
  const distance = (view: ReplicaView): number => (view.site === rule.site ? 0 : 1)
  return views
    .filter((view) => replicaVerdict(view, rule) === null)
    .toSorted((a, b) => distance(a) - distance(b) || a.sessions - b.sessions || (a.member < b.member ? -1 : 1))
    .map((view) => view.member)
}

/**
 * Sessions stay until the member is known to be something else than a replica: only new ones look at lag and age. An
 * agent that restarts (`idle`) or does not answer leaves its replica running.
 */
export function keepsReaders(view: ReplicaView, rule: ReplicaRule): boolean {
  return view.role === 'replica' || view.role === 'idle' || view.ageMs > rule.ageMaxMs
}
