import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ApiPlanStep } from '@holdfast/client'
import { measuredMs, planWords, stepsDone, waitWords } from './plan-words.ts'

const step = (id: string, after: readonly string[], change: Partial<ApiPlanStep> = {}): ApiPlanStep => ({
  ...{ id, kind: id.split(':')[0] as ApiPlanStep['kind'], group: null, member: null, from: null, hook: null },
  ...{ after: [...after], deadlineMs: 1, predicted: { ms: 1, from: 'formula', runs: 0 }, mayLose: false },
  ...{ wayBack: 'undo', state: 'done', attempt: 1, because: '', measuredMs: 100 },
  ...change,
})

const HOLDS = ['hold:a', 'hold:b', 'hold:c']
const STEPS = [
  ...HOLDS.map((id) => step(id, [])),
  step('move:a', HOLDS),
  step('move:b', [...HOLDS, 'move:a'], { measuredMs: 300 }),
  step('release:a', ['move:a', 'move:b'], { state: 'running' }),
]

describe('the words of a plan', () => {
  test('a step tells what it waits for, without what that waits for itself', () => {
    assert.deepEqual(
      STEPS.map((one) => waitWords(one, STEPS)),
      ['', '', '', '3 holds', 'move:a', 'move:b'],
    )
  })

  test('what was measured counts along the longest way, and only when all of it was', () => {
    assert.equal(measuredMs({ steps: STEPS }), 600)
    assert.equal(measuredMs({ steps: [...STEPS, step('hook:dns', [], { measuredMs: null })] }), null)
    assert.equal(stepsDone({ steps: STEPS }), '5 of 6 steps done')
  })

  test('says who is moved where, and of a group in no service its own name', () => {
    const way = { kind: 'switchover', service: 'group:orders', from: 'north', to: 'south' } as const
    assert.equal(planWords(way), 'Move orders from north to south')
    assert.equal(planWords({ ...way, kind: 'evacuate', to: null, member: 'orders-1' }), 'Evacuate orders-1 of orders')
  })
})
