/**
 * Most reports of peers say that all is as before, and most events are such reports. One that nothing decided now looks
 * at is kept, and the decision comes when it is due: with the next look, beat, or other event. Decides nothing else.
 */
import { readyDisk } from './eligibility.ts'
import { beatsMissing } from './failsafe.ts'
import type { PeerFact } from './member-state.ts'
import { holderProof } from './proof.ts'
import { holderBeats } from './replica.ts'
import { type Turn, wake } from './turn.ts'

type Peers = Readonly<Record<string, PeerFact>>

/** True when deciding can wait for what the last decision waits for; `before` is what peers had said until now. */
export function isRoutine(turn: Turn, member: string, before: Peers): boolean {
  const { wakeAtMs } = turn.state
  if (turn.nowMs >= wakeAtMs || !lookedAtByNobody(turn, member, before)) return false
  wake(turn, wakeAtMs)
  return true
}

/** A follower asks its peers only when the holder is due; an open primary asks which copies they have. */
function lookedAtByNobody(turn: Turn, member: string, before: Peers): boolean {
  const { state } = turn
  if (state.role === 'replica') return holderBeats(turn) && holderProof(turn).kind === 'wait'
  if (state.role !== 'primary' || state.handover !== null || state.record?.value?.intent !== null) return false
  if (beatsMissing(turn)) return false
  const disk = (peers: Peers) => readyDisk({ peers }, turn.settings, member, turn.nowMs)
  return disk(before) === disk(state.peers)
}
