/** A member without the lease: it follows the holder, answers a freeze, and otherwise leaves the engine alone. */
import type { GroupRecord } from '../model.ts'
import { foundGroup } from './founding.ts'
import { release } from './release.ts'
import { reportOf } from './report.ts'
import { considerTakeover } from './takeover.ts'
import { command, fence, patch, readRecord, standing, type Turn, wake } from './turn.ts'

/** Cloning a large data set takes hours; the adapter notices a stall by itself much earlier. */
export const FOLLOW_DEADLINE_MS = 24 * 3_600_000
/** Longest wait between two attempts to follow. */
const RETRY_MS_MAX = 10_000
/** A frozen receiver goes on when no new epoch came within this many ttls. */
const FROZEN_TTLS = 2

export function decideReplica(turn: Turn): void {
  const { state } = turn
  if (fenceStray(turn)) return
  if (state.record === null) {
    readRecord(turn)
    return
  }
  if (state.view === null) return
  const record = state.record.value
  if (record === null) {
    if (state.record.readSentAtMs < 0) readRecord(turn)
    else foundGroup(turn)
    return
  }
  answerFreeze(turn)
  if (record.holder === turn.settings.self.member && record.phase !== 'released') {
    // Only what certainly stays no primary may be given back without a kill (R29): a hung engine can thaw, and a
    // promotion that the earlier life had asked for goes on in the engine.
    const stays = state.view.role === 'replica' && record.phase === 'open'
    if (state.view.running && !stays) fence(turn, 'held-by-earlier-life', 'release')
    else release(turn, 'held-by-earlier-life')
    return
  }
  considerTakeover(turn)
  if (turn.state.role === 'replica') followHolder(turn, record)
}

/**
 * No lease, no primary (R6): also before the store was heard, because the others may have gone on without us. While a
 * command runs the engine may be seen half-way, for instance recovering by itself before a rewind.
 */
export function fenceStray(turn: Turn): boolean {
  const { view, op, record } = turn.state
  if (view === null || op !== null || !view.running) return false
  // Silent since this process began, and nobody can say who leads: it may be a primary that thaws.
  const hung = record === null && !view.answering && view.role === 'none'
  if (view.role !== 'primary' && !hung) return false
  fence(turn, 'primary-without-lease', 'rejoin', { epoch: record?.value?.epoch ?? 0 })
  return true
}

/** Starts, clones or redirects the engine when it is not a streaming replica of the holder. */
function followHolder(turn: Turn, record: GroupRecord): void {
  const { state, settings, nowMs } = turn
  const { view } = state
  if (view === null) return
  const frozenUntilMs = state.frozenAtMs + FROZEN_TTLS * settings.timing.ttlMs
  // A hand-over that turned back has answered its intent; then there is nothing left to stay frozen for.
  const needed = record.phase !== 'open' || record.intent !== null || !holderBeats(turn)
  const frozen = state.frozenForEpoch > record.epoch && nowMs < frozenUntilMs && needed
  if (frozen) {
    wake(turn, frozenUntilMs)
    return
  }
  const led = (record.phase === 'open' || record.phase === 'claimed') && record.holder !== settings.self.member
  const upstream = led && holderBeats(turn) ? record.holder : null
  if (upstream !== null && view.running && view.receiving && view.upstream === upstream) {
    if (state.retry.count > 0) patch(turn, { retry: { atMs: 0, count: 0 } })
    standing(turn, 'follow', null)
    return
  }
  const running = state.op?.command
  // Only a way to somebody who no longer leads is broken off for the new holder.
  if (running !== undefined && (running.do !== 'follow' || upstream === null || running.upstream === upstream)) return
  // Without a holder an engine that runs is left as it is; one that does not run must start to be a candidate.
  if (upstream === null && (view.running || view.data !== 'ready')) return
  const graceUntilMs = (state.record?.firstSeenAtMs ?? 0) + settings.timing.ttlMs
  if (record.phase === 'released' && nowMs < graceUntilMs) {
    wake(turn, graceUntilMs)
    return
  }
  if (nowMs < state.retry.atMs) {
    wake(turn, state.retry.atMs)
    return
  }
  const backoffMs = Math.min(RETRY_MS_MAX, settings.timing.beatMs * 2 ** Math.min(state.retry.count, 8))
  patch(turn, { retry: { atMs: nowMs + backoffMs, count: state.retry.count + 1 }, frozenForEpoch: 0 })
  const from = { upstream, epoch: record.epoch, timeline: record.timeline }
  standing(turn, 'follow', `follows-${upstream ?? 'nobody'}`, { rule: 'R28', epoch: record.epoch, data: view.data })
  command(turn, { do: 'follow', ...from }, nowMs + FOLLOW_DEADLINE_MS)
}

