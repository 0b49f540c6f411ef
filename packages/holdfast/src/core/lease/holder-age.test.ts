import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memberOf, memberSettings, openRecord, type Script, sessionRecord, startScript, tell } from './script.ts'

const ASYNC = { kind: 'async', lossBytesMax: 1_000, lossMsMax: 5_000 } as const
const BEAT_MS = memberSettings('c', ASYNC).timing.beatMs

/** A member whose process begins while `a` leads since long ago. */
function found(): Script {
  const s = startScript(memberSettings('c', ASYNC))
  tell(s, 0, { kind: 'record', revision: 5, value: openRecord(), sentAtMs: 0, id: null })
  return s
}

function beat(s: Script, atMs: number, number: number): void {
  const position = { epoch: 1, timeline: 1, lsn: 100 * number, ackedLsn: 0 }
  const value = { ...sessionRecord('agent-a', 'a-1', number), positions: { g: position } }
  tell(s, atMs, { kind: 'session', agent: 'agent-a', value, sentAtMs: null, id: null })
}

const ageOf = (s: Script): number | null | undefined => memberOf(s).holder?.publishedAfterMs
const history = (s: Script): readonly (readonly number[])[] =>
  (memberOf(s).holder?.history ?? []).map((h) => [h.lsn, h.afterMs])

test('what a holder published before this process looked is of unknown age; its next beat is not', () => {
  const s = found()
  beat(s, 10, 7)
  assert.equal(ageOf(s), null)
  assert.deepEqual(history(s), [])
  beat(s, 10 + BEAT_MS, 8)
  assert.equal(ageOf(s), 10)
  assert.deepEqual(history(s), [[800, 10]])
})

test('a beat that comes late was sent any time since the one before it was seen', () => {
  const s = found()
  beat(s, 10, 7)
  beat(s, 210, 8)
  beat(s, 22_000, 9)
  assert.equal(ageOf(s), 210)
  beat(s, 22_200, 10)
  assert.equal(ageOf(s), 22_000)
})

test('of beats that come at once, none is dated by another of them', () => {
  const s = found()
  beat(s, 10, 7)
  beat(s, 210, 8)
  for (const number of [9, 10, 11]) beat(s, 10_000 + number, number)
  assert.equal(ageOf(s), 210)
  assert.deepEqual(history(s).slice(-3), [
    [900, 210],
    [1_000, 210],
    [1_100, 210],
  ])
})

test('a leadership that began while this process looked has no forgotten past', () => {
  const s = found()
  const value = openRecord({ epoch: 2, holder: 'b', agent: 'agent-b', session: 'b-1' })
  tell(s, 500, { kind: 'record', revision: 6, value, sentAtMs: null, id: null })
  assert.equal(ageOf(s), 500)
})
