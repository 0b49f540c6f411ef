import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, beforeEach, test } from 'node:test'
import { BODY_BYTES_MAX, type Door, isLoopback, openDoor } from './door.ts'

const TOKEN = 'a token of the test'
let door: Door

beforeEach(async () => {
  door = await openDoor({
    host: '127.0.0.1',
    port: 0,
    token: TOKEN,
    tls: null,
    loopAgeMs: () => 12.3,
    routes: [
      { method: 'GET', path: '/livez', open: true, handle: () => ({ status: 200, body: { ok: true } }) },
      { method: 'GET', path: '/v1/status', open: false, handle: () => ({ status: 200, body: { secret: 1 } }) },
      {
        method: 'POST',
        path: '/v1/groups/:group/pause',
        open: false,
        handle: (r) => ({ status: 200, body: { p: r.params, b: r.body } }),
      },
      {
        method: 'GET',
        path: '/v1/broken',
        open: false,
        handle: () => {
          throw new Error('inside')
        },
      },
    ],
  })
})
afterEach(() => door.close())

async function ask(
  path: string,
  init: RequestInit = {},
  token: string | null = TOKEN,
): Promise<{ status: number; body: { error?: { code: string } } & Record<string, unknown>; headers: Headers }> {
  const headers = token === null ? {} : { authorization: `Bearer ${token}` }
  const response = await fetch(door.url + path, { ...init, headers: { ...headers } })
  return { status: response.status, body: (await response.json()) as never, headers: response.headers }
}

test('health checks need no token and carry the age of the loop', async () => {
  const answer = await ask('/livez', {}, null)
  assert.equal(answer.status, 200)
  assert.equal(answer.headers.get('holdfast-loop-age-ms'), '12.3')
})

test('everything else needs the token, whole and exact', async () => {
  assert.equal((await ask('/v1/status')).status, 200)
  for (const wrong of [null, '', 'a token', `${TOKEN}x`]) {
    const answer = await ask('/v1/status', {}, wrong)
    assert.equal(answer.status, 401, String(wrong))
    assert.equal(answer.body.error?.code, 'HF_AUTH_REQUIRED')
  }
})

test('an unknown path is told only to those with the token', async () => {
  assert.equal((await ask('/v1/nothing')).body.error?.code, 'HF_PATH_UNKNOWN')
  assert.equal((await ask('/v1/nothing', {}, null)).body.error?.code, 'HF_AUTH_REQUIRED')
})

test('a wrong method is refused with the one that fits', async () => {
  const answer = await ask('/v1/groups/orders/pause')
  assert.equal(answer.status, 405)
  assert.equal(answer.body.error?.code, 'HF_METHOD_WRONG')
  assert.equal((await fetch(`${door.url}/livez`, { method: 'HEAD' })).status, 200, 'load balancers ask with HEAD')
})

test('names in the path are decoded and the body is handed over', async () => {
  const answer = await ask('/v1/groups/a%20b/pause', { method: 'POST', body: '{"x":1}' })
  assert.deepEqual(answer.body, { p: { group: 'a b' }, b: { x: 1 } })
})

test('a body that is no JSON or too large is refused', async () => {
  const bad = await ask('/v1/groups/g/pause', { method: 'POST', body: '{"x":' })
  assert.equal(bad.body.error?.code, 'HF_BODY_INVALID')
  const large = await ask('/v1/groups/g/pause', { method: 'POST', body: `"${'x'.repeat(BODY_BYTES_MAX)}"` })
  assert.equal(large.status, 413)
})

test('a defect in a route is an error with a code, and the door stays open', async () => {
  assert.equal((await ask('/v1/broken')).body.error?.code, 'HF_INTERNAL')
  assert.equal((await ask('/v1/status')).status, 200)
})

test('a line that is no HTTP ends its own connection only', async () => {
  const { port } = new URL(door.url)
  const reply = await new Promise<string>((resolve) => {
    const socket = connect(Number(port), '127.0.0.1', () => socket.write('\u0000\u0001 nonsense\r\n\r\n'))
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk.toString()
    })
    socket.on('close', () => resolve(text))
    socket.on('error', () => resolve(text))
  })
  assert.match(reply, /^HTTP\/1\.1 400/)
  assert.equal((await ask('/livez')).status, 200)
})

test('without token and TLS only loopback is listened on', async () => {
  for (const host of ['0.0.0.0', '::', '192.168.1.1', '127.example.org']) {
    const options = { host, port: 0, token: TOKEN, tls: null, routes: [], loopAgeMs: () => 0 }
    await assert.rejects(openDoor(options), { code: 'HF_LISTEN_UNSAFE' }, host)
  }
  assert.ok(isLoopback('127.0.0.2') && isLoopback('::1') && !isLoopback('128.0.0.1'))
})

test('a port in use is an error that says what to do', async () => {
  const port = Number(new URL(door.url).port)
  const again = openDoor({ host: '127.0.0.1', port, token: TOKEN, tls: null, routes: [], loopAgeMs: () => 0 })
  await assert.rejects(again, { code: 'HF_LISTEN_FAILED', next: /free the port/ })
})

test('one host cannot take every place', { timeout: 10_000 }, async (t) => {
  const port = Number(new URL(door.url).port)
  const from = (localAddress: string): Promise<Socket> =>
    new Promise((resolve) => {
      const socket = connect({ host: '127.0.0.1', port, localAddress }, () => resolve(socket))
      socket.on('error', () => undefined)
    })
  const greedy = await Promise.all(Array.from({ length: 140 }, () => from('127.0.0.1')))
  t.after(() => {
    for (const socket of greedy) socket.destroy()
  })
  for (const socket of greedy) socket.resume()
  while (greedy.filter((socket) => socket.destroyed).length < 12) await new Promise((resolve) => setTimeout(resolve, 5))
  const other = await from('127.0.0.2')
  other.write('GET /livez HTTP/1.1\r\nhost: agent\r\nconnection: close\r\n\r\n')
  assert.match(String((await once(other, 'data'))[0]), /^HTTP\/1.1 200/)
  other.destroy()
  assert.equal(greedy.filter((socket) => socket.destroyed).length, 12)
})
