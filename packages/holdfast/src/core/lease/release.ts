/** Gives the lease back in the record once nothing of the engine can answer any more (R29). */
import type { Position } from '../model.ts'
import { releasing } from './record.ts'
import { because, patch, readRecord, type Turn, writeRecord } from './turn.ts'

export function release(turn: Turn, why: string): void {
  patch(turn, { role: 'releasing', hold: null, failsafeUntilMs: 0, round: null, handover: null, promotion: null })
  turn.actions.push({ kind: 'disarm', member: turn.settings.self.member })
  writeRelease(turn, { position: null, clean: false, to: null, because: why })
}

export function decideReleasing(turn: Turn): void {
  const { state, settings } = turn
  const record = state.record?.value ?? null
  if (record === null) {
    readRecord(turn)
    return
  }
  if (record.holder !== settings.self.member || record.phase === 'released') {
    patch(turn, { role: 'replica', retry: { atMs: 0, count: 0 } })
    return
  }
  writeRelease(turn, { position: null, clean: false, to: null, because: state.fenceBecause || 'held-by-earlier-life' })
}

export function writeRelease(
  turn: Turn,
  what: { position: Position | null; clean: boolean; to: string | null; because: string },
): void {
  const record = turn.state.record?.value ?? null
  if (turn.session === null || record === null) return
  // Never somebody else's lease, whatever led here.
  if (record.holder !== turn.settings.self.member) return
  if (!writeRecord(turn, 'release', releasing(turn, record, what))) return
  because(turn, 'releases', { rule: 'R29', epoch: record.epoch, why: what.because, clean: what.clean, to: what.to })
}
