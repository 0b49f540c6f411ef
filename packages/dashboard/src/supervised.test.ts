import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ApiSupervisedGroup } from '@holdfast/client'
import { drawnGroup, lagOf, NO_SITE, sitesOf, supervisedStanding } from './supervised.ts'
import { layoutOf } from './topology/layout.ts'

const member = (name: string, role: string, lagBytes: number | null, site: string | null = 'north') => ({
  ...{ member: name, site, shard: '', role, state: role === 'primary' ? 'running' : 'streaming', timeline: 7 },
  ...{ lagBytes, streaming: role !== 'primary', answering: true, because: '' },
})

const LEDGER: ApiSupervisedGroup = {
  ...{ group: 'ledger', by: 'patroni', manager: 'Patroni 4', called: 'pg', epoch: 7, paused: false, moving: null },
  ...{ heard: 3, asked: 3, facts: {}, shards: [{ shard: '', primary: 'pg-1' }], concerns: [] },
  members: [
    member('pg-1', 'primary', null),
    member('pg-2', 'replica', 40, 'south'),
    member('pg-3', 'replica', 0, null),
  ],
  ...{ verdict: { safe: true, because: '' }, promotes: '', failoverCommand: '', namesTarget: true },
  ...{ holdsWriters: false, seenMs: 1 },
}

describe('a supervised group', () => {
  test('stands as its manager and its voices say, the worst first', () => {
    const level = (change: Partial<ApiSupervisedGroup>): string => supervisedStanding({ ...LEDGER, ...change }).level
    assert.equal(level({}), 'safe')
    assert.equal(level({ verdict: { safe: false, because: '' } }), 'exposed')
    assert.equal(level({ paused: true }), 'paused')
    assert.equal(level({ shards: [{ shard: '', primary: null }] }), 'down')
    assert.equal(level({ heard: 0, paused: true }), 'unknown')
  })

  test('is drawn with an arrow from its primary to each replica, also where no site is described', () => {
    const layout = layoutOf(drawnGroup(LEDGER), { sites: sitesOf(LEDGER), storeSite: null, width: 900 })
    assert.deepEqual(layout.arrows.map(({ from, to, flows }) => `${from} ${to} ${flows}`).toSorted(), [
      'pg-1 pg-2 true',
      'pg-1 pg-3 true',
    ])
    assert.ok(layout.sites.some(({ site }) => site === NO_SITE))
    assert.equal(lagOf(LEDGER), 40)
  })
})
