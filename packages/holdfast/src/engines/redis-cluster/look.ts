/**
 * What the nodes of a Redis Cluster say, in the words of `core/supervision`. Reads only. A member's name is its
 * address; a shard is named by its slots, which stay when its primary changes.
 */
import type { Concern, MemberWord, Sighting, Voice } from '../../core/supervision/model.ts'
import { fieldsOf } from '../../io/resp.ts'
import { endpointOf, errorOf, type Far, nameOf, readFrom, textOf, wholeOf } from '../redis-door.ts'
import { askRedis } from '../redis-word.ts'
import { hard, type Look, type SupervisorOptions } from '../supervisor.ts'

/** Of the time of a look, what the listed nodes may take to describe the cluster. */
const NODES_PART = 0.5
/** A thousand nodes is where Redis itself stops recommending more. */
const MEMBERS_MAX = 1_000
const SLOTS = 16_384

export async function lookAtCluster(o: SupervisorOptions, timeoutMs: number): Promise<Look> {
  const all = await Promise.all(o.endpoints.map((endpoint) => askNode(o, endpoint, timeoutMs * NODES_PART)))
  const voices = all.map(({ voice }) => voice)
  const names = [...new Set(voices.flatMap(({ members }) => members.map(({ member }) => member)))].slice(0, MEMBERS_MAX)
  const words = await Promise.all(names.map((name) => askRedis(name, farOf(o, name), timeoutMs * (1 - NODES_PART))))
  const sighting: Sighting = {
    voices,
    engines: words.map(({ word }) => word),
    quorum: Math.floor(o.endpoints.length / 2) + 1,
    durability: 'async',
    lagBytesMax: null,
  }
  const version = words.find((word) => word.version !== '')?.version ?? ''
  return {
    sighting,
    manager: `Redis Cluster${version === '' ? '' : ` ${version}`}`,
    group: '',
    facts: { nodes: names.length, ...(all.find(({ facts }) => facts !== null)?.facts ?? {}) },
    endpoints: names,
    addresses: Object.fromEntries(names.map((name) => [name, name])),
  }
}

export function farOf(o: SupervisorOptions, name: string): Far {
  return { ...(endpointOf(name) ?? { host: '127.0.0.1', port: 0 }), login: o.observer ?? o.login, tls: o.tls }
}

interface Asked {
  readonly voice: Voice
  readonly facts: Look['facts'] | null
}

async function askNode(o: SupervisorOptions, endpoint: string, timeoutMs: number): Promise<Asked> {
  const far: Far = { ...(endpointOf(endpoint) ?? { host: '127.0.0.1', port: 0 }), login: o.login, tls: o.tls }
  const questions = [
    ['CLUSTER', 'NODES'],
    ['CLUSTER', 'INFO'],
  ]
  const talk = await readFrom(far, questions, timeoutMs)
  if (!talk.ok) return silent(endpoint, talk.because)
  const [nodes, info] = talk.replies.map(textOf)
  if (nodes === null || nodes === undefined) {
    return silent(endpoint, errorOf(talk.replies[0]) ?? 'its answer is not that of a cluster node')
  }
  const fields = fieldsOf(info ?? '')
  const read = nodesOf(nodes, far.host)
  if (read.length === 0) return silent(endpoint, 'it names no node')
  const voice: Voice = {
    voice: endpoint,
    heard: true,
    because: '',
    epoch: wholeOf(fields.get('cluster_current_epoch')),
    paused: false,
    moving: null,
    members: wordsOf(read),
    concerns: complaints(endpoint, fields),
  }
  return { voice, facts: { shards: wholeOf(fields.get('cluster_size')) ?? 0 } }
}

interface Node {
  readonly id: string
  readonly member: string
  readonly flags: readonly string[]
  readonly primaryId: string | null
  readonly linked: boolean
  readonly slots: string
}

/** `id ip:port@bus,host flags primary ping pong epoch link slot slot ..` */
export function nodesOf(text: string, ownHost: string): readonly Node[] {
  return text
    .split('\n')
    .slice(0, MEMBERS_MAX)
    .flatMap((line): readonly Node[] => {
      const [id, address, flags, primary, , , , link, ...slots] = line.trim().split(' ')
      const place = /^(.*):(\d{1,5})(?:@|,|$)/.exec((address ?? '').split('@')[0] ?? '')
      if (id === undefined || place === null || flags === undefined) return []
      // A node that nobody has met does not know its own address; we know where we asked.
      const host = place[1] === '' ? ownHost : (place[1] ?? '')
      const member = nameOf(host.replace(/^\[|\]$/g, ''), place[2] ?? '')
      if (endpointOf(member) === null) return []
      const own = slots.filter((slot) => /^\d+(-\d+)?$/.test(slot)).join(',')
      const primaryId = primary === undefined || primary === '-' ? null : primary
      return [{ id, member, flags: flags.split(','), primaryId, linked: link === 'connected', slots: own }]
    })
    .filter(({ flags }) => !flags.includes('handshake') && !flags.includes('noaddr'))
}

function wordsOf(nodes: readonly Node[]): readonly MemberWord[] {
  const shardOf = (node: Node): string => {
    const primary = node.primaryId === null ? node : nodes.find(({ id }) => id === node.primaryId)
    if (primary === undefined) return 'unknown'
    return primary.slots === '' ? `no slots (${primary.id.slice(0, 8)})` : primary.slots
  }
  return nodes.map((node): MemberWord => {
    const failed = node.flags.some((flag) => flag === 'fail' || flag === 'fail?')
    const myself = node.flags.includes('myself')
    // One that was failed over and holds nothing leads nothing.
    const leads = node.flags.includes('master') && !(failed && node.slots === '')
    return {
      member: node.member,
      shard: shardOf(node),
      role: leads ? 'primary' : node.flags.includes('slave') ? 'replica' : 'unknown',
      state: failed ? (node.flags.includes('fail') ? 'failed' : 'suspected') : 'up',
      fit: !failed && (myself || node.linked),
      barred: node.flags.includes('nofailover') ? 'cluster-replica-no-failover is set' : null,
      ...{ lagBytes: null, lagMs: null, timeline: null, rank: 0, tieBreak: node.member },
    }
  })
}

function complaints(voice: string, fields: ReadonlyMap<string, string>): readonly Concern[] {
  const state = fields.get('cluster_state') ?? 'unknown'
  const assigned = wholeOf(fields.get('cluster_slots_assigned')) ?? 0
  const ok = wholeOf(fields.get('cluster_slots_ok')) ?? 0
  return [
    ...(assigned < SLOTS ? [hard('slots-not-covered', { voice, assigned, of: SLOTS })] : []),
    ...(assigned >= SLOTS && ok < SLOTS ? [hard('slots-failing', { voice, ok, of: SLOTS })] : []),
    ...(state === 'ok' ? [] : [hard('cluster-not-ok', { voice, state: state.slice(0, 40) })]),
  ]
}

function silent(endpoint: string, because: string): Asked {
  const voice = { voice: endpoint, heard: false, because, epoch: null, paused: false, moving: null }
  return { voice: { ...voice, members: [], concerns: [] }, facts: null }
}
