import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { it } from 'node:test'
import { descriptionJsonSchema } from './json-schema.ts'

it('the JSON Schema for editors is the one of the code', () => {
  const file = new URL('../../schema/holdfast.v1.json', import.meta.url)
  assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), descriptionJsonSchema(), 'run: npm run schema')
})
