/**
 * Servers are killed in a loop while agents decide one thing after another: every decision is in the events exactly
 * once and in order, numbers have no gap, and no agent was asked to do anything. On both databases.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { Cluster, embedded18, makeDirectory, PASSWORD, removeDirectory } from '../engines/postgres/test-cluster.ts'
import { systemClock } from '../io/clock.ts'
import { createLog } from '../io/log.ts'
import { openDatabase } from './database/database.ts'
import { eventsAfter } from './events.ts'
import { description, fakeAgent, memberWords, TOKEN, until } from './server.fixture.ts'

const KILLS = 2
const EVERY_MS = 40

interface Running {
  readonly process: ChildProcess
  readonly gone: Promise<unknown>
}

async function startProcess(file: string, name: string, url: string | null): Promise<Running> {
  const path = join(import.meta.dirname, 'leader-loss.fixture.ts')
  const child = spawn(process.execPath, [path, file, name, url ?? '-'], {
    env: { ...process.env, HOLDFAST_TOKEN: TOKEN },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const gone = new Promise((resolve) => child.once('exit', resolve))
  let ready = false
  child.stdout?.on('data', () => {
    ready = true
  })
  await until(`server ${name} is ready`, () => ready || child.exitCode !== null, 60_000)
  assert.equal(child.exitCode, null, `server ${name} ended`)
  return { process: child, gone }
}

async function killLoop(url: string | null): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-loss-'))
  mkdirSync(join(folder, 'holdfast-data', 'server'), { recursive: true })
  const agents = await Promise.all([1, 2, 3].map((n) => fakeAgent(`agent-${n}`, [memberWords(n, n === 1)])))
  const file = join(folder, 'holdfast.yaml')
  writeFileSync(file, description(agents.map(({ port }) => port)))
  const log = createLog({ level: 'silent', name: 'test' })
  const database = await openDatabase({ dir: join(folder, 'holdfast-data', 'server'), url, clock: systemClock, log })
  const running = new Map<string, Running>()
  for (const name of ['a', 'b']) running.set(name, await startProcess(file, name, url))
  let told = 0
  const talking = setInterval(() => {
    told += 1
    const line = { wallMs: systemClock.wallMs(), code: 'claims', group: 'orders', member: 'orders-1', detail: { told } }
    agents[0]?.tell({ reasons: [line] })
  }, EVERY_MS)
  const holder = async () =>
    (await database.read.selectFrom('leader').select('holder').executeTakeFirstOrThrow()).holder
  const recorded = async () => (await eventsAfter(database.read, 0, 100_000)).filter(({ code }) => code === 'claims')
  for (let kill = 0; kill < KILLS; kill++) {
    const before = (await recorded()).length
    await until('the leader writes', async () => (await recorded()).length > before + 5, 60_000)
    const name = await holder()
    const victim = running.get(name) ?? assert.fail(`${name} leads and is not ours`)
    victim.process.kill('SIGKILL')
    await victim.gone
    running.set(name, await startProcess(file, name, url))
    await until(
      'somebody else leads',
      async () => (await holder()) !== '' && (await recorded()).length > before + 5,
      60_000,
    )
  }
  clearInterval(talking)
  const all = told
  await until('all is written', async () => (await recorded()).length >= all, 60_000)
  for (const { process: child, gone } of running.values()) {
    child.kill('SIGKILL')
    await gone
  }
  const events = await eventsAfter(database.read, 0, 100_000)
  assert.deepEqual(
    events.map(({ number }) => number),
    events.map((_, index) => index + 1),
  )
  const numbers = events.filter(({ code }) => code === 'claims').map(({ detail }) => detail.told)
  assert.deepEqual(
    numbers,
    Array.from({ length: all }, (_, index) => index + 1),
  )
  assert.deepEqual(
    agents.flatMap(({ asked }) => asked),
    [],
  )
  await database.close()
  await Promise.all(agents.map((agent) => agent.close()))
  rmSync(folder, { recursive: true, force: true })
}

describe('servers that are killed lose no event', () => {
  const root = makeDirectory()
  const cluster = new Cluster(embedded18(), root, 'loss')
  after(async () => {
    await cluster.stop()
    removeDirectory(root)
  })

  it('on SQLite, two servers of one host', () => killLoop(null))

  it('on PostgreSQL', async () => {
    await cluster.create()
    await cluster.start()
    await killLoop(`postgres://super:${encodeURIComponent(PASSWORD)}@127.0.0.1:${cluster.port}/postgres`)
  })
})
