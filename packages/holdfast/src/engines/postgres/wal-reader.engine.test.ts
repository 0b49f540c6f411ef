import assert from 'node:assert/strict'
import { closeSync, cpSync, openSync, readdirSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { readControlFile } from './control-file.ts'
import { Cluster, embedded18, makeDirectory, type Programs, removeDirectory, system15 } from './test-cluster.ts'
import { formatLsn, readLsn, segmentFile } from './wal-page.ts'
import { findWalEnd, listRecords } from './wal-reader.ts'
import type { WalRecord } from './wal-record.ts'

const SEGMENT_BYTES = 2 ** 24
const WORK = [
  'create table if not exists t (id int primary key, body text)',
  // Full-page images, records over several pages, more than one segment.
  'insert into t select g, repeat(md5(g::text), 40) from generate_series(1, 12000) g on conflict do nothing',
  'update t set body = body || body where id % 3 = 0',
  'select pg_switch_wal()',
  "select pg_logical_emit_message(true, 'x', repeat('y', 3000000))",
  'begin',
  'delete from t where id % 5 = 0',
  'rollback',
  'create index on t (body)',
]

/** Writes until the server dies; what is under way then is cut in the middle. */
async function load(cluster: Cluster): Promise<void> {
  for (;;) {
    const done = await cluster
      .sql(`insert into t select 100000 + (random() * 1e9)::int, repeat('z', (random() * 9000)::int)
        from generate_series(1, 50) on conflict do nothing`)
      .catch(() => null)
    if (done === null) return
  }
}

async function crash(cluster: Cluster): Promise<void> {
  const writers = [load(cluster), load(cluster)]
  await new Promise((resolve) => setTimeout(resolve, 400))
  await cluster.stop('SIGKILL')
  await Promise.all(writers)
}

async function collect(records: AsyncIterable<WalRecord>): Promise<WalRecord[]> {
  const all: WalRecord[] = []
  for await (const record of records) all.push(record)
  return all
}

for (const programs of [system15(), embedded18()]) describeReader(programs)

function describeReader(programs: Programs): void {
  describe(`the log of PostgreSQL ${programs.major}`, () => {
    const root = makeDirectory()
    const cluster = new Cluster(programs, root, 'a')
    const walDir = join(cluster.dataDir, 'pg_wal')
    before(async () => {
      await cluster.create()
      await cluster.start('checkpoint_timeout=1h')
    })
    after(async () => {
      await cluster.stop('SIGKILL')
      removeDirectory(root)
    })

    test('ends where recovery says that it ends, after a crash under load', { timeout: 60_000 }, async () => {
      await cluster.sql(...WORK)
      await crash(cluster)
      const control = await readControlFile(cluster.dataDir)
      assert.ok(control !== null)
      const range = { walDir, timeline: 1 }
      const startedMs = performance.now()
      const end = await findWalEnd({ ...range, startLsn: control.redoLsn })
      const tookMs = performance.now() - startedMs
      assert.ok(end.ok, JSON.stringify(end))
      assert.ok(end.endLsn > control.redoLsn + SEGMENT_BYTES, 'more than one segment')
      const megabytes = (end.endLsn - control.redoLsn) / 2 ** 20
      console.log(`read ${megabytes.toFixed(0)} MB of log in ${tookMs.toFixed(0)} ms (${end.because})`)
      await cluster.start('checkpoint_timeout=1h')
      const done = /redo done at (\S+)/.exec(cluster.log)?.[1]
      assert.equal(formatLsn(end.lastRecordLsn), done)
      // The first record that the restarted server wrote stands at the end that was found, and links back.
      const [next] = await collect(listRecords({ ...range, fromLsn: end.endLsn, limit: 1 }))
      assert.equal(next?.previousLsn, end.lastRecordLsn)
    })

    test('ends behind the shutdown checkpoint after a clean stop', { timeout: 60_000 }, async () => {
      await cluster.stop()
      const control = await readControlFile(cluster.dataDir)
      assert.ok(control !== null)
      const end = await findWalEnd({ walDir, timeline: 1, startLsn: control.redoLsn })
      assert.ok(end.ok)
      assert.equal(end.lastRecordLsn, control.checkpointLsn)
      await cluster.start()
    })

    test('gives the time of a commit and the relation of a change', { timeout: 60_000 }, async () => {
      const from = readLsn(String(await cluster.value('select pg_current_wal_insert_lsn()')))
      assert.ok(from !== null)
      const beforeMs = Date.now()
      await cluster.sql("insert into t values (-7, 'x')")
      const place = String(await cluster.value("select pg_relation_filenode('t')"))
      await cluster.sql('checkpoint')
      const records = await collect(listRecords({ walDir, timeline: 1, fromLsn: from, limit: 1000 }))
      const commit = records.find((r) => r.rmgrName === 'Transaction' && r.kind === 'commit')
      const insert = records.find((r) => r.rmgrName === 'Heap' && r.kind === 'insert')
      assert.ok(commit?.commitWallMs !== undefined && insert !== undefined)
      assert.ok(commit.commitWallMs >= beforeMs - 5 && commit.commitWallMs <= Date.now() + 5)
      assert.equal(insert.xid, commit.xid)
      assert.equal(String(insert.blocks[0]?.relation), place)
    })

    test('ends before the first damaged byte and never behind it', { timeout: 60_000 }, async () => {
      await cluster.stop()
      const control = await readControlFile(cluster.dataDir)
      assert.ok(control !== null)
      await cluster.start()
      const { redoLsn } = control
      await cluster.sql(...WORK)
      await cluster.stop('SIGKILL')
      const copyDir = join(root, 'damaged')
      cpSync(walDir, copyDir, { recursive: true })
      const range = { walDir: copyDir, timeline: 1 }
      const records = await collect(listRecords({ ...range, fromLsn: redoLsn, limit: 1e9 }))
      const victim = records[Math.floor(records.length / 2)]
      assert.ok(victim !== undefined)
      const file = openSync(join(copyDir, segmentFile(1, Math.floor(victim.lsn / SEGMENT_BYTES), SEGMENT_BYTES)), 'r+')
      writeSync(file, Buffer.from([0x99, 0x98]), 0, 2, (victim.lsn % SEGMENT_BYTES) + 4)
      closeSync(file)
      const end = await findWalEnd({ ...range, startLsn: redoLsn })
      assert.ok(end.ok)
      assert.equal(end.endLsn, victim.lsn)
      const nowhere = await findWalEnd({ ...range, startLsn: victim.lsn })
      assert.equal(nowhere.ok, false)
      await cluster.start()
    })

    if (programs.major === 15) {
      test('holds the same records as pg_waldump shows', { timeout: 60_000 }, async () => {
        await cluster.stop()
        const names = readdirSync(walDir)
          .filter((name) => /^[0-9A-F]{24}$/.test(name))
          .sort()
        const first = names.find((name) => statSync(join(walDir, name)).size === SEGMENT_BYTES)
        assert.ok(first !== undefined)
        // A read error at the end is how pg_waldump says that the log ends.
        const shown = await cluster
          .program('pg_waldump', ['-p', walDir, first])
          .catch((error: { stdout: string }) => error.stdout)
        const theirs = [...shown.matchAll(/^rmgr: (\S+) .*?tx: +(\d+), lsn: (\S+), prev (\S+),/gm)].map(
          (m) => `${m[1]} ${m[2]} ${formatLsn(readLsn(m[3] ?? '') ?? 0)} ${formatLsn(readLsn(m[4] ?? '') ?? 0)}`,
        )
        const firstLsn = readLsn(/lsn: (\S+),/.exec(shown)?.[1] ?? '')
        assert.ok(firstLsn !== null && theirs.length > 1000)
        const ours = (await collect(listRecords({ walDir, timeline: 1, fromLsn: firstLsn, limit: 1e9 }))).map(
          (r) => `${r.rmgrName} ${r.xid} ${formatLsn(r.lsn)} ${formatLsn(r.previousLsn)}`,
        )
        assert.deepEqual(ours.slice(0, theirs.length), theirs)
        assert.equal(ours.length, theirs.length)
        const blocks = [...shown.matchAll(/blkref #\d+: rel (\d+\/\d+\/\d+) (?:fork \w+ )?blk (\d+)/g)].length
        let counted = 0
        for await (const r of listRecords({ walDir, timeline: 1, fromLsn: firstLsn, limit: 1e9 }))
          counted += r.blocks.length
        assert.equal(counted, blocks)
        await cluster.start()
      })
    }
  })
}
