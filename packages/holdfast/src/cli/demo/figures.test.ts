import assert from 'node:assert/strict'
import { test } from 'node:test'
import { twoWritersMs, writeOutageMs } from './figures.ts'
import type { Ack } from './ledger.ts'

function ack(change: Partial<Ack>): Ack {
  return { writer: 0, n: 1, sentMs: 0, ackedMs: 1, port: 1, timeline: '00000001', ...change }
}

test('the outage is the longest gap that ends after the fault', () => {
  const acks = [0, 10, 500, 510, 1_510, 1_520].map((ackedMs) => ack({ ackedMs }))
  assert.equal(writeOutageMs(acks, { startMs: 512, endMs: 2_000 }), 1_000)
})

test('a gap before the fault and the probers do not count', () => {
  const acks = [0, 900, 910, 930].map((ackedMs) => ack({ ackedMs })).concat(ack({ writer: 101, ackedMs: 5_000 }))
  assert.equal(writeOutageMs(acks, { startMs: 905, endMs: 9_000 }), 20)
})

test('an older term that acknowledges what was sent after a newer term acknowledged is a second writer', () => {
  const older = [ack({ sentMs: 0, ackedMs: 5 }), ack({ sentMs: 130, ackedMs: 140 })]
  const newer = [ack({ sentMs: 95, ackedMs: 100, port: 2, timeline: '00000002' })]
  assert.equal(twoWritersMs([...older, ...newer]), 30)
})

test('an acknowledgement that was merely late in coming back is no second writer', () => {
  const older = [ack({ sentMs: 90, ackedMs: 140 })]
  const newer = [ack({ sentMs: 95, ackedMs: 100, port: 2, timeline: '00000002' })]
  assert.equal(twoWritersMs([...older, ...newer]), 0)
})

test('terms one after the other are one writer', () => {
  const older = [ack({ sentMs: 0, ackedMs: 5 })]
  const newer = [ack({ sentMs: 95, ackedMs: 100, port: 2, timeline: '00000002' })]
  const back = [ack({ sentMs: 195, ackedMs: 200, port: 1, timeline: '00000003' })]
  assert.equal(twoWritersMs([...older, ...newer, ...back]), 0)
})
