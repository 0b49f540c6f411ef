/** The platform the demo runs: three members on two sites, a witness with the store, one router. All on loopback. */
import { chmodSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freshId } from '../../io/random.ts'

export type DemoMode = 'sync' | 'async'
export type DemoProfile = 'fast' | 'normal'

export interface DemoMember {
  readonly member: string
  readonly agent: string
  readonly site: string
  readonly agentUrl: string
  readonly port: number
  readonly dataDir: string
}

export interface Layout {
  readonly folder: string
  readonly file: string
  readonly token: string
  readonly password: string
  readonly members: readonly DemoMember[]
  readonly routerPort: number
  /** Null: no server runs. */
  readonly dashboardPort: number | null
  readonly group: string
}

/** Ports asked of the kernel at once, so that they differ. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
          const server = createServer()
          server.once('error', reject)
          server.listen(0, '127.0.0.1', () => resolve(server))
        }),
    ),
  )
  const ports = servers.map((s) => {
    const address = s.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  })
  await Promise.all(servers.map((s) => new Promise((done) => s.close(done))))
  return ports
}

/** Who carries the bytes of the router's door. */
export type DemoRelay = 'router' | 'haproxy'

interface LayoutChoice {
  readonly mode: DemoMode
  readonly profile: DemoProfile
  readonly version: number | null
  readonly relay: DemoRelay
}

interface LayoutExtras {
  readonly version?: number | null
  readonly relay?: DemoRelay
  readonly dashboard?: boolean
}

/** `version`: major version of the engine; null takes what is found first. */
export async function makeLayout(
  mode: DemoMode,
  profile: DemoProfile,
  { version = null, relay = 'router', dashboard = false }: LayoutExtras = {},
): Promise<Layout> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-demo-'))
  chmodSync(folder, 0o755)
  const ports = await freePorts(9)
  const [storePort = 0, routerPort = 0, dashboardPort = 0, ...rest] = ports
  const sites = ['north', 'north', 'south']
  const members = sites.map((site, i) => ({
    member: `orders-${i + 1}`,
    agent: `agent-${i + 1}`,
    site,
    agentUrl: `http://127.0.0.1:${rest[2 * i] ?? 0}`,
    port: rest[2 * i + 1] ?? 0,
    dataDir: join(folder, 'engines', `orders-${i + 1}`),
  }))
  const layout: Layout = {
    folder,
    file: join(folder, 'holdfast.yaml'),
    token: freshId(),
    password: freshId(),
    members,
    routerPort,
    dashboardPort: dashboard ? dashboardPort : null,
    group: 'orders',
  }
  writeSecrets(layout)
  writeFileSync(layout.file, description(layout, { mode, profile, version, relay }, storePort))
  return layout
}

export function writeSecrets({ folder, token, password }: Pick<Layout, 'folder' | 'token' | 'password'>): void {
  mkdirSync(join(folder, 'secrets'), { mode: 0o700 })
  for (const [name, value] of [
    ['token', token],
    ['superuser', freshId()],
    ['replication', freshId()],
    ['application', password],
  ] as const) {
    writeFileSync(join(folder, 'secrets', name), `${value}\n`, { mode: 0o600 })
  }
}

function description(layout: Layout, choice: LayoutChoice, storePort: number): string {
  const agents = layout.members.map(
    (m) => `  - { name: ${m.agent}, site: ${m.site}, listen: ${m.agentUrl.replace('http://', '')} }`,
  )
  const members = layout.members.map(
    (m) => `      - { name: ${m.member}, agent: ${m.agent}, listen: 127.0.0.1:${m.port}, dataDir: ${m.dataDir} }`,
  )
  const replication = choice.mode === 'sync' ? 'sync' : '{ async: { lossBytesMax: 16MiB, lossTimeMax: 10s } }'
  const server = layout.dashboardPort === null ? '' : `server: { listen: 127.0.0.1:${layout.dashboardPort} }\n`
  return `version: 1
platform: demo
sites:
  - name: north
  - name: south
  - { name: witness, witness: true }
store:
  kind: embedded
  site: witness
  listen: 127.0.0.1:${storePort}
  dir: store
  token: { file: secrets/token }
agentDefaults:
  token: { file: secrets/token }
agents:
${agents.join('\n')}
groups:
  - name: ${layout.group}
    engine: postgres${choice.version === null ? '' : `\n    version: ${choice.version}`}
    profile: ${choice.profile}
    replication: ${replication}
    # Faults come faster here than anywhere else; the wait after many failovers would only slow the show.
    antiFlap: { free: 50, window: 60s }
    members:
${members.join('\n')}
    application: { user: app, database: app, password: { file: secrets/application } }
    secrets: { superuser: { file: secrets/superuser }, replication: { file: secrets/replication } }
routers:
  - name: router-1
    site: north
    relay: ${choice.relay}
    doors:
      - { group: ${layout.group}, listen: 127.0.0.1:${layout.routerPort} }
${server}`
}
