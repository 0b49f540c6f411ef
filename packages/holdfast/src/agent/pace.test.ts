import assert from 'node:assert/strict'
import { test } from 'node:test'
import { beatNow, nextAskMs, nextLookMs } from './pace.ts'

const BEAT_MS = 200

test('without a session one comes a beat after the last', () => {
  assert.equal(nextLookMs({ startedMs: 1_000, beatMs: BEAT_MS, sessionBeatAtMs: null }), 1_200)
  assert.equal(nextAskMs({ startedMs: 1_000, beatMs: BEAT_MS, sessionBeatAtMs: null }), 1_200)
})

test('from wherever it starts, a look comes into step with the session and stays there', () => {
  for (let offsetMs = 0; offsetMs < BEAT_MS; offsetMs += 1) {
    let startedMs = 1_000
    let beatAtMs = 1_000 + offsetMs
    for (let n = 0; n < 12; n += 1) {
      // The session told its next beat when the last one left.
      while (beatAtMs <= startedMs) beatAtMs += BEAT_MS + 1
      let nextMs = nextLookMs({ startedMs, beatMs: BEAT_MS, sessionBeatAtMs: beatAtMs })
      if (nextMs > beatAtMs) {
        beatAtMs += BEAT_MS + 1
        nextMs = nextLookMs({ startedMs, beatMs: BEAT_MS, sessionBeatAtMs: beatAtMs })
      }
      assert.ok(nextMs - startedMs >= BEAT_MS / 2 && nextMs - startedMs <= BEAT_MS * 1.1, `${nextMs - startedMs} ms`)
      startedMs = nextMs
    }
    assert.equal(beatAtMs - startedMs, 5, `from ${offsetMs} ms off`)
  }
})

test('beats that are tried in quick succession do not make the looks as quick', () => {
  const startedMs = 1_000
  for (const sessionBeatAtMs of [1_001, 1_020, 1_050, 1_090]) {
    assert.ok(nextLookMs({ startedMs, beatMs: BEAT_MS, sessionBeatAtMs }) >= startedMs + BEAT_MS / 2)
  }
})

test('the beat is an eighth while a holder is about to be given up, and no longer', () => {
  const holder = { unchangedSinceMs: 1_000, ttlMs: 3_000 }
  assert.equal(beatNow(600, null, 9_000), 600)
  for (const [silentMs, beatMs] of [
    [0, 600],
    [1_799, 600],
    [1_800, 75],
    [3_200, 75],
    [4_501, 600],
    [60_000, 600],
  ] as const) {
    assert.equal(beatNow(600, holder, 1_000 + silentMs), beatMs, `after ${silentMs} ms`)
  }
  assert.equal(beatNow(80, { unchangedSinceMs: 0, ttlMs: 400 }, 400), 25)
  assert.equal(beatNow(20, { unchangedSinceMs: 0, ttlMs: 100 }, 100), 20)
})
