/**
 * The descriptions of one Holdfast platform, one for each host: a host stands in its own at its real address, and all
 * the others at the proxies of its links to them. What the parts are told besides (secrets, certificates) is the same
 * everywhere.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { freshId } from '../../../packages/holdfast/src/io/random.ts'
import { makeCertificates } from '../../../packages/holdfast/src/store/certificates-fixture.ts'
import type { Address, EngineName, ReplicationMode, Subject, World } from '../contract.ts'

export const GROUP = 'orders'
export const ROUTER = 'edge'
export const BOUND = { lossBytesMax: 16 * 1_048_576, lossTimeMaxMs: 10_000 }

export interface Ports {
  readonly agent: number
  readonly engine: number
  readonly store: number
  /** Between etcd members. */
  readonly peer: number
  readonly door: number
}

export interface MemberPlace {
  readonly member: string
  readonly agent: string
  readonly host: string
  readonly ports: Ports
  readonly dataDir: string
}

export interface Layout {
  readonly world: World
  readonly folder: string
  readonly engine: EngineName
  readonly mode: ReplicationMode
  /** What an unplanned failover may lose in async mode. */
  readonly bound: NonNullable<Subject['bound']>
  readonly profile: 'fast' | 'normal'
  readonly store: 'embedded' | 'etcd'
  readonly members: readonly MemberPlace[]
  readonly storeHosts: readonly string[]
  readonly storePorts: readonly Ports[]
  readonly edge: string
  readonly doorPort: number
  readonly version: number | null
  readonly parameters: Readonly<Record<string, string | number | boolean>>
  readonly secrets: Secrets
}

export interface Secrets {
  readonly token: string
  readonly application: string
  readonly superuser: string
  /** PEM text of the authority that signed the certificates of store and agents. */
  readonly ca: string
}

const NAMESPACE_PORTS: Ports = { agent: 7301, engine: 5432, store: 7400, peer: 7401, door: 6432 }
/** Below what the kernel gives to outgoing connections, so that a restarted process finds its port free. */
const LOOPBACK_PORTS = { first: 15_000, count: 15_000 }
const PORT_TRIES = 1_000

/** Hosts of their own may use the same ports; on loopback each gets others. */
export async function portsFor(world: World, count: number): Promise<readonly Ports[]> {
  if (world.kind === 'namespaces') return Array.from({ length: count }, () => NAMESPACE_PORTS)
  const taken = new Set<number>()
  const all: Ports[] = []
  for (let i = 0; i < count; i++) {
    const [agent, engine, store, peer, door] = await Promise.all([1, 2, 3, 4, 5].map(() => freePort(taken)))
    all.push({ agent: agent ?? 0, engine: engine ?? 0, store: store ?? 0, peer: peer ?? 0, door: door ?? 0 })
  }
  return all
}

