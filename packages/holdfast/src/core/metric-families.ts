/**
 * Every number that agents, routers and servers export, in one table: who exports it, its type, labels, unit and
 * meaning. They build their `/metrics` from it, alert rules may name nothing else, and the reference page is made
 * from it. Label values are names from the description and fixed words only.
 */
export interface MetricFamily {
  readonly source: 'agent' | 'router' | 'server'
  readonly type: 'gauge' | 'counter' | 'histogram'
  readonly labels: readonly string[]
  readonly unit: 'bytes' | 'seconds' | 'unix seconds' | 'bytes per second' | 'count' | '0 or 1' | 'number'
  readonly help: string
}

type Row = Omit<MetricFamily, 'source'>
type Unit = MetricFamily['unit']

const gauge = <const L extends readonly string[]>(labels: L, unit: Unit, help: string) =>
  ({ type: 'gauge', labels, unit, help }) as const satisfies Row
const counter = <const L extends readonly string[]>(labels: L, help: string) =>
  ({ type: 'counter', labels, unit: 'count', help }) as const satisfies Row
const histogram = <const L extends readonly string[]>(labels: L, help: string) =>
  ({ type: 'histogram', labels, unit: 'seconds', help }) as const satisfies Row

const NONE = [] as const
const MEMBER = ['group', 'member'] as const

export const AGENT_FAMILIES = {
  holdfast_agent_info: gauge(['agent', 'site', 'version'], 'number', 'Always one; who answers and what it runs'),
  holdfast_member_info: gauge(
    [...MEMBER, 'site', 'engine', 'failover'],
    'number',
    'Always one; where the member stands, what it runs and who moves its primary',
  ),
  holdfast_member_role: gauge([...MEMBER, 'role'], '0 or 1', 'One for the role the member has'),
  holdfast_member_epoch: gauge(MEMBER, 'number', 'Number of the leadership the member knows'),
  holdfast_member_engine_up: gauge(MEMBER, '0 or 1', 'One while the engine answers its agent'),
  holdfast_member_receiving: gauge(MEMBER, '0 or 1', 'One while a replica receives from its primary'),
  holdfast_member_lag_bytes: gauge(MEMBER, 'bytes', 'Bytes behind what the holder published; no sample if unknown'),
  holdfast_member_lag_seconds: gauge(
    MEMBER,
    'seconds',
    'Age of the oldest published byte the member lacks; no sample if unknown',
  ),
  holdfast_member_lag_bound_bytes: gauge(
    MEMBER,
    'bytes',
    'With async: beyond this a replica does not take over. Else: beyond this a planned move is refused',
  ),
  holdfast_member_lag_bound_seconds: gauge(
    MEMBER,
    'seconds',
    'Beyond this a replica does not take over; only with async',
  ),
  holdfast_member_writable_seconds: gauge(MEMBER, 'seconds', 'Trust left without another beat; 0: not open for writes'),
  holdfast_lease_left_low_seconds: gauge(
    MEMBER,
    'seconds',
    'Least trust that was left within the last minute; no sample unless open for writes in it',
  ),
  holdfast_lease_ttl_seconds: gauge(MEMBER, 'seconds', 'Length of the lease'),
  holdfast_group_eligible_replicas: gauge(
    MEMBER,
    'count',
    'Members besides the holder that could take over without breaking a rule, as this member sees it',
  ),
  holdfast_group_paused: gauge(MEMBER, '0 or 1', 'One while no automatic change of primary is made'),
  holdfast_group_failsafe: gauge(MEMBER, '0 or 1', 'One while writes go on without the store by consent of all'),
  holdfast_fences_total: counter(MEMBER, 'Fences done by the agent'),
  holdfast_promotions_total: counter(MEMBER, 'Promotions that succeeded'),
  holdfast_guard_up: gauge(NONE, '0 or 1', 'One while the guard answers'),
  holdfast_guard_fired: gauge(NONE, 'count', 'Fences the guard did on its own since the start'),
  holdfast_store_reachable: gauge(NONE, '0 or 1', 'One while the store has answered within a lease'),
  holdfast_store_silent_seconds: gauge(
    NONE,
    'seconds',
    'Time since the newest answered call left; no sample before it',
  ),
  holdfast_store_request_seconds: histogram(['operation', 'result'], 'Time of one call of the store'),
  holdfast_store_nonsense_total: counter(NONE, 'Values of the store that were no records'),
  holdfast_engine_command_seconds: histogram(['command', 'ok'], 'Time of one engine command'),
  holdfast_disk_free_bytes: gauge(MEMBER, 'bytes', 'Free for the engine on the file system of its data folder'),
  holdfast_disk_size_bytes: gauge(MEMBER, 'bytes', 'Size of the file system of the data folder'),
  holdfast_disk_growth_bytes_per_second: gauge(
    MEMBER,
    'bytes per second',
    'How fast that file system fills, over the last hour at most; no sample in the first five minutes',
  ),
  holdfast_certificate_expiry_timestamp_seconds: gauge(
    ['use', 'part', 'group'],
    'unix seconds',
    'When the first certificate in a TLS file ends; no sample if the file cannot be read',
  ),
  holdfast_loop_age_seconds: gauge(NONE, 'seconds', 'Time since the core last ran'),
  holdfast_loop_gap_max_seconds: gauge(NONE, 'seconds', 'Longest pause between two steps since the start'),
  holdfast_journal_dropped: gauge(NONE, 'count', 'Journal entries lost since the start'),
  holdfast_decisions: gauge(['code'], 'count', 'Decisions told since the start, by reason code'),
  process_resident_memory_bytes: gauge(NONE, 'bytes', 'Resident memory of the agent'),
  process_cpu_seconds: gauge(NONE, 'seconds', 'Processor time of the agent'),
} as const satisfies Readonly<Record<string, Row>>

