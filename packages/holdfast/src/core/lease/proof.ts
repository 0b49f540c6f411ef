/**
 * Is the holder's right to write certainly over? Only three things prove it (R9): the record says `released`; its
 * session was replaced by a newer one of the same agent, which opens one only after fencing; or this node has itself
 * seen no beat for the session's ttl plus the drift margin, ending with a linearizable read sent after that time.
 */
import type { MemberState } from './member-state.ts'
import type { Turn } from './turn.ts'

export type Proof =
  | { readonly kind: 'alive' }
  /** Nothing to wait for but a fresh look at the session key. */
  | { readonly kind: 'look'; readonly agent: string }
  | { readonly kind: 'wait'; readonly untilMs: number }
  | {
      readonly kind: 'gone'
      readonly how: 'never-held' | 'released' | 'session-replaced' | 'silent'
      readonly silentMs: number
    }

/** Other members leave a released lease to the one it was meant for during this many ttls. */
const MEANT_FOR_TTLS = 1

export function holderProof(turn: Turn): Proof {
  const { state } = turn
  const record = state.record?.value
  if (record === undefined || record === null || state.record === null) return { kind: 'alive' }
  if (record.phase === 'released') return released(turn, state, record.release?.to ?? null)
  const { holder } = state
  if (record.agent === null || record.session === null) return { kind: 'gone', how: 'never-held', silentMs: 0 }
  if (holder === null || holder.watched !== record.session) return { kind: 'look', agent: record.agent }
  if (holder.session === null && holder.readSentAtMs < 0) return { kind: 'look', agent: record.agent }
  if (holder.session !== null && holder.session !== record.session) {
    if (holder.readSentAtMs < Math.max(state.record.firstSeenAtMs, state.promisedUntilMs))
      return { kind: 'look', agent: record.agent }
    return { kind: 'gone', how: 'session-replaced', silentMs: turn.nowMs - holder.unchangedSinceMs }
  }
  // A promise to the holder counts like a beat: a look from before its end proves nothing (R21).
  const silentFromMs = holder.unchangedSinceMs + holder.ttlMs + turn.settings.timing.marginMs
  const endsAtMs = Math.max(silentFromMs, state.promisedUntilMs)
  if (turn.nowMs < endsAtMs) return { kind: 'wait', untilMs: endsAtMs }
  if (holder.readSentAtMs < endsAtMs) return { kind: 'look', agent: record.agent }
  return { kind: 'gone', how: 'silent', silentMs: turn.nowMs - holder.unchangedSinceMs }
}

function released(turn: Turn, state: MemberState, to: string | null): Proof {
  const gone = { kind: 'gone', how: 'released', silentMs: 0 } as const
  if (to === null || to === turn.settings.self.member || state.record === null) return gone
  const untilMs = state.record.firstSeenAtMs + MEANT_FOR_TTLS * turn.settings.timing.ttlMs
  return turn.nowMs < untilMs ? { kind: 'wait', untilMs } : gone
}
