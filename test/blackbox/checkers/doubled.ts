/**
 * B2. No row stands there twice under one attempt; a number stands there under two attempts only when each of them was
 * `ok` or `info`: then its client could not know, and sent a new attempt knowingly. Looked for on every member.
 */
import type { CheckerInput, Verdict } from '../contract.ts'
import { verdictOf } from './operations.ts'
import { numberOf, rowsOf } from './rows.ts'

export function doubled({ history, final }: CheckerInput): Verdict {
  const sent = rowsOf(history)
  const findings: string[] = []
  let twice = 0
  let renamed = 0
  for (const [member, { rows }] of Object.entries(final.members)) {
    const seen = new Set<string>()
    const attempts = new Map<string, string[]>()
    for (const row of rows) {
      if (seen.has(row)) {
        twice += 1
        findings.push(`row ${row} stands more than once on ${member}`)
        continue
      }
      seen.add(row)
      const n = numberOf(row)
      const others = attempts.get(n)
      if (others === undefined) attempts.set(n, [row])
      else others.push(row)
    }
    for (const [n, all] of attempts) {
      if (all.length < 2) continue
      const failed = all.filter((row) => sent.get(row)?.operation.type === 'fail')
      if (failed.length > 0) findings.push(`number ${n} stands on ${member} as ${all.join(', ')}; ${failed} had failed`)
      else if (member === final.primary) renamed += 1
    }
  }
  return verdictOf('doubled', { twice, bothAttempts: renamed }, findings)
}
