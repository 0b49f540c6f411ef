import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { HistoryLine, Promotion, SeenPlan } from '../contract.ts'
import {
  held,
  inOrder,
  onePlan,
  roundsOf,
  type ServiceFault,
  type ServiceGroup,
  serviceOutage,
  together,
} from './site-moves.ts'

const MS = 1e6
const SITES = { a1: 'north', a2: 'south' }

interface Made {
  readonly plans?: readonly SeenPlan[]
  readonly faults?: readonly ServiceFault[]
  readonly stock?: Partial<ServiceGroup>
  readonly orders?: Partial<ServiceGroup>
}

function input({ plans = [], faults = [], stock = {}, orders = {} }: Made) {
  const empty = { after: [], sites: SITES, promotions: [], history: [] }
  const groups = [
    { ...empty, group: 'orders', after: ['stock'], ...orders },
    { ...empty, group: 'stock', ...stock },
  ]
  return { groups, plans, faults }
}

/** `steps`: `hold:stock done, move:stock running`. */
function seen(time: number, steps: string, more: Partial<SeenPlan> = {}): SeenPlan {
  const list = steps.split(', ').map((text) => {
    const [id = '', state = ''] = text.split(' ')
    const [kind = '', group = ''] = id.split(':')
    return { id, kind, group, state }
  })
  const plan = { id: 'p1', kind: 'switchover', origin: 'operator', from: 'north', to: 'south', epoch: 1 }
  return { time: time * MS, ...plan, phase: 'running', because: '', steps: list, ...more }
}

function promoted(atMs: number, more: Partial<Promotion> = {}): Promotion {
  const time = atMs * MS
  return { member: 'a2', epoch: 2, time, claimedNs: time, planned: true, reason: 'holder-silent', ...more }
}

describe('one plan', () => {
  const over = seen(20, 'move:stock done', { phase: 'done' })
  const next = { id: 'p2', epoch: 2 }

  test('one after the other is as it should be', () => {
    const plans = [seen(10, 'move:stock running'), over, seen(30, 'move:stock done', { ...next, phase: 'done' })]
    const { ok, figures } = onePlan(input({ plans }))
    assert.deepEqual([ok, figures.plans, figures.done], [true, 2, 2])
  })

  test('one that begins while another is under way, or in no higher epoch, is found', () => {
    const begun = seen(10, 'move:stock running')
    const second = seen(30, 'move:stock done', { ...next, phase: 'done' })
    assert.match(onePlan(input({ plans: [begun, second] })).findings.join(), /plan p2 began while p1 was running/)
    const late = { ...second, epoch: 1 }
    assert.match(onePlan(input({ plans: [over, late] })).findings.join(), /p2 began in epoch 1, not above 1/)
  })

  test('one that goes on after its end, or never ends, is found', () => {
    const again = seen(30, 'move:stock running')
    assert.match(
      onePlan(input({ plans: [over, again] })).findings.join('; '),
      /was done and then running; .*never ended/,
    )
  })
})

describe('held', () => {
  const steps = (release: string) => `hold:stock done, move:stock running, release:stock ${release}`
  const plans = [seen(100, steps('waiting')), seen(500, steps('waiting')), seen(600, steps('running'))]

  test('who takes a group that is held is found; the plan itself may hand it over', () => {
    const alone = input({ plans, stock: { promotions: [promoted(300, { planned: false })] } })
    assert.match(held(alone).findings.join(), /a2 took stock by itself 200 ms after plan p1 held it: holder-silent/)
    assert.ok(held(input({ plans, stock: { promotions: [promoted(300)] } })).ok)
  })

  test('a claim before the hold, after it, or of another group is none of its business', () => {
    for (const claimedMs of [90, 510, 700]) {
      const promotions = [promoted(300, { planned: false, claimedNs: claimedMs * MS })]
      assert.ok(held(input({ plans, stock: { promotions } })).ok, `${claimedMs}`)
    }
    assert.ok(held(input({ plans, orders: { promotions: [promoted(300, { planned: false })] } })).ok)
  })
})

