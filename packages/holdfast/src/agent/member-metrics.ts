/** What `/metrics` tells of each member: read from the core's state and from the watches, when asked. Asks nobody. */

import { candidatesOf, caseOf, verdictOf } from '../core/lease/eligibility.ts'
import type { MemberState } from '../core/lease/member-state.ts'
import type { AgentMetric } from '../core/metric-families.ts'
import type { MemberSettings } from '../core/settings.ts'
import { TARGET_LAG_BYTES_MAX } from '../core/switchover/handover.ts'
import type { DiskReading } from './disk-watch.ts'
import { lagBytes, lagMs, type Moment, writableForMs } from './snapshot.ts'

export interface OneMember {
  readonly settings: MemberSettings
  readonly state: MemberState
  readonly moment: Moment
  readonly engine: string
  readonly disk: DiskReading | null
  readonly leaseLowMs: number | null
}

type Labels = Readonly<Record<string, string>>
/** Labels beside group and member, and the value. */
export type Sample = readonly [value: number, labels?: Labels]

const ROLES = ['idle', 'replica', 'claiming', 'promoting', 'primary', 'demoting', 'fencing', 'releasing'] as const

/** Null or an empty list: no sample. */
export const MEMBER_GAUGES = {
  holdfast_member_info: ({ settings, engine }) => [
    [1, { site: settings.self.site, engine, failover: settings.failover }],
  ],
  holdfast_member_role: ({ state }) => ROLES.map((role): Sample => [state.role === role ? 1 : 0, { role }]),
  holdfast_member_epoch: ({ state }) => state.record?.value?.epoch ?? 0,
  holdfast_member_engine_up: ({ state }) => (state.view?.answering === true ? 1 : 0),
  holdfast_member_receiving: ({ state }) => (state.view?.answering === true && state.view.receiving ? 1 : 0),
  holdfast_member_lag_bytes: ({ state }) => lagBytes(state),
  holdfast_member_lag_seconds: ({ state, moment }) => seconds(lagMs(moment, state)),
  holdfast_member_lag_bound_bytes: ({ settings: { replication } }) =>
    replication.kind === 'async' ? replication.lossBytesMax : TARGET_LAG_BYTES_MAX,
  holdfast_member_lag_bound_seconds: ({ settings: { replication } }) =>
    replication.kind === 'async' ? replication.lossMsMax / 1_000 : null,
  holdfast_member_writable_seconds: ({ state, moment }) => writableForMs(moment, state) / 1_000,
  holdfast_lease_left_low_seconds: ({ leaseLowMs }) => seconds(leaseLowMs),
  holdfast_lease_ttl_seconds: ({ settings }) => settings.timing.ttlMs / 1_000,
  holdfast_group_eligible_replicas: eligibleReplicas,
  holdfast_group_paused: ({ state, moment }) => (pausedForMs(moment, state) > 0 ? 1 : 0),
  holdfast_group_failsafe: ({ state, moment }) => (state.failsafeUntilMs > moment.nowMs ? 1 : 0),
  holdfast_disk_free_bytes: ({ disk }) => disk?.freeBytes ?? null,
  holdfast_disk_size_bytes: ({ disk }) => disk?.sizeBytes ?? null,
  holdfast_disk_growth_bytes_per_second: ({ disk }) => disk?.growthBytesPerSecond ?? null,
} as const satisfies Partial<Record<AgentMetric, (one: OneMember) => number | null | readonly Sample[]>>

function seconds(ms: number | null): number | null {
  return ms === null ? null : ms / 1_000
}

/** Who could take over by the core's own rules; null while no record was seen, as in a group that is only observed. */
function eligibleReplicas({ settings, state, moment }: OneMember): number | null {
  const record = state.record?.value ?? null
  if (record === null) return null
  const question = caseOf(state, settings, record, moment.nowMs)
  const heirs = candidatesOf(state, settings, moment.nowMs).filter(({ spec }) => spec.member !== record.holder)
  return heirs.filter((heir) => verdictOf(question, heir).eligible).length
}

function pausedForMs(moment: Moment, { record, pauseSeen }: MemberState): number {
  const pause = record?.value?.pause ?? null
  if (pause === null) return 0
  return pause.validMs - (pauseSeen === null ? 0 : moment.nowMs - pauseSeen.atMs)
}
