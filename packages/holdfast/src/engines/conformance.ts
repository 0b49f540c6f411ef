/**
 * What every managed engine must do, shown on real processes. An engine's test calls `engineConformance` with a way to
 * make a cluster of three members; the tests then tell one story in order, each part standing on the one before.
 * Times are printed, not asserted: they are for `docs/reference/measurements.md`.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { EngineView, SyncSet } from '../core/model.ts'
import { treeOf } from '../io/process-tree.ts'
import type { CallOptions, Done, EngineAdapter, EngineEndpoint } from './contract.ts'

/** One client of one member. */
export interface ConformanceClient {
  /** Resolves when the write was acknowledged. */
  write(id: number): Promise<void>
  ids(): Promise<number[]>
  /** Resolves when the connection is gone, from whatever side. */
  readonly cut: Promise<void>
  close(): void
}

export interface ConformanceMember {
  readonly endpoint: EngineEndpoint
  readonly dataDir: string
  adapter: EngineAdapter
  /** A new adapter on the same member, as after a restart of the agent. The old one is closed by the test. */
  reopen(): EngineAdapter
  client(): Promise<ConformanceClient>
}

export interface ConformanceCluster {
  readonly members: readonly [ConformanceMember, ConformanceMember, ConformanceMember]
  /** Makes what clients write to; called once, on the first primary, when nobody needs to confirm. */
  prepare(primary: ConformanceMember): Promise<void>
  /** Text in which the ids of a kept lost tail of this member can be found; null when none was kept. */
  keptTail(member: ConformanceMember): Promise<string | null>
  /** The engine is one process, so nothing of it can hang while its main process runs. Default false. */
  readonly oneProcess?: boolean
  /** Ends everything and removes its files. */
  close(): Promise<void>
}

const NOBODY: SyncSet = { members: [], need: 0 }
const GATE: SyncSet = { members: [], need: 1 }
/** An agent looks at its engine about so often. */
const LOOK_MS = 100
const LONG_MS = 30_000

export function engineConformance(name: string, makeCluster: () => Promise<ConformanceCluster>): void {
  describe(`${name}: conformance`, { timeout: 180_000 }, () => {
    const story = new Story(makeCluster)
    before(() => story.begin())
    after(() => story.end())
    growing(story)
    acknowledging(story)
    watching(story)
    failingOver(story)
    switchingOver(story)
    crashing(story)
  })
}

class Story {
  readonly #make: () => Promise<ConformanceCluster>
  #cluster: ConformanceCluster | null = null
  systemId: string | null = null
  exits = 0

  constructor(make: () => Promise<ConformanceCluster>) {
    this.#make = make
  }

  async begin(): Promise<void> {
    this.#cluster = await this.#make()
  }

  async end(): Promise<void> {
    await this.#cluster?.close()
  }

  get cluster(): ConformanceCluster {
    assert.ok(this.#cluster !== null, 'the cluster could not be made')
    return this.#cluster
  }

  get a(): ConformanceMember {
    return this.cluster.members[0]
  }

  get b(): ConformanceMember {
    return this.cluster.members[1]
  }

  get c(): ConformanceMember {
    return this.cluster.members[2]
  }

  /** As agents do it: the upstream is looked at all the while, so its heartbeat goes on. */
  async follow(member: ConformanceMember, upstream: ConformanceMember, epoch: number, timeline: number): Promise<Done> {
    const looks = setInterval(() => void upstream.adapter.view(call(500)).catch(() => undefined), LOOK_MS)
    try {
      return await member.adapter.follow(upstream.endpoint, { epoch, timeline, systemId: this.systemId }, call())
    } finally {
      clearInterval(looks)
    }
  }
}

export function call(deadlineMs = LONG_MS, signal = new AbortController().signal): CallOptions {
  return { deadlineMs, signal }
}

export function must(done: Done): Extract<Done, { ok: true }> {
  assert.ok(done.ok, done.ok ? '' : done.because)
  return done
}

export async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  const startMs = performance.now()
  const result = await work()
  console.log(`    ${what}: ${(performance.now() - startMs).toFixed(1)} ms`)
  return result
}

