/** Chooses the sync sets a primary wants, from the kind of replication and who is healthy. Pure; see SPEC.md. */
import { type MemberName, NO_SYNC, type SyncSet } from '../model.ts'
import type { MemberSettings, MemberSpec } from '../settings.ts'

export interface StandbyHealth {
  readonly member: MemberName
  /** Streams, or did a moment ago, and its disk is known. */
  readonly healthy: boolean
  /** Reached our log end lately. Decides who is chosen, never whether there are enough: all may be slow under load. */
  readonly brisk: boolean
}

export interface Now {
  readonly recorded: SyncSet
  readonly engine: SyncSet | null
  /** Async: the log has run ahead of what was published by more than its share of the loss bound. */
  readonly unpublished: boolean
}

export interface Wanted {
  readonly recorded: SyncSet
  readonly engine: SyncSet
}

/**
 * - async: nobody confirms, unless the log ran ahead of what was published: then anybody must, until the next beat.
 * - sync: one chosen standby confirms everything, so that it alone may take over. It is kept while it is healthy, and
 *   while no other keeps up better.
 * - quorum n: any n of all healthy standbys.
 * With too few healthy standbys `block` keeps acknowledgements waiting for anybody who comes back, `continue` goes on
 * alone; then nobody else may take over.
 */
export function wantedSync(settings: MemberSettings, now: Now, health: readonly StandbyHealth[]): Wanted {
  const { recorded } = now
  const { replication } = settings
  if (replication.kind === 'async')
    return { recorded: NO_SYNC, engine: now.unpublished ? anybody(settings, 1) : NO_SYNC }
  const need = replication.kind === 'sync' ? 1 : replication.need
  if (stays(settings, recorded, health)) return both({ members: recorded.members, need: recorded.need })
  const healthy = healthyInOrder(settings, health)
  if (healthy.length < need && settings.whenAlone === 'continue' && healthy.length > 0) {
    return both({ members: [...healthy].sort(), need: healthy.length })
  }
  if (healthy.length < need) return tooFew(settings, recorded, need)
  if (replication.kind === 'quorum') return both({ members: [...healthy].sort(), need })
  // The listed one stays; so does one that was chosen and is still confirming what came before it.
  const choosing = now.engine?.members.length === 1 ? now.engine.members : []
  const brisk = healthy.filter((m) => health.some((h) => h.brisk && h.member === m))
  const from = brisk.length > 0 ? brisk : healthy
  const kept = [...(recorded.need === 1 ? recorded.members : []), ...choosing].find((m) => from.includes(m))
  const chosen = kept ?? from[0]
  return both({ members: chosen === undefined ? [] : [chosen], need: 1 })
}

/** What is recorded is what would be chosen: the usual case, seen without weighing anybody. */
function stays(settings: MemberSettings, recorded: SyncSet, health: readonly StandbyHealth[]): boolean {
  const { replication } = settings
  const need = replication.kind === 'quorum' ? replication.need : 1
  if (recorded.need !== need || recorded.members.length < need) return false
  if (replication.kind === 'sync' && recorded.members.length > 1) return false
  let listed = 0
  for (const { member, noFailover } of settings.members) {
    if (member === settings.self.member || noFailover) continue
    const of = health.find((h) => h.member === member)
    const isListed = recorded.members.includes(member)
    if (isListed) listed += 1
    if (replication.kind === 'quorum' && (of?.healthy === true) !== isListed) return false
    if (replication.kind === 'sync' && isListed && !(of?.healthy === true && of.brisk)) return false
  }
  return listed === recorded.members.length
}

/** Members that could take over and stream, preferred ones first. */
function healthyInOrder(settings: MemberSettings, health: readonly StandbyHealth[]): MemberName[] {
  const able: MemberSpec[] = []
  for (const m of settings.members) {
    if (m.member === settings.self.member || m.noFailover) continue
    if (isHealthy(health, m.member)) able.push(m)
  }
  if (able.some((m, i) => i > 0 && preferred(able[i - 1] ?? m, m) > 0)) able.sort(preferred)
  return able.map((m) => m.member)
}

function isHealthy(health: readonly StandbyHealth[], member: MemberName): boolean {
  for (const h of health) if (h.member === member) return h.healthy
  return false
}

function preferred(a: MemberSpec, b: MemberSpec): number {
  return b.priority - a.priority || (a.member < b.member ? -1 : 1)
}

function tooFew(settings: MemberSettings, recorded: SyncSet, need: number): Wanted {
  if (settings.whenAlone === 'continue') return { recorded: NO_SYNC, engine: NO_SYNC }
  if (recorded.need === 0) return { recorded: NO_SYNC, engine: anybody(settings, need) }
  return both({ members: recorded.members, need: recorded.need })
}

function anybody(settings: MemberSettings, need: number): SyncSet {
  const others = settings.members.filter((m) => m.member !== settings.self.member && !m.noFailover)
  return { members: others.map((m) => m.member).sort(), need }
}

function both(sync: SyncSet): Wanted {
  return { recorded: sync, engine: sync }
}
