import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { FENCE_BOUND_MS, GuardTable, MEMBERS_MAX } from './guard.ts'
import { fromGuardOf, LINE_BYTES_MAX, lineSplitter, toGuardOf } from './lines.ts'

const quarry = { dataDir: '/data/a', mainPid: 100 }

function watching(...members: string[]): GuardTable {
  const table = new GuardTable()
  for (const member of members) table.hear({ do: 'watch', member, ...quarry }, 0)
  return table
}

const names = (table: GuardTable, nowMs: number) => table.due(nowMs).map((strike) => strike.member)

describe('the table of deadlines', () => {
  test('strikes at the deadline, not before', () => {
    const table = watching('a')
    table.hear({ do: 'arm', member: 'a', epoch: 1, untilMs: 1_000 }, 0)
    assert.deepEqual(table.answers(), [{ is: 'armed', member: 'a', untilMs: 1_000 }])
    assert.equal(table.nextMs(), 1_000)
    assert.deepEqual(names(table, 999.9), [])
    assert.deepEqual(names(table, 1_000), ['a'])
  })

  test('a later deadline extends, an earlier one is ignored', () => {
    const table = watching('a')
    table.hear({ do: 'arm', member: 'a', epoch: 1, untilMs: 1_000 }, 0)
    table.hear({ do: 'arm', member: 'a', epoch: 1, untilMs: 2_000 }, 500)
    table.hear({ do: 'arm', member: 'a', epoch: 1, untilMs: 1_500 }, 600)
    assert.deepEqual(table.answers().at(-1), { is: 'armed', member: 'a', untilMs: 2_000 })
    assert.deepEqual(names(table, 1_999), [])
    assert.deepEqual(names(table, 2_000), ['a'])
  })

  test('an older epoch extends nothing', () => {
    const table = watching('a')
    table.hear({ do: 'arm', member: 'a', epoch: 5, untilMs: 1_000 }, 0)
    assert.equal(table.hear({ do: 'arm', member: 'a', epoch: 4, untilMs: 9_000 }, 0), false)
    assert.deepEqual(names(table, 1_000), ['a'])
  })

  test('a deadline that passed before it was heard is a fence', () => {
    const table = watching('a')
    table.hear({ do: 'arm', member: 'a', epoch: 1, untilMs: 1_000 }, 1_500)
    assert.deepEqual(table.answers(), [])
    assert.deepEqual(names(table, 1_500), ['a'])
    table.struck('a', { killed: 2, alive: 0 }, 1_501)
    assert.deepEqual(table.answers(), [{ is: 'fired', member: 'a', killed: 2, lateMs: 501 }])
  })

  test('disarm takes the deadline away but does not end a fence under way', () => {
    const table = watching('a', 'b')
    table.hear({ do: 'arm', member: 'a', epoch: 1, untilMs: 1_000 }, 0)
    table.hear({ do: 'disarm', member: 'a' }, 10)
    assert.equal(table.nextMs(), null)
    table.hear({ do: 'fence', member: 'b' }, 20)
    table.due(20)
    table.struck('b', { killed: 1, alive: 1 }, 21)
    table.hear({ do: 'disarm', member: 'b' }, 22)
    table.hear({ do: 'arm', member: 'b', epoch: 1, untilMs: 5_000 }, 22)
    assert.deepEqual(names(table, 30), ['b'])
    assert.equal(table.overdue(), true)
  })

  test('tries again until nothing is alive, and says once that it is stuck', () => {
    const table = watching('a')
    table.hear({ do: 'fence', member: 'a' }, 0)
    let nowMs = 0
    for (; nowMs < 2 * FENCE_BOUND_MS; nowMs = table.nextMs() ?? nowMs) {
      assert.deepEqual(names(table, nowMs), ['a'])
      table.struck('a', { killed: 1, alive: 1 }, nowMs)
    }
    assert.deepEqual(table.answers(), [{ is: 'stuck', member: 'a', alive: 1 }])
    table.struck('a', { killed: 0, alive: 0 }, nowMs)
    assert.deepEqual(table.answers(), [{ is: 'fired', member: 'a', killed: 1, lateMs: nowMs }])
    assert.equal(table.nextMs(), null)
  })

  test('members are independent', () => {
    const table = watching('a', 'b')
    table.hear({ do: 'arm', member: 'a', epoch: 1, untilMs: 1_000 }, 0)
    table.hear({ do: 'arm', member: 'b', epoch: 7, untilMs: 2_000 }, 0)
    assert.deepEqual(names(table, 1_500), ['a'])
    table.struck('a', { killed: 1, alive: 0 }, 1_501)
    assert.equal(table.nextMs(), 2_000)
    assert.deepEqual(names(table, 1_999), [])
  })

  test('what it cannot kill it does not confirm', () => {
    const table = new GuardTable()
    assert.equal(table.hear({ do: 'arm', member: 'a', epoch: 1, untilMs: 1_000 }, 0), false)
    assert.deepEqual(table.answers(), [])
    for (let n = 0; n < MEMBERS_MAX; n += 1) table.hear({ do: 'watch', member: `m${n}`, ...quarry }, 0)
    assert.equal(table.hear({ do: 'watch', member: 'one-more', ...quarry }, 0), false)
  })
})

describe('lines', () => {
  test('whole lines come out whatever the chunks, and a long one costs only itself', () => {
    const splitter = lineSplitter(10)
    const out = ['ab', 'c\nde', 'f\n0123456789', 'xyz', '\nok\n', '0123456789ab\nend\n']
    assert.deepEqual(
      out.flatMap((chunk) => splitter.push(Buffer.from(chunk))),
      ['abc', 'def', null, 'ok', null, 'end'],
    )
    assert.ok(LINE_BYTES_MAX > 4_096)
  })

  test('only what the protocol knows is understood', () => {
    const good = '{"do":"watch","member":"a","dataDir":"/d","mainPid":null}'
    assert.deepEqual(toGuardOf(good), { do: 'watch', member: 'a', dataDir: '/d', mainPid: null })
    const bad = [
      'x',
      '[]',
      'null',
      '{"do":"kill"}',
      '{"do":"arm","member":"a","epoch":1,"untilMs":null}',
      '{"do":"arm","member":"a","epoch":-1,"untilMs":1}',
      '{"do":"watch","member":"a","dataDir":"/","mainPid":2}',
      '{"do":"watch","member":"a","dataDir":"rel","mainPid":2}',
      '{"do":"watch","member":"a","dataDir":"/d","mainPid":1}',
      '{"do":"watch","member":"a","dataDir":"/d","mainPid":-5}',
      '{"do":"fence","member":""}',
    ]
    for (const line of bad) assert.equal(toGuardOf(line), null, line)
    assert.equal(fromGuardOf('{"is":"fired","member":"a","killed":"1","lateMs":0}'), null)
  })
})
