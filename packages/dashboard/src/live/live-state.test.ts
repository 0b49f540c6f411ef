import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ApiEvent, ApiGroup, ApiIncident, ApiPlatform } from '@holdfast/client'
import { groupAs, incidentAs } from '../samples.fixture.ts'
import { aligned, FigureHistory, POINTS_MAX } from './figures.ts'
import {
  afterLink,
  afterMessage,
  automationOf,
  EVENTS_MAX,
  NOTHING_YET,
  withEvents,
  withIncidents,
} from './live-state.ts'

const PLATFORM = {
  ...{ platform: 'shop', version: '1', wallMs: 1_000_000, lastEvent: 4, automation: 'on', sites: [], agents: [] },
  ...{
    services: [],
    plans: [],
    supervised: [],
    groups: [groupAs({ epoch: 3 })],
    store: { kind: 'embedded', site: null },
  },
  server: { name: 's', leading: true, leader: 's', followsMsAgo: 0 },
} as const satisfies ApiPlatform

const eventAs = (number: number): ApiEvent => ({
  ...{ number, wallMs: number, recordedMs: number, kind: 'role', severity: 'info', code: 'role', summary: '' },
  ...{ group: null, member: null, source: 'server', rule: null, incident: null, detail: {} },
})

describe('the live state', () => {
  test('a group that is told replaces the one before and leaves the others', () => {
    const before = afterMessage(NOTHING_YET, { type: 'platform', data: PLATFORM }, 10)
    const after = afterMessage(before, { type: 'group', data: groupAs({ epoch: 4 }) }, 20)
    assert.equal(after.platform?.groups[0]?.epoch, 4)
    assert.equal(after.platform.groups.length, 1)
    const more = afterMessage(after, { type: 'group', data: groupAs({ group: 'billing' }) }, 30)
    assert.deepEqual(
      more.platform?.groups.map(({ group }) => group),
      ['orders', 'billing'],
    )
  })

  test('what comes before the first state of the platform is not lost track of', () => {
    const state = afterMessage(NOTHING_YET, { type: 'group', data: groupAs({}) }, 10)
    assert.equal(state.platform, null)
    assert.equal(state.heardMs, 10)
  })

  test('events are kept once, newest first, and bounded', () => {
    const first = withEvents([], [eventAs(2), eventAs(1)])
    const again = withEvents(first, [eventAs(2), eventAs(3)])
    assert.deepEqual(
      again.map(({ number }) => number),
      [3, 2, 1],
    )
    const storm = Array.from({ length: EVENTS_MAX + 50 }, (_, index) => eventAs(index + 10))
    const kept = withEvents(again, storm)
    assert.equal(kept.length, EVENTS_MAX)
    assert.equal(kept[0]?.number, EVENTS_MAX + 59)
  })

  test('an incident that is told again replaces itself', () => {
    const open: ApiIncident = incidentAs({ state: 'open' })
    const [only, ...rest] = withIncidents(withIncidents([], [open]), [{ ...open, state: 'closed' }])
    assert.equal(only?.state, 'closed')
    assert.deepEqual(rest, [])
  })

  test('a connection that stays lost counts from the last word, through all tries', () => {
    const live = afterLink(afterMessage(NOTHING_YET, { type: 'platform', data: PLATFORM }, 500), { state: 'live' }, 500)
    const lost = afterLink(live, { state: 'lost', because: 'refused', status: null, retryMs: 1 }, 2_000)
    const trying = afterLink(lost, { state: 'connecting' }, 2_500)
    assert.equal(trying.link.state, 'lost', 'what is shown is still old while it is tried')
    const again = afterLink(trying, { state: 'lost', because: 'refused', status: null, retryMs: 1 }, 9_000)
    assert.deepEqual(again.link, { state: 'lost', because: 'refused', status: null, sinceMs: 500 })
    assert.equal(afterLink(again, { state: 'live' }, 9_500).link.state, 'live')
    const never = afterLink(NOTHING_YET, { state: 'lost', because: 'refused', status: null, retryMs: 1 }, 2_000)
    const still = afterLink(never, { state: 'lost', because: 'refused', status: null, retryMs: 1 }, 9_000)
    assert.equal(still.link.state === 'lost' ? still.link.sinceMs : null, 2_000)
  })

  test('automation is off when every group that is acted for is paused', () => {
    const paused = { by: 'ada', because: 'work', forMs: 1_000 }
    const observed: ApiGroup = groupAs({ failover: 'observe' })
    assert.equal(automationOf([groupAs({}), observed]), 'on')
    assert.equal(automationOf([groupAs({ paused }), observed]), 'off')
    assert.equal(automationOf([groupAs({ paused }), groupAs({})]), 'some')
    assert.equal(automationOf([observed]), 'none')
  })
})

describe('the figures', () => {
  const figures = (wallMs: number, lagBytes: number | null) => ({
    ...{ wallMs, groups: [] },
    members: [{ member: 'a', lsn: 1, lagBytes, writableForMs: 0 }],
  })

  test('are bounded, and a clock that was set back draws no line backwards', () => {
    const history = new FigureHistory()
    for (let at = 1; at <= POINTS_MAX + 20; at++) history.add(figures(at * 1_000, at))
    history.add(figures(5_000, 7))
    const { atMs, values } = history.track('lag a')
    assert.equal(atMs.length, POINTS_MAX)
    assert.equal(values.at(-1), POINTS_MAX + 20)
  })

  test('a lost connection is a break in the line, not a straight one', () => {
    const history = new FigureHistory()
    history.add(figures(1_000, 5))
    history.gap(2_000)
    history.add(figures(60_000, 5))
    assert.deepEqual(history.track('lag a').values, [5, null, 5])
  })

  test('lines of different times share one axis', () => {
    const [times, first, second] = aligned([
      { atMs: [1_000, 3_000], values: [1, 3] },
      { atMs: [2_000, 3_000], values: [20, 30] },
    ])
    assert.deepEqual(
      [times, first, second],
      [
        [1, 2, 3],
        [1, null, 3],
        [null, 20, 30],
      ],
    )
  })
})