/** A holder that stopped beating is not worth connecting to; when nothing was seen of it yet, it may be. */
export function holderBeats(turn: Turn): boolean {
  const { holder } = turn.state
  if (holder === null || holder.session === null) return true
  return turn.nowMs - holder.unchangedSinceMs < turn.settings.timing.ttlMs
}

/** A peer takes the holder for gone and asks us to stop receiving. We refuse while we see the holder beat. */
export function askedToFreeze(turn: Turn, question: { id: number; from: string; epoch: number }): void {
  const refuse = freezeRefusal(turn, question.epoch)
  if (refuse !== null) {
    turn.actions.push({ kind: 'answer-freeze', id: question.id, report: null, because: refuse })
    return
  }
  const older = turn.state.freezeQuestion
  if (older !== null) turn.actions.push({ kind: 'answer-freeze', id: older.id, report: null, because: 'superseded' })
  patch(turn, { freezeQuestion: question })
}

function freezeRefusal(turn: Turn, epoch: number): string | null {
  const { state, settings, nowMs } = turn
  const record = state.record?.value ?? null
  if (state.role !== 'replica') return `role-${state.role}`
  if (record === null) return 'not-ready'
  if (nowMs < state.promisedUntilMs) return 'promised-to-primary'
  // Stopped for this very epoch a moment ago, by ourselves or for another one: the view taken after that is on its way.
  if (state.view === null && state.frozenForEpoch !== epoch) return 'not-ready'
  if (state.view !== null && (!state.view.running || state.view.role !== 'replica')) return 'engine-not-a-replica'
  if (epoch <= record.epoch) return 'old-epoch'
  if (record.phase === 'released' || state.holder === null) return null
  const beating = nowMs - state.holder.unchangedSinceMs < settings.timing.ttlMs / 2
  const handsOver = record.intent !== null
  return beating && !handsOver ? 'holder-alive-here' : null
}

/** Answers once our receiver was told to stop for good and a view taken after that is in (R13). */
function answerFreeze(turn: Turn): void {
  const { state, settings, nowMs } = turn
  const question = state.freezeQuestion
  if (question === null || state.view === null) return
  if ((state.record?.value?.epoch ?? 0) >= question.epoch) {
    dropFreezeQuestion(turn, 'old-epoch')
    return
  }
  if (state.frozenForEpoch === question.epoch) {
    patch(turn, { freezeQuestion: null })
    const report = reportOf(turn.state, settings, {
      nowMs,
      writableUntilMs: 0,
      session: turn.session,
      loopAgeMs: 0,
    })
    turn.actions.push({ kind: 'answer-freeze', id: question.id, report, because: 'frozen' })
    return
  }
  if (state.op?.command.do === 'freeze') return
  if (!state.view.running) {
    dropFreezeQuestion(turn, 'engine-not-running')
    return
  }
  command(turn, { do: 'freeze', epoch: question.epoch }, nowMs + 2 * settings.timing.requestMs)
}

/** A freeze that failed is answered, not repeated: whoever asked goes on without us or asks again. */
export function dropFreezeQuestion(turn: Turn, why: string): void {
  const question = turn.state.freezeQuestion
  if (question === null) return
  patch(turn, { freezeQuestion: null })
  turn.actions.push({ kind: 'answer-freeze', id: question.id, report: null, because: why })
}
