/** The proxy of one link: what it does to bytes, ends and resets, with every shape. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { LinkProxy } from './link-proxy.ts'

const PATIENCE_MS = 10_000
const open: { close(): unknown }[] = []
const sockets = new Set<Socket>()
after(() => {
  for (const socket of sockets) socket.destroy()
  for (const one of open) one.close()
})

async function served(onConnection: (socket: Socket) => void): Promise<LinkProxy> {
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    onConnection(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  open.push(server)
  const address = server.address()
  return proxied(typeof address === 'object' && address !== null ? address.port : 0)
}

async function proxied(port: number): Promise<LinkProxy> {
  const proxy = await LinkProxy.open({ host: '127.0.0.1', port })
  open.push(proxy)
  return proxy
}

async function client(proxy: LinkProxy): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port: proxy.port, allowHalfOpen: true })
  sockets.add(socket)
  socket.on('error', () => {})
  await once(socket, 'connect')
  return socket
}

/** However it ends: a reset is told as an error first. */
function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()))
}

const echo = (socket: Socket): unknown => socket.pipe(socket)

/** Sends and waits for as many bytes back; tells how long it took. */
async function roundTripMs(socket: Socket, bytes: Buffer | string): Promise<number> {
  const startedMs = performance.now()
  let left = Buffer.byteLength(bytes)
  const back = new Promise<void>((resolve) => {
    socket.on('data', function take(chunk: Buffer) {
      left -= chunk.length
      if (left > 0) return
      socket.off('data', take)
      resolve()
    })
  })
  socket.write(bytes)
  await Promise.race([back, sleep(PATIENCE_MS, undefined, { ref: false })])
  assert.equal(left, 0)
  return performance.now() - startedMs
}

test('untouched, it carries megabytes unchanged and an end in each direction alone', {
  timeout: PATIENCE_MS,
}, async () => {
  const sent = Buffer.alloc(3_000_000, 'holdfast')
  let got = Buffer.alloc(0)
  const proxy = await served((socket) => {
    socket.on('data', (chunk) => {
      got = Buffer.concat([got, chunk])
    })
    // It answers only once the other half is closed.
    socket.on('end', () => socket.end('all of it'))
  })
  const socket = await client(proxy)
  socket.end(sent)
  const answer: Buffer[] = []
  socket.on('data', (chunk: Buffer) => answer.push(chunk))
  await closed(socket)
  assert.ok(got.equals(sent))
  assert.equal(Buffer.concat(answer).toString(), 'all of it')
})

test('a delay holds in both directions, and ends when it is taken away', { timeout: PATIENCE_MS }, async () => {
  const proxy = await served(echo)
  const socket = await client(proxy)
  proxy.shape({ delayMs: 80 })
  assert.ok((await roundTripMs(socket, 'a')) >= 155)
  proxy.shape({})
  assert.ok((await roundTripMs(socket, 'b')) < 80)
})

test('a bandwidth is kept, shared by the connections of the link', { timeout: PATIENCE_MS }, async () => {
  const proxy = await served(echo)
  const both = [await client(proxy), await client(proxy)]
  proxy.shape({ bytesPerSecond: 100_000 })
  const times = await Promise.all(both.map((socket) => roundTripMs(socket, Buffer.alloc(20_000))))
  const slowest = Math.max(...times)
  assert.ok(slowest > 350 && slowest < 1_500, `40 kB at 100 kB/s took ${slowest} ms`)
})

test('a stalled link passes and closes nothing, and lets the sender feel it', { timeout: PATIENCE_MS }, async () => {
  let accepted = 0
  const proxy = await served((socket) => {
    accepted += 1
    echo(socket)
  })
  const before = await client(proxy)
  await roundTripMs(before, 'before')
  proxy.shape({ stalled: true })
  const heard: string[] = []
  before.on('data', (chunk: Buffer) => heard.push(chunk.toString('latin1')))
  before.on('close', () => heard.push('closed'))
  const flood = Buffer.alloc(64_000_000)
  before.write(flood)
  const during = await client(proxy)
  during.on('data', (chunk: Buffer) => heard.push(chunk.toString('latin1')))
  during.write('during')
  await sleep(300)
  assert.equal(heard.length, 0)
  assert.equal(accepted, 1)
  assert.ok(before.writableLength > flood.length / 2, 'nearly all of it still waits with the sender')
  before.destroy()
  proxy.shape({})
  for (let i = 0; i < 100 && !heard.includes('during'); i++) await sleep(20)
  assert.ok(heard.includes('during'))
})

test('a link is cut in the middle of a stream, after so many bytes', { timeout: PATIENCE_MS }, async () => {
  let got = 0
  const proxy = await served((socket) => socket.on('data', (chunk) => (got += chunk.length)))
  const socket = await client(proxy)
  proxy.shape({ cutAfterBytes: 1_000 })
  socket.write(Buffer.alloc(5_000))
  await closed(socket)
  for (let i = 0; i < 50 && got < 1_000; i++) await sleep(10)
  assert.ok(got === 1_000 || got === 0, `${got} bytes arrived`)
})

test('one direction alone is silent when it alone is blocked', { timeout: PATIENCE_MS }, async () => {
  let got = ''
  const proxy = await served((socket) => {
    socket.on('data', (chunk) => {
      got += chunk
      socket.write('answer')
    })
  })
  const socket = await client(proxy)
  let answer = ''
  socket.on('data', (chunk: Buffer) => {
    answer += chunk
  })
  proxy.block(false, true)
  socket.write('question')
  for (let i = 0; i < 50 && got === ''; i++) await sleep(10)
  await sleep(100)
  assert.deepEqual([got, answer], ['question', ''])
  proxy.block(false, false)
  for (let i = 0; i < 50 && answer === ''; i++) await sleep(10)
  assert.equal(answer, 'answer')
})

test('a reset and a refused target reach the client as a close', { timeout: PATIENCE_MS }, async () => {
  const proxy = await served((socket) => socket.on('data', () => socket.resetAndDestroy()))
  const socket = await client(proxy)
  socket.write('x')
  await closed(socket)
  const refused = await client(await proxied(1))
  await closed(refused)
})

test('a client that goes away in the middle takes its connection at the target with it', {
  timeout: PATIENCE_MS,
}, async () => {
  let gone: () => void = () => {}
  const left = new Promise<void>((resolve) => {
    gone = resolve
  })
  const proxy = await served((socket) => {
    socket.write(Buffer.alloc(10_000_000))
    socket.on('close', gone)
  })
  const socket = await client(proxy)
  await once(socket, 'data')
  socket.resetAndDestroy()
  await left
})
