import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { GroupRecord } from '../core/model.ts'
import { conditionOf, holds } from './conditions.ts'
import type { Known } from './explanation.ts'

const PAUSE = { id: 'x', by: 'plan p', because: 'move', validMs: 1_000 }
const RECORD = { group: 'orders', epoch: 7, pause: PAUSE } as GroupRecord

function known(seenAtMs: number | null): Known {
  const pauseSeen = seenAtMs === null ? null : { id: 'x', atMs: seenAtMs }
  return { member: { pauseSeen }, moment: { nowMs: 5_000 } } as unknown as Known
}

const CASES: readonly (readonly [string, object, number | null, RegExp | null])[] = [
  ['nothing demanded', {}, 4_500, null],
  ['the epoch is the same', { ifEpoch: 7 }, 4_500, null],
  ['the epoch is another', { ifEpoch: 6 }, 4_500, /at epoch 7, not 6/],
  ['paused by whom it should be', { ifPausedBy: 'plan p' }, 4_500, null],
  ['paused by another', { ifPausedBy: 'plan q' }, 4_500, /paused by plan p, not plan q/],
  ['paused, and should not be', { ifPausedBy: null }, 4_500, /paused by plan p, not nobody/],
  ['a pause that has run out is none', { ifPausedBy: null }, 3_000, null],
  ['a pause not seen before stands', { ifPausedBy: null }, null, /paused by plan p/],
]
for (const [what, fields, seenAtMs, expected] of CASES) {
  test(`a request that demands: ${what}`, () => {
    const run = (): void => holds(known(seenAtMs), RECORD, conditionOf(fields as Record<string, unknown>))
    if (expected === null) run()
    else assert.throws(run, expected)
  })
}

test('a demand that is none is refused', () => {
  for (const fields of [{ ifEpoch: '7' }, { ifEpoch: -1 }, { ifEpoch: 1.5 }, { ifPausedBy: 7 }])
    assert.throws(() => conditionOf(fields), /must be/)
})
