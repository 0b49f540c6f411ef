/**
 * Who may take over, and why not. One verdict per member from what this node knows; the same function serves the
 * decision, `explain` and the observe mode. Rules R11, R12, R15, R16.
 */
import {
  type EngineView,
  type GroupRecord,
  type MemberName,
  NEVER_MS,
  type PeerReport,
  type Position,
  type PublishedPosition,
} from '../model.ts'
import type { MemberSettings, MemberSpec } from '../settings.ts'
import type { HolderFact, MemberState } from './member-state.ts'

/**
 * Share of the loss bound that an async holder may have acknowledged without having published it. It closes the gate at
 * a quarter (`sync-set/wanted.ts`); the other quarter covers what is written until the gate is in effect.
 */
export const UNPUBLISHED_CLOSE = 0.25
const UNPUBLISHED_ALLOWED = 0.5

export interface Exclusion {
  readonly code: string
  readonly rule: string
  readonly detail: Readonly<Record<string, string | number | boolean | null>>
}

export interface Verdict {
  readonly member: MemberName
  readonly position: Position | null
  readonly eligible: boolean
  /** It holds every acknowledged write by itself, without comparing with anybody. */
  readonly complete: boolean
  /** It is listed with the very disk it has now, so its answer counts in an election. */
  readonly diskConfirmed: boolean
  readonly because: readonly Exclusion[]
  /** Async only: the most that could be lost, as this node estimates it. */
  readonly lossBytes: number | null
  readonly lossMs: number | null
}

/** A member as a candidate: its spec and the newest view of its engine that may be believed. */
export interface Candidate {
  readonly spec: MemberSpec
  readonly view: EngineView | null
}

export interface Case {
  readonly settings: MemberSettings
  readonly record: GroupRecord
  /** When this node first saw that version of it. */
  readonly recordSeenAtMs: number
  readonly holder: HolderFact | null
  readonly nowMs: number
  readonly allowDataLoss: boolean
  /** Until when we promised the holder to stand back: it may have gone on so long without publishing (R21). */
  readonly promisedUntilMs: number
  /** What the holder itself last told us of its log, and when. */
  readonly told: { readonly lsn: number; readonly atMs: number } | null
}

const no = (code: string, rule: string, detail: Exclusion['detail'] = {}): Exclusion => ({ code, rule, detail })

export function verdictOf(c: Case, candidate: Candidate): Verdict {
  const { spec, view } = candidate
  const found = basics(c, spec, view)
  const complete = isComplete(c.record, spec.member, view)
  const loss = lossOf(c, view)
  if (!c.allowDataLoss && view !== null && !complete) found.push(...dataRules(c, spec.member, view, loss))
  return {
    member: spec.member,
    position: view?.position ?? null,
    eligible: found.length === 0,
    complete,
    diskConfirmed: view !== null && c.record.sync.disks[spec.member] === view.diskId,
    because: found,
    lossBytes: loss?.bytes ?? null,
    lossMs: loss?.ms ?? null,
  }
}

function basics(c: Case, spec: MemberSpec, view: EngineView | null): Exclusion[] {
  const out: Exclusion[] = []
  if (!c.record.members.includes(spec.member))
    out.push(no('not-in-failsafe-list', 'R21', { listed: c.record.members.length }))
  if (spec.noFailover) out.push(no('no-failover', 'R11'))
  if (view === null) {
    out.push(no('not-seen', 'R11'))
    return out
  }
  if (view.data !== 'ready') out.push(no('data-not-ready', 'R11', { data: view.data }))
  if (!view.answering) out.push(no('engine-not-answering', 'R11', { running: view.running }))
  if (c.record.systemId !== null && view.systemId !== c.record.systemId) {
    out.push(no('system-id-differs', 'R11', { own: view.systemId, group: c.record.systemId }))
  }
  const openedEpoch = c.record.lastOpen?.epoch ?? 0
  if (view.unopenedEpoch !== null && view.unopenedEpoch < openedEpoch) {
    out.push(no('unopened-fork', 'R28', { promotedEpoch: view.unopenedEpoch, openedEpoch }))
  }
  if (view.position === null) {
    out.push(no('position-unknown', 'R11'))
    return out
  }
  if (view.position.timeline < c.record.timeline) {
    out.push(no('timeline-behind', 'R11', { own: view.position.timeline, group: c.record.timeline }))
  }
  const final = c.record.release?.position ?? null
  if (final !== null && c.record.release?.clean === true && view.position.lsn < final.lsn && !c.allowDataLoss) {
    out.push(no('behind-final-position', 'R27', { ownLsn: view.position.lsn, finalLsn: final.lsn }))
  }
  return out
}

