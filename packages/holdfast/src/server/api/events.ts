/** What happened: numbered events, and the incidents they belong to. Numbers only grow, and none is left out. */
import { z } from 'zod'
import { canaryFiguresSchema, incidentCanarySchema } from './canary.ts'
import { planSchema } from './plans.ts'
import { agentSchema, figuresSchema, groupSchema, platformSchema, serviceSchema } from './platform.ts'
import { detail, id, name, named, wallMs, whole } from './shape.ts'
import { supervisedSchema } from './supervised.ts'

export const EVENT_KINDS = [
  'reason',
  'role',
  'leader',
  'verdict',
  'pause',
  'agent',
  'incident',
  'action',
  'approval',
  'plan',
  'server',
  'drill',
  'canary',
  'alert',
] as const
export type EventKind = (typeof EVENT_KINDS)[number]

export const eventSchema = named(
  'Event',
  z.object({
    number: whole().describe('Grows by one with each event; the `id` of the stream.'),
    wallMs: wallMs().describe('When it happened, by the clock of who saw it.'),
    recordedMs: wallMs().describe('When the server wrote it down.'),
    kind: z.enum(EVENT_KINDS),
    severity: z.enum(['info', 'notice', 'warning', 'critical']),
    code: z.string(),
    summary: z.string(),
    group: z.string().nullable(),
    member: z.string().nullable(),
    source: z.string().describe('`agent NAME`, `server NAME` or `user NAME`.'),
    rule: z.string().nullable(),
    incident: z.string().nullable(),
    detail: detail(),
  }),
)

export const PHASES = ['detect', 'decide', 'fence', 'promote', 'route', 'healthy'] as const

export const incidentSchema = named(
  'Incident',
  z.object({
    id: z.string(),
    group: z.string(),
    kind: z.enum(['failover', 'switchover', 'outage']),
    state: z.enum(['open', 'closed']),
    openedMs: wallMs(),
    closedMs: wallMs().nullable(),
    fromEpoch: whole(),
    toEpoch: whole().nullable(),
    from: z.string().nullable().describe('Primary before.'),
    to: z.string().nullable().describe('Primary after.'),
    because: z.string(),
    writeGapMs: z.number().nullable().describe('From the last moment a member was seen open for writes to the next.'),
    canary: incidentCanarySchema.nullable().describe('What clients saw of it, once it is over; null: not measured.'),
    phases: z.array(z.object({ phase: z.enum(PHASES), wallMs: wallMs(), code: z.string(), summary: z.string() })),
  }),
)

/** A page is what a screen shows and some more. */
const PAGE_MAX = 1_000

export const eventQuery = z.strictObject({
  after: z.coerce.number().int().min(0).optional().describe('Only events with a greater number, oldest first.'),
  before: z.coerce.number().int().min(0).optional().describe('Only events with a smaller number, newest first.'),
  group: name().optional(),
  incident: id().optional(),
  kind: z.enum(EVENT_KINDS).optional(),
  limit: z.coerce.number().int().min(1).max(PAGE_MAX).optional(),
})

export const eventPage = named(
  'EventPage',
  z.object({
    events: z.array(eventSchema),
    /** For the next page in the same direction; null at the end. */
    next: whole().nullable(),
    oldestKept: whole().describe('Older events were deleted by age.'),
  }),
)

export const incidentQuery = z.strictObject({
  group: name().optional(),
  state: z.enum(['open', 'closed']).optional(),
  limit: z.coerce.number().int().min(1).max(PAGE_MAX).optional(),
})

/**
 * What the stream carries. `event` messages have an id and are sent again from Last-Event-ID on; the others tell what
 * is so now, and the newest replaces all before it. A stream begins with `platform`, and `figures` come at least every
 * two seconds, so silence means a lost connection.
 */
export const streamSchema = named(
  'StreamMessage',
  z.discriminatedUnion('type', [
    z.object({ type: z.literal('platform'), data: platformSchema }),
    z.object({ type: z.literal('event'), data: eventSchema }),
    z.object({ type: z.literal('incident'), data: incidentSchema }),
    z.object({ type: z.literal('group'), data: groupSchema }),
    z.object({ type: z.literal('agent'), data: agentSchema }),
    z.object({ type: z.literal('service'), data: serviceSchema }),
    z.object({ type: z.literal('plan'), data: planSchema }),
    z.object({ type: z.literal('supervised'), data: supervisedSchema }),
    z.object({ type: z.literal('figures'), data: figuresSchema }),
    z.object({ type: z.literal('canary'), data: canaryFiguresSchema }),
  ]),
)
