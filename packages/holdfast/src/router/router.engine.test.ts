/** The router's doors on real sockets with a real store: every byte is followed. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, test } from 'node:test'
import { setImmediate as immediate, setTimeout as sleep } from 'node:timers/promises'
import { Client, ends, HOST, record, rig, SSL_REQUEST, STARTUP, TOKEN, until } from './router.fixture.ts'

describe('the door to the primary', () => {
  test('holds a client until a primary is open, then passes bytes both ways', async () => {
    const { a, port, put, door } = await rig()
    const client = new Client(port)
    await until(() => door().held === 1, 1_000, 'held')
    await put(record(1, 'claimed', 'a'))
    await sleep(50)
    assert.equal(a.accepted, 0)
    await put(record(1, 'open', 'a'))
    await client.reads('Ra;')
    client.socket.write('hello')
    await client.reads('hello')
  })

  test('cuts the sessions of the old primary at once, holds new ones, and opens to the new primary', async () => {
    const { b, port, put, door } = await rig()
    await put(record(1, 'open', 'a'))
    const old = new Client(port)
    await old.reads('Ra;')
    await put(record(1, 'released', null))
    await old.ends(500)
    const [plain, probing] = [new Client(port), new Client(port, SSL_REQUEST)]
    await until(() => door().held === 2, 1_000, 'two held')
    await put(record(2, 'open', 'b'))
    await plain.reads('Rb;')
    await probing.reads('N')
    probing.socket.write(STARTUP)
    await probing.reads('NRb;')
    assert.equal(b.accepted, 2)
    assert.equal(door().cut, 1)
  })

  test('refuses a lower epoch, whatever the store says', async () => {
    const { a, port, put, codes } = await rig()
    await put(record(5, 'open', 'b'))
    const kept = new Client(port)
    await kept.reads('Rb;')
    await put(record(4, 'open', 'a'))
    await until(() => codes.includes('older-refused'), 1_000, 'refused')
    const next = new Client(port)
    await next.reads('Rb;')
    assert.equal(a.accepted, 0)
    assert.equal(kept.closed, false)
  })

  test('says why in the client’s language when the wait is over', async () => {
    const { port, put } = await rig({ limits: { holdMs: 150 } })
    await put(record(1, 'claimed', 'a'))
    for (const first of [STARTUP, SSL_REQUEST]) {
      const client = new Client(port, first)
      if (first === SSL_REQUEST) {
        await client.reads('N')
        client.socket.write(STARTUP)
      }
      await client.reads('C57P03\0')
      assert.match(client.text, /^N?E.*group g cannot take new connections now: the primary is being changed/s)
      await client.ends()
    }
  })

  test('refuses those who are too many, waiting or in all', async () => {
    const { port, put, door } = await rig({ limits: { heldMax: 2, sessionsMax: 3 } })
    const held = [new Client(port), new Client(port)]
    await until(() => door().held === 2, 1_000, 'two held')
    const third = new Client(port)
    await third.reads('C53300\0')
    await third.ends()
    await put(record(1, 'open', 'a'))
    for (const client of held) await client.reads('Ra;')
    await new Client(port).reads('Ra;')
    const tooMany = new Client(port)
    await tooMany.reads('takes no more')
    await tooMany.ends()
  })

  test('retries while the backend is down or says "not now", without the client noticing', async () => {
    const { a, port, put, door } = await rig()
    a.mood = 'not-now'
    await put(record(1, 'open', 'a'))
    const early = new Client(port)
    await until(() => a.accepted >= 2, 1_000, 'tried twice')
    await a.down()
    const late = new Client(port, SSL_REQUEST)
    await sleep(100)
    assert.equal(early.text + late.text, '')
    a.mood = 'echo'
    await a.up()
    await early.reads('Ra;')
    await late.reads('N')
    late.socket.write(STARTUP)
    await late.reads('NRa;')
    assert.ok(door().retried >= 3)
  })

  test('a client of another language is held, too, while the backend takes nobody', async () => {
    const { a, port, put, door } = await rig()
    await a.down()
    await put(record(1, 'open', 'a'))
    const client = new Client(port, 'PING\r\n')
    await until(() => door().retried >= 2, 1_000, 'tried twice')
    assert.equal(client.closed, false)
    await a.up()
    await client.reads('Ra;')
  })

  test('a backend that froze keeps its sessions until the epoch moves; who saw nothing of it moves over', async () => {
    const { a, port, put } = await rig()
    await put(record(1, 'open', 'a'))
    const served = new Client(port)
    await served.reads('Ra;')
    a.mood = 'silent'
    const greeting = new Client(port)
    await until(() => a.accepted === 2, 1_000, 'second one is connected')
    await sleep(50)
    assert.equal(served.closed, false)
    await put(record(2, 'open', 'b'))
    await served.ends(500)
    await greeting.reads('Rb;')
    assert.equal(greeting.text, 'Rb;')
    await until(() => a.sockets.size === 0, 500, 'nothing stays open to the old primary')
  })

  test('keeps the route while the store is away', async () => {
    const { port, put, server, codes, door } = await rig()
    await put(record(1, 'open', 'a'))
    const old = new Client(port)
    await old.reads('Ra;')
    await server.close()
    await until(() => codes.includes('store-away'), 3_000, 'noticed')
    await new Client(port).reads('Ra;')
    old.socket.write('still here')
    await old.reads('still here')
    assert.equal(door().storeAway, true)
  })

  test('garbage is passed on unread; a client that leaves while it waits is forgotten', async () => {
    const { port, put, door } = await rig()
    const leaving = new Client(port)
    await until(() => door().held === 1, 1_000, 'held')
    leaving.socket.destroy()
    await until(() => door().sessions === 0, 1_000, 'forgotten')
    await put(record(1, 'open', 'a'))
    const garbage = new Client(port, `GET / HTTP/1.1\r\n\r\n${'x'.repeat(50_000)}`)
    await garbage.reads('Ra;')
    const short = new Client(port, Buffer.from([0, 0]))
    short.socket.end()
    await short.ends()
    garbage.socket.end()
    await garbage.ends()
    await until(() => door().sessions === 0, 1_000, 'no session stays')
  })

  test('a backend that does not read holds back the client instead of filling memory', async () => {
    const { a, port, put, door } = await rig()
    a.mood = 'drain-nothing'
    await put(record(1, 'open', 'a'))
    const client = new Client(port, 'raw: no greeting, joined at once')
    await until(() => door().open === 1, 1_000, 'joined')
    const chunk = Buffer.alloc(1_048_576, 'x')
    for (let n = 0; n < 64; n += 1) client.socket.write(chunk)
    await sleep(300)
    assert.ok(client.socket.writableLength > 32 * 1_048_576, 'most of it is still with the client')
    const passed = door().bytesUp
    assert.ok(passed < 24 * 1_048_576, `${passed} bytes were taken`)
    for (const socket of a.sockets) socket.resume()
    await until(() => door().bytesUp > 64 * 1_048_576, 5_000, 'everything passes once it is read')
  })

  test('a client that does not read holds back the backend', async () => {
    const { a, port, put, door } = await rig()
    await put(record(1, 'open', 'a'))
    const client = new Client(port)
    await client.reads('Ra;')
    client.socket.pause()
    const chunk = Buffer.alloc(1_048_576, 'x')
    const [backend] = a.sockets
    for (let n = 0; n < 64; n += 1) backend?.write(chunk)
    await sleep(300)
    const passed = door().bytesDown
    assert.ok(passed < 24 * 1_048_576, `${passed} bytes were taken`)
    client.socket.resume()
    await until(() => client.text.length >= 64 * 1_048_576, 5_000, 'everything arrives once it is read')
  })

  test('large answers to clients that read by fits and starts arrive byte for byte', async () => {
    const { a, port, put, door } = await rig()
    await put(record(1, 'open', 'a'))
    const clients = Array.from({ length: 3 }, () => new Client(port))
    for (const client of clients) await client.reads('Ra;')
    const start = clients[0]?.text.length ?? 0
    // Every four bytes tell their place, so that none can stand in for another.
    const half = 8 * 1_048_576
    const numbers = Buffer.alloc(2 * half)
    for (let at = 0; at < numbers.length; at += 4) numbers.writeUInt32BE(at, at)
    for (const { socket } of clients) socket.pause()
    // Small pieces, each read by itself, until nothing more passes; then the rest at once.
    for (let at = 0, bytes = 1; at < numbers.length; at += bytes, bytes = at < half ? (at * 7) % 1_999 || 1 : half) {
      for (const backend of a.sockets) backend.write(numbers.subarray(at, at + bytes))
      await immediate()
    }
    await sleep(100)
    assert.ok(door().bytesDown < numbers.length * clients.length, 'the backend is held back')
    for (let turn = 0; turn < 20; turn += 1) {
      for (const { socket } of clients) turn % 2 === 0 ? socket.resume() : socket.pause()
      await sleep(turn % 2 === 0 ? 1 : 10)
    }
    for (const { socket } of clients) socket.resume()
    for (const client of clients) {
      await until(() => client.text.length >= start + numbers.length, 10_000, 'everything arrives')
      assert.ok(Buffer.from(client.text.slice(start), 'latin1').equals(numbers), 'every byte in its place')
    }
  })

  test('carries a thousand connections and cuts them all at once', async () => {
    const { b, port, put, door } = await rig()
    await put(record(1, 'open', 'a'))
    const clients = Array.from({ length: 1_000 }, () => new Client(port))
    await until(() => clients.every((client) => client.text === 'Ra;'), 10_000, 'all are served')
    assert.equal(door().open, 1_000)
    await put(record(2, 'open', 'b'))
    await until(() => clients.every((client) => client.closed), 2_000, 'all are cut')
    assert.equal(b.accepted, 0)
  })
})

interface Status {
  role: string
  receiving?: boolean
  lagBytes: number | null
  staleMs?: number | null
  writableForMs: number
  epoch: number
  holder: string
}

/** An agent's `/v1/status`, as one member's agent would answer. */
async function agent(member: string, now: Status): Promise<string> {
  const server: HttpServer = createHttpServer((request, response) => {
    const body = {
      loopAgeMs: 1,
      members: [
        {
          group: 'g',
          member,
          role: now.role,
          epoch: now.epoch,
          writableForMs: now.writableForMs,
          lagBytes: now.lagBytes,
          staleMs: now.staleMs ?? null,
          engine: { answering: true, receiving: now.receiving ?? now.role === 'replica' },
        },
      ],
      groups: [{ group: 'g', epoch: now.epoch, phase: 'open', holder: now.holder }],
    }
    response.writeHead(request.headers.authorization === `Bearer ${TOKEN}` ? 200 : 401)
    response.end(JSON.stringify(body))
  }).listen(0, HOST)
  await once(server, 'listening')
  ends.push(() => server.close())
  ends.push(() => server.closeAllConnections())
  return `http://${HOST}:${(server.address() as AddressInfo).port}`
}

