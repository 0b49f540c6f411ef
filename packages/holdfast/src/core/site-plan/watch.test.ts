import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PlanRecord } from './plan.ts'
import { judge, lastPlace, type ServiceSeen, type WatchRules } from './watch.ts'

const RULES: WatchRules = {
  home: 'north',
  comeHome: 'when-healthy',
  siteLoss: 'automatic',
  lostAfterMs: 1_000,
  calmMs: 30_000,
  patienceMs: 300_000,
}
const DONE = { phase: 'done', to: 'south', origin: 'automatic', by: 'agent s' } as PlanRecord

function seen(change: Partial<ServiceSeen> = {}): ServiceSeen {
  return {
    sites: [
      { site: 'north', silentMs: 1_500, able: false },
      { site: 'south', silentMs: 0, able: true },
      { site: 'east', silentMs: 0, able: true },
    ],
    groups: [
      { group: 'stock', site: 'east', open: true },
      { group: 'orders', site: 'north', open: false },
    ],
    plan: null,
    homeCalmMs: 0,
    sinceFailedMs: Number.MAX_SAFE_INTEGER,
    ...change,
  }
}

function sites(north: number, able = false): ServiceSeen['sites'] {
  return [{ site: 'north', silentMs: north, able }, ...seen().sites.slice(1)]
}

const AWAY = [
  { group: 'stock', site: 'south', open: true },
  { group: 'orders', site: 'south', open: true },
]
const WELL = { sites: sites(0, true), groups: AWAY, plan: DONE, homeCalmMs: 40_000 }

const CASES: readonly (readonly [string, Partial<ServiceSeen>, Partial<WatchRules>, string])[] = [
  ['a lost site: all follow to where the first one went', {}, {}, 'failover north east'],
  ['a site that is silent for a moment only', { sites: sites(900) }, {}, 'nothing'],
  ['a lost site where a person decides', {}, { siteLoss: 'ask' }, 'nothing'],
  [
    'a silent site whose primaries are heard',
    { groups: [{ group: 'stock', site: 'north', open: true }] },
    {},
    'nothing',
  ],
  [
    'a silent site that holds every lease: it may only be slow',
    { groups: [{ group: 'stock', site: 'north', open: false }] },
    {},
    'nothing',
  ],
  ['a lost site, and nowhere to go', { sites: sites(5_000).map((one) => ({ ...one, able: false })) }, {}, 'nothing'],
  ['a plan of a person', { plan: { ...DONE, phase: 'running', origin: 'operator' } }, {}, 'nothing'],
  ['a plan of the watch whose runner may be gone', { plan: { ...DONE, phase: 'running' } }, {}, 'resume'],
  ['a plan that did not end well a moment ago', { sinceFailedMs: 1_000 }, {}, 'nothing'],
  ['home lost again while the service is elsewhere', { ...WELL, sites: sites(9_000) }, {}, 'nothing'],
  ['home is whole again', WELL, {}, 'failback south north'],
  ['home is whole, but not for long', { ...WELL, homeCalmMs: 10_000 }, {}, 'nothing'],
  ['home is whole, and a person decides', WELL, { comeHome: 'ask' }, 'nothing'],
  ['home is whole, and the service stays', WELL, { comeHome: 'never' }, 'nothing'],
  ['at home', { ...WELL, groups: AWAY.map((one) => ({ ...one, site: 'north' })) }, {}, 'nothing'],
  ['one group has no primary', { ...WELL, groups: AWAY.map((one) => ({ ...one, open: false })) }, {}, 'nothing'],
]
for (const [what, change, rules, expected] of CASES) {
  test(`${what}: ${expected}`, () => {
    const verdict = judge(seen(change), { ...RULES, ...rules })
    const words = 'to' in verdict ? `${verdict.kind} ${verdict.from} ${verdict.to}` : verdict.kind
    assert.equal(words, expected)
  })
}

test('where a service was last is where the last plan took it, or left it', () => {
  const at = (change: Partial<PlanRecord>): string => lastPlace({ ...DONE, from: 'east', ...change }, 'north')
  assert.equal(lastPlace(null, 'north'), 'north')
  assert.equal(at({}), 'south')
  assert.equal(at({ phase: 'undone' }), 'east')
  assert.equal(at({ phase: 'undone', from: null }), 'north')
  assert.equal(at({ kind: 'evacuate', to: null }), 'east')
})
