/**
 * What Patronis and the servers behind them say, in the words of `core/supervision`. Reads only. `/cluster` is what a
 * Patroni reads from its store, `/patroni` what it knows of its own server; with an observer the server is asked, too.
 */
import type { Concern, EngineWord, MemberWord, Sighting, Voice } from '../../core/supervision/model.ts'
import { hard, type Look, type SupervisorOptions, soft } from '../supervisor.ts'
import { objectOf, originOf, type PatroniAnswer, type PatroniDoor, saidBy } from './door.ts'
import { askPostgres } from './observer.ts'

/** Of the time of a look, what `/cluster` may take; the rest is for each member's own words. */
const CLUSTER_PART = 0.5
const MEMBERS_MAX = 64
const NAME_MAX = 200
/** Patroni's own default of `maximum_lag_on_failover`. */
const LAG_BYTES_MAX = 1_048_576

type Json = Readonly<Record<string, unknown>>

interface Told {
  readonly word: MemberWord
  readonly api: string | null
  readonly host: string
  readonly port: number
}

interface Heard {
  readonly voice: Voice
  readonly scope: string
  readonly members: readonly Told[]
}

export async function lookAtPatroni(o: SupervisorOptions, door: PatroniDoor, timeoutMs: number): Promise<Look> {
  const part = timeoutMs * CLUSTER_PART
  const [answers, config] = await Promise.all([
    Promise.all(o.endpoints.map((base) => door.read(base, '/cluster', part))),
    configOf(o, door, part),
  ])
  const sync = config?.synchronous_mode === true || config?.synchronous_mode === 'quorum'
  const heard = answers.map((answer, at) => heardFrom(o, o.endpoints[at] ?? '', answer, sync))
  const told = new Map(heard.flatMap(({ members }) => members.map((one) => [one.word.member, one] as const)))
  const asked = [...told.values()].slice(0, MEMBERS_MAX)
  const own = await Promise.all(asked.map((one) => askMember(o, door, one, timeoutMs - part)))
  const voices = heard.map(({ voice }, at) => (at === 0 ? withConcerns(voice, own) : voice))
  const sighting: Sighting = {
    voices,
    // Where no member's own Patroni can be reached from here, its silence says nothing of its server.
    engines: o.observer !== null || own.some(({ reached }) => reached) ? own.map(({ engine }) => engine) : [],
    quorum: 1,
    durability: sync ? 'sync' : 'async',
    lagBytesMax: numberOf(config?.maximum_lag_on_failover) ?? LAG_BYTES_MAX,
  }
  const version = own.find((one) => one.version !== '')?.version ?? ''
  return {
    sighting,
    manager: `Patroni${version === '' ? '' : ` ${version}`}`,
    group: heard.find(({ scope }) => scope !== '')?.scope || (own.find(({ scope }) => scope !== '')?.scope ?? o.name),
    facts: factsOf(config, sync),
    endpoints: endpointsOf(o, asked, own),
    addresses: Object.fromEntries(asked.map(({ word, host, port }) => [word.member, `${host}:${port}`])),
  }
}

/** Where Patronis say they are; where we asked, when they cannot be reached there from here. */
function endpointsOf(o: SupervisorOptions, asked: readonly Told[], own: readonly Own[]): readonly string[] {
  const reached = asked.flatMap(({ api }, at) => (api !== null && own[at]?.reached === true ? [api] : []))
  return reached.length > 0 ? asked.flatMap(({ api }) => api ?? []) : o.endpoints
}

function factsOf(config: Json | null, sync: boolean): Look['facts'] {
  const seconds = (name: string): Readonly<Record<string, number>> => {
    const value = numberOf(config?.[name])
    return value === null ? {} : { [`${name === 'loop_wait' ? 'loop' : name}Ms`]: value * 1_000 }
  }
  return { ...seconds('ttl'), ...seconds('loop_wait'), synchronous: sync }
}

/** From the first that answers; the same for all, for it stands in their store. */
async function configOf(o: SupervisorOptions, door: PatroniDoor, timeoutMs: number): Promise<Json | null> {
  const answers = await Promise.all(o.endpoints.map((base) => door.read(base, '/config', timeoutMs)))
  return (
    answers.map((answer) => (answer.status === 200 ? objectOf(answer.text) : null)).find((one) => one !== null) ?? null
  )
}

function heardFrom(o: SupervisorOptions, base: string, answer: PatroniAnswer, sync: boolean): Heard {
  const silent = (because: string): Heard => {
    const voice = { voice: base, heard: false, because, epoch: null, paused: false, moving: null }
    return { voice: { ...voice, members: [], concerns: [] }, scope: '', members: [] }
  }
  if (answer.because !== '') return silent(answer.because)
  const body = answer.status === 200 ? objectOf(answer.text) : null
  if (body === null || !Array.isArray(body.members)) {
    return silent(answer.status === 200 ? 'its answer is not that of a Patroni' : `it answers ${answer.status}`)
  }
  const scope = textOf(body.scope)
  if (o.name !== '' && scope !== '' && scope !== o.name) return silent(`it belongs to ${scope}, not to ${o.name}`)
  const members = body.members.slice(0, MEMBERS_MAX).flatMap((one) => toldOf(one, sync))
  const planned =
    typeof body.scheduled_switchover === 'object' ? objectOf(JSON.stringify(body.scheduled_switchover)) : null
  const timelines = members.flatMap(({ word }) => (word.role === 'primary' ? (word.timeline ?? []) : []))
  const voice: Voice = {
    voice: base,
    heard: true,
    because: '',
    epoch: timelines.length === 0 ? null : Math.max(...timelines),
    paused: body.pause === true,
    moving: planned === null ? null : `a switchover is planned for ${textOf(planned.at)}`,
    members: members.map(({ word }) => word),
    concerns: [],
  }
  return { voice, scope, members }
}

