/** A real Redis Cluster of six: found and shown by two commands, a shard moved by its own hand-over, a shard lost. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { openSupervisor } from '../../packages/holdfast/src/engines/open-supervisor.ts'
import { supervisorConformance } from '../../packages/holdfast/src/engines/supervisor-conformance.ts'
import { systemClock } from '../../packages/holdfast/src/io/clock.ts'
import { until } from '../platform.ts'
import { holdfast } from './command-line.ts'
import { type ClusterGroup, HOST, startCluster, whyNoRedis } from './redis-processes.ts'

describe('a Redis Cluster', { skip: whyNoRedis() }, () => {
  let group: ClusterGroup
  before(async () => {
    group = await startCluster()
  })
  after(async () => group?.close())

  const folder = (): string => group.processes.folder
  const endpoints = (): readonly string[] => group.nodes.map((port) => `${HOST}:${port}`)
  const NAME = 'redis-cluster-group'

  it('stands in status after two commands, with its shards', async () => {
    const found = await holdfast(folder(), ['discover', '--redis-cluster', endpoints()[0] ?? ''])
    assert.equal(found.code, 0, found.err)
    writeFileSync(join(folder(), 'holdfast.yaml'), found.out)
    const status = await holdfast(folder(), ['status'])
    assert.equal(status.code, 0, status.err)
    assert.match(status.out, /supervised by redis-cluster/)
    assert.equal(status.out.match(/ primary +up/g)?.length, 3, status.out)
    assert.match(status.out, /0-5460\n[\s\S]*5461-10922\n[\s\S]*10923-16383\n/)
    assert.match(status.out, /safe now: yes, each of 3 shards/)
  })

  supervisorConformance({
    options: () => ({
      ...{ by: 'redis-cluster', endpoints: endpoints(), name: '' },
      ...{ login: null, observer: null, tls: null, clock: systemClock },
    }),
    open: openSupervisor,
    target: (picture) => {
      const [shard] = picture.shards
      return picture.members.find((one) => one.shard === shard?.shard && one.role === 'replica')?.member ?? ''
    },
    members: 6,
  })

  it('must be told which shard, and says so', async () => {
    const ran = await holdfast(folder(), ['switchover', NAME, '--yes'])
    assert.equal(ran.code, 1)
    assert.match(ran.err, /target-not-named: shards 3/)
    assert.match(ran.err, /--to/)
  })

  it('tells a shard that nobody leads any more, and leaves the failover to the cluster', async () => {
    const status = JSON.parse((await holdfast(folder(), ['status', '-o', 'json'])).out) as {
      groups: { members: { member: string; shard: string }[] }[]
    }
    const shard = status.groups[0]?.members.filter((one) => one.shard === '0-5460') ?? []
    for (const { member } of shard) await group.processes.kill(Number(member.split(':')[1]))
    const out = await until('the cluster to tell', async () => {
      const { out: text } = await holdfast(folder(), ['status'])
      return /cluster not ok|slots failing/.test(text) ? text : null
    })
    assert.match(out, /4 of 6 answer/)
    assert.match(out, /safe now: no/)
    const refused = await holdfast(folder(), ['failover', NAME])
    assert.equal(refused.code, 1)
    assert.match(refused.err, /CLUSTER\s+FAILOVER\s+TAKEOVER/)
  })
})
