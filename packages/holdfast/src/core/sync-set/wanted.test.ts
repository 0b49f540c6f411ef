import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memberSettings } from '../lease/script.ts'
import { NO_SYNC, type SyncSet } from '../model.ts'
import type { MemberSettings, Replication } from '../settings.ts'
import { type StandbyHealth, type Wanted, wantedSync as wantedNow } from './wanted.ts'

const NAMES = ['a', 'b', 'c', 'd']
const ONE_B: SyncSet = { members: ['b'], need: 1 }
const health = (...healthy: string[]) =>
  NAMES.map((member) => ({ member, healthy: healthy.includes(member), brisk: true }))

function settingsOf(replication: Replication, change: Partial<MemberSettings> = {}): MemberSettings {
  return { ...memberSettings('a', replication, NAMES), ...change }
}

/** With the engine set as the record says, and everything published. */
function wantedSync(settings: MemberSettings, recorded: SyncSet, of: readonly StandbyHealth[]): Wanted {
  return wantedNow(settings, { recorded, engine: recorded, unpublished: false }, of)
}

const sync = settingsOf({ kind: 'sync' })
const two = settingsOf({ kind: 'quorum', need: 2 })

test('async wants nobody', () => {
  const settings = settingsOf({ kind: 'async', lossBytesMax: 1, lossMsMax: 1 })
  assert.deepEqual(wantedSync(settings, ONE_B, health('b', 'c')), { recorded: NO_SYNC, engine: NO_SYNC })
})

test('async that ran ahead of what was published waits for anybody', () => {
  const settings = settingsOf({ kind: 'async', lossBytesMax: 1, lossMsMax: 1 })
  const wanted = wantedNow(settings, { recorded: NO_SYNC, engine: NO_SYNC, unpublished: true }, health())
  assert.deepEqual(wanted, { recorded: NO_SYNC, engine: { members: ['b', 'c', 'd'], need: 1 } })
})

test('a standby that was chosen and is still confirming stays chosen', () => {
  const c = { members: ['c'], need: 1 }
  const wanted = wantedNow(sync, { recorded: NO_SYNC, engine: c, unpublished: false }, health('b', 'c'))
  assert.deepEqual(wanted.recorded, c)
})

test('sync keeps its standby while it is healthy, and takes the preferred one when it is not', () => {
  const c = { members: ['c'], need: 1 }
  assert.deepEqual(wantedSync(sync, c, health('b', 'c', 'd')).recorded, c)
  assert.deepEqual(wantedSync(sync, c, health('b', 'd')).recorded, ONE_B)
  const members = sync.members.map((m) => (m.member === 'd' ? { ...m, priority: 5 } : m))
  assert.deepEqual(wantedSync({ ...sync, members }, c, health('b', 'd')).recorded, { members: ['d'], need: 1 })
})

test('sync leaves a standby that does not keep up for one that does, and stays when nobody does', () => {
  const c = { members: ['c'], need: 1 }
  const slow = (...names: string[]) => health('b', 'c').map((h) => ({ ...h, brisk: !names.includes(h.member) }))
  assert.deepEqual(wantedSync(sync, c, slow('c')).recorded, ONE_B)
  assert.deepEqual(wantedSync(sync, c, slow('b')).recorded, c)
  assert.deepEqual(wantedSync(sync, c, slow('b', 'c')).recorded, c)
  const goOn = settingsOf({ kind: 'sync' }, { whenAlone: 'continue' })
  assert.deepEqual(wantedSync(goOn, c, slow('b', 'c')).recorded, c, 'slow is not gone')
})

test('the primary itself and members set aside are never chosen', () => {
  const members = sync.members.map((m) => (m.member === 'b' ? { ...m, noFailover: true } : m))
  assert.deepEqual(wantedSync({ ...sync, members }, NO_SYNC, health('a', 'b', 'c')).recorded.members, ['c'])
  assert.deepEqual(wantedSync({ ...sync, members }, NO_SYNC, health()).engine.members, ['c', 'd'])
})

test('quorum lists everybody healthy, in one order on every node', () => {
  assert.deepEqual(wantedSync(two, NO_SYNC, health('d', 'c', 'b')).recorded, { members: ['b', 'c', 'd'], need: 2 })
})

test('too few and block: nobody recorded yet waits for anybody, a recorded set stays as it is', () => {
  const nobody = wantedSync(sync, NO_SYNC, health())
  assert.deepEqual(nobody, { recorded: NO_SYNC, engine: { members: ['b', 'c', 'd'], need: 1 } })
  assert.deepEqual(wantedSync(sync, ONE_B, health()), { recorded: ONE_B, engine: ONE_B })
  const listed = { members: ['b', 'c'], need: 2 }
  assert.deepEqual(wantedSync(two, listed, health('b')), { recorded: listed, engine: listed })
})

test('too few and continue: as many as there are, and alone only without any', () => {
  const goOn = settingsOf({ kind: 'quorum', need: 2 }, { whenAlone: 'continue' })
  const listed = { members: ['b', 'c'], need: 2 }
  assert.deepEqual(wantedSync(goOn, listed, health('c')).recorded, { members: ['c'], need: 1 })
  assert.deepEqual(wantedSync(goOn, listed, health()), { recorded: NO_SYNC, engine: NO_SYNC })
})

test('what is recorded is never more than what the engine waits for, unless nobody but the holder may lead', () => {
  for (const settings of [sync, two, settingsOf({ kind: 'quorum', need: 1 }, { whenAlone: 'continue' })]) {
    for (let bits = 0; bits < 16; bits += 1) {
      const healthy = NAMES.filter((_, i) => (bits & (1 << i)) !== 0)
      for (const recorded of [NO_SYNC, ONE_B, { members: ['b', 'c'], need: 1 }]) {
        const wanted = wantedSync(settings, recorded, health(...healthy))
        assert.ok(wanted.recorded.need <= wanted.engine.need)
        if (wanted.recorded.need > 0) assert.deepEqual(wanted.recorded, wanted.engine)
        assert.ok(!wanted.engine.members.includes('a'))
        assert.ok(wanted.engine.need <= Math.max(1, wanted.engine.members.length))
      }
    }
  }
})
