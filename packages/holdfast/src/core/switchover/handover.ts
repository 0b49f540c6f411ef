/**
 * A planned move (R27, R30): checkpoint, clean stop behind which every acknowledged write has reached the standbys,
 * the target's own word that it holds the final position, then the release that names it. Until the release every
 * step has a way back: the engine is started again in place under the same lease. SPEC.md has the states.
 */
import { freshReport } from '../lease/eligibility.ts'
import { answered, releasing } from '../lease/record.ts'
import { keepsRight } from '../lease/right.ts'
import { because, command, drawId, fence, patch, type Turn, wake, writeRecord } from '../lease/turn.ts'
import type { GroupRecord, Intent, MemberName } from '../model.ts'
import type { MemberSpec } from '../settings.ts'

/** A checkpoint that takes longer would make the stop long, too. */
const CHECKPOINT_DEADLINE_MS = 60_000
/** Deadlines of a request after which a target that does not confirm is given up. */
const CONFIRM_REQUESTS = 4
/** A target further behind than this would stretch the pause. */
export const TARGET_LAG_BYTES_MAX = 16 * 1024 * 1024
/** What a moment may mend: the target just came back, or the network blinked. */
const PASSING = new Set([
  'target-not-heard',
  'target-not-ready',
  'target-not-streaming',
  'target-not-in-sync',
  'target-lags',
])
/** A named target gets this many ttl to become fit: a fresh agent has its session after one. */
const PATIENCE_TTLS = 2

export interface TargetVerdict {
  readonly member: MemberName
  readonly ok: boolean
  readonly code: string
  readonly detail: Readonly<Record<string, string | number | boolean | null>>
}

/** Primary with an intent in the record: refuse it, or start the hand-over. */
export function considerIntent(turn: Turn): void {
  const { state, nowMs } = turn
  const record = state.record?.value ?? null
  const intent = record?.intent ?? null
  if (state.handover !== null && intent?.id !== state.handover.id) {
    because(turn, 'hand-over-withdrawn', { rule: 'R30', id: state.handover.id })
    patch(turn, { handover: null })
    return
  }
  if (record === null || intent === null || state.intentSeen === null) return
  if (state.write !== null || state.op !== null) return
  if (state.handover !== null) {
    afterCheckpoint(turn, record, intent)
    return
  }
  if (nowMs >= state.intentSeen.atMs + intent.validMs) {
    refuse(turn, record, intent, { code: 'expired', detail: {} })
    return
  }
  const target = chooseTarget(turn, record, intent)
  if (!target.ok) {
    if (!waitsFor(turn, intent, target)) refuse(turn, record, intent, target)
    return
  }
  because(turn, 'hands-over', { rule: 'R30', to: target.member, by: intent.by, id: intent.id })
  patch(turn, { handover: { id: intent.id, to: target.member, step: 'checkpoint' } })
  command(turn, { do: 'checkpoint' }, nowMs + CHECKPOINT_DEADLINE_MS)
}

/** Clients still write, so a target that a person named may take a moment to become fit. */
function waitsFor(turn: Turn, intent: Intent, { member, code, detail }: TargetVerdict): boolean {
  const { nowMs, settings } = turn
  const seen = turn.state.intentSeen
  if (seen === null || intent.to === null || !PASSING.has(code)) return false
  const endMs = seen.atMs + Math.min(intent.validMs, PATIENCE_TTLS * settings.timing.ttlMs)
  if (nowMs >= endMs) return false
  if (seen.waits !== code) {
    because(turn, 'waits-for-target', { rule: 'R30', ...detail, to: member, id: intent.id, why: code })
    patch(turn, { intentSeen: { ...seen, waits: code } })
  }
  wake(turn, endMs)
  return true
}

function refuse(
  turn: Turn,
  record: GroupRecord,
  intent: Intent,
  verdict: Pick<TargetVerdict, 'code' | 'detail'>,
): void {
  if (!writeRecord(turn, 'intent', answered(record, intent, false, verdict.code))) return
  because(turn, 'refuses-intent', { rule: 'R30', ...verdict.detail, id: intent.id, why: verdict.code })
}

