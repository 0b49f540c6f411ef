/**
 * Takes an event into the facts of a member. Decides nothing; what follows from the facts is decided in `decide.ts`.
 */
import { assert } from '../assert.ts'
import { withEntry } from '../entry.ts'
import type { EngineView, GroupRecord, PeerReport, Revision, SessionRecord } from '../model.ts'
import type { MemberEvent } from '../protocol.ts'
import type { HolderFact, MemberState } from './member-state.ts'
import { because, ownState, patch, standing, type Turn, writableUntilMs } from './turn.ts'

/** Published log ends remembered; with one per beat this covers the longest loss bound that makes sense to check. */
const HISTORY_MAX = 64
/** A gap between events longer than this, or a clock that went back, suspends offensive acts (R23). */
const GAP_MS_MAX = 2_000
/** Of a standby that was first seen behind. */
const NEVER_MET_MS = Number.NEGATIVE_INFINITY

type EventOf<K extends MemberEvent['kind']> = Extract<MemberEvent, { kind: K }>

export function noticeGap(turn: Turn): void {
  const gapMs = turn.nowMs - turn.state.lastEventAtMs
  if (gapMs < 0 || gapMs > Math.max(GAP_MS_MAX, 2 * turn.settings.timing.beatMs)) {
    ownState(turn).tiltUntilMs = turn.nowMs + turn.settings.timing.ttlMs
    because(turn, 'loop-gap', { rule: 'R23', gapMs: Math.round(gapMs), holdMs: turn.settings.timing.ttlMs })
  }
  ownState(turn).lastEventAtMs = turn.nowMs
}

export function learnRecord(turn: Turn, revision: Revision, value: GroupRecord | null, readSentAtMs: number): void {
  const known = turn.state.record
  if (known !== null && revision < known.revision) {
    if (readSentAtMs >= known.firstSeenAtMs) {
      patch(turn, { storeWentBack: true })
      standing(turn, 'store', 'store-went-back', { rule: 'R22', known: known.revision, answered: revision })
    }
    return
  }
  if (known !== null && revision === known.revision) {
    if (readSentAtMs > known.readSentAtMs) ownState(turn).record = { ...known, readSentAtMs }
    return
  }
  noteEpoch(turn, known?.value ?? null, value)
  if (known?.value?.epoch !== value?.epoch) startEpoch(turn)
  patch(turn, { record: { revision, value, firstSeenAtMs: turn.nowMs, readSentAtMs } })
  watchHolder(turn, value, known === null)
  noteTimers(turn, value)
}

/** What was being weighed, retried or explained belonged to the leadership before. */
function startEpoch(turn: Turn): void {
  patch(turn, {
    retry: { atMs: 0, count: 0 },
    passedOver: [],
    deferredTo: null,
    deferUntilMs: 0,
    gathering: null,
    said: {},
  })
}

/** Counts leaderships that nobody asked for (R25). */
function noteEpoch(turn: Turn, before: GroupRecord | null, after: GroupRecord | null): void {
  if (before === null || after === null || after.epoch <= before.epoch) return
  const planned = before.intent !== null || before.release?.clean === true || before.phase === 'creating'
  if (planned) return
  const since = turn.nowMs - turn.settings.flapWindowMs
  const kept = turn.state.promotionsAtMs.filter((t) => t > since)
  patch(turn, { promotionsAtMs: [...kept, turn.nowMs].slice(-16) })
}

function watchHolder(turn: Turn, value: GroupRecord | null, isFirst: boolean): void {
  const { holder } = turn.state
  if (value === null || value.agent === null || value.session === null) {
    patch(turn, { holder: null })
    return
  }
  if (holder !== null && holder.watched === value.session && holder.agent === value.agent) return
  const fresh: HolderFact = {
    agent: value.agent,
    watched: value.session,
    session: null,
    beat: -1,
    ttlMs: turn.settings.timing.ttlMs,
    unchangedSinceMs: turn.nowMs,
    readSentAtMs: -1,
    published: null,
    publishedAtMs: turn.nowMs,
    publishedAfterMs: isFirst ? null : turn.nowMs,
    history: [],
  }
  patch(turn, { holder: fresh })
}

/** Intents and pauses run out on each observer's own clock. */
function noteTimers(turn: Turn, value: GroupRecord | null): void {
  const { intentSeen, pauseSeen } = turn.state
  const intent = value?.intent ?? null
  if (intent === null) patch(turn, { intentSeen: null })
  else if (intentSeen?.id !== intent.id) patch(turn, { intentSeen: { id: intent.id, atMs: turn.nowMs, waits: null } })
  const pause = value?.pause ?? null
  if (pause === null) patch(turn, { pauseSeen: null })
  else if (pauseSeen?.id !== pause.id) patch(turn, { pauseSeen: { id: pause.id, atMs: turn.nowMs } })
}

