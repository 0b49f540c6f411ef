/** The process of the workloads against one real PostgreSQL; then its data is tampered with, and it is noticed. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  Cluster,
  makeDirectory,
  removeDirectory,
  system15,
} from '../../../packages/holdfast/src/engines/postgres/test-cluster.ts'
import { checkAll } from '../checkers/all.ts'
import { listAppend } from '../checkers/list-append.ts'
import type { CheckerInput, HistoryLine, Lane } from '../contract.ts'
import { nowNs, readHistory } from '../history.ts'
import { readFinal } from './final-read.ts'
import { DEFAULT_WORKLOADS, type WorkloadSettings } from './settings.ts'
import { TABLES_SQL } from './tables.ts'

const MAIN = join(import.meta.dirname, 'main.ts')
const RUN_MS = 3_000
const EXIT_MS = 10_000
const CRASH_MS = 1_500
const CANCEL_MS = 300

const root = makeDirectory()
const history = join(root, 'history.jsonl')
const cluster = new Cluster(system15(), root, 'a')
const children: ChildProcess[] = []

function settings(more: Partial<WorkloadSettings> = {}): WorkloadSettings {
  const nodes = { [`127.0.0.1:${cluster.port}`]: 'a' }
  return { ...address(), history, seed: 7, workloads: DEFAULT_WORKLOADS, nodes, ...more }
}

function address(): { readonly door: Lane['door']; readonly login: Lane['login'] } {
  const { host, port, user, password } = cluster.upstream
  return { door: { host, port }, login: { user, password, database: 'postgres' } }
}

function started(given: WorkloadSettings): ChildProcess {
  const child = spawn(process.execPath, [MAIN, JSON.stringify(given)], { stdio: ['ignore', 'inherit', 'inherit'] })
  children.push(child)
  return child
}

async function ended(child: ChildProcess): Promise<number | null> {
  const exit = new Promise<number | null>((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  return Promise.race([exit, sleep(EXIT_MS, null, { ref: false })])
}

async function judged(lines: readonly HistoryLine[]): Promise<{ input: CheckerInput; complaints: readonly string[] }> {
  const { door, login } = address()
  const final = await readFinal([{ member: 'a', own: door }], 'a', login)
  const input: CheckerInput = { history: lines, final, mode: 'sync', bound: null, promotions: [] }
  const complaints = checkAll(input).flatMap(({ ok, checker, findings }) => (ok ? [] : [`${checker}: ${findings}`]))
  return { input, complaints }
}

describe('the workloads', () => {
  let lines: readonly HistoryLine[] = []
  before(async () => {
    await cluster.create()
    await cluster.start()
    await cluster.sql(TABLES_SQL, TABLES_SQL)
  })
  after(async () => {
    for (const child of children) child.kill('SIGKILL')
    await cluster.stop()
    removeDirectory(root)
  })

  it('write, end on SIGTERM with everything told, and every checker is content', async () => {
    const child = started(settings())
    await sleep(RUN_MS)
    assert.equal(await ended(child), 0)
    lines = readHistory(history)
    for (const f of Object.keys(DEFAULT_WORKLOADS)) {
      const oks = lines.filter((line) => line.f === f && line.type === 'ok')
      assert.ok(oks.length >= (f === 'long' ? 1 : 20), `${oks.length} of ${f}`)
      assert.ok(oks.every(({ node, epoch }) => node === 'a' && epoch === 1))
    }
    const invoked = lines.filter(({ type }) => type === 'invoke').length
    assert.equal(lines.length, 2 * invoked)
    assert.deepEqual(
      lines.filter(({ type }) => type === 'info'),
      [],
    )
    const { complaints, input } = await judged(lines)
    assert.deepEqual(complaints, [])
    assert.ok((input.final.members.a?.rows.length ?? 0) > 100)
  })

  const tampered = async (sql: string, undo: string): Promise<readonly string[]> => {
    await cluster.sql(sql)
    const { complaints } = await judged(lines)
    await cluster.sql(undo)
    return complaints.map((text) => text.slice(0, text.indexOf(':')))
  }
  it('are told of a row that is lost, doubled, or from nowhere', async () => {
    const [n, m, k] = [1, 2, 3]
    const lost = await tampered(`delete from numbered where n = ${n}`, `insert into numbered values (${n}, 1)`)
    assert.deepEqual(lost, ['lost'])
    const twice = `insert into numbered select * from numbered where n = ${m}`
    const once = `delete from numbered where n = ${m}; insert into numbered values (${m}, 1)`
    assert.deepEqual(await tampered(twice, once), ['doubled'])
    const nowhere = await tampered(`insert into numbered values (${k}, 99)`, 'delete from numbered where attempt = 99')
    assert.deepEqual(nowhere, ['unexpected'])
  })
  it('are told of money and of appends that are gone', async () => {
    const money = (by: number): string => `update account set balance = balance + ${by} where id = 1`
    assert.deepEqual(await tampered(money(-1), money(1)), ['bank'])
    const key = '(select min(key) from list)'
    const appended = await cluster.value(`select value from list where key = ${key}`)
    const cutSql = `update list set value = regexp_replace(value, ',[0-9]+$', '') where key = ${key}`
    const found = await tampered(cutSql, `update list set value = '${appended}' where key = ${key}`)
    assert.deepEqual(found, ['list-append'])
    assert.deepEqual((await judged(lines)).complaints, [])
  })

  it('show the write skew that repeatable read allows, and serializable does not', async () => {
    rmSync(history)
    await cluster.sql('truncate numbered, list')
    const workloads = { txn: { clients: 6, paceMs: 1 } }
    const child = started(settings({ workloads, isolation: 'repeatable read', firstClient: 40 }))
    await sleep(RUN_MS)
    assert.equal(await ended(child), 0)
    const { input } = await judged(readHistory(history))
    assert.deepEqual(listAppend(input, 'repeatable read').findings, [])
    const { figures } = listAppend(input, 'serializable')
    assert.ok((figures.G2 ?? 0) + (figures['G2-realtime'] ?? 0) > 0, JSON.stringify(figures))
  })

  it('call a commit unknown whose wait for a replica was given up', async () => {
    rmSync(history)
    const named = (name: string): readonly string[] => [
      `alter system set synchronous_standby_names = '${name}'`,
      'select pg_reload_conf()',
    ]
    await cluster.sql(...named('nobody'))
    const child = started(settings({ workloads: { insert: { clients: 1, paceMs: 1 } }, firstClient: 60 }))
    await cluster.until(`select count(*) > 0 from pg_stat_activity where wait_event = 'SyncRep'`)
    await cluster.sql(`select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'`)
    await sleep(CANCEL_MS)
    await cluster.sql(...named(''))
    assert.equal(await ended(child), 0)
    const [, second] = readHistory(history)
    assert.deepEqual([second?.type, second?.error], ['info', 'not confirmed by a replica'])
  })

  it('stay true through a crash of the server in their midst', async () => {
    rmSync(history)
    await cluster.sql('truncate numbered, list')
    const door = await opened(0)
    const child = started(settings({ door: { host: '127.0.0.1', port: door.port }, firstClient: 20 }))
    await sleep(CRASH_MS)
    const crashedNs = nowNs()
    door.server.close()
    await cluster.stop('SIGKILL')
    await cluster.start()
    const again = await opened(door.port)
    await sleep(CRASH_MS)
    assert.equal(await ended(child), 0)
    again.server.close()
    const all = readHistory(history)
    const unknown = all.filter(({ type }) => type === 'info')
    assert.ok(unknown.length > 0 && unknown.every(({ time }) => time >= crashedNs))
    assert.ok(all.some(({ type, error }) => type === 'fail' && error?.includes('ECONNREFUSED')))
    assert.ok(all.some(({ type, time }) => type === 'ok' && time > (unknown.at(-1)?.time ?? 0)))
    assert.deepEqual((await judged(all)).complaints, [])
  })
})

/** A door that can be shut: the server comes back on another port. */
async function opened(port: number): Promise<{ readonly server: Server; readonly port: number }> {
  const server = createServer((inbound) => {
    const outbound = connect(cluster.port, '127.0.0.1')
    for (const socket of [inbound, outbound]) socket.on('error', () => {})
    inbound.pipe(outbound).pipe(inbound)
    inbound.on('close', () => outbound.destroy())
    outbound.on('close', () => inbound.destroy())
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  const at = server.address()
  return { server, port: typeof at === 'object' && at !== null ? at.port : 0 }
}
