/**
 * Most reports of peers say that all is as before, and most events are such reports. One that nothing decided now looks
 * at is kept, and the decision comes when it is due: with the next look, beat, or other event. Decides nothing else.
 */
import { diskIn } from './eligibility.ts'
import { beatsMissing } from './failsafe.ts'
import type { PeerFact } from './member-state.ts'
import { holderProof } from './proof.ts'
import { holderBeats } from './replica.ts'
import { type Turn, wake } from './turn.ts'

/** What is looked at before a step begins. */
export interface Look extends Pick<Turn, 'state' | 'settings' | 'nowMs'> {
  readonly session: { readonly confirmedAtMs: number } | null
}

/** True when deciding can wait for what the last decision waits for; `before` is what the peer had said until now. */
export function isRoutine(turn: Turn, member: string, before: PeerFact | undefined): boolean {
  const { wakeAtMs, peers } = turn.state
  if (turn.nowMs >= wakeAtMs || !lookedAtByNobody(turn, before, peers[member])) return false
  wake(turn, wakeAtMs)
  return true
}

/** A follower asks its peers only when the holder is due; an open primary asks which copies they have. */
export function lookedAtByNobody(look: Look, before: PeerFact | undefined, now: PeerFact | undefined): boolean {
  const { state, settings, nowMs } = look
  if (state.role === 'replica') return holderBeats(look) && holderProof(look).kind === 'wait'
  if (state.role !== 'primary' || state.handover !== null || state.record?.value?.intent !== null) return false
  if (beatsMissing(look)) return false
  return diskIn(before, settings, nowMs) === diskIn(now, settings, nowMs)
}
