/** The primary's side of the sync room: looks at its standbys, asks plan.ts for the next step, and takes it. */
import { readyDisk, UNPUBLISHED_CLOSE } from '../lease/eligibility.ts'
import { publication } from '../lease/record.ts'
import { because, command, patch, standing, type Turn, wake, writeRecord } from '../lease/turn.ts'
import type { GroupRecord, MemberName, RecordedSyncSet, SyncSet } from '../model.ts'
import type { MemberSpec } from '../settings.ts'
import { holdsHistory, nextSyncStep, settled } from './plan.ts'
import { type StandbyHealth, wantedSync } from './wanted.ts'

/** Applying a setting is a reload; more than this and the engine is in trouble that its own probe will show. */
const APPLY_DEADLINE_MS = 5_000

const NOTHING = { do: 'nothing' } as const
const R14 = { rule: 'R14' } as const

export function manageSync(turn: Turn): void {
  const { state, settings, nowMs } = turn
  const record = state.record?.value ?? null
  if (record === null || record.phase !== 'open' || state.view === null) return
  if (state.write !== null || state.op !== null || state.handover !== null) return
  if (state.view.role !== 'primary' || !state.view.answering) return
  if (nowMs < state.retry.atMs) {
    wake(turn, state.retry.atMs)
    return
  }
  const health: StandbyHealth[] = []
  for (const { member } of settings.members) if (member !== settings.self.member) health.push(healthOf(turn, member))
  const engine = state.engineSync?.sync ?? null
  const wanted = wantedSync(settings, { recorded: record.sync, engine, unpublished: ranAhead(turn, record) }, health)
  const plan = { recorded: record.sync, engine: state.engineSync, wanted }
  const step = settled(plan) ? NOTHING : nextSyncStep({ ...plan, confirmedLsn: confirmedBy(turn) })
  switch (step.do) {
    case 'apply':
      because(turn, 'applies-sync', { rule: 'R14', members: step.sync.members.join(' '), need: step.sync.need })
      patch(turn, { engineSync: null, applying: step.sync })
      command(turn, { do: 'apply-sync', sync: step.sync }, nowMs + APPLY_DEADLINE_MS)
      return
    case 'publish':
      publish(turn, step.sync)
      return
    case 'wait':
      standing(turn, 'sync', 'sync-waits', { rule: 'R14', confirmed: step.confirmed, need: step.need })
      return
    case 'nothing':
      if (listChanged(turn, record.members)) return
      if (diskChanged(turn, record.sync)) publish(turn, record.sync)
      standing(turn, 'sync', wanted.recorded.need === 0 || anyHealthy(health) ? null : 'no-healthy-standby', R14)
      return
  }
}

function anyHealthy(health: readonly StandbyHealth[]): boolean {
  for (const { healthy } of health) if (healthy) return true
  return false
}

/** Durable log end of each standby whose disk is known. */
function confirmedBy(turn: Turn): Readonly<Record<MemberName, number>> {
  const confirmedLsn: Record<MemberName, number> = {}
  for (const s of turn.state.view?.standbys ?? []) {
    if (s.streaming && diskOf(turn, s.member) !== null) confirmedLsn[s.member] = s.flushLsn
  }
  return confirmedLsn
}

/**
 * A candidate counts with what was published (the record's word at the opening, then each confirmed beat), so an async
 * primary that is cut off must not acknowledge without end beyond that: the declared bound would be an estimate only.
 */
function ranAhead(turn: Turn, record: GroupRecord): boolean {
  const { replication } = turn.settings
  const lsn = turn.state.view?.position?.lsn
  if (replication.kind !== 'async' || lsn === undefined) return false
  const beat = turn.session?.published?.epoch === record.epoch ? turn.session.published.lsn : 0
  const opened = record.lastPublished?.epoch === record.epoch ? record.lastPublished.lsn : 0
  return lsn - Math.max(beat, opened) > replication.lossBytesMax * UNPUBLISHED_CLOSE
}

/** A listed member came back with another disk that streams again: confirm the new one (S8). */
function diskChanged(turn: Turn, sync: RecordedSyncSet): boolean {
  const { engineSync } = turn.state
  if (engineSync === null) return false
  const { lsn } = engineSync
  const others = sync.members.filter((m) => {
    const disk = diskOf(turn, m)
    return disk !== null && disk !== sync.disks[m]
  })
  if (others.length === 0) return false
  const confirmedLsn = confirmedBy(turn)
  return others.some((m) => (confirmedLsn[m] ?? -1) >= lsn) && holdsHistory(sync, lsn, confirmedLsn)
}

/** The described members differ from the recorded failsafe list (R21). */
function listChanged(turn: Turn, listed: readonly MemberName[]): boolean {
  const record = turn.state.record?.value ?? null
  const described = turn.settings.members
  if (record === null || namesAre(listed, described)) return false
  const members = described.map((m) => m.member)
  because(turn, 'changes-member-list', { rule: 'R21', members: members.join(' ') })
  return writeRecord(turn, 'sync', { ...record, members })
}

function namesAre(listed: readonly MemberName[], described: readonly MemberSpec[]): boolean {
  if (described.length !== listed.length) return false
  for (const { member } of described) if (!listed.includes(member)) return false
  return true
}

function publish(turn: Turn, { members, need }: SyncSet): void {
  const record = turn.state.record?.value ?? null
  if (record === null) return
  const disks: Record<MemberName, string> = {}
  for (const member of members) {
    const disk = diskOf(turn, member)
    if (disk === null) return
    disks[member] = disk
  }
  if (!writeRecord(turn, 'sync', publication(record, { members, need }, disks))) return
  because(turn, 'publishes-sync', { rule: 'R14', members: members.join(' '), need })
}

function diskOf(turn: Turn, member: MemberName): string | null {
  return readyDisk(turn.state, turn.settings, member, turn.nowMs)
}

/**
 * Healthy: streams now, or did within a beat and a request; short breaks must not move the set. Brisk: it reaches our
 * log end within the same time; one that is frozen or cut off silently streams on paper for seconds.
 */
function healthOf(turn: Turn, member: MemberName): StandbyHealth {
  const { state, settings, nowMs } = turn
  const standby = state.view?.standbys.find((s) => s.member === member)
  const known = diskOf(turn, member) !== null
  const streaming = standby?.streaming === true
  const pace = state.pace[member]
  if (pace === undefined) return { member, healthy: streaming && known, brisk: streaming }
  const patienceMs = settings.timing.beatMs + settings.timing.requestMs
  const graceUntilMs = pace.streamedAtMs + patienceMs
  if (nowMs < graceUntilMs) wake(turn, graceUntilMs)
  const met = standby !== undefined && standby.flushLsn >= pace.goalLsn
  return {
    member,
    healthy: (streaming && known) || nowMs < graceUntilMs,
    brisk: met || nowMs < pace.metAtMs + patienceMs,
  }
}

export function syncApplied(turn: Turn, sync: SyncSet, lsn: number): void {
  patch(turn, { engineSync: { sync, lsn }, applying: null })
}
