import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  answerEngine,
  answerSessionWrite,
  answerWrite,
  engineView,
  memberSettings,
  openRecord,
  peerReport,
  roleOf,
  type Script,
  startScript,
  take,
  tell,
  tick,
} from '../lease/script.ts'
import type { StandbyView } from '../model.ts'

const BEAT_MS = 50

/** One look of the primary at its standbys, with their reports, and whatever it asked for granted. */
function look(s: Script, lsn: number, flushed: Readonly<Record<string, number>>): void {
  const standbys = Object.entries(flushed).map(([member, flushLsn]): StandbyView => {
    const engine = engineView(member, { position: { timeline: 2, lsn: flushLsn } })
    tell(s, s.nowMs + 1, { kind: 'peer', report: peerReport(member, { engine, epoch: 2 }) })
    return { member, streaming: true, flushLsn }
  })
  const change = { role: 'primary', receiving: false, upstream: null, standbys } as const
  tell(s, s.nowMs + 1, { kind: 'engine-view', view: engineView('a', { ...change, position: { timeline: 2, lsn } }) })
  for (let round = 0; round < 4; round += 1) {
    if (s.pending.some((a) => a.kind === 'engine')) answerEngine(s, s.nowMs + 1, { ok: true, position: null, lsn })
    if (s.pending.some((a) => a.kind === 'write-record')) answerWrite(s, s.nowMs + 1, 'ok', s.nowMs)
    if (s.pending.some((a) => a.kind === 'write-session')) answerSessionWrite(s, s.nowMs + 1, s.nowMs)
  }
  tick(s, s.nowMs + BEAT_MS)
}

function listed(s: Script): readonly string[] {
  return s.state.members.a?.record?.value?.sync.members ?? []
}

/** Member a, open, with b and c streaming and one of them listed. */
function primary(): Script {
  const s = startScript(memberSettings('a', { kind: 'sync' }))
  const release = { position: null, clean: false, to: null, because: 'x' }
  tell(s, 0, { kind: 'record', revision: 5, value: openRecord({ phase: 'released', release }), sentAtMs: 0, id: null })
  tell(s, 1, { kind: 'engine-view', view: engineView('a') })
  tell(s, 2, { kind: 'guard-armed', untilMs: 0 })
  answerSessionWrite(s, 3, 2)
  answerWrite(s, 10, 'ok', 10)
  tell(s, 11, { kind: 'guard-armed', untilMs: take(s, 'arm').untilMs })
  answerEngine(s, 60, { ok: true, position: { timeline: 2, lsn: 1_100 }, lsn: 1_100 })
  for (let lsn = 1_100; lsn < 1_106; lsn += 1) look(s, lsn, { b: lsn, c: lsn })
  assert.equal(roleOf(s), 'primary')
  assert.deepEqual(listed(s), ['b'])
  return s
}

test('a listed standby that streams on paper but confirms nothing is replaced within two beats', () => {
  const s = primary()
  const sinceMs = s.nowMs
  for (let lsn = 1_200; lsn < 1_260 && listed(s).includes('b'); lsn += 1) look(s, lsn, { b: 1_105, c: lsn })
  assert.deepEqual(listed(s), ['c'])
  assert.ok(s.nowMs - sinceMs < 700, `${s.nowMs - sinceMs} ms`)
})

test('a listed standby stays when it is slow for a moment, when all are slow, and while nothing is written', () => {
  const s = primary()
  look(s, 1_200, { b: 1_105, c: 1_200 })
  look(s, 1_201, { b: 1_200, c: 1_201 })
  for (let lsn = 1_202; lsn < 1_230; lsn += 1) look(s, lsn, { b: lsn - 1, c: lsn })
  assert.deepEqual(listed(s), ['b'])
  for (let n = 0; n < 30; n += 1) look(s, 1_300 + n, { b: 1_230, c: 1_230 })
  assert.deepEqual(listed(s), ['b'])
  look(s, 1_400, { b: 1_400, c: 1_400 })
  for (let n = 0; n < 30; n += 1) look(s, 1_400, { b: 1_400, c: 1_400 })
  assert.deepEqual(listed(s), ['b'])
})
