import assert from 'node:assert/strict'
import { chown, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { engineOwner, isShared } from './unprivileged.ts'

const asRoot = { skip: process.getuid?.() === 0 ? false : 'needs root' }

test('data that belongs to `nobody` stays with it, and that is told apart from an own account', asRoot, async (t) => {
  const data = await mkdtemp(join(tmpdir(), 'holdfast-owner-'))
  t.after(() => rm(data, { recursive: true }))
  const fresh = await engineOwner(data)
  assert.deepEqual(fresh, await engineOwner())
  assert.notEqual(fresh?.uid, 0)
  await chown(data, 65534, 65534)
  const kept = await engineOwner(data)
  assert.equal(kept?.uid, 65534)
  assert.deepEqual([isShared(kept), isShared(null), isShared({ uid: 101, gid: 104 })], [true, false, false])
})
