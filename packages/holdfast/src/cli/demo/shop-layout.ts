/** The platform of the scenarios: a shop of two groups, PostgreSQL and Redis, on two sites, with a witness. */
import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freshId } from '../../io/random.ts'
import { type DemoMember, type DemoProfile, freePorts, writeSecrets } from './layout.ts'

export type Group = 'stock' | 'orders'
export const GROUPS: readonly Group[] = ['stock', 'orders']
export type Site = 'north' | 'south'
export const SITES: readonly Site[] = ['north', 'south']

export interface ShopMember extends DemoMember {
  readonly group: Group
}

export interface ShopLayout {
  readonly folder: string
  readonly file: string
  readonly token: string
  readonly password: string
  readonly members: readonly ShopMember[]
  /** One router a site; customers know both. */
  readonly doors: Readonly<Record<Group, readonly number[]>>
}

interface ShopChoice {
  readonly profile: DemoProfile
  readonly version: number | null
}

export async function makeShopLayout(choice: ShopChoice): Promise<ShopLayout> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-demo-'))
  chmodSync(folder, 0o755)
  const ports = await freePorts(1 + SITES.length * (1 + 2 * GROUPS.length))
  const port = (): number => ports.pop() ?? 0
  const members = SITES.flatMap((site, at) => {
    const agentUrl = `http://127.0.0.1:${port()}`
    return GROUPS.map((group) => ({
      group,
      member: `${group}-${at + 1}`,
      agent: agentOf(site),
      site,
      agentUrl,
      port: port(),
      dataDir: join(folder, 'engines', `${group}-${at + 1}`),
    }))
  })
  const layout: ShopLayout = {
    folder,
    file: join(folder, 'holdfast.yaml'),
    token: freshId(),
    password: freshId(),
    members,
    doors: { stock: SITES.map(port), orders: SITES.map(port) },
  }
  writeSecrets(layout)
  writeFileSync(layout.file, description(layout, choice, port()))
  return layout
}

export function agentOf(site: Site): string {
  return `${site}-1`
}

export function routerOf(site: Site): string {
  return `router-${site}`
}

function description(layout: ShopLayout, choice: ShopChoice, storePort: number): string {
  const agents = SITES.map((site) => {
    const url = layout.members.find((m) => m.site === site)?.agentUrl ?? ''
    return `  - { name: ${agentOf(site)}, site: ${site}, listen: ${url.replace('http://', '')} }`
  })
  const routers = SITES.map((site, at) => {
    const doors = GROUPS.map((group) => `{ group: ${group}, listen: 127.0.0.1:${layout.doors[group][at]} }`)
    return `  - { name: ${routerOf(site)}, site: ${site}, doors: [${doors.join(', ')}] }`
  })
  return `version: 1
platform: demo
sites:
  - name: north
  - name: south
  - { name: hill, witness: true }
store:
  kind: embedded
  site: hill
  listen: 127.0.0.1:${storePort}
  dir: store
  token: { file: secrets/token }
agentDefaults:
  token: { file: secrets/token }
agents:
${agents.join('\n')}
groups:
${GROUPS.map((group) => groupText(layout, group, choice)).join('\n')}
routers:
${routers.join('\n')}
services:
  - name: shop
    home: north
    siteLoss: automatic
    comeHome: never
    objectives: { rto: 10s, rpo: 0s }
    groups:
      - { group: stock }
      - { group: orders, after: [stock] }
`
}

function groupText({ members }: ShopLayout, group: Group, { profile, version }: ShopChoice): string {
  const rows = members
    .filter((m) => m.group === group)
    .map((m) => `      - { name: ${m.member}, agent: ${m.agent}, listen: 127.0.0.1:${m.port}, dataDir: ${m.dataDir} }`)
  const postgres = version === null ? 'engine: postgres' : `engine: postgres\n    version: ${version}`
  return `  - name: ${group}
    ${group === 'orders' ? postgres : 'engine: redis'}
    profile: ${profile}
    replication: sync
    # With the other site lost the survivor goes on alone.
    whenAlone: continue
    # Moves come faster here than anywhere else; the wait after many failovers would only slow the show.
    antiFlap: { free: 50, window: 60s }
    members:
${rows.join('\n')}
    application: { user: app,${group === 'orders' ? ' database: app,' : ''} password: { file: secrets/application } }
    secrets: { superuser: { file: secrets/superuser }, replication: { file: secrets/replication } }`
}
