/**
 * Going on without the store (R21): a primary whose beats are not confirmed asks EVERY member of the recorded list, in
 * rounds, to promise not to take over for one ttl. One refusal or silence, and it fences when its trust ends.
 * A majority would not do: the members that agree need not be the ones the store agrees with.
 */
import { NEVER_MS } from '../model.ts'
import { because, drawId, patch, standing, type Turn, wake, writableUntilMs } from './turn.ts'

/** Rounds start when this many beats in a row went unconfirmed. */
const BEATS_MISSED = 2

/** Primary side: starts the next round when beats are missing. */
export function askFailsafe(turn: Turn): void {
  const { state, settings, nowMs } = turn
  const record = state.record?.value ?? null
  if (record === null || state.hold === null) return
  const { beatMs } = settings.timing
  if (!beatsMissing(turn)) {
    if (state.failsafeUntilMs > 0 || state.round !== null) patch(turn, { round: null, failsafeUntilMs: 0 })
    standing(turn, 'failsafe', null)
    standing(turn, 'failsafe-round', null)
    return
  }
  // A list whose writing is not certain yet counts too: whoever is on either may take over.
  const listed = new Set([...record.members, ...(state.write?.record.members ?? [])])
  const others = [...listed].filter((m) => m !== settings.self.member)
  if (others.length === 0) return
  if (nowMs < state.nextRoundAtMs) {
    wake(turn, state.nextRoundAtMs)
    return
  }
  const id = drawId(turn)
  turn.actions.push({
    kind: 'ask-failsafe',
    id,
    group: settings.group,
    epoch: state.hold.epoch,
    members: others,
  })
  const round = { id, asked: others, accepted: [], earliestSentAtMs: NEVER_MS, startedAtMs: nowMs }
  patch(turn, { round, nextRoundAtMs: nowMs + beatMs })
  wake(turn, nowMs + beatMs)
  const leftMs = Math.round(writableUntilMs(turn) - nowMs)
  standing(turn, 'failsafe-round', 'failsafe-asks', { rule: 'R21', members: others.length, leftMs })
}

/** Too many beats in a row went unconfirmed. */
export function beatsMissing({ session, settings, nowMs }: Turn): boolean {
  return nowMs - (session?.confirmedAtMs ?? 0) > BEATS_MISSED * settings.timing.beatMs
}

/** Member side: a promise not to take over for one ttl, or a refusal. */
export function answerFailsafe(turn: Turn, question: { id: number; from: string; epoch: number }): void {
  const { state, settings, nowMs } = turn
  const refuse = refusal(turn, question)
  turn.actions.push({
    kind: 'answer-failsafe',
    id: question.id,
    accept: refuse === null,
    because: refuse ?? 'promised',
  })
  if (refuse !== null) {
    because(turn, 'failsafe-not-promised', { rule: 'R21', to: question.from, because: refuse })
    return
  }
  const { ttlMs, marginMs } = settings.timing
  const promisedMs = Math.max(ttlMs, state.holder?.ttlMs ?? 0) + marginMs
  patch(turn, { promisedUntilMs: Math.max(state.promisedUntilMs, nowMs + promisedMs) })
}

function refusal(turn: Turn, question: { from: string; epoch: number }): string | null {
  const { state } = turn
  const record = state.record?.value ?? null
  if (state.role !== 'replica' && state.role !== 'idle') return `role-${state.role}`
  if (state.view?.role === 'primary') return 'engine-is-primary'
  if (state.write !== null) return 'own-write-under-way'
  if (record === null) return 'record-unknown'
  if (record.epoch > question.epoch) return 'newer-epoch-known'
  if (record.epoch === question.epoch && record.holder !== question.from) return 'other-holder-known'
  if (record.epoch === question.epoch && record.phase === 'released') return 'released'
  return null
}