async function freePort(taken: Set<number>): Promise<number> {
  for (let i = 0; i < PORT_TRIES; i++) {
    const port = LOOPBACK_PORTS.first + Math.floor(Math.random() * LOOPBACK_PORTS.count)
    if (taken.has(port)) continue
    taken.add(port)
    if (await isFree(port)) return port
  }
  throw new Error('no free port was found')
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/** Writes secrets and certificates into `folder`. */
export function makeSecrets(folder: string, world: World): Secrets {
  const place = join(folder, 'secrets')
  mkdirSync(place, { recursive: true, mode: 0o700 })
  const { ca } = makeCertificates(
    place,
    world.hosts.map((host) => world.addressOf(host)),
  )
  const secrets = { token: freshId(), application: freshId(), superuser: freshId() }
  for (const [name, value] of Object.entries({ ...secrets, replication: freshId() })) {
    writeFileSync(join(place, name), `${value}\n`, { mode: 0o600 })
  }
  return { ...secrets, ca }
}

export function homeOf(layout: Pick<Layout, 'folder'>, host: string): string {
  return join(layout.folder, host)
}

export function descriptionFile(layout: Pick<Layout, 'folder'>, host: string): string {
  return join(homeOf(layout, host), 'holdfast.yaml')
}

/** One for each host that runs a part; makes the routes it names. */
export async function writeDescriptions(layout: Layout): Promise<void> {
  const hosts = new Set([...layout.members.map(({ host }) => host), ...layout.storeHosts, layout.edge])
  for (const host of hosts) {
    mkdirSync(homeOf(layout, host), { recursive: true, mode: 0o755 })
    writeFileSync(descriptionFile(layout, host), await descriptionFor(layout, host))
  }
}

/** Where `host` finds a port of `owner`. The store asks nobody, so its host needs no routes. */
async function seenFrom(layout: Layout, host: string, owner: string, port: number): Promise<string> {
  const real = { host: layout.world.addressOf(owner), port }
  const direct = host === owner || layout.storeHosts.includes(host)
  const at: Address = direct ? real : await layout.world.route(host, owner, port)
  return `${at.host}:${at.port}`
}

async function descriptionFor(layout: Layout, host: string): Promise<string> {
  const { members, engine, profile, version, edge, doorPort, world } = layout
  const secret = (name: string): string => `{ file: ${join(layout.folder, 'secrets', name)} }`
  const agents: string[] = []
  const places: string[] = []
  for (const { member, agent, host: owner, ports, dataDir } of members) {
    const agentAt = await seenFrom(layout, host, owner, ports.agent)
    const dir = join(homeOf(layout, owner), 'agent')
    agents.push(`  - { name: ${agent}, site: here, listen: "${agentAt}", dir: ${dir} }`)
    const engineAt = await seenFrom(layout, host, owner, ports.engine)
    places.push(`      - { name: ${member}, agent: ${agent}, listen: "${engineAt}", dataDir: ${dataDir} }`)
  }
  const parameters = Object.entries(layout.parameters).map(([name, value]) => `${name}: ${JSON.stringify(value)}`)
  return `version: 1
platform: blackbox
sites: [{ name: here }]
store: ${await storeText(layout, host)}
agentDefaults: { token: ${secret('token')}, ${tlsText(layout)} }
agents:
${agents.join('\n')}
groups:
  - name: ${GROUP}
    engine: ${engine}${version === null ? '' : `\n    version: ${version}`}
    profile: ${profile}
    replication: ${replicationText(layout)}
    # Faults come faster here than anywhere else; the wait after many failovers would be most of every run.
    antiFlap: { free: 1000, window: 60s }
    parameters: { ${parameters.join(', ')} }
    members:
${places.join('\n')}
    application: { user: app,${engine === 'postgres' ? ' database: app,' : ''} password: ${secret('application')} }
    secrets: { superuser: ${secret('superuser')}, replication: ${secret('replication')} }
routers:
  - { name: ${ROUTER}, site: here, doors: [{ group: ${GROUP}, listen: "${world.addressOf(edge)}:${doorPort}" }] }
`
}

async function storeText(layout: Layout, host: string): Promise<string> {
  const { storeHosts, storePorts, folder } = layout
  const addresses: string[] = []
  for (const [index, owner] of storeHosts.entries()) {
    addresses.push(await seenFrom(layout, host, owner, storePorts[index]?.store ?? 0))
  }
  if (layout.store === 'etcd') {
    return `{ kind: etcd, endpoints: [${addresses.map((at) => `"http://${at}"`).join(', ')}] }`
  }
  const token = `token: { file: ${join(folder, 'secrets', 'token')} }`
  const dir = join(homeOf(layout, storeHosts[0] ?? ''), 'store')
  return `{ kind: embedded, listen: "${addresses[0]}", dir: ${dir}, ${token}, ${tlsText(layout)} }`
}

/** For what carries the token. The engine's data stays plain: clients are told an address and no certificates. */
function tlsText({ folder }: Layout): string {
  const file = (name: string): string => join(folder, 'secrets', name)
  return `tls: { cert: ${file('cert.pem')}, key: ${file('key.pem')}, ca: ${file('ca.pem')} }`
}

function replicationText({ mode, bound }: Layout): string {
  if (mode === 'sync') return 'sync'
  if (mode === 'quorum') return '{ quorum: 1 }'
  const { lossBytesMax, lossTimeMaxMs } = bound
  return `{ async: { lossBytesMax: ${lossBytesMax / 1_048_576}MiB, lossTimeMax: ${lossTimeMaxMs}ms } }`
}