function isComplete(record: GroupRecord, member: MemberName, view: EngineView | null): boolean {
  const open = record.lastOpen
  return open !== null && open.member === member && view !== null && view.diskId === open.diskId
}

function dataRules(
  c: Case,
  member: MemberName,
  view: EngineView,
  loss: { bytes: number; ms: number } | null,
): Exclusion[] {
  if (cleanlyReceived(c.record, view)) return []
  const { replication } = c.settings
  const { sync } = c.record
  // The record tells how the last holder acknowledged; a candidate with newer settings must not judge by those.
  if (replication.kind === 'async' && sync.need === 0) return asyncRules(replication, loss)
  if (!sync.members.includes(member))
    return [no('not-in-sync-set', 'R16', { listed: sync.members.join(' ') || 'none' })]
  if (sync.disks[member] !== view.diskId) return [no('other-disk-than-confirmed', 'R11')]
  const floor = floorLsn(c)
  const lsn = view.position?.lsn ?? -1
  if (lsn < floor) return [no('below-acknowledged-floor', 'R12', { ownLsn: lsn, floorLsn: floor })]
  return []
}

/** A clean release carries the final position; whoever has it has everything, listed or not (R27, R30). */
function cleanlyReceived(record: GroupRecord, view: EngineView): boolean {
  const release = record.release
  if (release === null || !release.clean || release.position === null || view.position === null) return false
  return view.position.timeline === release.position.timeline && view.position.lsn >= release.position.lsn
}

/** The last open holder's own word on its log: from its session as seen here, or as kept by a claim that failed. */
function publishedBy(c: Case): PublishedPosition | null {
  const openedEpoch = c.record.lastOpen?.epoch ?? -1
  const words = [c.holder?.published ?? null, c.record.lastPublished].filter((p) => p?.epoch === openedEpoch)
  // Either may be old: a watch that lagged, or a record written at the opening. The one further on is the newer.
  return words.reduce((a, b) => ((b?.lsn ?? -1) > (a?.lsn ?? -1) ? b : a), null)
}

function floorLsn(c: Case): number {
  return publishedBy(c)?.ackedLsn ?? -1
}

function asyncRules(
  bound: { readonly lossBytesMax: number; readonly lossMsMax: number },
  loss: { bytes: number; ms: number } | null,
): Exclusion[] {
  if (loss === null) return [no('lag-unknown', 'R11')]
  const out: Exclusion[] = []
  if (loss.bytes > bound.lossBytesMax) {
    out.push(no('loss-bytes-above-bound', 'R11', { lossBytes: Math.ceil(loss.bytes), boundBytes: bound.lossBytesMax }))
  }
  if (loss.ms > bound.lossMsMax) {
    out.push(no('loss-time-above-bound', 'R11', { lossMs: Math.ceil(loss.ms), boundMs: bound.lossMsMax }))
  }
  return out
}

/**
 * The most a takeover by this copy could lose: what the holder published, plus what it may have acknowledged beyond
 * that (it closes the gate at `UNPUBLISHED_CLOSE` of the bound), less what the copy has. Null: never published.
 */
function lossOf(c: Case, view: EngineView | null): { bytes: number; ms: number } | null {
  const published = publishedBy(c)
  const lsn = view?.position?.lsn
  if (published === null || lsn === undefined) return null
  const { replication, timing } = c.settings
  const beyond = replication.kind === 'async' ? replication.lossBytesMax * UNPUBLISHED_ALLOWED : 0
  const bytes = Math.max(0, published.lsn + beyond - lsn)
  if (c.holder === null) return { bytes, ms: lsn >= published.lsn ? timing.ttlMs : NEVER_MS }
  const released = c.record.phase === 'released' ? c.recordSeenAtMs : 0
  const { publishedAtMs, publishedAfterMs, history } = c.holder
  const hasAll = lsn >= published.lsn
  const afterMs = (hasAll ? publishedAfterMs : history.findLast((h) => h.lsn <= lsn)?.afterMs) ?? null
  if (afterMs === null) return { bytes, ms: NEVER_MS }
  // By its own right a holder wrote for a ttl after its last beat, whenever that was sent; by a promise until its end.
  const grantedUntilMs = Math.max(released, c.promisedUntilMs)
  const wroteUntilMs = Math.max(publishedAtMs + timing.ttlMs, grantedUntilMs)
  const byBeatsMs = (hasAll ? grantedUntilMs : wroteUntilMs) - afterMs
  const byWordMs = c.told !== null && lsn >= c.told.lsn ? wroteUntilMs - c.told.atMs : NEVER_MS
  return { bytes, ms: Math.max(timing.ttlMs, Math.min(byBeatsMs, byWordMs)) }
}

