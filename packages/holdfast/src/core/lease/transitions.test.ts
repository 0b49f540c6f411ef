/**
 * Random walks through the whole core of one member: plausible, late, doubled, stale and unknown results in any order.
 * No walk may leave the transition table, and what comes out must keep the invariants of SPEC.md (walk.fixture.ts).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { GroupRecord, Role } from '../model.ts'
import type { MemberSettings } from '../settings.ts'
import { engineView, memberSettings, openRecord, peerReport, sessionRecord } from './script.ts'
import { BY_DECIDING, BY_EVENT } from './transitions.ts'
import { Walk } from './walk.fixture.ts'

/** One kind of thing that may happen; `n` picks among its variants. */
type Happening = (w: Walk, n: number) => void

const pick = <T>(n: number, ...of: readonly T[]): T => {
  const found = of[n % of.length]
  assert.ok(found !== undefined)
  return found
}

function tellRecord(w: Walk, stale: boolean, sentAtMs: number | null): void {
  const { nowMs } = w
  if (stale) {
    if (w.revision > (w.toldRecord?.revision ?? 0)) return
    w.tell({ kind: 'record', revision: w.revision - 1, value: openRecord(), sentAtMs: null, id: null, nowMs })
    return
  }
  w.noteRecord(w.revision, w.record)
  w.tell({ kind: 'record', revision: w.revision, value: w.record, sentAtMs, id: null, nowMs })
}

/** Somebody else, or an operator, writes the record. */
const foreignWrite: Happening = (w, n) => {
  if (w.own.role === 'demoting' && n % 6 === 0) return
  const { epoch } = w.record
  const by = pick(n, 'a', 'c')
  const lead = { holder: by, agent: `agent-${by}`, session: `${by}-${epoch + 1}`, release: null }
  const intent = {
    id: `i${w.revision}`,
    kind: pick(n, 'switchover' as const, 'failover' as const),
    to: pick(n, null, 'c', 'b', 'a'),
    allowDataLoss: n % 5 === 0,
    by: 'op',
    validMs: 1_500,
  }
  const release = {
    position: { timeline: 1, lsn: 1_000 },
    clean: n % 2 === 0,
    to: pick(n, 'b', null, 'c'),
    because: '',
  }
  const change: Partial<GroupRecord> = pick(
    n,
    { phase: 'released', release } as const,
    { intent: w.record.intent === null ? intent : null },
    { epoch: epoch + 1, phase: 'claimed', ...lead } as const,
    { pause: w.record.pause === null ? { id: `p${n}`, by: 'op', because: '', validMs: 900 } : null },
    { intent },
    {
      epoch: epoch + 1,
      phase: 'open',
      ...lead,
      lastOpen: { member: by, epoch: epoch + 1, diskId: `disk-${by}` },
    } as const,
  )
  w.record = { ...w.record, ...change, stamp: `other:${w.revision}` }
  w.revision += 1
  if (n % 3 !== 0) tellRecord(w, false, null)
}

const answerWrite: Happening = (w, n) => {
  const action = w.find('write-record')
  if (action === undefined) return
  w.drop(action)
  const { nowMs } = w
  const applies = action.ifRevision === w.revision && n % 7 !== 0
  if (applies) {
    w.revision += 1
    w.record = action.record
  }
  const lost = n % 3 === 0
  const conflict = { kind: 'conflict', revision: w.revision, value: w.record } as const
  const outcome = lost
    ? ({ kind: 'unknown', because: 'timeout' } as const)
    : applies
      ? ({ kind: 'ok', revision: w.revision, value: action.record } as const)
      : conflict
  if (!lost && w.own.write?.id === action.id) w.noteRecord(w.revision, w.record)
  w.tell({ kind: 'record-written', id: action.id, sentAtMs: nowMs - 1, outcome, nowMs })
}

const answerBeat: Happening = (w, n) => {
  const action = w.find('write-session')
  if (action === undefined) return
  w.drop(action)
  const { nowMs } = w
  const sentAtMs = Math.max(0, nowMs - pick(n, 1, 60, 300))
  if (n % 6 === 5) {
    const outcome = { kind: 'unknown', because: '' } as const
    w.tellSession({ kind: 'session-written', id: action.id, sentAtMs, outcome, nowMs })
    return
  }
  if (n % 31 === 30) {
    const value = sessionRecord('agent-b', 'stranger', n)
    const outcome = { kind: 'conflict', revision: 900, value } as const
    w.tellSession({ kind: 'session-written', id: action.id, sentAtMs, outcome, nowMs })
    return
  }
  w.sessionRevision += 1
  w.confirmedSentMs = Math.max(w.confirmedSentMs, sentAtMs)
  const outcome = { kind: 'ok', revision: w.sessionRevision, value: action.record } as const
  w.tellSession({ kind: 'session-written', id: action.id, sentAtMs, outcome, nowMs })
}

