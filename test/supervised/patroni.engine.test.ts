/**
 * A real Patroni group of three with etcd: found and shown by two commands, moved and paused by its own commands, and
 * looked at when one member is frozen and when its word and its server's differ.
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { openSupervisor } from '../../packages/holdfast/src/engines/open-supervisor.ts'
import type { SupervisorOptions } from '../../packages/holdfast/src/engines/supervisor.ts'
import { supervisorConformance } from '../../packages/holdfast/src/engines/supervisor-conformance.ts'
import { systemClock } from '../../packages/holdfast/src/io/clock.ts'
import { whyNoPatroni } from '../blackbox/subjects/patroni.ts'
import { until } from '../platform.ts'
import { holdfast } from './command-line.ts'
import { type PatroniGroup, startPatroni } from './patroni-group.ts'

const ONE_MINUTE_MS = 60_000

describe('a PostgreSQL group led by Patroni', { skip: (await whyNoPatroni()) ?? false }, () => {
  let group: PatroniGroup
  before(async () => {
    group = await startPatroni('async')
  })
  after(async () => group?.close())

  const options = (): SupervisorOptions => ({
    ...{ by: 'patroni', endpoints: group.apis, name: 'orders' },
    ...{ login: null, observer: group.subject.login, tls: null, clock: systemClock },
  })

  it('stands in status within a minute of pointing Holdfast at one Patroni, by two commands', async () => {
    const startMs = performance.now()
    const found = await holdfast(group.folder, ['discover', '--patroni', group.apis[0] ?? ''])
    assert.equal(found.code, 0, found.err)
    writeFileSync(join(group.folder, 'holdfast.yaml'), found.out)
    const status = await holdfast(group.folder, ['status'])
    assert.ok(performance.now() - startMs < ONE_MINUTE_MS)
    assert.equal(status.code, 0, status.err)
    assert.match(status.out, /orders {2}supervised by patroni/)
    assert.match(status.out, /3 of 3 answer, ttl 20 s, loop 1 s, synchronous no/)
    assert.equal(status.out.match(/ primary +running/g)?.length, 1, status.out)
    assert.equal(status.out.match(/ replica +(streaming|running)/g)?.length, 2, status.out)
    assert.match(status.out, /safe now: yes/)
  })

  supervisorConformance({
    options,
    open: openSupervisor,
    target: (picture) => picture.members.findLast(({ role }) => role === 'replica')?.member ?? '',
    members: 3,
  })

  it('is paused and resumed by its own pause, and is not called safe meanwhile', async () => {
    const paused = await holdfast(group.folder, ['pause', 'orders', '--for', '1m', '--because', 'test'])
    assert.equal(paused.code, 0, paused.err)
    assert.match(paused.out, /has no end of its own/)
    await until('the pause to show', async () => {
      const { out } = await holdfast(group.folder, ['status'])
      return /PAUSED/.test(out) && /safe now: no, the manager is paused/.test(out)
    })
    const resumed = await holdfast(group.folder, ['resume', 'orders'])
    assert.equal(resumed.code, 0, resumed.err)
    await until('the pause to be gone', async () =>
      /safe now: yes/.test((await holdfast(group.folder, ['status'])).out),
    )
  })

  it('is asked to fail over only by the whole word of an operator', async () => {
    const decided = await holdfast(group.folder, ['failover', 'orders'])
    assert.equal(decided.code, 1)
    assert.match(decided.err, /is\s+decided\s+by\s+patroni/)
    const before = await group.subject.primary()
    const to = group.subject.members.map(({ member }) => member).find((member) => member !== before) ?? ''
    const words = ['failover', 'orders', '--to', to, '--allow-data-loss', '--yes']
    const asked = await holdfast(group.folder, words)
    assert.equal(asked.code, 0, asked.err)
    assert.match(asked.out, /Successfully failed over/)
    await until('the new primary', async () => (await group.subject.primary()) === to)
  })

  it('tells when the primary hangs, keeps its deadline, and asks for nothing', async () => {
    await group.subject.whole(ONE_MINUTE_MS)
    const primary = (await group.subject.primary()) ?? ''
    const host = group.subject.members.find(({ member }) => member === primary)?.host ?? ''
    const pids = [...group.subject.pids(host, 'agent'), ...group.subject.pids(host, 'engine')]
    for (const pid of pids) process.kill(pid, 'SIGSTOP')
    try {
      const status = await holdfast(group.folder, ['status'])
      assert.match(status.out, /2 of 3 answer/)
      assert.match(status.out, /safe now: no, primary-silent/)
      const refused = await holdfast(group.folder, ['switchover', 'orders', '--yes'])
      assert.equal(refused.code, 1, refused.out)
      assert.match(refused.err, /primary-silent/)
    } finally {
      for (const pid of pids) process.kill(pid, 'SIGCONT')
    }
  })
})
