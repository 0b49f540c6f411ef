import assert from 'node:assert/strict'
import { test } from 'node:test'
import { twoWritersMs } from './figures.ts'
import type { Ack } from './ledger.ts'
import { account, type Books, inTurn, type Placed } from './shop-figures.ts'

function placed(number: string, item = 0): Placed {
  return { number, item, sentMs: 0, ackedMs: 1 }
}

function books(orders: readonly (readonly [string, number])[], reserved: readonly string[], left: number[]): Books {
  return { orders: new Map(orders), reserved: new Set(reserved), left }
}

test('books that agree: nothing lost, nothing oversold', () => {
  const found = account(
    [placed('a'), placed('b', 1)],
    books(
      [
        ['a', 0],
        ['b', 1],
      ],
      ['a', 'b'],
      [0, 4],
    ),
    [1, 5],
  )
  assert.deepEqual(found, { lostOrders: 0, lostReservations: 0, oversold: 0 })
})

test('an order that nobody acknowledged may stand in the books, and a reservation without an order, too', () => {
  const found = account(
    [placed('a')],
    books(
      [
        ['a', 0],
        ['b', 0],
      ],
      ['a', 'b', 'c'],
      [0],
    ),
    [3],
  )
  assert.deepEqual(found, { lostOrders: 0, lostReservations: 0, oversold: 0 })
})

test('an acknowledged order without its row, or without its reservation, is lost', () => {
  const found = account(
    [placed('a'), placed('b'), placed('c')],
    books(
      [
        ['a', 0],
        ['b', 0],
      ],
      ['a', 'c'],
      [7],
    ),
    [10],
  )
  assert.deepEqual(found, { lostOrders: 1, lostReservations: 1, oversold: 0 })
})

test('more rows than there were pieces are oversold, acknowledged or not, however much the stock says is left', () => {
  const rows = [
    ['a', 0],
    ['b', 0],
    ['c', 0],
    ['d', 1],
  ] as const
  assert.equal(account([], books(rows, [], [1, 0]), [1, 1]).oversold, 2)
})

test('a stock below nothing is oversold, and a piece counts once', () => {
  assert.equal(account([], books([], [], [-3, 2]), [1, 2]).oversold, 3)
  assert.equal(
    account(
      [],
      books(
        [
          ['a', 0],
          ['b', 0],
        ],
        [],
        [-1],
      ),
      [1],
    ).oversold,
    1,
  )
})

test('histories named by chance are numbered by their first acknowledgement, so that two writers are seen', () => {
  const ack = (timeline: string, sentMs: number, port: number): Ack => {
    return { writer: 0, n: 1, sentMs, ackedMs: sentMs + 5, port, timeline }
  }
  const oneByOne = inTurn([ack('beef', 200, 2), ack('face', 0, 1), ack('cafe', 300, 1)])
  assert.deepEqual(
    oneByOne.map((a) => a.timeline),
    ['00000002', '00000001', '00000003'],
  )
  assert.equal(twoWritersMs(oneByOne), 0)
  assert.equal(twoWritersMs(inTurn([ack('beef', 200, 2), ack('face', 0, 1), ack('face', 250, 1)])), 45)
})
