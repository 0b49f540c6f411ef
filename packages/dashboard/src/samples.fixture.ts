/** A group and an incident as the server tells them, to be varied by tests. */
import type { ApiGroup, ApiIncident, ApiMember } from '@holdfast/client'

export function memberAs(change: Partial<ApiMember>): ApiMember {
  return {
    ...{ member: 'orders-1', site: 'north', agent: 'agent-1', address: { host: '10.0.0.1', port: 5_432 } },
    ...{ role: 'replica', state: 'streaming', epoch: 1, timeline: 1, lsn: 1, lagBytes: 0, writableForMs: 0 },
    ...{ answering: true, streaming: true, upstream: null, eligible: true, priority: 0, noFailover: false },
    ...{ work: null, because: '' },
    ...change,
  }
}

export const PRIMARY = memberAs({ role: 'primary', writableForMs: 900, streaming: false, state: 'open' })

export function groupAs(change: Partial<ApiGroup>): ApiGroup {
  return {
    ...{ group: 'orders', engine: 'postgres', profile: 'fast', failover: 'automatic', whenAlone: 'block' },
    replication: { kind: 'sync', need: null, lossBytesMax: null, lossMsMax: null },
    ...{ ttlMs: 1_000, epoch: 1, phase: 'open', holder: 'orders-1', writer: 'orders-1', eligible: [], need: 1 },
    ...{ paused: null, failsafe: false, verdict: { safe: true, because: 'orders-2 could take over' } },
    ...{ loss: { kind: 'nothing', bytes: 0, because: '' }, doors: [], incident: null },
    members: [PRIMARY, memberAs({ member: 'orders-2', site: 'south' })],
    ...change,
  }
}

export function incidentAs(change: Partial<ApiIncident>): ApiIncident {
  return {
    ...{ id: 'i1', group: 'orders', kind: 'failover', state: 'closed', openedMs: 10_000, closedMs: 14_000 },
    ...{ fromEpoch: 1, toEpoch: 2, from: 'orders-1', to: 'orders-2', because: '', writeGapMs: 1_500, phases: [] },
    canary: null,
    ...change,
  }
}
