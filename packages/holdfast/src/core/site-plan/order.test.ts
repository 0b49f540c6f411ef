import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { cycleIn, inOrder } from './order.ts'

test('a circle is told by its names, also when the way into it is not part of it', () => {
  const nodes = [
    { name: 'a', after: ['b'] },
    { name: 'b', after: ['c'] },
    { name: 'c', after: ['b'] },
  ]
  assert.deepEqual(cycleIn(nodes), ['b', 'c', 'b'])
  assert.deepEqual(cycleIn([{ name: 'a', after: ['a'] }]), ['a', 'a'])
  assert.equal(cycleIn([{ name: 'a', after: ['elsewhere'] }]), null)
})

test('whatever the graph without a circle, each name comes once and after all it waits for', () => {
  const graph = fc.array(fc.array(fc.nat(30), { maxLength: 4 }), { maxLength: 30 })
  fc.assert(
    fc.property(graph, (edges) => {
      const nodes = edges.map((before, at) => ({
        name: `n${at}`,
        after: before.filter((other) => other < at).map((other) => `n${other}`),
      }))
      assert.equal(cycleIn(nodes), null)
      const placed = inOrder([...nodes].reverse())
      assert.deepEqual([...placed].sort(), nodes.map((node) => node.name).sort())
      for (const node of nodes)
        for (const before of node.after) assert.ok(placed.indexOf(before) < placed.indexOf(node.name))
    }),
  )
})