const DOOR = ['group', 'door'] as const

export const ROUTER_FAMILIES = {
  holdfast_router_route_open: gauge(['group'], '0 or 1', 'New connections go to a primary'),
  holdfast_router_epoch: gauge(['group'], 'number', 'Newest leadership this router has seen'),
  holdfast_router_lost_seconds: gauge(['group'], 'seconds', 'No primary to be had for this long; 0: there is one'),
  holdfast_router_refusing: gauge(['group'], '0 or 1', 'No primary for too long: whoever comes is refused at once'),
  holdfast_router_reads_degraded: gauge(['group'], '0 or 1', 'Reads go on from replicas that receive nothing'),
  holdfast_router_stale_seconds: gauge(['group', 'member'], 'seconds', 'Age, at most, of the data of a member'),
  holdfast_router_sessions: gauge(DOOR, 'count', 'Client connections'),
  holdfast_router_held: gauge(DOOR, 'count', 'Client connections that wait for a backend'),
  holdfast_router_accepted_total: counter(DOOR, 'Connections accepted'),
  holdfast_router_refused_total: counter(DOOR, 'Connections refused with a reason'),
  holdfast_router_cut_total: counter(DOOR, 'Sessions cut because their route ended'),
  holdfast_router_bytes_up_total: counter(DOOR, 'Bytes from clients to backends'),
  holdfast_router_bytes_down_total: counter(DOOR, 'Bytes from backends to clients'),
  holdfast_router_relay_up: gauge(['group'], '0 or 1', 'The relay before the door runs'),
  holdfast_router_relay_sessions: gauge(
    ['group'],
    'count',
    'Clients at the relay, those it leads to the router included',
  ),
  // Gauges, because they begin anew with each relay.
  holdfast_router_relay_bytes_up: gauge(['group'], 'bytes', 'Bytes from clients since the relay started'),
  holdfast_router_relay_bytes_down: gauge(['group'], 'bytes', 'Bytes to clients since the relay started'),
} as const satisfies Readonly<Record<string, Row>>

const GROUP = ['group'] as const
const MEMBER_AT = [...MEMBER, 'site'] as const
const PROMISE = ['group', 'service', 'kind'] as const
const LEADING = 'only the server that leads measures'

