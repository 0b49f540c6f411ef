import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GATE, NO_SYNC } from '../core/model.ts'
import type { EngineCommand, EngineOutcome } from '../core/protocol.ts'
import { type CommitEnd, Database, type DatabaseHooks, type EngineTiming } from './database.ts'
import { Engine } from './engine.ts'
import { holds } from './log.ts'
import { Network } from './network.ts'
import { streamOf } from './prng.ts'
import { World } from './world.ts'

const TIMING: EngineTiming = {
  fsyncMs: 1,
  patienceMs: 2_000,
  createMs: [10, 20],
  startMs: [10, 20],
  recoverMs: [10, 20],
  cloneMs: [50, 60],
  rewindMs: [20, 30],
  promoteMs: [10, 20],
  fenceMs: [5, 10],
}

class Bench {
  readonly world = new World()
  readonly network = new Network(this.world, 1, [0, 0, 0, 0], {
    minMs: 1,
    meanMs: 0,
    siteMs: 0,
    loss: 0,
    duplicate: 0,
    lateMs: 0,
  })
  readonly falselyConfirmed: string[] = []
  readonly engines: readonly Engine[]

  constructor() {
    this.engines = [0, 1, 2].map((host) => this.make(host))
  }

  private make(host: number): Engine {
    const nothing = () => undefined
    const hooks: DatabaseHooks = {
      writable: nothing,
      acknowledged: nothing,
      logReplaced: nothing,
      spoiled: nothing,
      guardFired: () => undefined,
      exited: nothing,
      confirmed: (primary, standby, index) => {
        const point = { branch: (primary.flushed ?? primary.written)?.branch, index }
        if (index < 0 || point.branch === undefined || standby.flushed === null) return
        if (!holds(standby.flushed, { branch: point.branch, index })) this.falselyConfirmed.push(standby.member)
      },
    }
    const db = new Database({
      host,
      member: `m${host + 1}`,
      network: this.network,
      random: streamOf(1, `db${host}`),
      timing: TIMING,
      hooks,
    })
    db.peer = (name) => this.db(Number(name.slice(1)) - 1)
    return new Engine(db)
  }

  db(host: number): Database {
    return this.engine(host).db
  }

  engine(host: number): Engine {
    const engine = this.engines[host]
    assert.ok(engine)
    return engine
  }

  /** Runs a command and the time it needs. */
  do(host: number, command: EngineCommand, forMs = 200): EngineOutcome | null {
    let outcome: EngineOutcome | null = null
    this.engine(host).run(command, this.world.nowMs + forMs, (o) => {
      outcome = o
    })
    this.world.runUntil(this.world.nowMs + forMs + 1)
    return outcome
  }

  follow(host: number, upstream: string, epoch = 1): EngineOutcome | null {
    return this.do(host, { do: 'follow', upstream, epoch, timeline: 1 })
  }

  write(host: number, write: number, forMs = 50): CommitEnd | 'waits' {
    let end: CommitEnd | 'waits' = 'waits'
    this.db(host).commit(write, 100, (how) => {
      end = how
    })
    this.world.runUntil(this.world.nowMs + forMs)
    return end
  }
}

function pair(): Bench {
  const bench = new Bench()
  assert.equal(bench.do(0, { do: 'create', epoch: 1, sync: NO_SYNC })?.ok, true)
  for (const host of [1, 2]) assert.equal(bench.follow(host, 'm1')?.ok, true)
  return bench
}

test('a commit waits until the sync setting in effect is satisfied, and a gate satisfies nothing', () => {
  const bench = pair()
  assert.equal(bench.write(0, 1), 'acknowledged')
  bench.do(0, { do: 'apply-sync', sync: GATE })
  assert.equal(bench.write(0, 2), 'waits')
  bench.do(0, { do: 'apply-sync', sync: { members: ['m2'], need: 1 } })
  assert.equal(bench.db(0).waiting, 0)
  bench.network.link(1, 0).cuts = 1
  assert.equal(bench.write(0, 3), 'waits')
  bench.do(0, { do: 'apply-sync', sync: { members: ['m2', 'm3'], need: 1 } })
  assert.equal(bench.db(0).waiting, 0)
})

test('a cancelled wait leaves the write visible on the standbys and unacknowledged', () => {
  const bench = pair()
  bench.do(0, { do: 'apply-sync', sync: GATE })
  let end: CommitEnd | null = null
  bench.db(0).commit(9, 100, (how) => {
    end = how
  })
  bench.world.runUntil(bench.world.nowMs + 50)
  bench.db(0).cancelWaits()
  assert.equal(end, 'unknown')
  assert.equal(bench.db(1).lastEntry()?.write, 9)
})

