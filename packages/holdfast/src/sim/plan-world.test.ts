import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PlanKind } from '../core/site-plan/plan.ts'
import { type PlanRun, type PlanScenario, runPlan } from './plan-world.ts'
import { Stream } from './prng.ts'

const KINDS: readonly PlanKind[] = ['switchover', 'failover', 'failback', 'evacuate', 'restart']
const SEEDS = 50

function told(scenario: PlanScenario, run: PlanRun): string {
  return `${JSON.stringify(scenario)}\n${run.violations.join('\n')}\n${run.trace.join('\n')}`
}

function check(scenario: PlanScenario): PlanRun {
  const run = runPlan(scenario)
  assert.deepEqual(run.violations, [], told(scenario, run))
  return run
}

function scenarioOf(seed: number, kind: PlanKind): PlanScenario {
  const prng = new Stream(seed, 1, 2)
  return {
    seed,
    kind,
    killAfter: null,
    heir: prng.chance(0.5) ? 'resume' : 'cancel',
    cancelAtMs: prng.chance(0.3) ? prng.int(6_000) : null,
    rival: prng.chance(0.3),
    siteTurnsAtMs: prng.chance(0.2) ? prng.int(6_000) : null,
  }
}

for (const kind of KINDS) {
  test(`a ${kind} whose runner dies after each of its actions ends whole, in ${SEEDS} worlds`, () => {
    const phases = new Map<string, number>()
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      const scenario = scenarioOf(seed, kind)
      const { actions } = check(scenario)
      for (let killAfter = 1; killAfter <= actions; killAfter += 1) {
        const { phase } = check({ ...scenario, killAfter })
        phases.set(phase, (phases.get(phase) ?? 0) + 1)
      }
    }
    assert.ok((phases.get('done') ?? 0) > 0, JSON.stringify([...phases]))
    if (kind !== 'failover') assert.ok((phases.get('undone') ?? 0) > 0, JSON.stringify([...phases]))
  })
}

test('the same seed gives the same run', () => {
  const scenario = { ...scenarioOf(5, 'switchover'), killAfter: 7 }
  assert.deepEqual(runPlan(scenario).trace, runPlan(scenario).trace)
})
