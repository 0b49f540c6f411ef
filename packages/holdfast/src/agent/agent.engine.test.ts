/** A group of three real agents, guards and PostgreSQL servers over the embedded store, through its bad days. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { IntentState } from '@holdfast/client'
import pg from 'pg'
import { type NodeSettings, type NodeState, startNode, stepNode } from '../core/node.ts'
import type { StepResult } from '../core/protocol.ts'
import { systemClock } from '../io/clock.ts'
import { TestGroup, until } from './group-fixture.ts'
import { type JournalEntry, type JournalStart, journalPath } from './journal.ts'

const TTL_MS = 1_000
const SETTLE_MS = 30_000
const REST_MS = 3_000

let group: TestGroup

before(async () => {
  group = await TestGroup.start({ profile: 'fast' })
})
after(() => group.destroy())

/** The primary, once its sync set stands and every other member streams. */
async function whole(): Promise<string> {
  return until('one primary, a sync set, and replicas that stream', SETTLE_MS, async () => {
    const primary = await group.primary()
    if (primary === null) return null
    const status = await group.status(primary)
    if ((status?.groups[0]?.eligible.length ?? 0) === 0) return null
    for (const { member } of group.members) {
      if (member !== primary && (await group.ask(member, '/replica').catch(() => null))?.status !== 200) return null
    }
    // The primary looks at its standbys once per beat: two beats later it knows what they know.
    await new Promise((resolve) => setTimeout(resolve, 400))
    return (await group.primary()) === primary ? primary : null
  })
}

async function newPrimary(than: string, timeoutMs: number): Promise<{ member: string; tookMs: number }> {
  const startedMs = systemClock.nowMs()
  const member = await until(`another primary than ${than}`, timeoutMs, async () => {
    const found = await group.primary()
    return found === than ? null : found
  })
  return { member, tookMs: systemClock.nowMs() - startedMs }
}

/** Numbers acknowledged by whoever takes writes, tried every few milliseconds on new connections. */
async function writeUntilDone(value: number, timeoutMs: number): Promise<string> {
  return until(`a write of ${value}`, timeoutMs, async () => {
    for (const { member } of group.members) {
      const done = await group
        .query(member, `insert into ledger values (${value}) on conflict do nothing`)
        .catch(() => null)
      if (done !== null) return member
    }
    return null
  })
}

async function ledger(member: string): Promise<readonly number[]> {
  const { rows } = await group.query(member, 'select n from ledger order by n')
  return rows.map((row: { n: number }) => row.n)
}

test('a group comes up from nothing, has one primary, and takes writes only there', async () => {
  const primary = await whole()
  await group.query(primary, 'create table ledger (n int primary key)')
  await group.query(primary, 'insert into ledger values (1)')
  for (const { member } of group.members) {
    const expected = member === primary
    assert.equal((await group.ask(member, '/primary')).status, expected ? 200 : 503, member)
    assert.equal((await group.ask(member, '/replica?lag=1048576')).status, expected ? 503 : 200, member)
    assert.equal((await group.ask(member, '/readyz')).status, 200, member)
    if (!expected) await assert.rejects(group.query(member, 'insert into ledger values (99)'), /read-only/)
  }
  const status = await group.status(primary)
  assert.ok((status?.members[0]?.writableForMs ?? 0) > 0)
  assert.ok(status?.guard.alive)
})

test('metrics are told without asking anybody', async () => {
  const primary = await whole()
  const response = await fetch(`${group.memberOf(primary).agentUrl}/metrics`)
  const text = await response.text()
  assert.match(text, /holdfast_member_role\{group="orders",member="m\d",role="primary"\} 1/)
  assert.match(text, /holdfast_guard_up 1/)
})

test('a killed PostgreSQL costs a moment and no acknowledged write', async () => {
  const primary = await whole()
  await group.query(primary, 'insert into ledger values (2)')
  const startedMs = systemClock.nowMs()
  process.kill(group.postmasterPid(primary) ?? -1, 'SIGKILL')
  const writer = await writeUntilDone(3, SETTLE_MS)
  const tookMs = systemClock.nowMs() - startedMs
  assert.ok(tookMs < 5_000, `${tookMs} ms without writes`)
  assert.deepEqual(await ledger(writer), [1, 2, 3])
})