/** The member asked for, or the best one; with the rule that speaks against it. */
export function chooseTarget(turn: Turn, record: GroupRecord, intent: Intent): TargetVerdict {
  const { settings } = turn
  const others = settings.members.filter((m) => m.member !== settings.self.member)
  if (intent.to !== null) {
    if (intent.to === settings.self.member) return bad(intent.to, 'already-primary')
    const spec = others.find((m) => m.member === intent.to)
    return spec === undefined ? bad(intent.to, 'unknown-member') : targetVerdict(turn, record, spec)
  }
  const verdicts = others.map((spec) => targetVerdict(turn, record, spec))
  return verdicts.find((v) => v.ok) ?? verdicts[0] ?? bad('', 'no-other-member')
}

function targetVerdict(turn: Turn, record: GroupRecord, spec: MemberSpec): TargetVerdict {
  const { state, settings, nowMs } = turn
  const report = freshReport(state, settings, spec.member, nowMs)
  if (spec.noFailover) return bad(spec.member, 'no-failover')
  if (report === null) return bad(spec.member, 'target-not-heard')
  const lacks = report.unready ?? (mayHavePromised(turn, spec.member) ? 'promised-to-primary' : null)
  if (lacks !== null) return bad(spec.member, 'target-not-ready', { lacks })
  const standby = state.view?.standbys.find((s) => s.member === spec.member)
  if (standby === undefined || !standby.streaming) return bad(spec.member, 'target-not-streaming')
  if (settings.replication.kind !== 'async' && !record.sync.members.includes(spec.member) && record.sync.need > 0) {
    // A clean stop still ships everything to every connected standby, so an unlisted one is allowed if it keeps up.
    if (lagOf(turn, standby.flushLsn) > TARGET_LAG_BYTES_MAX / 16) return bad(spec.member, 'target-not-in-sync')
  }
  const lagBytes = lagOf(turn, standby.flushLsn)
  if (lagBytes > TARGET_LAG_BYTES_MAX)
    return bad(spec.member, 'target-lags', { lagBytes, maxBytes: TARGET_LAG_BYTES_MAX })
  return { member: spec.member, ok: true, code: 'fit', detail: { lagBytes } }
}

/** Asked a moment ago to promise not to take over (R21); its newest word is from before it could have said so. */
function mayHavePromised({ state, settings }: Turn, member: MemberName): boolean {
  const { beatMs, requestMs } = settings.timing
  const fact = state.peers[member]
  const saidAtMs = fact === undefined ? 0 : fact.atMs - fact.report.loopAgeMs
  return state.nextRoundAtMs > 0 && saidAtMs < state.nextRoundAtMs - beatMs + requestMs
}

function lagOf(turn: Turn, flushLsn: number): number {
  return Math.max(0, (turn.state.view?.position?.lsn ?? 0) - flushLsn)
}

function bad(member: MemberName, code: string, detail: TargetVerdict['detail'] = {}): TargetVerdict {
  return { member, ok: false, code, detail: { ...detail, to: member } }
}

function afterCheckpoint(turn: Turn, record: GroupRecord, intent: Intent): void {
  const { state, settings, nowMs } = turn
  if (state.handover === null) return
  const spec = settings.members.find((m) => m.member === state.handover?.to)
  const verdict = spec === undefined ? bad(state.handover.to, 'unknown-member') : targetVerdict(turn, record, spec)
  if (!verdict.ok) {
    patch(turn, { handover: null })
    if (!waitsFor(turn, intent, verdict)) refuse(turn, record, intent, verdict)
    return
  }
  patch(turn, { role: 'demoting', handover: { ...state.handover, step: 'stop' } })
  command(turn, { do: 'stop' }, nowMs + settings.timing.stopMs)
}

