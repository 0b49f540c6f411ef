import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Heap } from './heap.ts'
import { Network, type NetworkShape } from './network.ts'
import { streamOf } from './prng.ts'
import { SimStore } from './store.ts'
import { KIND, World } from './world.ts'

const CALM: NetworkShape = { minMs: 1, meanMs: 0, siteMs: 0, loss: 0, duplicate: 0, lateMs: 0 }

test('the heap gives back by time, then by order of arrival', () => {
  const random = streamOf(7, 'heap')
  const heap = new Heap<{ ms: number; seq: number }>()
  for (let seq = 0; seq < 2_000; seq += 1) {
    const ms = random.int(50)
    heap.push(ms, { ms, seq })
  }
  let last = { ms: -1, seq: -1 }
  for (let item = heap.pop(); item !== undefined; item = heap.pop()) {
    assert.ok(item.ms > last.ms || (item.ms === last.ms && item.seq > last.seq))
    last = item
  }
  assert.equal(heap.size, 0)
})

test('a stream depends on seed and name only, and is spread evenly', () => {
  const draw = (seed: number, name: string) =>
    Array.from(
      { length: 5 },
      (
        (s) => () =>
          s.bits()
      )(streamOf(seed, name)),
    )
  assert.deepEqual(draw(1, 'net:0>1'), draw(1, 'net:0>1'))
  assert.notDeepEqual(draw(1, 'net:0>1'), draw(1, 'net:1>0'))
  assert.notDeepEqual(draw(1, 'a'), draw(2 ** 40 + 1, 'a'))
  const random = streamOf(3, 'mean')
  let sum = 0
  for (let i = 0; i < 20_000; i += 1) sum += random.next()
  assert.ok(Math.abs(sum / 20_000 - 0.5) < 0.01)
})

test('the world runs due events in order and its fingerprint tells two histories apart', () => {
  const run = (first: number) => {
    const world = new World()
    const order: number[] = []
    world.after(5, KIND.timer, 1, () => order.push(5))
    world.after(first, KIND.timer, 0, () => order.push(first))
    world.runUntil(10)
    return { order, print: world.fingerprint, now: world.nowMs }
  }
  assert.deepEqual(run(3).order, [3, 5])
  assert.equal(run(3).now, 10)
  assert.equal(run(3).print, run(3).print)
  assert.notEqual(run(3).print, run(4).print)
})

function storeWorld(shape: NetworkShape = CALM) {
  const world = new World()
  const network = new Network(world, 1, [0, 0, 0, 0], shape)
  const store = new SimStore(network, 2, 2, { seed: 1, hooks: { applied: () => undefined } })
  return { world, network, store }
}

test('compare-and-set: one of two writers on the same revision wins, the other sees what is there', () => {
  const { world, store } = storeWorld()
  const answers: string[] = []
  for (const from of [0, 1]) {
    store.compareAndSet(from, { key: 'k', value: from, ifRevision: 0 }, (a) =>
      answers.push(`${from} ${a.kind} ${a.value}`),
    )
  }
  world.runUntil(10)
  assert.deepEqual(answers, ['0 ok 0', '1 conflict 0'])
  assert.deepEqual(store.peek('k'), { revision: 1, value: 0 })
})

test('a late copy of a write is not applied again', () => {
  const { world, store } = storeWorld({ ...CALM, duplicate: 1, lateMs: 100 })
  let oks = 0
  store.compareAndSet(0, { key: 'k', value: 'x', ifRevision: 0 }, (a) => {
    if (a.kind === 'ok') oks += 1
  })
  world.runUntil(500)
  assert.equal(store.peek('k').revision, 1)
  assert.ok(oks >= 1)
})

test('an answer may be lost although the write was applied; an outage applies nothing', () => {
  const { world, store } = storeWorld()
  store.answerLoss = 1
  let heard = 0
  store.compareAndSet(0, { key: 'k', value: 1, ifRevision: 0 }, () => {
    heard += 1
  })
  world.runUntil(10)
  assert.equal(heard, 0)
  assert.equal(store.peek('k').revision, 1)
  store.outages = 1
  store.compareAndSet(0, { key: 'k', value: 2, ifRevision: 1 }, () => undefined)
  world.runUntil(20)
  assert.equal(store.peek('k').revision, 1)
})

test('a watch brings present entries and changes in order, and nothing after it broke', () => {
  const { world, network, store } = storeWorld()
  const seen: number[] = []
  const put = (value: number) =>
    store.compareAndSet(1, { key: 'k', value, ifRevision: store.peek('k').revision }, () => undefined)
  put(1)
  world.runUntil(10)
  let broken = 0
  const handlers = {
    deliver: (_key: string, stored: { value: unknown }) => seen.push(stored.value as number),
    wants: () => true,
    broken: () => {
      broken += 1
    },
  }
  store.watch(0, handlers)
  world.runUntil(20)
  put(2)
  world.runUntil(30)
  assert.deepEqual(seen, [1, 2])
  network.link(2, 0).cuts = 1
  put(3)
  world.runUntil(40)
  network.link(2, 0).cuts = 0
  put(4)
  world.runUntil(50)
  assert.deepEqual(seen, [1, 2])
  assert.equal(store.isWatching(0), false)
  assert.equal(broken, 1)
  store.watch(0, handlers)
  world.runUntil(60)
  assert.deepEqual(seen, [1, 2, 4])
})
