import assert from 'node:assert/strict'
import { tmpdir } from 'node:os'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { streamOf } from '../../../packages/holdfast/src/sim/prng.ts'
import { SlowDisk } from '../world/slow-disk.ts'
import { FAULTS } from './faults.ts'
import { type TestField, testField, twoSites } from './field.fixture.ts'
import { resolve, strike } from './nemesis.ts'
import type { PlannedFault } from './plan.ts'

const NEVER = new AbortController().signal

describe('the nemesis', { skip: process.platform === 'linux' ? false : 'only on Linux' }, () => {
  let field: TestField
  const told: string[] = []
  beforeEach(() => {
    field = testField()
    told.length = 0
  })
  afterEach(() => field.close())

  const doing = (fault: string, at: readonly string[], change: Partial<PlannedFault> = {}) =>
    strike({
      field,
      seed: 1,
      plan: { number: 1, fault, at, afterMs: 0, lastsMs: 400, switchoverAfterMs: null, ...change },
      signal: NEVER,
      onFault: (struck) => told.push(`fault ${struck.at.join(' ')}`),
      onHeal: (struck) => told.push(`heal ${struck.at.join(' ')}`),
    })
  const during = async <T>(striking: Promise<T>, look: () => void): Promise<T> => {
    // It takes its time on a busy machine, but never longer than the fault lasts.
    let over = false
    const end = striking.finally(() => {
      over = true
    })
    for (;;) {
      try {
        look()
        return await end
      } catch (error) {
        if (over) throw error
        await sleep(10)
      }
    }
  }

  test('a frozen host is stopped as a whole, and goes on as a whole', async () => {
    await during(doing('freeze-host', ['primary']), () => {
      for (const part of ['agent', 'guard', 'engine'] as const) assert.equal(field.state('h1', part), 'T', part)
      assert.equal(field.state('h2', 'agent'), 'S')
    })
    for (const part of ['agent', 'guard', 'engine'] as const) assert.equal(field.state('h1', part), 'S', part)
    assert.deepEqual(told, ['fault h1', 'heal h1'])
  })

  test('a killed host is dead until the way back, which starts it again', async () => {
    await during(doing('kill-host', ['h2']), () => {
      for (const part of ['agent', 'guard', 'engine'] as const) assert.equal(field.state('h2', part), null, part)
      assert.deepEqual(field.restarts, [])
    })
    assert.deepEqual(field.restarts, ['h2 agent', 'h2 guard', 'h2 engine'])
  })

  test('a cut from the store is both ways to every store host, and heals', async () => {
    await during(doing('cut-store', ['primary']), () => {
      assert.deepEqual(field.orders, ['cut h1>s1', 'cut s1>h1'])
    })
    assert.equal(field.orders.at(-1), 'heal')
  })

  test('an isolated host is cut from everybody but itself', async () => {
    await doing('isolate-host', ['h2'])
    const others = ['h1', 'h3', 's1', 'edge']
    const cuts = others.flatMap((other) => [`cut h2>${other}`, `cut ${other}>h2`])
    assert.deepEqual(field.orders, [...cuts, 'heal'])
  })

  test('a site that is lost takes all its hosts along; one that is isolated sees only itself', async () => {
    field.close()
    field = testField({ service: twoSites(), primary: 'm2' })
    await during(doing('kill-site', ['primary-site']), () => {
      for (const host of ['h2', 'h3']) assert.equal(field.state(host, 'engine'), null, host)
      assert.equal(field.state('h1', 'engine'), 'S')
    })
    await doing('isolate-site', ['other-site'], { lastsMs: 20 })
    const others = ['h2', 'h3', 's1', 'edge']
    const cuts = others.flatMap((other) => [`cut h1>${other}`, `cut ${other}>h1`])
    assert.deepEqual(field.orders, [...cuts, 'heal'])
  })

  test('a move goes to the site where its group is not, and home when that is asked for', async () => {
    const asked: string[] = []
    field.close()
    field = testField({ service: twoSites(asked) })
    await doing('move', [], { lastsMs: 0, switchoverAfterMs: 0, asks: 'move' })
    await doing('move-back', [], { lastsMs: 0, switchoverAfterMs: 0, asks: 'move-back' })
    await doing('two-movers', [], { lastsMs: 20, switchoverAfterMs: 0, asks: 'move' })
    await doing('kill-mover', [], { lastsMs: 20, switchoverAfterMs: 0, asks: 'move' })
    assert.deepEqual(asked.slice(0, 2), ['south', 'north'])
    assert.deepEqual(
      [asked.slice(2, 4).sort(), asked.slice(4)],
      [
        ['north', 'south'],
        ['south', 'killed'],
      ],
    )
  })

  test('a cut one way leaves the other direction alone', async () => {
    await doing('cut-one-way', ['h3', 's1'])
    assert.deepEqual(field.orders, ['cut h3>s1', 'heal'])
  })

  test('the store is away during the fault and back afterwards', async () => {
    await during(doing('store-away', ['s1']), () => assert.notEqual(field.state('s1', 'store'), 'S'))
    assert.equal(field.state('s1', 'store'), 'S')
  })

  test('a storm kills more than once, ends with its fault, and leaves everything running', async () => {
    await doing('restart-storm', [], { lastsMs: 1_800 })
    const { length } = field.restarts
    assert.ok(length > 1, `${length} restarts`)
    await sleep(200)
    assert.equal(field.restarts.length, length)
    for (const host of field.memberHosts) assert.equal(field.state(host, 'agent'), 'S', host)
  })

  test('a switchover in the midst of a fault is asked for, and its answer told', async () => {
    const struck = await doing('freeze-agent', ['primary'], { switchoverAfterMs: 20 })
    assert.equal(struck.switchover, 'done: moved')
    assert.ok(struck.excuses)
  })

  test('an interrupted fault takes its way back at once', async () => {
    const stop = new AbortController()
    setTimeout(() => stop.abort(), 50)
    const plan = { number: 1, fault: 'freeze-host', at: ['h3'], afterMs: 0, lastsMs: 60_000, switchoverAfterMs: null }
    const fromMs = performance.now()
    await strike({ field, seed: 1, plan, signal: stop.signal, onFault: () => {}, onHeal: () => {} })
    assert.ok(performance.now() - fromMs < 5_000)
    assert.equal(field.state('h3', 'engine'), 'S')
  })

  test('a full disk is freed, a set clock is set back', async () => {
    await doing('disk-full', ['h2'], { lastsMs: 20 })
    await doing('clock-step', ['h3'], { lastsMs: 20 })
    assert.match(field.orders.join(', '), /^fill h2 \d+, free h2, clock h3 [+-]\d+, clock h3 back$/)
  })

  test('every fault has a way in and a way back', async () => {
    field.close()
    field = testField({ service: twoSites() })
    for (const [fault, kind] of Object.entries(FAULTS)) {
      if (kind.needs === 'throttle' && SlowDisk.missing(tmpdir()) !== null) continue
      const at = {
        primary: ['h1'],
        replica: ['h3'],
        member: ['h2'],
        store: ['s1'],
        edge: ['edge'],
        pair: ['h2', 's1'],
        site: ['h2', 'h3'],
        nowhere: [],
      }[kind.aim]
      await doing(fault, at, { lastsMs: 20 })
    }
    // An engine that was killed on the way in is started by its agent, which these fields do not have.
    for (const host of field.memberHosts) assert.equal(field.state(host, 'agent'), 'S', host)
    assert.equal(field.state('s1', 'store'), 'S')
    assert.equal(field.state('edge', 'router'), 'S')
  })

  test('primary and replica are told apart when the fault begins, and a pair never has one host twice', async () => {
    const other = testField({ primary: 'm2' })
    const where = (at: readonly string[]) => resolve(other, at, streamOf(1, 'where'))
    try {
      assert.deepEqual(await where(['primary']), ['h2'])
      assert.ok(['h1', 'h3'].includes((await where(['replica']))[0] ?? ''))
      assert.deepEqual(await where(['primary', 'h2']), ['h2', 'h1'])
      assert.deepEqual(await where(['h2', 'primary']), ['h1', 'h2'])
      assert.deepEqual(await where(['primary', 'edge']), ['h2', 'edge'])
    } finally {
      other.close()
    }
  })
})
