import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { test } from 'node:test'
import { askOnce } from './connection.ts'
import { ReplicationLine } from './replication.ts'

const PASSWORD = 'the password of replication'
const CLEARTEXT = Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 3])
const MD5 = Buffer.from([0x52, 0, 0, 0, 12, 0, 0, 0, 5, 1, 2, 3, 4])
const OK_AND_READY = Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 0, 0x5a, 0, 0, 0, 5, 0x49])

/** Says `words` to whoever connects, and keeps what it hears after the start-up packet. */
async function rogue(words: Buffer): Promise<{ server: Server; port: number; heard: () => Buffer }> {
  const heard: Buffer[] = []
  const server = createServer((socket) => {
    socket.once('data', () => {
      socket.on('data', (chunk) => heard.push(chunk))
      socket.write(words)
    })
    socket.on('error', () => undefined)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  return { server, port: address.port, heard: () => Buffer.concat(heard) }
}

for (const [name, words] of [
  ['asks for the password in the clear', CLEARTEXT],
  ['asks for its weak digest', MD5],
  ['asks for nothing', OK_AND_READY],
] as const) {
  test(`a server that ${name} is told nothing and not believed`, { timeout: 10_000 }, async (t) => {
    const { server, port, heard } = await rogue(words)
    t.after(() => server.close())
    const at = { host: '127.0.0.1', port, user: 'holdfast_replication', password: PASSWORD }
    const answer = await askOnce({ ...at, database: 'postgres' }, 'select 1', 5_000)
    assert.match(answer.ok ? 'believed' : answer.because, /only SCRAM|proved nothing/)
    const line = ReplicationLine.open(at, new AbortController().signal, 'replication')
    await assert.rejects(line, /only SCRAM|proved nothing/)
    assert.deepEqual(
      heard()
        .toString('latin1')
        .match(/password|select|md5/i),
      null,
    )
  })
}