test('power loss keeps what was flushed and nothing else', () => {
  const bench = pair()
  bench.write(0, 1)
  const kept = bench.db(0).durableLsn
  bench.db(0).append(2, 100)
  bench.db(0).powerOff()
  bench.db(0).powered = true
  assert.equal(bench.do(0, { do: 'restart', epoch: 1, sync: NO_SYNC })?.ok, true)
  assert.ok(bench.db(0).durableLsn > kept)
  bench.world.runUntil(bench.world.nowMs + 3_000)
  assert.equal(bench.db(1).durableLsn, bench.db(0).durableLsn)
})

test('a diverged former primary is rewound before it confirms anything', () => {
  const bench = pair()
  bench.write(0, 1)
  for (const [a, b] of [
    [0, 1],
    [1, 0],
    [0, 2],
    [2, 0],
  ] as const)
    bench.network.link(a, b).cuts = 1
  bench.write(0, 2)
  assert.equal(bench.do(1, { do: 'promote', epoch: 2, sync: NO_SYNC })?.ok, true)
  bench.write(1, 3)
  bench.do(0, { do: 'fence' })
  for (const [a, b] of [
    [0, 1],
    [1, 0],
    [0, 2],
    [2, 0],
  ] as const)
    bench.network.link(a, b).cuts = 0
  assert.equal(bench.follow(0, 'm2', 2)?.ok, true)
  bench.world.runUntil(bench.world.nowMs + 500)
  const [former, primary] = [bench.db(0), bench.db(1)]
  assert.ok(former.flushed !== null && primary.flushed !== null && holds(former.flushed, primary.flushed))
  assert.deepEqual(bench.falselyConfirmed, [])
})

test('without a rewind it would confirm what it does not hold', () => {
  const bench = pair()
  bench.db(1).stopReceiver()
  bench.write(0, 2)
  bench.do(1, { do: 'promote', epoch: 2, sync: NO_SYNC })
  bench.write(1, 3)
  bench.db(0).ignoresDivergence = true
  bench.follow(0, 'm2', 2)
  bench.write(1, 4, 500)
  assert.ok(bench.falselyConfirmed.includes('m1'))
})

test('nothing from an old connection arrives on a new one', () => {
  const bench = pair()
  bench.network.link(0, 1).extraMs = 400
  bench.write(0, 1, 5)
  const old = bench.db(1).receiver
  bench.follow(1, 'm3')
  assert.notEqual(bench.db(1).receiver, old)
  const before = bench.db(1).durableLsn
  bench.world.runUntil(bench.world.nowMs + 2_000)
  assert.equal(bench.db(1).durableLsn, before)
})

test('a cut connection stalls, each half gives up by itself, and a new one brings what was missed', () => {
  const bench = pair()
  bench.network.link(0, 1).cuts = 1
  bench.network.link(1, 0).cuts = 1
  bench.write(0, 1)
  assert.notEqual(bench.db(1).durableLsn, bench.db(0).durableLsn)
  bench.world.runUntil(bench.world.nowMs + 5_000)
  assert.equal(bench.db(1).receiver, null)
  bench.network.link(0, 1).cuts = 0
  bench.network.link(1, 0).cuts = 0
  bench.world.runUntil(bench.world.nowMs + 5_000)
  assert.equal(bench.db(1).durableLsn, bench.db(0).durableLsn)
})

test('a clean stop ships everything to connected standbys first', () => {
  const bench = pair()
  bench.write(0, 1, 0)
  const outcome = bench.do(0, { do: 'stop' }, 500)
  assert.ok(outcome?.ok)
  assert.equal(bench.db(1).durableLsn, outcome.position?.lsn)
  assert.equal(bench.db(0).running, false)
})

test('a fence pre-empts a promotion that hangs, and a deadline ends what does not', () => {
  const bench = pair()
  bench.engine(1).promoteFault = 'hang'
  let first: EngineOutcome | null = null
  bench.engine(1).run({ do: 'promote', epoch: 2, sync: NO_SYNC }, bench.world.nowMs + 10_000, (o) => {
    first = o
  })
  assert.equal(bench.do(1, { do: 'fence' })?.ok, true)
  assert.deepEqual(first, { ok: false, because: 'superseded', retryable: true })
  assert.equal(bench.db(1).running, false)
  bench.engine(2).promoteFault = 'hang'
  assert.deepEqual(bench.do(2, { do: 'promote', epoch: 2, sync: NO_SYNC }), {
    ok: false,
    because: 'deadline passed',
    retryable: true,
  })
})

test('a copy that breaks off is unfinished and is made anew', () => {
  const bench = new Bench()
  bench.do(0, { do: 'create', epoch: 1, sync: NO_SYNC })
  bench.engine(1).crashMidCommand = 1
  assert.equal(bench.follow(1, 'm1')?.ok, false)
  assert.equal(bench.db(1).data, 'unfinished')
  bench.engine(1).crashMidCommand = 0
  assert.equal(bench.follow(1, 'm1')?.ok, true)
  assert.equal(bench.db(1).data, 'ready')
})
