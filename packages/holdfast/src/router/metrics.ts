/** `/metrics` as text, `/readyz` (every primary door is open) and `/livez`. Answered from state. */
import { createServer } from 'node:http'
import { HoldfastError } from '../errors.ts'
import type { RouterStatus } from './status.ts'

export interface MetricsDoor {
  readonly port: number
  close(): Promise<void>
}

export async function openMetrics(
  listen: { readonly host: string; readonly port: number },
  status: () => RouterStatus,
): Promise<MetricsDoor> {
  const server = createServer((request, response) => {
    const [code, body] = answer(request.url ?? '', status())
    response.writeHead(code, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }).end(body)
  })
  server.requestTimeout = 5_000
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      const what = `the router's metrics cannot listen on ${listen.host}:${listen.port}: ${error.message}`
      reject(new HoldfastError('HF_LISTEN_FAILED', what, 'end what listens there, or give another address', error))
    })
    server.listen(listen, () => resolve())
  })
  const address = server.address()
  return {
    port: typeof address === 'object' && address ? address.port : listen.port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function answer(path: string, status: RouterStatus): readonly [number, string] {
  if (path === '/livez') return [200, 'ok\n']
  if (path === '/metrics') return [200, metricsText(status)]
  if (path !== '/readyz') return [404, 'paths: /metrics /readyz /livez\n']
  const closed = status.doors.filter((door) => door.route !== 'open')
  if (closed.length === 0) return [200, 'ok\n']
  return [503, closed.map((door) => `group ${door.group}: ${door.route}\n`).join('')]
}

function metricsText(status: RouterStatus): string {
  const lines: string[] = []
  const family = (name: string, type: 'gauge' | 'counter', help: string, samples: readonly string[]): void => {
    if (samples.length === 0) return
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...samples.map((sample) => `${name}${sample}`))
  }
  const doors = [
    ...status.doors.map((door) => ({ ...door, door: 'primary' })),
    ...status.readDoors.map((door) => ({ ...door, door: 'replicas' })),
  ]
  const each = (value: (door: (typeof doors)[number]) => number): string[] =>
    doors.map((door) => `{group="${door.group}",door="${door.door}"} ${value(door)}`)
  const routes = status.doors.map((door) => `{group="${door.group}"} ${door.route === 'open' ? 1 : 0}`)
  const epochs = status.doors.map((door) => `{group="${door.group}"} ${door.epoch}`)
  family('holdfast_router_route_open', 'gauge', 'New connections go to a primary', routes)
  family('holdfast_router_epoch', 'gauge', 'Newest leadership this router has seen', epochs)
  family(
    'holdfast_router_sessions',
    'gauge',
    'Client connections',
    each((door) => door.sessions),
  )
  family(
    'holdfast_router_held',
    'gauge',
    'Client connections that wait for a backend',
    each((door) => door.held),
  )
  family(
    'holdfast_router_accepted_total',
    'counter',
    'Connections accepted',
    each((door) => door.accepted),
  )
  family(
    'holdfast_router_refused_total',
    'counter',
    'Connections refused with a reason',
    each((door) => door.refused),
  )
  family(
    'holdfast_router_cut_total',
    'counter',
    'Sessions cut because their route ended',
    each((door) => door.cut),
  )
  family(
    'holdfast_router_bytes_up_total',
    'counter',
    'Bytes from clients to backends',
    each((door) => door.bytesUp),
  )
  family(
    'holdfast_router_bytes_down_total',
    'counter',
    'Bytes from backends to clients',
    each((door) => door.bytesDown),
  )
  return `${lines.join('\n')}\n`
}
