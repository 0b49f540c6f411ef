/**
 * What a request may demand of the group it is about, compared in the same write that takes it: the epoch it was
 * decided on, and who paused the group. So a request that arrives late, after others have acted, is refused (R31).
 */
import type { GroupRecord } from '../core/model.ts'
import { HoldfastError } from '../errors.ts'
import type { Known } from './explanation.ts'

export interface Condition {
  readonly ifEpoch: number | null
  /** Undefined: whoever paused it, or nobody. Null: nobody. */
  readonly ifPausedBy: string | null | undefined
}

export function conditionOf(fields: Readonly<Record<string, unknown>>): Condition {
  const { ifEpoch, ifPausedBy } = fields
  const epoch = typeof ifEpoch === 'number' && Number.isSafeInteger(ifEpoch) && ifEpoch >= 0
  if (ifEpoch !== undefined && !epoch)
    throw new HoldfastError('HF_BODY_INVALID', '"ifEpoch" must be a whole number', 'give the epoch that is meant')
  if (ifPausedBy !== undefined && ifPausedBy !== null && typeof ifPausedBy !== 'string')
    throw new HoldfastError('HF_BODY_INVALID', '"ifPausedBy" must be text or null', 'give who paused the group')
  return { ifEpoch: epoch ? ifEpoch : null, ifPausedBy }
}

/** Throws when the group is no longer as demanded. */
export function holds(known: Known, record: GroupRecord, { ifEpoch, ifPausedBy }: Condition): void {
  const changed = (what: string): HoldfastError =>
    new HoldfastError('HF_GROUP_CHANGED', `${record.group} ${what}`, 'look again: holdfast status')
  if (ifEpoch !== null && record.epoch !== ifEpoch) throw changed(`is at epoch ${record.epoch}, not ${ifEpoch}`)
  const by = pausedBy(known, record)
  if (ifPausedBy !== undefined && by !== ifPausedBy)
    throw changed(`is paused by ${by ?? 'nobody'}, not ${ifPausedBy ?? 'nobody'}`)
}

/** A pause runs out on each observer's own clock; the record keeps it until somebody writes. */
function pausedBy({ member, moment }: Known, { pause }: GroupRecord): string | null {
  const seen = member.pauseSeen
  if (pause === null || (seen?.id === pause.id && moment.nowMs >= seen.atMs + pause.validMs)) return null
  return pause.by
}
