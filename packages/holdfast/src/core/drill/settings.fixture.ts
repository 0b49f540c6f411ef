import type { DrillSettings } from './model.ts'

export function drillSettings(change: Partial<DrillSettings> = {}): DrillSettings {
  return {
    drill: 'frozen-primary',
    group: 'orders',
    fault: { kind: 'freeze', what: 'host', target: 'primary', forMs: 4_000 },
    before: [{ probe: 'writable' }, { probe: 'one-primary' }],
    during: [{ probe: 'one-primary' }],
    after: [{ probe: 'writable' }],
    recoverMs: 10_000,
    settleMs: 3_000,
    blastRadius: { members: 1, sites: 1, groups: 1 },
    abort: { canaryGapMs: 6_000, failedWritesMax: 50, lagBytesMax: null },
    objectives: { rtoMs: 5_000, rpoMs: 0 },
    approvals: [],
    ...change,
  }
}
