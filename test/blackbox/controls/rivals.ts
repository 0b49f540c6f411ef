/**
 * Rivals that are known to lose acknowledged writes: run by the same black box, they show that its eyes are open. What
 * they lose is within what they promise; it is no fault of theirs, and finding nothing would be one of ours.
 */
import type { RunReport } from '../run.ts'
import type { RunSettings } from '../settings.ts'

export interface Rival {
  readonly name: string
  readonly what: string
  readonly subject: RunSettings['subject']
  readonly mode: RunSettings['mode']
  readonly profile: RunSettings['profile']
  readonly faults: readonly string[]
  readonly triesMax: number
  readonly minutes: number
  /** Long enough for its own timings to act within one fault. */
  readonly stretch: number
}

export const RIVALS: readonly Rival[] = [
  {
    name: 'patroni-async',
    what: 'Patroni without synchronous replication: its primary dies with what it had not sent yet',
    subject: 'patroni',
    mode: 'async',
    profile: 'fast',
    faults: ['lag-then-kill'],
    triesMax: 3,
    minutes: 2.5,
    stretch: 15,
  },
]

/** Rows that were acknowledged and are gone, however few the rival may lose. */
export function losses({ verdicts }: Pick<RunReport, 'verdicts'>): readonly string[] {
  const rows = verdicts.find(({ checker }) => checker === 'lost')?.figures.lost ?? 0
  return rows > 0 ? [`lost: ${rows} acknowledged rows are gone`] : []
}