export function learnSession(turn: Turn, agent: string, value: SessionRecord | null, readSentAtMs: number): void {
  const { holder } = turn.state
  if (holder === null || holder.agent !== agent) return
  const session = value?.session ?? null
  const beat = value?.beat ?? 0
  const same = holder.session === session && holder.beat === beat
  if (same) {
    if (readSentAtMs > holder.readSentAtMs) ownState(turn).holder = { ...holder, readSentAtMs }
    return
  }
  // A watch may bring an older beat after a newer read; equality is all that counts, so it only restarts the wait.
  if (holder.session === session && beat < holder.beat && readSentAtMs < 0) return
  const ours = session === holder.watched
  const newest = (ours ? value?.positions[turn.settings.group] : null) ?? holder.published
  const publishedAfterMs = ours ? afterOf(turn, holder) : holder.publishedAfterMs
  ownState(turn).holder = {
    ...holder,
    session,
    beat,
    ttlMs: value?.ttlMs ?? holder.ttlMs,
    unchangedSinceMs: turn.nowMs,
    readSentAtMs,
    published: newest,
    publishedAtMs: ours ? turn.nowMs : holder.publishedAtMs,
    publishedAfterMs,
    history: remember(holder.history, newest?.lsn ?? null, publishedAfterMs),
  }
}

/**
 * A beat was sent after the one before it was seen. When a store was away or a watch stood still, several come at once,
 * and how long ago each was sent cannot be told: then only the sight before them counts.
 */
function afterOf(turn: Turn, holder: HolderFact): number | null {
  if (holder.session !== holder.watched) return holder.publishedAfterMs
  const together = turn.nowMs - holder.publishedAtMs < turn.settings.timing.beatMs / 2
  return together ? holder.publishedAfterMs : holder.publishedAtMs
}

function remember(history: HolderFact['history'], lsn: number | null, afterMs: number | null): HolderFact['history'] {
  if (lsn === null || afterMs === null || history.at(-1)?.lsn === lsn) return history
  return [...history, { lsn, afterMs }].slice(-HISTORY_MAX)
}

export function learnView(turn: Turn, view: EngineView): void {
  const { state } = turn
  const older = state.view !== null && view.observedAtMs < state.view.observedAtMs
  if (older || view.observedAtMs < state.viewNotBeforeMs) return
  const wanted = state.role === 'primary' ? 'primary' : view.role
  const good = view.answering && view.role === wanted
  const own = ownState(turn)
  own.view = view
  if (good) own.engineGoodAtMs = turn.nowMs
  if (view.standbys.length > 0) own.pace = paceOf(state.pace, view, turn.nowMs)
}

function paceOf(before: MemberState['pace'], view: EngineView, nowMs: number): MemberState['pace'] {
  let pace = before
  const goalLsn = view.position?.lsn ?? 0
  for (const { member, streaming, flushLsn } of view.standbys) {
    if (!streaming) continue
    const was = before[member]
    const met = flushLsn >= (was?.goalLsn ?? goalLsn)
    const metAtMs = met ? nowMs : (was?.metAtMs ?? NEVER_MET_MS)
    pace = withEntry(pace, member, { streamedAtMs: nowMs, goalLsn: met ? goalLsn : (was?.goalLsn ?? goalLsn), metAtMs })
  }
  return pace
}

export function learnPeer(turn: Turn, report: PeerReport): void {
  if (report.member === turn.settings.self.member) return
  if (!turn.settings.members.some((m) => m.member === report.member)) return
  ownState(turn).peers = withEntry(turn.state.peers, report.member, { report, atMs: turn.nowMs })
}

export function learnFreezeAnswer(turn: Turn, event: EventOf<'freeze-answer'>): void {
  const { gathering } = turn.state
  if (gathering === null || gathering.id !== event.id || !gathering.asked.includes(event.from)) return
  if (event.report !== null && event.report.member !== event.from) return
  if (event.report !== null) learnPeer(turn, event.report)
  const answers = { ...gathering.answers, [event.from]: event.report }
  patch(turn, { gathering: { ...gathering, answers } })
}

export function learnFailsafeAnswer(turn: Turn, event: EventOf<'failsafe-answer'>): void {
  const { round, hold } = turn.state
  if (round === null || hold === null || round.id !== event.id || !round.asked.includes(event.from)) return
  // Trust that ended is over; an answer that comes late must not bring it back (I3).
  if (turn.nowMs >= writableUntilMs(turn)) return
  assert(event.sentAtMs <= event.nowMs, 'a question cannot leave after its answer', event.sentAtMs)
  if (!event.accept) {
    because(turn, 'failsafe-refused', { rule: 'R21', by: event.from, because: event.because })
    patch(turn, { round: null })
    return
  }
  if (round.accepted.includes(event.from)) return
  const accepted = [...round.accepted, event.from]
  const earliestSentAtMs = Math.min(round.earliestSentAtMs, event.sentAtMs)
  if (accepted.length < round.asked.length) {
    patch(turn, { round: { ...round, accepted, earliestSentAtMs } })
    return
  }
  const { ttlMs, marginMs } = turn.settings.timing
  const untilMs = earliestSentAtMs + ttlMs - marginMs
  standing(turn, 'failsafe', 'failsafe-holds', { rule: 'R21', members: accepted.length })
  patch(turn, { round: null, failsafeUntilMs: Math.max(turn.state.failsafeUntilMs, untilMs) })
}
