/**
 * `/metrics` of the whole platform, from what this server sees. Numbers are read when they are asked for; names, types
 * and words stand in `core/metric-families.ts`.
 */
import type { ApiCanaryNow } from '@holdfast/client'
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { SERVER_FAMILIES, type ServerMetric } from '../core/metric-families.ts'
import { DRILL_FILLS } from './drills/metrics.ts'
import type { Scene } from './scene.ts'

type Labels = Readonly<Record<string, string>>
type Tell = (labels: Labels, value: number) => void
type Fill = (scene: Scene, tell: Tell) => void
/** Those that are counted as things happen. */
type Counted = 'holdfast_server_request_seconds' | 'holdfast_server_logins_total'

const ofGroups =
  (value: (group: ReturnType<Scene['watch']['groups']>[number]) => number | null): Fill =>
  ({ watch }, tell) => {
    for (const group of watch.groups()) {
      const told = value(group)
      if (told !== null) tell({ group: group.group }, told)
    }
  }

const ofMembers =
  (value: (member: ReturnType<Scene['watch']['groups']>[number]['members'][number]) => number | null): Fill =>
  ({ watch }, tell) => {
    for (const { group, members } of watch.groups()) {
      for (const one of members) {
        const told = value(one)
        if (told !== null) tell({ group, member: one.member, site: one.site }, told)
      }
    }
  }

const ofCanaries =
  (value: (now: ApiCanaryNow) => number | null): Fill =>
  ({ canary }, tell) => {
    for (const [group, now] of canary.all()) {
      const told = value(now)
      if (told !== null) tell({ group }, told)
    }
  }

const ofReplicas =
  (value: (replica: ApiCanaryNow['replicas'][number]) => number | null): Fill =>
  ({ canary }, tell) => {
    for (const [group, { replicas }] of canary.all()) {
      for (const one of replicas) {
        const told = value(one)
        if (told !== null) tell({ group, member: one.member, site: one.site }, told / 1_000)
      }
    }
  }

/** Null while nothing is known. */
function served(condition: ApiCanaryNow['writes']['condition']): number | null {
  return condition === 'up' ? 1 : condition === 'down' ? 0 : null
}

const FILLS: Readonly<Record<Exclude<ServerMetric, Counted>, Fill>> = {
  holdfast_group_safe: ofGroups(({ verdict }) => (verdict.safe ? 1 : 0)),
  holdfast_group_epoch: ofGroups(({ epoch }) => epoch),
  holdfast_group_writable: ofGroups(({ writer }) => (writer === null ? 0 : 1)),
  holdfast_group_automation_paused: ofGroups(({ paused }) => (paused === null ? 0 : 1)),
  holdfast_group_incident_open: ofGroups(({ incident }) => (incident === null ? 0 : 1)),
  holdfast_group_loss_predicted_bytes: ofGroups(({ loss }) => loss.bytes),
  holdfast_member_lag_predicted_bytes: ofMembers(({ lagBytes }) => lagBytes),
  holdfast_member_trust_seconds: ofMembers(({ writableForMs }) => writableForMs / 1_000),
  holdfast_agent_reachable: ({ watch }, tell) => {
    for (const { agent, site, reachable } of watch.agents()) tell({ agent, site }, reachable ? 1 : 0)
  },
  holdfast_server_leading: ({ leader }, tell) => tell({}, leader.state.leading ? 1 : 0),
  holdfast_server_last_event: ({ feed }, tell) => tell({}, feed.last),
  holdfast_server_listeners: ({ hub }, tell) => tell({}, hub.size),
  holdfast_server_resident_bytes: (_scene, tell) => tell({}, process.memoryUsage.rss()),
  holdfast_canary_measuring: ofCanaries(({ writes }) => (writes.condition === 'unmeasured' ? 0 : 1)),
  holdfast_canary_writable: ofCanaries(({ writes }) => served(writes.condition)),
  holdfast_canary_readable: ofCanaries(({ reads }) => served(reads.condition)),
  holdfast_canary_writes_total: ({ canary }, tell) => {
    for (const [group, { acked, failed, unknown }] of canary.all()) {
      tell({ group, result: 'ok' }, acked)
      tell({ group, result: 'failed' }, failed)
      tell({ group, result: 'unknown' }, unknown)
    }
  },
  holdfast_canary_write_seconds: ofCanaries(({ latency }) => (latency === null ? null : latency.newestMs / 1_000)),
  holdfast_canary_outage_seconds: ofCanaries(({ writes, outage }) =>
    writes.condition === 'unmeasured' ? null : (outage?.forMs ?? 0) / 1_000,
  ),
  holdfast_canary_lost_records_total: ofCanaries(({ lost }) => lost),
  holdfast_canary_bad_records_total: ofCanaries(({ badRecords }) => badRecords),
  holdfast_canary_at_risk_seconds: ofCanaries(({ risk }) => (risk === null ? null : risk.ms / 1_000)),
  holdfast_canary_replica_stale_seconds: ofReplicas(({ lacksMs }) => lacksMs),
  holdfast_canary_replica_newest_seconds: ofReplicas(({ ageMs }) => ageMs),
  ...DRILL_FILLS,
}

export class ServerMetrics {
  readonly #registry = new Registry()
  readonly #requests: Histogram<'route' | 'status'>
  readonly #logins: Counter<'outcome'>
  readonly #read: readonly { readonly metric: Gauge | Counter; readonly fill: Fill }[]

  constructor() {
    const registers = [this.#registry]
    this.#requests = new Histogram({
      ...{ name: 'holdfast_server_request_seconds', labelNames: ['route', 'status'] },
      help: SERVER_FAMILIES.holdfast_server_request_seconds.help,
      buckets: [0.005, 0.02, 0.05, 0.1, 0.5, 2],
      registers,
    })
    this.#logins = new Counter({
      ...{ name: 'holdfast_server_logins_total', labelNames: ['outcome'] },
      help: SERVER_FAMILIES.holdfast_server_logins_total.help,
      registers,
    })
    this.#read = (Object.keys(FILLS) as (keyof typeof FILLS)[]).map((name) => {
      const { type, labels, help } = SERVER_FAMILIES[name]
      const options = { name, help, labelNames: [...labels] as string[], registers }
      return { metric: type === 'counter' ? new Counter(options) : new Gauge(options), fill: FILLS[name] }
    })
  }

  answered(route: string, status: number, tookMs: number): void {
    this.#requests.observe({ route, status: String(status) }, tookMs / 1_000)
    if (route === 'login' || route === 'oidcCallback') this.#logins.inc({ outcome: status < 400 ? 'done' : 'refused' })
  }

  text(scene: Scene): Promise<string> {
    for (const { metric, fill } of this.#read) {
      metric.reset()
      // Counters are read from whoever counts, too.
      fill(scene, (labels, value) => metric.inc({ ...labels }, value))
    }
    return this.#registry.metrics()
  }
}
