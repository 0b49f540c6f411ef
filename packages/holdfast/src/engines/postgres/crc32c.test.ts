import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32c } from './crc32c.ts'

test('gives the check values of RFC 3720 B.4', () => {
  assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283)
  assert.equal(crc32c(Buffer.alloc(32)), 0x8a9136aa)
  assert.equal(crc32c(Buffer.alloc(32, 0xff)), 0x62a8ab43)
  assert.equal(crc32c(Buffer.from(Array.from({ length: 32 }, (_, n) => n))), 0x46dd794e)
  assert.equal(crc32c(Buffer.alloc(0)), 0)
})

test('continues from a part, wherever it is cut', () => {
  const bytes = Buffer.from(Array.from({ length: 300 }, (_, n) => (n * 131 + 7) & 0xff))
  const whole = crc32c(bytes)
  for (let cut = 0; cut <= bytes.length; cut++) {
    assert.equal(crc32c(bytes.subarray(cut), crc32c(bytes.subarray(0, cut))), whole)
  }
})

test('notices a single changed bit', () => {
  const bytes = Buffer.alloc(100, 5)
  const before = crc32c(bytes)
  bytes[63] = 4
  assert.notEqual(crc32c(bytes), before)
})
