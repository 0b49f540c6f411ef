import assert from 'node:assert/strict'
import { it } from 'node:test'
import { ACCOUNTS, OPENING_BALANCE } from '../workloads/tables.ts'
import { checkAll } from './all.ts'
import { finalOf, input, inserted, type Made, made, nemesisLine, probed } from './made-history.ts'
import type { Step } from './operations.ts'

const OPERATIONS = 100_000
const BOUND_MS = 15_000

it('checks 200,000 lines within seconds', () => {
  const balances = Array.from({ length: ACCOUNTS }, () => OPENING_BALANCE)
  const lists: Record<number, number[]> = {}
  const rows: string[] = []
  const operations = Array.from({ length: OPERATIONS }, (_, i): Made => {
    const process = { process: i % 10 }
    if (i % 10 === 9) return probed('a', i * 2)
    if (i % 10 === 8) return { f: 'transfer', value: { id: i, read: balances }, from: i * 2, to: i * 2 + 1, ...process }
    if (i % 10 > 3) {
      const key = Math.floor(i / 300)
      const list = lists[key] ?? []
      lists[key] = list
      const steps: Step[] = i % 2 === 0 ? [['append', key, i]] : [['r', key, [...list]]]
      if (i % 2 === 0) list.push(i)
      return { f: 'txn', value: steps, from: i * 2, to: i * 2 + 1, ...process }
    }
    rows.push(`${i}/1`)
    return inserted(i, i * 2, { to: i * 2 + 1, ...process })
  })
  const faults = Array.from({ length: 200 }, (_, i) => nemesisLine('fault', i * 1_000, { fault: 'kill-engine' }))
  const history = made(operations, faults)
  const beganMs = performance.now()
  const verdicts = checkAll(input(history, { final: finalOf({ rows, balances, lists }) }))
  const tookMs = performance.now() - beganMs
  assert.deepEqual(
    verdicts.flatMap(({ findings }) => findings),
    [],
  )
  assert.equal(history.length, 2 * OPERATIONS + faults.length)
  assert.ok(tookMs < BOUND_MS, `${Math.round(tookMs)} ms`)
})
