/** A Grafana dashboard (schema version 38: Grafana 9 and newer) over what agents and routers export. */
import type { Platform } from '../../config/platform.ts'
import type { MetricName } from '../../core/metric-families.ts'

const SCHEMA_VERSION = 38
const COLUMNS = 24
const DATASOURCE = { type: 'prometheus', uid: '$datasource' }
const CHOSEN = '{group=~"$group", site=~"$site"}'

interface Query {
  readonly expr: string
  readonly legend: string
}

interface Sketch {
  readonly title: string
  readonly type: 'timeseries' | 'stat' | 'state-timeline' | 'table'
  readonly unit: 'short' | 's' | 'percentunit' | 'bytes' | 'bool_yes_no'
  readonly width: number
  readonly height: number
  readonly queries: readonly Query[]
  readonly description: string
  /** Green until, then orange, then red; or the other way round when `worse` is below. */
  readonly steps?: { readonly worse: 'above' | 'below'; readonly warn: number; readonly bad: number }
}

/** Names of metrics are checked by their type. */
const of = (name: MetricName, choose = CHOSEN): string => `${name}${choose}`
const share = (part: MetricName, whole: MetricName): string =>
  `${of(part)} / on (group, member) group_left () ${of(whole, '')}`

const SKETCHES: readonly Sketch[] = [
  {
    ...{ title: 'Groups without a writer', type: 'stat', unit: 'short', width: 4, height: 4 },
    queries: [
      { expr: `count(max by (group) (${of('holdfast_member_writable_seconds')}) == 0) or vector(0)`, legend: 'groups' },
    ],
    description: 'Groups in which nobody may write just now',
    steps: { worse: 'above', warn: 1, bad: 1 },
  },
  {
    ...{ title: 'Groups nobody could take over', type: 'stat', unit: 'short', width: 4, height: 4 },
    queries: [
      { expr: `count(max by (group) (${of('holdfast_group_eligible_replicas')}) == 0) or vector(0)`, legend: 'groups' },
    ],
    description: 'Groups whose primary has no successor that may lead without loss',
    steps: { worse: 'above', warn: 1, bad: 1 },
  },
  {
    ...{ title: 'Agents that do not answer', type: 'stat', unit: 'short', width: 4, height: 4 },
    queries: [{ expr: 'count(up{job="holdfast-agents", site=~"$site"} == 0) or vector(0)', legend: 'agents' }],
    description: 'Agents Prometheus could not scrape',
    steps: { worse: 'above', warn: 1, bad: 1 },
  },
  {
    ...{ title: 'Write availability', type: 'stat', unit: 'percentunit', width: 12, height: 4 },
    queries: [
      {
        expr: `avg_over_time((max by (group) (${of('holdfast_member_writable_seconds')}) > bool 0)[$__range:])`,
        legend: '{{group}}',
      },
    ],
    description: 'Share of the shown time in which somebody held the right to write, as seen by the scrapes',
    steps: { worse: 'below', warn: 0.9999, bad: 0.999 },
  },
  {
    ...{ title: 'Writer per group', type: 'state-timeline', unit: 'bool_yes_no', width: 24, height: 7 },
    queries: [{ expr: `${of('holdfast_member_writable_seconds')} > bool 0`, legend: '{{group}} {{member}}' }],
    description: 'Who may write; never two of one group at a time',
  },
  {
    ...{ title: 'Lease time left', type: 'timeseries', unit: 's', width: 12, height: 8 },
    queries: [
      { expr: of('holdfast_lease_left_low_seconds'), legend: '{{group}} {{member}}' },
      { expr: `max by (group) (${of('holdfast_lease_ttl_seconds')})`, legend: '{{group}} lease' },
    ],
    description: 'Least time that was left before a renewal, within the last minute; at zero the member is fenced',
  },
  {
    ...{ title: 'Lag against its bound', type: 'timeseries', unit: 'percentunit', width: 12, height: 8 },
    queries: [
      {
        expr: share('holdfast_member_lag_bytes', 'holdfast_member_lag_bound_bytes'),
        legend: '{{group}} {{member}} bytes',
      },
      {
        expr: share('holdfast_member_lag_seconds', 'holdfast_member_lag_bound_seconds'),
        legend: '{{group}} {{member}} time',
      },
    ],
    description: 'At 100 % a replica may no longer take over',
    steps: { worse: 'above', warn: 0.5, bad: 0.8 },
  },
  {
    ...{ title: 'Promotions and fences', type: 'timeseries', unit: 'short', width: 12, height: 8 },
    queries: [
      {
        expr: `increase(${of('holdfast_promotions_total')}[$__rate_interval])`,
        legend: '{{group}} {{member}} promoted',
      },
      { expr: `increase(${of('holdfast_fences_total')}[$__rate_interval])`, legend: '{{group}} {{member}} fenced' },
    ],
    description: 'Each is one event',
  },
  {
    ...{ title: 'Members that could take over', type: 'timeseries', unit: 'short', width: 12, height: 8 },
    queries: [{ expr: `max by (group) (${of('holdfast_group_eligible_replicas')})`, legend: '{{group}}' }],
    description: 'Besides the holder, by the rules of the failover itself',
  },
  {
    ...{ title: 'Loop age', type: 'timeseries', unit: 's', width: 8, height: 8 },
    queries: [{ expr: of('holdfast_loop_age_seconds', '{site=~"$site"}'), legend: '{{agent}}' }],
    description: 'Time since each agent last decided',
  },
  {
    ...{ title: 'Store round trip, 95 %', type: 'timeseries', unit: 's', width: 8, height: 8 },
    queries: [
      {
        expr:
          'histogram_quantile(0.95, sum by (agent, le) ' +
          '(rate(holdfast_store_request_seconds_bucket{site=~"$site"}[$__rate_interval])))',
        legend: '{{agent}}',
      },
    ],
    description: 'Time of one call of the store as each agent sees it',
  },
  {
    ...{ title: 'Disk free', type: 'timeseries', unit: 'percentunit', width: 8, height: 8 },
    queries: [
      {
        expr: share('holdfast_disk_free_bytes', 'holdfast_disk_size_bytes'),
        legend: '{{group}} {{member}}',
      },
    ],
    description: 'Free share of the file system of each data folder',
    steps: { worse: 'below', warn: 0.15, bad: 0.05 },
  },
  {
    ...{ title: 'Certificates: time left', type: 'timeseries', unit: 's', width: 12, height: 7 },
    queries: [
      {
        expr: `${of('holdfast_certificate_expiry_timestamp_seconds', '{site=~"$site"}')} - time()`,
        legend: '{{agent}} {{use}} {{part}} {{group}}',
      },
    ],
    description: 'Until the first certificate of each TLS file ends',
  },
  {
    ...{ title: 'Clients at the doors', type: 'timeseries', unit: 'short', width: 12, height: 7 },
    queries: [
      { expr: of('holdfast_router_sessions'), legend: '{{router}} {{group}} {{door}}' },
      { expr: of('holdfast_router_held'), legend: '{{router}} {{group}} {{door}} held' },
    ],
    description: 'Sessions through each router, and connections that wait for a primary',
  },
  {
    ...{ title: 'Alerts', type: 'table', unit: 'short', width: 24, height: 7 },
    queries: [{ expr: 'ALERTS{alertstate="firing", platform="PLATFORM"}', legend: '{{alertname}}' }],
    description: 'What fires just now, by the generated rules',
  },
]

