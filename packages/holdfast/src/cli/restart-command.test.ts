import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PlanKind, PlanRecord } from '../core/site-plan/plan.ts'
import { otherWork } from './restart-command.ts'

function plan(kind: PlanKind, group: string): PlanRecord {
  const steps = [
    { kind: 'restart', group },
    { kind: 'hold', group },
  ]
  return { kind, scope: 'shop', steps: kind === 'restart' ? steps : [] } as unknown as PlanRecord
}

test('only the restart of this very group is resumed or cancelled by the command of restarts', () => {
  assert.equal(otherWork(plan('restart', 'orders'), 'orders'), null)
  assert.equal(otherWork(plan('restart', 'stock'), 'orders'), 'stock')
  assert.equal(otherWork(plan('failover', 'orders'), 'orders'), 'shop')
})
