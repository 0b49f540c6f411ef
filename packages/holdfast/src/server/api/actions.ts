/** What people ask of a platform, and the approvals some of it needs. */
import { z } from 'zod'
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
    action: z.enum(['switchover', 'failover']),
    group: z.string(),
    to: z.string().nullable(),
    allowDataLoss: z.boolean(),
    epoch: whole().describe('Of the group when it was asked for. At another one it is refused and has ended.'),
    state: z.enum(['waiting', 'approved', 'rejected', 'expired', 'failed']),
    askedBy: z.string(),
    askedMs: wallMs(),
    expiresMs: wallMs(),
    decidedBy: z.string().nullable(),
    decidedMs: wallMs().nullable(),
    because: z.string().describe('Words of who decided, or what the agent said.'),
    intent: z.string().nullable().describe('Number of the request at the agents once it was handed over.'),
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
