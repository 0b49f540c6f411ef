/** What people ask of a platform, and the approvals some of it needs. */
import { z } from 'zod'
import { PLAN_KINDS, planSchema } from './plans.ts'
import { id, name, named, text, wallMs, whole } from './shape.ts'

/** As agents allow it: a pause that is forgotten ends by itself. */
const PAUSE_MS_MAX = 7 * 24 * 3_600_000

export const switchoverBody = named(
  'SwitchoverRequest',
  z.strictObject({
    to: name().optional().describe('Who becomes primary; the best candidate when absent.'),
    dryRun: z.boolean().optional(),
    askApproval: z.boolean().optional().describe('Wait for an approver, also where none is needed.'),
  }),
)

export const failoverBody = named(
  'FailoverRequest',
  z.strictObject({
    to: name().optional(),
    allowDataLoss: z
      .boolean()
      .optional()
      .describe('Acknowledged writes may be lost. Carried out at once for who may approve; else it waits for one.'),
    ifEpoch: whole().optional().describe('Refused when the group is at another epoch than the one that was seen.'),
  }),
)

export const pauseBody = named(
  'PauseRequest',
  z.strictObject({ because: text(), validMs: z.int().min(1).max(PAUSE_MS_MAX) }),
)

export const emptyBody = z.strictObject({})

export const automationBody = named(
  'AutomationRequest',
  z.strictObject({
    automation: z.enum(['on', 'off']),
    because: text(),
    validMs: z.int().min(1).max(PAUSE_MS_MAX).optional().describe('How long it stays off; needed with `off`.'),
  }),
)

export const approvalSchema = named(
  'Approval',
  z.object({
    id: z.string(),
    action: z.enum(['switchover', 'failover', 'plan']),
    group: z.string().nullable().describe('Null: it is about a service.'),
    to: z.string().nullable(),
    plan: z
      .object({
        service: z.string(),
        kind: z.enum(PLAN_KINDS),
        from: z.string().nullable(),
        to: z.string().nullable(),
        member: z.string().nullable(),
        steps: z.array(z.string()),
        losses: z.array(z.string()),
        digest: z.string().describe('What was shown to who asked. Another plan is refused, and the request has ended.'),
      })
      .nullable(),
    allowDataLoss: z.boolean(),
    epoch: whole().describe(
      'Of the group when it was asked for. At another one it is refused and has ended. Of a plan the digest counts.',
    ),
    state: z.enum(['waiting', 'approved', 'rejected', 'expired', 'failed']),
    askedBy: z.string(),
    askedMs: wallMs(),
    expiresMs: wallMs(),
    decidedBy: z.string().nullable(),
    decidedMs: wallMs().nullable(),
    because: z.string().describe('Words of who decided, or what the agent said.'),
    intent: z.string().nullable().describe('Number of the request at the agents, or of the plan, once it was begun.'),
  }),
)

export const approvalQuery = z.strictObject({
  state: z.enum(['waiting', 'approved', 'rejected', 'expired', 'failed']).optional(),
})

export const decisionBody = named('Decision', z.strictObject({ because: text().optional() }))

export const askedSchema = named(
  'Asked',
  z.object({
    intent: z.string().nullable().describe('Follow it at /groups/{group}/intents/{id}.'),
    approval: approvalSchema.nullable().describe('There when it waits for somebody else.'),
  }),
)

export const planAskedSchema = named(
  'PlanAsked',
  z.object({
    plan: planSchema.nullable().describe('There when it has begun.'),
    approval: approvalSchema.nullable().describe('There when it waits for somebody else.'),
  }),
)

export const intentSchema = named(
  'Intent',
  z.object({
    id: z.string(),
    state: z.enum(['waiting', 'running', 'done', 'refused']),
    because: z.string(),
    holder: z.string().nullable(),
    epoch: whole(),
  }),
)

export const outcomesSchema = named(
  'Outcomes',
  z.object({
    outcomes: z.array(z.object({ group: z.string(), ok: z.boolean(), because: z.string() })),
  }),
)

export const okSchema = named('Ok', z.object({ ok: z.literal(true) }))
export const groupParams = z.strictObject({ group: name() })
export const groupIntentParams = z.strictObject({ group: name(), id: id() })
export const idParams = z.strictObject({ id: id() })
