import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { boundRemotes } from './remote-bound.ts'

test('one address gets its share of the connections, another is still heard', { timeout: 10_000 }, async (t) => {
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    if (!socket.destroyed) socket.write('hello')
  })
  boundRemotes(server, 2)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  const clients: Socket[] = []
  t.after(() => {
    for (const client of clients) client.destroy()
    server.close()
  })
  const from = async (localAddress: string): Promise<string> => {
    const client = connect({ host: '127.0.0.1', port: address.port, localAddress })
    clients.push(client)
    client.on('error', () => undefined)
    return Promise.race([once(client, 'data').then(String), once(client, 'close').then(() => 'closed')])
  }
  assert.equal(await from('127.0.0.1'), 'hello')
  assert.equal(await from('127.0.0.1'), 'hello')
  assert.equal(await from('127.0.0.1'), 'closed')
  assert.equal(await from('127.0.0.2'), 'hello')
  const [first] = clients
  assert.ok(first)
  const gone = new Promise((resolve) => server.once('freed', resolve))
  first.destroy()
  const poll = setInterval(() => server.getConnections((_, count) => count === 2 && server.emit('freed')), 5)
  await gone
  clearInterval(poll)
  assert.equal(await from('127.0.0.1'), 'hello')
})
