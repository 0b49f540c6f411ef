/** What became of every numbered row: of `insert` and `old` one an operation, of `long` several. Pure. */
import type { HistoryLine } from '../contract.ts'
import { fieldOf, type Operation, operationsOf } from './operations.ts'

export interface SentRow {
  /** `n/attempt`, as in the final state. */
  readonly row: string
  readonly operation: Operation
}

const known = new WeakMap<readonly HistoryLine[], ReadonlyMap<string, SentRow>>()

export function rowsOf(history: readonly HistoryLine[]): ReadonlyMap<string, SentRow> {
  const before = known.get(history)
  if (before !== undefined) return before
  const rows = new Map<string, SentRow>()
  for (const operation of operationsOf(history)) {
    for (const row of sentBy(operation)) rows.set(row, { row, operation })
  }
  known.set(history, rows)
  return rows
}

export function numberOf(row: string): string {
  return row.slice(0, row.indexOf('/'))
}

function sentBy({ f, value }: Operation): readonly string[] {
  if (f === 'insert' || f === 'old') return [`${fieldOf(value, 'n')}/${fieldOf(value, 'attempt')}`]
  if (f !== 'long') return []
  const rows = fieldOf(value, 'rows')
  return Array.isArray(rows) ? rows.map(String) : []
}