/** Looks until `wanted` holds; fails with the last view. */
export async function until(
  member: ConformanceMember,
  wanted: (v: EngineView) => boolean,
  ms = 10_000,
): Promise<EngineView> {
  const endMs = performance.now() + ms
  for (;;) {
    const view = await member.adapter.view(call(500))
    if (wanted(view)) return view
    assert.ok(performance.now() < endMs, `not reached: ${JSON.stringify(view)}`)
    await sleep(20)
  }
}

/** True when the promise is still waiting after `ms`. */
async function waits(promise: Promise<unknown>, ms: number): Promise<boolean> {
  return (await Promise.race([promise.then(() => false), sleep(ms, true)])) as boolean
}

function mainPid(member: ConformanceMember): number {
  const pid = member.adapter.fenceTarget().mainPid
  assert.ok(pid !== null, 'the engine runs')
  return pid
}

function signalTree(member: ConformanceMember, signal: 'SIGSTOP' | 'SIGCONT'): void {
  for (const one of treeOf(member.adapter.fenceTarget().dataDir, mainPid(member))) signalOne(one.pid, signal)
}

/** A session that was just closed may end between the list and the signal. */
function signalOne(pid: number, signal: 'SIGSTOP' | 'SIGCONT'): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

function growing(s: Story): void {
  test('an absent directory is empty, and create makes a primary of it', async () => {
    assert.equal(await s.a.adapter.dataState(), 'empty')
    must(await timed('create', () => s.a.adapter.create(1, GATE, call())))
    const view = await until(s.a, (v) => v.answering)
    assert.equal(view.role, 'primary')
    assert.equal(view.data, 'ready')
    assert.deepEqual(view.sync, GATE)
    assert.ok(view.diskId !== null && view.systemId !== null && view.position !== null)
    s.systemId = view.systemId
  })

  test('create asked twice keeps the data set', async () => {
    must(await s.a.adapter.create(1, NOBODY, call()))
    const view = await until(s.a, (v) => v.answering)
    assert.equal(view.systemId, s.systemId)
    assert.deepEqual(view.sync, NOBODY)
    await s.cluster.prepare(s.a)
  })

  test('follow clones an empty member and streams; asked again it is done at once', async () => {
    must(await timed('clone to streaming', () => s.follow(s.b, s.a, 1, 1)))
    const view = await until(s.b, (v) => v.receiving)
    assert.equal(view.role, 'replica')
    assert.equal(view.upstream, s.a.endpoint.member)
    assert.equal(view.systemId, s.systemId)
    assert.notEqual(view.diskId, (await s.a.adapter.view(call())).diskId)
    must(await timed('follow again', () => s.follow(s.b, s.a, 1, 1)))
    assert.equal((await s.b.adapter.view(call())).diskId, view.diskId)
  })
}

function acknowledging(s: Story): void {
  test('a commit waits for a needed member that is absent, and passes once it streams', async () => {
    const client = await s.a.client()
    await client.write(1)
    must(await timed('apply-sync, first member', () => s.a.adapter.applySync(set(1, s.c), call())))
    const write = client.write(2)
    assert.ok(await waits(write, 300), 'the commit was acknowledged without the needed member')
    must(await s.follow(s.c, s.a, 1, 1))
    await write
    client.close()
  })

  test('apply-sync changes who confirms and how many; its position is reached by those who confirm', async () => {
    const client = await s.a.client()
    must(await timed('apply-sync, changed member', () => s.a.adapter.applySync(set(1, s.b), call())))
    const done = must(await timed('apply-sync, grown number', () => s.a.adapter.applySync(set(2, s.b, s.c), call())))
    await client.write(3)
    const view = await until(s.a, (v) => v.standbys.length === 2 && v.standbys.every((x) => x.flushLsn >= done.lsn))
    assert.deepEqual(view.sync, set(2, s.b, s.c))
    signalTree(s.b, 'SIGSTOP')
    const write = client.write(4)
    const waited = await waits(write, 300)
    signalTree(s.b, 'SIGCONT')
    assert.ok(waited, 'two were needed, one was stopped, the commit was acknowledged')
    await write
    must(await timed('apply-sync, nobody', () => s.a.adapter.applySync(NOBODY, call())))
    client.close()
  })
}

