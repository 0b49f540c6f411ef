import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Expression, evaluate, type Sample, type Scene } from './expression.ts'
import { durationWord, promql } from './promql.ts'
import { RULE_IDS, type RuleRow, ruleRow } from './rules.ts'
import { durationOf, prometheusSentence, sentence } from './text.ts'

const at = (value: number, labels: Record<string, string>): Sample => ({ labels, value })

function scene(series: Record<string, readonly Sample[]>, grew = 0): Scene {
  return { wallMs: 1_000_000, series: new Map(Object.entries(series)), increase: () => grew }
}

const LAG = 'holdfast_member_lag_bytes'
const BOUND = 'holdfast_member_lag_bound_bytes'
const lag: Expression = { kind: 'series', name: LAG, where: {} }
const bound: Expression = { kind: 'series', name: BOUND, where: {} }

test('a ratio joins by its labels, keeps the left ones, and leaves out what has no partner', () => {
  const ratio: Expression = { kind: 'ratio', left: lag, right: bound, on: ['group', 'member'] }
  const here = scene({
    [LAG]: [at(80, { group: 'g', member: 'a', site: 'x' }), at(5, { group: 'g', member: 'b' })],
    [BOUND]: [at(100, { group: 'g', member: 'a', instance: 'other' })],
  })
  assert.deepEqual(evaluate(ratio, here), [at(0.8, { group: 'g', member: 'a', site: 'x' })])
  assert.equal(
    promql({ kind: 'compare', left: ratio, is: '>', right: 0.8 }),
    `(${LAG} / on (group, member) group_left () ${BOUND}) > 0.8`,
  )
})

test('folds, choices, windows, ends and absences mean what Prometheus means', () => {
  const here = scene(
    {
      [LAG]: [at(1, { group: 'g', member: 'a' }), at(3, { group: 'g', member: 'b' }), at(7, { group: 'h' })],
      holdfast_certificate_expiry_timestamp_seconds: [at(1_500, { use: 'agent' })],
    },
    4,
  )
  const by = (how: 'max' | 'sum' | 'count'): readonly Sample[] =>
    evaluate({ kind: 'fold', how, by: ['group'], of: { ...lag, where: { group: ['g'] } } as Expression }, here)
  assert.deepEqual(by('max'), [at(3, { group: 'g' })])
  assert.deepEqual(by('sum'), [at(4, { group: 'g' })])
  assert.deepEqual(by('count'), [at(2, { group: 'g' })])
  const until: Expression = {
    kind: 'until',
    of: { kind: 'series', name: 'holdfast_certificate_expiry_timestamp_seconds', where: {} },
  }
  assert.deepEqual(evaluate(until, here), [at(500, { use: 'agent' })])
  const missing: Expression = { kind: 'missing', name: LAG, groups: ['g', 'i'] }
  assert.deepEqual(evaluate(missing, here), [at(1, { group: 'i' })])
  assert.equal(promql(missing), `absent(${LAG}{group="g"}) or absent(${LAG}{group="i"})`)
  const grew: Expression = {
    kind: 'increase',
    name: 'holdfast_fences_total',
    where: { group: ['g', 'h'] },
    overMs: 600_000,
  }
  assert.equal(promql(grew), 'increase(holdfast_fences_total{group=~"g|h"}[10m])')
})

test('durations are written in the largest unit that fits', () => {
  assert.deepEqual([90_000, 600_000, 3_600_000, 86_400_000, 1_500].map(durationWord), [
    '90s',
    '10m',
    '1h',
    '1d',
    '1500ms',
  ])
})

test('every rule says where it is, names only labels it has, and can be asked and written', () => {
  for (const id of RULE_IDS) {
    const row: RuleRow = ruleRow(id)
    const { limit } = row
    const asks = row.asks({ limit: limit?.value ?? 0, where: { group: ['g'] }, groups: ['g'] })
    assert.ok(promql(asks).length > 10, id)
    assert.deepEqual(
      evaluate({ kind: 'fold', how: 'max', by: row.by, of: asks }, scene({})).length,
      id === 'no-writer' ? 1 : 0,
    )
    for (const [, name = ''] of `${row.summary} ${row.next}`.matchAll(/\{(\w+)[|}]/g)) {
      assert.ok(['value', 'limit', ...row.by].includes(name), `${id} speaks of ${name}`)
    }
    for (const { rule } of row.hiddenBy ?? [])
      assert.ok((RULE_IDS as readonly string[]).includes(rule), `${id}: ${rule}`)
    if (limit !== null) assert.ok(limit.low <= limit.value && limit.value <= limit.high, id)
  }
})

test('sentences carry the numbers in words people read, for us and for Prometheus', () => {
  const template = '{member} lags by {value|percent}, limit {limit|duration}'
  assert.equal(sentence(template, { member: 'm2' }, { value: 0.856, limit: 7_200 }), 'm2 lags by 85.6 %, limit 2 h')
  assert.equal(
    prometheusSentence(template, 7_200),
    '{{ $labels.member }} lags by {{ $value | humanizePercentage }}, limit 2 h',
  )
  assert.deepEqual([0.02, 59, 90, 7_200, 259_200, -90].map(durationOf), [
    '20 ms',
    '59 s',
    '1.5 min',
    '2 h',
    '3 days',
    '1.5 min ago',
  ])
})
