/** Ports that somebody else uses: told with the address and the next step, and taken as soon as they are free. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { TestPlatform } from '../platform.ts'

let platform: TestPlatform
before(async () => {
  platform = await TestPlatform.describe({ members: 2 })
})
after(() => platform.destroy())

/** Somebody else who listens on the port. */
async function occupied(port: number): Promise<Server> {
  const server = createServer((socket) => socket.destroy())
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  // A test that failed has not freed it.
  server.unref()
  return server
}

async function freed(server: Server): Promise<void> {
  await new Promise((resolve) => server.close(resolve))
}

const IN_USE =
  /127\.0\.0\.1:\d+[\s\S]*in\s+use[\s\S]* next: (free the port|end what listens)[\s\S]* code: HF_LISTEN_FAILED/

test('an agent whose port is in use ends with the address and the next step, and touches no data', async () => {
  const other = await occupied(platform.agentPorts[0] ?? 0)
  const agent = platform.agent('a1')
  assert.equal(await agent.end(), 1)
  assert.match(agent.err, IN_USE)
  assert.equal(existsSync(platform.dataDir('m1')), false)
  assert.deepEqual(platform.processes(), [])
  await freed(other)
})

test('a store whose port is in use ends with the address and the next step', async () => {
  const other = await occupied(platform.storePort)
  const store = platform.store()
  assert.equal(await store.end(), 1)
  assert.match(store.err, /127\.0\.0\.1:\d+[\s\S]* in\s+use[\s\S]* next: [\s\S]* code: HF_STORE_ADDRESS_UNUSABLE/)
  await freed(other)
})

test('a PostgreSQL port in use is told, leaves nothing half-made, and is taken once it is free', async () => {
  await platform.store().says(/ready at/)
  const others = [await occupied(platform.enginePorts[0] ?? 0), await occupied(platform.enginePorts[1] ?? 0)]
  for (const name of ['a1', 'a2']) await platform.agent(name).says(/ready at/)
  await platform.reason(
    'm1',
    /port \d+ on 127\.0\.0\.1 is in use by another program; end it or give this member another/,
  )
  const { out } = await platform.command('status')
  assert.match(out.replace(/\s+/g, ' '), / m1: port \d+ on 127\.0\.0\.1 is in use by another program; end it or give /)
  assert.deepEqual(await platform.writers(), [])
  for (const other of others) await freed(other)
  await platform.whole()
  for (const member of platform.members) {
    assert.equal(existsSync(`${platform.dataDir(member)}.unfinished`), false)
    assert.equal(existsSync(`${platform.dataDir(member)}.partial`), false)
  }
})

test('a router whose port is in use ends with the address and the next step; the group goes on', async () => {
  const other = await occupied(platform.doorPort)
  const router = platform.router()
  assert.equal(await router.end(), 1)
  assert.match(router.err, IN_USE)
  await freed(other)
  const primary = await platform.primary()
  assert.deepEqual(await platform.query(primary, 'select 1 as one'), [{ one: 1 }])
  const again = platform.router()
  await again.says(/ready at/)
  const socket = connect(platform.doorPort, '127.0.0.1')
  await once(socket, 'connect')
  socket.destroy()
  assert.equal(await again.stop(), 0)
  assert.ok(existsSync(join(platform.folder, 'store')))
})
