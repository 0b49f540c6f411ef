/** What the server needs of its database: run on SQLite with the fast tests, on PostgreSQL with the engines. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { sql } from 'kysely'
import { systemClock } from '../../io/clock.ts'
import { createLog } from '../../io/log.ts'
import { bySession, byToken, digest, freshCode, freshToken, openSession, useCode } from '../access/accounts.ts'
import { appendAudit, auditEntries, verifyDatabase } from '../audit/audit-log.ts'
import { longestOutage, measuredIncident, type OutageNote, outagesOf, writeOutages } from '../canary/outages.ts'
import { DAY_MS, HOUR_MS, minutesOf, Periods, windowsOf, writePeriods } from '../canary/periods.ts'
import { Unwritten, writeBatch } from '../canary/unwritten.ts'
import { eventsAfter, eventsOf, forgetOldEvents, lastEventNumber, writeEvents } from '../events.ts'
import type { Draft } from '../follow/changes.ts'
import { type Database, type DatabaseOptions, openDatabase } from './database.ts'
import { Leader } from './leader.ts'
import { MIGRATIONS, type Migration } from './migrations.ts'

export type Place = Pick<DatabaseOptions, 'dir' | 'url'>

const log = createLog({ level: 'silent', name: 'test' })

export function openAt(place: Place, migrations?: readonly Migration[]): Promise<Database> {
  return openDatabase({ ...place, clock: systemClock, log, ...(migrations === undefined ? {} : { migrations }) })
}

export const draft = (code: string, group: string | null = 'orders'): Draft => ({
  wallMs: 1_700_000_000_000,
  kind: 'reason',
  severity: 'info',
  code,
  summary: `${code} ü "quoted" 'too' \u0001`,
  group,
  member: null,
  source: 'agent a',
  rule: null,
  incident: null,
  detail: { n: 1, text: "it's", none: null, yes: true },
})

/** `fresh` gives an empty database at each call. */
export function databaseSuite(fresh: () => Promise<Place>): void {
  it('comes up empty, at the newest version, and again as it was left', async () => {
    const place = await fresh()
    const first = await openAt(place)
    await first.write((writing) => writeEvents(writing, [draft('a')], 1))
    await first.close()
    const second = await openAt(place)
    assert.equal(await lastEventNumber(second.read), 1)
    await second.close()
  })

  it('a change of the tables that fails half-way leaves the version before; the next start makes it', async () => {
    const place = await fresh()
    const broken = { name: 'broken', statements: ['create table half (a integer)', 'create table half (a integer)'] }
    await (await openAt(place)).close()
    await assert.rejects(openAt(place, [...MIGRATIONS, broken]), { code: 'HF_DATABASE_UNUSABLE' })
    const whole = { name: 'whole', statements: ['create table half (a integer)'] }
    const database = await openAt(place, [...MIGRATIONS, whole])
    const { rows } = await sql<{ version: number }>`select max(version) as version from holdfast_versions`.execute(
      database.read,
    )
    assert.equal(rows[0]?.version, MIGRATIONS.length + 1)
    await sql`select a from half`.execute(database.read)
    await database.close()
  })

  it('a newer database is refused and not touched', async () => {
    const place = await fresh()
    const newer = { name: 'newer', statements: ['create table newer (a integer)'] }
    await (await openAt(place, [...MIGRATIONS, newer])).close()
    await assert.rejects(openAt(place), { code: 'HF_DATABASE_NEWER' })
    await (await openAt(place, [...MIGRATIONS, newer])).close()
  })

  it('two servers that start at once make the tables once', async () => {
    const place = await fresh()
    const both = await Promise.all([openAt(place), openAt(place)])
    for (const database of both) await database.close()
  })

  it('adds up what canaries counted, by minute and hour, and forgets what is old', async () => {
    const database = await openAt(await fresh())
    const periods = new Periods()
    const noon = 1_700_000_000_000 - (1_700_000_000_000 % HOUR_MS)
    const write = (atMs: number) => database.write((writing) => writePeriods(writing, periods.take(), atMs))
    periods.span('orders', 'write', { kind: 'up', fromMs: 0, toMs: 90_000 }, noon)
    periods.add('orders', noon, { acked: 2, latency_sum_ms: 8.4 }, { latency_max_ms: 5 })
    await write(noon)
    periods.span('orders', 'write', { kind: 'down', fromMs: 90_000, toMs: 95_000 }, noon)
    periods.span('orders', 'read', { kind: 'up', fromMs: 0, toMs: 95_000 }, noon)
    periods.add('orders', noon, { acked: 1, latency_sum_ms: 4 }, { latency_max_ms: 3 })
    await write(noon)
    const [hour, day, month] = await windowsOf(database.read, 'orders', noon + 100_000)
    for (const sums of [hour, day, month]) {
      assert.deepEqual([sums?.upMs, sums?.downMs, sums?.readUpMs, sums?.unmeasuredMs], [90_000, 5_000, 95_000, 0])
    }
    const [first, second] = await minutesOf(database.read, 'orders', noon + 100_000)
    assert.deepEqual([first?.acked, first?.latency_max_ms, first?.up_ms], [3, 5, 60_000])
    assert.deepEqual([second?.up_ms, second?.down_ms], [30_000, 5_000])
    await write(noon + 3 * DAY_MS)
    assert.deepEqual(await minutesOf(database.read, 'orders', noon + 100_000), [])
    assert.equal((await windowsOf(database.read, 'orders', noon + 3 * DAY_MS))[2]?.upMs, 90_000)
    await database.close()
  })

  it('adds what canaries counted once, also when the answer of a commit was lost', async () => {
    const database = await openAt(await fresh())
    const unwritten = new Unwritten()
    const wallMs = 1_700_000_000_000
    const write = async (server: string): Promise<void> => {
      const batch = unwritten.take(true)
      assert.ok(batch !== null)
      await database.write((writing) => writeBatch(writing, batch, server, wallMs))
    }
    unwritten.periods.add('orders', wallMs, { acked: 2 })
    unwritten.draft(draft('first'))
    await write('one')
    // Nobody heard that it is written; more comes, and another server writes in between.
    unwritten.periods.add('orders', wallMs, { acked: 3 })
    unwritten.draft(draft('second'))
    const other = new Unwritten()
    other.periods.add('orders', wallMs, { acked: 10 })
    const theirs = other.take(true) ?? assert.fail()
    await database.write((writing) => writeBatch(writing, theirs, 'two', wallMs))
    await write('one')
    unwritten.done()
    await write('one')
    unwritten.done()
    assert.equal(unwritten.take(true), null)
    assert.equal((await minutesOf(database.read, 'orders', wallMs + 60_000))[0]?.acked, 15)
    assert.equal(await lastEventNumber(database.read), 2)
    await database.close()
  })

  it('keeps outages, and marks an incident that is over with what clients saw', async () => {
    const database = await openAt(await fresh())
    const incident = (id: string, state: string) => ({
      id,
      group_name: 'orders',
      state,
      opened_ms: 1,
      body: '{"id":"x"}',
    })
    await database.write((writing) =>
      writing
        .insertInto('incidents')
        .values([incident('open', 'open'), incident('over', 'closed')])
        .execute(),
    )
    const seen = {
      outageMs: 2_000,
      unmeasuredMs: 0,
      resolutionMs: 500,
      failed: 1,
      unknown: 0,
      lostRecords: 0,
      lostMs: 0,
    }
    const measured = (id: string): OutageNote => ({
      ...{ kind: 'incident', beganMs: 5 },
      measured: { incident: id, group: 'orders', measured: seen, over: true, series: null },
    })
    const outage = { id: 'o', group: 'orders', incident: 'over', fromMs: 5.4, toMs: 9, ms: 4, unmeasuredMs: 0 }
    const notes: OutageNote[] = [
      ...[measured('open'), measured('over'), measured('over')],
      { kind: 'outage', outage: { ...outage, failed: 1, unknown: 0, seenToItsEnd: true } },
    ]
    const changed = await database.write((writing) => writeOutages(writing, notes))
    assert.deepEqual(new Set(changed.map(({ canary }) => canary?.outageMs)), new Set([2_000]))
    assert.equal((await outagesOf(database.read, 'orders'))[0]?.id, 'o')
    assert.equal(await longestOutage(database.read, ['orders'], 0), 4)
    assert.equal((await measuredIncident(database.read, 'over'))?.measured?.outageMs, 2_000)
    const { body } = await database.read
      .selectFrom('incidents')
      .select('body')
      .where('id', '=', 'open')
      .executeTakeFirstOrThrow()
    assert.equal(body, '{"id":"x"}', 'one that is open is its recorder’s')
    await database.close()
  })

  it('numbers events without a gap, whoever writes, and takes back the numbers of what failed', async () => {
    const place = await fresh()
    const [one, two] = [await openAt(place), await openAt(place)]
    const writes = Array.from({ length: 20 }, (_, n) =>
      (n % 2 === 0 ? one : two)
        .write(async (writing) => {
          await writeEvents(writing, [draft(`e${n}`), draft(`f${n}`)], n)
          if (n % 5 === 0) throw new Error('half-way')
        })
        .catch(() => undefined),
    )
    await Promise.all(writes)
    const events = await eventsAfter(one.read, 0, 100)
    assert.deepEqual(
      events.map(({ number }) => number),
      Array.from({ length: 32 }, (_, n) => n + 1),
    )
    const { number: _number, recordedMs: _recorded, ...rest } = events[0] ?? assert.fail('none')
    assert.deepEqual(rest, draft(rest.code))
    const some = await eventsOf(two.read, { before: 10, limit: 3, groups: ['orders'] })
    assert.deepEqual(
      some.map(({ number }) => number),
      [9, 8, 7],
    )
    assert.deepEqual(await eventsOf(two.read, { limit: 3, groups: ['other'] }), [])
    await one.write((writing) => forgetOldEvents(writing, 10))
    assert.equal((await eventsAfter(one.read, 0, 100))[0]?.number, 23)
    for (const database of [one, two]) await database.close()
  })

  it('one leads; who stood still too long is replaced and can write nothing more', async () => {
    const place = await fresh()
    const [one, two] = [await openAt(place), await openAt(place)]
    let nowMs = 0
    const clock = { nowMs: () => nowMs, wallMs: () => nowMs }
    const [a, b] = [new Leader({ database: one, name: 'a', clock }), new Leader({ database: two, name: 'b', clock })]
    const led = await Promise.all([a.turn(), b.turn()])
    assert.equal(led.filter(({ leading }) => leading).length, 1)
    const [first, second] = a.state.leading ? [a, b] : [b, a]
    await second.turn()
    nowMs += 4_900
    assert.equal((await second.turn()).leading, false, 'not before the time is up')
    await first.turn()
    nowMs += 4_900
    assert.equal((await second.turn()).leading, false, 'a beat begins it anew')
    nowMs += 5_100
    assert.equal((await second.turn()).leading, true)
    let ran = false
    const written = await first.write(async () => {
      ran = true
    })
    assert.deepEqual([written, ran, first.state.leading], [null, false, false])
    await second.resign()
    assert.equal((await first.turn()).leading, true, 'at once after a resignation')
    for (const database of [one, two]) await database.close()
  })

  it('an audit chain stays one chain when several write at once', async () => {
    const place = await fresh()
    const [one, two] = [await openAt(place), await openAt(place)]
    const note = { actor: 'a', action: 'b', subject: '50 %_\\', outcome: 'done', address: '', detail: {} } as const
    await Promise.all(Array.from({ length: 20 }, (_, n) => (n % 2 ? one : two).write((w) => appendAudit(w, note, n))))
    const verdict = await verifyDatabase(one.read, 'shop', { trusted: null, kept: [] })
    assert.deepEqual([verdict.ok, verdict.entries], [true, 20])
    assert.equal((await auditEntries(one.read, { search: '50 %_\\', limit: 5 })).length, 5)
    assert.equal((await auditEntries(one.read, { search: '50 %_', limit: 5 })).length, 5)
    assert.equal((await auditEntries(one.read, { search: '50 __', limit: 5 })).length, 0)
    for (const database of [one, two]) await database.close()
  })

  it('keeps sessions, tokens and codes, and forgets them with their user', async () => {
    const database = await openAt(await fresh())
    const user = { name: 'vera', display: 'Vera', by_kind: 'password', identity: null, password: null, disabled: 0 }
    const rest = { grants: '[{"role":"viewer"}]', created_ms: 1_795_000_000_000, last_login_ms: null }
    const code = await database.write((writing) => freshCode(writing, 1_000))
    await assert.rejects(
      database.write((writing) => useCode(writing, 'AAAA', 1_000)),
      { code: 'HF_CODE_INVALID' },
    )
    await assert.rejects(
      database.write((writing) => useCode(writing, code, 3_602_000)),
      { code: 'HF_CODE_INVALID' },
    )
    await database.write((writing) => useCode(writing, ` ${code.toLowerCase()} `, 2_000))
    await assert.rejects(
      database.write((writing) => useCode(writing, code, 2_000)),
      { code: 'HF_CODE_INVALID' },
    )
    const { id, secret } = freshToken()
    const session = await database.write(async (writing) => {
      await writing
        .insertInto('users')
        .values({ ...user, ...rest })
        .execute()
      const token = { id, hash: digest(secret), user_name: 'vera', label: 'x', rights: '["read"]', groups: null }
      await writing
        .insertInto('tokens')
        .values({ ...token, created_ms: 1, expires_ms: 1_795_000_001_000, last_used_ms: null })
        .execute()
      return openSession(writing, { user: 'vera', by: 'password', wallMs: 1_795_000_000_000 })
    })
    assert.equal((await bySession(database.read, session.secret, 1_795_000_000_001))?.user, 'vera')
    assert.equal((await byToken(database.read, secret, 1_795_000_000_001))?.token?.id, id)
    assert.equal(await byToken(database.read, secret, 1_795_000_001_001), null)
    await database.read.deleteFrom('users').where('name', '=', 'vera').execute()
    assert.equal(await bySession(database.read, session.secret, 1_795_000_000_001), null)
    assert.equal((await database.read.selectFrom('tokens').selectAll().execute()).length, 0)
    await database.close()
  })
}
