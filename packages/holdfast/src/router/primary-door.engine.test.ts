/** While a relay still ends the sessions of an old route, nobody is joined to the new one. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RelayMode } from '../core/routing/relay.ts'
import { systemClock } from '../io/clock.ts'
import { PrimaryDoor } from './primary-door.ts'
import { Backend, Client, HOST, record, until } from './router.fixture.ts'

interface Turn {
  readonly mode: RelayMode
  readonly cut: boolean
  readonly done: () => void
}

async function makeDoor() {
  const backends = [new Backend('a'), new Backend('b')]
  for (const backend of backends) {
    await backend.up()
    after(() => backend.down())
  }
  const turns: Turn[] = []
  const door = new PrimaryDoor({
    listen: { host: HOST, port: 0 },
    settings: {
      ...{ group: 'g', members: ['a', 'b'], holdMs: 5_000, heldMax: 10, retryMs: 10, quietMs: 100 },
      refuseAfterMs: null,
      loopAgeMaxMs: 1_000,
    },
    targets: new Map(backends.map(({ name, port }) => [name, { member: name, host: HOST, port }])),
    sessionsMax: 10,
    relay: {
      port: 1,
      patienceMs: 1_000,
      turn: (mode, cut) => new Promise((resolve) => turns.push({ mode, cut, done: resolve })),
      counts: () => ({ sessions: 0, accepted: 0, bytesUp: 0, bytesDown: 0 }),
      running: () => true,
      leadsTo: () => null,
    },
    clock: systemClock,
    onReason: () => {},
  })
  const port = await door.open()
  after(() => door.close())
  const open = (epoch: number, member: string): void =>
    door.post({ kind: 'record', value: record(epoch, 'open', member) })
  return { backends, turns, door, port, open }
}

test('a client waits until the relay has cut, also through a second change meanwhile', async () => {
  const { backends, turns, door, port, open } = await makeDoor()
  const [a, b] = backends
  open(1, 'a')
  const old = new Client(port)
  await old.reads('Ra;')
  open(2, 'b')
  await old.ends(1_000)
  const next = new Client(port)
  await until(() => door.status().sessions === 1, 1_000, 'arrived')
  await sleep(100)
  assert.equal(b?.accepted, 0, 'the relay has not answered for the cut')
  open(3, 'a')
  turns.find(({ cut, mode }) => cut && mode.to === 'member' && mode.member === 'b')?.done()
  await sleep(100)
  assert.deepEqual([a?.accepted, b?.accepted], [1, 0], 'the first cut opens nothing any more')
  turns.findLast(({ cut }) => cut)?.done()
  await next.reads('Ra;')
  assert.deepEqual([a?.accepted, b?.accepted], [2, 0])
})

test('a client that leaves while the relay cuts is forgotten', async () => {
  const { backends, turns, door, port, open } = await makeDoor()
  open(1, 'a')
  open(2, 'b')
  const client = new Client(port)
  await until(() => door.status().sessions === 1, 1_000, 'arrived')
  client.socket.destroy()
  await until(() => door.status().sessions === 0, 1_000, 'gone')
  for (const { done } of turns) done()
  await sleep(50)
  assert.equal(backends[1]?.accepted, 0)
})
