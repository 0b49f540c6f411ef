import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startMember } from '../core/lease/member-state.ts'
import { engineView, memberSettings } from '../core/lease/script.ts'
import { startNode } from '../core/node.ts'
import { staleMs } from './snapshot.ts'

const HOLDER = {
  agent: 'agent-a',
  watched: 'a-1',
  session: 'a-1',
  beat: 7,
  ttlMs: 3_000,
  unchangedSinceMs: 9_000,
  readSentAtMs: -1,
  published: { epoch: 2, timeline: 2, lsn: 1_000, ackedLsn: 1_000 },
  publishedAtMs: 9_000,
  publishedAfterMs: 8_500,
  history: [{ lsn: 1_000, afterMs: 8_500 }],
} as const

const NODE = { agent: 'agent-b', ttlMs: 3_000, beatMs: 500, requestMs: 500, marginMs: 100 } as const

test('how old a copy is is only known on the timeline of the holder', () => {
  const settings = { ...NODE, members: [memberSettings('b', { kind: 'sync' })] }
  const moment = { state: startNode(settings, 'boot', 0), nowMs: 10_000, loopAgeMs: 0 }
  const at = (timeline: number, lsn: number): number | null => {
    const view = engineView('b', { position: { timeline, lsn } })
    return staleMs(moment, { ...startMember(0), role: 'replica', holder: HOLDER, view }, 500)
  }
  assert.equal(at(2, 1_000), 2_000)
  assert.equal(at(1, 5_000), null)
  assert.equal(at(2, 900), null)
})
