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
  const closed = status.doors.flatMap(({ group, route, relay }) => {
    if (route !== 'open') return [`group ${group}: ${route}\n`]
    return relay?.running === false ? [`group ${group}: its relay does not run\n`] : []
  })
  return closed.length === 0 ? [200, 'ok\n'] : [503, closed.join('')]
}

type Kind = 'gauge' | 'counter'
type Row<T> = readonly [name: string, kind: Kind, help: string, value: (of: T) => number]
type Counts = Omit<RouterStatus['readDoors'][number], 'replicas'>

const ROUTES: readonly Row<RouterStatus['doors'][number]>[] = [
  ['route_open', 'gauge', 'New connections go to a primary', (door) => (door.route === 'open' ? 1 : 0)],
  ['epoch', 'gauge', 'Newest leadership this router has seen', (door) => door.epoch],
]
const DOORS: readonly Row<Counts>[] = [
  ['sessions', 'gauge', 'Client connections', (door) => door.sessions],
  ['held', 'gauge', 'Client connections that wait for a backend', (door) => door.held],
  ['accepted_total', 'counter', 'Connections accepted', (door) => door.accepted],
  ['refused_total', 'counter', 'Connections refused with a reason', (door) => door.refused],
  ['cut_total', 'counter', 'Sessions cut because their route ended', (door) => door.cut],
  ['bytes_up_total', 'counter', 'Bytes from clients to backends', (door) => door.bytesUp],
  ['bytes_down_total', 'counter', 'Bytes from backends to clients', (door) => door.bytesDown],
]
/** Gauges, because they begin anew with each relay. */
const RELAYS: readonly Row<NonNullable<RouterStatus['doors'][number]['relay']>>[] = [
  ['relay_up', 'gauge', 'The relay before the door runs', (relay) => (relay.running ? 1 : 0)],
  ['relay_sessions', 'gauge', 'Clients at the relay, those it leads to the router included', (relay) => relay.sessions],
  ['relay_bytes_up', 'gauge', 'Bytes from clients since the relay started', (relay) => relay.bytesUp],
  ['relay_bytes_down', 'gauge', 'Bytes to clients since the relay started', (relay) => relay.bytesDown],
]

function metricsText({ doors, readDoors }: RouterStatus): string {
  const relayed = doors.flatMap(({ group, relay }) => (relay === null ? [] : [{ labels: { group }, of: relay }]))
  const primary = doors.map((of) => ({ labels: { group: of.group, door: 'primary' }, of }))
  const replicas = readDoors.map((of) => ({ labels: { group: of.group, door: 'replicas' }, of }))
  const lines = [
    ...familiesOf(
      ROUTES,
      doors.map((of) => ({ labels: { group: of.group }, of })),
    ),
    ...familiesOf(DOORS, [...primary, ...replicas]),
    ...familiesOf(RELAYS, relayed),
  ]
  return `${lines.join('\n')}\n`
}

interface Sample<T> {
  readonly labels: Readonly<Record<string, string>>
  readonly of: T
}

function familiesOf<T>(rows: readonly Row<T>[], samples: readonly Sample<T>[]): string[] {
  if (samples.length === 0) return []
  return rows.flatMap(([short, kind, help, value]) => {
    const name = `holdfast_router_${short}`
    const text = (labels: Sample<T>['labels']): string =>
      Object.entries(labels)
        .map(([label, word]) => `${label}="${word}"`)
        .join(',')
    const told = samples.map(({ labels, of }) => `${name}{${text(labels)}} ${value(of)}`)
    return [`# HELP ${name} ${help}`, `# TYPE ${name} ${kind}`, ...told]
  })
}
