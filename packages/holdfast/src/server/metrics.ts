/** `/metrics` of the whole platform, from what this server sees. Numbers are read when they are asked for. */
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Scene } from './scene.ts'

type Fill = (scene: Scene, gauge: Gauge) => void

const GAUGES: readonly (readonly [name: string, help: string, labels: readonly string[], fill: Fill])[] = [
  [
    'group_safe',
    'One more loss would be survived without loss',
    ['group'],
    (scene, gauge) => {
      for (const { group, verdict } of scene.watch.groups()) gauge.set({ group }, verdict.safe ? 1 : 0)
    },
  ],
  [
    'group_epoch',
    'Newest leadership',
    ['group'],
    (scene, gauge) => {
      for (const { group, epoch } of scene.watch.groups()) gauge.set({ group }, epoch)
    },
  ],
  [
    'group_writable',
    'Some member is open for writes',
    ['group'],
    (scene, gauge) => {
      for (const { group, writer } of scene.watch.groups()) gauge.set({ group }, writer === null ? 0 : 1)
    },
  ],
  [
    'group_paused',
    'Automation is paused',
    ['group'],
    (scene, gauge) => {
      for (const { group, paused } of scene.watch.groups()) gauge.set({ group }, paused === null ? 0 : 1)
    },
  ],
  [
    'group_incident_open',
    'An incident is open',
    ['group'],
    (scene, gauge) => {
      for (const { group, incident } of scene.watch.groups()) gauge.set({ group }, incident === null ? 0 : 1)
    },
  ],
  [
    'group_loss_predicted_bytes',
    'Loss if the site of the primary burned, from counters',
    ['group'],
    (scene, gauge) => {
      for (const { group, loss } of scene.watch.groups()) if (loss.bytes !== null) gauge.set({ group }, loss.bytes)
    },
  ],
  [
    'member_lag_predicted_bytes',
    'Bytes behind the holder, from counters',
    ['group', 'member', 'site'],
    (scene, gauge) => {
      for (const { group, members } of scene.watch.groups()) {
        for (const { member, site, lagBytes } of members)
          if (lagBytes !== null) gauge.set({ group, member, site }, lagBytes)
      }
    },
  ],
  [
    'member_writable_seconds',
    'For how long it may write without another beat',
    ['group', 'member', 'site'],
    (scene, gauge) => {
      for (const { group, members } of scene.watch.groups()) {
        for (const { member, site, writableForMs } of members) gauge.set({ group, member, site }, writableForMs / 1_000)
      }
    },
  ],
  [
    'agent_reachable',
    'The agent answers this server',
    ['agent', 'site'],
    (scene, gauge) => {
      for (const { agent, site, reachable } of scene.watch.agents()) gauge.set({ agent, site }, reachable ? 1 : 0)
    },
  ],
  [
    'server_leading',
    'This server writes events and runs schedules',
    [],
    (scene, gauge) => {
      gauge.set(scene.leader.state.leading ? 1 : 0)
    },
  ],
  ['server_last_event', 'Number of the newest event', [], (scene, gauge) => gauge.set(scene.feed.last)],
  ['server_listeners', 'Open streams', [], (scene, gauge) => gauge.set(scene.hub.size)],
  ['server_resident_bytes', 'Memory of the process', [], (_scene, gauge) => gauge.set(process.memoryUsage.rss())],
]

export class ServerMetrics {
  readonly #registry = new Registry()
  readonly #requests: Histogram<'route' | 'status'>
  readonly #logins: Counter<'outcome'>
  readonly #gauges: readonly { readonly gauge: Gauge; readonly fill: Fill }[]

  constructor() {
    const registers = [this.#registry]
    this.#requests = new Histogram({
      name: 'holdfast_server_request_seconds',
      help: 'Time to answer, by route of the API',
      labelNames: ['route', 'status'],
      buckets: [0.005, 0.02, 0.05, 0.1, 0.5, 2],
      registers,
    })
    this.#logins = new Counter({
      name: 'holdfast_server_logins_total',
      help: 'Tries to log in',
      labelNames: ['outcome'],
      registers,
    })
    this.#gauges = GAUGES.map(([name, help, labelNames, fill]) => {
      return { gauge: new Gauge({ name: `holdfast_${name}`, help, labelNames: [...labelNames], registers }), fill }
    })
  }

  answered(route: string, status: number, tookMs: number): void {
    this.#requests.observe({ route, status: String(status) }, tookMs / 1_000)
    if (route === 'login' || route === 'oidcCallback') this.#logins.inc({ outcome: status < 400 ? 'done' : 'refused' })
  }

  text(scene: Scene): Promise<string> {
    for (const { gauge, fill } of this.#gauges) {
      gauge.reset()
      fill(scene, gauge)
    }
    return this.#registry.metrics()
  }
}
