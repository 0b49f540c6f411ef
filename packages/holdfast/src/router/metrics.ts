/** `/metrics` as text, `/readyz` (every primary door is open) and `/livez`. Answered from state. */
import { createServer } from 'node:http'
import { ROUTER_FAMILIES, type RouterMetric } from '../core/metric-families.ts'
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

type Row<T> = readonly [name: RouterMetric, value: (of: T) => number]
type Counts = Omit<RouterStatus['readDoors'][number], 'replicas' | 'degraded' | 'staleMs'>

const ROUTES: readonly Row<RouterStatus['doors'][number]>[] = [
  ['holdfast_router_route_open', (door) => (door.route === 'open' ? 1 : 0)],
  ['holdfast_router_epoch', (door) => door.epoch],
  ['holdfast_router_lost_seconds', (door) => (door.lostForMs ?? 0) / 1_000],
  ['holdfast_router_refusing', (door) => (door.refusing ? 1 : 0)],
]
const READERS: readonly Row<RouterStatus['readDoors'][number]>[] = [
  ['holdfast_router_reads_degraded', (door) => (door.degraded ? 1 : 0)],
]
const STALE: readonly Row<number>[] = [['holdfast_router_stale_seconds', (ms) => ms / 1_000]]
const DOORS: readonly Row<Counts>[] = [
  ['holdfast_router_sessions', (door) => door.sessions],
  ['holdfast_router_held', (door) => door.held],
  ['holdfast_router_accepted_total', (door) => door.accepted],
  ['holdfast_router_refused_total', (door) => door.refused],
  ['holdfast_router_cut_total', (door) => door.cut],
  ['holdfast_router_bytes_up_total', (door) => door.bytesUp],
  ['holdfast_router_bytes_down_total', (door) => door.bytesDown],
]
const RELAYS: readonly Row<NonNullable<RouterStatus['doors'][number]['relay']>>[] = [
  ['holdfast_router_relay_up', (relay) => (relay.running ? 1 : 0)],
  ['holdfast_router_relay_sessions', (relay) => relay.sessions],
  ['holdfast_router_relay_bytes_up', (relay) => relay.bytesUp],
  ['holdfast_router_relay_bytes_down', (relay) => relay.bytesDown],
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
    ...familiesOf(
      READERS,
      readDoors.map((of) => ({ labels: { group: of.group }, of })),
    ),
    ...familiesOf(STALE, readDoors.flatMap(staleOf)),
    ...familiesOf(RELAYS, relayed),
  ]
  return `${lines.join('\n')}\n`
}

interface Sample<T> {
  readonly labels: Readonly<Record<string, string>>
  readonly of: T
}

/** A member whose age is not known has none. */
function staleOf({ group, staleMs }: RouterStatus['readDoors'][number]): readonly Sample<number>[] {
  return Object.entries(staleMs).flatMap(([member, of]) => (of === null ? [] : [{ labels: { group, member }, of }]))
}

function familiesOf<T>(rows: readonly Row<T>[], samples: readonly Sample<T>[]): string[] {
  if (samples.length === 0) return []
  return rows.flatMap(([name, value]) => {
    const { help, type } = ROUTER_FAMILIES[name]
    const text = (labels: Sample<T>['labels']): string =>
      Object.entries(labels)
        .map(([label, word]) => `${label}="${word}"`)
        .join(',')
    const told = samples.map(({ labels, of }) => `${name}{${text(labels)}} ${value(of)}`)
    return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...told]
  })
}