function watching(s: Story): void {
  test('a stopped engine is seen as silent within the deadline, and as itself when it goes on', async () => {
    await until(s.a, (v) => v.answering)
    signalTree(s.a, 'SIGSTOP')
    const startMs = performance.now()
    const view = await s.a.adapter.view(call(150))
    const tookMs = performance.now() - startMs
    signalTree(s.a, 'SIGCONT')
    assert.equal(view.answering, false)
    assert.equal(view.running, true)
    assert.ok(tookMs < 300, `the look took ${tookMs} ms`)
    await until(s.a, (v) => v.answering && v.role === 'primary')
  })

  test('an engine whose sessions hang while its main process runs is seen as silent too', async (t) => {
    if (s.cluster.oneProcess === true) return t.skip('the engine is one process')
    const main = mainPid(s.a)
    for (const one of treeOf(s.a.dataDir, main)) if (one.pid !== main) signalOne(one.pid, 'SIGSTOP')
    const startMs = performance.now()
    const view = await s.a.adapter.view(call(150))
    const tookMs = performance.now() - startMs
    signalTree(s.a, 'SIGCONT')
    assert.equal(view.answering, false)
    assert.ok(tookMs >= 100 && tookMs < 400, `the look took ${tookMs} ms`)
    await until(s.a, (v) => v.answering && v.role === 'primary')
  })

  test('a restarted agent finds the running engine again', async () => {
    const pid = mainPid(s.a)
    await s.a.adapter.close()
    s.a.adapter = s.a.reopen()
    const view = await until(s.a, (v) => v.answering)
    assert.equal(view.role, 'primary')
    assert.equal(s.a.adapter.fenceTarget().mainPid, pid)
    s.a.adapter.onExit(() => {
      s.exits++
    })
  })

  test('a frozen replica receives nothing more and tells what it holds; follow undoes it', async () => {
    const client = await s.a.client()
    const frozen = must(await timed('freeze', () => s.c.adapter.freeze(2, call(1_000))))
    assert.ok(frozen.position !== null)
    await client.write(5)
    await sleep(300)
    const view = await s.c.adapter.view(call())
    assert.equal(view.receiving, false)
    assert.deepEqual(view.position, frozen.position)
    must(await s.follow(s.c, s.a, 2, 1))
    await until(s.c, (v) => v.receiving && (v.position?.lsn ?? 0) > frozen.lsn)
    client.close()
  })
}

function failingOver(s: Story): void {
  test('a fence cuts every client and leaves nothing alive; nobody is told of an accident', async () => {
    for (const m of [s.b, s.c]) must(await m.adapter.freeze(2, call()))
    const clients = await Promise.all(Array.from({ length: 20 }, () => s.a.client()))
    const lost = await s.a.client()
    await lost.write(100)
    await lost.write(101)
    const { dataDir } = s.a.adapter.fenceTarget()
    must(await timed('fence with 21 clients', () => s.a.adapter.fence(call(1_000))))
    assert.deepEqual(treeOf(dataDir, null), [])
    await Promise.all([...clients, lost].map((one) => one.cut))
    assert.equal(s.exits, 0)
    must(await s.a.adapter.fence(call()))
    assert.equal((await s.a.adapter.view(call())).running, false)
  })

  test('promote ends with a writable engine on a new timeline, closed until somebody may confirm', async () => {
    const done = must(await timed('promote to writable', () => s.b.adapter.promote(2, GATE, call())))
    assert.equal(done.position?.timeline, 2)
    const client = await s.b.client()
    const write = client.write(10)
    assert.ok(await waits(write, 200), 'acknowledged before anybody could confirm')
    assert.equal((await s.b.adapter.view(call())).unopenedEpoch, 2)
    must(await timed('apply-sync, opening', () => s.b.adapter.applySync(NOBODY, call())))
    await write
    const view = await s.b.adapter.view(call())
    assert.equal(view.unopenedEpoch, null)
    assert.equal(view.position?.timeline, 2)
    client.close()
  })

  test('another replica changes its upstream without a restart', async () => {
    const pid = mainPid(s.c)
    must(await timed('change of upstream', () => s.follow(s.c, s.b, 2, 2)))
    assert.equal(mainPid(s.c), pid)
    assert.equal((await until(s.c, (v) => v.receiving)).upstream, s.b.endpoint.member)
  })

  test('a killed primary with writes nobody else has keeps them aside and becomes a replica', async () => {
    const before = (await s.a.adapter.view(call())).diskId
    must(await timed('rejoin after divergence', () => s.follow(s.a, s.b, 2, 2)))
    const view = await until(s.a, (v) => v.receiving)
    assert.equal(view.role, 'replica')
    assert.notEqual(view.diskId, before, 'another copy now')
    const tail = await s.cluster.keptTail(s.a)
    assert.ok(tail !== null && tail.length > 0, 'the lost tail was not kept')
    const client = await s.b.client()
    await client.write(11)
    const ids = await client.ids()
    assert.ok(ids.includes(5) && ids.includes(10) && !ids.includes(100), `ids on the new primary: ${ids}`)
    client.close()
    await sleep(200)
    const reader = await s.a.client()
    assert.deepEqual(await reader.ids(), ids)
    reader.close()
  })
}

