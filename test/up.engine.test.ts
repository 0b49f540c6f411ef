/** `holdfast up` from the first start to the second: every everyday command, Ctrl-C, and the data that stays. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { type Running, type Said, SECRETS, TestPlatform, until } from './platform.ts'

let platform: TestPlatform
let up: Running
before(async () => {
  platform = await TestPlatform.describe({ members: 3 })
})
after(() => platform.destroy())

interface View {
  readonly groups: readonly {
    readonly record: { readonly holder: string; readonly epoch: number; readonly paused: object | null } | null
    readonly verdict: { readonly safe: boolean; readonly because: string }
  }[]
}

async function view(): Promise<View['groups'][number]> {
  const said = await platform.command('status', '--output', 'json')
  assert.equal(said.code, 0, said.err)
  const [group] = (JSON.parse(said.out) as View).groups
  assert.ok(group !== undefined, said.out)
  return group
}

function safe(): Promise<View['groups'][number]> {
  return until('a group that is safe', async () => {
    const group = await view()
    return group.verdict.safe ? group : null
  })
}

async function holder(): Promise<string> {
  return (await safe()).record?.holder ?? ''
}

/** Through the router's door, as an application does. */
async function ask(sql: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const client = new pg.Client({
    host: '127.0.0.1',
    port: platform.doorPort,
    user: 'app',
    password: SECRETS.HF_APP,
    database: 'app',
    connectionTimeoutMillis: 30_000,
  })
  client.on('error', () => {})
  await client.connect()
  try {
    return (await client.query(sql)).rows as Readonly<Record<string, unknown>>[]
  } finally {
    await client.end().catch(() => {})
  }
}

function answered(said: Said): Readonly<Record<string, unknown>> {
  return JSON.parse(said.out) as Readonly<Record<string, unknown>>
}

test('the first start makes the group, and status says it is safe', async () => {
  up = platform.run(['up', platform.file])
  await up.says(/bad-days is up\./)
  await up.says(/safe now: yes/)
  assert.match((await safe()).verdict.because, /could take over from m\d without loss/)
  await ask('create table ledger (n int primary key)')
  await ask('insert into ledger values (1)')
})

test('a switchover moves the primary and keeps what was written', async () => {
  const before = await holder()
  const said = await platform.command('switchover', 'orders', '--output', 'json')
  assert.equal(said.code, 0, said.out + said.err)
  const answer = answered(said)
  assert.equal(answer.oldPrimary, before)
  assert.notEqual(answer.newPrimary, before)
  assert.equal(await holder(), answer.newPrimary)
  assert.deepEqual(await ask('select n from ledger'), [{ n: 1 }])
  await ask('insert into ledger values (2)')
})

test('a failover with a living primary loses nothing, or is refused with the rule', async () => {
  const before = await safe()
  const said = await platform.command('failover', 'orders')
  assert.ok(said.code === 0 || said.code === 1, said.err)
  if (said.code === 1) assert.match(said.err, /failover refused: R\d+[\s\S]* code: HF_INTENT_REFUSED/)
  const now = await safe()
  if (said.code === 1) assert.equal(now.record?.holder, before.record?.holder)
  assert.deepEqual(await ask('select n from ledger order by n'), [{ n: 1 }, { n: 2 }])
})

test('explain gives a verdict for every member', async () => {
  const said = await platform.command('explain', 'orders')
  assert.equal(said.code, 0, said.err)
  for (const member of platform.members)
    assert.match(said.out, new RegExp(`${member} +(holds the lease|may take over|may not)`))
  assert.match(said.out, /if the holder died now: /)
})

test('a pause is shown with its reason and its end, and resume takes it away', async () => {
  await safe()
  const paused = await platform.command('pause', 'orders', '--for', '10m', '--because', 'work on the rack')
  assert.equal(paused.code, 0, paused.err)
  const shown = await until('the pause', async () => {
    const group = await view()
    return group.record?.paused != null ? group : null
  })
  assert.match(shown.verdict.because, /paused by .*work on the rack; nobody takes over meanwhile/)
  const resumed = await platform.command('resume', 'orders')
  assert.equal(resumed.code, 0, resumed.err)
  assert.equal((await safe()).record?.paused, null)
})

test('Ctrl-C ends every process, PostgreSQL cleanly, and the next start comes back with the data', async () => {
  await safe()
  up.child.kill('SIGINT')
  assert.equal(await up.end(2 * 60_000), 0, up.text)
  assert.deepEqual(platform.processes(), [])
  for (const member of platform.members) {
    assert.equal(existsSync(join(platform.dataDir(member), 'postmaster.pid')), false, `${member} was stopped cleanly`)
  }
  up = platform.run(['up', platform.file])
  await up.says(/safe now: yes/)
  assert.doesNotMatch(up.text, /initdb|cloning|copying/)
  await safe()
  assert.deepEqual(await ask('select n from ledger order by n'), [{ n: 1 }, { n: 2 }])
  up.child.kill('SIGINT')
  assert.equal(await up.end(2 * 60_000), 0, up.text)
  assert.deepEqual(platform.processes(), [])
})
