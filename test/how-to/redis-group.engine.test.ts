/** The how-to of a Redis group, followed to the letter in an empty folder. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { findRedis } from '../../packages/holdfast/src/engines/redis/binaries.ts'
import { Reader } from './reader.ts'

const found = await findRedis()
const skip = found.ok ? false : `needs Redis or Valkey: ${found.because}`

test('who follows the page of a Redis group gets what it says', { skip, timeout: 5 * 60_000 }, async () => {
  const reader = new Reader('docs/operate/redis-group.md')
  after(() => reader.close())
  const all = await reader.follow()
  assert.match(all, /WAIT 1/, 'validate says what clients have to do')
  assert.match(all, /OK\n[12]\n/, 'the write was confirmed')
  assert.match(all, /done {2}old primary stock-\d, new primary stock-\d/)
  assert.match(all, /\n5\n/, 'the apples are there after the move')
  const status = await reader.safeNow()
  assert.equal(status.match(/ primary /g)?.length, 1, status)
  const [up] = reader.background
  assert.ok(up !== undefined)
  await reader.end(up)
  assert.equal(up.exitCode, 0)
})
