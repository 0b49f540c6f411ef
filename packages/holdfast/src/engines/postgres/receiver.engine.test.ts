import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, afterEach, before, describe, test } from 'node:test'
import pg from 'pg'
import { cloneFrom } from './base-backup.ts'
import { RECEIVER } from './probe.ts'
import { Cluster, makeDirectory, OWNER, PASSWORD, removeDirectory, system15 } from './test-cluster.ts'

const PLAIN = 'select status from pg_stat_wal_receiver'
const SLOT = 'b'
const REFUSED = /could not start WAL streaming: ERROR:\s+replication slot "b" is active for PID/g
const WATCH_MS = 3_000
const PAUSE_MS = 2
/** Less than the 10 s after which a receiver reports and the 30 s after which an idle sender does. */
const SOON_MS = 8_000
/** The retry interval of the fixture is 100 ms; a loaded machine manages fewer than thirty. */
const REFUSALS_MIN = 3

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

describe('the receiver of a PostgreSQL 15 replica', () => {
  const root = makeDirectory()
  const a = new Cluster(system15(), root, 'a')
  const b = new Cluster(system15(), root, 'b')
  let occupier: ChildProcess | null = null
  let eye: pg.Client | null = null

  before(async () => {
    await a.create()
    // Promoted once, so that the right timeline is not the one that every cluster starts with.
    a.standbyOf(a)
    await a.start()
    await a.sql('select pg_promote(true)', 'create table t (id int)')
    const { signal } = new AbortController()
    const cloned = await cloneFrom({ source: a.upstream, dataDir: b.dataDir, slot: SLOT, owner: OWNER, signal })
    assert.ok(cloned.ok, JSON.stringify(cloned))
    b.standbyOf(a)
  })
  afterEach(async () => {
    await eye?.end().catch(() => undefined)
    eye = null
    await end('SIGKILL')
    await b.stop()
  })
  after(async () => {
    for (const one of [b, a]) await one.stop('SIGKILL')
    removeDirectory(root)
  })

  /** Another client takes the slot of the replica, so that the primary turns the replica away. */
  async function occupy(): Promise<ChildProcess> {
    await a.until(`select not active from pg_replication_slots where slot_name = '${SLOT}'`)
    const into = join(root, 'received')
    mkdirSync(into, { mode: 0o777 })
    const address = ['-h', a.upstream.host, '-p', String(a.port), '-U', a.upstream.user, '--no-password']
    const child = spawn(
      join(a.programs.binDir, 'pg_receivewal'),
      [...address, '-S', SLOT, '-D', into, '--no-loop', '--no-sync'],
      { env: { ...a.programs.env, PGPASSWORD: PASSWORD }, cwd: root, stdio: 'ignore' },
    )
    occupier = child
    await a.until(`select active from pg_replication_slots where slot_name = '${SLOT}'`)
    return child
  }

  async function end(signal: 'SIGINT' | 'SIGKILL'): Promise<void> {
    const child = occupier
    occupier = null
    if (child === null || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill(signal)
    await ended
  }

  async function openEye(): Promise<pg.Client> {
    const client = new pg.Client({ ...b.upstream, database: 'postgres' })
    client.on('error', () => undefined)
    await client.connect()
    eye = client
    return client
  }

  async function firstReport(client: pg.Client): Promise<{ row: Record<string, unknown>; tookMs: number }> {
    const startedMs = performance.now()
    while (performance.now() - startedMs < SOON_MS) {
      const row = (await client.query(RECEIVER)).rows[0]
      if (row !== undefined) return { row, tookMs: performance.now() - startedMs }
      await pause(PAUSE_MS)
    }
    throw new Error(`no receiver within ${SOON_MS} ms\n${b.log}`)
  }

  function assertStreaming(row: Record<string, unknown>): void {
    const { host, port } = a.upstream
    assert.deepEqual(row, { status: 'streaming', received_tli: 2, sender_host: host, sender_port: port })
  }

  test('is reported at once in the middle of a segment, although the primary is idle', {
    timeout: 60_000,
  }, async () => {
    // A receiver asks from the start of the segment on, so there is something to send.
    await a.sql('insert into t values (1)')
    await b.start(`primary_slot_name=${SLOT}`)
    const { row, tookMs } = await firstReport(await openEye())
    console.log(`an idle receiver was reported after ${tookMs.toFixed(0)} ms`)
    assertStreaming(row)
  })

  test('is reported with the next record when the log ends at the start of a segment', {
    timeout: 60_000,
  }, async () => {
    await b.start(`primary_slot_name=${SLOT}`)
    await a.sql('insert into t values (2)', 'select pg_switch_wal()')
    const endOfLog = await a.value('select pg_current_wal_flush_lsn()')
    await b.until(`select pg_last_wal_receive_lsn() >= '${endOfLog}'`)
    await b.stop()
    await b.start(`primary_slot_name=${SLOT}`)
    const client = await openEye()
    await a.until(`select active from pg_replication_slots where slot_name = '${SLOT}'`)
    // There was nothing to send yet: this is what a primary's heartbeat is good for.
    console.log(`${(await client.query(RECEIVER)).rows.length} receivers reported before the primary wrote`)
    await a.sql('insert into t values (3)')
    const { row, tookMs } = await firstReport(client)
    console.log(`reported ${tookMs.toFixed(0)} ms after the primary wrote`)
    assertStreaming(row)
  })

  test('is not reported while its primary turns it away, and is soon after', { timeout: 60_000 }, async () => {
    const child = await occupy()
    await b.start(`primary_slot_name=${SLOT}`)
    const client = await openEye()
    const refusals = (): number => b.log.match(REFUSED)?.length ?? 0
    const refusedBefore = refusals()
    const [startedMs, reported] = [performance.now(), [] as unknown[]]
    let [looks, plainStreaming] = [0, 0]
    while (performance.now() - startedMs < WATCH_MS) {
      const plain = (await client.query(PLAIN)).rows[0]
      reported.push(...(await client.query(RECEIVER)).rows)
      looks++
      if (plain?.status === 'streaming') plainStreaming++
      await pause(PAUSE_MS)
    }
    const refused = refusals() - refusedBefore
    // How often the plain status misleads depends on the machine: shown, not asserted.
    console.log(`${refused} refusals; ${looks} looks, ${plainStreaming} of them at a plain status of streaming`)
    assert.deepEqual(reported, [])
    assert.equal(child.exitCode, null, 'the slot was taken all the time')
    assert.ok(refused >= REFUSALS_MIN, `only ${refused} refusals\n${b.log}`)
    await end('SIGINT')
    await a.sql('insert into t values (4)')
    const { row, tookMs } = await firstReport(client)
    console.log(`reported ${tookMs.toFixed(0)} ms after the slot was free`)
    assertStreaming(row)
  })
})
