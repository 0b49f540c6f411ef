/** B3. Nothing stands on any member that nobody sent, or that was answered `fail`. */
import type { CheckerInput, Verdict } from '../contract.ts'
import { verdictOf } from './operations.ts'
import { rowsOf } from './rows.ts'

export function unexpected({ history, final }: CheckerInput): Verdict {
  const sent = rowsOf(history)
  const findings: string[] = []
  let unsent = 0
  let failed = 0
  for (const [member, { rows }] of Object.entries(final.members)) {
    for (const row of rows) {
      const known = sent.get(row)
      if (known === undefined) {
        unsent += 1
        findings.push(`row ${row} on ${member} was sent by nobody`)
      } else if (known.operation.type === 'fail') {
        failed += 1
        findings.push(`row ${row} on ${member} had been answered with a failure`)
      }
    }
  }
  return verdictOf('unexpected', { unsent, failed }, findings)
}
