/** Reads a group's record as the store hands it over. The store is trusted to keep it, not to keep it whole. */
import type { GroupRecord } from '../core/model.ts'

const PHASES: readonly unknown[] = ['creating', 'claimed', 'open', 'released']

/** Checks what a route depends on; `damaged` when that is not there. */
export function readGroupRecord(group: string, value: string | null): GroupRecord | 'damaged' | null {
  if (value === null) return null
  let record: Partial<Record<keyof GroupRecord, unknown>>
  try {
    const parsed: unknown = JSON.parse(value)
    if (typeof parsed !== 'object' || parsed === null) return 'damaged'
    record = parsed
  } catch {
    return 'damaged'
  }
  const holds =
    record.v === 1 &&
    record.group === group &&
    Number.isSafeInteger(record.epoch) &&
    Number(record.epoch) >= 0 &&
    PHASES.includes(record.phase) &&
    (record.holder === null || typeof record.holder === 'string') &&
    (record.intent === null || (typeof record.intent === 'object' && record.intent !== undefined))
  return holds ? (record as GroupRecord) : 'damaged'
}