describe('with the agents', () => {
  test('a router that starts while the store is away learns the primary from its agent', async () => {
    const holder: Status = { role: 'primary', lagBytes: 0, writableForMs: 0, epoch: 3, holder: 'b' }
    const replica: Status = { role: 'replica', lagBytes: 0, writableForMs: 0, epoch: 3, holder: 'b' }
    const urls = [await agent('a', replica), await agent('b', holder)]
    const { port, door } = await rig({ agents: { urls, token: TOKEN }, limits: { pollMs: 20 } }, false)
    const client = new Client(port)
    await until(() => door().route === 'changing', 1_000, 'heard of epoch 3')
    assert.equal(client.text, '')
    holder.writableForMs = 500
    await client.reads('Rb;')
  })

  test('the read door prefers the own site within the lag bound and cuts readers of a promoted member', async () => {
    const a: Status = { role: 'replica', lagBytes: 5_000, writableForMs: 0, epoch: 1, holder: 'c' }
    const b: Status = { ...a, lagBytes: 10 }
    const urls = [await agent('a', a), await agent('b', b)]
    const read = { host: HOST, port: 0, lagBytesMax: 1_000 }
    const doors = [{ group: 'g', listen: { host: HOST, port: 0 }, read }]
    const { router } = await rig({ doors, agents: { urls, token: TOKEN }, limits: { pollMs: 20, holdMs: 300 } })
    const port = router.status().readDoors[0]?.port ?? 0
    const far = new Client(port)
    await far.reads('Rb;')
    a.lagBytes = 0
    await until(() => router.status().readDoors[0]?.replicas.a === null, 1_000, 'a is near enough')
    await new Client(port).reads('Ra;')
    b.role = 'primary'
    await far.ends(1_000)
    a.lagBytes = null
    await until(() => router.status().readDoors[0]?.replicas.a === 'lag-unknown', 1_000, 'a is out')
    const refused = new Client(port)
    await refused.reads('no replica for reading now')
    assert.match(refused.text, /a: lag-unknown, b: not-a-replica/)
  })

  test('without a primary writers are refused at once in their language, readers go on with a known age', async () => {
    const a: Status = { role: 'replica', lagBytes: 0, staleMs: 5, writableForMs: 0, epoch: 1, holder: 'c' }
    const read = { host: HOST, port: 0, lagBytesMax: 1_000 }
    const degraded = { reads: { staleMsMax: 1_500 }, writes: 'refuse', refuseAfterMs: 200 } as const
    const doors = [{ group: 'g', listen: { host: HOST, port: 0 }, read, degraded }]
    const agents = { urls: [await agent('a', a)], token: TOKEN }
    const limits = { pollMs: 20, holdMs: 30_000 }
    const { router, port, put, door, codes } = await rig({ doors, agents, limits, metrics: { host: HOST, port: 0 } })
    const readers = () => router.status().readDoors[0]
    await put(record(1, 'open', 'b'))
    await new Client(port).reads('Rb;')
    await until(() => readers()?.replicas.a === null, 1_000, 'a is read')
    const kept = new Client(readers()?.port ?? 0)
    await kept.reads('Ra;')
    await put(record(1, 'released', null))
    Object.assign(a, { receiving: false, lagBytes: null, staleMs: null })
    const waited = new Client(port)
    await waited.reads('has no primary')
    assert.match(waited.text, /C57P03\0Mgroup g has no primary, for 0 s now; nothing can be written/)
    assert.equal(door().refusing, true)
    const redis = new Client(port, 'PING\r\n')
    await redis.reads('-MASTERDOWN group g has no primary')
    await redis.ends()
    await new Client(readers()?.port ?? 0).reads('Ra;')
    assert.equal(readers()?.degraded, true)
    const staleMs = readers()?.staleMs.a ?? 0
    assert.ok(staleMs >= 200 && staleMs < 30_000, `${staleMs}`)
    assert.ok(codes.includes('reads-degraded') && codes.includes('no-primary'))
    const metrics = await (await fetch(`http://${HOST}:${router.status().metricsPort}/metrics`)).text()
    assert.match(metrics, /holdfast_router_stale_seconds\{group="g",member="a"\} [\d.]+/)
    assert.match(metrics, /holdfast_router_refusing\{group="g"\} 1/)
    await kept.ends(10_000)
    const late = new Client(readers()?.port ?? 0)
    await late.reads('no replica for reading now', 10_000)
    assert.match(late.text, /a: not-receiving, too-stale \(\d+ s old\)/)
    await put(record(2, 'open', 'a'))
    await new Client(port).reads('Ra;')
    assert.equal(door().lostForMs, null)
  })

  test('a primary that takes nobody: what hangs on it is cut, who comes is refused, until it returns', async () => {
    const degraded = { reads: 'stop', writes: 'refuse', refuseAfterMs: 150 } as const
    const doors = [{ group: 'g', listen: { host: HOST, port: 0 }, degraded }]
    const { a, port, put, door } = await rig({ doors, limits: { holdMs: 30_000 } })
    await put(record(1, 'open', 'a'))
    const hanging = new Client(port)
    await hanging.reads('Ra;')
    a.mood = 'not-now'
    const refused = new Client(port)
    await refused.reads('has no primary')
    await hanging.ends()
    await new Client(port).reads('has no primary')
    a.mood = 'echo'
    await new Client(port).reads('Ra;')
    assert.equal(door().refusing, false)
  })

  test('metrics and readiness answer from state', async () => {
    const { router, put } = await rig({ metrics: { host: HOST, port: 0 } })
    const url = `http://${HOST}:${router.status().metricsPort}`
    assert.equal((await fetch(`${url}/readyz`)).status, 503)
    await put(record(7, 'open', 'a'))
    await until(() => router.status().doors[0]?.route === 'open', 1_000, 'open')
    assert.equal((await fetch(`${url}/readyz`)).status, 200)
    assert.match(await (await fetch(`${url}/metrics`)).text(), /holdfast_router_epoch\{group="g"\} 7/)
  })

  test('a port in use is a clear error and leaves nothing open', async () => {
    const { port } = await rig()
    await assert.rejects(
      rig({ doors: [{ group: 'g', listen: { host: HOST, port } }] }),
      /HF_LISTEN_FAILED|cannot listen/,
    )
  })
})
