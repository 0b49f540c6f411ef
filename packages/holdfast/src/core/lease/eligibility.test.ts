import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EngineView, GroupRecord } from '../model.ts'
import type { MemberSettings, Replication } from '../settings.ts'
import { better, type Case, candidateVerdicts, verdictOf } from './eligibility.ts'
import type { HolderFact } from './member-state.ts'
import { engineView, memberSettings, openRecord, peerReport, startScript, tell } from './script.ts'

const SYNC: Replication = { kind: 'sync' }
const ASYNC: Replication = { kind: 'async', lossBytesMax: 1_000, lossMsMax: 5_000 }

interface Given {
  readonly replication?: Replication
  readonly record?: Partial<GroupRecord>
  readonly view?: Partial<EngineView> | null
  readonly published?: Partial<HolderFact['published']>
  readonly history?: HolderFact['history']
  readonly publishedAfterMs?: number | null
  readonly noFailover?: boolean
  readonly allowDataLoss?: boolean
  readonly promisedUntilMs?: number
  readonly told?: Case['told']
  readonly member?: string
}

function holderOf(given: Given): HolderFact {
  const published = { epoch: 1, timeline: 1, lsn: 1_000, ackedLsn: 900, bytesPerSecond: 0, ...given.published }
  return {
    agent: 'agent-a',
    watched: 'a-1',
    session: 'a-1',
    beat: 7,
    ttlMs: 1_000,
    unchangedSinceMs: 5_000,
    readSentAtMs: 6_100,
    published,
    publishedAtMs: 5_000,
    publishedAfterMs: given.publishedAfterMs === undefined ? 4_800 : given.publishedAfterMs,
    history: given.history ?? [{ lsn: 1_000, afterMs: 4_800 }],
  }
}

function verdict(given: Given) {
  const member = given.member ?? 'b'
  const settings: MemberSettings = memberSettings(member, given.replication ?? SYNC)
  const c: Case = {
    settings,
    record: openRecord(given.record),
    recordSeenAtMs: 6_150,
    holder: given.published === null ? null : holderOf(given),
    nowMs: 6_200,
    allowDataLoss: given.allowDataLoss ?? false,
    promisedUntilMs: given.promisedUntilMs ?? 0,
    told: given.told ?? null,
  }
  const spec = { ...settings.self, noFailover: given.noFailover ?? false }
  return verdictOf(c, { spec, view: given.view === null ? null : engineView(member, given.view) })
}

const codes = (given: Given): string[] => verdict(given).because.map((e) => e.code)
const release = { position: { timeline: 1, lsn: 2_000 }, clean: true, to: null, because: 'x' }

/** Async, and the record says so, too: nobody has to confirm. */
const open = {
  replication: ASYNC,
  member: 'c',
  record: { sync: { members: [], need: 0, disks: {} } },
} as const satisfies Given

/** The copy has all that the holder last published, at 5 s. */
const hasAll = { ...open, view: { position: { timeline: 1, lsn: 1_000 } } } as const
/** In failsafe it publishes nothing. */
const ranOn = { ...hasAll, promisedUntilMs: 20_000 } as const

const TABLE: readonly (readonly [string, Given, readonly string[]])[] = [
  ['a listed member with its disk at the floor', { view: { position: { timeline: 1, lsn: 900 } } }, []],
  ['a member outside the failsafe list', { record: { members: ['a', 'c'] } }, ['not-in-failsafe-list']],
  ['a member set aside', { noFailover: true }, ['no-failover']],
  ['a member that was not seen', { view: null }, ['not-seen']],
  ['an unfinished copy', { view: { data: 'unfinished' } }, ['data-not-ready']],
  ['a silent engine', { view: { answering: false } }, ['engine-not-answering']],
  ['another system', { view: { systemId: '78' } }, ['system-id-differs']],
  ['a promotion that others overtook', { record: lastOpen(3), view: { unopenedEpoch: 2 } }, ['unopened-fork']],
  ['a promotion that nobody overtook', { record: lastOpen(3), view: { unopenedEpoch: 4 } }, []],
  ['no position', { view: { position: null } }, ['position-unknown', 'below-acknowledged-floor']],
  ['an older timeline', { record: { timeline: 2 } }, ['timeline-behind']],
  ['short of a clean stop', { record: { release } }, ['behind-final-position']],
  ['a member that is not listed', { member: 'c' }, ['not-in-sync-set']],
  ['a listed member with another disk', { view: { diskId: 'disk-x' } }, ['other-disk-than-confirmed']],
  ['a listed member below the floor', { view: { position: { timeline: 1, lsn: 899 } } }, ['below-acknowledged-floor']],
  ['an unlisted one with the final position', { member: 'c', record: { release }, view: at(2_000) }, []],
  [
    'a listed one on the way to the final position',
    { record: { release }, view: at(1_999) },
    ['behind-final-position'],
  ],
  ['async, no memory of when the holder passed it', { ...open, view: at(950) }, ['loss-time-above-bound']],
  ['async, old copy with history', { ...open, view: at(950), ...seenAfter(4_000) }, []],
  [
    'async, half the bound may be unpublished',
    { ...open, view: at(1_000), published: { lsn: 1_500 }, ...seenAfter(4_000) },
    [],
  ],
  [
    'async, bytes',
    { ...open, view: at(1_000), published: { lsn: 1_501 }, ...seenAfter(4_000) },
    ['loss-bytes-above-bound'],
  ],
  ['async, time', { ...open, view: at(950), ...seenAfter(999) }, ['loss-time-above-bound']],
  ['async, a holder that ran on by our promise', { ...ranOn, told: null }, ['loss-time-above-bound']],
  ['async, the same, and it told us that we keep up', { ...ranOn, told: { lsn: 1_000, atMs: 19_500 } }, []],
  [
    'async, the same, and it told us of more',
    { ...ranOn, told: { lsn: 1_001, atMs: 19_500 } },
    ['loss-time-above-bound'],
  ],
  ['async, a beat that may have been sent long before it came', { ...hasAll, publishedAfterMs: 100 }, []],
  [
    'async, the same, and we had promised the holder time',
    { ...hasAll, publishedAfterMs: 100, promisedUntilMs: 6_000 },
    ['loss-time-above-bound'],
  ],
  ['async, a beat that was there before we looked', { ...hasAll, publishedAfterMs: null }, ['loss-time-above-bound']],
  ['async, the word of another epoch', { ...open, published: { epoch: 9 } }, ['lag-unknown']],
]