export function grafanaDashboard(platform: Platform): object {
  return {
    uid: `holdfast-${platform.name}`.slice(0, 40),
    title: `Holdfast ${platform.name}`,
    tags: ['holdfast'],
    schemaVersion: SCHEMA_VERSION,
    version: 1,
    editable: true,
    graphTooltip: 1,
    refresh: '10s',
    time: { from: 'now-1h', to: 'now' },
    timezone: 'browser',
    annotations: { list: [] },
    templating: { list: [datasource(), variable('site'), variable('group')] },
    panels: placed(SKETCHES).map((place, at) =>
      panel(platform, SKETCHES[at] as Sketch, { id: at + 1, gridPos: place }),
    ),
  }
}

function datasource(): object {
  return { name: 'datasource', label: 'Prometheus', type: 'datasource', query: 'prometheus', hide: 0 }
}

function variable(label: 'site' | 'group'): object {
  const query = `label_values(holdfast_member_info, ${label})`
  return {
    ...{ name: label, label, type: 'query', datasource: DATASOURCE, hide: 0, refresh: 2, sort: 1 },
    ...{ query: { query, refId: label }, includeAll: true, multi: true, allValue: '.*' },
    current: { selected: true, text: ['All'], value: ['$__all'] },
  }
}

interface Place {
  readonly x: number
  readonly y: number
  readonly w: number
  readonly h: number
}

/** From left to right, in rows. */
function placed(sketches: readonly Sketch[]): readonly Place[] {
  let [x, y, rowHeight] = [0, 0, 0]
  return sketches.map(({ width, height }) => {
    if (x + width > COLUMNS) {
      y += rowHeight
      x = 0
      rowHeight = 0
    }
    const place = { x, y, w: width, h: height }
    x += width
    rowHeight = Math.max(rowHeight, height)
    return place
  })
}

function panel(platform: Platform, sketch: Sketch, where: { readonly id: number; readonly gridPos: Place }): object {
  const { title, type, unit, queries, description, steps } = sketch
  return {
    ...where,
    title,
    type,
    description,
    datasource: DATASOURCE,
    targets: queries.map(({ expr, legend }, at) => ({
      refId: String.fromCharCode(65 + at),
      datasource: DATASOURCE,
      expr: expr.replace('PLATFORM', platform.name),
      legendFormat: legend,
      ...(type === 'table' || type === 'stat' ? { instant: true } : { range: true }),
      ...(type === 'table' ? { format: 'table' } : {}),
    })),
    fieldConfig: { defaults: { unit, min: 0, ...thresholds(steps) }, overrides: [] },
    options: type === 'stat' ? { reduceOptions: { calcs: ['lastNotNull'] }, colorMode: 'background' } : {},
  }
}

function thresholds(steps: Sketch['steps']): object {
  if (steps === undefined) return {}
  const { worse, warn, bad } = steps
  const rising = [
    { color: 'green', value: null },
    { color: 'orange', value: warn },
    { color: 'red', value: bad },
  ]
  const falling = [
    { color: 'red', value: null },
    { color: 'orange', value: bad },
    { color: 'green', value: warn },
  ]
  return { thresholds: { mode: 'absolute', steps: worse === 'above' ? rising : falling } }
}
