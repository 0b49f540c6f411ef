/** Where plans are kept, as a runner sees it: read and compare-and-set, each with an answer or none. */
import type { AgentClient, Result, StoredPlan } from '@holdfast/client'
import type { PlanRecord } from '../core/site-plan/plan.ts'
import type { PastRuns } from '../core/site-plan/predict.ts'
import type { Store, StoredValue } from '../store/contract.ts'
import { planKey, readPastRuns, readPlan, timingsKey } from './records.ts'

export type PlanRead =
  | { readonly ok: true; readonly plan: PlanRecord | null; readonly revision: number }
  | { readonly ok: false; readonly because: string }

export type PlanWrite =
  | { readonly outcome: 'ok' | 'conflict'; readonly plan: PlanRecord | null; readonly revision: number }
  | { readonly outcome: 'unknown'; readonly because: string }

export interface PlanPort {
  read(scope: string): Promise<PlanRead>
  write(plan: PlanRecord, ifRevision: number): Promise<PlanWrite>
  pastRuns(scope: string): Promise<PastRuns>
  /** Best effort: a lost measurement costs a worse prediction. */
  keepRuns(scope: string, change: (past: PastRuns) => PastRuns): Promise<void>
}

/** For who knows the store himself. */
export function portOnStore(store: Store, deadlineMs: number): PlanPort {
  const planIn = ({ value, revision }: StoredValue, scope: string) =>
    planOf({ ok: true, value: { value, revision }, url: '' }, scope)
  const runs = async (scope: string) => {
    const found = await store.get(timingsKey(scope), deadlineMs)
    return runsOf(found.kind === 'ok' ? { ok: true, value: found.entry, url: '' } : SILENT)
  }
  return {
    read: async (scope) => {
      const found = await store.get(planKey(scope), deadlineMs)
      return found.kind === 'ok' ? planIn(found.entry, scope) : { ok: false, because: found.because }
    },
    write: async (plan, ifRevision) => {
      const result = await store.compareAndSet(planKey(plan.scope), JSON.stringify(plan), ifRevision, deadlineMs)
      if (result.kind === 'unknown') return { outcome: 'unknown', because: result.because }
      const read = planIn(result.entry, plan.scope)
      if (!read.ok) return { outcome: 'unknown', because: read.because }
      return { outcome: result.kind, plan: read.plan, revision: read.revision }
    },
    pastRuns: async (scope) => (await runs(scope)).past,
    keepRuns: async (scope, change) => {
      const { past, revision } = await runs(scope)
      if (revision === null) return
      await store.compareAndSet(timingsKey(scope), JSON.stringify(change(past)), revision, deadlineMs)
    },
  }
}

const SILENT = { ok: false, kind: 'unreachable', tried: [] } as const

/** Through whichever agent answers. */
export function portOver(client: AgentClient): PlanPort {
  return {
    read: async (scope) => planOf(await client.plan(scope), scope),
    write: async (plan, ifRevision) => {
      const result = await client.writePlan(plan.scope, { value: JSON.stringify(plan), ifRevision })
      const read = planOf(result, plan.scope)
      if (!result.ok || !read.ok) return { outcome: 'unknown', because: read.ok ? '' : read.because }
      return { outcome: result.value.written ? 'ok' : 'conflict', plan: read.plan, revision: read.revision }
    },
    pastRuns: async (scope) => runsOf(await client.plan(scope, 'timings')).past,
    keepRuns: async (scope, change) => {
      const { past, revision } = runsOf(await client.plan(scope, 'timings'))
      if (revision !== null) {
        await client.writePlan(scope, { value: JSON.stringify(change(past)), ifRevision: revision }, 'timings')
      }
    },
  }
}

function planOf(result: Result<StoredPlan>, scope: string): PlanRead {
  if (!result.ok) return { ok: false, because: whyNot(result) }
  const { value, revision } = result.value
  if (value === null) return { ok: true, plan: null, revision }
  const read = readPlan(value, scope)
  return read.ok ? { ok: true, plan: read.value, revision } : { ok: false, because: `no plan: ${read.because}` }
}

function runsOf(result: Result<StoredPlan>): { readonly past: PastRuns; readonly revision: number | null } {
  if (!result.ok) return { past: {}, revision: null }
  const read = readPastRuns(result.value.value ?? '{}')
  return { past: read.ok ? read.value : {}, revision: result.value.revision }
}

export function whyNot(result: Exclude<Result<unknown>, { ok: true }>): string {
  if (result.kind === 'refused') return result.message
  if (result.kind === 'uncertain') return `${result.url} took the request and did not answer`
  return 'no agent answers'
}
