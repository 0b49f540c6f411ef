/** Holdfast in a world of its own: whole, written to, the host of its primary cut off, healed, whole again. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Subject } from '../contract.ts'
import type { UnnumberedLine } from '../world/host-words.ts'
import { type MadeWorld, makeWorld } from '../world/make-world.ts'
import { PROBE_TABLE_SQL, startProbes } from '../world/probes.ts'
import { startHoldfast } from './holdfast.ts'

const HOSTS = ['h1', 'h2', 'h3', 's1', 'edge']
const BOUND_MS = 60_000
const folder = mkdtempSync(join(tmpdir(), 'holdfast-blackbox-'))
let world: MadeWorld | undefined
let subject: Subject | undefined
after(async () => {
  await subject?.stop()
  await world?.close()
  rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
})

/** Runs on the edge host: asks until it is answered, and prints the rows. */
const CLIENT = `const { Client } = await import(process.argv[1])
  const [target, sql] = [JSON.parse(process.argv[2]), process.argv[3]]
  for (;;) {
    const client = new Client({ ...target, connectionTimeoutMillis: 5000, query_timeout: 5000 })
    client.on('error', () => {})
    try {
      await client.connect()
      console.log(JSON.stringify((await client.query(sql)).rows))
      process.exit(0)
    } catch {
      client.end().catch(() => {})
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }`
let questions = 0

async function asked(sql: string): Promise<readonly Record<string, unknown>[]> {
  assert.ok(subject && world)
  const log = join(folder, `question-${questions++}.log`)
  const [lane] = subject.lanes
  const target = JSON.stringify({ ...lane?.door, ...lane?.login })
  const words = ['--input-type=module', '-e', CLIENT, import.meta.resolve('pg'), target, sql]
  const child = world.spawn({ host: 'edge', command: process.execPath, args: words, cwd: folder, log })
  const timer = setTimeout(() => child.kill('SIGKILL'), BOUND_MS)
  const code = await new Promise((resolve) => child.once('close', resolve))
  clearTimeout(timer)
  const text = readFileSync(log, 'utf8')
  assert.equal(code, 0, `${sql}: ${text}`)
  return JSON.parse(text) as Record<string, unknown>[]
}

test('a host that is silently cut off loses the primary to another, and comes back when the cut heals', async (t) => {
  const made = await makeWorld({ hosts: HOSTS, folder })
  world = made
  const group = await startHoldfast({ world: made, folder, mode: 'sync', profile: 'fast' })
  subject = group
  const [lane] = group.lanes
  assert.ok(lane)
  const startedMs = performance.now()
  await group.start()
  const first = await group.whole(BOUND_MS)
  t.diagnostic(`${made.kind}; whole after ${Math.round(performance.now() - startedMs)} ms, primary ${first}`)
  assert.deepEqual(await lane.promotions(), [])
  await asked(PROBE_TABLE_SQL)
  await asked('create table numbered (n int)')
  await asked('insert into numbered values (1)')
  const lines: UnnumberedLine[] = []
  const probes = await startProbes(made, {
    members: lane.members,
    login: lane.login,
    onLine: (line) => lines.push(line),
  })
  const host = lane.members.find(({ member }) => member === first)?.host ?? ''
  for (const part of ['agent', 'guard', 'engine'] as const) assert.ok(group.pids(host, part).length > 0, part)
  assert.equal(group.pids('s1', 'store').length, 1)
  assert.equal(group.pids('edge', 'router').length, 1)
  await sleep(500)

  const cutMs = performance.now()
  const cutNs = Number(process.hrtime.bigint())
  const others = HOSTS.filter((other) => other !== host)
  await Promise.all(others.flatMap((other) => [made.cut(host, other), made.cut(other, host)]))
  await asked('insert into numbered values (2)')
  t.diagnostic(`written again ${Math.round(performance.now() - cutMs)} ms after the cut`)
  const second = await lane.primary()
  assert.ok(second !== null && second !== first, `the primary is ${second}`)
  await made.heal()
  assert.equal(await group.whole(BOUND_MS), second)
  t.diagnostic(`whole again ${Math.round(performance.now() - cutMs)} ms after the cut`)
  await probes.stop()
  assert.deepEqual(await asked('select n from numbered order by n'), [{ n: 1 }, { n: 2 }])

  const [promotion, ...more] = await lane.promotions()
  assert.deepEqual(more, [])
  assert.equal(promotion?.member, second)
  t.diagnostic(`promoted ${Math.round((promotion.time - cutNs) / 1e6)} ms after the cut: ${promotion.reason}`)
  assert.equal(promotion.planned, false)
  assert.ok(promotion.time > cutNs && promotion.time < Number(process.hrtime.bigint()))
  const acknowledged = (member: string): number[] =>
    lines.filter(({ type, node }) => type === 'ok' && node === member).map(({ time }) => time)
  assert.ok(acknowledged(first).length > 3 && acknowledged(second).length > 3)
  assert.ok(Math.max(...acknowledged(first)) < Math.min(...acknowledged(second)), 'never two writers')

  const moved = await lane.switchover()
  assert.ok(moved.ok, moved.text)
  const third = await group.whole(BOUND_MS)
  assert.notEqual(third, second)
  assert.equal((await lane.promotions()).at(-1)?.planned, true)
})
