/**
 * What every store must do, as node:test cases against a running one. An adapter's engine test makes the rig; cases
 * that hit the client with broken servers need no store behind them and run once for each kind of client.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type Store, type StoredValue, VALUE_BYTES_MAX, type Watch, type WriteResult } from './contract.ts'
import {
  type HostileServer,
  NONSENSE,
  startBabbler,
  startBlackhole,
  startDeafPort,
  startLine,
  startNonsense,
} from './hostile-servers.ts'

export interface StoreRig {
  /** One address of the store. */
  readonly url: string
  /** A new client of the running store. */
  connect(): Store
  /** A client like that of whatever listens at `url` alone. */
  connectTo(url: string): Store
  /** Kills the store without warning and starts it again on the same data and addresses. */
  restart(): Promise<void>
  /** Stops and continues all processes of the store (SIGSTOP, SIGCONT). Left out where the store is this process. */
  freeze?(): void
  thaw?(): void
  stop(): Promise<void>
}

export interface ConformanceOptions {
  /** Also run what depends on the client alone. */
  readonly hostile: boolean
}

const DEADLINE_MS = 2_000
/** What a call may take beyond its deadline. */
const OVERRUN_MS = 50
const TRIES = 3
const WAIT_MS = 8_000

export function storeConformance(name: string, makeRig: () => Promise<StoreRig>, options: ConformanceOptions): void {
  describe(`store: ${name}`, () => {
    const context = new Context()
    before(async () => {
      context.rig = await makeRig()
    })
    after(async () => {
      await context.end()
    })
    writeCases(context)
    sharedCases(context)
    limitCases(context)
    watchCases(context)
    outageCases(context)
    if (options.hostile) hostileCases(context)
  })
}

class Context {
  rig: StoreRig | null = null
  readonly #stores = new Set<Store>()
  readonly #servers = new Set<HostileServer>()
  #number = 0

  running(): StoreRig {
    assert.ok(this.rig, 'the store did not start')
    return this.rig
  }

  connect(): Store {
    return this.keep(this.running().connect())
  }

  connectTo(url: string): Store {
    return this.keep(this.running().connectTo(url))
  }

  keep(store: Store): Store {
    this.#stores.add(store)
    return store
  }

  /** Closed at the end, so that a failed case does not keep the process from ending. */
  hold<T extends HostileServer>(server: T): T {
    this.#servers.add(server)
    return server
  }

  /** A prefix no other case uses. */
  prefix(): string {
    this.#number += 1
    return `case-${this.#number}/`
  }

