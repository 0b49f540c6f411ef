/** For tests: a real HTTP server that keeps what it is sent and answers as it is told, and one delivery to send. */
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Delivery, Told } from '../core/alerts/state.ts'
import type { Context } from './channel.ts'

export interface Received {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface Receiver {
  readonly url: string
  readonly received: Received[]
  /** Status of the next answers; null: never answers. */
  status: number | null
  headers: Record<string, string>
  /** Resolves once so many were received. */
  count(many: number): Promise<void>
  close(): void
}

export async function receiver(port = 0): Promise<Receiver> {
  const received: Received[] = []
  const waiting: { many: number; resolve: () => void }[] = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += String(chunk)
    received.push({ path: request.url ?? '', headers: request.headers, body })
    if (self.status !== null) response.writeHead(self.status, self.headers).end('{}')
    for (const one of waiting.filter(({ many }) => received.length >= many)) one.resolve()
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  const self: Receiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    status: 200,
    headers: {},
    count: (many) =>
      received.length >= many ? Promise.resolve() : new Promise((resolve) => waiting.push({ many, resolve })),
    close: () => {
      server.close()
      server.closeAllConnections()
    },
  }
  return self
}

export const CONTEXT: Context = {
  wallOf: (atMs) => 1_700_000_000_000 + atMs,
  runbookOf: (rule) => `https://wiki.example.com/runbook#${rule}`,
}

export function told(change: Partial<Told> = {}): Told {
  return {
    key: 'engine-down{group=orders,member=m1}',
    id: '1f3c9a20',
    rule: 'engine-down',
    severity: 'warning',
    labels: { group: 'orders', member: 'm1' },
    summary: 'The engine of m1 in group orders does not answer',
    next: 'holdfast status',
    episode: 7,
    firedAtMs: 1_000,
    endedAtMs: null,
    acknowledgedBy: null,
    ...change,
  }
}

export function delivery(change: Partial<Delivery> = {}): Delivery {
  return {
    id: 'shop-12',
    desk: 'hook group/orders',
    channel: 'hook',
    platform: 'shop',
    scope: 'group/orders',
    kind: 'trigger',
    firing: [told()],
    resolved: [],
    ...change,
  }
}
