/**
 * What clients of a group see, measured by a canary: numbered records written and read as applications do. Lags of the
 * engines stand beside it elsewhere, as predictions.
 */
import { z } from 'zod'
import { name, named, wallMs, whole } from './shape.ts'

export const serviceParams = z.strictObject({ service: name() })

const CONDITIONS = ['unmeasured', 'starting', 'up', 'down'] as const
const condition = () => z.enum(CONDITIONS).describe('`down`: writes or reads fail or wait; `unmeasured`: see because.')

const side = z.object({
  condition: condition(),
  because: z.string().describe('Why nothing is measured; empty when something is.'),
  via: z.string().describe('By which way: a door of a router, or straight to a member.'),
  lastTrouble: z.string(),
})

const outage = z.object({
  forMs: z.number().describe('Since the last acknowledged write.'),
  failed: whole(),
  unknown: whole().describe('Writes without an answer.'),
  unmeasuredMs: z.number(),
})

export const riskSchema = named(
  'MeasuredRisk',
  z.object({
    records: whole().describe('Acknowledged records that the best copy outside the primary’s site did not show.'),
    ms: z.number().describe('For how long the oldest of these has been acknowledged.'),
    member: z.string().describe('That copy.'),
    site: z.string(),
    lookedMsAgo: z.number(),
  }),
)

const replica = z.object({
  member: z.string(),
  site: z.string(),
  ageMs: z.number().nullable().describe('Of the newest record it showed: it is at most so stale.'),
  lacks: whole().nullable().describe('Acknowledged records it did not show.'),
  lacksMs: z.number().nullable().describe('Since the oldest of these was acknowledged: it is at least so stale.'),
  lookedMsAgo: z.number().nullable(),
  because: z.string().describe('Why it shows nothing; empty when it does.'),
  lagBytesPredicted: z.number().nullable().describe('By the counters of the engine.'),
})

export const canaryNowSchema = named(
  'CanaryNow',
  z.object({
    group: z.string(),
    perSecond: whole(),
    writes: side,
    reads: side,
    sinceAckMs: z.number().nullable(),
    latency: z.object({ newestMs: z.number(), p50Ms: z.number(), p95Ms: z.number() }).nullable(),
    outage: outage.nullable(),
    acked: whole(),
    failed: whole(),
    unknown: whole(),
    lost: whole().describe('Acknowledged, and later not at the primary.'),
    badRecords: whole().describe('Read back edited, or not written by this canary.'),
    checkedMsAgo: z.number().nullable().describe('Since every acknowledged number was looked for; null: not yet.'),
    risk: riskSchema.nullable().describe('What would be lost if the primary’s site burned; null: not measured.'),
    replicas: z.array(replica),
  }),
)

const availability = z.object({
  windowMs: z.number(),
  writes: z.number().nullable().describe('Share of the measured time in which writes were served; null: none was.'),
  reads: z.number().nullable(),
  downMs: z.number(),
  unmeasuredMs: z.number(),
  lost: whole(),
})

export const incidentCanarySchema = named(
  'IncidentCanary',
  z.object({
    outageMs: z.number().nullable().describe('From the last acknowledged write to the next; null: not measured.'),
    unmeasuredMs: z.number().describe('Of it; in so much of it nobody wrote.'),
    resolutionMs: z.number().describe('Between two writes: an outage is not seen finer.'),
    failed: whole(),
    unknown: whole(),
    lostRecords: whole().nullable().describe('Null: the primary was not looked through yet.'),
    lostMs: z.number().nullable(),
  }),
)

export const outageSchema = named(
  'CanaryOutage',
  z.object({
    id: z.string(),
    group: z.string(),
    incident: z.string().nullable(),
    fromMs: wallMs(),
    toMs: wallMs(),
    ms: z.number().describe('Without what was not measured of it.'),
    unmeasuredMs: z.number(),
    failed: whole(),
    unknown: whole(),
    seenToItsEnd: z.boolean(),
  }),
)

const minute = z.object({
  startMs: wallMs(),
  acked: whole(),
  failed: whole(),
  unknown: whole(),
  downMs: z.number(),
  unmeasuredMs: z.number(),
  latencyMs: z.number().nullable().describe('Mean.'),
  latencyMaxMs: z.number(),
  staleMaxMs: z.number().describe('The most that any replica was surely behind.'),
})

export const canarySchema = named(
  'Canary',
  z.object({
    group: z.string(),
    by: z.string().nullable().describe('The server that measures; null: none does.'),
    measuredMsAgo: z.number().nullable().describe('Age of `now`; another server than the leading one has it later.'),
    because: z.string().describe('Why nothing is measured; empty when something is.'),
    now: canaryNowSchema.nullable(),
    availability: z.array(availability),
    minutes: z.array(minute).describe('The last hour, oldest first.'),
    outages: z.array(outageSchema).describe('Newest first.'),
  }),
)

export const serviceCanarySchema = named(
  'ServiceCanary',
  z.object({
    service: z.string(),
    rtoMs: z.number().nullable().describe('Objective.'),
    rpoMs: z.number().nullable().describe('Objective.'),
    condition: condition(),
    because: z.string(),
    availability: z.array(availability),
    longestOutageMs: z.number().nullable().describe('Within the longest window; null: there was none.'),
    risk: riskSchema.nullable().describe('Of the group that would lose most; null: not measured in each of them.'),
    groups: z.array(z.object({ group: z.string(), condition: condition(), because: z.string() })),
  }),
)

export const incidentMeasuredSchema = named(
  'IncidentMeasured',
  z.object({
    incident: z.string(),
    group: z.string(),
    measured: incidentCanarySchema.nullable(),
    over: z.boolean().describe('Nothing of it will change any more.'),
    series: z
      .object({
        fromMs: wallMs(),
        stepMs: z.number(),
        acked: z.array(whole()),
        failed: z.array(whole()),
        unknown: z.array(whole()),
      })
      .nullable(),
  }),
)

export const canaryFiguresSchema = named(
  'CanaryFigures',
  z.object({
    wallMs: wallMs(),
    groups: z.array(
      z.object({
        group: z.string(),
        writes: condition(),
        reads: condition(),
        because: z.string(),
        latencyMs: z.number().nullable(),
        sinceAckMs: z.number().nullable(),
        outageMs: z.number().nullable(),
        risk: riskSchema.nullable(),
        replicas: z.array(
          z.object({ member: z.string(), ageMs: z.number().nullable(), lacksMs: z.number().nullable() }),
        ),
      }),
    ),
  }),
)
