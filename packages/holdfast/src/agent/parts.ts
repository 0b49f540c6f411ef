/** Makes the agent's surroundings from the description: store, engines, peers. Only this file reads their secrets. */

import { keyText, pemText } from '../config/pem.ts'
import {
  type AgentSpec,
  agentUrl,
  type GroupMember,
  type GroupSpec,
  membersOfAgent,
  type Platform,
  peersOfGroup,
} from '../config/platform.ts'
import { replicationOf, storeSettings } from '../config/settings.ts'
import type { MemberName } from '../core/model.ts'
import type { EngineAdapter, EngineEndpoint } from '../engines/contract.ts'
import { createPostgresAdapter } from '../engines/postgres/adapter.ts'
import { createPostgresObserver } from '../engines/postgres/observer.ts'
import { createRedisAdapter } from '../engines/redis/adapter.ts'
import type { Clock } from '../io/clock.ts'
import type { Log } from '../io/log.ts'
import { freshId } from '../io/random.ts'
import type { Store } from '../store/contract.ts'
import { openStore } from '../store/open.ts'
import type { CertificateFile } from './certificate-watch.ts'
import type { DrillFaultOptions } from './drill-faults.ts'
import { PeerLink } from './peer-link.ts'

export function storeOf(platform: Platform): Store {
  return openStore(storeSettings(platform))
}

export function endpointOf(member: GroupMember): EngineEndpoint {
  return { member: member.name, host: member.listen.host, port: member.listen.port }
}

export function adaptersOf(
  platform: Platform,
  agent: string,
  shell: { readonly clock: Clock; readonly log: Log },
): ReadonlyMap<MemberName, EngineAdapter> {
  return new Map(
    membersOfAgent(platform, agent).map(({ group, member }) => [member.name, adapterOf(group, member, shell)]),
  )
}

function adapterOf(
  group: GroupSpec,
  member: GroupMember,
  shell: { readonly clock: Clock; readonly log: Log },
): EngineAdapter {
  if (group.engine === 'redis') return redisOf(group, member, shell)
  const { application, observer, tls } = group
  if (group.failover === 'observe' && observer !== null) {
    return createPostgresObserver({
      member: member.name,
      ...member.listen,
      members: group.members.map(endpointOf),
      user: observer.user,
      password: observer.password.reveal(),
      ...(tls === null ? {} : { ca: pemText(tls.caFile) }),
      clock: shell.clock,
    })
  }
  return createPostgresAdapter({
    group: group.name,
    member: member.name,
    dataDir: member.dataDir,
    host: member.listen.host,
    port: member.listen.port,
    members: group.members.map(endpointOf),
    ...(group.version === null ? {} : { version: group.version }),
    ...(group.binDir === null ? {} : { binDir: group.binDir }),
    parameters: group.parameters,
    secrets: {
      superuser: group.secrets.superuser.reveal(),
      replication: group.secrets.replication.reveal(),
      // Without a declared application nobody knows this password, so nobody can use the role.
      application: application?.password.reveal() ?? freshId(),
    },
    ...(application === null ? {} : { application: { user: application.user, database: application.database } }),
    ...(tls === null ? {} : { tls: { cert: tls.certFile, key: tls.keyFile, ca: tls.caFile } }),
    clock: shell.clock,
    log: shell.log,
  })
}

function redisOf(
  group: GroupSpec,
  member: GroupMember,
  shell: { readonly clock: Clock; readonly log: Log },
): EngineAdapter {
  const { application, secrets, tls } = group
  const replication = replicationOf(group)
  return createRedisAdapter({
    group: group.name,
    member: member.name,
    dataDir: member.dataDir,
    host: member.listen.host,
    port: member.listen.port,
    members: group.members.map(endpointOf),
    confirmations: replication.kind === 'quorum' ? replication.need : 0,
    ...(group.version === null ? {} : { version: group.version }),
    ...(group.binDir === null ? {} : { binDir: group.binDir }),
    parameters: group.parameters,
    secrets: {
      superuser: secrets.superuser.reveal(),
      replication: secrets.replication.reveal(),
      application: application?.password.reveal() ?? freshId(),
    },
    ...(application === null ? {} : { application: { user: application.user } }),
    ...(tls === null ? {} : { tls: { cert: tls.certFile, key: tls.keyFile, ca: tls.caFile } }),
    clock: shell.clock,
    log: shell.log,
  })
}