function at(lsn: number): Partial<EngineView> {
  return { position: { timeline: 1, lsn } }
}

function lastOpen(epoch: number): Partial<GroupRecord> {
  return { lastOpen: { member: 'a', epoch, diskId: 'disk-a' } }
}

/** The holder passed 900 at `afterMs` or later, and fell silent at 5000. */
function seenAfter(afterMs: number): Pick<Given, 'history'> {
  return {
    history: [
      { lsn: 900, afterMs },
      { lsn: 1_000, afterMs: 4_800 },
    ],
  }
}

for (const [what, given, expected] of TABLE) {
  test(`${what}: ${expected.join(', ') || 'eligible'}`, () => {
    assert.deepEqual(codes(given), expected)
    assert.equal(verdict(given).eligible, expected.length === 0)
  })
}

test('the last open holder is complete with its own disk, whatever the list says, and nobody with another', () => {
  assert.equal(verdict({ member: 'a' }).complete, true)
  assert.deepEqual(codes({ member: 'a' }), [])
  assert.equal(verdict({ member: 'a', view: { diskId: 'new' } }).complete, false)
  assert.deepEqual(codes({ member: 'a', view: { diskId: 'new' } }), ['not-in-sync-set'])
})

test('an order that accepts loss lifts the rules about data, and none of the others', () => {
  assert.deepEqual(codes({ member: 'c', allowDataLoss: true }), [])
  assert.deepEqual(codes({ member: 'c', allowDataLoss: true, record: { release } }), [])
  assert.deepEqual(codes({ allowDataLoss: true, view: { systemId: '78', data: 'unfinished' } }), [
    'data-not-ready',
    'system-id-differs',
  ])
})

test('what a failed claim kept of the last open holder is a floor, too', () => {
  const lastPublished = { epoch: 1, timeline: 1, lsn: 2_000, ackedLsn: 1_500, bytesPerSecond: 0 }
  assert.deepEqual(codes({ record: { lastPublished }, published: { epoch: 7 } }), ['below-acknowledged-floor'])
})

test('a later timeline goes first, then the log end, then the priority, then the name', () => {
  const one = (member: string, timeline: number, lsn: number, priority = 0) => ({
    member,
    position: { timeline, lsn },
    priority,
  })
  const order = [
    one('d', 1, 900),
    one('c', 1, 900, 1),
    one('b', 2, 10),
    one('a', 1, 999),
    one('e', 1, 900),
    { member: 'f', position: null, priority: 9 },
  ]
  assert.deepEqual(
    order.sort(better).map((x) => x.member),
    ['b', 'a', 'c', 'd', 'e', 'f'],
  )
})

test('writes that the record protects are not judged by an async member of a rolling change', () => {
  const given: Given = { replication: ASYNC, member: 'c', view: at(990), ...seenAfter(4_900) }
  assert.deepEqual(codes(given), ['not-in-sync-set'])
})

test('a copy whose system id is not known is not eligible', () => {
  assert.deepEqual(codes({ view: { systemId: null } }), ['system-id-differs'])
})

test('a report older than the floor does not exclude a standby that the living primary saw confirm more', () => {
  const at = (lsn: number) => ({ position: { timeline: 1, lsn } })
  const standby = { member: 'b', streaming: true, flushLsn: 990 }
  const verdicts = (flushLsn: number, timeline = 1) => {
    const s = startScript(memberSettings('c', SYNC))
    const value = openRecord({ lastPublished: { epoch: 1, timeline: 1, lsn: 1_000, ackedLsn: 980 } })
    tell(s, 0, { kind: 'record', revision: 5, value, sentAtMs: 0, id: null })
    const primary = {
      role: 'primary',
      position: { timeline, lsn: 1_000 },
      standbys: [{ ...standby, flushLsn }],
    } as const
    tell(s, 1, { kind: 'peer', report: peerReport('a', { engine: engineView('a', primary) }) })
    tell(s, 1, { kind: 'peer', report: peerReport('b', { engine: engineView('b', at(950)) }) })
    const state = s.state.members.c
    const settings = s.settings.members[0]
    assert.ok(state !== undefined && settings !== undefined)
    const found = candidateVerdicts(state, settings, 2).find((v) => v.member === 'b')
    return found?.because.map((e) => e.code)
  }
  assert.deepEqual(verdicts(990), [])
  assert.deepEqual(verdicts(970), ['below-acknowledged-floor'])
  assert.deepEqual(verdicts(990, 2), ['below-acknowledged-floor'], 'another timeline says nothing')
})
