import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { ActiveDrill, DrillRecord } from '../../drills/ledger.ts'
import { withYes } from './gate.ts'

function waits(changes: Partial<ActiveDrill> = {}): DrillRecord {
  const active: ActiveDrill = {
    ...{
      id: 'run-a',
      drill: 'a',
      by: 'olga@server one',
      startedWallMs: 0,
      phase: 'asking-fault',
      beat: 7,
      members: [],
    },
    ...{ waiting: { gate: 'fault', by: ['ann', 'olga'] }, approvals: [], abort: null },
  }
  return { format: 1, group: 'orders', active: { ...active, ...changes }, past: [] }
}
const yes = { id: 'run-a', gate: 'fault', user: 'ann' } as const

it('a yes is for the run and the gate that were looked at, and for no other that waits by then', () => {
  assert.deepEqual(withYes(waits(), yes)?.active?.approvals, [{ gate: 'fault', by: 'ann' }])
  assert.throws(() => withYes(waits({ id: 'run-b', drill: 'b' }), yes), /b \(run run-b\) waits before the fault/)
  const start = { waiting: { gate: 'start', by: ['ann'] } } as const
  assert.throws(() => withYes(waits(start), yes), /waits before the start/)
  assert.throws(() => withYes(waits({ waiting: null }), yes), /waits for nobody/)
  assert.throws(() => withYes({ ...waits(), active: null }, yes), /no drill runs/)
})

it('a second yes to the same gate adds nothing', () => {
  const once = withYes(waits(), yes)
  assert.notEqual(once, null)
  assert.equal(once && withYes(once, yes), null)
})

it('only somebody the file names, who did not ask for it', () => {
  assert.throws(() => withYes(waits(), { ...yes, user: 'bob' }), /bob is none of ann, olga/)
  assert.throws(() => withYes(waits(), { ...yes, user: 'olga' }), /olga asked for this drill/)
})
