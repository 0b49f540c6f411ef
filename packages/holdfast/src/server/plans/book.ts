/**
 * Writes down what became of plans, if this server leads: a row each, what is new as events, its end in the audit log.
 * Compares with what is written in the same transaction, so a server that takes over writes nothing twice.
 */
import type { ApiPlan, ApiPlanStep } from '@holdfast/client'
import { isOver } from '../../core/site-plan/plan.ts'
import type { Clock } from '../../io/clock.ts'
import type { Log } from '../../io/log.ts'
import { appendAudit } from '../audit/audit-log.ts'
import type { Reading, Writing } from '../database/database.ts'
import type { Leader } from '../database/leader.ts'
import { writeEvents } from '../events.ts'
import type { Draft } from '../follow/changes.ts'
import { planWords } from './plan-view.ts'

export interface BookOptions {
  readonly leader: Leader
  readonly read: Reading
  readonly clock: Clock
  readonly log: Log
  readonly name: string
  /** Whose events these are: who may see this group sees them. */
  readonly groupOf: (plan: ApiPlan) => string | null
  readonly onWritten: () => void
}

/** A year of one a day, and some. */
export const PLANS_A_SERVICE_MAX = 500

export class PlanBook {
  readonly #options: BookOptions
  readonly #dirty = new Map<string, ApiPlan>()
  #writing = false

  constructor(options: BookOptions) {
    this.#options = options
  }

  note(plan: ApiPlan): void {
    this.#dirty.set(plan.service, plan)
  }

  /** What cannot be written now is written at a later turn. */
  async flush(): Promise<void> {
    const { leader, log, onWritten } = this.#options
    if (this.#writing || !leader.state.leading) return
    this.#writing = true
    try {
      for (const [service, plan] of [...this.#dirty]) {
        const written = await leader.write((writing) => this.#write(writing, plan))
        if (written === null) return
        if (this.#dirty.get(service) === plan) this.#dirty.delete(service)
        if (written.value) onWritten()
      }
    } catch (error) {
      log.warn({ error }, 'plans-not-written')
    } finally {
      this.#writing = false
    }
  }

  async #write(writing: Writing, plan: ApiPlan): Promise<boolean> {
    const { clock, name, groupOf } = this.#options
    const row = await writing.selectFrom('plans').select('body').where('id', '=', plan.id).executeTakeFirst()
    const before = row === undefined ? null : (JSON.parse(row.body) as ApiPlan)
    if (before !== null && isOver(before)) return false
    const wallMs = clock.wallMs()
    const now: ApiPlan = { ...plan, begunMs: before?.begunMs ?? plan.begunMs }
    const body = JSON.stringify(now)
    if (row === undefined) await this.#insert(writing, now, { body, seenMs: Math.round(wallMs) })
    else await writing.updateTable('plans').set({ body }).where('id', '=', plan.id).execute()
    const drafts = planDrafts(before, now, { wallMs, group: groupOf(now) })
    await writeEvents(writing, drafts, wallMs)
    if (isOver(now)) {
      const { id, kind, from, to, by, phase, because, service } = now
      const detail = { id, kind, from, to, by, phase, because }
      const outcome = phase === 'done' ? 'done' : phase === 'undone' ? 'refused' : 'failed'
      const note = { actor: `server ${name}`, action: 'plan-over', subject: `service ${service}`, outcome } as const
      await appendAudit(writing, { ...note, address: '', detail }, wallMs)
    }
    return drafts.length > 0
  }

  async #insert(
    writing: Writing,
    { id, service }: ApiPlan,
    { body, seenMs }: { readonly body: string; readonly seenMs: number },
  ): Promise<void> {
    await writing.insertInto('plans').values({ id, scope: service, seen_ms: seenMs, body }).execute()
    const old = await writing
      .selectFrom('plans')
      .select('id')
      .where('scope', '=', service)
      .orderBy('seen_ms', 'desc')
      .offset(PLANS_A_SERVICE_MAX)
      .limit(PLANS_A_SERVICE_MAX)
      .execute()
    if (old.length === 0) return
    const ids = old.map((one) => one.id)
    await writing.deleteFrom('plans').where('id', 'in', ids).execute()
  }
}

export async function writtenPlans(read: Reading, scope: string, limit: number): Promise<readonly ApiPlan[]> {
  const rows = await read
    .selectFrom('plans')
    .select('body')
    .where('scope', '=', scope)
    .orderBy('seen_ms', 'desc')
    .limit(limit)
    .execute()
  return rows.map(({ body }) => JSON.parse(body) as ApiPlan)
}

export async function writtenPlan(read: Reading, id: string): Promise<ApiPlan | null> {
  const row = await read.selectFrom('plans').select('body').where('id', '=', id).executeTakeFirst()
  return row === undefined ? null : (JSON.parse(row.body) as ApiPlan)
}

interface At {
  readonly wallMs: number
  readonly group: string | null
}

/** What became different, in words. Pure. */
export function planDrafts(before: ApiPlan | null, now: ApiPlan, { wallMs, group }: At): readonly Draft[] {
  const { id, service, by, because, phase } = now
  const base = { wallMs, kind: 'plan', group, member: null, source: 'server', rule: null, incident: null } as const
  const told = (code: string, severity: Draft['severity'], summary: string): Draft => {
    const detail = { id, service, phase, by }
    return { ...base, code, severity, summary: summary.slice(0, 500), detail }
  }
  const words = planWords(now)
  const drafts: Draft[] = []
  if (before === null && !isOver(now)) drafts.push(told('plan-begun', 'notice', `${words} has begun, asked by ${by}`))
  // What was over when it was first seen is told as a whole.
  const late = before === null && isOver(now)
  for (const step of late ? [] : now.steps) {
    const was = before?.steps.find((one) => one.id === step.id)?.state ?? 'waiting'
    if (was === step.state || !ENDS.has(step.state)) continue
    const bad = step.state === 'failed' || step.state === 'stuck'
    drafts.push({
      ...told('plan-step', bad ? 'warning' : 'info', `${service}: ${stepWords(step)}`),
      group: step.group ?? group,
    })
  }
  if (now.cancel !== null && before?.cancel == null)
    drafts.push(told('plan-cancelled', 'notice', `${words}: ${now.cancel.by} asks to take it back`))
  const turned = phase === 'undoing' || phase === 'stopping'
  if (turned && before?.phase !== phase) drafts.push(told('plan-turned', 'warning', `${words} is ${phase}: ${because}`))
  if (isOver(now)) {
    const why = because === '' ? '' : `: ${because}`
    drafts.push(
      told(
        'plan-over',
        OVER[phase] ?? 'critical',
        `${words} is ${phase}${why}${late ? ' (first seen when it was over)' : ''}`,
      ),
    )
  }
  return drafts
}

const ENDS = new Set<ApiPlanStep['state']>(['done', 'failed', 'undone', 'stuck'])
const OVER: Readonly<Record<string, Draft['severity']>> = { done: 'notice', undone: 'warning', stopped: 'critical' }

function stepWords({ id, state, measuredMs, predicted, because }: ApiPlanStep): string {
  const took = measuredMs === null || state !== 'done' ? '' : ` in ${measuredMs} ms, predicted ${predicted.ms} ms`
  return `${id} ${state}${took}${because === '' ? '' : `, ${because}`}`
}
