import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StandbyEars } from './standby-ears.ts'

test('a standby whose last word stays the same over a second and a half is silent', () => {
  const ears = new StandbyEars()
  assert.deepEqual(ears.silent(), [])
  for (let nowMs = 0; nowMs <= 1_400; nowMs += 200) {
    ears.note(
      [
        [7, 'noon'],
        [8, `at ${nowMs}`],
      ],
      nowMs,
    )
  }
  assert.deepEqual(ears.silent(), [])
  ears.note(
    [
      [7, 'noon'],
      [8, 'later'],
    ],
    1_600,
  )
  assert.deepEqual(ears.silent(), [7])
  ears.note([[7, 'one']], 1_800)
  assert.deepEqual(ears.silent(), [], 'it spoke again')
})

test('time in which nobody looked counts for nobody', () => {
  const ears = new StandbyEars()
  ears.note([[7, 'noon']], 0)
  assert.deepEqual(ears.silent(), [])
  ears.note([[7, 'later']], 60_000)
  assert.deepEqual(ears.silent(), [])
})

test('a new connection, and one after the server began anew, starts from nothing', () => {
  const ears = new StandbyEars()
  ears.note([[7, null]], 0)
  ears.forget()
  ears.note([[7, null]], 5_000)
  assert.deepEqual(ears.silent(), [])
  ears.note([[9, null]], 9_000)
  assert.deepEqual(ears.silent(), [])
})
