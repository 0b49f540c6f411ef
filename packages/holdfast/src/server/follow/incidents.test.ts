import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { ApiGroup, ApiIncident } from '@holdfast/client'
import { type Draft, factsWith, type GroupFacts, groupDrafts, groupFacts } from './changes.ts'
import { incidentAfter } from './incidents.ts'

function group(changes: Partial<ApiGroup>): ApiGroup {
  const base = {
    group: 'orders',
    failover: 'automatic',
    epoch: 3,
    holder: 'a',
    writer: 'a',
    phase: 'open',
    paused: null,
  }
  const verdict = { safe: true, because: 'b could take over' }
  return { ...base, verdict, members: [], ...changes } as unknown as ApiGroup
}

const calm = groupFacts(null, group({}), 0, [])
let open: ApiIncident | null = null

function next(before: GroupFacts, now: ApiGroup, wallMs: number, told: readonly Draft[] = []): ApiIncident | null {
  const drafts = [...told, ...groupDrafts(before, now, wallMs)]
  return incidentAfter(open, { before, now, wallMs, drafts, freshId: () => 'one' })
}

const reason = (code: string, wallMs: number): Draft => ({
  wallMs,
  kind: 'reason',
  severity: 'info',
  code,
  summary: code,
  group: 'orders',
  member: 'b',
  source: 'agent b',
  rule: null,
  incident: null,
  detail: {},
})

it('no writer opens one, the new writer ends its gap, safety closes it', () => {
  open = null
  const unsafe = { safe: false, because: 'nobody holds the lease' }
  const lost = group({ writer: null, verdict: unsafe })
  open = next(calm, lost, 1_000)
  assert.deepEqual([open?.state, open?.kind, open?.because], ['open', 'outage', 'nobody holds the lease'])
  const facts = groupFacts(calm, lost, 1_000, [])
  const led = group({ epoch: 4, holder: 'b', writer: 'b', verdict: unsafe })
  open = next(facts, led, 2_500, [reason('claims', 1_900), reason('opens', 2_400)])
  assert.deepEqual([open?.state, open?.kind, open?.writeGapMs, open?.to], ['open', 'failover', 1_500, 'b'])
  const after = groupFacts(facts, led, 2_500, [])
  open = next(after, group({ epoch: 4, holder: 'b', writer: 'b' }), 9_000)
  assert.deepEqual([open?.state, open?.writeGapMs, open?.closedMs], ['closed', 1_500, 9_000])
  assert.deepEqual(
    open?.phases.map(({ phase }) => phase),
    ['detect', 'decide', 'route', 'healthy'],
  )
})

it('a leadership that changed while nobody looked is one, too, with a gap of unknown length', () => {
  open = null
  const incident = next(calm, group({ epoch: 5, holder: 'b', writer: 'b' }), 5_000)
  assert.deepEqual([incident?.state, incident?.fromEpoch, incident?.toEpoch], ['closed', 3, 5])
  assert.equal(incident?.writeGapMs, null)
})

it('a hand-over that was told before the gap makes it a switchover', () => {
  open = null
  const told = groupFacts(calm, group({}), 900, [reason('hands-over', 900)])
  open = next(told, group({ writer: null }), 1_000)
  assert.equal(open?.kind, 'switchover')
})

it('the first leadership, an observed group and a calm one are none', () => {
  open = null
  const young = groupFacts(null, group({ epoch: 0, holder: null, writer: null }), 0, [])
  assert.equal(next(young, group({ epoch: 1 }), 1), null)
  assert.equal(next(calm, group({ failover: 'observe', writer: null, epoch: 9 }), 1), null)
  assert.equal(next(calm, group({}), 1), null)
})

it('two changes of primary within seconds do not share their decisions', () => {
  open = null
  const led = group({ epoch: 4, holder: 'b', writer: 'b' })
  const told = [reason('claims', 900), reason('opens', 950)]
  const first = next(calm, led, 1_000, told)
  assert.equal(first?.state, 'closed')
  const facts = factsWith(groupFacts(calm, led, 1_000, told), first)
  const second = next(
    facts,
    group({ epoch: 4, holder: 'b', writer: null, verdict: { safe: false, because: '' } }),
    6_000,
  )
  assert.deepEqual(
    second?.phases.map(({ phase, wallMs }) => [phase, wallMs]),
    [['detect', 6_000]],
  )
})
