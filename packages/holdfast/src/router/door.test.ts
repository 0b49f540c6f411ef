import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'
import { Door } from './door.ts'

const STARTUP = Buffer.from([0, 0, 0, 9, 0, 3, 0, 0, 0])

test('a full door gives the place of a silent client to one that speaks', { timeout: 10_000 }, async (t) => {
  let arrived = 0
  const door = new Door({
    name: 'orders',
    listen: { host: '127.0.0.1', port: 0 },
    sessionsMax: 3,
    onArrive: () => {
      arrived += 1
    },
    onFailed: () => undefined,
    onGone: () => undefined,
  })
  const port = await door.open()
  const clients: Socket[] = []
  t.after(async () => {
    for (const client of clients) client.destroy()
    await door.close()
  })
  const come = async (): Promise<Socket> => {
    const client = connect({ host: '127.0.0.1', port })
    client.on('error', () => undefined)
    clients.push(client)
    await once(client, 'connect')
    return client
  }
  const silent = [await come(), await come(), await come()]
  const early = await come()
  early.write(STARTUP)
  assert.match(String((await once(early, 'data'))[0]), /takes no more/)
  await new Promise((resolve) => setTimeout(resolve, 1_200))
  const left = once(silent[0] as Socket, 'close')
  silent[0]?.resume()
  const late = await come()
  late.write(STARTUP)
  await left
  while (arrived === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  assert.equal(silent[1]?.destroyed, false)
  assert.equal(arrived, 1)
})
