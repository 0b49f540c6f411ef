/** The chain of reports as the store keeps it. */
import type { Chain } from '../evidence/folder.ts'
import type { Desk } from './desk.ts'

export function storeChain({ ledger }: Pick<Desk, 'ledger'>): Chain {
  return {
    end: () => ledger.chain(),
    extend: (from, to) => ledger.extendChain(from === null ? null : { format: 1, ...from }, { format: 1, ...to }),
  }
}
