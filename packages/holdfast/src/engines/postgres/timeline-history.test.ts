import assert from 'node:assert/strict'
import { test } from 'node:test'
import { endOf, forkOf, parseHistory } from './timeline-history.ts'

const three = parseHistory(3, '1\t0/3000000\tno recovery target specified\n\n2\t0/5000000\tbefore x\n')

test('reads what PostgreSQL writes', () => {
  assert.deepEqual(three, {
    timeline: 3,
    ancestors: [
      { timeline: 1, endLsn: 0x3000000 },
      { timeline: 2, endLsn: 0x5000000 },
    ],
  })
  assert.deepEqual(parseHistory(1, ''), { timeline: 1, ancestors: [] })
  assert.ok(three !== null)
  assert.equal(endOf(three, 2), 0x5000000)
  assert.equal(endOf(three, 3), null)
  assert.equal(endOf(three, 4), undefined)
})

test('refuses what is no history', () => {
  for (const text of ['nonsense', '2\t0/5\tx\n1\t0/6\tx', '1\t0/5\tx\n2\t0/4\tx', '3\t0/5\tx', '1\t5\tx']) {
    assert.equal(parseHistory(3, text), null, text)
  }
})

test('finds where two histories part', () => {
  const at = (timeline: number, text: string) => parseHistory(timeline, text) ?? assert.fail('unreadable')
  const one = at(1, '')
  const two = at(2, '1\t0/30\tx')
  const other = at(2, '1\t0/20\tx')
  const third = at(3, '1\t0/30\tx\n2\t0/50\tx')
  assert.deepEqual(forkOf(one, one), { timeline: 1, forkLsn: null })
  assert.deepEqual(forkOf(one, two), { timeline: 1, forkLsn: 0x30 })
  assert.deepEqual(forkOf(two, third), { timeline: 2, forkLsn: 0x50 })
  assert.deepEqual(forkOf(two, two), { timeline: 2, forkLsn: null })
  assert.deepEqual(forkOf(other, third), { timeline: 1, forkLsn: 0x20 })
  assert.deepEqual(forkOf(third, one), { timeline: 1, forkLsn: 0x30 })
  assert.equal(forkOf(one, at(3, '2\t0/10\tx')), null)
})
