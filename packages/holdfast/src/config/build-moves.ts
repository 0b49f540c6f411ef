/** Services of the description: durations as numbers, hooks with their commands and calls. */
import { DEGRADED_DEFAULT, type DegradedPolicy } from '../core/routing/degradation.ts'
import type { BuildContext } from './build-context.ts'
import type { Path } from './mistake.ts'
import type { HookAction, HookSpec, ServiceSpec } from './platform.ts'
import { parseDurationMs } from './quantities.ts'
import type { Description } from './schema.ts'

type DescribedService = NonNullable<Description['services']>[number]
type DescribedHook = NonNullable<DescribedService['hooks']>[number]
type DescribedAction = Pick<DescribedHook, 'run' | 'http' | 'env'>

export function buildServices(description: Description, context: BuildContext): readonly ServiceSpec[] {
  return (description.services ?? []).map((one, index) => ({
    name: one.name,
    groups: one.groups.map(({ group, after }) => ({ group, after: after ?? [] })),
    objectives:
      one.objectives === undefined
        ? null
        : { rtoMs: parseDurationMs(one.objectives.rto) ?? 0, rpoMs: parseDurationMs(one.objectives.rpo) ?? 0 },
    home: one.home,
    comeHome: one.comeHome ?? 'ask',
    siteLoss: one.siteLoss ?? 'ask',
    degraded: degradedOf(one.degraded ?? {}),
    hooks: (one.hooks ?? []).map((hook, at) => hookOf(hook, ['services', index, 'hooks', at], context)),
  }))
}

function degradedOf(one: NonNullable<DescribedService['degraded']>): DegradedPolicy {
  const staleMsMax = parseDurationMs(one.stalenessMax ?? '')
  return {
    reads: one.reads === 'stop' ? 'stop' : staleMsMax === null ? DEGRADED_DEFAULT.reads : { staleMsMax },
    writes: one.writes ?? DEGRADED_DEFAULT.writes,
    refuseAfterMs: parseDurationMs(one.refuseAfter ?? ''),
  }
}

function hookOf(hook: DescribedHook, path: Path, context: BuildContext): HookSpec {
  return {
    name: hook.name,
    when: hook.when,
    group: hook.group ?? null,
    // Without an action it is a mistake of checks/hooks.ts, and nobody gets this platform.
    action: actionOf(hook, path, context) ?? { kind: 'run', words: [], env: [] },
    undo: hook.undo === undefined ? null : actionOf(hook.undo, [...path, 'undo'], context),
    deadlineMs: parseDurationMs(hook.deadline) ?? 0,
    onFailure: hook.onFailure ?? 'undo',
  }
}

function actionOf({ run, http, env }: DescribedAction, path: Path, context: BuildContext): HookAction | null {
  if (run !== undefined) return { kind: 'run', words: run, env: env ?? [] }
  if (http === undefined) return null
  const at = [...path, 'http', 'token']
  return {
    kind: 'http',
    url: http.url,
    method: http.method ?? 'POST',
    body: http.body ?? null,
    // Whoever moves a service calls its hooks, be it an agent or a person's command.
    token: http.token === undefined ? null : context.secrets.read(http.token, at, 'token', context.need !== 'none'),
  }
}
