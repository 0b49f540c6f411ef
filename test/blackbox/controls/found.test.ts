import assert from 'node:assert/strict'
import { test } from 'node:test'
import { caught, settingsOf } from './main.ts'
import { PLANTED } from './planted.ts'
import { losses } from './rivals.ts'

test('a bug counts as found only by the checker that was named for it', () => {
  const [bug] = PLANTED
  assert.ok(bug)
  const [expected = ''] = bug.expects
  const verdict = (checker: string, ok: boolean) => ({ checker, ok, figures: {}, findings: ok ? [] : ['7 ms'] })
  assert.deepEqual(caught(bug, { verdicts: [verdict(expected, true), verdict('healed', false)] }), [])
  assert.deepEqual(caught(bug, { verdicts: [verdict(expected, false)] }), [`${expected}: 7 ms`])
})

test('a control runs the copy, with striking faults of its own', () => {
  for (const bug of PLANTED) {
    const settings = settingsOf(bug, 3, '/copy/holdfast.js')
    assert.deepEqual(settings.faults, bug.faults)
    assert.equal(settings.program, '/copy/holdfast.js')
    assert.ok(settings.striking)
  }
})

test('a rival is caught when acknowledged rows are gone, however content the checkers are with its promise', () => {
  const verdict = (lost: number) => ({ checker: 'lost', ok: true, figures: { lost }, findings: [] })
  assert.deepEqual(losses({ verdicts: [verdict(0)] }), [])
  assert.deepEqual(losses({ verdicts: [verdict(3)] }), ['lost: 3 acknowledged rows are gone'])
})
