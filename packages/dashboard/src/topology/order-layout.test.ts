import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { layersOf, NARROW_ORDER, orderLayout } from './order-layout.ts'

const place = (group: string, ...after: string[]) => ({ group, site: 'north', after })
const SHOP = [place('orders', 'stock', 'users'), place('stock'), place('users'), place('search', 'orders')]

describe('the order of a service', () => {
  test('what others need stands before them, along the longest way', () => {
    assert.deepEqual(layersOf(SHOP), [['stock', 'users'], ['orders'], ['search']])
  })

  test('a circle or a name nobody knows leaves nobody out', () => {
    assert.deepEqual(layersOf([place('a', 'b'), place('b', 'a'), place('c', 'elsewhere')]), [['c'], ['a', 'b']])
  })

  test('boxes do not overlap and stay within the width, side by side or one below the other', () => {
    for (const width of [320, NARROW_ORDER, 900]) {
      const { boxes, arrows, height } = orderLayout(SHOP, width)
      assert.equal(boxes.length, SHOP.length)
      const words = boxes.flatMap(({ needs }) => needs)
      assert.equal(width < NARROW_ORDER ? words.length : arrows.length, 3, 'the order is told one way or the other')
      for (const [index, a] of boxes.entries()) {
        assert.ok(
          a.x >= 0 && a.x + a.width <= Math.max(260, width) && a.y + a.height <= height,
          `${a.group} at ${width}`,
        )
        for (const b of boxes.slice(index + 1)) {
          const apart = a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y
          assert.ok(apart, `${a.group} over ${b.group} at ${width}`)
        }
      }
    }
  })
})
