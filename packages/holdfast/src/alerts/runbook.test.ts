import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { RULE_IDS } from '../core/alerts/rules.ts'

const RUNBOOK = new URL('../../../../docs/operate/runbook.md', import.meta.url)

test('the runbook has a section for every rule, with something to do, and for no other', () => {
  const sections = readFileSync(RUNBOOK, 'utf8').split(/^## /m).slice(1)
  assert.deepEqual(sections.map((text) => text.split('\n')[0]).sort(), [...RULE_IDS].sort())
  for (const text of sections) assert.ok(text.length > 150, text)
})
