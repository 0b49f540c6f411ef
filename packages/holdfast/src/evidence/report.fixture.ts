import { type DrillReport, drillReport, METHOD } from './report.ts'

/** A report such as a drill leaves, with whatever a test wants different. */
export function aReport(seq: number, previousSha256: string | null, change: Partial<DrillReport> = {}): DrillReport {
  const made = drillReport({
    run: {
      id: `${seq}`.padStart(24, '0'),
      drill: 'frozen-host',
      platform: 'shop',
      group: 'orders',
      engine: 'postgres 18',
      practice: false,
      startedAt: '2027-03-09T09:00:00.000Z',
      endedAt: '2027-03-09T09:01:00.000Z',
      by: 'ann@desk',
      tool: 'holdfast 0.1.0',
      configSha256: 'c'.repeat(64),
      drillSha256: 'd'.repeat(64),
    },
    chain: { seq, previousSha256 },
    outcome: 'passed',
    because: 'RTO 3400 ms of 10000 ms, nothing acknowledged was lost',
    description: '',
    statement: 'Another member takes over.',
    scope: {
      fault: 'SIGSTOP of the host of the primary for 15 s',
      members: ['orders-1'],
      blastRadius: { members: 1, sites: 1, groups: 1 },
      abortConditions: "no acknowledged write for 20 s, or anybody's word",
    },
    approvals: [{ gate: 'fault', by: 'bob', sinceMs: 900 }],
    objective: { rtoMs: 10_000, rpoMs: 0 },
    prediction: { rtoMs: 4_000, rpoMs: 0, because: 'ttl + margin + takeover' },
    measured: { rtoMs: 3_400, rpoMs: 0, acked: 900, failed: 4, lost: 0, doubled: 0, method: METHOD },
    deviations: [],
    faultProof: { askedMs: 1_200, onMs: 1_500, goneMs: 16_500, recoveredMs: 18_000 },
    checks: [{ when: 'before', check: 'exactly one member may write', looks: 2, held: 2 }],
    timeline: [{ sinceMs: 1_500, source: 'drill', code: 'fault-on', words: 'proof 7 of 7 processes are stopped' }],
    rate: { stepMs: 250, acked: Array.from({ length: 80 }, (_, n) => (n > 6 && n < 20 ? 0 : 40)) },
  })
  return { ...made, ...change }
}
