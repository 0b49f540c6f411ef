import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { askOnce } from './connection.ts'

const OK_AND_READY = Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 0, 0x5a, 0, 0, 0, 5, 0x49])

test('a question the server is busy with for long ends when it is cancelled', { timeout: 10_000 }, async (t) => {
  const cancel = new AbortController()
  const server = createServer((socket) => {
    socket.once('data', () => {
      socket.once('data', () => cancel.abort())
      socket.write(OK_AND_READY)
    })
    socket.on('error', () => undefined)
  })
  server.listen(0, '127.0.0.1')
  t.after(() => server.close())
  await once(server, 'listening')
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  const at = { host: '127.0.0.1', port: address.port, user: 'holdfast', password: 'x', database: 'postgres' }
  const answer = await askOnce({ ...at, anyProof: true }, 'checkpoint', 300_000, cancel.signal)
  assert.deepEqual(answer, { ok: false, because: 'cancelled', code: 'cancelled' })
  assert.equal((await askOnce({ ...at, anyProof: true }, 'checkpoint', 300_000, cancel.signal)).ok, false)
})
