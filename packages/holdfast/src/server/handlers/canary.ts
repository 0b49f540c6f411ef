/** What clients see, as canaries measure it. Narrowed to the groups the asker may read. */
import type { ApiCanary, ApiCanaryNow, ApiIncident, ApiServiceCanary } from '@holdfast/client'
import type { ServiceSpec } from '../../config/platform.ts'
import { longestOutage, measuredIncident, outagesOf } from '../canary/outages.ts'
import { DAY_MS, minutesOf, type WindowSums, windowsOf } from '../canary/periods.ts'
import type { CanaryPeriodRow } from '../database/tables.ts'
import { document, type Handlers } from '../http/request.ts'
import type { Scene } from '../scene.ts'
import { groupOr404 } from './agents.ts'
import { seen, unknown } from './platform.ts'

export function canaryHandlers(scene: Scene): Pick<Handlers, 'groupCanary' | 'serviceCanary' | 'incidentCanary'> {
  const { platform, watch, database, canary } = scene
  return {
    groupCanary: async ({ params }) => {
      const { group } = groupOr404(watch.group(params.group), params.group)
      return document(await groupCanary(scene, group))
    },
    serviceCanary: async ({ params, who }) => {
      const service = platform.services.find(({ name }) => name === params.service)
      const groups = seen(scene, who)
      const mayAll = service?.groups.every(({ group }) => groups?.has(group) !== false)
      if (service === undefined || mayAll !== true) throw unknown('service', params.service)
      return document(await serviceCanary(scene, service))
    },
    incidentCanary: async ({ params, who }) => {
      const row = await database.read
        .selectFrom('incidents')
        .select(['group_name', 'state', 'body'])
        .where('id', '=', params.id)
        .executeTakeFirst()
      if (row === undefined || seen(scene, who)?.has(row.group_name) === false) throw unknown('incident', params.id)
      const live = canary.measured(row.group_name, params.id)
      const told = live ?? (await measuredIncident(database.read, params.id))
      const { canary: measured = null } = JSON.parse(row.body) as Partial<ApiIncident>
      const none = { incident: params.id, group: row.group_name, measured, over: row.state === 'closed', series: null }
      return document(told ?? none)
    },
  }
}

interface Measured {
  readonly by: string | null
  readonly msAgo: number | null
  readonly because: string
  readonly now: ApiCanaryNow | null
}

/** What this server measures, else what the leading one wrote down. */
async function measuredOf({ canary, name, clock, leader }: Scene, group: string): Promise<Measured> {
  const nothing = { by: null, msAgo: null, now: null }
  const why = canary.whyNot(group)
  if (why !== null) return { ...nothing, because: why }
  const here = canary.now(group)
  if (here !== null) return { by: name, msAgo: 0, because: here.writes.because, now: here }
  if (leader.state.leading) return { ...nothing, because: 'this server has just begun' }
  const kept = await canary.kept()
  const now = kept?.groups[group] ?? null
  if (kept === null || now === null) return { ...nothing, because: 'no server leads, or it has just begun' }
  const msAgo = Math.max(0, Math.round(clock.wallMs() - kept.wallMs))
  return { by: kept.by, msAgo, because: now.writes.because, now }
}

async function groupCanary(scene: Scene, group: string): Promise<ApiCanary> {
  const { database, clock } = scene
  const wallMs = clock.wallMs()
  const [{ by, msAgo, because, now }, windows, minutes, outages] = await Promise.all([
    measuredOf(scene, group),
    windowsOf(database.read, group, wallMs),
    minutesOf(database.read, group, wallMs),
    outagesOf(database.read, group),
  ])
  const availability = windows.map(availabilityOf)
  return { group, by, measuredMsAgo: msAgo, because, now, availability, minutes: minutes.map(minuteOf), outages }
}

type Availability = ApiCanary['availability'][number]

function availabilityOf(sums: WindowSums): Availability {
  const { windowMs, upMs, downMs, unmeasuredMs, readUpMs, readDownMs, lost } = sums
  const share = (up: number, down: number): number | null => (up + down === 0 ? null : up / (up + down))
  return { windowMs, writes: share(upMs, downMs), reads: share(readUpMs, readDownMs), downMs, unmeasuredMs, lost }
}

function minuteOf(row: CanaryPeriodRow): ApiCanary['minutes'][number] {
  const { start_ms, acked, failed, unknown: lost, down_ms, unmeasured_ms, latency_sum_ms } = row
  return {
    ...{ startMs: start_ms, acked, failed, unknown: lost, downMs: down_ms, unmeasuredMs: unmeasured_ms },
    latencyMs: acked === 0 ? null : latency_sum_ms / acked,
    latencyMaxMs: row.latency_max_ms,
    staleMaxMs: row.stale_max_ms,
  }
}

/** From the worst to the best. */
const WORST = ['down', 'unmeasured', 'starting', 'up'] as const

async function serviceCanary(scene: Scene, { name, groups, objectives }: ServiceSpec): Promise<ApiServiceCanary> {
  const { database, clock } = scene
  const wallMs = clock.wallMs()
  const names = groups.map(({ group }) => group)
  const measured = await Promise.all(names.map((group) => measuredOf(scene, group)))
  const windows = await Promise.all(names.map((group) => windowsOf(database.read, group, wallMs)))
  const rows = measured.map(({ now, because }, index) => {
    const condition = now?.writes.condition ?? 'unmeasured'
    return { group: names[index] ?? '', condition, because }
  })
  const worst = WORST.flatMap((one) => rows.filter(({ condition }) => condition === one))[0]
  const risks = measured.map(({ now }) => now?.risk ?? null)
  const known = risks.flatMap((risk) => (risk === null ? [] : [risk]))
  return {
    service: name,
    rtoMs: objectives?.rtoMs ?? null,
    rpoMs: objectives?.rpoMs ?? null,
    condition: worst?.condition ?? 'unmeasured',
    because: worst === undefined || worst.because === '' ? '' : `${worst.group}: ${worst.because}`,
    availability: (windows[0] ?? []).map((_, at) =>
      worstWindow(windows.map((own) => availabilityOf(own[at] as WindowSums))),
    ),
    longestOutageMs: await longestOutage(database.read, names, wallMs - 28 * DAY_MS),
    risk: known.length < risks.length ? null : (known.sort((a, b) => b.ms - a.ms || b.records - a.records)[0] ?? null),
    groups: rows,
  }
}

/** Down while any of its groups is; what was not measured in one group was not measured. */
function worstWindow(all: readonly Availability[]): Availability {
  const least = (of: 'writes' | 'reads'): number | null => {
    const shares = all.map((one) => one[of])
    return shares.includes(null) ? null : Math.min(...(shares as number[]))
  }
  return {
    windowMs: all[0]?.windowMs ?? 0,
    writes: least('writes'),
    reads: least('reads'),
    downMs: Math.max(...all.map(({ downMs }) => downMs)),
    unmeasuredMs: Math.max(...all.map(({ unmeasuredMs }) => unmeasuredMs)),
    lost: all.reduce((sum, { lost }) => sum + lost, 0),
  }
}
