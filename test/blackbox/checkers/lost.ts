/**
 * B1. A row whose `ok` was seen stands on the final primary. In async mode with a declared bound what is lost is
 * counted here and judged by `rpo`; a subject without a bound is held against none at all.
 */
import type { CheckerInput, Verdict } from '../contract.ts'
import { verdictOf } from './operations.ts'
import { rowsOf, type SentRow } from './rows.ts'

export function lostRows({ history, final }: CheckerInput): readonly SentRow[] {
  const there = new Set(final.members[final.primary]?.rows)
  return [...rowsOf(history).values()].filter(({ row, operation }) => operation.type === 'ok' && !there.has(row))
}

export function lost(input: CheckerInput): Verdict {
  const there = new Set(input.final.members[input.final.primary]?.rows)
  const sent = [...rowsOf(input.history).values()]
  const gone = lostRows(input)
  const figures = {
    acknowledged: sent.filter(({ operation }) => operation.type === 'ok').length,
    lost: gone.length,
    // Unknown to its client, and there.
    recovered: sent.filter(({ row, operation }) => operation.type === 'info' && there.has(row)).length,
    unknown: sent.filter(({ operation }) => operation.type === 'info').length,
  }
  const judgedElsewhere = input.mode === 'async' && input.bound !== null
  const findings = judgedElsewhere ? [] : gone.map(findingOf)
  return verdictOf('lost', figures, findings)
}

function findingOf({ row, operation }: SentRow): string {
  const { f, node, epoch } = operation
  return `${f} ${row} was acknowledged by ${node} in epoch ${epoch} and is not on the final primary`
}
