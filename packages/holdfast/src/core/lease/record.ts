/** The only places where a new version of the group record is composed. Each takes the version it replaces. */
import {
  type EngineView,
  type GroupRecord,
  type Intent,
  type MemberName,
  NO_SYNC,
  type RecordedSyncSet,
  type Release,
  type SyncSet,
} from '../model.ts'
import type { Turn } from './turn.ts'

type Draft = Omit<GroupRecord, 'stamp' | 'v'>

const EMPTY_SYNC: RecordedSyncSet = { ...NO_SYNC, disks: {} }

function lead(turn: Turn): Pick<GroupRecord, 'holder' | 'agent' | 'session'> {
  const { member, agent } = turn.settings.self
  return { holder: member, agent, session: turn.session?.id ?? null }
}

/** First leadership of a group that never existed, or of one whose creation was not finished. */
export function creation(turn: Turn, before: GroupRecord | null): Draft {
  return {
    group: turn.settings.group,
    epoch: (before?.epoch ?? 0) + 1,
    phase: 'creating',
    ...lead(turn),
    systemId: null,
    timeline: 1,
    members: turn.settings.members.map((m) => m.member),
    sync: EMPTY_SYNC,
    lastOpen: null,
    lastPublished: null,
    release: null,
    intent: before?.intent ?? null,
    pause: before?.pause ?? null,
    lastIntent: before?.lastIntent ?? null,
  }
}

/**
 * Takes the lease. Sync set and last open holder stay: until the record says `open` no acknowledgement is possible
 * (the gate), so the old rule still tells who is complete, also when this promotion fails.
 */
export function claim(turn: Turn, before: GroupRecord): Draft {
  const lastPublished = turn.state.holder?.published ?? before.lastPublished
  return { ...before, epoch: before.epoch + 1, phase: 'claimed', ...lead(turn), lastPublished, release: null }
}

/** From here on the holder may acknowledge; only it is known to be complete until a sync set is published. */
export function opening(turn: Turn, before: GroupRecord, view: EngineView): Draft {
  const { intent } = before
  return {
    ...before,
    phase: 'open',
    timeline: view.position?.timeline ?? before.timeline,
    systemId: before.systemId ?? view.systemId,
    members: turn.settings.members.map((m) => m.member),
    sync: EMPTY_SYNC,
    lastPublished: atOpening(before, view),
    lastOpen: { member: turn.settings.self.member, epoch: before.epoch, diskId: view.diskId ?? '' },
    intent: null,
    lastIntent: intent === null ? before.lastIntent : outcomeOf(intent, turn.settings.self.member),
  }
}

/** The log end at the opening is published with it, before the first beat can tell. */
function atOpening(before: GroupRecord, view: EngineView): GroupRecord['lastPublished'] {
  if (view.position === null) return null
  return { epoch: before.epoch, timeline: view.position.timeline, lsn: view.position.lsn, ackedLsn: 0 }
}

function outcomeOf(intent: Intent, opened: MemberName): GroupRecord['lastIntent'] {
  const ok = intent.to === null || intent.to === opened
  return { id: intent.id, ok, because: ok ? 'done' : `${opened} took over instead` }
}

export function publication(before: GroupRecord, sync: SyncSet, disks: Readonly<Record<MemberName, string>>): Draft {
  return { ...before, sync: { ...sync, disks } }
}

export function releasing(turn: Turn, before: GroupRecord, release: Release): Draft {
  const words = [turn.state.finalPublished, turn.session?.inherited ?? null, before.lastPublished]
  const lastPublished = words.find((p) => p?.epoch === before.epoch) ?? before.lastPublished
  return { ...before, phase: 'released', release, lastPublished }
}

export function answered(before: GroupRecord, intent: Intent, ok: boolean, why: string): Draft {
  return { ...before, intent: null, lastIntent: { id: intent.id, ok, because: why } }
}
