import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { SessionRecord } from '../model.ts'
import type { Action, StoreOutcome } from '../protocol.ts'
import { absorbSession, beatIfDue, CLOSED, lapse, type SessionState, type SessionTurn } from './session.ts'

const SETTINGS = { agent: 'x', ttlMs: 1_000, beatMs: 200, requestMs: 150, marginMs: 20 }

function turnAt(nowMs: number, sent: Action[], change: Partial<SessionTurn> = {}): SessionTurn {
  let id = sent.length
  return {
    settings: SETTINGS,
    bootId: 'boot',
    nowMs,
    mayOpen: true,
    positions: () => ({}),
    nextId: () => (id += 1),
    emit: (a) => sent.push(a),
    ...change,
  }
}

function lastWrite(sent: Action[]): Extract<Action, { kind: 'write-session' }> {
  const last = sent.at(-1)
  assert.ok(last?.kind === 'write-session')
  return last
}

interface Answer {
  readonly outcome: StoreOutcome<SessionRecord>
  readonly sentAtMs?: number
}

function written(state: SessionState, id: number, atMs: number, { outcome, sentAtMs = atMs - 1 }: Answer) {
  return absorbSession(state, { kind: 'session-written', id, nowMs: atMs, sentAtMs, outcome }, turnAt(atMs, []))
}

test('trust counts from before the beat left, not from its answer', () => {
  const sent: Action[] = []
  const opening = beatIfDue(CLOSED, turnAt(0, sent))
  const live = written(opening, lastWrite(sent).id, 140, {
    outcome: { kind: 'ok', revision: 1, value: null },
    sentAtMs: 3,
  })
  assert.equal(live.phase, 'live')
  assert.equal(live.trustedUntilMs, 3 + 1_000 - 20)
})

test('an answer after the trust ended finds the session closed', () => {
  const sent: Action[] = []
  const opening = beatIfDue(CLOSED, turnAt(0, sent))
  const live = written(opening, lastWrite(sent).id, 5, { outcome: { kind: 'ok', revision: 1, value: null } })
  const beating = beatIfDue(live, turnAt(200, sent))
  const lapsed = lapse(beating, 990, false)
  assert.equal(lapsed.phase, 'closed')
  const after = written(lapsed, lastWrite(sent).id, 1_100, {
    outcome: { kind: 'ok', revision: 2, value: null },
    sentAtMs: 201,
  })
  assert.equal(after.phase, 'closed')
  const reopened = beatIfDue(after, turnAt(1_101, sent))
  assert.notEqual(reopened.session, live.session)
})

test('a conflict that shows our own lost beat counts from when that beat left', () => {
  const sent: Action[] = []
  let state = beatIfDue(CLOSED, turnAt(0, sent))
  state = written(state, lastWrite(sent).id, 2, { outcome: { kind: 'ok', revision: 1, value: null } })
  state = beatIfDue(state, turnAt(200, sent))
  const lost = lastWrite(sent)
  state = written(state, lost.id, 350, { outcome: { kind: 'unknown', because: 'timeout' }, sentAtMs: 201 })
  state = beatIfDue(state, turnAt(400, sent))
  const second = lastWrite(sent)
  state = written(state, second.id, 402, {
    outcome: { kind: 'conflict', revision: 7, value: lost.record },
    sentAtMs: 401,
  })
  assert.equal(state.trustedUntilMs, 200 + 1_000 - 20)
  assert.equal(state.revision, 7)
})

test('a conflict with a stranger closes a live session at once', () => {
  const sent: Action[] = []
  let state = beatIfDue(CLOSED, turnAt(0, sent))
  state = written(state, lastWrite(sent).id, 2, { outcome: { kind: 'ok', revision: 1, value: null } })
  state = beatIfDue(state, turnAt(200, sent))
  const value: SessionRecord = { v: 1, agent: 'x', session: 'other-1', beat: 1, ttlMs: 1_000, positions: {} }
  state = written(state, lastWrite(sent).id, 202, { outcome: { kind: 'conflict', revision: 9, value } })
  assert.equal(state.phase, 'closed')
  assert.equal(state.trustedUntilMs, 0)
})

test('a session of another process is replaced only after it did not move for its ttl', () => {
  const sent: Action[] = []
  let state = beatIfDue(CLOSED, turnAt(0, sent))
  const value: SessionRecord = { v: 1, agent: 'x', session: 'old-1', beat: 5, ttlMs: 1_000, positions: {} }
  for (let t = 2; t < 1_400 && state.phase !== 'live'; t += 2) {
    const write = sent.at(-1)
    if (write?.kind === 'write-session' && state.attempts.some((x) => x.id === write.id)) {
      if (t < 1_022) assert.equal(write.ifRevision, 0, `tried to replace it at ${t}`)
      const won = write.ifRevision === 4
      const revision = won ? 5 : 4
      state = written(state, write.id, t, {
        outcome: { kind: won ? 'ok' : 'conflict', revision, value: won ? null : value },
      })
      if (!won) state = { ...state, attempts: [] }
    }
    state = beatIfDue(state, turnAt(t + 1, sent))
  }
  assert.equal(state.phase, 'live')
})

test('no new session opens while something is held', () => {
  const sent: Action[] = []
  assert.equal(beatIfDue(CLOSED, turnAt(0, sent, { mayOpen: false })).phase, 'closed')
  assert.equal(sent.length, 0)
})

test('whatever the answers, trust ends a ttl less margin after a send, and attempts stay spaced', () => {
  const answer = fc.record({
    delayMs: fc.integer({ min: 0, max: 1_500 }),
    kind: fc.constantFrom('ok', 'unknown', 'lost'),
  })
  fc.assert(
    fc.property(fc.array(answer, { minLength: 1, maxLength: 40 }), (answers) => {
      const sent: Action[] = []
      let state = CLOSED
      let newestSendMs = 0
      let lastSendMs = -1_000
      const due: { atMs: number; id: number; sentAtMs: number; kind: string }[] = []
      for (let t = 0; t < 6_000; t += 10) {
        state = lapse(state, t, false)
        for (const d of due.filter((x) => x.atMs === t)) {
          const outcome =
            d.kind === 'ok'
              ? ({ kind: 'ok', revision: t, value: null } as const)
              : ({ kind: 'unknown', because: '' } as const)
          state = written(state, d.id, t, { outcome, sentAtMs: d.sentAtMs })
        }
        const before = sent.length
        state = beatIfDue(state, turnAt(t, sent))
        if (sent.length > before) {
          assert.ok(t - lastSendMs >= SETTINGS.requestMs / 3 || lastSendMs < 0 || state.phase === 'opening')
          lastSendMs = t
          newestSendMs = t
          const a = answers[sent.length % answers.length]
          if (a !== undefined && a.kind !== 'lost') {
            due.push({ atMs: t + Math.ceil(a.delayMs / 10) * 10, id: lastWrite(sent).id, sentAtMs: t, kind: a.kind })
          }
        }
        assert.ok(state.trustedUntilMs <= newestSendMs + SETTINGS.ttlMs - SETTINGS.marginMs)
        if (state.phase === 'live') assert.ok(t < state.trustedUntilMs)
      }
    }),
    { numRuns: 200 },
  )
})
