/**
 * Golden scenarios of the lease room. Each produces a text that is compared with `testdata/<name>.txt`.
 * `HOLDFAST_REWRITE=1 npm run unit` writes them anew; commit a rewrite only if you understand every changed line.
 */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import type { GroupRecord } from '../model.ts'
import {
  answerEngine,
  answerSessionRead,
  answerSessionWrite,
  answerWrite,
  engineView,
  memberSettings,
  note,
  openRecord,
  peerReport,
  roleOf,
  type Script,
  sessionRecord,
  startScript,
  tell,
  tick,
} from './script.ts'

function golden(name: string, s: Script): void {
  const file = new URL(`./testdata/${name}.txt`, import.meta.url)
  const text = `${s.lines.join('\n').trim()}\n`
  if (process.env.HOLDFAST_REWRITE === '1') writeFileSync(file, text)
  assert.equal(text, readFileSync(file, 'utf8'))
}

/** Replica b of a sync group whose holder a beats; session and guard of b are ready. */
function replica(self = 'b', record: GroupRecord = openRecord()): Script {
  const s = startScript(memberSettings(self, { kind: 'sync' }))
  note(s, 'start: record, own engine, guard and session')
  tell(s, 0, { kind: 'record', revision: 5, value: record, sentAtMs: 0, id: null })
  tell(s, 1, { kind: 'engine-view', view: engineView(self) })
  tell(s, 2, { kind: 'guard-armed', untilMs: 0 })
  answerSessionWrite(s, 3, 2)
  tell(s, 4, { kind: 'session', agent: 'agent-a', value: sessionRecord('agent-a', 'a-1', 7), sentAtMs: null, id: null })
  return s
}

function beatTo(s: Script, untilMs: number): void {
  while (s.nowMs + 200 <= untilMs) {
    tick(s, s.nowMs + 200)
    if (s.pending.some((a) => a.kind === 'write-session')) answerSessionWrite(s, s.nowMs + 1, 2 + s.nowMs)
  }
}

test('a silent holder is replaced after ttl, fresh read, armed guard, gated promotion and opened record', () => {
  const s = replica()
  note(s, 'nothing of the holder any more; b beats its own session')
  beatTo(s, 1_000)
  note(s, 'the ttl and the margin have passed: look once more before acting')
  tick(s, 1_030)
  answerSessionRead(s, 1_032, sessionRecord('agent-a', 'a-1', 7))
  answerWrite(s, 1_034, 'ok')
  note(s, 'the lease is won; the guard confirms, the engine is promoted behind the gate')
  tell(s, 1_035, { kind: 'guard-armed', untilMs: 1_637 })
  answerEngine(s, 1_095, { ok: true, position: { timeline: 2, lsn: 1_100 }, lsn: 1_100 })
  const view = engineView('b', {
    role: 'primary',
    receiving: false,
    upstream: null,
    position: { timeline: 2, lsn: 1_100 },
  })
  tell(s, 1_097, { kind: 'engine-view', view })
  answerWrite(s, 1_099, 'ok', 10)
  answerEngine(s, 1_110, { ok: true, position: null, lsn: 1_150 })
  assert.equal(roleOf(s), 'primary')
  golden('silent-holder', s)
})

test('a holder that beats again before the look is left alone', () => {
  const s = replica()
  beatTo(s, 1_000)
  tick(s, 1_030)
  answerSessionRead(s, 1_032, sessionRecord('agent-a', 'a-1', 8))
  tick(s, 1_300)
  assert.equal(roleOf(s), 'replica')
  golden('late-beat', s)
})

test('a member outside the sync set does not take over and says why', () => {
  const s = replica('c')
  beatTo(s, 1_000)
  tick(s, 1_030)
  answerSessionRead(s, 1_032, sessionRecord('agent-a', 'a-1', 7))
  assert.equal(roleOf(s), 'replica')
  golden('not-listed', s)
})

test('a claim whose answer was lost is repeated word for word until it is certain', () => {
  const s = replica()
  beatTo(s, 1_000)
  tick(s, 1_030)
  answerSessionRead(s, 1_032, sessionRecord('agent-a', 'a-1', 7))
  const claim = s.pending.find((a) => a.kind === 'write-record')
  answerWrite(s, 1_180, 'unknown')
  tick(s, 1_190)
  note(s, 'the first attempt had been applied after all: the conflict shows our own stamp')
  assert.ok(claim?.kind === 'write-record')
  answerWrite(s, 1_195, { kind: 'conflict', revision: 9, value: claim.record })
  assert.equal(roleOf(s), 'promoting')
  golden('lost-answer', s)
})

