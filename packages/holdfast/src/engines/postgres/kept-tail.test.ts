import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { keepTail, TAILS_KEPT } from './kept-tail.ts'

test('a host that gives up its log again and again keeps the newest tails, and touches nothing else', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-tails-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const [walDir, keepDir] = [join(folder, 'wal'), join(folder, 'kept')]
  mkdirSync(walDir)
  mkdirSync(join(keepDir, 'notes of a person'), { recursive: true })
  const made: string[] = []
  for (let timeline = 1; timeline <= TAILS_KEPT + 3; timeline += 1) {
    const at = { timeline, forkLsn: 0x3000000, endLsn: null, member: 'm1', systemId: '7' }
    const path = await keepTail({ ...at, walDir, keepDir, signal: AbortSignal.timeout(10_000) })
    made.push(path.slice(keepDir.length + 1))
  }
  assert.deepEqual(readdirSync(keepDir).sort(), [...made.slice(-TAILS_KEPT), 'notes of a person'].sort())
})