/** Of the platform as a server sees it. */
export const SERVER_FAMILIES = {
  holdfast_group_safe: gauge(GROUP, '0 or 1', 'One more loss would be survived without loss'),
  holdfast_group_epoch: gauge(GROUP, 'number', 'Newest leadership'),
  holdfast_group_writable: gauge(GROUP, '0 or 1', 'Some member is open for writes'),
  holdfast_group_automation_paused: gauge(GROUP, '0 or 1', 'Automation is paused'),
  holdfast_group_incident_open: gauge(GROUP, '0 or 1', 'An incident is open'),
  holdfast_group_loss_predicted_bytes: gauge(
    GROUP,
    'bytes',
    'Loss if the site of the primary burned, from counters; no sample if unknown',
  ),
  holdfast_member_lag_predicted_bytes: gauge(MEMBER_AT, 'bytes', 'Bytes behind the holder, from counters'),
  holdfast_member_trust_seconds: gauge(MEMBER_AT, 'seconds', 'For how long it may write without another beat'),
  holdfast_agent_reachable: gauge(['agent', 'site'], '0 or 1', 'The agent answers this server'),
  holdfast_server_leading: gauge(NONE, '0 or 1', 'This server writes events and runs schedules'),
  holdfast_server_last_event: gauge(NONE, 'number', 'Number of the newest event'),
  holdfast_server_listeners: gauge(NONE, 'count', 'Open streams'),
  holdfast_server_resident_bytes: gauge(NONE, 'bytes', 'Memory of the process'),
  holdfast_server_request_seconds: histogram(['route', 'status'], 'Time to answer, by route of the API'),
  holdfast_server_logins_total: counter(['outcome'], 'Tries to log in'),
  holdfast_canary_measuring: gauge(GROUP, '0 or 1', `What clients see of the group is measured; ${LEADING}`),
  holdfast_canary_writable: gauge(GROUP, '0 or 1', 'Writes of a client are served; no sample if not measured'),
  holdfast_canary_readable: gauge(GROUP, '0 or 1', 'Reads of a client are served; no sample if not measured'),
  holdfast_canary_writes_total: counter(
    ['group', 'result'],
    'Records written: `ok`, `failed`, or `unknown` for those without an answer',
  ),
  holdfast_canary_write_seconds: gauge(GROUP, 'seconds', 'Time of the newest acknowledged write'),
  holdfast_canary_outage_seconds: gauge(
    GROUP,
    'seconds',
    'Since the last acknowledged write of an outage that goes on; zero without one; no sample if not measured',
  ),
  holdfast_canary_lost_records_total: counter(GROUP, 'Acknowledged records that were later not at the primary'),
  holdfast_canary_bad_records_total: counter(GROUP, 'Records read back edited, or written by somebody else'),
  holdfast_canary_at_risk_seconds: gauge(
    GROUP,
    'seconds',
    'Acknowledged, and shown by no copy outside the primary’s site; no sample if not measured',
  ),
  holdfast_canary_replica_stale_seconds: gauge(
    MEMBER_AT,
    'seconds',
    'For how long the oldest acknowledged record that the replica does not show has been acknowledged',
  ),
  holdfast_canary_replica_newest_seconds: gauge(MEMBER_AT, 'seconds', 'Age of the newest record the replica shows'),
  holdfast_objective_seconds: gauge(
    PROMISE,
    'seconds',
    'What the service promises for the group; `kind` is rto or rpo',
  ),
  holdfast_outlook_seconds: gauge(
    [...PROMISE, 'from'],
    'seconds',
    'What to expect: the worst of the newest drills, or with async the loss exposed now by lag; no sample if unknown',
  ),
  holdfast_drill_overdue_seconds: gauge(
    ['group', 'drill'],
    'seconds',
    'For how long a scheduled drill should have passed again; 0: it is in time',
  ),
  holdfast_drill_score: gauge(['group'], 'number', 'What the proof of the group is worth today, from 0 to 100'),
} as const satisfies Readonly<Record<string, Row>>

export type AgentMetric = keyof typeof AGENT_FAMILIES
export type RouterMetric = keyof typeof ROUTER_FAMILIES
export type ServerMetric = keyof typeof SERVER_FAMILIES
export type MetricName = AgentMetric | RouterMetric | ServerMetric

/** All of them with who exports each, in the order of the tables. */
export function metricFamilies(): ReadonlyMap<string, MetricFamily> {
  const of = (source: MetricFamily['source'], table: Readonly<Record<string, Row>>) =>
    Object.entries(table).map(([name, row]): [string, MetricFamily] => [name, { source, ...row }])
  return new Map([...of('agent', AGENT_FAMILIES), ...of('router', ROUTER_FAMILIES), ...of('server', SERVER_FAMILIES)])
}