function toldOf(one: unknown, sync: boolean): readonly Told[] {
  const body = typeof one === 'object' && one !== null ? (one as Json) : null
  const member = textOf(body?.name)
  if (body === null || member === '') return []
  const role = textOf(body.role)
  const state = textOf(body.state)
  const leads = role === 'leader' || role === 'master' || role === 'primary'
  const word: MemberWord = {
    member,
    shard: '',
    role: leads ? 'primary' : 'replica',
    state,
    fit: leads ? state === 'running' : state === 'streaming' || state === 'running',
    barred: barredBy(body, role, sync),
    lagBytes: leads ? null : numberOf(body.lag),
    lagMs: null,
    timeline: numberOf(body.timeline),
    rank: 0,
    tieBreak: member,
  }
  return [{ word, api: originOf(textOf(body.api_url)), host: textOf(body.host), port: numberOf(body.port) ?? 0 }]
}

/** Where commits wait for standbys, Patroni lets nobody lead whom they did not wait for. */
function barredBy(body: Json, role: string, sync: boolean): string | null {
  const tags = typeof body.tags === 'object' && body.tags !== null ? (body.tags as Json) : {}
  if (tags.nofailover === true) return 'it is tagged nofailover'
  if (tags.failover_priority === 0) return 'its failover_priority is 0'
  if (role === 'standby_leader') return 'it leads a standby cluster'
  const confirms = role === 'sync_standby' || role === 'quorum_standby' || role === 'leader'
  return sync && !confirms ? 'it is not a synchronous standby' : null
}

interface Own {
  /** Its own Patroni answered. */
  readonly reached: boolean
  readonly engine: EngineWord
  readonly version: string
  readonly scope: string
  readonly concerns: readonly Concern[]
}

async function askMember(o: SupervisorOptions, door: PatroniDoor, told: Told, timeoutMs: number): Promise<Own> {
  const { member } = told.word
  const [answer, server] = await Promise.all([
    told.api === null ? null : door.read(told.api, '/patroni', timeoutMs),
    o.observer === null ? null : askPostgres(member, { host: told.host, port: told.port }, o, timeoutMs),
  ])
  const body = answer === null || answer.because !== '' ? null : objectOf(answer.text)
  const own = typeof body?.patroni === 'object' && body.patroni !== null ? (body.patroni as Json) : {}
  const word = body === null ? null : engineOf(member, body)
  const because = answer === null ? 'it names no api_url' : answer.because || saidBy(answer)
  const concerns: Concern[] = []
  if (body?.cluster_unlocked === true) concerns.push(hard('no-leader-lock', { member }))
  if (body?.failsafe_mode_is_active === true) concerns.push(soft('failsafe-mode', { member }))
  if (word === null) concerns.push(soft('patroni-silent', { member, because }))
  if (word !== null && server?.answering === true && word.role !== server.role) {
    concerns.push(hard('patroni-and-server-disagree', { member, patroni: word.role, server: server.role }))
  }
  return {
    reached: word !== null,
    engine: server ?? word ?? { ...NOTHING, member, because },
    version: textOf(own.version),
    scope: textOf(own.scope),
    concerns,
  }
}

const NOTHING = { answering: false, role: null, position: null, timeline: null, streaming: false }

/** Of its own server, in Patroni's words; asked of it at each of Patroni's turns. */
function engineOf(member: string, body: Json): EngineWord {
  const role = textOf(body.role)
  const xlog = typeof body.xlog === 'object' && body.xlog !== null ? (body.xlog as Json) : {}
  const state = textOf(body.state)
  const leads = role === 'primary' || role === 'master'
  const running = state === 'running'
  const received = Math.max(numberOf(xlog.received_location) ?? -1, numberOf(xlog.replayed_location) ?? -1)
  const position = numberOf(xlog.location) ?? (received < 0 ? null : received)
  // Before Patroni 4 a standby does not say whether it streams.
  const replication = textOf(body.replication_state)
  return {
    member,
    answering: running,
    because: running ? '' : `its server is ${state === '' ? 'in an unknown state' : state}`,
    role: leads ? 'primary' : 'replica',
    position,
    timeline: numberOf(body.timeline),
    streaming: replication === '' || replication === 'streaming',
  }
}

function withConcerns(voice: Voice, own: readonly Own[]): Voice {
  const concerns = own.flatMap((one) => one.concerns)
  return voice.heard ? { ...voice, concerns: [...voice.concerns, ...concerns] } : voice
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value.slice(0, NAME_MAX) : ''
}

function numberOf(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null
}
