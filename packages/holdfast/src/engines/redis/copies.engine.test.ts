/** Bad days of copies on real servers: whose data it is, what a kill leaves, and a replica that was away too long. */
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { SyncSet } from '../../core/model.ts'
import { treeOf } from '../../io/process-tree.ts'
import { type ConformanceMember, call, must, until } from '../conformance.ts'
import type { RedisOptions } from './adapter.ts'
import { findRedis } from './binaries.ts'
import { discard, makeCluster, memberOf, type RedisCluster, SECRETS, TestClient } from './cluster-fixture.ts'
import { OPERATOR } from './config.ts'

const NOBODY: SyncSet = { members: [], need: 0 }
const KEYS = 20_000
const VALUE_BYTES = 1_000
const found = await findRedis()
const skip = found.ok ? false : `needs Redis or Valkey: ${found.because}`

describe('copies', { timeout: 120_000, skip }, () => {
  let cluster: RedisCluster
  let systemId = ''
  const at = (epoch: number) => ({ epoch, timeline: epoch, systemId })
  const optionsOf = (member: ConformanceMember): RedisOptions => {
    const own = cluster.options.find((o) => o.member === member.endpoint.member)
    assert.ok(own)
    return own
  }
  const sizeOf = async (member: ConformanceMember): Promise<unknown> => {
    const client = await TestClient.as(optionsOf(member))
    try {
      return await client.run('DBSIZE')
    } finally {
      client.close()
    }
  }
  before(async () => {
    // The least there is, so that little has to be written for it to be gone.
    cluster = await makeCluster({ confirmations: 1, parameters: { 'repl-backlog-size': '16kb' } })
    const [a] = cluster.members
    must(await a.adapter.create(1, NOBODY, call()))
    systemId = (await until(a, (v) => v.answering)).systemId ?? ''
    const client = await TestClient.as(optionsOf(a))
    const set = `redis.call('SET', 'key' .. i, string.rep('x', ${VALUE_BYTES}))`
    const fill = `for i = 1, ${KEYS} do ${set} end return ${KEYS}`
    assert.equal(await client.run('EVAL', fill, '0'), KEYS)
    client.close()
  })
  after(() => cluster.close())

  test('a transaction that was acknowledged before a crash is in the log, and is loaded from it', async () => {
    const [a] = cluster.members
    const client = await TestClient.as(optionsOf(a))
    const answers = await Promise.all(
      [['MULTI'], ['SET', 'pair', '1'], ['INCR', 'pair'], ['EXEC']].map((w) => client.run(...w)),
    )
    assert.deepEqual(answers.at(-1), ['OK', 2])
    must(await a.adapter.fence(call()))
    must(await a.adapter.restart(1, NOBODY, call(30_000)))
    assert.equal(await sizeOf(a), KEYS + 1)
  })

  test('a copy that is killed half-way is told from a whole one, and is made again', async () => {
    const [a, b] = cluster.members
    const reached = new Promise<void>((resolve) => {
      const progress = (step: string, done: number): void => {
        if (step === 'snapshot' && done > 0) resolve()
      }
      void b.adapter.follow(a.endpoint, at(1), { ...call(30_000), progress }).then(() => resolve())
    })
    await reached
    must(await b.adapter.fence(call()))
    const state = await b.adapter.dataState()
    assert.ok(state === 'unfinished' || state === 'ready', state)
    must(await b.adapter.follow(a.endpoint, at(1), call(30_000)))
    await until(b, (v) => v.receiving && v.position !== null)
    assert.equal(await sizeOf(b), KEYS + 1)
  })

  test('a replica whose place in the backlog is gone is copied in full, and knows where it is again', async () => {
    const [a, b] = cluster.members
    must(await b.adapter.freeze(2, call()))
    const client = await TestClient.as(optionsOf(a))
    for (let i = 0; i < 100; i++) await client.run('SET', `later${i}`, 'y'.repeat(10_000))
    client.close()
    must(await b.adapter.follow(a.endpoint, at(1), call(30_000)))
    const { position } = await until(b, (v) => v.receiving && v.position !== null)
    assert.ok((position?.lsn ?? 0) >= 1_000_000)
    assert.equal(await sizeOf(b), KEYS + 101)
    const operator = await TestClient.as(optionsOf(a), OPERATOR, SECRETS.superuser)
    assert.match(String(await operator.run('INFO', 'stats')), /sync_full:[2-9]/)
    operator.close()
  })

  test('a fence while the log is written anew ends the child as well, and nothing acknowledged is gone', async () => {
    const [a] = cluster.members
    const operator = await TestClient.as(optionsOf(a), OPERATOR, SECRETS.superuser)
    await operator.run('BGREWRITEAOF')
    operator.close()
    const client = await TestClient.as(optionsOf(a))
    assert.equal(await client.run('SET', 'last', 'acknowledged'), 'OK')
    must(await a.adapter.fence(call()))
    assert.deepEqual(treeOf(a.dataDir, null), [])
    must(await a.adapter.restart(1, NOBODY, call(30_000)))
    const again = await TestClient.as(optionsOf(a))
    assert.equal(await again.run('GET', 'last'), 'acknowledged')
    again.close()
    assert.equal(await sizeOf(a), KEYS + 102)
  })

  test('data of another group, or written by another version, is left alone and told with the way out', async () => {
    const [a] = cluster.members
    must(await a.adapter.fence(call()))
    const theirs = memberOf({ ...optionsOf(a), group: 'orders' })
    const refused = await theirs.adapter.create(1, NOBODY, call())
    await discard(theirs.adapter)
    assert.ok(!refused.ok)
    assert.match(refused.because, /belongs to member a of group stock; it is left alone: move it away/)

    const path = join(a.dataDir, 'holdfast.member.json')
    const text = await readFile(path, 'utf8')
    await writeFile(path, JSON.stringify({ ...JSON.parse(text), v: 2 }))
    const newer = memberOf(optionsOf(a))
    const told = await newer.adapter.restart(1, NOBODY, call())
    await discard(newer.adapter)
    assert.ok(!told.ok)
    assert.match(told.because, /was written by another version of Holdfast \(holdfast.member.json has v 2\)/)
    await writeFile(path, text)
    must(await a.adapter.restart(1, NOBODY, call(30_000)))
    assert.equal(await sizeOf(a), KEYS + 102)
  })
})
