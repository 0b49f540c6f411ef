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
import type { Address, EngineName, Lane, ReplicationMode, World } from '../contract.ts'

export const PLATFORM = 'blackbox'
export const ROUTER = 'edge'
export const BOUND = { lossBytesMax: 16 * 1_048_576, lossTimeMaxMs: 10_000 }

export interface MemberPlace {
  readonly member: string
  readonly agent: string
  readonly host: string
  readonly port: number
  readonly dataDir: string
}

export interface GroupPlace {
  readonly group: string
  readonly engine: EngineName
  readonly mode: ReplicationMode
  /** What an unplanned failover may lose in async mode. */
  readonly bound: NonNullable<Lane['bound']>
  readonly members: readonly MemberPlace[]
  readonly doorPort: number
  readonly version: number | null
  readonly parameters: Readonly<Record<string, string | number | boolean>>
  /** Groups that are up before it, where they make a service. */
  readonly after: readonly string[]
}

export interface AgentPlace {
  readonly agent: string
  readonly host: string
  readonly site: string
  readonly port: number
}

export interface StorePlace {
  readonly host: string
  readonly port: number
  /** Between etcd members. */
  readonly peerPort: number
}

export interface Layout {
  readonly world: World
  readonly folder: string
  readonly profile: 'fast' | 'normal'
  readonly store: 'embedded' | 'etcd'
  readonly groups: readonly GroupPlace[]
  readonly agents: readonly AgentPlace[]
  readonly stores: readonly StorePlace[]
  readonly edge: string
  /** The site it begins at is its home, and the store is at a witness; null for one site and no service. */
  readonly service: { readonly name: string; readonly home: string; readonly witness: string } | null
  readonly secrets: Secrets
}

export interface Secrets {
  readonly token: string
  readonly application: string
  readonly superuser: string
  /** PEM text of the authority that signed the certificates of store and agents. */
  readonly ca: string
}

/** Below what the kernel gives to outgoing connections, so that a restarted process finds its port free. */
const LOOPBACK_PORTS = { first: 15_000, count: 15_000 }
const PORT_TRIES = 1_000

/** Hosts of their own may all use the usual port; on loopback each gets another. */
export function portsOf(world: World): (usual: number) => Promise<number> {
  const taken = new Set<number>()
  return async (usual) => (world.kind === 'namespaces' ? usual : freePort(taken))
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
  const { agents, stores, edge } = layout
  const hosts = new Set([...agents.map(({ host }) => host), ...stores.map(({ host }) => host), edge])
  for (const host of hosts) {
    mkdirSync(homeOf(layout, host), { recursive: true, mode: 0o755 })
    writeFileSync(descriptionFile(layout, host), await descriptionFor(layout, host))
  }
}

/** Where `host` finds a port of `owner`. The store asks nobody, so its host needs no routes. */
async function seenFrom(layout: Layout, host: string, owner: string, port: number): Promise<string> {
  const real = { host: layout.world.addressOf(owner), port }
  const direct = host === owner || layout.stores.some((store) => store.host === host)
  const at: Address = direct ? real : await layout.world.route(host, owner, port)
  return `${at.host}:${at.port}`
}

async function descriptionFor(layout: Layout, host: string): Promise<string> {
  const { agents, groups, edge, world, service } = layout
  const own: string[] = []
  for (const { agent, host: owner, site, port } of agents) {
    const at = await seenFrom(layout, host, owner, port)
    own.push(`  - { name: ${agent}, site: ${site}, listen: "${at}", dir: ${join(homeOf(layout, owner), 'agent')} }`)
  }
  const sites = [...new Set(agents.map(({ site }) => site))].map((site) => `{ name: ${site} }`)
  if (service !== null) sites.push(`{ name: ${service.witness}, witness: true }`)
  const doors = groups.map(
    ({ group, doorPort }) => `{ group: ${group}, listen: "${world.addressOf(edge)}:${doorPort}" }`,
  )
  const texts: string[] = []
  for (const group of groups) texts.push(await groupText(layout, host, group))
  return `version: 1
platform: ${PLATFORM}
sites: [${sites.join(', ')}]
store: ${await storeText(layout, host)}
agentDefaults: { token: ${secretText(layout, 'token')}, ${tlsText(layout)} }
agents:
${own.join('\n')}
groups:
${texts.join('\n')}
routers:
  - { name: ${ROUTER}, site: ${agents[0]?.site}, doors: [${doors.join(', ')}] }
${serviceText(layout)}`
}

