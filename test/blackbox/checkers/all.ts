/** Every checker, over one run. Pure. */
import type { CheckerInput, Verdict } from '../contract.ts'
import type { Isolation } from '../workloads/settings.ts'
import { agreement } from './agreement.ts'
import { bank } from './bank.ts'
import { doubled } from './doubled.ts'
import { falseFailover } from './false-failover.ts'
import { listAppend } from './list-append.ts'
import { lost } from './lost.ts'
import { outage } from './outage.ts'
import { rpo } from './rpo.ts'
import { staleWrite } from './stale-write.ts'
import { twoWriters } from './two-writers.ts'
import { unexpected } from './unexpected.ts'

export function checkAll(input: CheckerInput, isolation: Isolation = 'serializable'): readonly Verdict[] {
  return [
    lost(input),
    doubled(input),
    unexpected(input),
    staleWrite(input),
    twoWriters(input),
    bank(input),
    listAppend(input, isolation),
    rpo(input),
    falseFailover(input),
    agreement(input),
    outage(input),
  ]
}
