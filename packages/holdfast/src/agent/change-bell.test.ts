import assert from 'node:assert/strict'
import { it } from 'node:test'
import { ChangeBell } from './change-bell.ts'

it('who waits is answered by the next change and not before, who knows less at once', async () => {
  let mark = 'a'
  const bell = new ChangeBell(() => mark)
  let answered = false
  const waiting = bell.wait('a', 60_000).then(() => {
    answered = true
  })
  bell.look()
  await bell.wait('older', 60_000)
  assert.equal(answered, false)
  mark = 'b'
  bell.look()
  await waiting
})

it('a change between the answer and the next question is not missed', async () => {
  let mark = 'a'
  const bell = new ChangeBell(() => mark)
  mark = 'b'
  bell.look()
  await bell.wait('a', 60_000)
})

it('nobody waits longer than he asked for', async () => {
  await new ChangeBell(() => 'a').wait('a', 1)
})