async function groupText(layout: Layout, host: string, place: GroupPlace): Promise<string> {
  const { group, engine, version } = place
  const members: string[] = []
  for (const { member, agent, host: owner, port, dataDir } of place.members) {
    const at = await seenFrom(layout, host, owner, port)
    members.push(`      - { name: ${member}, agent: ${agent}, listen: "${at}", dataDir: ${dataDir} }`)
  }
  const parameters = Object.entries(place.parameters).map(([name, value]) => `${name}: ${JSON.stringify(value)}`)
  const secret = (name: string): string => secretText(layout, name)
  // With the other site lost the survivor goes on alone.
  const alone = layout.service === null ? '' : '\n    whenAlone: continue'
  return `  - name: ${group}
    engine: ${engine}${version === null ? '' : `\n    version: ${version}`}
    profile: ${layout.profile}
    replication: ${replicationText(place)}${alone}
    # Faults come faster here than anywhere else; the wait after many failovers would be most of every run.
    antiFlap: { free: 1000, window: 60s }
    parameters: { ${parameters.join(', ')} }
    members:
${members.join('\n')}
    application: { user: app,${engine === 'postgres' ? ' database: app,' : ''} password: ${secret('application')} }
    secrets: { superuser: ${secret('superuser')}, replication: ${secret('replication')} }`
}

function serviceText({ service, groups }: Layout): string {
  if (service === null) return ''
  const losses = groups.map(({ mode, bound }) => (mode === 'async' ? bound.lossTimeMaxMs : 0))
  const order = groups.map(({ group, after }) => {
    return `      - { group: ${group}${after.length === 0 ? '' : `, after: [${after.join(', ')}]`} }`
  })
  return `services:
  - name: ${service.name}
    home: ${service.home}
    siteLoss: automatic
    comeHome: never
    objectives: { rto: 10s, rpo: ${Math.max(...losses)}ms }
    groups:
${order.join('\n')}
`
}

async function storeText(layout: Layout, host: string): Promise<string> {
  const { stores, folder, service } = layout
  const addresses: string[] = []
  for (const { host: owner, port } of stores) addresses.push(await seenFrom(layout, host, owner, port))
  if (layout.store === 'etcd') {
    return `{ kind: etcd, endpoints: [${addresses.map((at) => `"http://${at}"`).join(', ')}] }`
  }
  const token = `token: { file: ${join(folder, 'secrets', 'token')} }`
  const dir = join(homeOf(layout, stores[0]?.host ?? ''), 'store')
  const site = service === null ? '' : ` site: ${service.witness},`
  return `{ kind: embedded,${site} listen: "${addresses[0]}", dir: ${dir}, ${token}, ${tlsText(layout)} }`
}

function secretText({ folder }: Layout, name: string): string {
  return `{ file: ${join(folder, 'secrets', name)} }`
}

/** For what carries the token. The engine's data stays plain: clients are told an address and no certificates. */
function tlsText({ folder }: Layout): string {
  const file = (name: string): string => join(folder, 'secrets', name)
  return `tls: { cert: ${file('cert.pem')}, key: ${file('key.pem')}, ca: ${file('ca.pem')} }`
}

function replicationText({ mode, bound }: GroupPlace): string {
  if (mode === 'sync') return 'sync'
  if (mode === 'quorum') return '{ quorum: 1 }'
  const { lossBytesMax, lossTimeMaxMs } = bound
  return `{ async: { lossBytesMax: ${lossBytesMax / 1_048_576}MiB, lossTimeMax: ${lossTimeMaxMs}ms } }`
}
