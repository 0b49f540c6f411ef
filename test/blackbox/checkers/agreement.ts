/** B9. When all is healed every member holds the same: the same rows as often, the same balances, the same lists. */
import type { CheckerInput, FinalMember, Verdict } from '../contract.ts'
import { verdictOf } from './operations.ts'

export function agreement({ final }: CheckerInput): Verdict {
  const primary = final.members[final.primary]
  const members = Object.entries(final.members)
  if (primary === undefined) return verdictOf('agreement', { members: members.length }, ['the primary was not read'])
  const findings = members.flatMap(([member, state]) =>
    state === primary
      ? []
      : differences(primary, state).map((what) => `${member} differs from ${final.primary}: ${what}`),
  )
  return verdictOf('agreement', { members: members.length, rows: primary.rows.length }, findings)
}

function differences(one: FinalMember, other: FinalMember): readonly string[] {
  const found: string[] = []
  const missing = without(one.rows, other.rows)
  const extra = without(other.rows, one.rows)
  if (missing.length > 0) found.push(`${missing.length} rows missing, such as ${missing[0]}`)
  if (extra.length > 0) found.push(`${extra.length} rows too many, such as ${extra[0]}`)
  if (one.balances.join() !== other.balances.join()) found.push(`balances ${other.balances} instead of ${one.balances}`)
  const keys = new Set([...Object.keys(one.lists), ...Object.keys(other.lists)])
  const lists = [...keys].filter((key) => one.lists[key]?.join() !== other.lists[key]?.join())
  if (lists.length > 0) found.push(`${lists.length} lists, such as ${lists[0]}`)
  return found
}

/** What of `all` is not in `others`, as often as it is missing there. */
function without(all: readonly string[], others: readonly string[]): readonly string[] {
  const counts = new Map<string, number>()
  for (const one of others) counts.set(one, (counts.get(one) ?? 0) + 1)
  return all.filter((one) => {
    const left = counts.get(one) ?? 0
    counts.set(one, left - 1)
    return left <= 0
  })
}
