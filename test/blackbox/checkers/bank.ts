/** B6. The sum of all balances never changes: in no read of a client, and on no member in the end. */
import type { CheckerInput, Verdict } from '../contract.ts'
import { ACCOUNTS, BANK_TOTAL } from '../workloads/tables.ts'
import { fieldOf, operationsOf, verdictOf } from './operations.ts'

export function bank({ history, final }: CheckerInput): Verdict {
  const transfers = operationsOf(history).filter(({ f, type }) => f === 'transfer' && type === 'ok')
  const findings: string[] = []
  let reads = 0
  for (const { value, node, epoch } of transfers) {
    const read = fieldOf(value, 'read')
    if (!Array.isArray(read)) continue
    reads += 1
    const wrong = wrongOf(read.map(Number))
    if (wrong !== null) findings.push(`read ${fieldOf(value, 'id')} on ${node} in epoch ${epoch}: ${wrong}`)
  }
  for (const [member, { balances }] of Object.entries(final.members)) {
    if (transfers.length === 0 && balances.length === 0) continue
    const wrong = wrongOf(balances)
    if (wrong !== null) findings.push(`in the end on ${member}: ${wrong}`)
  }
  return verdictOf('bank', { transfers: transfers.length - reads, reads }, findings)
}

function wrongOf(balances: readonly number[]): string | null {
  const total = balances.reduce((sum, one) => sum + one, 0)
  if (balances.length !== ACCOUNTS) return `${balances.length} accounts instead of ${ACCOUNTS}`
  return total === BANK_TOTAL ? null : `the sum is ${total} instead of ${BANK_TOTAL}`
}
