/**
 * What Sentinels and the servers they watch say, in the words of `core/supervision`. Reads only. A member's name is
 * its address; addresses come from Sentinels, as for every client of theirs, and what they name is asked with the
 * observer's password.
 */
import type { Concern, MemberWord, Sighting, Voice } from '../../core/supervision/model.ts'
import { fieldsOf, type Reply } from '../../io/resp.ts'
import { endpointOf, errorOf, type Far, nameOf, pairsOf, readFrom, textOf, wholeOf } from '../redis-door.ts'
import { askRedis, type RedisWord } from '../redis-word.ts'
import { hard, type Look, type SupervisorOptions, soft } from '../supervisor.ts'

/** Of the time of a look, what Sentinels may take; the rest is for the servers they name. */
const SENTINELS_PART = 0.5
/** A set-up with more members is none; a Sentinel that tells of more tells nonsense. */
const MEMBERS_MAX = 64

export interface SentinelLook extends Look {
  readonly servers: ReadonlyMap<string, RedisWord>
  /** Of the newest voice, what a move must know. */
  readonly downAfterMs: number
  readonly failoverTimeoutMs: number
}

interface Heard {
  readonly voice: Voice
  readonly version: string
  readonly group: string
  readonly quorum: number
  readonly others: number
  readonly downAfterMs: number
  readonly failoverTimeoutMs: number
}

export async function lookAtSentinels(o: SupervisorOptions, timeoutMs: number): Promise<SentinelLook> {
  const all = await Promise.all(o.endpoints.map((endpoint) => askSentinel(o, endpoint, timeoutMs * SENTINELS_PART)))
  const heard = all.filter(({ voice }) => voice.heard)
  const [best] = [...heard].sort((a, b) => (b.voice.epoch ?? -1) - (a.voice.epoch ?? -1))
  const names = [...new Set(heard.flatMap(({ voice }) => voice.members.map(({ member }) => member)))]
  const asked = names.slice(0, MEMBERS_MAX).map(async (name): Promise<readonly [string, RedisWord]> => {
    return [name, await askRedis(name, farOf(o, name), timeoutMs * (1 - SENTINELS_PART))]
  })
  const servers = new Map(await Promise.all(asked))
  const voices = all.map(({ voice }) => voice)
  const sighting: Sighting = {
    voices: voices.map((voice, at) => (at === 0 ? withSettings(voice, servers) : voice)),
    engines: [...servers.values()].map(({ word }) => word),
    quorum: Math.floor(o.endpoints.length / 2) + 1,
    durability: 'async',
    lagBytesMax: null,
  }
  const facts = best === undefined ? {} : factsOf(best)
  return {
    sighting,
    manager: `Redis Sentinel${best === undefined || best.version === '' ? '' : ` ${best.version}`}`,
    group: best?.group ?? o.name,
    facts,
    endpoints: o.endpoints,
    addresses: Object.fromEntries(names.map((name) => [name, name])),
    servers,
    downAfterMs: best?.downAfterMs ?? 0,
    failoverTimeoutMs: best?.failoverTimeoutMs ?? 0,
  }
}

function factsOf(best: Heard): Look['facts'] {
  const { quorum, others, downAfterMs, failoverTimeoutMs } = best
  return { sentinels: others + 1, quorum, downAfterMs, failoverTimeoutMs }
}

/** A server by the name Sentinels gave it. */
export function farOf(o: SupervisorOptions, name: string): Far {
  const login = o.observer
  return { ...(endpointOf(name) ?? { host: '127.0.0.1', port: 0 }), login, tls: o.tls }
}

export function sentinelAt(o: SupervisorOptions, endpoint: string): Far {
  return { ...(endpointOf(endpoint) ?? { host: '127.0.0.1', port: 0 }), login: o.login, tls: o.tls }
}

async function askSentinel(o: SupervisorOptions, endpoint: string, timeoutMs: number): Promise<Heard> {
  const untilMs = o.clock.nowMs() + timeoutMs
  const first = await readFrom(
    sentinelAt(o, endpoint),
    [
      ['SENTINEL', 'MASTERS'],
      ['INFO', 'server'],
    ],
    timeoutMs,
  )
  if (!first.ok) return silent(endpoint, first.because)
  const [list, server] = first.replies
  if (!Array.isArray(list)) return silent(endpoint, errorOf(list) ?? 'its answer is not that of a Sentinel')
  const groups = list.map((item) => pairsOf(item as Reply))
  const group = o.name === '' && groups.length === 1 ? groups[0] : groups.find((one) => one.get('name') === o.name)
  if (group === undefined) {
    const known = groups
      .slice(0, 8)
      .map((one) => one.get('name') ?? '')
      .join(', ')
    return silent(endpoint, `it knows no group ${o.name}${known === '' ? '' : `; it knows ${known}`}`)
  }
  const name = group.get('name') ?? ''
  const leftMs = Math.max(1, untilMs - o.clock.nowMs())
  const more = await readFrom(
    sentinelAt(o, endpoint),
    [
      ['SENTINEL', 'REPLICAS', name],
      ['SENTINEL', 'CKQUORUM', name],
    ],
    leftMs,
  )
  if (!more.ok) return silent(endpoint, more.because)
  const version =
    fieldsOf(textOf(server) ?? '')
      .get('redis_version')
      ?.slice(0, 40) ?? ''
  return heardFrom(endpoint, group, more.replies, version)
}

