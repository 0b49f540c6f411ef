/** Who is hit, what the client's records come to, what a proof is worth. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { PROFILES } from '../settings.ts'
import { type CanaryAck, measure } from './figures.ts'
import type { FaultSpec } from './model.ts'
import { predictionOf } from './prediction.ts'
import { couldLose, hitOf, type Place, type Scene } from './radius.ts'
import { scoreOf } from './score.ts'

const ONE = { members: 1, sites: 1, groups: 1 }

function place(member: string, site: string, change: Partial<Place> = {}): Place {
  return { member, agent: `agent-${member}`, site, groups: ['orders'], well: true, eligible: true, ...change }
}

const THREE: Scene = { places: [place('a', 'north'), place('b', 'north'), place('c', 'south')], primary: 'a', need: 1 }

describe('the blast radius', () => {
  const kill = (target: Extract<FaultSpec, { kind: 'kill' }>['target']): FaultSpec => ({ kind: 'kill', target })

  it('finds the primary, a replica, a member, a site', () => {
    assert.deepEqual(hitOf(kill('primary'), THREE, ONE), { ok: true, members: ['a'] })
    assert.deepEqual(hitOf(kill('replica'), THREE, ONE), { ok: true, members: ['b'] })
    assert.deepEqual(hitOf(kill({ member: 'c' }), THREE, ONE), { ok: true, members: ['c'] })
    assert.deepEqual(hitOf(kill({ site: 'south' }), THREE, ONE), { ok: true, members: ['c'] })
  })

  it('refuses more than is allowed, and more than the group survives', () => {
    const two = hitOf(kill({ site: 'north' }), THREE, ONE)
    assert.match(two.ok ? '' : two.because, /hit 2 members; blastRadius allows 1/)
    const allowed = hitOf(kill({ site: 'north' }), THREE, { members: 2, sites: 1, groups: 1 })
    assert.match(allowed.ok ? '' : allowed.because, /1 well members would be left; 2 are needed/)
    const lame = {
      ...THREE,
      places: [place('a', 'n'), place('b', 'n', { eligible: false }), place('c', 's', { eligible: false })],
    }
    const nobody = hitOf(kill('primary'), lame, ONE)
    assert.match(nobody.ok ? '' : nobody.because, /nobody would be left that may take over/)
    const shared = { ...THREE, places: THREE.places.map((one) => ({ ...one, groups: ['orders', 'carts'] })) }
    const freeze: FaultSpec = { kind: 'freeze', what: 'host', target: 'primary', forMs: 1_000 }
    const groups = hitOf(freeze, shared, ONE)
    assert.match(groups.ok ? '' : groups.because, /2 groups/)
    assert.equal(hitOf({ ...freeze, what: 'engine' }, shared, ONE).ok, true)
    assert.equal(hitOf(kill('primary'), { ...THREE, primary: null }, ONE).ok, false)
  })

  it('D7: whatever is asked, what is left can lead and confirm', () => {
    const places = fc.array(
      fc.record({ site: fc.constantFrom('n', 's', 'w'), well: fc.boolean(), eligible: fc.boolean() }),
      { minLength: 1, maxLength: 7 },
    )
    const ask = fc.record({ places, need: fc.nat(3), at: fc.nat(6), members: fc.integer({ min: 1, max: 7 }) })
    fc.assert(
      fc.property(ask, fc.constantFrom('primary', 'replica', 'site'), (given, whom) => {
        const list = given.places.map((one, index) => place(`m${index}`, one.site, one))
        const primary = `m${given.at % list.length}`
        const target = whom === 'site' ? { site: 'n' } : (whom as 'primary' | 'replica')
        const hit = hitOf(
          kill(target),
          { places: list, primary, need: given.need },
          { members: given.members, sites: 3, groups: 1 },
        )
        if (!hit.ok) return
        const left = list.filter((one) => one.well && !hit.members.includes(one.member))
        assert.ok(left.length >= given.need + 1)
        assert.ok(hit.members.length <= given.members)
        if (hit.members.includes(primary)) assert.ok(left.some((one) => one.eligible))
      }),
    )
  })

  it('knows what could lose data: the primary of a group in which nobody confirms', () => {
    assert.equal(couldLose(kill('primary'), { need: 0 }), true)
    assert.equal(couldLose(kill('primary'), { need: 1 }), false)
    assert.equal(couldLose(kill('replica'), { need: 0 }), false)
    assert.equal(couldLose({ kind: 'switchover', to: null }, { need: 0 }), false)
  })
})

describe('figures', () => {
  const acks = (...times: number[]): CanaryAck[] =>
    times.map((ackedMs, i) => ({ n: i + 1, sentMs: ackedMs - 2, ackedMs }))
  const all = (list: readonly CanaryAck[]): Map<number, number> => new Map(list.map((ack) => [ack.n, 1]))

  it('counts the outage that reaches past the fault, not one before it', () => {
    const list = acks(0, 900, 950, 1_000, 4_400, 4_450)
    const measured = measure({ acks: list, failed: 3 }, all(list), 990, 4_500)
    assert.equal(measured.rtoMs, 3_400)
    assert.deepEqual([measured.lost, measured.rpoMs, measured.failed], [0, 0, 3])
  })

  it('an outage without an end lasts until the last look', () => {
    const list = acks(0, 50, 100)
    assert.equal(measure({ acks: list, failed: 0 }, all(list), 90, 9_100).rtoMs, 9_000)
    assert.equal(measure({ acks: [], failed: 0 }, new Map(), 0, 700).rtoMs, 700)
  })

  it('says how far back lost acknowledgements reach, and what stands there twice', () => {
    const list = acks(0, 100, 200, 300, 2_000)
    const found = all(list)
    found.set(3, 0)
    found.delete(4)
    found.set(5, 2)
    const measured = measure({ acks: list, failed: 0 }, found, 250, 2_100)
    assert.deepEqual([measured.lost, measured.rpoMs, measured.doubled], [2, 200, 1])
  })

  it('loss is never nothing, and figures are finite for every record', () => {
    const times = fc.array(fc.nat(5_000), { maxLength: 40 })
    fc.assert(
      fc.property(times, fc.array(fc.nat(45)), fc.nat(5_000), (list, gone, faultMs) => {
        const record = acks(...list)
        const found = all(record)
        for (const n of gone) found.delete(n)
        const measured = measure({ acks: record, failed: 0 }, found, faultMs, 5_001)
        assert.equal(measured.lost > 0, measured.rpoMs > 0)
        assert.ok(Number.isFinite(measured.rtoMs) && measured.rtoMs >= 0)
      }),
    )
  })
})

describe('the score', () => {
  const DAY = 86_400_000
  const now = 1_000 * DAY
  const ran = (daysAgo: number, outcome: string, practice = false) => ({
    endedWallMs: now - daysAgo * DAY,
    outcome,
    practice,
  })

  it('is full on the day, halves in 90 days, halves again after a failure, and is never negative', () => {
    assert.equal(scoreOf([], now), 0)
    assert.equal(scoreOf([ran(0, 'passed')], now), 100)
    assert.equal(scoreOf([ran(90, 'passed')], now), 50)
    assert.equal(scoreOf([ran(90, 'passed'), ran(1, 'failed')], now), 25)
    assert.equal(scoreOf([ran(1, 'failed'), ran(0, 'passed')], now), 100)
    assert.equal(scoreOf([ran(0, 'failed')], now), 25)
    assert.equal(scoreOf([ran(0, 'refused'), ran(0, 'aborted')], now), 0)
    assert.equal(scoreOf([ran(-1, 'passed')], now), 100)
    assert.equal(scoreOf([ran(0, 'passed', true)], now), 50)
    assert.equal(scoreOf([ran(0, 'passed'), ran(0, 'passed', true)], now), 100)
  })
})

describe('predictions', () => {
  const setting = { timing: PROFILES.fast, replication: { kind: 'sync' as const }, hitsPrimary: true, lagMs: null }

  it('add up the timings the group has', () => {
    const freeze: FaultSpec = { kind: 'freeze', what: 'host', target: 'primary', forMs: 10_000 }
    assert.equal(predictionOf(freeze, setting).rtoMs, 1_000 + 20 + 200 + 150 + 350)
    assert.equal(predictionOf({ ...freeze, forMs: 400 }, setting).rtoMs, 450)
    assert.equal(predictionOf(freeze, setting).rpoMs, 0)
    const async = { ...setting, replication: { kind: 'async' as const, lossBytesMax: 1, lossMsMax: 5_000 } }
    assert.equal(predictionOf({ kind: 'kill', target: 'primary' }, async).rpoMs, 5_000)
    assert.equal(predictionOf({ kind: 'kill', target: 'primary' }, { ...async, lagMs: 12 }).rpoMs, 12)
    assert.equal(predictionOf({ kind: 'switchover', to: null }, async).rpoMs, 0)
  })
})
