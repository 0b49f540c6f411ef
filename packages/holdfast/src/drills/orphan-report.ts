/** The report of a drill whose runner was gone: what is known of it, and plainly that nothing was measured. Pure. */
import { type DrillReport, drillReport } from '../evidence/report.ts'
import type { ActiveDrill } from './ledger.ts'
import type { ReportHead } from './report-head.ts'

export interface OrphanEnd {
  readonly because: string
  readonly endedWallMs: number
  readonly chain: DrillReport['chain']
}

export function orphanReport(
  { startedWallMs, phase, members, approvals }: Pick<ActiveDrill, 'startedWallMs' | 'phase' | 'members' | 'approvals'>,
  head: ReportHead,
  { because, endedWallMs, chain }: OrphanEnd,
): DrillReport {
  const lastedMs = Math.max(0, Math.round(endedWallMs - startedWallMs))
  const line = (sinceMs: number, code: string, words: string) => ({ sinceMs, source: 'drill', code, words })
  return drillReport({
    ...head,
    run: {
      ...head.run,
      startedAt: new Date(startedWallMs).toISOString(),
      endedAt: new Date(endedWallMs).toISOString(),
    },
    chain,
    outcome: 'aborted',
    because,
    scope: { ...head.scope, members },
    approvals: [...head.approvals, ...approvals.map(({ gate, by }) => ({ gate, by, sinceMs: 0 }))],
    prediction: null,
    measured: null,
    deviations: [because],
    faultProof: { askedMs: null, onMs: null, goneMs: lastedMs, recoveredMs: null },
    checks: [],
    timeline: [
      line(0, 'drill-begun', `drill ${head.run.drill}, group ${head.run.group}`),
      line(lastedMs, 'runner-gone', `its last word was that it is ${phase}`),
      line(lastedMs, 'fault-gone', because),
    ],
    rate: { stepMs: Math.max(1_000, lastedMs), acked: [] },
  })
}
