/** The note of a promotion on a disk that hangs or refuses: nobody keeps the lease for a server that cannot open. */
import assert from 'node:assert/strict'
import { mkdir, readFile, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { GATE, type SyncSet } from '../../core/model.ts'
import { type ConformanceMember, call, must, until } from '../conformance.ts'
import { findRedis } from './binaries.ts'
import { makeCluster, type RedisCluster } from './cluster-fixture.ts'
import { applySync } from './confirmations.ts'
import { Course, Engine } from './engine.ts'
import { promote } from './promotion.ts'

const ALONE: SyncSet = { members: [], need: 0 }
const fileOf = ({ dataDir }: ConformanceMember): string => join(dataDir, 'holdfast.member.json')
const found = await findRedis()

describe('a promotion behind the gate', {
  timeout: 60_000,
  skip: found.ok ? false : `needs Redis or Valkey: ${found.because}`,
}, () => {
  let cluster: RedisCluster
  before(async () => {
    cluster = await makeCluster()
    const [a, b, c] = cluster.members
    must(await a.adapter.create(1, ALONE, call()))
    const { systemId } = await until(a, (v) => v.answering)
    assert.ok(systemId !== null)
    for (const one of [b, c]) {
      must(await one.adapter.follow(a.endpoint, { epoch: 1, timeline: 1, systemId }, call()))
      const logged = async (): Promise<boolean> => /"logPending":false/.test(await readFile(fileOf(one), 'utf8'))
      while (!(await logged())) await until(one, (v) => v.receiving)
      must(await one.adapter.freeze(2, call()))
    }
  })
  after(() => cluster.close())

  test('that the disk refuses ends the server; started again on a disk that is well, it opens', async () => {
    const [, b] = cluster.members
    const obstacle = `${fileOf(b)}.new`
    await mkdir(obstacle)
    await b.adapter.promote(2, GATE, call())
    await until(b, (v) => !v.running)
    await rmdir(obstacle)
    must(await b.adapter.restart(2, GATE, call()))
    must(await b.adapter.applySync(ALONE, call()))
  })

  test('that the disk never takes ends the server, and what waits to open fails within its time', async () => {
    const [, , c] = cluster.members
    const options = cluster.options.find(({ member }) => member === 'c')
    assert.ok(options)
    const engine = await Engine.open(options)
    engine.note = () => new Promise(() => undefined)
    must(await promote(engine, 2, GATE, new Course(engine, call(1_500))))
    const opening = await applySync(engine, ALONE, new Course(engine, call(100)))
    assert.match(opening.ok ? 'opened' : opening.because, /cannot write that the group opens: .* in time/)
    await until(c, (v) => !v.running)
    engine.close()
  })
})
