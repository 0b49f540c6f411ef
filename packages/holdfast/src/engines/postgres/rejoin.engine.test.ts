import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { cloneFrom } from './base-backup.ts'
import { type RejoinDecision, rejoinDecision } from './rejoin.ts'
import { rewindOrPrepareClone } from './rewind.ts'
import { Cluster, embedded18, makeDirectory, OWNER, type Programs, removeDirectory, system15 } from './test-cluster.ts'
import { segmentFile } from './wal-page.ts'

const { signal } = new AbortController()

async function cloneOf(source: Cluster, root: string, name: string, slot: string | null = name): Promise<Cluster> {
  const copy = new Cluster(source.programs, root, name)
  const cloned = await cloneFrom({ source: source.upstream, dataDir: copy.dataDir, slot, owner: OWNER, signal })
  assert.ok(cloned.ok, JSON.stringify(cloned))
  copy.standbyOf(source)
  return copy
}

function decide(stopped: Cluster, upstream: Cluster): Promise<RejoinDecision> {
  return rejoinDecision({ dataDir: stopped.dataDir, binaries: stopped.programs, upstream: upstream.upstream, signal })
}

async function caughtUp(primary: Cluster, replica: Cluster): Promise<void> {
  const at = await primary.value('select pg_current_wal_flush_lsn()')
  await replica.until(`select pg_last_wal_replay_lsn() >= '${at}'`)
}

for (const programs of [system15(), embedded18()]) describeRejoin(programs)

