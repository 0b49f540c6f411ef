/** The description in the core's and the store's terms: who decides with which numbers, and where the store is. */
import type { NodeSettings } from '../core/node.ts'
import type { MemberSettings, MemberSpec, Replication } from '../core/settings.ts'
import { HoldfastError } from '../errors.ts'
import { keyText, pemText } from './pem.ts'
import { addressText, type GroupMember, type GroupSpec, membersOfAgent, type Platform } from './platform.ts'

/**
 * What a failover takes from the decision to the first write: stop of what is left, promotion, one store write. An
 * in-place crash recovery predicted to be shorter is preferred. Measured promotions end in 35-80 ms.
 */
const MOVE_ESTIMATE_MS = 300

/** Settings of one agent: its session follows the shortest ttl of its groups. Throws when the agent is not known. */
export function nodeSettings(platform: Platform, agentName: string): NodeSettings {
  const members = membersOfAgent(platform, agentName)
  const shortest = [...members].sort((a, b) => a.group.timing.ttlMs - b.group.timing.ttlMs)[0]
  if (shortest === undefined) {
    throw new HoldfastError(
      'HF_CONFIG_INVALID',
      `agent ${agentName} stands beside no member`,
      `give a member "agent: ${agentName}" in ${platform.file}`,
    )
  }
  const { ttlMs, beatMs, requestMs, marginMs } = shortest.group.timing
  return {
    agent: agentName,
    ttlMs,
    beatMs,
    requestMs,
    marginMs,
    members: members.map(({ group, member }) => memberSettings(platform, group, member)),
  }
}

export function memberSettings(_platform: Platform, group: GroupSpec, member: GroupMember): MemberSettings {
  return {
    group: group.name,
    self: memberSpec(member),
    members: group.members.map(memberSpec),
    replication: replicationOf(group),
    failover: group.failover,
    whenAlone: group.whenAlone,
    timing: group.timing,
    moveEstimateMs: moveEstimateOf(group),
    flapFree: group.antiFlap.free,
    flapWindowMs: group.antiFlap.windowMs,
  }
}

/**
 * A Redis that starts again begins a new history, which every replica must copy in full before it counts; where they
 * confirm, moving costs nothing acknowledged and leaves them able to go on. Without confirmations moving costs the last
 * writes and starting again does not.
 */
function moveEstimateOf({ engine, replication }: GroupSpec): number {
  return engine === 'redis' && replication.kind !== 'async' ? 0 : MOVE_ESTIMATE_MS
}

/**
 * A Redis client cannot say which replica must have its write, only how many. So `sync` is "any one of all that count",
 * never "this one" (engines/redis/SPEC.md).
 */
export function replicationOf(group: Pick<GroupSpec, 'engine' | 'replication'>): Replication {
  const { engine, replication } = group
  return engine === 'redis' && replication.kind === 'sync' ? { kind: 'quorum', need: 1 } : replication
}

function memberSpec(member: GroupMember): MemberSpec {
  const { name, agent, site, priority, noFailover } = member
  return { member: name, agent, site, priority, noFailover }
}

/** What `openStore` takes: secrets and certificates as texts. */
export type StoreConnection =
  | {
      readonly kind: 'embedded'
      readonly urls: readonly string[]
      readonly token: string
      readonly ca?: string
      readonly requestMs: number
    }
  | {
      readonly kind: 'etcd'
      readonly endpoints: readonly string[]
      readonly username?: string
      readonly password?: string
      readonly ca?: string
      readonly cert?: string
      readonly key?: string
      readonly prefix: string
      readonly requestMs: number
    }

/** Reveals the store's secrets and reads its certificates; throws a HoldfastError when a file cannot be read. */
export function storeSettings(platform: Platform): StoreConnection {
  const { store } = platform
  if (store.kind === 'none') {
    const what = 'the description names no store: every group in it is led by another program'
    throw new HoldfastError(
      'HF_CONFIG_INVALID',
      what,
      'run holdfast status; agents and routers have nothing to do here',
    )
  }
  const requestMs = Math.min(...platform.groups.map((group) => group.timing.requestMs))
  if (store.kind === 'embedded') {
    const scheme = store.tls === null ? 'http' : 'https'
    const ca = store.tls === null ? {} : { ca: pemText(store.tls.caFile) }
    const urls = [`${scheme}://${addressText(store.listen)}`]
    return { kind: 'embedded', urls, token: store.token.reveal(), ...ca, requestMs }
  }
  const { endpoints, username, password, tls, prefix } = store
  return {
    kind: 'etcd',
    endpoints,
    ...(username === null || password === null ? {} : { username, password: password.reveal() }),
    ...(tls === null ? {} : { ca: pemText(tls.caFile) }),
    ...(tls?.certFile && tls.keyFile ? { cert: pemText(tls.certFile), key: keyText(tls.keyFile) } : {}),
    prefix,
    requestMs,
  }
}