function heardFrom(
  endpoint: string,
  group: ReadonlyMap<string, string>,
  [replicas, quorum]: readonly Reply[],
  version: string,
): Heard {
  const primary = primaryWord(group)
  const others = Array.isArray(replicas)
    ? replicas.slice(0, MEMBERS_MAX).flatMap((one) => replicaWord(pairsOf(one)))
    : []
  const flags = (group.get('flags') ?? '').split(',')
  const whole = (name: string) => wholeOf(group.get(name)) ?? 0
  const voice: Voice = {
    voice: endpoint,
    heard: primary !== null,
    because: primary === null ? 'it names no address of the primary' : '',
    epoch: wholeOf(group.get('config-epoch')),
    paused: false,
    moving: flags.includes('failover_in_progress') ? `${endpoint} carries out a failover` : null,
    members: primary === null ? [] : [primary, ...others.filter(({ member }) => member !== primary.member)],
    concerns: complaints(endpoint, flags, errorOf(quorum)),
  }
  return {
    voice,
    version,
    group: group.get('name') ?? '',
    quorum: whole('quorum'),
    others: whole('num-other-sentinels'),
    downAfterMs: whole('down-after-milliseconds'),
    failoverTimeoutMs: whole('failover-timeout'),
  }
}

function complaints(voice: string, flags: readonly string[], quorum: string | null): readonly Concern[] {
  const down = flags.includes('o_down') ? 'the quorum' : flags.includes('s_down') ? 'this Sentinel' : null
  return [
    ...(down === null ? [] : [hard('primary-held-for-down', { voice, by: down })]),
    ...(quorum === null ? [] : [hard('no-quorum', { voice, says: quorum })]),
  ]
}

function primaryWord(group: ReadonlyMap<string, string>): MemberWord | null {
  const [host, port] = [group.get('ip'), wholeOf(group.get('port'))]
  if (host === undefined || host === '' || port === null || endpointOf(nameOf(host, port)) === null) return null
  const down = /[so]_down/.test(group.get('flags') ?? '')
  const state = down ? 'down' : 'up'
  return { ...WORD, member: nameOf(host, port), role: 'primary', state, fit: !down }
}

const WORD = {
  ...{ shard: '', barred: null, lagBytes: null, lagMs: null, timeline: null },
  ...{ rank: 0, tieBreak: '' },
}

function replicaWord(one: ReadonlyMap<string, string>): readonly MemberWord[] {
  const [host, port] = [one.get('ip'), wholeOf(one.get('port'))]
  if (host === undefined || host === '' || port === null || endpointOf(nameOf(host, port)) === null) return []
  const flags = (one.get('flags') ?? '').split(',')
  const down = flags.some((flag) => flag === 's_down' || flag === 'o_down' || flag === 'disconnected')
  const linked = one.get('master-link-status') === 'ok'
  const priority = wholeOf(one.get('slave-priority')) ?? 100
  const state = down ? 'down' : linked ? 'streaming' : 'not streaming'
  const barred = priority === 0 ? 'its replica-priority is 0' : null
  const word = { ...WORD, member: nameOf(host, port), role: 'replica' as const, state, fit: !down && linked, barred }
  return [{ ...word, rank: priority, tieBreak: one.get('runid') ?? '' }]
}

/** Servers of one group that refuse writes by different rules: also what a move leaves that was killed half-way. */
function withSettings(voice: Voice, servers: ReadonlyMap<string, RedisWord>): Voice {
  const told = [...servers].flatMap(([name, { minReplicas }]) =>
    minReplicas === null ? [] : [[name, minReplicas] as const],
  )
  if (new Set(told.map(([, least]) => least)).size < 2) return voice
  const says = told.map(([name, least]) => `${name}: ${least}`).join('; ')
  return { ...voice, concerns: [...voice.concerns, soft('min-replicas-to-write-differs', { says })] }
}

function silent(endpoint: string, because: string): Heard {
  const voice = { voice: endpoint, heard: false, because, epoch: null, paused: false, moving: null }
  return {
    voice: { ...voice, members: [], concerns: [] },
    ...{ version: '', group: '', quorum: 0, others: 0, downAfterMs: 0, failoverTimeoutMs: 0 },
  }
}
