/** The page about drills, followed to the letter: on a copy, so that it needs nothing but the description. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { openReader } from './page.ts'

const FIRST = 'docs/operate/first-group.md'
const DRILLS = 'docs/operate/drills.md'
const reader = openReader()
after(() => reader.close())

test('a reader describes a drill, practises it on a copy and verifies the report', {
  timeout: 8 * 60_000,
}, async () => {
  const first = reader.steps(FIRST)
  const up = first.findIndex((step) => step.kind === 'commands' && step.background)
  assert.ok(up > 0)
  // The page goes on from the description of the first group.
  for (const step of first.slice(0, up)) await reader.take(FIRST, step)
  const copies = () => readdirSync(tmpdir()).filter((name) => name.startsWith('holdfast-practice-'))
  const before = copies()
  const said: string[] = []
  for (const step of reader.steps(DRILLS)) said.push(await reader.take(DRILLS, step))
  const all = said.join('\n')
  assert.match(all, /Nothing was done/)
  assert.match(all, /the copy is ready: orders-1, orders-2, orders-3/)
  assert.match(all, /fault-on: proof agent-\d: \d+ of \d+ processes are stopped/)
  assert.match(all, /fault-gone: proof agent-\d: \d+ of \d+ processes run again/)
  assert.match(all, /passed +frozen-host on orders, practice: RTO/)
  assert.match(all, /whole .*practice.00001-frozen-host/)
  const left = copies().filter((name) => !before.includes(name))
  assert.deepEqual(left, [], join(tmpdir(), left[0] ?? ''))
})
