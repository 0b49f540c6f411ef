/**
 * Small-scope exhaustion of the sync room: every reachable state of a primary with two or three standbys and a short
 * log, under every order of writing, receiving, changing the wish and taking the planner's steps. In each state every
 * set that could be elected must hold every acknowledged write (S4). The planted rules below show that it can fail.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SyncSet } from '../model.ts'
import { GATE, NO_SYNC } from '../model.ts'
import { bridge, holdsHistory, meets, nextSyncStep, type SyncPlanInput, type SyncStep, sameSync } from './plan.ts'

interface World {
  readonly log: number
  readonly has: Readonly<Record<string, number>>
  readonly acked: number
  readonly recorded: SyncSet
  readonly engine: SyncSet
  readonly engineLsn: number
}

type Planner = (input: SyncPlanInput) => SyncStep

function subsets(members: readonly string[]): string[][] {
  return Array.from({ length: 2 ** members.length }, (_, bits) => members.filter((_m, i) => (bits >> i) % 2 === 1))
}

function wishes(members: readonly string[]): { recorded: SyncSet; engine: SyncSet }[] {
  const sets = subsets(members).flatMap((s) => s.map((_, i) => ({ members: s, need: i + 1 })))
  const alone = { recorded: NO_SYNC, engine: NO_SYNC }
  const blocked = { recorded: NO_SYNC, engine: { members, need: 1 } }
  return [...sets.map((s) => ({ recorded: s, engine: s })), alone, blocked]
}

function acknowledged(w: World): number {
  if (w.engine.need === 0) return w.log
  const ends = w.engine.members.map((m) => w.has[m] ?? 0).sort((a, b) => b - a)
  return Math.max(w.acked, ends[w.engine.need - 1] ?? 0)
}

function electable(recorded: SyncSet): string[][] {
  if (recorded.need === 0) return []
  return subsets(recorded.members).filter((s) => s.length === recorded.members.length - recorded.need + 1)
}

function safe(w: World): boolean {
  return electable(w.recorded).every((q) => Math.max(...q.map((m) => w.has[m] ?? 0)) >= w.acked)
}

function* next(w: World, members: readonly string[], logMax: number, plan: Planner): Generator<World> {
  if (w.log < logMax) yield { ...w, log: w.log + 1 }
  for (const m of members) {
    const has = w.has[m] ?? 0
    if (has < w.log) yield { ...w, has: { ...w.has, [m]: has + 1 } }
  }
  const acked = acknowledged(w)
  if (acked > w.acked) yield { ...w, acked }
  for (const wanted of wishes(members)) {
    const input = { recorded: w.recorded, engine: { sync: w.engine, lsn: w.engineLsn }, wanted, confirmedLsn: w.has }
    const step = plan(input)
    if (step.do === 'apply') yield { ...w, engine: step.sync, engineLsn: w.log }
    if (step.do === 'publish') yield { ...w, recorded: step.sync }
  }
}

/** Number of states seen, or the first unsafe one. */
function explore(members: readonly string[], logMax: number, plan: Planner): { states: number; unsafe: World | null } {
  const start: World = { log: 0, has: {}, acked: 0, recorded: NO_SYNC, engine: GATE, engineLsn: 0 }
  const seen = new Set<string>([JSON.stringify(start)])
  const queue = [start]
  for (let w = queue.pop(); w !== undefined; w = queue.pop()) {
    if (!safe(w)) return { states: seen.size, unsafe: w }
    for (const n of next(w, members, logMax, plan)) {
      const has = Object.fromEntries(members.map((m) => [m, n.has[m] ?? 0]))
      const key = JSON.stringify([n.log, has, n.acked, n.recorded, n.engine, n.engineLsn])
      if (!seen.has(key)) {
        seen.add(key)
        queue.push({ ...n, has })
      }
    }
  }
  return { states: seen.size, unsafe: null }
}

test('no reachable state lets an election miss an acknowledged write', () => {
  const two = explore(['a', 'b'], 5, nextSyncStep)
  assert.equal(two.unsafe, null, JSON.stringify(two.unsafe))
  const three = explore(['a', 'b', 'c'], 2, nextSyncStep)
  assert.equal(three.unsafe, null, JSON.stringify(three.unsafe))
  assert.ok(two.states > 1_000 && three.states > 10_000, `${two.states} and ${three.states} states`)
})

test('the exploration finds a planner that publishes before the standby caught up', () => {
  const careless: Planner = (i) => {
    const { engine, wanted } = i
    if (engine !== null && !sameSync(i.recorded, wanted.recorded) && meets(engine.sync, wanted.recorded)) {
      return { do: 'publish', sync: wanted.recorded }
    }
    return nextSyncStep(i)
  }
  assert.notEqual(explore(['a', 'b'], 2, careless).unsafe, null)
})

test('the exploration finds a planner that changes the engine before the record', () => {
  const careless: Planner = (i) => {
    const { engine, wanted } = i
    if (engine !== null && !sameSync(engine.sync, wanted.engine)) return { do: 'apply', sync: wanted.engine }
    return nextSyncStep(i)
  }
  assert.notEqual(explore(['a', 'b'], 2, careless).unsafe, null)
})

test('the planner reaches what is wanted from everywhere in at most four steps when standbys are caught up', () => {
  const members = ['a', 'b', 'c']
  const confirmedLsn = { a: 9, b: 9, c: 9 }
  const sets = [NO_SYNC, ...wishes(members).map((w) => w.recorded)]
  for (const from of sets) {
    for (const wanted of wishes(members)) {
      for (const engineFrom of [...sets, GATE].filter((e) => meets(e, from))) {
        let recorded = from
        let engine = engineFrom
        for (let i = 0; i < 5; i += 1) {
          const step = nextSyncStep({ recorded, engine: { sync: engine, lsn: 5 }, wanted, confirmedLsn })
          if (step.do === 'nothing') break
          assert.notEqual(i, 4, `stuck from ${JSON.stringify([from, engineFrom, wanted, recorded, engine, step])}`)
          if (step.do === 'apply') engine = step.sync
          if (step.do === 'publish') recorded = step.sync
          assert.ok(meets(engine, recorded))
        }
        assert.ok(sameSync(recorded, wanted.recorded) && sameSync(engine, wanted.engine))
      }
    }
  }
})

test('a bridge meets both of its ends', () => {
  const sets = wishes(['a', 'b', 'c']).map((w) => w.recorded)
  for (const from of sets) {
    for (const to of sets) {
      const via = bridge(from, to)
      assert.ok(meets(via, from) && meets(via, to) && via.need <= Math.max(1, via.members.length))
    }
  }
})

test('history counts only members that confirmed the whole of it', () => {
  assert.equal(holdsHistory({ members: ['a', 'b'], need: 2 }, 10, { a: 10, b: 9 }), false)
  assert.equal(holdsHistory({ members: ['a', 'b'], need: 1 }, 10, { a: 10, b: 9 }), true)
})
