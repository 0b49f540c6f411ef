import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hunt } from './hunt.ts'
import { PLANTED } from './list.ts'

for (const planted of PLANTED) {
  test(`planted bug ${planted.name} is found within ${planted.budgetSeeds} seeds: ${planted.describe}`, () => {
    const found = hunt(planted, { nowMs: () => 0, startSeed: 1 })
    assert.notEqual(found.seeds, null)
  })
}