export function decideDemoting(turn: Turn): void {
  const { state, settings, nowMs } = turn
  const record = state.record?.value ?? null
  const { hold } = state
  const ended = record !== null && hold !== null && record.epoch === hold.epoch && record.phase === 'released'
  if (ended && state.handover?.step === 'release') {
    patch(turn, { role: 'replica', hold: null, handover: null, failsafeUntilMs: 0 })
    turn.actions.push({ kind: 'disarm', member: settings.self.member })
    return
  }
  if (!keepsRight(turn) || record === null || state.handover === null) return
  if (state.handover.step === 'confirm') confirmTarget(turn)
  if (turn.state.handover?.step === 'release') releaseTo(turn, record, turn.state.handover.to)
  wake(turn, nowMs + settings.timing.requestMs)
}

/** The clean stop ended. */
export function stopDone(
  turn: Turn,
  outcome: { ok: boolean; position: { timeline: number; lsn: number } | null },
): void {
  const { state, nowMs } = turn
  const record = state.record?.value ?? null
  if (state.handover === null || record === null) return
  if (!outcome.ok || outcome.position === null) {
    wayBack(turn, 'clean-stop-failed')
    return
  }
  patch(turn, { handover: { ...state.handover, step: 'confirm' }, finalPosition: outcome.position })
  askTarget(turn, state.handover.to, nowMs)
}

function askTarget(turn: Turn, to: MemberName, startedAtMs: number): void {
  const id = drawId(turn)
  const epoch = (turn.state.record?.value?.epoch ?? 0) + 1
  turn.actions.push({ kind: 'ask-freeze', id, group: turn.settings.group, epoch, members: [to] })
  patch(turn, {
    gathering: { id, epoch, startedAtMs, askedAtMs: turn.nowMs, asked: [to], answers: {}, selfFrozen: true },
  })
}

/** The target must say itself that it holds the final position (R27). */
function confirmTarget(turn: Turn): void {
  const { state, settings, nowMs } = turn
  const { gathering, handover, finalPosition } = state
  if (gathering === null || handover === null || finalPosition === null) return
  const answer = gathering.answers[handover.to]
  const waitedMs = nowMs - gathering.startedAtMs
  if (answer === undefined && waitedMs < CONFIRM_REQUESTS * settings.timing.requestMs) return
  if (answer === null && waitedMs < (CONFIRM_REQUESTS - 1) * settings.timing.requestMs) {
    // It may not have heard of the hand-over yet; the record reaches it by a watch of its own.
    const againAtMs = gathering.askedAtMs + settings.timing.requestMs / 3
    if (nowMs >= againAtMs) askTarget(turn, handover.to, gathering.startedAtMs)
    else wake(turn, againAtMs)
    return
  }
  const has = answer?.engine?.position ?? null
  if (has === null || has.timeline !== finalPosition.timeline || has.lsn < finalPosition.lsn) {
    wayBack(turn, 'target-did-not-confirm', { finalLsn: finalPosition.lsn, targetLsn: has?.lsn ?? null })
    return
  }
  patch(turn, { handover: { ...handover, step: 'release' }, gathering: null })
}

function releaseTo(turn: Turn, record: GroupRecord, to: MemberName): void {
  const position = turn.state.finalPosition
  const release = { position, clean: true, to, because: 'switchover' }
  if (!writeRecord(turn, 'release', releasing(turn, record, release))) return
  because(turn, 'releases', { rule: 'R27', epoch: record.epoch, to, lsn: position?.lsn ?? null, clean: true })
}

/** Still holding the lease: the engine is made sure to be gone, then started again in place. */
function wayBack(turn: Turn, why: string, detail: TargetVerdict['detail'] = {}): void {
  patch(turn, { backBecause: { id: turn.state.handover?.id ?? '', why } })
  fence(turn, why, 'restart', detail)
}

/** Primary again after a way back: tell whoever asked. */
export function reportWayBack(turn: Turn): void {
  const { state } = turn
  const record = state.record?.value ?? null
  if (state.backBecause === null || record === null || state.write !== null) return
  const { id, why } = state.backBecause
  if (record.intent?.id === id && !writeRecord(turn, 'intent', answered(record, record.intent, false, why))) return
  patch(turn, { backBecause: null })
}