const holderSession: Happening = (w, n) => {
  const agent = w.record.agent ?? 'agent-a'
  if (n % 4 === 0) w.holderBeat += 1
  const beat = n % 9 === 8 ? w.holderBeat - 2 : w.holderBeat
  const named = n % 13 === 12 ? 'newer-life' : (w.record.session ?? 'a-1')
  const value = n % 17 === 16 ? null : sessionRecord(agent, named, beat)
  const read = w.find('read-session')
  const { nowMs } = w
  if (read !== undefined && n % 2 === 0) {
    w.drop(read)
    if (n % 10 === 4) {
      w.tell({ kind: 'read-failed', id: read.id, because: '', nowMs })
      return
    }
    w.noteSession(read.agent, value, nowMs - 1)
    w.tell({ kind: 'session', agent: read.agent, value, sentAtMs: nowMs - 1, id: read.id, nowMs })
    return
  }
  w.noteSession(agent, value, -1)
  w.tell({ kind: 'session', agent, value, sentAtMs: null, id: null, nowMs })
}

const answerEngine: Happening = (w, n) => {
  const action = w.op
  if (action === null || (n % 5 === 0 && action.command.do !== 'fence')) return
  w.drop(action)
  w.op = null
  const ok = n % 4 !== 0
  if (ok && (action.command.do === 'fence' || action.command.do === 'stop')) w.mayBePrimary = false
  const position = { timeline: 2, lsn: 2_000 }
  const outcome = ok ? ({ ok, position, lsn: 2_000 } as const) : ({ ok, because: 'no', retryable: true } as const)
  w.tell({ kind: 'engine-done', id: action.id, outcome, nowMs: w.nowMs })
}

const view: Happening = (w, n) => {
  const leads = w.mayBePrimary && n % 8 !== 0
  const standbys = [
    { member: 'c', streaming: n % 3 !== 0, flushLsn: 2_000 + n },
    { member: 'a', streaming: n % 5 === 0, flushLsn: 1_900 },
  ]
  const base = { observedAtMs: w.nowMs, position: { timeline: leads ? 2 : 1, lsn: 1_000 + n } }
  const seen = leads
    ? engineView('b', { ...base, role: 'primary', receiving: false, upstream: null, standbys })
    : engineView('b', { ...base, receiving: n % 2 === 0, upstream: pick(n, 'a', 'c', null) })
  const odd =
    n % 11 === 10
      ? { running: false, answering: false, role: 'none' as const }
      : n % 19 === 18
        ? { answering: false }
        : {}
  w.tell({ kind: 'engine-view', view: { ...seen, ...odd }, nowMs: w.nowMs })
}

const peers: Happening = (w, n) => {
  const from = pick(n, 'a', 'c')
  const engine = engineView(from, { observedAtMs: w.nowMs, position: { timeline: 1, lsn: 900 + (n % 250) } })
  const report = peerReport(from, { engine, writableForMs: n % 6 === 0 ? 300 : 0, epoch: w.record.epoch })
  const freeze = w.find('ask-freeze')
  const failsafe = w.find('ask-failsafe')
  const { nowMs } = w
  if (failsafe !== undefined && n % 3 === 0) {
    if (n % 9 === 0) w.drop(failsafe)
    const accept = n % 8 !== 7
    const sentAtMs = nowMs - (n % 50)
    const own = w.accepts.get(failsafe.id) ?? new Map<string, number>()
    if (accept) own.set(from, Math.min(own.get(from) ?? sentAtMs, sentAtMs))
    w.accepts.set(failsafe.id, own)
    if (failsafe.members.every((m) => own.has(m)))
      w.failsafeSentMs = Math.max(w.failsafeSentMs, Math.min(...own.values()))
    w.tell({ kind: 'failsafe-answer', id: failsafe.id, from, sentAtMs, accept, because: '', nowMs })
  } else if (freeze !== undefined && n % 3 !== 2) {
    if (n % 9 === 1) w.drop(freeze)
    w.tell({ kind: 'freeze-answer', id: freeze.id, from, report: n % 7 === 0 ? null : report, nowMs })
  } else if (n % 7 === 5) w.tell({ kind: 'freeze-asked', id: 9_000 + n, from, epoch: w.record.epoch + (n % 2), nowMs })
  else if (n % 7 === 6) w.tell({ kind: 'failsafe-asked', id: 8_000 + n, from, epoch: w.record.epoch, nowMs })
  else if (n % 7 === 4) w.tell({ kind: 'restart-asked', id: 7_000 + n, by: 'me', ifEpoch: w.record.epoch, nowMs })
  else w.tell({ kind: 'peer', report, nowMs })
}

const guard: Happening = (w, n) => {
  const { nowMs } = w
  const arm = w.find('arm')
  if (n % 23 === 22) w.tell({ kind: 'guard-gone', because: 'died', nowMs })
  else if (n % 23 === 21) {
    w.tell({ kind: 'guard-fired', nowMs })
  } else if (arm !== undefined) {
    w.drop(arm)
    w.tell({ kind: 'guard-armed', untilMs: arm.untilMs, nowMs })
  } else w.tell({ kind: 'guard-armed', untilMs: 0, nowMs })
}