function describeRejoin(programs: Programs): void {
  describe(`a stopped PostgreSQL ${programs.major}`, () => {
    let root = ''
    let a = new Cluster(programs, '/', '-')
    let b = a
    const others: Cluster[] = []

    beforeEach(async () => {
      root = makeDirectory()
      a = new Cluster(programs, root, 'a')
      await a.create()
      await a.start()
      await a.sql('create table t (id int primary key)', 'insert into t select generate_series(1, 1000)')
      b = await cloneOf(a, root, 'b')
      await b.start()
      await caughtUp(a, b)
    })
    afterEach(async () => {
      for (const one of [a, b, ...others.splice(0)]) await one.stop('SIGKILL')
      removeDirectory(root)
    })

    async function promote(one: Cluster): Promise<void> {
      await one.sql('select pg_promote(true)')
      await one.sql('insert into t values (5000000) on conflict do nothing')
    }

    test('follows as a clean former primary, also before the new one checkpointed', { timeout: 60_000 }, async () => {
      await a.stop()
      await promote(b)
      assert.deepEqual(await decide(a, b), { kind: 'follow' })
      a.standbyOf(b)
      await a.start()
      await caughtUp(b, a)
      assert.equal(await a.value('select count(*)::int from t'), 1001)
    })

    test('follows as a replica that was away, on the same timeline and over a promotion', {
      timeout: 60_000,
    }, async () => {
      const c = await cloneOf(a, root, 'c')
      others.push(c)
      await c.start()
      await a.sql('insert into t select generate_series(2001, 3000)')
      await caughtUp(a, b)
      await b.stop()
      await a.sql('insert into t select generate_series(3001, 4000)')
      assert.deepEqual(await decide(b, a), { kind: 'follow' })
      await caughtUp(a, c)
      await a.stop('SIGKILL')
      await promote(c)
      assert.deepEqual(await decide(b, c), { kind: 'follow' })
      b.standbyOf(c)
      await b.start()
      await caughtUp(c, b)
    })

    test('follows a younger clone that has the log from exactly our end on, not one that lacks a part', {
      timeout: 60_000,
    }, async () => {
      await a.sql('select pg_switch_wal()')
      await caughtUp(a, b)
      await b.stop('SIGKILL')
      // Making a slot would write a record, and the backup would start a segment later.
      const c = await cloneOf(a, root, 'c', null)
      others.push(c)
      await a.sql('select pg_switch_wal()', 'insert into t values (4711)')
      const d = await cloneOf(a, root, 'd')
      others.push(d)
      for (const one of [c, d]) {
        await one.start('wal_keep_size=256MB')
        await caughtUp(a, one)
      }
      await a.stop()
      for (const one of [c, d]) await promote(one)
      assert.deepEqual(await decide(b, c), { kind: 'follow' })
      const decision = await decide(b, d)
      assert.ok(decision.kind === 'clone' && decision.because.includes('no longer has'), JSON.stringify(decision))
      b.standbyOf(c)
      await b.start()
      await caughtUp(c, b)
    })

    test('has diverged as a crashed primary with a tail, and gives it up', { timeout: 90_000 }, async () => {
      await b.stop('SIGKILL')
      await a.sql('insert into t select generate_series(7001, 7300)', 'delete from t where id = 7')
      await a.stop('SIGKILL')
      rmSync(join(b.dataDir, 'standby.signal'))
      b.standbyOf(a)
      await b.start()
      await promote(b)
      const decision = await decide(a, b)
      assert.ok(decision.kind === 'diverged', JSON.stringify(decision))
      assert.equal(decision.timeline, 1)
      assert.ok(decision.endLsn > decision.forkLsn)
      const keepDir = join(root, 'kept')
      const options = {
        dataDir: a.dataDir,
        binaries: programs,
        upstream: b.upstream,
        decision,
        keepDir,
        owner: OWNER,
        signal,
      }
      const startedMs = performance.now()
      const did = await rewindOrPrepareClone(options)
      console.log(
        `${programs.major}: tail kept and rewound or prepared in ${(performance.now() - startedMs).toFixed(0)} ms`,
      )
      assert.ok(did.ok, JSON.stringify(did))
      assert.ok(did.keptTail !== null)
      checkKept(did.keptTail, decision)
      if (!programs.hasRewind) {
        assert.equal(did.did, 'clone-needed')
        const again = await rewindOrPrepareClone(options)
        assert.ok(again.ok && again.keptTail === did.keptTail, 'the same tail is kept once')
        return
      }
      assert.equal(did.did, 'rewind')
      assert.ok(!existsSync(`${a.dataDir}.partial`))
      rmSync(join(a.dataDir, 'holdfast.unfinished'))
      a.standbyOf(b)
      await a.start()
      await caughtUp(b, a)
      assert.equal(await a.value('select count(*)::int from t'), 1001)
      assert.equal(await a.value('select count(*)::int from t where id between 7001 and 7300'), 0)
    })

    function checkKept(kept: string, decision: RejoinDecision & { kind: 'diverged' }): void {
      const names = readdirSync(kept)
      assert.ok(names.includes(segmentFile(1, Math.floor(decision.forkLsn / 2 ** 24), 2 ** 24)))
      const summary = JSON.parse(readFileSync(join(kept, 'summary.json'), 'utf8'))
      assert.equal(summary.commits, 2)
      assert.equal(summary.truncated, false)
      assert.equal(summary.bytes, decision.endLsn - decision.forkLsn)
      const list = readFileSync(join(kept, 'records.txt'), 'utf8')
      assert.equal(list.match(/ Heap {2}insert /g)?.length, 300)
      assert.match(list, /Transaction {2}commit {2}\d+ {2}20\d\d-/)
    }

    test('has diverged by nothing but a shutdown checkpoint that the new primary lacks', {
      timeout: 60_000,
    }, async () => {
      await b.stop('SIGKILL')
      await a.stop()
      b.standbyOf(a)
      await b.start()
      await promote(b)
      const decision = await decide(a, b)
      assert.equal(decision.kind, 'diverged', JSON.stringify(decision))
    })

    test('is told apart from a twin that was promoted onto the same timeline at the same place', {
      timeout: 60_000,
    }, async () => {
      const c = await cloneOf(a, root, 'c')
      others.push(c)
      await c.start()
      await caughtUp(a, c)
      await a.stop()
      for (const one of [b, c])
        await one.until('select status is null from (select max(status) status from pg_stat_wal_receiver) s')
      await b.sql('select pg_promote(true)')
      await c.sql('select pg_promote(true)')
      await b.stop('SIGKILL')
      for (let i = 0; i < 20; i++) await c.sql(`insert into t values (${90000 + i})`)
      const decision = await decide(b, c)
      assert.ok(decision.kind === 'clone' && decision.because.includes('differ'), JSON.stringify(decision))
    })

    test('waits for an upstream that is behind and not promoted yet', { timeout: 60_000 }, async () => {
      await b.stop('SIGKILL')
      await a.sql('insert into t select generate_series(8001, 8100)')
      await a.stop('SIGKILL')
      b.standbyOf(a)
      await b.start()
      const decision = await decide(a, b)
      assert.ok(decision.kind === 'error' && decision.retryable, JSON.stringify(decision))
    })

    test('needs a clone when its log or its control file cannot be read', { timeout: 60_000 }, async () => {
      await a.stop('SIGKILL')
      await promote(b)
      const walDir = join(a.dataDir, 'pg_wal')
      for (const name of readdirSync(walDir)) if (/^[0-9A-F]{24}$/.test(name)) writeFileSync(join(walDir, name), '')
      assert.equal((await decide(a, b)).kind, 'clone')
      writeFileSync(join(a.dataDir, 'global', 'pg_control'), 'x')
      assert.equal((await decide(a, b)).kind, 'clone')
    })

    test('is never joined to another data set', { timeout: 60_000 }, async () => {
      const stranger = new Cluster(programs, root, 'stranger')
      others.push(stranger)
      await stranger.create()
      await stranger.start()
      await b.stop()
      const decision = await decide(b, stranger)
      assert.ok(decision.kind === 'error' && !decision.retryable && decision.because.startsWith('system-id-mismatch'))
    })

    test('says what is wrong when the upstream is gone, and can be asked again', { timeout: 60_000 }, async () => {
      await b.stop()
      await a.stop()
      const decision = await decide(b, a)
      assert.ok(decision.kind === 'error' && decision.retryable, JSON.stringify(decision))
    })

    if (programs.hasRewind) {
      test('is left marked for a clone when pg_rewind fails, and its tail is kept', { timeout: 60_000 }, async () => {
        await b.stop('SIGKILL')
        await a.sql('insert into t values (7777)')
        await a.stop('SIGKILL')
        b.standbyOf(a)
        await b.start()
        await promote(b)
        const decision = await decide(a, b)
        const steps: string[] = []
        const did = await rewindOrPrepareClone({
          dataDir: a.dataDir,
          binaries: { ...programs, binDir: dirname(makeBrokenRewind(root)) },
          upstream: b.upstream,
          decision,
          keepDir: join(root, 'kept'),
          owner: OWNER,
          signal,
          progress: (step) => steps.push(step),
        })
        assert.ok(did.ok && did.did === 'clone-needed' && did.keptTail !== null, JSON.stringify(did))
        assert.ok(existsSync(join(a.dataDir, 'holdfast.unfinished')))
        assert.ok(
          steps.some((step) => step.includes('out of luck')),
          steps.join('\n'),
        )
      })
    }
  })
}

function makeBrokenRewind(root: string): string {
  const dir = join(root, 'bin')
  mkdirSync(dir)
  writeFileSync(join(dir, 'pg_rewind'), '#!/bin/sh\necho out of luck >&2\nexit 1\n', { mode: 0o755 })
  return join(dir, 'pg_rewind')
}
