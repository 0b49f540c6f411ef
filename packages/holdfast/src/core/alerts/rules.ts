/**
 * The rules, one row each: what is asked, how bad a yes is, for how long it must hold, what it means in a sentence
 * with numbers, and what to do first. Both our own evaluation and the rules for Prometheus are made from these rows.
 * Each has a section in docs/operate/runbook.md.
 */
import type { Expression, SeriesName, Where } from './expression.ts'

export type Severity = 'critical' | 'warning' | 'info'
export const SEVERITIES = ['critical', 'warning', 'info'] as const

export type LimitUnit = 'share' | 'seconds'

export interface Limit {
  readonly unit: LimitUnit
  readonly value: number
  /** Where an engine needs another. */
  readonly redis?: number
  /** Beyond these an override is a mistake. */
  readonly low: number
  readonly high: number
}

/** Which groups a rule looks at: all, those Holdfast acts for, or of those the ones with a standby. */
export type GroupChoice = 'none' | 'all' | 'acting' | 'replicated'

export interface Asking {
  readonly limit: number
  /** Chooses the groups; empty where the rule is not about groups. */
  readonly where: Where
  readonly groups: readonly string[]
}

export interface RuleRow {
  readonly severity: Severity
  /** Labels that tell its alerts apart. */
  readonly by: readonly string[]
  readonly forMs: number
  /** It stays firing for so long after it last held, so that one that comes and goes is one alert. */
  readonly keepMs: number
  readonly limit: Limit | null
  readonly groups: GroupChoice
  /** While one of these fires with the same values of these labels, nobody is told of this one. */
  readonly hiddenBy?: readonly { readonly rule: string; readonly equal: readonly string[] }[]
  readonly asks: (asking: Asking) => Expression
  /** `{label}`, `{value|form}` and `{limit|form}` with the forms of `text.ts`. */
  readonly summary: string
  readonly next: string
}

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY_S = 86_400

export const AGENTS_JOB = 'holdfast-agents'
export const ROUTERS_JOB = 'holdfast-routers'
export const SERVER_JOB = 'holdfast-server'

const MEMBER = ['group', 'member'] as const
const MEMBER_AT = ['group', 'member', 'site'] as const
const AGENT_AT = ['agent', 'site'] as const
const PROMISE = ['group', 'service', 'kind'] as const

const series = (name: SeriesName, where: Where = {}): Expression => ({ kind: 'series', name, where })
const is = (left: Expression, how: '<' | '>' | '==', right: number): Expression => ({
  kind: 'compare',
  left,
  is: how,
  right,
})
const fold = (how: 'max' | 'sum' | 'count', by: readonly string[], of: Expression): Expression => ({
  kind: 'fold',
  how,
  by,
  of,
})
const ratio = (left: Expression, right: Expression, on: readonly string[]): Expression => ({
  kind: 'ratio',
  left,
  right,
  on,
})
const or = (left: Expression, right: Expression): Expression => ({ kind: 'or', left, right })
const growth = (name: SeriesName, overMs: number, where: Where = {}): Expression => ({
  kind: 'increase',
  name,
  where,
  overMs,
})
const up = (job: string): Expression => series('up', { job: [job] })

const SITE_HIDES = [{ rule: 'site-lost', equal: ['site'] }] as const
/** Something that happened stays an alert for so long. */
const EVENT_MS = 10 * MINUTE