/** A result that comes a second time, or whose id nobody waits for. */
const doubled: Happening = (w, n) => {
  const action = w.old[n % Math.max(1, w.old.length)]
  const { nowMs } = w
  const position = { timeline: 1, lsn: 1 }
  if (action?.kind === 'engine')
    w.tell({ kind: 'engine-done', id: action.id, outcome: { ok: n % 2 === 0, position, lsn: 1 } as never, nowMs })
  else if (action?.kind === 'write-record') {
    const outcome = { kind: 'ok', revision: 6, value: action.record } as const
    if (w.own.write?.id !== action.id) w.tell({ kind: 'record-written', id: action.id, sentAtMs: 0, outcome, nowMs })
  } else if (n % 4 === 0) tellRecord(w, true, null)
  else if (n % 41 === 40) w.tell({ kind: 'engine-exited', nowMs })
  else tellRecord(w, false, nowMs - 1)
}

/** Everybody answers at once and well, so that walks get far before things go wrong. */
const settle: Happening = (w, n) => {
  for (let round = 0; round < 1 + (n % 6); round += 1) {
    w.nowMs += 1
    answerBeat(w, 0)
    answerWrite(w, 1)
    guard(w, 0)
    answerEngine(w, 1)
    view(w, 2)
  }
}

/** The lease lies free. Nobody but its holder gives one back, so a hand-over of ours is left alone. */
const give: Happening = (w) => {
  if (w.own.role === 'demoting') return
  const release = { position: null, clean: false, to: null, because: '' }
  w.record = { ...w.record, phase: 'released', release, stamp: `other:${w.revision}` }
  w.revision += 1
  tellRecord(w, false, null)
}

/** An operator asks for a switchover while everything is well. */
const order: Happening = (w, n) => {
  const intent = {
    id: `s${w.revision}`,
    kind: 'switchover',
    to: 'c',
    allowDataLoss: false,
    by: 'op',
    validMs: 900,
  } as const
  settle(w, 5)
  w.record = { ...w.record, intent, stamp: `other:${w.revision}` }
  w.revision += 1
  const engine = engineView('c', { observedAtMs: w.nowMs, position: { timeline: 1, lsn: 1_900 } })
  w.tell({ kind: 'peer', report: peerReport('c', { engine }), nowMs: w.nowMs })
  view(w, 1)
  tellRecord(w, false, null)
  for (let round = 0; round < n % 5; round += 1) answerEngine(w, 1)
}

const HAPPENINGS: readonly Happening[] = [
  settle,
  settle,
  settle,
  settle,
  give,
  order,
  order,
  answerWrite,
  answerBeat,
  answerEngine,
  view,
  guard,
  answerBeat,
  answerWrite,
  holderSession,
  answerEngine,
  peers,
  answerBeat,
  holderSession,
  guard,
  foreignWrite,
  peers,
  view,
  (w) => w.tick(),
  doubled,
]

const STEP = fc.tuple(
  fc.constantFrom(1, 1, 1, 2, 5, 5, 20, 20, 60, 60, 150, 150, 400, 1_050, 2_500, 6_000),
  fc.nat({ max: HAPPENINGS.length - 1 }),
  fc.nat({ max: 4_000 }),
)

function startWalk(replication: MemberSettings['replication']): Walk {
  const w = new Walk(memberSettings('b', replication))
  tellRecord(w, false, 0)
  view(w, 2)
  guard(w, 0)
  answerBeat(w, 0)
  return w
}

const seen = new Set<Role>()

for (const replication of [
  { kind: 'sync' },
  { kind: 'quorum', need: 1 },
  { kind: 'async', lossBytesMax: 1_000_000, lossMsMax: 60_000 },
] as const) {
  test(`no walk leaves the table or breaks an invariant: ${replication.kind}`, () => {
    fc.assert(
      fc.property(fc.array(STEP, { minLength: 40, maxLength: 160 }), (steps) => {
        const w = startWalk(replication)
        for (const [gapMs, which, n] of steps) {
          w.nowMs += gapMs
          if (n % 8 !== 0) answerBeat(w, 0)
          HAPPENINGS[which]?.(w, n)
        }
        for (const role of w.roles) seen.add(role)
      }),
      { numRuns: 500 },
    )
  })
}

test('the walks have visited every role', () => {
  const all: readonly Role[] = [
    'idle',
    'replica',
    'claiming',
    'promoting',
    'primary',
    'demoting',
    'fencing',
    'releasing',
  ]
  assert.deepEqual(
    all.filter((role) => !seen.has(role)),
    [],
  )
})

test('the table has a row for every role, and leads only to roles it has', () => {
  const roles = Object.keys(BY_DECIDING)
  for (const row of Object.values(BY_EVENT)) for (const to of Object.values(row).flat()) assert.ok(roles.includes(to))
  for (const to of Object.values(BY_DECIDING).flat()) assert.ok(roles.includes(to))
})
