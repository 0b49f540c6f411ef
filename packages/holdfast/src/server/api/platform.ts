/** The platform as it is now: sites, agents, groups, members, services. Made by the server from what the agents say. */
import { z } from 'zod'
import { planSchema, serviceMoveSchema } from './plans.ts'
import { detail, named, verdictSchema, wallMs, whole } from './shape.ts'
import { supervisedSchema } from './supervised.ts'

export const reasonSchema = named(
  'Reason',
  z.object({
    wallMs: wallMs(),
    code: z.string(),
    group: z.string(),
    member: z.string(),
    rule: z.string().optional().describe('Number of the safety rule, e.g. R12.'),
    detail: detail(),
  }),
)

const address = z.object({ host: z.string(), port: whole() })

export const memberSchema = named(
  'Member',
  z.object({
    member: z.string(),
    site: z.string(),
    agent: z.string(),
    address,
    role: z.string().describe('Role of the failover core, or `unknown` when its agent is silent.'),
    state: z.string().describe('What its engine does, in a few words.'),
    epoch: whole(),
    timeline: z.number().nullable(),
    lsn: z.number().nullable().describe('Where its log ends, in bytes.'),
    lagBytes: z.number().nullable().describe('Behind what the holder last published, by the counters of the engine.'),
    writableForMs: z.number().describe('For how long it may write without another beat; 0 when it may not.'),
    answering: z.boolean(),
    streaming: z.boolean(),
    upstream: z.string().nullable().describe('Whom it follows.'),
    eligible: z.boolean().describe('Stands in the list of those who may take over.'),
    priority: z.number(),
    noFailover: z.boolean(),
    work: z
      .object({ step: z.string(), done: z.number(), total: z.number().nullable() })
      .nullable()
      .describe('Long work under way.'),
    because: z.string().describe('What its engine last refused, while it is not well; empty otherwise.'),
  }),
)

const replication = z.object({
  kind: z.enum(['sync', 'quorum', 'async']),
  need: whole().nullable().describe('Standbys that confirm, with a quorum.'),
  lossBytesMax: z.number().nullable(),
  lossMsMax: z.number().nullable(),
})

const door = z.object({
  router: z.string(),
  site: z.string(),
  write: address,
  read: z.object({ listen: address, lagBytesMax: z.number() }).nullable(),
})

export const lossSchema = named(
  'Loss',
  z.object({
    kind: z.enum(['nothing', 'bytes', 'everything', 'unknown']),
    bytes: z.number().nullable().describe('A prediction from counters of the engines, never a measurement.'),
    because: z.string(),
  }),
)

export const groupSchema = named(
  'Group',
  z.object({
    group: z.string(),
    engine: z.string(),
    profile: z.string(),
    failover: z.enum(['automatic', 'manual', 'observe']),
    whenAlone: z.enum(['block', 'continue']),
    replication,
    ttlMs: z.number().describe('Length of the lease.'),
    epoch: whole(),
    phase: z.string().describe('Phase of the record, or `unknown`.'),
    holder: z.string().nullable(),
    writer: z.string().nullable().describe('The one member that may write now.'),
    eligible: z.array(z.string()),
    need: whole(),
    paused: z.object({ by: z.string(), because: z.string(), forMs: z.number() }).nullable(),
    failsafe: z.boolean(),
    verdict: verdictSchema,
    loss: lossSchema.describe('What would be lost if the site of the primary burned this second.'),
    doors: z.array(door),
    members: z.array(memberSchema),
    incident: z.string().nullable().describe('The one that is open.'),
  }),
)

export const agentSchema = named(
  'Agent',
  z.object({
    agent: z.string(),
    site: z.string(),
    version: z.string().nullable(),
    reachable: z.boolean(),
    because: z.string().describe('Why it is not reachable; empty when it is.'),
    loopAgeMs: z.number().nullable(),
    store: z.object({ reachable: z.boolean(), lastConfirmedMsAgo: z.number().nullable() }).nullable(),
    guardAlive: z.boolean().nullable(),
  }),
)

export const serviceSchema = named(
  'Service',
  z.object({
    service: z.string(),
    groups: z.array(z.string()).describe('In the order of their dependence.'),
    rtoMs: z.number().nullable().describe('Objective: how long it may take.'),
    rpoMs: z.number().nullable().describe('Objective: how much may be lost.'),
    verdict: verdictSchema,
    loss: lossSchema,
    home: z.string().describe('Site where it should be.'),
    at: z.string().nullable().describe('Site where all its groups are led; null: not at one.'),
    places: z
      .array(z.object({ group: z.string(), site: z.string().nullable(), after: z.array(z.string()) }))
      .describe('Where each group is led, and what must be up before it.'),
    siteLoss: z.enum(['automatic', 'ask']),
    comeHome: z.enum(['never', 'when-healthy', 'ask']),
    hooks: z.array(
      z.object({
        name: z.string(),
        when: z.enum(['before', 'after']),
        group: z.string().nullable(),
        deadlineMs: z.number(),
      }),
    ),
  }),
)

export const serviceDetailSchema = named(
  'ServiceDetail',
  z.object({
    service: serviceSchema,
    plan: planSchema.nullable().describe('The last one, with its measured times.'),
    moves: z
      .array(serviceMoveSchema)
      .nullable()
      .describe('How it could move to each other site now, and who would refuse; null: a group of it is silent.'),
  }),
)

export const platformSchema = named(
  'Platform',
  z.object({
    platform: z.string(),
    version: z.string().describe('Of the server that answers.'),
    wallMs: wallMs().describe('Clock of the server that answers.'),
    lastEvent: whole().describe('Number of the newest event this state contains.'),
    server: z.object({
      name: z.string(),
      leading: z.boolean().describe('This server writes events and runs schedules.'),
      leader: z.string().nullable(),
      followsMsAgo: z.number().describe('Age of the newest look at the agents.'),
    }),
    automation: z.enum(['on', 'off', 'some']).describe('Off: every group is paused.'),
    sites: z.array(z.object({ site: z.string(), witness: z.boolean() })),
    store: z.object({ kind: z.enum(['embedded', 'etcd', 'none']), site: z.string().nullable() }),
    agents: z.array(agentSchema),
    groups: z.array(groupSchema),
    supervised: z.array(supervisedSchema).describe('Groups that another program leads.'),
    services: z.array(serviceSchema),
    plans: z.array(planSchema).describe('The last plan of each service that had one.'),
  }),
)

/** What moves all the time, apart from the rest so that a second of it costs little. */
export const figuresSchema = named(
  'Figures',
  z.object({
    wallMs: wallMs(),
    members: z.array(
      z.object({
        member: z.string(),
        lsn: z.number().nullable(),
        lagBytes: z.number().nullable(),
        writableForMs: z.number(),
      }),
    ),
    groups: z.array(z.object({ group: z.string(), lossBytes: z.number().nullable() })),
  }),
)

export const explanationSchema = named(
  'Explanation',
  z.object({
    group: z.string(),
    seenBy: z.string(),
    holder: z.string().nullable(),
    epoch: whole(),
    phase: z.string(),
    candidates: z.array(z.object({ member: z.string(), eligible: z.boolean(), because: z.array(reasonSchema) })),
    wouldDo: z.string().describe('What would happen now if the holder died.'),
  }),
)
