/**
 * The how-to of a first group, followed to the letter in an empty folder: its files, its commands, what it says of
 * them.
 */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import pg from 'pg'
import { PATIENCE_MS, until } from '../platform.ts'
import { Reader, ROOT } from './reader.ts'

const reader = new Reader('docs/operate/first-group.md')
after(() => reader.close())

/** What the page calls the application, through the router's door. */
async function throughTheDoor(sql: string): Promise<readonly unknown[]> {
  const client = new pg.Client({
    host: '127.0.0.1',
    port: 5600,
    user: 'app',
    database: 'app',
    password: reader.secret('APP_PASSWORD'),
    connectionTimeoutMillis: PATIENCE_MS,
  })
  client.on('error', () => {})
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end().catch(() => {})
  }
}

test('a newcomer who follows the page gets what it says', { timeout: 5 * 60_000 }, async () => {
  assert.ok(existsSync(join(ROOT, 'node_modules/.bin/holdfast')), 'npm ci puts the command where the page looks for it')
  const all = await reader.follow()
  assert.match(all, /orders-1/)
  assert.match(all, /if the holder died now: /)
  assert.match(all, /done {2}old primary orders-\d, new primary orders-\d/)
  const status = await reader.safeNow()
  assert.equal(status.match(/ primary /g)?.length, 1, status)
  assert.equal(status.match(/ replica /g)?.length, 2, status)

  await throughTheDoor('create table ledger (n int primary key)')
  await throughTheDoor('insert into ledger values (1)')
  const primary = /(orders-\d) +here +primary/.exec(status)?.[1] ?? ''
  const killed = reader.shell(`kill -9 "$(head -1 holdfast-data/${primary}/postmaster.pid)"`)
  assert.equal(killed.code, 0, killed.out)
  assert.deepEqual(await until('the ledger', async () => throughTheDoor('select n from ledger').catch(() => null)), [
    { n: 1 },
  ])
  await reader.safeNow()

  const [up] = reader.background
  assert.ok(up !== undefined)
  await reader.end(up)
  assert.equal(up.exitCode, 0)
  rmSync(join(reader.folder, 'holdfast-data'), { recursive: true })
  assert.deepEqual(readdirSync(reader.folder), ['holdfast.yaml'])
})