describe('in order', () => {
  test('a group that moves before what it needs is found, forward and back', () => {
    const wrong = [seen(1, 'move:orders running, move:stock running')]
    assert.match(
      inOrder(input({ plans: wrong })).findings.join(),
      /moved orders \(running\) while stock, .* was running/,
    )
    const back = [seen(1, 'move:orders done, move:stock undoing', { phase: 'undoing' })]
    assert.match(inOrder(input({ plans: back })).findings.join('; '), /took stock back \(undoing\) while orders/)
    const right = [seen(1, 'move:orders running, move:stock done'), seen(2, 'move:orders undone, move:stock undoing')]
    assert.ok(inOrder(input({ plans: right })).ok)
  })

  test('after a lost site the leases are faster than any order', () => {
    const plans = [seen(1, 'follow:orders running, follow:stock waiting', { kind: 'failover' })]
    assert.ok(inOrder(input({ plans })).ok)
  })

  test('who opened first is looked at, too', () => {
    const both = 'move:orders done, move:stock done'
    const plans = [seen(10, 'move:orders waiting, move:stock running'), seen(90, both, { phase: 'done' })]
    const opened = (orders: number, stock: number) =>
      input({ plans, orders: { promotions: [promoted(orders)] }, stock: { promotions: [promoted(stock)] } })
    assert.match(inOrder(opened(30, 50)).findings.join(), /orders opened at south 20 ms before stock/)
    assert.ok(inOrder(opened(50, 30)).ok)
  })
})

describe('together', () => {
  const north = { orders: 'north', stock: 'north' }
  const split = { orders: 'south', stock: 'north' }
  const south = { orders: 'south', stock: 'south' }
  const fault = (after: ServiceFault['after'], more: Partial<ServiceFault> = {}): ServiceFault => {
    const span = { number: 3, fault: 'kill-site', losesSite: true, fromNs: 0, toNs: 100 * MS }
    return { ...span, before: north, after, ...more }
  }

  test('groups that stay apart, or without a primary, after their site was lost are found', () => {
    for (const after of [split, { orders: 'south' }]) {
      const { findings } = together(input({ faults: [fault(after)] }))
      assert.match(findings.join(), /after fault 3 kill-site the groups stay at south \(orders\)/)
    }
    assert.ok(together(input({ faults: [fault(south), fault(north)] })).ok)
  })

  test('a plan that says why, and faults of one host or of a service that was apart, are excused', () => {
    const why = seen(50, 'follow:stock failed', { phase: 'stopped', because: 'follow:stock: not in time' })
    assert.equal(together(input({ faults: [fault(split)], plans: [why] })).figures.explained, 1)
    assert.ok(!together(input({ faults: [fault(split)], plans: [{ ...why, time: 200 * MS }] })).ok)
    const others = [fault(split, { losesSite: false }), fault(split, { before: split })]
    assert.ok(together(input({ faults: others })).ok)
  })
})

describe('outage of a service', () => {
  test('a round is over when every group has taken a write', () => {
    assert.deepEqual(
      roundsOf([
        [1, 2, 3, 9],
        [4, 10],
      ]),
      [4, 10],
    )
    assert.deepEqual(roundsOf([[1, 2], []]), [])
  })

  test('it is out while one of its groups is', () => {
    const acks = (...times: number[]): readonly HistoryLine[] =>
      times.flatMap((ms, n) =>
        (['invoke', 'ok'] as const).map((type) => {
          const who = type === 'ok' ? { node: 'a1', epoch: 1 } : {}
          return { index: 0, time: ms * MS, type, process: n, f: 'insert', value: { n, attempt: 1 }, ...who } as const
        }),
      )
    const faults: ServiceFault[] = [
      { number: 1, fault: 'move', losesSite: false, fromNs: 15 * MS, toNs: 95 * MS, before: {}, after: {} },
    ]
    const { figures } = serviceOutage(
      input({ faults, orders: { history: acks(10, 20, 30, 80, 90) }, stock: { history: acks(11, 21, 31, 32, 91) } }),
    )
    assert.deepEqual([figures.rtoMaxMs, figures['maxMs:move']], [49, 49])
  })
})
