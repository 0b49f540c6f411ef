import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PROFILES } from '../../../packages/holdfast/src/core/settings.ts'
import { FAULTS } from './faults.ts'
import { chanceOf, makePlan, type PlanOptions, possibleFaults, usualFaults } from './plan.ts'

const OPTIONS: PlanOptions = {
  seed: 4711,
  faults: usualFaults({ storeHosts: 1, needs: new Set() }),
  count: 60,
  profile: 'fast',
  memberHosts: ['h1', 'h2', 'h3'],
  storeHosts: ['s1'],
  edge: 'edge',
}

test('the same seed makes the same plan, another seed another', () => {
  assert.deepEqual(makePlan(OPTIONS), makePlan(OPTIONS))
  assert.notDeepEqual(makePlan(OPTIONS), makePlan({ ...OPTIONS, seed: 4712 }))
})

test('a longer plan begins like a shorter one', () => {
  assert.deepEqual(makePlan(OPTIONS).slice(0, 7), makePlan({ ...OPTIONS, count: 7 }))
})

test('what a fault draws while it acts does not depend on the faults around it', () => {
  const [first, second] = makePlan(OPTIONS)
  assert.ok(first && second)
  const alone = chanceOf(OPTIONS.seed, second).next()
  chanceOf(OPTIONS.seed, first).next()
  assert.equal(chanceOf(OPTIONS.seed, second).next(), alone)
})

test('every fault comes once before any comes again', () => {
  const names = makePlan({ ...OPTIONS, count: OPTIONS.faults.length * 2 }).map(({ fault }) => fault)
  const round = names.slice(0, OPTIONS.faults.length)
  assert.deepEqual([...round].sort(), [...OPTIONS.faults].sort())
  assert.deepEqual(names.slice(OPTIONS.faults.length).sort(), [...OPTIONS.faults].sort())
})

test('only the named faults are planned', () => {
  const names = makePlan({ ...OPTIONS, faults: ['kill-host', 'cut-store'] }).map(({ fault }) => fault)
  assert.deepEqual([...new Set(names)].sort(), ['cut-store', 'kill-host'])
  assert.throws(() => makePlan({ ...OPTIONS, faults: ['kill-everybody'] }), /no fault is called kill-everybody/)
})

test('durations reach far below a beat, around the ttl and beyond two ttls, and never endless', () => {
  const { ttlMs, beatMs } = PROFILES.fast
  const spans = makePlan({ ...OPTIONS, count: 300 })
    .filter(({ lastsMs }) => lastsMs > 0)
    .map((p) => p.lastsMs)
  assert.ok(spans.some((ms) => ms < beatMs / 2))
  assert.ok(spans.some((ms) => ms > ttlMs * 0.65 && ms < ttlMs))
  assert.ok(spans.some((ms) => ms > ttlMs * 2))
  assert.ok(Math.max(...spans) <= ttlMs * 4)
})

test('a plan strikes primaries, replicas and links, and asks for switchovers in the midst of faults', () => {
  const plan = makePlan({ ...OPTIONS, count: 300 })
  const places = new Set(plan.flatMap(({ at }) => at))
  for (const place of ['primary', 'replica', 's1', 'edge', 'h2']) assert.ok(places.has(place), place)
  assert.ok(plan.some(({ fault, switchoverAfterMs }) => fault !== 'switchover' && switchoverAfterMs !== null))
  for (const { fault, at } of plan) {
    if (FAULTS[fault]?.aim === 'pair') assert.notEqual(at[0], at[1])
  }
})

test('faults that need a store with members are left out when it is one server', () => {
  assert.ok(!OPTIONS.faults.includes('store-without-quorum'))
  const [fault] = makePlan({ ...OPTIONS, faults: ['store-without-quorum'], count: 1, storeHosts: ['s1', 's2', 's3'] })
  assert.equal(fault?.at.length, 2)
})

test('faults that have to be prepared for are left out where they cannot be', () => {
  assert.ok(!OPTIONS.faults.includes('disk-full') && !OPTIONS.faults.includes('clock-step'))
  const faults = usualFaults({ storeHosts: 1, needs: new Set(['disks'] as const) })
  assert.ok(faults.includes('disk-full') && !faults.includes('clock-step'))
})

test('what only tells false alarms is done only when it is named', () => {
  const abilities = { storeHosts: 1, needs: new Set<never>() }
  assert.ok(!usualFaults(abilities).includes('busy-cpu') && possibleFaults(abilities).includes('busy-cpu'))
  for (const one of makePlan({ ...OPTIONS, faults: ['busy-cpu', 'none'] })) assert.equal(one.switchoverAfterMs, null)
})

test('in a shop a fault is aimed at either group, and moves are asked for in the midst of faults', () => {
  const faults = usualFaults({ storeHosts: 1, needs: new Set(['sites'] as const) })
  const plan = makePlan({ ...OPTIONS, faults, memberHosts: ['h1', 'h2'], lanes: 2, count: 300 })
  assert.deepEqual([...new Set(plan.map(({ lane }) => lane))].sort(), [0, 1])
  const asked = plan.filter(({ fault, switchoverAfterMs }) => fault === 'kill-host' && switchoverAfterMs !== null)
  assert.ok(new Set(asked.map(({ asks }) => asks)).size > 1)
  for (const { at, fault } of plan) {
    if (FAULTS[fault]?.aim === 'site') assert.match(at.join(), /^(primary|other)-site$/)
  }
})
