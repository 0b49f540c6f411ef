/**
 * A replica decides whether to take the lease. In order: may it act at all; is the holder certainly gone (proof.ts);
 * does nobody reachable claim to be writable (R10); is this copy good enough (eligibility.ts); after all candidates
 * stopped receiving (R13), is it the best one (R12) and are there enough of them (R15)? Only then a compare-and-set.
 */
import type { GroupRecord, MemberName } from '../model.ts'
import {
  better,
  type Case,
  candidateVerdicts,
  caseOf,
  freshReport,
  type PeerLike,
  type Verdict,
  verdictOf,
} from './eligibility.ts'
import { creationTurn } from './founding.ts'
import type { Gathering } from './member-state.ts'
import { holderProof } from './proof.ts'
import { answered, claim } from './record.ts'
import { holdsBack, intentStands, orderExpired } from './restraint.ts'
import { because, command, drawId, patch, readSession, standing, type Turn, wake, writeRecord } from './turn.ts'

/** A better-placed member gets this many beats to act before it is passed over. */
const DEFER_BEATS = 3

export function considerTakeover(turn: Turn): void {
  const record = turn.state.record?.value ?? null
  if (record === null) return
  const proof = holderProof(turn)
  if (proof.kind === 'alive') return
  if (proof.kind === 'wait') {
    if (turn.state.gathering !== null) patch(turn, { gathering: null })
    wake(turn, proof.untilMs)
    return
  }
  if (proof.kind === 'gone' && orderExpired(turn, record) && record.intent !== null && turn.session !== null) {
    // Left standing, an old order would be new again to every process that starts later.
    writeRecord(turn, 'intent', answered(record, record.intent, false, 'expired'))
    return
  }
  const held = holdsBack(turn, record)
  if (held !== null) {
    standing(turn, 'takeover', held.code, { rule: held.rule, ...held.detail })
    return
  }
  if (proof.kind === 'look') {
    readSession(turn, proof.agent)
    return
  }
  standing(turn, 'holder', `holder-${proof.how}`, {
    rule: 'R9',
    holder: record.holder,
    epoch: record.epoch,
    silentMs: Math.round(proof.silentMs),
  })
  if (record.systemId === null) {
    creationTurn(turn, record)
    return
  }
  choose(turn, record)
}

function choose(turn: Turn, record: GroupRecord): void {
  const { state, settings, nowMs } = turn
  const writable = settings.members.find((m) => {
    // A released lease was given back after its engine was seen gone, so what its holder reported before is over.
    if (m.member === settings.self.member || (record.phase === 'released' && m.member === record.holder)) return false
    const report = freshReport(state, settings, m.member, nowMs)
    return report !== null && report.epoch >= record.epoch && report.writableForMs > 0
  })
  if (writable !== undefined) {
    standing(turn, 'takeover', 'peer-still-writable', { rule: 'R10', peer: writable.member })
    return
  }
  const allowDataLoss = intentStands(turn, record) && record.intent?.allowDataLoss === true
  const c: Case = { ...caseOf(state, settings, record, nowMs), allowDataLoss }
  const own = verdictOf(c, { spec: settings.self, view: state.view })
  if (!own.eligible) {
    if (isFurthest(turn, c, own)) compare(turn, c, own)
    else refuse(turn, own)
    return
  }
  if (mustCompare(c, own)) compare(turn, c, own)
  else if (!yieldsTo(turn, c, own)) take(turn, record, own)
}

/**
 * A copy that is not listed but further on than a listed one, on its timeline, holds whatever that one holds. When it
 * leads, the listed one just follows; else it would have to be rewound first, and writers wait for it when the old
 * host is gone. It proves what it holds by comparing, as an election does (R13, R15).
 */
function isFurther(v: Verdict, listed: Verdict): boolean {
  if (v.position === null || listed.position === null || !onlyUnlisted(v)) return false
  return v.position.timeline === listed.position.timeline && v.position.lsn > listed.position.lsn
}

function onlyUnlisted(v: Verdict): boolean {
  return v.because.length === 1 && v.because[0]?.code === 'not-in-sync-set'
}

/** By the newest reports this copy is further on than every listed one, and one of them could vouch for it. */
function isFurthest(turn: Turn, c: Case, own: Verdict): boolean {
  if (!onlyUnlisted(own) || c.record.sync.need === 0) return false
  const listed = candidateVerdicts(turn.state, turn.settings, turn.nowMs).filter(
    (v) => c.record.sync.members.includes(v.member) && v.position !== null,
  )
  return listed.some((v) => v.eligible) && listed.every((v) => isFurther(own, v))
}

