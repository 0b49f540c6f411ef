/** Services as they could move, and the plans that move them: shown dry, begun, followed, taken back. */
import { z } from 'zod'
import { id, name, named, wallMs, whole } from './shape.ts'

const MOVE_KINDS = ['switchover', 'failover', 'failback', 'evacuate'] as const
/** A restart is begun by the command line; here it is seen, followed and taken back like any other. */
export const PLAN_KINDS = [...MOVE_KINDS, 'restart'] as const

/** A service, or `group:NAME` for a group that is in none: it is a service of its own. */
export const SCOPE = /^(group:)?[a-z][a-z0-9-]{0,39}$/

export const planStepSchema = named(
  'PlanStep',
  z.object({
    id: z.string().describe('`move:orders`, `hook:dns`; what others name in `after`.'),
    kind: z.enum(['hook', 'hold', 'move', 'follow', 'release', 'restart']),
    group: z.string().nullable(),
    member: z.string().nullable().describe('Who shall be primary.'),
    from: z.string().nullable().describe('Who was primary when the plan was made.'),
    hook: z.string().nullable(),
    after: z.array(z.string()).describe('Steps that must be done before.'),
    deadlineMs: z.number(),
    predicted: z.object({
      ms: z.number(),
      from: z.enum(['past-runs', 'formula', 'deadline']).describe('Where the figure comes from.'),
      runs: whole(),
    }),
    mayLose: z.boolean().describe('It may lose acknowledged writes.'),
    wayBack: z.enum(['undo', 'nothing', 'none']),
    state: z.enum(['waiting', 'running', 'done', 'failed', 'undoing', 'undone', 'stuck']),
    attempt: whole(),
    because: z.string(),
    measuredMs: z.number().nullable(),
  }),
)

export const planSchema = named(
  'Plan',
  z.object({
    id: z.string(),
    service: z.string().describe('A service, or `group:NAME` for a group that is in none.'),
    kind: z.enum(PLAN_KINDS),
    from: z.string().nullable().describe('Site.'),
    to: z.string().nullable().describe('Site; null where one member is evacuated.'),
    by: z.string(),
    origin: z.enum(['operator', 'automatic']),
    lossAccepted: z.boolean(),
    epoch: whole().describe('Number of the turn of whoever runs it; grows with each takeover.'),
    phase: z.enum(['running', 'undoing', 'stopping', 'done', 'undone', 'stopped']),
    because: z.string(),
    cancel: z.object({ by: z.string() }).nullable(),
    stalled: z.boolean().describe('It is not over and nobody runs it; resume it or take it back.'),
    begunMs: wallMs().nullable().describe('When a server saw it begin; null when none did.'),
    endedMs: wallMs().nullable(),
    predictedMs: z.number().describe('Along the longest way through the graph.'),
    steps: z.array(planStepSchema),
  }),
)

const planLoss = z.object({
  group: z.string(),
  bytes: z.number().nullable().describe('At most so much; null: nobody knows.'),
  because: z.string(),
})

export const planDraftSchema = named(
  'PlanDraft',
  z.object({
    service: z.string(),
    kind: z.enum(PLAN_KINDS),
    from: z.string().nullable(),
    to: z.string().nullable(),
    steps: z.array(planStepSchema).describe('Empty: it is there already.'),
    predictedMs: z.number(),
    losses: z.array(planLoss).describe('What could be lost; empty: nothing acknowledged.'),
    refusals: z.array(z.string()).describe('Who would refuse, and why; empty: it may begin.'),
    lossy: z.boolean().describe('It begins only when the loss is accepted, by another person than who asks.'),
    digest: z.string().describe('Of all that matters of it: order, members, losses, epochs. Give it back to begin it.'),
  }),
)

export const serviceMoveSchema = named(
  'ServiceMove',
  z.object({
    to: z.string(),
    kind: z.enum(PLAN_KINDS),
    predictedMs: z.number(),
    losses: z.array(planLoss),
    refusals: z.array(z.string()),
  }),
)

export const serviceParams = z.strictObject({ service: z.string().regex(SCOPE) })
export const planParams = z.strictObject({ service: z.string().regex(SCOPE), id: id() })

export const draftQuery = z.strictObject({
  to: name().optional().describe('The site where it shall be.'),
  member: name().optional().describe('Instead: away from this member.'),
  kind: z.enum(MOVE_KINDS).optional().describe('As if this were asked for; e.g. what a failover would lose now.'),
})

export const planBody = named(
  'PlanRequest',
  z.strictObject({
    to: name().optional().describe('The site where it shall be.'),
    member: name().optional().describe('Instead: away from this member.'),
    allowDataLoss: z
      .boolean()
      .optional()
      .describe('Accept the loss the plan shows. Such a plan always waits for another person.'),
    askApproval: z.boolean().optional().describe('Wait for an approver, also where none is needed.'),
    digest: z.string().max(80).optional().describe('Refused when the plan is no longer the one that was shown.'),
  }),
)

export const planQuery = z.strictObject({ limit: z.coerce.number().int().min(1).max(200).optional() })
