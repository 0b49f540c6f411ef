/** Drills, the orders to run them, their reports, and the faults that are on. */
import { z } from 'zod'
import { id, name, named, text, wallMs, whole } from './shape.ts'

/** A game day of more takes longer than a day. */
const DAY_DRILLS_MAX = 16
const DAY_NAME_MAX = 40

const figures = () => z.object({ rtoMs: z.number(), rpoMs: z.number() })
const outcome = () => z.enum(['passed', 'failed', 'aborted', 'refused', 'unproved'])

export const drillRunSchema = named(
  'DrillRun',
  z.object({
    id: z.string().describe('Of its report, when it left one.'),
    drill: z.string(),
    outcome: outcome(),
    because: z.string(),
    practice: z.boolean().describe('On a copy.'),
    startedMs: wallMs(),
    endedMs: wallMs(),
    rtoMs: z.number().nullable(),
    rpoMs: z.number().nullable(),
    seq: whole().nullable().describe('Its place in the chain of evidence; null: it left none.'),
  }),
)

export const drillSchema = named(
  'Drill',
  z.object({
    drill: z.string(),
    group: z.string(),
    file: z.string().describe('Name of its file.'),
    sha256: z.string().describe('Of that file; what is approved is this and nothing else.'),
    description: z.string(),
    statement: z.string().describe('What is believed.'),
    fault: z.string(),
    /** Nobody has to come back to end it. */
    deadmanMs: whole().nullable().describe('The fault ends by itself after this; null: it has no length.'),
    blastRadius: z.object({ members: whole(), sites: whole(), groups: whole() }),
    abortConditions: z.string(),
    objective: figures(),
    where: z.enum(['live', 'practice']).describe('Where it is done unless somebody says otherwise.'),
    liveAllowed: z.boolean(),
    liveRisky: z.boolean().describe('Live, acknowledged writes could be lost: it waits for an approver.'),
    approvals: z.array(z.object({ before: z.enum(['start', 'fault']), by: z.array(z.string()) })),
    due: z.object({
      state: z.enum(['due', 'overdue', 'later', 'frozen', 'unscheduled']),
      because: z.string(),
      nextMs: wallMs().nullable(),
      times: z.array(z.object({ atMs: wallMs(), frozen: z.string().nullable() })).describe('The next 90 days.'),
    }),
    freezes: z.array(z.object({ from: z.string(), to: z.string(), because: z.string() })),
    last: drillRunSchema.nullable(),
    lastPassed: drillRunSchema.nullable(),
  }),
)

export const activeDrillSchema = named(
  'ActiveDrill',
  z.object({
    group: z.string(),
    id: z.string(),
    drill: z.string(),
    by: z.string(),
    startedMs: wallMs(),
    phase: z.string(),
    members: z.array(z.string()).describe('Whom the fault is done to, once that is known.'),
    waiting: z
      .object({ before: z.enum(['start', 'fault']), by: z.array(z.string()) })
      .nullable()
      .describe('It goes on when one of these says yes.'),
    abort: z.object({ by: z.string(), because: z.string() }).nullable(),
    silentMs: whole().describe('Since its runner was last heard of.'),
  }),
)

export const drillOrderSchema = named(
  'DrillOrder',
  z.object({
    id: z.string(),
    title: z.string(),
    state: z
      .enum(['waiting', 'ready', 'running', 'ended', 'rejected', 'expired', 'missed'])
      .describe('`waiting` for an approver; `ready` to be run by the server that leads.'),
    because: z.string(),
    by: z.string().describe('Who asked; `schedule` for one that was due.'),
    scheduledMs: wallMs().nullable(),
    askedMs: wallMs(),
    expiresMs: wallMs().nullable().describe('What waits or is ready after this is not run.'),
    decidedBy: z.string().nullable(),
    decidedMs: wallMs().nullable(),
    endedMs: wallMs().nullable(),
    configSha256: z.string().describe('Of the description it was asked with; with another one it is not run.'),
    drills: z.array(
      z.object({
        drill: z.string(),
        group: z.string(),
        sha256: z.string(),
        practice: z.boolean(),
        run: z.string().nullable().describe('Id of the run, once it was begun.'),
        outcome: outcome().nullable(),
        because: z.string(),
      }),
    ),
  }),
)

export const drillsSchema = named(
  'Drills',
  z.object({
    storeBecause: z.string().describe('Why what ran is not known, or is old; empty when the store answers.'),
    drills: z.array(drillSchema),
    mistakes: z.array(z.object({ file: z.string(), what: z.string(), right: z.string(), line: whole() })),
    active: z.array(activeDrillSchema),
    orders: z.array(drillOrderSchema).describe('Newest first.'),
  }),
)

const worth = { score: z.number().describe('0 to 100; fades with the age of the last proof.') }

