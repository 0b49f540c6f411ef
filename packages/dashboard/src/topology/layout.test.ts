import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { groupAs, memberAs, PRIMARY } from '../samples.fixture.ts'
import { type Box, layoutOf, NARROW } from './layout.ts'

const SITES = [
  { site: 'north', witness: false },
  { site: 'south', witness: false },
  { site: 'hill', witness: true },
]
const MEMBERS = [
  PRIMARY,
  memberAs({ member: 'orders-2', address: { host: '10.0.0.2', port: 5_432 } }),
  memberAs({ member: 'orders-3', site: 'south', upstream: '10.0.0.2:5432', lagBytes: 2_048 }),
]

const inside = (inner: Box, outer: Box): boolean =>
  inner.x >= outer.x &&
  inner.y >= outer.y &&
  inner.x + inner.width <= outer.x + outer.width &&
  inner.y + inner.height <= outer.y + outer.height

describe('the map of a group', () => {
  for (const width of [0, 300, 390, NARROW - 1, NARROW, 1_280]) {
    test(`everything has its place at ${width} pixels, and nothing overlaps`, () => {
      const layout = layoutOf(groupAs({ members: MEMBERS }), { sites: SITES, storeSite: 'hill', width })
      for (const box of layout.members) {
        const site = layout.sites.find((one) => one.site === box.member.site)
        assert.ok(site !== undefined && inside(box, site), `${box.member.member} stands in its site`)
        assert.ok(box.width > 0)
      }
      for (const [at, one] of layout.members.entries()) {
        for (const other of layout.members.slice(at + 1)) {
          const apart = one.x + one.width <= other.x || other.x + other.width <= one.x
          assert.ok(apart || one.y + one.height <= other.y || other.y + other.height <= one.y)
        }
      }
      const store = layout.sites.find(({ site }) => site === 'hill')?.store
      assert.ok(store != null)
    })
  }

  test('an arrow leads from whom a replica follows, else from the writer', () => {
    const { arrows } = layoutOf(groupAs({ members: MEMBERS }), { sites: SITES, storeSite: null, width: 1_000 })
    assert.deepEqual(
      arrows.map(({ from, to, label }) => [from, to, label]),
      [
        ['orders-1', 'orders-2', 'in step'],
        ['orders-2', 'orders-3', '2.0 KiB behind'],
      ],
    )
  })

  test('an arrow to the next site is straight, one past a site goes over it, both are told between sites', () => {
    const far = memberAs({ member: 'orders-4', site: 'hill' })
    const near = memberAs({ member: 'orders-2', site: 'south' })
    const members = [PRIMARY, near, far]
    const { arrows, sites } = layoutOf(groupAs({ members }), { sites: SITES, storeSite: null, width: 1_200 })
    const [straight, over] = arrows
    const heights = (path = ''): readonly number[] =>
      (path.match(/-?[\d.]+/g) ?? []).map(Number).filter((_, at) => at % 2 === 1)
    assert.equal(new Set(heights(straight?.path)).size, 1, straight?.path)
    assert.ok(Math.min(...heights(over?.path)) < (sites[1]?.y ?? 0) + 22, over?.path)
    for (const { labelAt } of arrows) {
      const between = sites.every((site) => labelAt.x < site.x || labelAt.x > site.x + site.width)
      assert.ok(between, JSON.stringify(labelAt))
    }
  })

  test('a copy that does not flow says so', () => {
    const members = [PRIMARY, memberAs({ member: 'orders-2', streaming: false })]
    const { arrows } = layoutOf(groupAs({ members }), { sites: SITES, storeSite: null, width: 1_000 })
    assert.deepEqual([arrows[0]?.flows, arrows[0]?.label], [false, 'not copying'])
  })

  test('a site keeps its place also in a group that has nobody there', () => {
    const place = (members: typeof MEMBERS): number | undefined =>
      layoutOf(groupAs({ members }), { sites: SITES, storeSite: null, width: 1_000 }).sites.find(
        ({ site }) => site === 'south',
      )?.x
    assert.equal(place([PRIMARY]), place(MEMBERS))
  })
})
