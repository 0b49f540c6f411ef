/**
 * What one `holdfast.yaml` means once it is read, checked and completed: every default filled in, every path absolute,
 * every secret read. Made by `load.ts`; nothing here looks at YAML. The core's view of it is made by `settings.ts`.
 */
import type { Severity } from '../core/alerts/rules.ts'
import { DEGRADED_DEFAULT, type DegradedPolicy } from '../core/routing/degradation.ts'
import type { Replication, Timing } from '../core/settings.ts'
import type { Secret } from './secret.ts'
import type { SupervisedSpec } from './supervised.ts'

export interface Address {
  readonly host: string
  readonly port: number
}

/** PEM files, absolute paths. `caFile` signs the certificates of everybody who is talked to. */
export interface TlsFiles {
  readonly certFile: string
  readonly keyFile: string
  readonly caFile: string
}

export interface SiteSpec {
  readonly name: string
  /** Has a store member and no data. */
  readonly witness: boolean
}

export type StoreSpec =
  | {
      readonly kind: 'embedded'
      readonly site: string | null
      readonly listen: Address
      readonly dir: string
      readonly token: Secret
      readonly tls: TlsFiles | null
    }
  | {
      readonly kind: 'etcd'
      /** Base URLs without a trailing slash, one per etcd member. */
      readonly endpoints: readonly string[]
      readonly username: string | null
      readonly password: Secret | null
      readonly tls: {
        readonly caFile: string
        readonly certFile: string | null
        readonly keyFile: string | null
      } | null
      /** Prefix of every key, so that platforms can share one etcd. Ends with `/`. */
      readonly prefix: string
    }
  /** Nothing here is led by Holdfast itself. */
  | { readonly kind: 'none' }

export interface AgentSpec {
  readonly name: string
  readonly site: string
  /** Where it listens, and where its peers, routers and the CLI reach it. */
  readonly listen: Address
  /** Its own folder: journal, kept tails. Absolute. */
  readonly dir: string
  readonly token: Secret
  readonly tls: TlsFiles | null
  /** Resets the host when the guard is gone (R4). */
  readonly watchdog: { readonly device: string; readonly required: boolean } | null
  /** Drills may do faults to what stands beside it. */
  readonly drills: boolean
}

export interface GroupMember {
  readonly name: string
  readonly agent: string
  readonly site: string
  readonly listen: Address
  /** Absolute. */
  readonly dataDir: string
  readonly priority: number
  readonly noFailover: boolean
}

export interface GroupSpec {
  readonly name: string
  readonly engine: 'postgres' | 'redis'
  /** Major version; null takes the newest that is found. */
  readonly version: number | null
  /** Folder of the engine's programs; null searches for them. Absolute. */
  readonly binDir: string | null
  readonly profile: 'fast' | 'normal' | 'wan'
  readonly timing: Timing
  readonly failover: 'automatic' | 'manual' | 'observe'
  readonly whenAlone: 'block' | 'continue'
  readonly replication: Replication
  /** Automatic promotions allowed within the window before each next one waits longer (R25). */
  readonly antiFlap: { readonly free: number; readonly windowMs: number }
  readonly members: readonly GroupMember[]
  /** Engine settings, as text. */
  readonly parameters: Readonly<Record<string, string>>
  /** `database` is empty where the engine has none to name. */
  readonly application: { readonly user: string; readonly database: string; readonly password: Secret } | null
  /** Unknown ones in a group that is only observed. */
  readonly secrets: { readonly superuser: Secret; readonly replication: Secret }
  /** The role an existing group is looked at with; always there in a group that is only observed. */
  readonly observer: { readonly user: string; readonly password: Secret } | null
  /** The engine's own TLS, for clients and for replication. */
  readonly tls: TlsFiles | null
  /** Records a server's canary writes each second; 0: none. */
  readonly canaryPerSecond: number
}

export interface RouterDoor {
  readonly group: string
  readonly listen: Address
  /** A second door, to replicas that lag at most `lagBytesMax`. */
  readonly read: { readonly listen: Address; readonly lagBytesMax: number } | null
}

export interface RouterSpec {
  readonly name: string
  readonly site: string
  readonly doors: readonly RouterDoor[]
  /** How long a new connection may wait for a primary before it is refused. */
  readonly holdMs: number
  /** Who carries the bytes to the primary. */
  readonly relay: 'router' | 'haproxy'
  /** Where it answers `/metrics`; null: nowhere. */
  readonly metrics: Address | null
}

/** A command or an HTTP call; exactly one of them. */
export type HookAction =
  | {
      readonly kind: 'run'
      readonly words: readonly string[]
      /** Names of variables of our environment that it gets too. */
      readonly env: readonly string[]
    }
  | {
      readonly kind: 'http'
      readonly url: string
      readonly method: string
      /** Null: the move as JSON. */
      readonly body: string | null
      readonly token: Secret | null
    }

export interface HookSpec {
  readonly name: string
  readonly when: 'before' | 'after'
  /** Null: it belongs to the whole move. */
  readonly group: string | null
  readonly action: HookAction
  readonly undo: HookAction | null
  readonly deadlineMs: number
  readonly onFailure: 'undo' | 'stop' | 'go-on'
}