export const drillScoresSchema = named(
  'DrillScores',
  z.object({
    groups: z.array(
      z.object({
        group: z.string(),
        ...worth,
        lastPassedDrill: drillRunSchema.nullable(),
        overdue: z.array(z.string()).describe('Scheduled drills that passed too long ago.'),
        nextMs: wallMs().nullable(),
      }),
    ),
    services: z.array(
      z.object({
        service: z.string(),
        ...worth,
        lastPassedDrill: drillRunSchema.nullable().describe('Of its groups the oldest proof; null: one has none.'),
      }),
    ),
  }),
)

export const startDrillBody = named(
  'StartDrill',
  z.strictObject({
    drill: name(),
    sha256: z
      .string()
      .regex(/^[0-9a-f]{64}$/)
      .optional()
      .describe('Refused when the file is another one by now.'),
    where: z.enum(['file', 'practice', 'live']).optional().describe('Default: as its file says.'),
    askApproval: z.boolean().optional().describe('Wait until somebody who may approve says yes.'),
  }),
)

export const drillDayBody = named(
  'DrillDay',
  z.strictObject({
    title: text(DAY_NAME_MAX),
    drills: z.array(name()).min(1).max(DAY_DRILLS_MAX).describe('One after the other; ends at the first not passed.'),
  }),
)

export const gateBody = named(
  'DrillGate',
  z.strictObject({
    id: id().describe('Of the run that was looked at.'),
    gate: z.enum(['start', 'fault']).describe('What it waits before.'),
  }),
)
export const abortDrillBody = named('AbortDrill', z.strictObject({ because: text() }))
export const orderParams = z.strictObject({ id: id() })

export const abortAnswer = named(
  'DrillAborted',
  z.object({ drill: z.string().nullable().describe('Null: none runs.'), because: z.string() }),
)

export const faultsSchema = named(
  'Faults',
  z.object({
    allOff: z.boolean().describe('Every agent answered and has no fault on.'),
    agents: z.array(
      z.object({
        agent: z.string(),
        site: z.string(),
        off: z.boolean(),
        because: z.string().describe('What is on, or why it is not known.'),
      }),
    ),
  }),
)

const line = z.object({ sinceMs: z.number(), source: z.string(), code: z.string(), words: z.string() })

const reportFacts = {
  id: z.string(),
  drill: z.string(),
  group: z.string(),
  practice: z.boolean(),
  outcome: z.string(),
  because: z.string(),
  startedMs: wallMs(),
  endedMs: wallMs(),
  by: z.string(),
  seq: whole(),
  sha256: z.string(),
  keyId: z.string(),
  objective: figures(),
  measured: figures().extend({ acked: whole(), failed: whole(), lost: whole(), doubled: whole() }).nullable(),
}

export const reportLineSchema = named('DrillReportLine', z.object(reportFacts))

export const reportSchema = named(
  'DrillReport',
  z.object({
    ...reportFacts,
    platform: z.string(),
    engine: z.string(),
    tool: z.string(),
    configSha256: z.string(),
    drillSha256: z.string(),
    previousSha256: z.string().nullable(),
    description: z.string(),
    statement: z.string(),
    fault: z.string(),
    members: z.array(z.string()),
    blastRadius: z.object({ members: whole(), sites: whole(), groups: whole() }),
    abortConditions: z.string(),
    approvals: z.array(z.object({ gate: z.string(), by: z.string(), sinceMs: z.number() })),
    prediction: figures().extend({ because: z.string() }).nullable(),
    method: z.string(),
    deviations: z.array(z.string()),
    checks: z.array(z.object({ when: z.string(), check: z.string(), looks: whole(), held: whole() })),
    timeline: z.array(line),
    rate: z.object({ stepMs: z.number(), acked: z.array(whole()) }),
    controls: z.array(z.object({ rule: z.string(), clause: z.string(), supports: z.string(), notProved: z.string() })),
    files: z.array(z.enum(['json', 'html', 'pdf', 'seal'])),
  }),
)

export const reportVerdictSchema = named(
  'DrillReportVerdict',
  z.object({
    ok: z.boolean(),
    signature: z.object({ ok: z.boolean(), because: z.string() }),
    page: z.object({ ok: z.boolean(), because: z.string() }).nullable().describe('Of the HTML page.'),
    chain: z.object({ ok: z.boolean(), because: z.string() }),
    keyId: z.string().nullable(),
    ownKey: z.boolean().describe('Signed by the key of this server.'),
  }),
)

export const reportsQuery = z.strictObject({
  group: name().optional(),
  limit: z.coerce.number().int().min(1).max(500).optional(),
})
export const reportFileParams = z.strictObject({ id: id(), kind: z.enum(['json', 'html', 'pdf', 'seal']) })