  async end(): Promise<void> {
    for (const store of this.#stores) await store.close()
    for (const server of this.#servers) await server.close()
    await this.rig?.stop()
  }
}

function writeCases(context: Context): void {
  it('creates a key only when it does not exist, and a conflict carries what is there', async () => {
    const store = context.connect()
    const key = `${context.prefix()}a`
    const absent = await store.get(key, DEADLINE_MS)
    assert.deepEqual(absent, { kind: 'ok', entry: { key, value: null, revision: 0 } })
    const first = applied(await store.compareAndSet(key, '{"n":1}', 0, DEADLINE_MS))
    assert.deepEqual({ ...first, revision: 0 }, { key, value: '{"n":1}', revision: 0 })
    assert.ok(first.revision > 0)
    const second = await store.compareAndSet(key, '{"n":2}', 0, DEADLINE_MS)
    assert.deepEqual(second, { kind: 'conflict', entry: first })
  })

  it('writes only on the present revision, which grows', async () => {
    const store = context.connect()
    const key = `${context.prefix()}a`
    const first = applied(await store.compareAndSet(key, '{"n":1}', 0, DEADLINE_MS))
    const second = applied(await store.compareAndSet(key, '{"n":2}', first.revision, DEADLINE_MS))
    assert.ok(second.revision > first.revision)
    const late = await store.compareAndSet(key, '{"n":3}', first.revision, DEADLINE_MS)
    assert.deepEqual(late, { kind: 'conflict', entry: second })
    assert.deepEqual(await store.get(key, DEADLINE_MS), { kind: 'ok', entry: second })
  })

  it('answers a conflict, not a creation, when a key that was there is expected and is not', async () => {
    const store = context.connect()
    const prefix = context.prefix()
    const other = applied(await store.compareAndSet(`${prefix}a`, '{}', 0, DEADLINE_MS))
    const result = await store.compareAndSet(`${prefix}b`, '{}', other.revision, DEADLINE_MS)
    assert.deepEqual(result, { kind: 'conflict', entry: { key: `${prefix}b`, value: null, revision: 0 } })
  })
}

function sharedCases(context: Context): void {
  it('lets one of many writers win each revision', async () => {
    const key = `${context.prefix()}counter`
    const wins = new Map<number, number>()
    const start = applied(await context.connect().compareAndSet(key, '{"n":0}', 0, DEADLINE_MS))
    const write = async (writer: number) => {
      const store = context.connect()
      let seen = start
      for (let round = 0; round < 25; round++) {
        const n = JSON.parse(seen.value ?? '').n + 1
        const result = await store.compareAndSet(key, JSON.stringify({ n, writer }), seen.revision, DEADLINE_MS)
        assert.notEqual(result.kind, 'unknown', JSON.stringify(result))
        if (result.kind === 'unknown') continue
        if (result.kind === 'ok') wins.set(seen.revision, (wins.get(seen.revision) ?? 0) + 1)
        seen = result.entry
      }
    }
    await Promise.all([1, 2, 3, 4, 5, 6].map(write))
    assert.ok([...wins.values()].every((count) => count === 1))
    const last = await context.connect().get(key, DEADLINE_MS)
    assert.equal(last.kind === 'ok' && JSON.parse(last.entry.value ?? '').n, wins.size)
  })

  it('shows every client what was written before it asked', async () => {
    const [writer, reader] = [context.connect(), context.connect()]
    const key = `${context.prefix()}a`
    let revision = 0
    for (let n = 0; n < 30; n++) {
      const entry = applied(await writer.compareAndSet(key, JSON.stringify({ n }), revision, DEADLINE_MS))
      revision = entry.revision
      assert.deepEqual(await reader.get(key, DEADLINE_MS), { kind: 'ok', entry })
    }
  })

  it('lists the keys of a prefix and no others', async () => {
    const store = context.connect()
    const prefix = context.prefix()
    const entries: StoredValue[] = []
    for (const name of ['a', 'b', 'b/c']) {
      entries.push(applied(await store.compareAndSet(`${prefix}x/${name}`, '{}', 0, DEADLINE_MS)))
    }
    applied(await store.compareAndSet(`${prefix}xy`, '{}', 0, DEADLINE_MS))
    const listing = await store.list(`${prefix}x/`, DEADLINE_MS)
    assert.ok(listing.kind === 'ok')
    const byKey = (a: StoredValue, b: StoredValue) => (a.key < b.key ? -1 : 1)
    assert.deepEqual([...listing.entries].sort(byKey), entries.sort(byKey))
    assert.deepEqual(await store.list(`${prefix}none/`, DEADLINE_MS), { kind: 'ok', entries: [] })
  })
}

function limitCases(context: Context): void {
  it('keeps any text up to the limit as it is', async () => {
    const store = context.connect()
    const prefix = context.prefix()
    const texts = ['', '"', '\u0001'.repeat(VALUE_BYTES_MAX), 'ä€😀\n\r\t\u2028', `${'x'.repeat(VALUE_BYTES_MAX)}`]
    for (const [index, text] of texts.entries()) {
      const entry = applied(await store.compareAndSet(`${prefix}${index}`, text, 0, DEADLINE_MS))
      assert.deepEqual(await store.get(`${prefix}${index}`, DEADLINE_MS), { kind: 'ok', entry })
    }
  })

  it('answers unknown, names the limit and writes nothing beyond it', async () => {
    const store = context.connect()
    const prefix = context.prefix()
    const tooLong = await store.compareAndSet(`${prefix}a`, 'x'.repeat(VALUE_BYTES_MAX + 1), 0, DEADLINE_MS)
    assert.match(unknownWords(tooLong), /65537 bytes; at most 65536/)
    for (const key of ['', '/', 'a b', '../\n', `${prefix}${'k'.repeat(600)}`, 'a//b', 'ä']) {
      unknownWords(await store.compareAndSet(key, '{}', 0, DEADLINE_MS))
      unknownWords(await store.get(key, DEADLINE_MS))
    }
    unknownWords(await store.compareAndSet(`${prefix}a`, '{}', -1, DEADLINE_MS))
    unknownWords(await store.compareAndSet(`${prefix}a`, '{}', 0.5, DEADLINE_MS))
    assert.deepEqual(await store.list(prefix, DEADLINE_MS), { kind: 'ok', entries: [] })
  })
}

function watchCases(context: Context): void {
  it('starts a watch with what is there and brings the last value of every key, never going back', async () => {
    const store = context.connect()
    const prefix = context.prefix()
    const revisions = new Map<string, number>()
    for (const name of ['a', 'b']) {
      const entry = applied(await store.compareAndSet(prefix + name, '{"n":-1}', 0, DEADLINE_MS))
      revisions.set(entry.key, entry.revision)
    }
    const watch = follow(context.connect(), prefix)
    await watch.until(() => watch.last.size === 2)
    applied(await store.compareAndSet(`outside-${prefix}a`, '{}', 0, DEADLINE_MS))
    for (let n = 0; n < 40; n++) {
      const key = prefix + (n % 2 === 0 ? 'a' : 'c')
      const value = JSON.stringify({ n })
      const entry = applied(await store.compareAndSet(key, value, revisions.get(key) ?? 0, DEADLINE_MS))
      revisions.set(key, entry.revision)
    }
    await watch.until(() => [...revisions].every(([key, revision]) => watch.last.get(key)?.revision === revision))
    assert.equal(watch.last.size, 3)
    assert.equal(watch.wentBack, false)
    watch.close()
  })

  it('calls nothing after a watch was closed, also from within its callback', async () => {
    const store = context.connect()
    const prefix = context.prefix()
    for (const name of ['a', 'b', 'c']) applied(await store.compareAndSet(prefix + name, '{}', 0, DEADLINE_MS))
    let calls = 0
    const watch: Watch = store.watch(prefix, {
      onEntry: () => {
        calls += 1
        watch.close()
      },
      onGap: () => {
        calls += 100
      },
    })
    await sleep(300)
    applied(await store.compareAndSet(`${prefix}d`, '{}', 0, DEADLINE_MS))
    await sleep(200)
    assert.equal(calls, 1)
    watch.close()
  })

  it('notices a line that was cut silently, and brings what it missed', async () => {
    const rig = context.running()
    const line = context.hold(await startLine(rig.url))
    const store = context.connect()
    const prefix = context.prefix()
    const watch = follow(context.connectTo(line.url), prefix)
    try {
      const first = applied(await store.compareAndSet(`${prefix}a`, '{"n":1}', 0, DEADLINE_MS))
      await watch.until(() => watch.last.get(`${prefix}a`)?.revision === first.revision)
      line.cut()
      const second = applied(await store.compareAndSet(`${prefix}a`, '{"n":2}', first.revision, DEADLINE_MS))
      await watch.until(() => watch.gaps.length > 0, 2_000)
      assert.equal(watch.last.get(`${prefix}a`)?.revision, first.revision)
      line.heal()
      await watch.until(() => watch.last.get(`${prefix}a`)?.revision === second.revision)
      assert.equal(watch.wentBack, false)
    } finally {
      watch.close()
      await line.close()
    }
  })
}

function outageCases(context: Context): void {
  it('keeps all that was acknowledged over a restart, and its watches go on', async () => {
    const rig = context.running()
    const store = context.connect()
    const prefix = context.prefix()
    const first = applied(await store.compareAndSet(`${prefix}a`, '{"n":1}', 0, DEADLINE_MS))
    const watch = follow(context.connect(), prefix)
    await watch.until(() => watch.last.size === 1)
    await rig.restart()
    assert.deepEqual(await store.get(`${prefix}a`, DEADLINE_MS), { kind: 'ok', entry: first })
    const second = applied(await store.compareAndSet(`${prefix}a`, '{"n":2}', first.revision, DEADLINE_MS))
    assert.ok(second.revision > first.revision)
    await watch.until(() => watch.last.get(`${prefix}a`)?.revision === second.revision)
    assert.ok(watch.gaps.length > 0, 'the restart was not told')
    assert.equal(watch.wentBack, false)
    watch.close()
  })

  it('answers unknown within the deadline while the store is frozen, and works again after', async (test) => {
    const rig = context.running()
    if (!rig.freeze || !rig.thaw) return test.skip('the store runs in this process')
    const store = context.connect()
    const prefix = context.prefix()
    const first = applied(await store.compareAndSet(`${prefix}a`, '{"n":1}', 0, DEADLINE_MS))
    rig.freeze()
    try {
      // A signal takes a moment to stop every thread.
      await sleep(50)
      await unknownInTime(() => store.get(`${prefix}a`, 300), 300)
      await unknownInTime(() => store.list(prefix, 150), 150)
      await unknownInTime(() => store.compareAndSet(`${prefix}b`, '{}', 0, 300), 300)
    } finally {
      rig.thaw()
    }
    await eventually(async () => (await store.get(`${prefix}a`, 500)).kind === 'ok')
    // What was unknown may be applied now or not; either way the next write on `a` is judged by its revision.
    applied(await store.compareAndSet(`${prefix}a`, '{"n":2}', first.revision, DEADLINE_MS))
  })
}

function hostileCases(context: Context): void {
  for (const [words, answer] of Object.entries(NONSENSE)) {
    it(`answers unknown to ${words}`, async () => {
      const server = context.hold(await startNonsense(answer))
      await nothingIsBelieved(context.connectTo(server.url))
      await server.close()
    })
  }

  it('answers unknown to what is not HTTP, to silence and to a port where nobody listens', async () => {
    const babbler = context.hold(await startBabbler('SSH-2.0-OpenSSH_9.2\r\n'))
    await nothingIsBelieved(context.connectTo(babbler.url))
    await babbler.close()
    await nothingIsBelieved(context.connectTo(babbler.url))
    const blackhole = context.hold(await startBlackhole())
    await nothingIsBelieved(context.connectTo(blackhole.url))
    await blackhole.close()
  })

  it('answers unknown in time when connections are neither made nor refused', async () => {
    // A full queue of a server that does not accept: what a host that went away looks like.
    const server = context.hold(await startDeafPort())
    await nothingIsBelieved(context.connectTo(server.url))
    await nothingIsBelieved(context.connectTo(server.url.replace('http:', 'https:')))
    await server.close()
  })

  it('ends outstanding calls as unknown when it is closed, and answers nothing else after', async () => {
    const blackhole = context.hold(await startBlackhole())
    const store = context.connectTo(blackhole.url)
    const startMs = performance.now()
    const calls = [store.get('a', 5_000), store.list('a', 5_000), store.compareAndSet('a', '{}', 0, 5_000)]
    const watch = follow(store, 'a/')
    await sleep(50)
    await store.close()
    await store.close()
    for (const call of calls) unknownWords(await call)
    assert.ok(performance.now() - startMs < 500)
    unknownWords(await store.get('a', 1_000))
    unknownWords(await store.compareAndSet('a', '{}', 0, 1_000))
    const { length } = watch.gaps
    await sleep(100)
    assert.equal(watch.gaps.length, length)
    await blackhole.close()
  })
}

async function nothingIsBelieved(store: Store): Promise<void> {
  const watch = follow(store, '')
  await Promise.all([
    unknownInTime(() => store.get('a', 150), 150),
    unknownInTime(() => store.list('', 150), 150),
    unknownInTime(() => store.compareAndSet('a', '{}', 0, 150), 150),
  ])
  assert.equal(watch.last.size, 0)
  watch.close()
  await store.close()
}

/** Every try must be unknown, one of them in time: a busy machine wakes nobody to the millisecond. */
async function unknownInTime(call: () => Promise<Answer>, deadlineMs: number): Promise<void> {
  const late: string[] = []
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const startMs = performance.now()
    const words = unknownWords(await call())
    const tookMs = performance.now() - startMs
    if (tookMs <= deadlineMs + OVERRUN_MS) return
    late.push(`took ${Math.round(tookMs)} ms of ${deadlineMs}: ${words}`)
  }
  assert.fail(late.join('; '))
}

type Answer = Awaited<ReturnType<Store['get'] | Store['list'] | Store['compareAndSet']>>

function unknownWords(answer: Answer): string {
  assert.ok(answer.kind === 'unknown', JSON.stringify(answer).slice(0, 300))
  assert.notEqual(answer.because, '')
  return answer.because
}

export function applied(result: WriteResult): StoredValue {
  assert.ok(result.kind === 'ok', JSON.stringify(result).slice(0, 300))
  return result.entry
}

export interface Followed {
  readonly last: ReadonlyMap<string, StoredValue>
  readonly gaps: readonly string[]
  readonly wentBack: boolean
  until(isSo: () => boolean, waitMs?: number): Promise<void>
  close(): void
}

/** A watch that remembers what it was told. */
export function follow(store: Store, prefix: string): Followed {
  const last = new Map<string, StoredValue>()
  const gaps: string[] = []
  const state = { wentBack: false }
  const watch = store.watch(prefix, {
    onEntry: (entry) => {
      state.wentBack ||= entry.revision <= (last.get(entry.key)?.revision ?? 0)
      last.set(entry.key, entry)
    },
    onGap: (because) => gaps.push(because),
  })
  return {
    last,
    gaps,
    get wentBack() {
      return state.wentBack
    },
    until: async (isSo, waitMs = WAIT_MS) => {
      const told = () => `not told in time; last ${JSON.stringify([...last.values()])}; gaps ${gaps.join(' | ')}`
      await eventually(async () => isSo(), waitMs, told)
    },
    close: () => watch.close(),
  }
}

export async function eventually(
  isSo: () => Promise<boolean>,
  waitMs = WAIT_MS,
  words: () => string = () => 'did not become true in time',
): Promise<void> {
  const untilMs = performance.now() + waitMs
  while (!(await isSo())) {
    assert.ok(performance.now() < untilMs, words())
    await sleep(5)
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
