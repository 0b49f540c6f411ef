/** For tests: agents and a router that tell of every trouble there is a rule for, and their description. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { loadBytes } from '../../packages/holdfast/src/config/load.ts'
import type { Platform } from '../../packages/holdfast/src/config/platform.ts'
import { RULE_IDS } from '../../packages/holdfast/src/core/alerts/rules.ts'
import { systemClock } from '../../packages/holdfast/src/io/clock.ts'

export interface Scene {
  readonly platform: Platform
  readonly text: string
  close(): Promise<void>
}

/** Counters grow with the seconds, so that whoever looks twice sees growth. */
function tellers(): Readonly<Record<string, () => string>> {
  const startedMs = systemClock.nowMs()
  const grown = (): number => Math.floor((systemClock.nowMs() - startedMs) / 1_000)
  const soon = systemClock.wallMs() / 1_000 + 3_600
  return {
    a1: () => `holdfast_member_info{group="orders",member="m1",site="x",engine="postgres",failover="automatic"} 1
holdfast_member_writable_seconds{group="orders",member="m1"} 1
holdfast_member_writable_seconds{group="billing",member="b1"} 0
holdfast_member_engine_up{group="orders",member="m1"} 1
holdfast_member_engine_up{group="billing",member="b1"} 0
holdfast_lease_left_low_seconds{group="orders",member="m1"} 0.1
holdfast_lease_ttl_seconds{group="orders",member="m1"} 3
holdfast_group_eligible_replicas{group="orders",member="m1"} 0
holdfast_group_failsafe{group="orders",member="m1"} 1
holdfast_group_paused{group="orders",member="m1"} 1
holdfast_fences_total{group="orders",member="m1"} ${grown()}
holdfast_promotions_total{group="orders",member="m1"} ${grown()}
holdfast_guard_up 0
holdfast_guard_fired ${grown()}
holdfast_store_reachable 0
holdfast_store_request_seconds_sum{operation="get",result="ok"} ${grown()}
holdfast_store_request_seconds_count{operation="get",result="ok"} ${grown() * 2}
holdfast_store_request_seconds_bucket{operation="get",result="ok",le="+Inf"} ${grown() * 2}
holdfast_store_request_seconds_bucket{operation="get",result="ok",le="1"} ${grown() * 2}
holdfast_disk_free_bytes{group="orders",member="m1"} 4
holdfast_disk_size_bytes{group="orders",member="m1"} 100
holdfast_disk_growth_bytes_per_second{group="orders",member="m1"} 1
holdfast_certificate_expiry_timestamp_seconds{use="agent",part="certificate",group=""} ${soon}
holdfast_loop_age_seconds 9
`,
    a2: () => `holdfast_member_info{group="orders",member="m2",site="x",engine="postgres",failover="automatic"} 1
holdfast_member_writable_seconds{group="orders",member="m2"} 1
holdfast_member_engine_up{group="orders",member="m2"} 1
holdfast_member_role{group="orders",member="m2",role="replica"} 1
holdfast_member_receiving{group="orders",member="m2"} 0
holdfast_member_lag_bytes{group="orders",member="m2"} 90
holdfast_member_lag_bound_bytes{group="orders",member="m2"} 100
holdfast_member_lag_seconds{group="orders",member="m2"} 2
holdfast_member_lag_bound_seconds{group="orders",member="m2"} 100
holdfast_member_lag_bytes{group="cache",member="c1"} 60
holdfast_member_lag_bound_bytes{group="cache",member="c1"} 100
holdfast_member_lag_bytes{group="billing",member="b2"} 60
holdfast_member_lag_bound_bytes{group="billing",member="b2"} 100
holdfast_disk_free_bytes{group="cache",member="c1"} 20
holdfast_disk_size_bytes{group="cache",member="c1"} 100
holdfast_disk_growth_bytes_per_second{group="cache",member="c1"} -3
holdfast_disk_free_bytes{group="billing",member="b2"} 20
holdfast_disk_size_bytes{group="billing",member="b2"} 100
holdfast_guard_up 1
holdfast_store_reachable 1
holdfast_loop_age_seconds 0.1
`,
    r1: () => `holdfast_router_route_open{group="orders"} 0
holdfast_router_relay_up{group="orders"} 0
holdfast_router_sessions{group="orders",door="primary"} 3
holdfast_router_held{group="orders",door="primary"} 1
`,
  }
}

/** Agent a3, alone at its site, and router r2 answer nothing. */
export async function openScene(folder: string): Promise<Scene> {
  const servers: Server[] = []
  const ports: Record<string, number> = {}
  for (const [name, tell] of Object.entries(tellers())) {
    const server = createServer((_, response) => {
      response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(tell())
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    servers.push(server)
    ports[name] = (server.address() as AddressInfo).port
  }
  const text = description(ports)
  const loaded = loadBytes(Buffer.from(text), join(folder, 'holdfast.yaml'), { env: {}, secrets: 'none' })
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.mistakes))
  const close = async (): Promise<void> => {
    for (const server of servers) {
      server.close()
      server.closeAllConnections()
    }
  }
  return { platform: loaded.platform, text, close }
}

function description(ports: Readonly<Record<string, number>>): string {
  const secret = '{ env: X }'
  let port = 20_000
  const group = (name: string, engine: string, members: readonly string[]): string => {
    const rows = members.map((member, at) => {
      port++
      return `      - { name: ${member}, agent: a${at + 1}, listen: "127.0.0.1:${port}", dataDir: data-${member} }`
    })
    const head = `  - name: ${name}\n    engine: ${engine}\n    replication: sync\n    members:\n${rows.join('\n')}`
    return `${head}\n    secrets: { superuser: ${secret}, replication: ${secret} }`
  }
  return `version: 1
platform: troubled
sites: [{ name: x }, { name: y }, { name: z, witness: true }]
store: { kind: embedded, site: z, listen: "127.0.0.1:20900", token: ${secret} }
agentDefaults: { token: ${secret} }
agents:
  - { name: a1, site: x, listen: "127.0.0.1:${ports.a1}" }
  - { name: a2, site: x, listen: "127.0.0.1:${ports.a2}" }
  - { name: a3, site: y, listen: "127.0.0.1:20901" }
groups:
${group('orders', 'postgres', ['m1', 'm2', 'm3'])}
${group('billing', 'postgres', ['b1', 'b2', 'b3'])}
${group('cache', 'redis', ['c1', 'c2', 'c3'])}
routers:
  - { name: r1, site: x, metrics: "127.0.0.1:${ports.r1}", doors: [{ group: orders, listen: "127.0.0.1:20902" }] }
  - { name: r2, site: y, metrics: "127.0.0.1:20903", doors: [{ group: orders, listen: "127.0.0.1:20904" }] }
alerts:
  every: 1s
  groupWait: 1s
  channels:
    - { name: room, kind: slack, url: { file: /nowhere/slack-url } }
    - { name: duty, kind: pagerduty, key: { file: /nowhere/key } }
    - { name: box, kind: mail, server: "127.0.0.1:25", tls: none, user: u, password: { env: X }, from: a@example.com,
        to: [b@example.com] }
    - { name: hook, kind: webhook, url: "http://127.0.0.1:9/", secret: { env: X } }
  routes: { critical: [duty, room], warning: [room, box], info: [hook] }
  escalation: { after: 5m, to: [box] }
  rules:
${RULE_IDS.map((id) => `    ${id}: { for: 0s }`).join('\n')}
`
}
