/** A router whose bytes a real HAProxy carries. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { after, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { GroupRecord } from '../core/model.ts'
import { HoldfastError } from '../errors.ts'
import { programPath } from '../io/program-path.ts'
import { Backend, Client, HOST, record, rig, until } from './router.fixture.ts'
import type { Target } from './session.ts'
import type { RouterOptions } from './wire.ts'

const HAPROXY = programPath('haproxy')
const skip = HAPROXY === null ? 'needs haproxy: npm run engines' : false

async function freePort(): Promise<number> {
  const server = createServer().listen(0, HOST)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function relayed(more: Partial<RouterOptions> = {}) {
  const listen = { host: HOST, port: await freePort() }
  return rig({ doors: [{ group: 'g', listen }], relay: { program: HAPROXY }, ...more })
}

type DoorOf = Awaited<ReturnType<typeof rig>>['door']

async function leads(door: DoorOf, member: string): Promise<void> {
  await until(
    () => {
      const to = door().relay?.leadsTo
      return to?.to === 'member' && to.member === member
    },
    3_000,
    `the relay leads to ${member}`,
  )
}

function announced(epoch: number, holder: string): GroupRecord {
  const intent = { id: 'i1', kind: 'switchover', to: null, allowDataLoss: false, by: 'me', validMs: 60_000 } as const
  return { ...record(epoch, 'open', holder), intent }
}

describe('a relay before the door', { skip }, () => {
  test('carries clients to the primary, none of them through the router', async () => {
    const { a, port, put, door } = await relayed()
    await put(record(1, 'open', 'a'))
    await leads(door, 'a')
    const client = new Client(port)
    await client.reads('Ra;')
    client.socket.write('hello')
    await client.reads('hello')
    assert.equal(a.accepted, 1)
    assert.equal(door().accepted, 0)
    assert.equal(door().port, port)
    await until(() => door().relay?.sessions === 1 && door().relay?.bytesUp !== 0, 4_000, 'counted')
  })

  test('cuts at once, lets clients of the change wait, and carries them to the new primary', async () => {
    const { b, port, put, door } = await relayed()
    await put(record(1, 'open', 'a'))
    await leads(door, 'a')
    const old = new Client(port)
    await old.reads('Ra;')
    await put(record(1, 'released', null))
    await old.ends(500)
    const waiting = [new Client(port), new Client(port), new Client(port)]
    await sleep(300)
    for (const client of waiting) assert.deepEqual([client.text, client.closed], ['', false])
    await put(record(2, 'open', 'b'))
    for (const client of waiting) await client.reads('Rb;')
    assert.equal(b.accepted, 3)
    assert.ok(door().accepted <= 1, 'the router carries one of those who waited at most')
  })

  test('cuts also when the same member leads on in a new epoch', async () => {
    const { port, put, door } = await relayed()
    await put(record(1, 'open', 'a'))
    await leads(door, 'a')
    const old = new Client(port)
    await old.reads('Ra;')
    await put(record(2, 'open', 'a'))
    await old.ends(500)
    await new Client(port).reads('Ra;')
  })

  test('leaves those to the router who waited long enough, and the router says why', async () => {
    const { port, put, door } = await relayed({ limits: { holdMs: 600 } })
    await put(record(1, 'claimed', 'a'))
    await until(() => door().route === 'changing', 1_000, 'changing')
    const client = new Client(port)
    await client.reads('C57P03\0', 3_000)
    assert.match(client.text, /the primary is being changed/)
    await client.ends()
    const late = new Client(port)
    await until(() => door().held === 1, 1_000, 'held by the router')
    await put(record(1, 'open', 'a'))
    await late.reads('Ra;')
  })

  test('an announced hand-over holds new clients and keeps the others', async () => {
    const { port, put, door } = await relayed()
    await put(record(1, 'open', 'a'))
    await leads(door, 'a')
    const old = new Client(port)
    await old.reads('Ra;')
    await put(announced(1, 'a'))
    await until(() => door().relay?.leadsTo?.to === 'nobody', 1_000, 'nobody is let in')
    const next = new Client(port)
    await sleep(200)
    assert.deepEqual([next.text, old.closed], ['', false])
    await put(record(1, 'released', null))
    await old.ends(500)
    await put(record(2, 'open', 'b'))
    await next.reads('Rb;')
  })

  test('a backend that reads nothing does not keep a session through a cut', async () => {
    const { a, port, put, door } = await relayed()
    a.mood = 'drain-nothing'
    await put(record(1, 'open', 'a'))
    await leads(door, 'a')
    const writer = new Client(port, Buffer.alloc(4_000_000, 120))
    await until(() => a.accepted === 1, 1_000, 'joined')
    await put(record(1, 'released', null))
    await writer.ends(2_000)
    await put(record(2, 'open', 'b'))
    await leads(door, 'b')
    await new Client(port).reads('Rb;')
  })

  test('a relay that dies is started again and knows the route', async () => {
    const { port, put, door, router, codes } = await relayed()
    await put(record(1, 'open', 'a'))
    await leads(door, 'a')
    const old = new Client(port)
    await old.reads('Ra;')
    const pid = router.relayPid() ?? 0
    process.kill(pid, 'SIGKILL')
    await old.ends(500)
    await until(() => codes.includes('relay-ended'), 1_000, 'told')
    await leads(door, 'a')
    assert.notEqual(router.relayPid(), pid)
    await new Client(port).reads('Ra;')
    assert.equal(door().accepted, 0)
  })

  test('a relay that does not obey is killed, and nobody stays on the old route', async () => {
    const { port, put, door, router } = await relayed()
    await put(record(1, 'open', 'a'))
    await leads(door, 'a')
    const old = new Client(port)
    await old.reads('Ra;')
    const pid = router.relayPid() ?? 0
    process.kill(pid, 'SIGSTOP')
    await put(record(2, 'open', 'b'))
    await old.ends(1_500)
    await leads(door, 'b')
    assert.notEqual(router.relayPid(), pid)
    await new Client(port).reads('Rb;')
  })

  test('says what is missing, or in the way, and leaves nothing behind', async () => {
    const missing = await relayed({ relay: { program: '/nowhere/haproxy' } }).catch((error: unknown) => error)
    assert.ok(missing instanceof HoldfastError && missing.code === 'HF_RELAY_MISSING', String(missing))
    const port = await freePort()
    const busy = createServer().listen(port, HOST)
    await once(busy, 'listening')
    const taken = await relayed({ doors: [{ group: 'g', listen: { host: HOST, port } }] }).catch((error) => error)
    busy.close()
    assert.ok(taken instanceof HoldfastError && taken.code === 'HF_LISTEN_FAILED', String(taken))
    assert.equal(await answers(port), false, 'nothing listens for the router')
    assert.match(taken.message, new RegExp(`HAProxy cannot serve ${HOST}:${port}: .*(in use|bind)`, 's'))
  })

  test('ends with its router, also when that is killed', { skip: process.platform !== 'linux' }, async () => {
    const { child, pid } = await elsewhere(await freePort(), [])
    child.kill('SIGKILL')
    await until(() => !isAlive(pid), 2_000, 'the relay ends')
  })

  test('cuts and leads nowhere when its router stands still', async () => {
    const backend = new Backend('a')
    await backend.up()
    after(() => backend.down())
    const port = await freePort()
    const { child, pid } = await elsewhere(port, [{ member: 'a', host: HOST, port: backend.port }])
    const client = new Client(port)
    await client.reads('Ra;')
    child.kill('SIGSTOP')
    await client.ends(8_000)
    assert.equal(isAlive(pid), true)
    child.kill('SIGCONT')
    await until(() => backend.sockets.size === 0, 1_000, 'cut')
    // The next pulse opens it again; until then a client is turned away.
    const endMs = performance.now() + 10_000
    let text = ''
    while (!text.includes('Ra;') && performance.now() < endMs) {
      const next = new Client(port)
      await until(() => next.text !== '' || next.closed, 3_000, 'an answer').catch(() => undefined)
      text = next.text
    }
    assert.match(text, /Ra;/)
  })
})

/** A relay in a process of its own, which leads to its first member. */
async function elsewhere(port: number, members: readonly Target[]) {
  const door = { group: 'g', listen: { host: HOST, port }, members, ownPort: 9, sessionsMax: 10 }
  const module = fileURLToPath(new URL('./haproxy.ts', import.meta.url))
  const code = `const { Haproxy } = await import(${JSON.stringify(module)})
    const door = ${JSON.stringify(door)}
    const program = ${JSON.stringify(HAPROXY)}
    const relay = new Haproxy({ doors: [door], program, patienceMs: 10_000, onEnded: () => {} })
    await relay.start()
    for (const { member } of door.members) await relay.turn('g', { to: 'member', member }, false)
    console.log(relay.pid)
    setInterval(() => {}, 1_000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] })
  after(() => child.kill('SIGKILL'))
  const [told] = (await once(child.stdout, 'data')) as [Buffer]
  const pid = Number(told.toString())
  assert.ok(pid > 0, told.toString())
  return { child, pid }
}

/** A zombie that nobody has reaped is dead. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, HOST, () => resolve(true))
    socket.on('error', () => resolve(false))
    socket.on('connect', () => socket.destroy())
  })
}