/** One link per other agent that shares a group with this one. */
export function peersOf(platform: Platform, agent: string, clock: Clock): ReadonlyMap<string, PeerLink> {
  const groups = new Set(membersOfAgent(platform, agent).map(({ group }) => group))
  const specs = new Map([...groups].flatMap((g) => peersOfGroup(platform, g, agent).map((spec) => [spec.name, spec])))
  return new Map([...specs].map(([name, spec]) => [name, linkTo(spec, clock)]))
}

function linkTo(spec: AgentSpec, clock: Clock): PeerLink {
  const ca = spec.tls === null ? null : pemText(spec.tls.caFile)
  return new PeerLink({ agent: spec.name, url: agentUrl(spec), token: spec.token.reveal(), ca }, clock)
}

/** Certificate and key the agent's own door shows; null for plain HTTP. */
export function doorTls(spec: AgentSpec): { readonly cert: string; readonly key: string } | null {
  return spec.tls === null ? null : { cert: pemText(spec.tls.certFile), key: keyText(spec.tls.keyFile) }
}

/** The data folder of each member here. */
export function dataFolders(platform: Platform, agent: string): ReadonlyMap<MemberName, string> {
  return new Map(membersOfAgent(platform, agent).map(({ member }) => [member.name, member.dataDir]))
}

/** The files with certificates that this agent, its engines and its way to the store use; each use is told once. */
export function certificateFiles(platform: Platform, agent: string): readonly CertificateFile[] {
  const own = platform.agents.find(({ name }) => name === agent)?.tls ?? null
  const groups = new Map(membersOfAgent(platform, agent).map(({ group }) => [group.name, group.tls]))
  return [
    ...filesOf('agent', '', own),
    ...filesOf('store', '', storeFiles(platform.store)),
    ...[...groups].flatMap(([group, files]) => filesOf('engine', group, files)),
  ]
}

function storeFiles(store: Platform['store']): Parameters<typeof filesOf>[2] {
  if (store.kind === 'none' || store.tls === null) return null
  return { caFile: store.tls.caFile, certFile: store.kind === 'etcd' ? store.tls.certFile : null }
}

function filesOf(
  use: CertificateFile['use'],
  group: string,
  files: { readonly certFile: string | null; readonly caFile: string } | null,
): readonly CertificateFile[] {
  if (files === null) return []
  const authority = { use, group, part: 'authority', file: files.caFile } as const
  const { certFile } = files
  return certFile === null ? [authority] : [{ use, group, part: 'certificate', file: certFile }, authority]
}

/** What drills may reach from here, and where a dead-man of theirs listens. */
export function drillParts(
  platform: Platform,
  spec: AgentSpec,
  adapters: ReadonlyMap<MemberName, EngineAdapter>,
): Omit<DrillFaultOptions, 'noteFile' | 'guardPid' | 'log'> {
  const store = storeSettings(platform)
  const groups = new Set(membersOfAgent(platform, spec.name).map(({ group }) => group))
  const peers = [...groups].flatMap((group) => peersOfGroup(platform, group, spec.name))
  const origin = (url: string): string => new URL(url).origin
  return {
    allowed: spec.drills,
    agent: spec.name,
    targets: new Map([...adapters].map(([member, adapter]) => [member, () => adapter.fenceTarget()] as const)),
    storeOrigins: (store.kind === 'embedded' ? store.urls : store.endpoints).map(origin),
    peerOrigins: [...new Set(peers.map((peer) => origin(agentUrl(peer))))],
    door: { host: spec.listen.host, scheme: spec.tls === null ? 'http' : 'https' },
    tls: doorTls(spec),
  }
}
