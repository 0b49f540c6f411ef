import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { PeerReport } from '../core/model.ts'
import { systemClock } from '../io/clock.ts'
import { type Door, openDoor } from './door.ts'
import { PeerFeed } from './peer-feed.ts'
import { PeerLink } from './peer-link.ts'
import { type Echo, readTelling, type Telling, toldAfterMs } from './records.ts'

const BEAT_MS = 120
const REQUEST_MS = 400

interface Party {
  readonly name: string
  readonly door: Door
  /** Methods it was asked with, and what was brought. */
  readonly asked: { method: string; telling: Telling | null; atMs: number }[]
  /** Members it heard of, newest last. */
  readonly heard: PeerReport[]
  feed: PeerFeed | null
  deaf: boolean
  readonly ends: (() => unknown)[]
}

const parties: Party[] = []
afterEach(async () => {
  for (const party of parties.splice(0)) {
    party.feed?.close()
    for (const end of party.ends) await end()
    await party.door.close()
  }
})

function reportOf(agent: string): PeerReport {
  return {
    member: `m-${agent}`,
    agent,
    role: 'replica',
    epoch: 3,
    writableForMs: 0,
    loopAgeMs: 1,
    engine: null,
    frozenForEpoch: 0,
    unready: null,
    noFailover: false,
    priority: 1,
  }
}

/** One agent's door and, once `meet` was called, its feed. An `old` one knows no telling. */
async function party(name: string, version: 'new' | 'old' = 'new'): Promise<Party> {
  const asked: Party['asked'] = []
  const answer = (): { status: number; body: unknown } => {
    const boot = version === 'new' ? { boot: `boot-${name}` } : {}
    return { status: 200, body: { nowMs: systemClock.nowMs(), ...boot, reports: [reportOf(name)] } }
  }
  const get = { method: 'GET', path: '/v1/peer/reports', open: false } as const
  const routes = [
    {
      ...get,
      handle: () => {
        asked.push({ method: 'GET', telling: null, atMs: systemClock.nowMs() })
        return answer()
      },
    },
    {
      ...get,
      method: 'POST' as const,
      handle: (request: { body: unknown }) => {
        const telling = readTelling(request.body)
        assert.ok(telling.ok && telling.value !== null)
        asked.push({ method: 'POST', telling: telling.value, atMs: systemClock.nowMs() })
        if (!self.deaf) self.feed?.told(telling.value)
        return answer()
      },
    },
  ]
  const door = await openDoor({
    host: '127.0.0.1',
    port: 0,
    token: 't',
    tls: null,
    loopAgeMs: () => 0,
    routes: version === 'new' ? routes : routes.slice(0, 1),
  })
  const self: Party = { name, door, asked, heard: [], feed: null, deaf: false, ends: [] }
  parties.push(self)
  return self
}

function meet(self: Party, other: Party): void {
  const link = new PeerLink({ agent: other.name, url: other.door.url, token: 't', ca: null }, systemClock)
  self.ends.push(() => link.close())
  self.feed = new PeerFeed({
    agent: self.name,
    boot: `boot-${self.name}`,
    peers: new Map([[other.name, link]]),
    mailbox: {
      nowMs: () => systemClock.nowMs(),
      groupsWith: () => ['g'],
      toGroup: (_group, event) => {
        if (event.kind === 'peer') self.heard.push(event.report)
      },
    },
    membersOf: (agent) => new Set([`m-${agent}`]),
    own: () => ({ from: self.name, nowMs: systemClock.nowMs(), reports: [reportOf(self.name)] }),
    beatMs: BEAT_MS,
    requestMs: REQUEST_MS,
  })
  self.feed.start()
}

/** Waits for what does not depend on how busy the machine is. */
async function until(there: () => boolean, what: string): Promise<void> {
  for (let i = 0; i < 1_000 && !there(); i += 1) await sleep(10)
  assert.ok(there(), what)
}

test('of two agents one asks, and both hear of each other every beat', async () => {
  const [a, b] = [await party('a'), await party('b')]
  meet(a, b)
  meet(b, a)
  await until(() => a.heard.length >= 2 && b.heard.length >= 2, 'they meet')
  const before = { a: a.asked.length, b: b.asked.length, aHeard: a.heard.length, bHeard: b.heard.length }
  await until(() => b.asked.length - before.b >= 12, 'b goes on being asked')
  const asked = { a: a.asked.length - before.a, b: b.asked.length - before.b }
  assert.ok(asked.a <= asked.b / 3, `a was asked ${asked.a} times, b ${asked.b} times`)
  const heard = { a: a.heard.length - before.aHeard, b: b.heard.length - before.bHeard }
  assert.ok(heard.a >= asked.b / 2 && heard.b >= asked.b / 2, `a heard ${heard.a} times, b ${heard.b} times`)
  assert.ok(b.heard.every((report) => report.agent === 'a' && report.loopAgeMs >= 1 && report.loopAgeMs < REQUEST_MS))
})

