import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type MoveResult, type Sums, shopJson, shopText, sound } from './shop-report.ts'

function move(change: Partial<MoveResult> = {}): MoveResult {
  return {
    move: 'site-loss',
    rtoMs: 1_200,
    groups: [{ group: 'stock', writeOutageMs: 900, twoWritersMs: 0 }],
    steps: [{ name: 'follow:stock', predictedMs: 1_620, measuredMs: 1_099.6 }],
    planPhase: 'done',
    acked: 10,
    ackedLost: 0,
    refused: 3,
    newPrimary: 'stock-2, orders-2',
    reason: 'holder-silent',
    healed: true,
    ...change,
  }
}

function sums(change: Partial<Sums> = {}): Sums {
  return { lostOrders: 0, lostReservations: 0, oversold: 0, placed: 10, soldOut: 1, moves: [move()], ...change }
}

test('every promise that is broken makes the whole unsound', () => {
  assert.equal(sound(sums()), true)
  const second = [{ group: 'stock', writeOutageMs: 900, twoWritersMs: 5 }]
  const broken: readonly Partial<Sums>[] = [
    { lostOrders: 1 },
    { lostReservations: 1 },
    { oversold: 1 },
    { moves: [move(), move({ groups: second })] },
    { moves: [move({ healed: false }), move()] },
  ]
  for (const change of broken) assert.equal(sound(sums(change)), false, JSON.stringify(change))
})

test('the line of JSON has the longest outage of all moves, and each step with its move', () => {
  const moves = [move(), move({ move: 'site-failback', rtoMs: 1_300, ackedLost: 2 })]
  const line = JSON.parse(shopJson('site-failback', 'fast', { ...sums({ moves, lostOrders: 2 }), ok: false }))
  assert.deepEqual([line.ok, line.scenario, line.mode, line.profile], [false, 'site-failback', 'sync', 'fast'])
  assert.deepEqual([line.service.rtoMs, line.service.rpoLostOrders, line.service.oversold], [1_300, 2, 0])
  assert.deepEqual(line.steps[1], {
    move: 'site-failback',
    name: 'follow:stock',
    predictedMs: 1_620,
    measuredMs: 1_100,
  })
  assert.deepEqual(
    [line.faults[1].fault, line.faults[1].ackedLost, line.faults[1].writeOutageMs],
    ['site-failback', 2, 1_300],
  )
})

test('a step that was not measured, and a shop that is not whole again, are said so', () => {
  const steps = [{ name: 'follow:stock', predictedMs: 1_620, measuredMs: null }]
  const text = shopText({ ...sums({ moves: [move({ steps, healed: false, planPhase: 'stopped' })] }), ok: false })
  assert.match(text, /follow:stock +1620 ms +-/)
  assert.match(text, /NOT WHOLE AGAIN \(plan: stopped\)/)
  assert.match(text, /NOT as promised/)
})
