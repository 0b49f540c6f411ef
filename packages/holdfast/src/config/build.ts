/** From a description of the right shape to the platform: defaults, absolute paths, numbers, secrets. */
import { resolve } from 'node:path'
import { PROFILES, type Replication } from '../core/settings.ts'
import { alertsOf } from './build-alerts.ts'
import type { BuildContext } from './build-context.ts'
import { timingOfGroup } from './build-group.ts'
import { buildServices } from './build-moves.ts'
import { isSupervised, supervisedOf } from './build-supervised.ts'
import type { Path } from './mistake.ts'
import type {
  Address,
  AgentSpec,
  GroupSpec,
  Platform,
  RouterSpec,
  ServerSpec,
  StoreSpec,
  TlsFiles,
} from './platform.ts'
import { parseAddress, parseBytes, parseDurationMs } from './quantities.ts'
import type { Description, SecretSource } from './schema.ts'
import { Secret } from './secret.ts'
import { keyFileMistake } from './secrets.ts'

const HOLD_MS = 10_000
const CANARY_PER_SECOND = 2
const PRIORITY = 100
const ANTI_FLAP = { free: 3, windowMs: 600_000 }

type Described<K extends keyof Description> = NonNullable<Description[K]>
type DescribedAgent = Described<'agents'>[number]
type DescribedGroup = Extract<Described<'groups'>[number], { readonly members: unknown }>
type DescribedTls = NonNullable<DescribedAgent['tls']>

export function buildPlatform(description: Description, context: BuildContext): Platform {
  const agents = (description.agents ?? []).map((agent, index) => agentOf(agent, index, description, context))
  const siteOf = new Map(agents.map((agent) => [agent.name, agent.site]))
  return {
    version: 1,
    name: description.platform,
    file: context.file,
    folder: context.folder,
    sha256: context.sha256,
    sites: description.sites.map((site) => ({ name: site.name, witness: site.witness ?? false })),
    store: storeOf(description, context),
    agents,
    groups: description.groups.flatMap((group, index) =>
      isSupervised(group) ? [] : [groupOf(group, index, { ...context, description, siteOf })],
    ),
    supervised: description.groups.flatMap((group, index) =>
      isSupervised(group) ? [supervisedOf(group, index, context)] : [],
    ),
    routers: (description.routers ?? []).map(routerOf),
    services: buildServices(description, context),
    drills: (description.drills ?? []).map((path) => resolve(context.folder, path)),
    alerts: alertsOf(
      description.alerts,
      { folder: context.folder, served: description.server !== undefined },
      (source, path) => context.secrets.read(source, path, 'password', context.need === 'alerts'),
    ),
    server: serverOf(description, context),
  }
}

function storeOf(description: Description, context: BuildContext): StoreSpec {
  const { store } = description
  const needed = context.need === 'all'
  if (store === undefined) return { kind: 'none' }
  if (store.kind === 'embedded') {
    return {
      kind: 'embedded',
      site: store.site ?? null,
      listen: addressOf(store.listen),
      dir: resolve(context.folder, store.dir ?? 'holdfast-data/store'),
      token: context.secrets.read(store.token, ['store', 'token'], 'token', needed),
      tls: tlsOf(store.tls, ['store', 'tls'], context),
    }
  }
  const file = (path: string | undefined) => (path === undefined ? null : resolve(context.folder, path))
  const prefix = store.prefix ?? `/holdfast/${description.platform}/`
  return {
    kind: 'etcd',
    endpoints: store.endpoints.map((url) => url.replace(/\/$/, '')),
    username: store.username ?? null,
    password:
      store.password === undefined
        ? null
        : context.secrets.read(store.password, ['store', 'password'], 'password', needed),
    tls:
      store.tls === undefined
        ? null
        : {
            caFile: resolve(context.folder, store.tls.ca),
            certFile: file(store.tls.cert),
            keyFile: file(store.tls.key),
          },
    prefix: prefix.endsWith('/') ? prefix : `${prefix}/`,
  }
}

function agentOf(agent: DescribedAgent, index: number, description: Description, context: BuildContext): AgentSpec {
  const { agentDefaults } = description
  const tlsPath = agent.tls === undefined ? ['agentDefaults', 'tls'] : ['agents', index, 'tls']
  return {
    name: agent.name,
    site: agent.site,
    listen: addressOf(agent.listen),
    dir: resolve(context.folder, agent.dir ?? `holdfast-data/agents/${agent.name}`),
    token:
      agentDefaults === undefined
        ? new Secret('the key agentDefaults.token, which is not given', null)
        : context.secrets.read(
            agentDefaults.token,
            ['agentDefaults', 'token'],
            'token',
            context.need === 'all' || context.need === 'agents',
          ),
    tls: tlsOf(agent.tls ?? agentDefaults?.tls, tlsPath, context),
    watchdog:
      agent.watchdog === undefined
        ? null
        : { device: resolve(context.folder, agent.watchdog.device), required: agent.watchdog.required ?? false },
    drills: (agent.drills ?? agentDefaults?.drills ?? 'refused') === 'allowed',
  }
}

interface GroupContext extends BuildContext {
  readonly description: Description
  readonly siteOf: ReadonlyMap<string, string>
}

