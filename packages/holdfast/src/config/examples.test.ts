/** The examples people copy from hold what they promise. Their secrets are not read. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { loadPlatform } from './load.ts'

const folder = fileURLToPath(new URL('../../../../examples/', import.meta.url))

describe('examples', () => {
  for (const name of readdirSync(folder).filter((entry) => entry.endsWith('.yaml'))) {
    it(`${name} has no mistake and no warning`, () => {
      const loaded = loadPlatform(`${folder}${name}`, { env: {}, secrets: 'none' })
      assert.deepEqual(loaded.ok ? [] : loaded.mistakes, [])
      // What Redis cannot do is said of every group where replicas confirm.
      const warnings = loaded.warnings.filter(({ what }) => !what.includes('(WAIT '))
      assert.deepEqual(warnings, [])
    })
  }
})