test('a released lease with a final position is taken at once by the one it names', () => {
  const s = replica()
  const release = { position: { timeline: 1, lsn: 1_000 }, clean: true, to: 'b', because: 'switchover' }
  tell(s, 50, {
    kind: 'record',
    revision: 6,
    value: openRecord({ phase: 'released', release }),
    sentAtMs: null,
    id: null,
  })
  assert.equal(roleOf(s), 'claiming')
  golden('released-to-me', s)
})

/** Member a made primary of epoch 2 through a takeover, with its sync set published. */
function primary(): Script {
  const s = replica(
    'a',
    openRecord({ phase: 'released', release: { position: null, clean: false, to: null, because: 'x' } }),
  )
  answerWrite(s, 10, 'ok', 10)
  tell(s, 11, { kind: 'guard-armed', untilMs: 700 })
  answerEngine(s, 60, { ok: true, position: { timeline: 2, lsn: 1_100 }, lsn: 1_100 })
  const standbys = [{ member: 'b', streaming: true, flushLsn: 1_200 }]
  const view = engineView('a', {
    role: 'primary',
    receiving: false,
    upstream: null,
    standbys,
    position: { timeline: 2, lsn: 1_200 },
  })
  tell(s, 62, { kind: 'engine-view', view })
  answerWrite(s, 64, 'ok', 11)
  answerEngine(s, 75, { ok: true, position: null, lsn: 1_150 })
  tell(s, 80, {
    kind: 'peer',
    report: peerReport('b', { engine: engineView('b', { position: { timeline: 2, lsn: 1_200 } }) }),
  })
  tell(s, 81, { kind: 'engine-view', view })
  return s
}

test('a primary publishes its standby only after it confirmed the log end of the change', () => {
  const s = primary()
  answerEngine(s, 90, { ok: true, position: null, lsn: 1_190 })
  answerWrite(s, 95, 'ok', 12)
  assert.equal(roleOf(s), 'primary')
  golden('sync-set-published', s)
})

test('a primary whose beats are not confirmed asks everybody, and fences when one refuses', () => {
  const s = primary()
  s.pending = s.pending.filter((a) => a.kind !== 'write-session')
  note(s, 'the store is away: no beat is confirmed any more')
  tick(s, 420)
  const ask = s.pending.find((a) => a.kind === 'ask-failsafe')
  assert.ok(ask?.kind === 'ask-failsafe')
  const answer = { kind: 'failsafe-answer', id: ask.id, sentAtMs: 421 } as const
  tell(s, 425, { ...answer, from: 'b', accept: true, because: 'promised' })
  tell(s, 426, { ...answer, from: 'c', accept: false, because: 'newer-epoch-known' })
  tick(s, 850)
  assert.equal(roleOf(s), 'fencing')
  golden('failsafe-refused', s)
})

test('a late confirmation does not revive a lapsed session', () => {
  const s = primary()
  note(s, 'the beat leaves, its answer comes after the trust has ended')
  tick(s, 210)
  tick(s, 900)
  assert.equal(roleOf(s), 'fencing')
  answerSessionWrite(s, 1_500, 99, 211)
  assert.equal(roleOf(s), 'fencing')
  golden('late-confirmation', s)
})

test('a crashed engine with a caught-up standby is killed completely before its lease is given back', () => {
  const s = primary()
  answerEngine(s, 90, { ok: true, position: null, lsn: 1_190 })
  answerWrite(s, 95, 'ok', 12)
  const view = engineView('a', {
    role: 'primary',
    receiving: false,
    standbys: [{ member: 'b', streaming: true, flushLsn: 1_200 }],
    position: { timeline: 2, lsn: 1_200 },
    redoBytes: 2_000_000_000,
  })
  tell(s, 100, { kind: 'engine-view', view })
  tell(s, 110, { kind: 'engine-exited' })
  answerEngine(s, 130)
  assert.equal(roleOf(s), 'releasing')
  answerWrite(s, 135, 'ok', 13)
  assert.equal(roleOf(s), 'replica')
  golden('crash-released', s)
})