function groupOf(group: DescribedGroup, index: number, context: GroupContext): GroupSpec {
  const { siteOf, description } = context
  const needed = context.need === 'all'
  const at = (...rest: string[]): Path => ['groups', index, ...rest]
  const secret = (source: SecretSource | undefined, ...rest: string[]) =>
    source === undefined
      ? new Secret(`the key ${rest.join('.')}, which is not given`, null)
      : context.secrets.read(source, at(...rest), 'password', needed)
  const profile = group.profile ?? 'normal'
  return {
    name: group.name,
    engine: group.engine,
    version: group.version ?? null,
    binDir: group.binDir === undefined ? null : resolve(context.folder, group.binDir),
    profile,
    timing: timingOfGroup(PROFILES[profile], (key) => parseDurationMs(group.timing?.[key] ?? '')),
    failover: group.failover ?? 'automatic',
    whenAlone: group.whenAlone ?? 'block',
    replication: replicationOf(group.replication),
    antiFlap:
      group.antiFlap === undefined
        ? ANTI_FLAP
        : { free: group.antiFlap.free, windowMs: parseDurationMs(group.antiFlap.window) ?? ANTI_FLAP.windowMs },
    members: group.members.map((member) => ({
      name: member.name,
      agent: member.agent,
      site: siteOf.get(member.agent) ?? '',
      listen: addressOf(member.listen),
      dataDir: resolve(context.folder, member.dataDir),
      priority: member.priority ?? PRIORITY,
      noFailover: member.noFailover ?? false,
    })),
    parameters: Object.fromEntries(Object.entries(group.parameters ?? {}).map(([key, value]) => [key, asText(value)])),
    application:
      group.application === undefined
        ? null
        : {
            user: group.application.user,
            database: group.application.database ?? '',
            password: secret(group.application.password, 'application', 'password'),
          },
    secrets: {
      superuser: secret(group.secrets?.superuser, 'secrets', 'superuser'),
      replication: secret(group.secrets?.replication, 'secrets', 'replication'),
    },
    observer:
      group.observer === undefined
        ? null
        : { user: group.observer.user, password: secret(group.observer.password, 'observer', 'password') },
    tls: tlsOf(group.tls, at('tls'), context),
    canaryPerSecond: canaryOf(group, description),
  }
}

/** What is only observed is not written to, unless that is asked for. */
function canaryOf({ canary, failover }: DescribedGroup, { server }: Description): number {
  if (canary !== undefined) return canary.perSecond
  return failover === 'observe' ? 0 : (server?.canary?.perSecond ?? CANARY_PER_SECOND)
}

function replicationOf(replication: DescribedGroup['replication']): Replication {
  if (replication === 'sync') return { kind: 'sync' }
  if ('quorum' in replication) return { kind: 'quorum', need: replication.quorum }
  const { lossBytesMax, lossTimeMax } = replication.async
  return {
    kind: 'async',
    lossBytesMax: parseBytes(lossBytesMax) ?? 0,
    lossMsMax: parseDurationMs(lossTimeMax) ?? 0,
  }
}

function routerOf(router: Described<'routers'>[number]): RouterSpec {
  return {
    name: router.name,
    site: router.site,
    holdMs: parseDurationMs(router.hold ?? '') ?? HOLD_MS,
    relay: router.relay ?? 'router',
    metrics: router.metrics === undefined ? null : addressOf(router.metrics),
    doors: router.doors.map((door) => ({
      group: door.group,
      listen: addressOf(door.listen),
      read:
        door.read === undefined
          ? null
          : { listen: addressOf(door.read.listen), lagBytesMax: parseBytes(door.read.lagBytesMax) ?? 0 },
    })),
  }
}

function serverOf({ server }: Description, context: BuildContext): ServerSpec | null {
  if (server === undefined) return null
  const { oidc } = server
  return {
    listen: addressOf(server.listen),
    dir: resolve(context.folder, server.dir ?? 'holdfast-data/server'),
    tls: tlsOf(server.tls, ['server', 'tls'], context),
    publicUrl: server.publicUrl ?? null,
    oidc:
      oidc === undefined
        ? null
        : {
            issuer: oidc.issuer,
            clientId: oidc.clientId,
            clientSecret: context.secrets.read(
              oidc.clientSecret,
              ['server', 'oidc', 'clientSecret'],
              'password',
              context.need === 'all',
            ),
            label: oidc.label ?? new URL(oidc.issuer).host,
            claim: oidc.claim ?? 'groups',
            grants: oidc.grants.map(({ is, role, groups }) => ({ is, role, groups: groups ?? null })),
          },
  }
}

function tlsOf(tls: DescribedTls | undefined, path: Path, context: BuildContext): TlsFiles | null {
  if (tls === undefined) return null
  const keyFile = resolve(context.folder, tls.key)
  const wrong = context.need === 'all' ? keyFileMistake(keyFile) : null
  const known = context.secrets.mistakes.some((finding) => finding.what === wrong?.what)
  if (wrong !== null && !known) {
    context.secrets.mistakes.push({ path: [...path, 'key'], at: 'value', what: wrong.what, right: wrong.right })
  }
  return { certFile: resolve(context.folder, tls.cert), keyFile, caFile: resolve(context.folder, tls.ca) }
}

function asText(value: string | number | boolean): string {
  if (typeof value === 'boolean') return value ? 'on' : 'off'
  return String(value)
}

function addressOf(text: string): Address {
  // The shape guarantees host:port; a port out of range is a mistake of checks/addresses.ts.
  return parseAddress(text) ?? { host: '', port: 0 }
}
