import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ApiGroup } from '@holdfast/client'
import { evaluate, type Sample } from '../../core/alerts/expression.ts'
import { ruleRow } from '../../core/alerts/rules.ts'
import { AGENT_FAMILIES, ROUTER_FAMILIES, SERVER_FAMILIES } from '../../core/metric-families.ts'
import type { EndedDrill } from '../../drills/ledger.ts'
import { exposureMs, outlooks } from './objectives.ts'

function run(drill: string, rtoMs: number | null, rpoMs: number | null, practice = false): EndedDrill {
  const times = { startedWallMs: 1, endedWallMs: 2, seq: null, sha256: null }
  return { id: drill, drill, outcome: 'passed', because: '', practice, rtoMs, rpoMs, ...times }
}

const PLATFORM = {
  services: [{ name: 'shop', objectives: { rtoMs: 10_000, rpoMs: 0 }, groups: [{ group: 'orders', after: [] }] }],
} as unknown as Parameters<typeof outlooks>[0]['platform']

function group(lagBytes: number | null): Pick<ApiGroup, 'group' | 'replication' | 'loss'> {
  const replication = { kind: 'async', need: null, lossBytesMax: 1_000, lossMsMax: 30_000 } as const
  const loss = { kind: lagBytes === null ? 'unknown' : 'bytes', bytes: lagBytes, because: '' } as const
  return { group: 'orders', replication, loss }
}

const of = (past: readonly EndedDrill[], groups: readonly ReturnType<typeof group>[] = []) =>
  outlooks({ platform: PLATFORM, pastOf: () => past, groups }).map(({ kind, expectedMs, from }) => [
    kind,
    expectedMs,
    from,
  ])

describe('what is to be expected of a group', () => {
  it('is nothing before anything was measured', () => {
    assert.deepEqual(of([]), [
      ['rto', null, 'nothing'],
      ['rpo', null, 'nothing'],
    ])
  })

  it('is the worst of the newest run of each drill; a copy and an older run count nothing', () => {
    const past = [run('kill', 60_000, 9), run('kill', 4_000, 0), run('move', 300, 0), run('freeze', 90_000, 0, true)]
    assert.deepEqual(of(past), [
      ['rto', 4_000, 'drill'],
      ['rpo', 0, 'drill'],
    ])
  })

  it('with async is the loss that is exposed now, before anything was lost', () => {
    assert.deepEqual(of([run('kill', 1, 0)], [group(500)])[1], ['rpo', 15_000, 'lag'])
    assert.equal(exposureMs(group(null)), null)
    const sync = { ...group(5), replication: { ...group(5).replication, kind: 'sync' as const } }
    assert.equal(exposureMs(sync), null)
  })
})

describe('the rule "objective in danger"', () => {
  const fires = (outlook: number, promised: number): readonly number[] => {
    const labels = { group: 'orders', service: 'shop', kind: 'rto' }
    const series = new Map<string, readonly Sample[]>([
      ['holdfast_outlook_seconds', [{ labels: { ...labels, from: 'drill' }, value: outlook }]],
      ['holdfast_objective_seconds', [{ labels, value: promised }]],
    ])
    const question = ruleRow('objective-in-danger').asks({ limit: 0.8, where: {}, groups: [] })
    return evaluate(question, { wallMs: 0, series, increase: () => 0 }).map(({ value }) => value)
  }

  it('holds from a share of the promise on, and tells what is to be expected', () => {
    assert.deepEqual(fires(8.1, 10), [8.1])
    assert.deepEqual(fires(8, 10), [])
  })

  it('holds for any loss where none is promised, and not where none is to be expected', () => {
    assert.deepEqual(fires(0.001, 0), [0.001])
    assert.deepEqual(fires(0, 0), [])
  })
})

it('a number of the server has no name of an agent or a router: their sums and counts would be wrong', () => {
  const others = new Set([...Object.keys(AGENT_FAMILIES), ...Object.keys(ROUTER_FAMILIES)])
  assert.deepEqual(
    Object.keys(SERVER_FAMILIES).filter((name) => others.has(name)),
    [],
  )
})
