import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Told, toldAfter } from './changes.ts'

const told = (boot: string, number: number): Told => ({
  boot,
  number,
  reason: { wallMs: number, code: 'claims', group: 'orders', member: 'orders-1', detail: {} },
})
const numbersOf = (list: readonly Told[]): readonly string[] => list.map(({ boot, number }) => `${boot}${number}`)

test('decisions of a boot that is over are written once, however often its agent speaks after the restart', () => {
  const heard = [told('a', 1), told('a', 2), told('b', 1), told('b', 2)]
  const facts = (boot: string, reasons: number) => ({ reachable: true, boot, reasons })
  assert.deepEqual(numbersOf(toldAfter(heard, null)), ['a1', 'a2', 'b1', 'b2'])
  assert.deepEqual(numbersOf(toldAfter(heard, facts('a', 1))), ['a2', 'b1', 'b2'])
  assert.deepEqual(numbersOf(toldAfter(heard, facts('b', 1))), ['b2'])
  assert.deepEqual(numbersOf(toldAfter(heard, facts('b', 2))), [])
  assert.deepEqual(numbersOf(toldAfter(heard.slice(2), facts('a', 9))), ['b1', 'b2'])
})
