/** Plans and measured times as text of the store, read strictly: nobody acts on what does not fit. */
import { z } from 'zod'
import type { PlanRecord } from '../core/site-plan/plan.ts'
import { type PastRuns, RUNS_KEPT } from '../core/site-plan/predict.ts'

export function planKey(scope: string): string {
  return `plans/${scope}`
}

export function timingsKey(scope: string): string {
  return `timings/${scope}`
}

export type Read<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly because: string }

const name = z.string().min(1).max(253)
const prose = z.string().max(4_000)
const count = z.int().min(0)
const ms = z.number().min(0)
/** Holds, moves and releases of 32 groups, and as many hooks. */
const STEPS_MAX = 200

const step = z.strictObject({
  id: name,
  kind: z.enum(['hook', 'hold', 'move', 'follow', 'release', 'restart']),
  group: name.nullable(),
  member: name.nullable(),
  from: name.nullable(),
  // Plans of earlier versions have none.
  started: name.nullable().default(null),
  hook: name.nullable(),
  after: z.array(name).max(STEPS_MAX),
  deadlineMs: ms,
  attemptsMax: count,
  onFailure: z.enum(['undo', 'stop', 'go-on']),
  wayBack: z.enum(['undo', 'nothing', 'none']),
  mayLose: z.boolean(),
  predicted: z.strictObject({ ms, from: z.enum(['past-runs', 'formula', 'deadline']), runs: count }),
  state: z.enum(['waiting', 'running', 'done', 'failed', 'undoing', 'undone', 'stuck']),
  attempt: count,
  undoAttempt: count,
  because: prose,
  measuredMs: ms.nullable(),
})

const plan = z.strictObject({
  v: z.literal(1),
  stamp: name,
  scope: name,
  id: name,
  kind: z.enum(['switchover', 'failover', 'failback', 'evacuate', 'restart']),
  from: name.nullable(),
  to: name.nullable(),
  by: name,
  origin: z.enum(['operator', 'automatic']),
  lossAccepted: z.boolean(),
  epoch: count,
  runner: name,
  beat: count,
  phase: z.enum(['running', 'undoing', 'stopping', 'done', 'undone', 'stopped']),
  because: prose,
  cancel: z.strictObject({ by: name }).nullable(),
  steps: z.array(step).max(STEPS_MAX),
})

const pastRuns = z.record(name, z.array(ms).max(RUNS_KEPT))

export function readPlan(text: string, scope: string): Read<PlanRecord> {
  const read = fitting<PlanRecord>(text, plan)
  if (read.ok && read.value.scope !== scope) return { ok: false, because: `it is of ${read.value.scope.slice(0, 64)}` }
  return read
}

export function readPastRuns(text: string): Read<PastRuns> {
  return fitting<PastRuns>(text, pastRuns)
}

function fitting<T>(text: string, schema: z.ZodType<T>): Read<T> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return { ok: false, because: 'no JSON' }
  }
  const result = schema.safeParse(value)
  if (result.success) return { ok: true, value: result.data }
  const [issue] = result.error.issues
  return { ok: false, because: `${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}` }
}
