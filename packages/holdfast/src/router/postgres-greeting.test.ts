import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { GREETING_BYTES_MAX, greetingOf, refusalPacket, saysNotNow } from './postgres-greeting.ts'
import { readGroupRecord } from './record.ts'

function packet(code: number, body = ''): Buffer {
  const bytes = Buffer.alloc(8 + body.length)
  bytes.writeUInt32BE(bytes.length, 0)
  bytes.writeUInt32BE(code, 4)
  bytes.write(body, 8)
  return bytes
}

describe('a greeting', () => {
  test('is told apart byte by byte', () => {
    const startup = packet(196_608, 'user\0me\0\0')
    for (let length = 0; length < startup.length; length += 1)
      assert.equal(greetingOf(startup.subarray(0, length)), null)
    assert.deepEqual(greetingOf(startup), { kind: 'startup', bytes: startup.length })
    assert.deepEqual(greetingOf(packet(80_877_103)), { kind: 'probe', bytes: 8 })
    assert.deepEqual(greetingOf(packet(80_877_104)), { kind: 'probe', bytes: 8 })
    assert.deepEqual(greetingOf(packet(80_877_102, 'pid+key!')), { kind: 'cancel', bytes: 16 })
    assert.equal(greetingOf(packet(196_610, 'newer minor version\0'))?.kind, 'startup')
  })

  test('that is none is foreign at once, also when its length is absurd', () => {
    assert.equal(greetingOf(Buffer.from('G'))?.kind, 'foreign')
    assert.equal(greetingOf(packet(131_072, 'version two'))?.kind, 'foreign')
    const long = packet(196_608)
    long.writeUInt32BE(GREETING_BYTES_MAX + 1, 0)
    assert.equal(greetingOf(long)?.kind, 'foreign')
    long.writeUInt32BE(4, 0)
    assert.equal(greetingOf(long)?.kind, 'foreign')
  })

  test('is answered with a packet whose length is right and whose texts cannot break out of their field', () => {
    const bytes = refusalPacket({ sqlState: '57P03', message: 'no\0Mfake', detail: 'd', hint: 'h' })
    assert.equal(bytes.readUInt32BE(1), bytes.length - 1)
    assert.match(bytes.toString(), /\0MnoMfake\0/)
    assert.ok(saysNotNow(bytes))
    assert.ok(!saysNotNow(refusalPacket({ sqlState: '28P01', message: 'wrong password', detail: '', hint: '' })))
    assert.ok(!saysNotNow(Buffer.from('R\0\0C57P03\0')))
  })
})

test('a record of the store is only believed when what a route needs is there', () => {
  const good = { v: 1, group: 'g', epoch: 1, phase: 'open', holder: 'a', intent: null }
  assert.deepEqual(readGroupRecord('g', JSON.stringify(good)), good)
  assert.equal(readGroupRecord('g', null), null)
  const bad = [
    { epoch: '1' },
    { epoch: -1 },
    { epoch: 1.5 },
    { phase: 'shut' },
    { holder: 7 },
    { group: 'h' },
    { v: 2 },
  ]
  for (const change of bad) assert.equal(readGroupRecord('g', JSON.stringify({ ...good, ...change })), 'damaged')
  for (const text of ['', '{', '[]', 'null', '7']) assert.equal(readGroupRecord('g', text), 'damaged')
})