/**
 * Leaves the lease for a beat to one that is further on, once. Reports are up to a beat old: as soon as the newest ones
 * no longer say so, for instance because the own log was read again when the other one asked, the wait ends.
 */
function yieldsTo(turn: Turn, c: Case, own: Verdict): boolean {
  const { state, settings, nowMs } = turn
  if (own.complete || c.record.release?.clean === true || c.record.sync.need === 0) return false
  const further = candidateVerdicts(state, settings, nowMs).find(
    (v) => isFurther(v, own) && freshReport(state, settings, v.member, nowMs)?.unready === null,
  )
  if (further === undefined) return false
  if (nowMs < state.deferUntilMs) {
    wake(turn, state.deferUntilMs)
    return true
  }
  if (state.deferredTo !== null) return false
  const deferUntilMs = nowMs + settings.timing.beatMs
  because(turn, 'defers-to', {
    rule: 'R12',
    to: further.member,
    theirLsn: further.position?.lsn ?? null,
    ownLsn: own.position?.lsn ?? null,
  })
  patch(turn, { deferUntilMs, deferredTo: further.member })
  wake(turn, deferUntilMs)
  return true
}

function refuse(turn: Turn, own: Verdict): void {
  const first = own.because[0]
  if (first === undefined) return
  standing(turn, 'takeover', first.code, { rule: first.rule, ...first.detail })
  const nobody = candidateVerdicts(turn.state, turn.settings, turn.nowMs).every((v) => !v.eligible)
  alarm(turn, nobody)
}

/**
 * Reports are a beat old and engines take a moment to start: only a lack that lasts one ttl is worth waking somebody.
 */
function alarm(turn: Turn, nobody: boolean): void {
  const { nowMs, settings, state } = turn
  const fromMs = nobody ? state.alarmFromMs || nowMs : 0
  if (fromMs !== state.alarmFromMs) patch(turn, { alarmFromMs: fromMs })
  const dueMs = fromMs + settings.timing.ttlMs
  if (nobody && nowMs < dueMs) {
    wake(turn, dueMs)
    return
  }
  standing(turn, 'alarm', nobody ? 'HF_NO_SAFE_CANDIDATE' : null, { rule: 'R16', members: settings.members.length })
}

/** No comparison is needed when this copy is complete by itself: who else may be ahead holds nothing acknowledged. */
function mustCompare(c: Case, own: Verdict): boolean {
  if (c.settings.members.length === 1) return false
  if (own.complete && !c.allowDataLoss) return false
  const release = c.record.release
  if (release?.clean === true && release.to === own.member) return false
  if (c.record.sync.need === 0 || c.allowDataLoss) return true
  return c.record.sync.need < c.record.sync.members.length || c.record.sync.members.length > 1
}

function compare(turn: Turn, c: Case, own: Verdict): void {
  const { state, settings, nowMs } = turn
  if (nowMs < state.deferUntilMs) {
    wake(turn, state.deferUntilMs)
    return
  }
  const { gathering } = state
  if (gathering === null) {
    startGathering(turn, c.record)
    return
  }
  const waited = nowMs - gathering.startedAtMs
  const boundMs = 2 * settings.timing.requestMs
  const allIn = gathering.asked.every((m) => m in gathering.answers)
  if (!gathering.selfFrozen) {
    if (waited > 4 * boundMs) patch(turn, { gathering: null, deferUntilMs: nowMs + settings.timing.beatMs })
    wake(turn, Math.max(nowMs, gathering.startedAtMs + 4 * boundMs) + settings.timing.beatMs)
    return
  }
  if (!allIn && waited < boundMs) {
    wake(turn, gathering.startedAtMs + boundMs)
    return
  }
  patch(turn, { gathering: null })
  judge(turn, c, own, gathering)
}