test('a frozen agent is fenced by its guard within the ttl, and comes back as a replica', async () => {
  const primary = await whole()
  const { agent, port } = group.memberOf(primary)
  const old = new pg.Client({ host: '127.0.0.1', port, user: 'app', password: 'password-of-the-test', database: 'app' })
  let cutAtMs = 0
  old.on('error', () => {
    cutAtMs = systemClock.nowMs()
  })
  await old.connect()
  const frozenAtMs = systemClock.nowMs()
  group.signalAgent(agent, 'SIGSTOP')
  const others = group.members.filter((m) => m.member !== primary)
  const heir = await until('another primary', SETTLE_MS, async () => {
    for (const { member } of others) {
      const answer = await group.ask(member, '/primary').catch(() => null)
      if (answer?.status === 200) return member
    }
    return null
  })
  assert.ok(cutAtMs > 0 && cutAtMs - frozenAtMs <= TTL_MS, `its sessions were cut after ${cutAtMs - frozenAtMs} ms`)
  await group.query(heir, 'insert into ledger values (4)')
  group.signalAgent(agent, 'SIGCONT')
  await whole()
  assert.equal((await group.ask(primary, '/replica')).status, 200)
  assert.deepEqual(await ledger(heir), [1, 2, 3, 4])
})

test('a switchover moves the primary to the named member and loses nothing', async () => {
  const primary = await whole()
  const to = group.members.find((m) => m.member !== primary)?.member ?? ''
  const asked = await group.ask(to, '/v1/groups/orders/switchover', { to, by: 'the test' })
  assert.equal(asked.status, 200)
  const { id } = asked.body as { id: string }
  const end = await until('the end of the switchover', SETTLE_MS, async () => {
    const state = (await group.ask(to, `/v1/groups/orders/intents/${id}`)).body as IntentState
    return state.state === 'done' || state.state === 'refused' ? state : null
  })
  assert.deepEqual([end.state, end.holder], ['done', to], end.because)
  await group.query(to, 'insert into ledger values (5)')
  assert.deepEqual(await ledger(to), [1, 2, 3, 4, 5])
})

test('an agent that is asked to stop hands its group over first', async () => {
  const primary = await whole()
  const { agent } = group.memberOf(primary)
  const stopped = group.stopAgent(agent)
  const { member } = await newPrimary(primary, SETTLE_MS)
  assert.equal(await stopped, 0)
  assert.equal(group.postmasterPid(primary), null, 'its engine was stopped cleanly')
  await writeUntilDone(6, SETTLE_MS)
  assert.deepEqual(await ledger(member), [1, 2, 3, 4, 5, 6])
  group.startAgent(agent)
  await whole()
})

test('the journal of every agent, run again through the core, gives the same actions and reasons', async () => {
  await whole()
  for (const { agent } of group.members) {
    const lines = readFileSync(journalPath(join(group.folder, agent)), 'utf8').split('\n')
    let settings: NodeSettings | null = null
    let state: NodeState | null = null
    let steps = 0
    for (const text of lines.slice(0, -1)) {
      const line = JSON.parse(text) as JournalStart | JournalEntry
      if ('v' in line) {
        settings = line.start.settings
        state = line.state ?? startNode(settings, line.start.bootId, line.start.nowMs)
        continue
      }
      assert.ok(settings !== null && state !== null)
      const again: StepResult<NodeState> = stepNode(state, line.e, settings)
      state = again.state
      steps += 1
      assert.equal(JSON.stringify([again.actions, again.reasons]), JSON.stringify([line.a, line.r]), text.slice(0, 200))
    }
    assert.ok(steps > 10, `${agent}: ${steps} events`)
  }
})

test('at rest an agent with its guard stays small', async () => {
  const primary = await whole()
  const { member, agent } = group.members.find((m) => m.member !== primary) ?? group.memberOf(primary)
  // The first start of a version strips and compiles every file; later ones take them from the cache.
  await group.stopAgent(agent)
  group.startAgent(agent)
  await whole()
  await new Promise((resolve) => setTimeout(resolve, REST_MS))
  const status = await group.status(member)
  // The guard's file-backed pages are those of the same program as the agent's: resident once.
  const agentMb = residentMb(group.pidOf(agent), 'VmRSS')
  const guardMb = residentMb(status?.guard.pid ?? -1, 'RssAnon')
  assert.ok(agentMb + guardMb <= 150, `agent ${Math.round(agentMb)} MiB, guard's own ${Math.round(guardMb)} MiB`)
})

function residentMb(pid: number, field: 'VmRSS' | 'RssAnon'): number {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(text)?.[1]) / 1_024
}