function switchingOver(s: Story): void {
  test('a clean stop tells the final position, its replicas reach it, and it rejoins without a copy', async () => {
    must(await s.b.adapter.checkpoint(call()))
    const before = (await s.b.adapter.view(call())).diskId
    const final = must(await timed('clean stop after a checkpoint', () => s.b.adapter.stop(call())))
    assert.ok(final.position !== null)
    const view = await s.c.adapter.view(call())
    assert.deepEqual(view.position, final.position)
    must(await timed('promote to writable', () => s.c.adapter.promote(3, NOBODY, call())))
    must(await timed('rejoin after a clean stop', () => s.follow(s.b, s.c, 3, 3)))
    assert.equal((await until(s.b, (v) => v.receiving)).diskId, before)
    must(await s.follow(s.a, s.c, 3, 3))
    await until(s.a, (v) => v.receiving)
  })

  test('a stop does not wait for ever for a replica that is frozen', async () => {
    signalTree(s.a, 'SIGSTOP')
    try {
      must(await timed('clean stop beside a frozen replica', () => s.c.adapter.stop(call(10_000))))
    } finally {
      signalTree(s.a, 'SIGCONT')
    }
    must(await s.c.adapter.restart(3, NOBODY, call()))
    await until(s.a, (v) => v.receiving)
  })
}

function crashing(s: Story): void {
  test('the end of the main process is told once, within milliseconds, and it can be started in place', async () => {
    let exits = 0
    let atMs = 0
    s.c.adapter.onExit(() => {
      exits++
      atMs = performance.now()
    })
    const client = await s.c.client()
    await client.write(20)
    const startMs = performance.now()
    process.kill(mainPid(s.c), 'SIGKILL')
    await until(s.c, (v) => !v.running)
    console.log(`    told of the exit after: ${(atMs - startMs).toFixed(1)} ms`)
    assert.equal(exits, 1)
    must(await timed('restart in place', () => s.c.adapter.restart(4, NOBODY, call())))
    const again = await s.c.client()
    assert.ok((await again.ids()).includes(20))
    again.close()
  })

  test('a promotion that is cancelled leaves nothing that could still become writable', async () => {
    must(await s.a.adapter.freeze(5, call()))
    const abort = new AbortController()
    const promotion = s.a.adapter.promote(5, GATE, call(LONG_MS, abort.signal))
    setTimeout(() => abort.abort(new Error('lease lost')), 6)
    const done = await promotion
    await sleep(300)
    const view = await s.a.adapter.view(call())
    if (done.ok) console.log('    the promotion was faster than its cancellation')
    else assert.ok(!view.running || view.role === 'replica', JSON.stringify(view))
    must(await s.a.adapter.fence(call()))
    must(await s.follow(s.a, s.c, 5, 3))
  })

  test('a stopped engine can be fenced', async () => {
    signalTree(s.c, 'SIGSTOP')
    const { dataDir } = s.c.adapter.fenceTarget()
    must(await timed('fence of a stopped engine', () => s.c.adapter.fence(call(1_000))))
    assert.deepEqual(treeOf(dataDir, null), [])
  })

  test('without anybody to ask, a former primary is not started, a former replica is', async () => {
    for (const m of [s.b, s.a]) must(await m.adapter.stop(call()))
    const refused = await s.follow(s.c, s.b, 6, 4)
    assert.equal(refused.ok, false)
    assert.equal((await s.c.adapter.view(call())).running, false)
    await s.follow(s.b, s.c, 6, 4)
    assert.equal((await until(s.b, (v) => v.answering)).role, 'replica')
  })
}

function set(need: number, ...members: readonly ConformanceMember[]): SyncSet {
  return { members: members.map((m) => m.endpoint.member), need }
}