export interface ServiceSpec {
  readonly name: string
  /** In the order of the description; `after` are names of others in this list. */
  readonly groups: readonly { readonly group: string; readonly after: readonly string[] }[]
  readonly objectives: { readonly rtoMs: number; readonly rpoMs: number } | null
  readonly home: string
  readonly comeHome: 'never' | 'when-healthy' | 'ask'
  readonly siteLoss: 'automatic' | 'ask'
  readonly degraded: DegradedPolicy
  readonly hooks: readonly HookSpec[]
}

export type ChannelSpec =
  | { readonly kind: 'slack'; readonly name: string; readonly url: Secret }
  | { readonly kind: 'webhook'; readonly name: string; readonly url: string; readonly secret: Secret | null }
  | { readonly kind: 'pagerduty'; readonly name: string; readonly key: Secret; readonly url: string }
  | {
      readonly kind: 'mail'
      readonly name: string
      readonly server: Address
      readonly tls: 'starttls' | 'implicit' | 'none'
      readonly user: string | null
      readonly password: Secret | null
      readonly from: string
      readonly to: readonly string[]
    }

/** Null: as the rule has it. */
export interface RuleOverride {
  readonly enabled: boolean
  readonly severity: Severity | null
  readonly forMs: number | null
  readonly limit: number | null
}

export interface AlertsSpec {
  readonly channels: readonly ChannelSpec[]
  readonly routes: Readonly<Record<Severity, readonly string[]>>
  readonly escalation: { readonly afterMs: number; readonly to: readonly string[] } | null
  /** Who looks and tells. */
  readonly runBy: 'server' | 'process'
  /** Between two looks at all agents and routers. */
  readonly everyMs: number
  readonly groupWaitMs: number
  readonly repeatMs: number
  /** Folder of what was told, silences and acknowledgements. Absolute. */
  readonly dir: string
  /** Base of the links in messages; null: the page that comes with Holdfast. */
  readonly runbook: string | null
  /** By the id of the rule. */
  readonly rules: Readonly<Record<string, RuleOverride>>
}

export interface ServerSpec {
  readonly listen: Address
  /** Database, keys. Absolute. */
  readonly dir: string
  readonly tls: TlsFiles | null
  /** Without a trailing slash. */
  readonly publicUrl: string | null
  readonly oidc: OidcSpec | null
}

export interface OidcSpec {
  readonly issuer: string
  readonly clientId: string
  readonly clientSecret: Secret
  readonly label: string
  readonly claim: string
  readonly grants: readonly {
    readonly is: string
    readonly role: 'viewer' | 'operator' | 'approver' | 'auditor' | 'admin'
    readonly groups: readonly string[] | null
  }[]
}

export interface Platform {
  readonly version: 1
  readonly name: string
  /** The description itself and its folder, absolute. */
  readonly file: string
  readonly folder: string
  /** Of its bytes as they were read. */
  readonly sha256: string
  readonly sites: readonly SiteSpec[]
  readonly store: StoreSpec
  readonly agents: readonly AgentSpec[]
  /** Led by Holdfast. */
  readonly groups: readonly GroupSpec[]
  /** Led by a program of their own; named beside the others in the description. */
  readonly supervised: readonly SupervisedSpec[]
  readonly routers: readonly RouterSpec[]
  readonly services: readonly ServiceSpec[]
  /** Drill files and folders of them, absolute; read by `drill-files.ts`. */
  readonly drills: readonly string[]
  readonly alerts: AlertsSpec
  /** Null: this description has no server. */
  readonly server: ServerSpec | null
}

export function agentByName(platform: Platform, name: string): AgentSpec | null {
  return platform.agents.find((agent) => agent.name === name) ?? null
}

export function groupByName(platform: Platform, name: string): GroupSpec | null {
  return platform.groups.find((group) => group.name === name) ?? null
}

export function supervisedByName(platform: Platform, name: string): SupervisedSpec | null {
  return platform.supervised.find((group) => group.name === name) ?? null
}

export function routerByName(platform: Platform, name: string): RouterSpec | null {
  return platform.routers.find((router) => router.name === name) ?? null
}

export function serviceByName(platform: Platform, name: string): ServiceSpec | null {
  return platform.services.find((one) => one.name === name) ?? null
}

/** What the doors of a group may do without a primary: services that share it say the same. */
export function degradedOf(platform: Platform, group: string): DegradedPolicy {
  const home = platform.services.find(({ groups }) => groups.some((entry) => entry.group === group))
  return home?.degraded ?? DEGRADED_DEFAULT
}

/** The members an agent stands beside, each with its group, in the order of the description. */
export function membersOfAgent(
  platform: Platform,
  agentName: string,
): readonly { readonly group: GroupSpec; readonly member: GroupMember }[] {
  return platform.groups.flatMap((group) =>
    group.members.filter((member) => member.agent === agentName).map((member) => ({ group, member })),
  )
}

/** The other agents that stand beside members of the same group. */
export function peersOfGroup(platform: Platform, group: GroupSpec, agentName: string): readonly AgentSpec[] {
  const names = new Set(group.members.map((member) => member.agent))
  return platform.agents.filter((agent) => names.has(agent.name) && agent.name !== agentName)
}

export function addressText(address: Address): string {
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`
}

/** Base URL of an agent's HTTP, without a trailing slash. */
export function agentUrl(agent: AgentSpec): string {
  return `${agent.tls === null ? 'http' : 'https'}://${addressText(agent.listen)}`
}
