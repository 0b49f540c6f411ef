/** What a plan does, step by step, in the words of the screens. Pure. */
import type { ApiPlan, ApiPlanStep } from '@holdfast/client'
import { countText, durationText } from './words.ts'

type Way = Pick<ApiPlan, 'kind' | 'service' | 'from' | 'to'>

const KINDS: Readonly<Record<ApiPlan['kind'], string>> = {
  switchover: 'Move',
  failback: 'Move home',
  failover: 'Fail over',
  evacuate: 'Evacuate',
  restart: 'Restart',
}

/** `Move shop from north to south`, `Evacuate orders-1 of shop` */
export function planWords({ kind, service, from, to, ...rest }: Way & { readonly member?: string | null }): string {
  const name = service.replace(/^group:/, '')
  if (kind === 'evacuate') {
    const { member = null } = rest
    return member === null ? `Evacuate a member of ${name}` : `Evacuate ${member} of ${name}`
  }
  if (kind === 'restart') return `Restart the engines of a group of ${name}`
  return `${KINDS[kind]} ${name}${from === null ? '' : ` from ${from}`}${to === null ? '' : ` to ${to}`}`
}

/** `orders: orders-1 hands over to orders-2` */
export function stepWords(step: ApiPlanStep, to: string | null): string {
  const { kind, group, member, from, hook } = step
  switch (kind) {
    case 'hook':
      return `hook ${hook}`
    case 'hold':
      return `hold the own failover of ${group}`
    case 'release':
      return `let ${group} fail over by itself again`
    case 'move':
      return `${group}: ${from ?? 'nobody'} hands over to ${member ?? 'nobody'}`
    case 'restart':
      return `${group}: the engine of ${member} anew, until it has caught up`
    case 'follow':
      return `${group}: a primary ${to === null ? 'elsewhere' : `at ${to}`}, ${member ?? 'whoever can'}`
  }
}

/** Names beyond these are counted. */
const NAMED_MAX = 2

/** What a step waits for, without what those wait for already: `move:stock, move:users`, `4 holds`. */
export function waitWords(step: ApiPlanStep, steps: readonly ApiPlanStep[]): string {
  const afterOf = new Map(steps.map(({ id, after }) => [id, after]))
  const implied = new Set<string>()
  const walk = (id: string): void => {
    for (const before of afterOf.get(id) ?? []) {
      if (implied.has(before)) continue
      implied.add(before)
      walk(before)
    }
  }
  for (const id of step.after) walk(id)
  const left = step.after.filter((id) => !implied.has(id))
  if (left.length <= NAMED_MAX) return left.join(', ')
  const kinds = new Map<string, number>()
  for (const id of left) {
    const kind = steps.find((one) => one.id === id)?.kind ?? 'step'
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
  }
  return [...kinds].map(([kind, count]) => countText(count, kind)).join(', ')
}

/** Where a prediction comes from. */
export function sourceWords({ from, runs }: ApiPlanStep['predicted']): string {
  if (from === 'past-runs') return `median of ${countText(runs, 'past run')}`
  return from === 'formula' ? "the group's timing" : 'its deadline; nothing else is known'
}

export const PHASE_WORDS: Readonly<Record<ApiPlan['phase'], string>> = {
  running: 'Under way',
  undoing: 'Being taken back',
  stopping: 'Stopping',
  done: 'Done',
  undone: 'Taken back',
  stopped: 'Stopped: a person must look',
}

export function isOver({ phase }: Pick<ApiPlan, 'phase'>): boolean {
  return phase === 'done' || phase === 'undone' || phase === 'stopped'
}

/** Along the longest way through what was measured; null while not every step is done. */
export function measuredMs({ steps }: Pick<ApiPlan, 'steps'>): number | null {
  if (steps.length === 0 || steps.some((step) => step.measuredMs === null)) return null
  const ends = new Map<string, number>()
  const endOf = (step: ApiPlanStep): number => {
    const known = ends.get(step.id)
    if (known !== undefined) return known
    const before = steps.filter((one) => step.after.includes(one.id)).map(endOf)
    const end = Math.max(0, ...before) + (step.measuredMs ?? 0)
    ends.set(step.id, end)
    return end
  }
  return Math.max(...steps.map(endOf))
}

export function lossWords({ group, bytes, because }: { group: string; bytes: number | null; because: string }): string {
  return `${group}: ${bytes === null ? 'nobody knows how much' : `at most ${bytes} bytes of log`}; ${because}`
}

/** `2 of 6 steps done` */
export function stepsDone({ steps }: Pick<ApiPlan, 'steps'>): string {
  return `${steps.filter(({ state }) => state === 'done').length} of ${countText(steps.length, 'step')} done`
}

export function timeWords(plan: ApiPlan): string {
  const took = measuredMs(plan)
  return took === null ? '' : `${durationText(took)}, predicted ${durationText(plan.predictedMs)}`
}