function startGathering(turn: Turn, record: GroupRecord): void {
  const { settings } = turn
  const epoch = record.epoch + 1
  const asked = settings.members.map((m) => m.member).filter((m) => m !== settings.self.member)
  const id = drawId(turn)
  turn.actions.push({ kind: 'ask-freeze', id, group: settings.group, epoch, members: asked })
  const selfFrozen = turn.state.frozenForEpoch === epoch
  patch(turn, {
    gathering: { id, epoch, startedAtMs: turn.nowMs, askedAtMs: turn.nowMs, asked, answers: {}, selfFrozen },
  })
  if (!selfFrozen) command(turn, { do: 'freeze', epoch }, turn.nowMs + 2 * settings.timing.requestMs)
  wake(turn, turn.nowMs + settings.timing.requestMs)
  because(turn, 'gathers-positions', { rule: 'R13', epoch, asked: asked.length })
}

/** Everybody who answered is frozen, so positions cannot move any more. */
function judge(turn: Turn, c: Case, own: Verdict, gathering: Gathering): void {
  const { settings, state } = turn
  const heard: Verdict[] = []
  for (const report of Object.values(gathering.answers)) {
    const spec = settings.members.find((m) => m.member === report?.member)
    if (report !== null && spec !== undefined) heard.push(verdictOf(c, { spec, view: report.engine }))
  }
  const like = (v: Verdict): PeerLike => {
    const priority = settings.members.find((m) => m.member === v.member)?.priority ?? 0
    return { member: v.member, position: v.position, priority }
  }
  if (!quorumReached(turn, c, own, heard)) return
  const best = heard
    .filter((v) => v.eligible && !state.passedOver.includes(v.member))
    .map(like)
    .concat(like(own))
    .sort(better)[0]
  if (best !== undefined && best.member !== own.member) {
    defer(turn, best.member, best.position?.lsn ?? null, own.position?.lsn ?? null)
    return
  }
  take(turn, c.record, own)
}

function defer(turn: Turn, to: MemberName, theirLsn: number | null, ownLsn: number | null): void {
  const { state, settings, nowMs } = turn
  because(turn, 'defers-to', { rule: 'R12', to, theirLsn, ownLsn })
  const again = state.deferredTo === to
  const passedOver = again ? [...state.passedOver, to] : state.passedOver
  const deferUntilMs = nowMs + DEFER_BEATS * settings.timing.beatMs
  patch(turn, { deferUntilMs, deferredTo: again ? null : to, passedOver })
  wake(turn, deferUntilMs)
}

/**
 * R + W > N: among the recorded set enough members must have answered that one of them holds each acknowledged write,
 * and none of those may be further on than we are unless it is about to lead: what only it holds would be lost.
 */
function quorumReached(turn: Turn, c: Case, own: Verdict, heard: readonly Verdict[]): boolean {
  const { sync } = c.record
  if (sync.need === 0 || c.allowDataLoss || own.complete) return true
  const listed = sync.members.includes(own.member)
  const counted = heard.filter(
    (v) =>
      sync.members.includes(v.member) &&
      v.diskConfirmed &&
      v.position !== null &&
      // Who is not listed holds what a listed one holds only on that one's timeline.
      (listed || v.position.timeline === own.position?.timeline),
  )
  const ahead = counted.find((v) => isAhead(v, own) && (!v.eligible || turn.state.passedOver.includes(v.member)))
  const have = counted.length + (listed && own.diskConfirmed ? 1 : 0)
  const need = sync.members.length - sync.need + 1
  if (have >= need && ahead === undefined) return true
  const code = ahead === undefined ? 'quorum-not-reached' : 'ahead-but-not-electable'
  const who = ahead?.member ?? null
  standing(turn, 'takeover', code, { rule: 'R15', have, need, listed: sync.members.length, ahead: who })
  alarm(turn, true)
  const retryAtMs = turn.nowMs + DEFER_BEATS * turn.settings.timing.beatMs
  patch(turn, { deferUntilMs: retryAtMs })
  wake(turn, retryAtMs)
  return false
}

function isAhead(a: Verdict, b: Verdict): boolean {
  if (a.position === null || b.position === null) return a.position !== null
  return a.position.timeline > b.position.timeline || a.position.lsn > b.position.lsn
}

function take(turn: Turn, record: GroupRecord, own: Verdict): void {
  standing(turn, 'takeover', null)
  standing(turn, 'alarm', null)
  if (!writeRecord(turn, 'claim', claim(turn, record))) return
  because(turn, 'claims', {
    rule: 'R17',
    epoch: record.epoch + 1,
    lsn: own.position?.lsn ?? null,
    lossBytes: own.lossBytes,
    lossMs: own.lossMs,
  })
  patch(turn, { role: 'claiming' })
}
