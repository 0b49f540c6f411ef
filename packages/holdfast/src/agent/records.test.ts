import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { GroupRecord, PeerReport } from '../core/model.ts'
import { localReport, parseGroupRecord, parseReports, parseSessionRecord } from './records.ts'

const RECORD: GroupRecord = {
  v: 1,
  stamp: 's',
  group: 'orders',
  epoch: 3,
  phase: 'open',
  holder: 'm1',
  agent: 'a1',
  session: 'x-1',
  systemId: '77',
  timeline: 2,
  members: ['m1', 'm2'],
  sync: { members: ['m2'], need: 1, disks: { m2: 'd' } },
  lastOpen: { member: 'm1', epoch: 3, diskId: 'd1' },
  lastPublished: null,
  release: null,
  intent: null,
  pause: null,
  lastIntent: null,
}

test('a whole record is read as it was written', () => {
  assert.deepEqual(parseGroupRecord(JSON.stringify(RECORD), 'orders'), { ok: true, value: RECORD })
  assert.deepEqual(parseGroupRecord(null, 'orders'), { ok: true, value: null })
})

test('nonsense is never trusted, whatever its kind', () => {
  const wrong: unknown[] = [
    'text',
    7,
    null,
    [],
    {},
    { ...RECORD, v: 2 },
    { ...RECORD, epoch: -1 },
    { ...RECORD, epoch: 1.5 },
    { ...RECORD, epoch: '3' },
    { ...RECORD, epoch: 2 ** 60 },
    { ...RECORD, phase: 'opened' },
    { ...RECORD, group: 'other' },
    { ...RECORD, members: ['m1', 7] },
    { ...RECORD, sync: { members: [], need: 0 } },
    { ...RECORD, release: { position: null } },
    { ...RECORD, tomorrow: true },
  ]
  for (const value of wrong) {
    assert.equal(parseGroupRecord(JSON.stringify(value), 'orders').ok, false, JSON.stringify(value))
  }
  for (const text of ['', '{', '\u0000', '{"v":1']) assert.equal(parseGroupRecord(text, 'orders').ok, false, text)
  for (const field of Object.keys(RECORD)) {
    const { [field as keyof GroupRecord]: _, ...rest } = RECORD
    assert.equal(parseGroupRecord(JSON.stringify(rest), 'orders').ok, false, `without ${field}`)
  }
})

test("a session under another agent's key is nonsense", () => {
  const session = { v: 1, agent: 'a1', session: 'x', beat: 4, ttlMs: 1_000, positions: {} }
  assert.equal(parseSessionRecord(JSON.stringify(session), 'a1').ok, true)
  assert.equal(parseSessionRecord(JSON.stringify(session), 'a2').ok, false)
  assert.equal(parseSessionRecord(JSON.stringify({ ...session, ttlMs: 0 }), 'a1').ok, false)
})

test('a peer that answers nonsense says nothing', () => {
  for (const text of ['', '[]', '{"nowMs":1}', '{"nowMs":1,"reports":[{}]}']) assert.equal(parseReports(text).ok, false)
})

test("a peer's report is told in our clock, and the way it came makes it older", () => {
  const engine = { observedAtMs: 900_000 } as NonNullable<PeerReport['engine']>
  const report = { member: 'm2', loopAgeMs: 5, engine } as PeerReport
  const local = localReport(report, 900_040, 1_000, 1_030)
  assert.equal(local.engine?.observedAtMs, 960, '40 ms old when the question left')
  assert.equal(local.loopAgeMs, 35)
})
