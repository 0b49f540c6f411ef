import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, it } from 'node:test'
import { openSigningKey, type SigningKey } from '../io/signing.ts'
import { sealed, unsealed } from './seal.ts'

let folder = ''
let key: SigningKey
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-seal-'))
  key = await openSigningKey(join(folder, 'evidence.key'))
})
after(() => rm(folder, { recursive: true, force: true }))

it('gives back what was sealed, and by whom', () => {
  const body = { b: [1, 2.5, null], a: 'ö' }
  const result = unsealed(sealed(body, key))
  assert.ok(result.ok)
  assert.deepEqual(result.body, body)
  assert.equal(result.keyId, key.keyId)
})

it('finds every flipped byte, every lost byte and every byte too many', () => {
  const bytes = Buffer.from(sealed({ outcome: 'passed', rtoMs: 412 }, key), 'utf8')
  for (let index = 0; index < bytes.length; index += 1) {
    for (const flip of [0x01, 0x20, 0x80]) {
      const changed = Buffer.from(bytes)
      changed[index] = (bytes[index] ?? 0) ^ flip
      assert.equal(unsealed(changed.toString('utf8')).ok, false, `byte ${index} ^ ${flip}`)
    }
    const shorter = Buffer.concat([bytes.subarray(0, index), bytes.subarray(index + 1)])
    assert.equal(unsealed(shorter.toString('utf8')).ok, false, `without byte ${index}`)
    const longer = Buffer.concat([bytes.subarray(0, index), Buffer.from(' '), bytes.subarray(index)])
    assert.equal(unsealed(longer.toString('utf8')).ok, false, `a space before byte ${index}`)
  }
})

it('refuses another key under the same name, and what is no document', async () => {
  const stranger = await openSigningKey(join(folder, 'stranger.key'))
  const forged = sealed({ n: 1 }, { ...stranger, keyId: key.keyId })
  const result = unsealed(forged)
  assert.equal(result.ok === false && result.reason, 'key-forged')
  for (const text of [
    '',
    'null',
    '[]',
    '{}',
    '{"body":1}',
    `${'['.repeat(5_000)}`,
    '{"body":1,"format":"x","seal":{}}',
  ]) {
    assert.equal(unsealed(text).ok, false)
  }
})
