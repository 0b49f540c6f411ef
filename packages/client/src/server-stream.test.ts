/** Against a real HTTP server that ends the stream, cuts messages in two and tells an event twice. */
import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { createServerClient, followServer, type StreamMessage, type StreamState } from './index.ts'

type Serve = (request: IncomingMessage, response: ServerResponse) => void

async function serving(serve: Serve): Promise<{ url: string; close(): Promise<unknown> }> {
  const server = createServer(serve)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const close = () =>
    new Promise((resolve) => {
      server.close(resolve)
      server.closeAllConnections()
    })
  return { url: `http://127.0.0.1:${port}`, close }
}

const event = (number: number) => `event: event\nid: ${number}\ndata: {"number":${number}}\n\n`

test('a stream that ends is opened again after the last event, and none is told twice', async () => {
  const asked: (string | undefined)[] = []
  const server = await serving((request, response) => {
    asked.push(request.headers['last-event-id'] as string | undefined)
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    if (asked.length === 1) {
      response.write(`event: platform\ndata: {"lastEvent":4}\n\n${event(5)}event: ev`)
      response.end(event(6).slice('event: ev'.length))
    } else response.write(`${event(5)}${event(6)}${event(7)}`)
  })
  const told: StreamMessage[] = []
  const states: StreamState['state'][] = []
  await new Promise<void>((resolve) => {
    const following = followServer({
      url: server.url,
      onMessage: (message) => {
        told.push(message)
        if (message.type !== 'event' || message.data.number !== 7) return
        following.close()
        resolve()
      },
      onState: ({ state }) => states.push(state),
    })
  })
  await server.close()
  assert.deepEqual(asked, [undefined, '6'])
  assert.deepEqual(
    told.flatMap((message) => (message.type === 'event' ? [message.data.number] : [])),
    [5, 6, 7],
  )
  assert.deepEqual(states, ['connecting', 'live', 'lost', 'connecting', 'live'])
})

test('a route is called by its name; what is refused is a value with its code', async () => {
  let seen = ''
  const server = await serving((request, response) => {
    seen = `${request.method} ${request.url} ${request.headers['holdfast-csrf']} ${request.headers.authorization}`
    response.writeHead(403, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ error: { code: 'HF_FORBIDDEN', message: 'no', next: 'ask', retryable: false } }))
  })
  const client = createServerClient({ url: server.url, csrf: () => 'a-csrf' })
  const result = await client.ask('switchover', { params: { group: 'a/b' }, body: { to: 'x' } })
  await client.ask('events', { query: { after: 3 } })
  await server.close()
  assert.ok(!result.ok && result.kind === 'refused' && result.code === 'HF_FORBIDDEN' && result.status === 403)
  assert.equal(seen, 'GET /api/v1/events?after=3 undefined undefined')
})