/** Better first: further on, then preferred, then by name so that all agree. */
export function better(a: PeerLike, b: PeerLike): number {
  const lead =
    (b.position?.timeline ?? -1) - (a.position?.timeline ?? -1) || (b.position?.lsn ?? -1) - (a.position?.lsn ?? -1)
  return lead || b.priority - a.priority || (a.member < b.member ? -1 : 1)
}

export interface PeerLike {
  readonly member: MemberName
  readonly position: Position | null
  readonly priority: number
}

/** All members as this node knows them: itself from its engine, others from fresh reports. */
export function candidatesOf(state: MemberState, settings: MemberSettings, nowMs: number): Candidate[] {
  const primary = primaryView(state, settings, nowMs)
  return settings.members.map((spec) => {
    if (spec.member === settings.self.member) return { spec, view: state.view }
    const report = freshReport(state, settings, spec.member, nowMs)
    return { spec, view: asConfirmed(report?.engine ?? null, spec.member, primary) }
  })
}

/**
 * A report is up to a beat old, and under load every standby looks behind then. What a living primary has seen it
 * confirm since is as good as its own word.
 */
function asConfirmed(view: EngineView | null, member: MemberName, primary: EngineView | null): EngineView | null {
  const at = view?.position ?? null
  const confirmed = primary?.standbys.find((s) => s.member === member && s.streaming)?.flushLsn
  if (view === null || at === null || confirmed === undefined || confirmed <= at.lsn) return view
  return at.timeline === primary?.position?.timeline
    ? { ...view, position: { timeline: at.timeline, lsn: confirmed } }
    : view
}

function primaryView(state: MemberState, settings: MemberSettings, nowMs: number): EngineView | null {
  const holder = state.record?.value?.holder ?? null
  if (holder === null) return null
  const view =
    holder === settings.self.member ? state.view : (freshReport(state, settings, holder, nowMs)?.engine ?? null)
  return view?.role === 'primary' ? view : null
}

export function freshReport(
  state: Pick<MemberState, 'peers'>,
  settings: MemberSettings,
  member: MemberName,
  nowMs: number,
): PeerReport | null {
  const fact = state.peers[member]
  if (fact === undefined) return null
  const ageMs = nowMs - fact.atMs + fact.report.loopAgeMs
  return ageMs <= settings.timing.reportMaxAgeMs ? fact.report : null
}

/** Disk of a member whose copy is complete, by its newest report; null: not known. */
export function readyDisk(
  state: Pick<MemberState, 'peers'>,
  settings: MemberSettings,
  member: MemberName,
  nowMs: number,
): string | null {
  const engine = freshReport(state, settings, member, nowMs)?.engine
  return engine?.data === 'ready' ? engine.diskId : null
}

/** The case of this node, without leave to lose anything. */
export function caseOf(state: MemberState, settings: MemberSettings, record: GroupRecord, nowMs: number): Case {
  const recordSeenAtMs = state.record?.firstSeenAtMs ?? nowMs
  const fact = record.holder === null ? undefined : state.peers[record.holder]
  const position = fact?.report.engine?.role === 'primary' ? fact.report.engine.position : null
  const told =
    fact === undefined || position == null || fact.report.epoch !== record.epoch
      ? null
      : { lsn: position.lsn, atMs: fact.atMs - fact.report.loopAgeMs }
  const { holder, promisedUntilMs } = state
  return { settings, record, recordSeenAtMs, holder, nowMs, allowDataLoss: false, promisedUntilMs, told }
}

/** Verdicts on every member, for `explain`. */
export function candidateVerdicts(state: MemberState, settings: MemberSettings, nowMs: number): readonly Verdict[] {
  const record = state.record?.value ?? null
  if (record === null) return []
  const c = caseOf(state, settings, record, nowMs)
  return candidatesOf(state, settings, nowMs).map((candidate) => verdictOf(c, candidate))
}
