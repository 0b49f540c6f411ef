import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { metricFamilies } from '../packages/holdfast/src/core/metric-families.ts'
import { metricsPage, PAGE } from './metrics-page.ts'

test('the reference of the metrics is what the table says', () => {
  assert.equal(readFileSync(PAGE, 'utf8'), metricsPage(metricFamilies()), 'to mend: npm run metrics-page')
})

test('a name is used once, ends as Prometheus wants it, and its meaning is one line without a stop', () => {
  for (const [name, { type, help, unit }] of metricFamilies()) {
    assert.match(name, /^(holdfast|process)_[a-z_]+$/)
    assert.equal(name.endsWith('_total'), type === 'counter', name)
    if (unit === 'seconds' || unit === 'unix seconds') assert.match(name, /_seconds$/)
    assert.doesNotMatch(help, /[.\n|]$|\n/, name)
  }
})