export const RULES = {
  'no-writer': {
    severity: 'critical',
    by: ['group'],
    forMs: 15 * SECOND,
    keepMs: 15 * SECOND,
    limit: null,
    groups: 'acting',
    asks: ({ where, groups }) =>
      or(is(fold('max', ['group'], series('holdfast_member_writable_seconds', where)), '==', 0), {
        kind: 'missing',
        name: 'holdfast_member_writable_seconds',
        groups,
      }),
    summary: 'Nobody may write in group {group}',
    next: 'holdfast explain {group}',
  },
  'two-writers': {
    severity: 'critical',
    by: ['group'],
    forMs: 10 * SECOND,
    keepMs: MINUTE,
    limit: null,
    groups: 'acting',
    asks: ({ where }) =>
      is(fold('count', ['group'], is(series('holdfast_member_writable_seconds', where), '>', 0)), '>', 1),
    summary: '{value|count} members of group {group} say they may write',
    next: 'holdfast status, then stop the one with the lower epoch',
  },
  'no-eligible-replica': {
    severity: 'critical',
    by: ['group'],
    forMs: MINUTE,
    keepMs: MINUTE,
    limit: null,
    groups: 'replicated',
    asks: ({ where }) => is(fold('max', ['group'], series('holdfast_group_eligible_replicas', where)), '==', 0),
    summary: 'If the primary of group {group} were lost now, nobody could take over',
    next: 'holdfast explain {group}',
  },
  'lag-near-bound': {
    severity: 'warning',
    by: MEMBER_AT,
    forMs: MINUTE,
    keepMs: MINUTE,
    // A Redis replica that falls out of the backlog copies everything anew, so there is less time.
    limit: { unit: 'share', value: 0.8, redis: 0.5, low: 0.01, high: 10 },
    groups: 'all',
    asks: ({ limit, where }) =>
      or(
        is(
          ratio(series('holdfast_member_lag_bytes', where), series('holdfast_member_lag_bound_bytes'), MEMBER),
          '>',
          limit,
        ),
        is(
          ratio(series('holdfast_member_lag_seconds', where), series('holdfast_member_lag_bound_seconds'), MEMBER),
          '>',
          limit,
        ),
      ),
    summary: 'Replica {member} of group {group} lags by {value|percent} of its bound (limit {limit|percent})',
    next: 'holdfast status; look at disk and network of {member}',
  },
  'lease-near-deadline': {
    severity: 'warning',
    by: MEMBER_AT,
    forMs: 0,
    keepMs: MINUTE,
    limit: { unit: 'share', value: 0.3, low: 0.05, high: 0.9 },
    groups: 'acting',
    asks: ({ limit, where }) =>
      is(
        ratio(series('holdfast_lease_left_low_seconds', where), series('holdfast_lease_ttl_seconds'), MEMBER),
        '<',
        limit,
      ),
    summary: '{member}, primary of group {group}, had {value|percent} of its lease left before it was renewed',
    next: 'look at the store: its disk, its network, the load of its host',
  },
  'fence-happened': {
    severity: 'warning',
    by: MEMBER_AT,
    forMs: 0,
    keepMs: 0,
    limit: null,
    groups: 'acting',
    asks: ({ where }) => is(growth('holdfast_fences_total', EVENT_MS, where), '>', 0),
    summary: '{member} of group {group} was fenced {value|count} times within ten minutes',
    next: 'holdfast explain {group}; the journal of its agent says why',
  },
  'guard-fenced': {
    severity: 'critical',
    by: AGENT_AT,
    forMs: 0,
    keepMs: 0,
    limit: null,
    groups: 'none',
    asks: () => is(growth('holdfast_guard_fired', EVENT_MS), '>', 0),
    summary: 'The guard beside agent {agent} had to fence by itself: the agent did not act before the deadline',
    next: 'look at the log of agent {agent} and at the load of its host',
  },
  'primary-moved': {
    severity: 'info',
    by: ['group'],
    forMs: 0,
    keepMs: 0,
    limit: null,
    groups: 'acting',
    asks: ({ where }) => is(fold('sum', ['group'], growth('holdfast_promotions_total', EVENT_MS, where)), '>', 0),
    summary: 'The primary of group {group} moved within ten minutes',
    next: 'holdfast explain {group}',
  },
  'site-lost': {
    severity: 'critical',
    by: ['site'],
    forMs: 30 * SECOND,
    keepMs: 30 * SECOND,
    limit: null,
    groups: 'none',
    asks: () => is(fold('max', ['site'], up(AGENTS_JOB)), '==', 0),
    summary: 'No agent of site {site} answers',
    next: 'holdfast status; look whether the site is gone or only the way to it',
  },
  'agent-silent': {
    severity: 'warning',
    by: AGENT_AT,
    forMs: 30 * SECOND,
    keepMs: 30 * SECOND,
    limit: null,
    groups: 'none',
    hiddenBy: SITE_HIDES,
    asks: () => is(up(AGENTS_JOB), '==', 0),
    summary: 'Agent {agent} does not answer',
    next: 'look at its host and its log; start it: holdfast agent --name {agent}',
  },
  'engine-down': {
    severity: 'warning',
    by: MEMBER_AT,
    forMs: 30 * SECOND,
    keepMs: 30 * SECOND,
    limit: null,
    groups: 'all',
    asks: ({ where }) => is(series('holdfast_member_engine_up', where), '==', 0),
    summary: 'The engine of {member} in group {group} does not answer its agent',
    next: 'holdfast status; the log of the engine lies in its data folder',
  },
  'replica-not-receiving': {
    severity: 'warning',
    by: MEMBER_AT,
    forMs: MINUTE,
    keepMs: MINUTE,
    limit: null,
    groups: 'acting',
    hiddenBy: [{ rule: 'engine-down', equal: MEMBER }],
    asks: ({ where }) => ({
      kind: 'and',
      left: is(series('holdfast_member_receiving', where), '==', 0),
      right: is(series('holdfast_member_role', { role: ['replica'] }), '==', 1),
      on: MEMBER,
    }),
    summary: 'Replica {member} of group {group} receives nothing from its primary',
    next: 'holdfast status; the agent of {member} tries to repair it and says what the engine refused',
  },
  'guard-down': {
    severity: 'critical',
    by: AGENT_AT,
    forMs: 15 * SECOND,
    keepMs: 30 * SECOND,
    limit: null,
    groups: 'none',
    asks: () => is(series('holdfast_guard_up'), '==', 0),
    summary: 'The guard beside agent {agent} does not answer; its members take no lease',
    next: 'look at the log of agent {agent}; it starts a new guard once nothing is held there',
  },
  'store-unreachable': {
    severity: 'critical',
    by: AGENT_AT,
    forMs: 15 * SECOND,
    keepMs: 30 * SECOND,
    limit: null,
    groups: 'none',
    asks: () => is(series('holdfast_store_reachable'), '==', 0),
    summary: 'Agent {agent} does not reach the store: no automatic failover from there',
    next: 'look at the store and at the network between it and {agent}',
  },
  'store-slow': {
    severity: 'warning',
    by: AGENT_AT,
    forMs: 2 * MINUTE,
    keepMs: 2 * MINUTE,
    limit: { unit: 'seconds', value: 0.1, low: 0.001, high: 60 },
    groups: 'none',
    asks: ({ limit }) =>
      is(
        ratio(
          fold('sum', AGENT_AT, growth('holdfast_store_request_seconds_sum', 5 * MINUTE)),
          fold('sum', AGENT_AT, growth('holdfast_store_request_seconds_count', 5 * MINUTE)),
          AGENT_AT,
        ),
        '>',
        limit,
      ),
    summary: 'A call of the store takes agent {agent} {value|duration} on average (limit {limit|duration})',
    next: 'look at the disk of the store (it waits for fsync) and at the network',
  },
  'failsafe-active': {
    severity: 'warning',
    by: ['group'],
    forMs: 15 * SECOND,
    keepMs: MINUTE,
    limit: null,
    groups: 'acting',
    asks: ({ where }) => is(fold('max', ['group'], series('holdfast_group_failsafe', where)), '==', 1),
    summary: 'Group {group} writes without the store, by consent of all its members; nobody could take over',
    next: 'bring the store back; if a member is lost meanwhile the group stops',
  },
  'paused-long': {
    severity: 'warning',
    by: ['group'],
    forMs: HOUR,
    keepMs: MINUTE,
    limit: null,
    groups: 'acting',
    asks: ({ where }) => is(fold('max', ['group'], series('holdfast_group_paused', where)), '==', 1),
    summary: 'Group {group} is paused; nobody takes over by itself',
    next: 'holdfast resume {group}',
  },
  'loop-stuck': {
    severity: 'critical',
    by: AGENT_AT,
    forMs: 10 * SECOND,
    keepMs: 30 * SECOND,
    limit: { unit: 'seconds', value: 2, low: 0.1, high: 600 },
    groups: 'none',
    asks: ({ limit }) => is(series('holdfast_loop_age_seconds'), '>', limit),
    summary: 'Agent {agent} has decided nothing for {value|duration} (limit {limit|duration})',
    next: 'look at the load of its host; take a copy of its log and journal',
  },
  'disk-filling': {
    severity: 'warning',
    by: MEMBER_AT,
    forMs: MINUTE,
    keepMs: 5 * MINUTE,
    // Redis writes its data a second time for every snapshot and every rewrite of its log.
    limit: { unit: 'share', value: 0.15, redis: 0.3, low: 0.01, high: 0.9 },
    groups: 'all',
    hiddenBy: [{ rule: 'disk-nearly-full', equal: MEMBER }],
    asks: ({ limit, where }) => is(diskShare(where), '<', limit),
    summary: '{value|percent} of the disk of {member} in group {group} is free (limit {limit|percent})',
    next: 'df -h on its host; see what fills it before you delete anything',
  },
  'disk-nearly-full': {
    severity: 'critical',
    by: MEMBER_AT,
    forMs: 30 * SECOND,
    keepMs: 5 * MINUTE,
    limit: { unit: 'share', value: 0.05, redis: 0.1, low: 0.005, high: 0.5 },
    groups: 'all',
    asks: ({ limit, where }) => is(diskShare(where), '<', limit),
    summary: '{value|percent} of the disk of {member} in group {group} is free (limit {limit|percent})',
    next: 'make room now; never by deleting in pg_wal',
  },
  'disk-full-soon': {
    severity: 'critical',
    by: MEMBER_AT,
    forMs: 5 * MINUTE,
    keepMs: 5 * MINUTE,
    limit: { unit: 'seconds', value: 4 * 3_600, low: 60, high: 30 * DAY_S },
    groups: 'all',
    asks: ({ limit, where }) =>
      is(
        ratio(
          series('holdfast_disk_free_bytes', where),
          is(series('holdfast_disk_growth_bytes_per_second'), '>', 0),
          MEMBER,
        ),
        '<',
        limit,
      ),
    summary: 'The disk of {member} in group {group} is full in {value|duration} if it goes on like in the last hour',
    next: 'df -h on its host; a replication slot of a lost replica keeps the log',
  },
  'certificate-expiring': {
    severity: 'warning',
    by: ['use', 'part', 'group', 'agent', 'site'],
    forMs: 0,
    keepMs: 0,
    limit: { unit: 'seconds', value: 21 * DAY_S, low: 60, high: 400 * DAY_S },
    groups: 'none',
    hiddenBy: [{ rule: 'certificate-ending', equal: ['use', 'part', 'group', 'agent'] }],
    asks: ({ limit }) => is(certificateLeft(), '<', limit),
    summary: 'The {part} for TLS of the {use} {group} at agent {agent} ends in {value|duration}',
    next: 'renew it; the agent must be started again to show it',
  },
  'certificate-ending': {
    severity: 'critical',
    by: ['use', 'part', 'group', 'agent', 'site'],
    forMs: 0,
    keepMs: 0,
    limit: { unit: 'seconds', value: 3 * DAY_S, low: 60, high: 400 * DAY_S },
    groups: 'none',
    asks: ({ limit }) => is(certificateLeft(), '<', limit),
    summary: 'The {part} for TLS of the {use} {group} at agent {agent} ends in {value|duration}',
    next: 'renew it now: when it ends, agents, clients or replicas can no longer connect',
  },
  'router-silent': {
    severity: 'warning',
    by: ['router', 'site'],
    forMs: 30 * SECOND,
    keepMs: 30 * SECOND,
    limit: null,
    groups: 'none',
    hiddenBy: SITE_HIDES,
    asks: () => is(up(ROUTERS_JOB), '==', 0),
    summary: 'Router {router} does not answer',
    next: 'look at its host and its log; start it: holdfast router --name {router}',
  },
  'route-closed': {
    severity: 'critical',
    by: ['group', 'router', 'site'],
    forMs: 30 * SECOND,
    keepMs: 30 * SECOND,
    limit: null,
    groups: 'none',
    hiddenBy: [{ rule: 'no-writer', equal: ['group'] }],
    asks: () => is(series('holdfast_router_route_open'), '==', 0),
    summary: 'Router {router} leads nobody to a primary of group {group}',
    next: 'holdfast status; ask the router: /readyz at its metrics address',
  },
  'relay-down': {
    severity: 'critical',
    by: ['group', 'router', 'site'],
    forMs: 15 * SECOND,
    keepMs: 30 * SECOND,
    limit: null,
    groups: 'none',
    asks: () => is(series('holdfast_router_relay_up'), '==', 0),
    summary: 'The relay of router {router} for group {group} does not run',
    next: 'the log of the router says what HAProxy said',
  },
  'objective-in-danger': {
    severity: 'warning',
    by: PROMISE,
    forMs: MINUTE,
    keepMs: 5 * MINUTE,
    limit: { unit: 'share', value: 0.8, low: 0.05, high: 10 },
    groups: 'none',
    asks: ({ limit }) => ({
      kind: 'and',
      left: outlook(),
      // Several servers may tell the same.
      right: is(ratio(outlook(), fold('max', PROMISE, series('holdfast_objective_seconds')), PROMISE), '>', limit),
      on: PROMISE,
    }),
    summary:
      'The {kind} to expect of group {group} is {value|duration}: above {limit|percent} of what {service} promises',
    next: 'look at the last reports of the group: holdfast drill list; then at its lag: holdfast status',
  },
  'drill-overdue': {
    severity: 'warning',
    by: ['group', 'drill'],
    forMs: MINUTE,
    keepMs: MINUTE,
    limit: null,
    groups: 'none',
    asks: () => is(series('holdfast_drill_overdue_seconds'), '>', 0),
    summary: 'Drill {drill} of group {group} should have passed again {value|duration} ago',
    next: 'holdfast drill due; run it when it suits, and look why it did not pass',
  },
} as const satisfies Readonly<Record<string, RuleRow>>

function outlook(): Expression {
  return fold('max', PROMISE, series('holdfast_outlook_seconds'))
}

function diskShare(where: Where): Expression {
  return ratio(series('holdfast_disk_free_bytes', where), series('holdfast_disk_size_bytes'), MEMBER)
}

function certificateLeft(): Expression {
  return { kind: 'until', of: series('holdfast_certificate_expiry_timestamp_seconds') }
}

export type RuleId = keyof typeof RULES
export const RULE_IDS = Object.keys(RULES) as readonly RuleId[]

export function ruleRow(id: RuleId): RuleRow {
  return RULES[id]
}