test('a shorter beat is kept at once, and the longer one again', async () => {
  const [a, b] = [await party('a'), await party('b')]
  meet(a, b)
  meet(b, a)
  await until(() => b.asked.length >= 2, 'b is asked')
  /** Time between the next questions, shortest first. A busy machine makes them longer, never shorter. */
  const gapsMs = async (): Promise<number[]> => {
    // The next question may have been on its way already.
    const from = b.asked.length + 1
    await until(() => b.asked.length >= from + 8, 'b is asked again and again')
    const times = b.asked.slice(from, from + 8).map(({ atMs }) => atMs)
    const gaps = times.slice(1).map((atMs, i) => atMs - (times[i] ?? 0))
    return gaps.sort((x, y) => x - y)
  }
  a.feed?.pace(null, BEAT_MS / 5)
  assert.ok(((await gapsMs())[1] ?? BEAT_MS) < BEAT_MS / 2, 'a shorter beat')
  a.feed?.pace(null, BEAT_MS)
  assert.ok(((await gapsMs())[3] ?? 0) > BEAT_MS / 2, 'the longer beat again')
})

test('who is no longer told asks for itself', async () => {
  const [a, b] = [await party('a'), await party('b')]
  meet(a, b)
  meet(b, a)
  await until(() => b.heard.length >= 2, 'b is told')
  b.deaf = true
  const [asked, heard] = [a.asked.length, b.heard.length]
  await until(() => a.asked.length - asked >= 5, 'b asks')
  await until(() => b.heard.length - heard >= 5, 'b hears')
})

test('an agent of an older version is asked, never told, and asks in its own way', async () => {
  const [a, b] = [await party('a'), await party('b', 'old')]
  meet(a, b)
  await until(() => b.asked.length >= 3 && a.heard.length >= 3, 'b is asked and heard')
  assert.ok(b.asked.every(({ method }) => method === 'GET'))
})

test('what is told in the name of another, by a stranger, or of unknown age is not believed', async () => {
  const [a, b] = [await party('a'), await party('b')]
  meet(b, a)
  b.feed?.close()
  const link = { agent: 'a', reports: async () => [] }
  const heard: PeerReport[] = []
  const feed = new PeerFeed({
    agent: 'b',
    boot: 'boot-b',
    peers: new Map([['a', link]]),
    mailbox: {
      nowMs: () => 10_000,
      groupsWith: () => ['g'],
      toGroup: (_group, event) => {
        if (event.kind === 'peer') heard.push(event.report)
      },
    },
    membersOf: (agent) => new Set([`m-${agent}`]),
    own: () => ({ from: 'b', nowMs: 10_000, reports: [] }),
    beatMs: BEAT_MS,
    requestMs: REQUEST_MS,
  })
  const echo: Echo = { boot: 'boot-b', nowMs: 9_800, heldMs: 190 }
  const telling: Telling = { from: 'a', nowMs: 5, reports: [reportOf('a')], echo }
  const refused: Telling[] = [
    { ...telling, echo: null },
    { ...telling, echo: { ...echo, boot: 'boot-before' } },
    { ...telling, echo: { ...echo, heldMs: 500 } },
    { ...telling, echo: { ...echo, nowMs: 9_000 } },
    { ...telling, from: 'c', reports: [reportOf('c')] },
    { ...telling, reports: [reportOf('c')] },
    { ...telling, reports: [{ ...reportOf('a'), member: 'm-b' }] },
  ]
  for (const one of refused) feed.told(one)
  assert.equal(heard.length, 0)
  feed.told(telling)
  assert.equal(heard.length, 1)
  assert.ok((heard[0]?.loopAgeMs ?? 0) >= 11, 'the way it came makes it older')
  feed.close()
})

test('the age of what is told is never taken for less than it is, also by a fast clock of the teller', () => {
  // Our answer left at 1,000; the teller held it for 1,000 ms of ours, which its clock counted as 1,010.
  const saidMs = 2_000
  const afterMs = toldAfterMs({ boot: 'x', nowMs: 1_000, heldMs: 1_010 }, 'x', 2_050)
  assert.ok(afterMs !== null && afterMs <= saidMs && afterMs > saidMs - 25)
  assert.equal(toldAfterMs({ boot: 'x', nowMs: 1_000, heldMs: 1_200 }, 'x', 2_050), null, 'from the future')
})
