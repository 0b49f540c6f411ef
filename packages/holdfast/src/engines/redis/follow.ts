/**
 * Being a replica of somebody, from any state: running or not, former primary or not, empty, or interrupted half-way.
 * A former primary is never started before its end was compared with the upstream's history (R28); what only it holds
 * is kept aside. A running replica is led to another upstream without a restart.
 */
import { freshId } from '../../io/random.ts'
import type { Done, EngineEndpoint } from '../contract.ts'
import { clone } from './clone.ts'
import { NOWHERE } from './config.ts'
import { Line } from './connection.ts'
import { type Course, done, type Engine, failed, refused } from './engine.ts'
import { type CleanEnd, type LogLine, text } from './home.ts'
import type { ServerInfo } from './info.ts'
import { keepTail } from './kept-tail.ts'
import { mayLack } from './promotion.ts'
import { stop } from './shutdown.ts'
import { infoOf, startServer } from './start.ts'
import { type Greeting, greet, greetBy, knockAt, letsIn } from './upstream.ts'

export interface FollowAt {
  readonly epoch: number
  readonly timeline: number
  readonly systemId: string | null
}

const ASK_MS = 2_000
const LOOK_MS = 4
/** A door that is closed is looked at again after this, at first; each further look waits longer, up to the bound. */
const DOOR_MS = 5
const DOOR_MS_MAX = 100
const DOOR_GROWTH = 1.1
/** An upstream that is about to be promoted gets this long. */
const PRIMARY_WAIT_MS = 2_000
/** A link that does not come up within this time is made anew: the server itself tries once a second. */
const LINK_WAIT_MS = 300

export async function follow(
  engine: Engine,
  upstream: EngineEndpoint | null,
  at: FollowAt,
  course: Course,
): Promise<Done> {
  const ready = await engine.ready()
  if (!ready.ok) return ready
  try {
    return await followFrom(engine, upstream, at, course)
  } catch (error) {
    return failed(`follow: ${text(error)}`)
  } finally {
    engine.endKnock()
  }
}

async function followFrom(
  engine: Engine,
  upstream: EngineEndpoint | null,
  at: FollowAt,
  course: Course,
): Promise<Done> {
  const look = await engine.refresh()
  if (look.state === 'foreign') return refused(look.because)
  const { file } = look
  if (look.state !== 'ready' || file === null) {
    return upstream === null ? failed('nothing to copy from') : copy(engine, upstream, at, course)
  }
  if (at.systemId !== null && file.systemId !== at.systemId) {
    // A founding of our own that did not get as far as its first write, and another member's did.
    if (file.madeBy === 'create' && file.unopenedEpoch !== null && upstream !== null) {
      return copy(engine, upstream, at, course)
    }
    const why = `${engine.home.dataDir} holds system ${file.systemId}, the group is ${at.systemId}`
    return refused(`${why}; this is another data set: move the directory away, and it is cloned anew`)
  }
  await engine.server.adopt()
  if (engine.server.pid !== null) {
    const info = await infoOf(engine, course)
    if (typeof info === 'string') return failed(`follow: ${info}`)
    if (upstream === null && info.role === 'replica') return leave(engine, course)
    // What a former primary holds may have to be kept aside, and the server would throw it away without a word.
    if (
      info.role === 'replica' &&
      upstream !== null &&
      (!file.wasPrimary || (await isPart(engine, info, upstream, course)))
    )
      return attach(engine, upstream, at, course)
    const stopped = await stop(engine, course)
    if (!stopped.ok) return stopped
  }
  return rejoin(engine, upstream, at, course)
}

/** A complete but stopped copy. */
async function rejoin(engine: Engine, upstream: EngineEndpoint | null, at: FollowAt, course: Course): Promise<Done> {
  const { file } = engine
  if (file === null) return failed('follow: the copy went away')
  if (upstream === null) return startReplica(engine, course)
  const greeting = await greet(engine, upstream, course.leftMs(ASK_MS))
  if (!greeting.ok) {
    if (file.wasPrimary) return failed(`a former primary is not started before it was compared: ${greeting.because}`)
    // A copy that was never writable cannot have diverged: it may run and so be a candidate.
    const started = await startReplica(engine, course)
    return started.ok ? failed(`upstream not reached: ${greeting.because}`) : started
  }
  const other = otherSystem(upstream, greeting, at)
  if (other !== null) return refused(other)
  if (file.wasPrimary && !isContained(file.clean, greeting.info)) {
    const kept = await keepTail(engine, greeting.title.line, course)
    if (!kept.ok) return kept
    return copy(engine, upstream, at, course)
  }
  const started = await startReplica(engine, course)
  return started.ok ? attach(engine, upstream, at, course) : started
}

/** A primary that was demoted while it ran, and whose successor has all it had. */
async function isPart(engine: Engine, info: ServerInfo, upstream: EngineEndpoint, course: Course): Promise<boolean> {
  const greeting = await untilPrimary(engine, upstream, course)
  return greeting.ok && isContained(info, greeting.info)
}

/** The end of our log is a part of the upstream's history: the same rule by which Redis grants a partial copy. */
function isContained(end: Pick<CleanEnd, 'replid' | 'offset'> | null, upstream: ServerInfo): boolean {
  if (end === null) return false
  if (end.replid === upstream.replid) return end.offset <= upstream.offset
  return end.replid === upstream.replid2 && end.offset < upstream.forkOffset
}

async function copy(engine: Engine, upstream: EngineEndpoint, at: FollowAt, course: Course): Promise<Done> {
  const greeting = await untilPrimary(engine, upstream, course)
  if (!greeting.ok) return failed(`nothing to copy from yet: ${greeting.because}`)
  const other = otherSystem(upstream, greeting, at)
  if (other !== null) return refused(other)
  const cloned = await clone(engine, upstream, greeting.title, course)
  await engine.refresh()
  if (!cloned.ok) return cloned
  const started = await startReplica(engine, course)
  return started.ok ? attach(engine, upstream, at, course) : started
}

/** Starts the server without a source, knowing where in history its data is. */
async function startReplica(engine: Engine, course: Course): Promise<Done> {
  const { file } = engine
  if (file === null) return failed('follow: the copy went away')
  const { clean } = file
  const load = clean?.saved === true ? 'snapshot' : 'log'
  const crashed = clean === null
  // After a crash a former primary holds all it acknowledged, wherever that ends; a replica's end is only estimated,
  // so its copy must not count as the one that was confirmed. The same when the disk may lack the newest writes.
  const sameCopy = !crashed || (file.wasPrimary && !mayLack(engine))
  const lsn = clean?.lsn ?? (sameCopy ? file.reservedLsn : file.lastLsn)
  const timeline = clean?.timeline ?? file.line.timeline
  if (!sameCopy) await engine.note({ diskId: freshId(), madeBy: 'crash', lastLsn: lsn })
  const sync = { members: [], need: 0 }
  const title = { systemId: file.systemId, line: { timeline, base: 0 }, sync }
  const started = await startServer(engine, { role: 'replica', load, title }, course)
  if (!started.ok) return started
  const info = await infoOf(engine, course)
  if (typeof info === 'string') return failed(`follow: ${info}`)
  const line: LogLine = { timeline, base: lsn - info.offset }
  const known = load === 'snapshot' ? engine.file?.lines[info.replid] : undefined
  await engine.note({ lines: engine.linesWith(info.replid, known ?? line), line: known ?? line, lastLsn: lsn })
  engine.lastPosition = { timeline, lsn }
  return done(engine.lastPosition)
}

/** A replica without a source. */
async function leave(engine: Engine, course: Course): Promise<Done> {
  const away = ['REPLICAOF', NOWHERE.host, String(NOWHERE.port)]
  const answer = await engine.hand.must([away], course.leftMs(ASK_MS))
  return answer.ok ? here(engine, course) : failed(`follow: ${answer.because}`)
}

/** Leads the running server to the upstream: waits for its door, then for the stream. */
async function attach(engine: Engine, upstream: EngineEndpoint, at: FollowAt, course: Course): Promise<Done> {
  const joined = await joinedAlready(engine, upstream, course)
  if (joined) return joinedNow(engine, upstream, course)
  for (let doorMs = DOOR_MS; ; doorMs = Math.min(DOOR_MS_MAX, doorMs * DOOR_GROWTH)) {
    const greeting = await untilPrimary(engine, upstream, course)
    if (!greeting.ok) return failed(`upstream not reached: ${greeting.because}`)
    const other = otherSystem(upstream, greeting, at)
    if (other !== null) return refused(other)
    if (!letsIn(engine, greeting)) {
      await knockAt(engine, upstream, course.leftMs(ASK_MS))
      course.options.progress?.('wait to be let in', 0, null)
      if (!(await course.pause(doorMs))) return course.late('follow: the primary does not let this member in yet')
      continue
    }
    // Only a clean stop needs it on the disk, and that writes it again.
    const noted = engine.note({ lines: engine.linesWith(greeting.info.replid, greeting.title.line) })
    noted.catch(() => undefined)
    const away = ['REPLICAOF', NOWHERE.host, String(NOWHERE.port)]
    const there = ['REPLICAOF', upstream.host, String(upstream.port)]
    if (course.over) return course.late('follow')
    // Going away first makes the server connect at once also when it was trying before.
    const led = await engine.hand.must([away, there], course.leftMs(ASK_MS))
    if (!led.ok) return failed(`follow: ${led.because}`)
    if (await untilStreaming(engine, upstream, course)) {
      await noted
      return joinedNow(engine, upstream, course)
    }
    if (course.over) return course.late('follow: streaming')
  }
}

async function untilPrimary(engine: Engine, upstream: EngineEndpoint, course: Course): Promise<Greeting> {
  const endMs = engine.o.clock.nowMs() + PRIMARY_WAIT_MS
  const line = new Line(await engine.peer(upstream))
  try {
    for (;;) {
      const greeting = await greetBy(line, upstream, course.leftMs(ASK_MS))
      if (!greeting.ok || greeting.info.role === 'primary') return greeting
      const because = `${upstream.member} is no primary yet`
      if (engine.o.clock.nowMs() >= endMs || !(await course.pause(DOOR_MS))) return { ok: false, because }
    }
  } finally {
    line.close()
  }
}

/** True once the link stands; false when it should be made anew. A full copy takes as long as it takes. */
async function untilStreaming(engine: Engine, upstream: EngineEndpoint, course: Course): Promise<boolean> {
  let endMs = engine.o.clock.nowMs() + LINK_WAIT_MS
  while (engine.o.clock.nowMs() < endMs) {
    const info = await infoOf(engine, course)
    if (typeof info !== 'string') {
      if (streams(info, upstream)) return true
      if (info.copying) {
        if (engine.file?.logPending === false) await engine.note({ logPending: true })
        course.options.progress?.('copy', info.copyDone, info.copyTotal)
        endMs = engine.o.clock.nowMs() + LINK_WAIT_MS
      }
    }
    if (engine.server.pid === null || !(await course.pause(LOOK_MS))) return false
  }
  return false
}

async function joinedAlready(engine: Engine, upstream: EngineEndpoint, course: Course): Promise<boolean> {
  const info = await infoOf(engine, course)
  return typeof info !== 'string' && streams(info, upstream) && engine.file?.lines[info.replid] !== undefined
}

function streams(info: ServerInfo, upstream: EngineEndpoint): boolean {
  return info.linkUp && info.upstream?.host === upstream.host && info.upstream.port === upstream.port
}

/** The upstream took our data as a part of its own, or gave us its own: whatever was before, this is no fork. */
async function joinedNow(engine: Engine, upstream: EngineEndpoint, course: Course): Promise<Done> {
  await learnLine(engine, upstream, course)
  await engine.note({ unopenedEpoch: null, wasPrimary: false })
  return here(engine, course)
}

/** A primary that has just started takes a new replication id with its first replica: ours, or one beside us. */
async function learnLine(engine: Engine, upstream: EngineEndpoint, course: Course): Promise<void> {
  const info = await infoOf(engine, course)
  if (typeof info === 'string' || engine.file?.lines[info.replid] !== undefined) return
  const greeting = await greet(engine, upstream, course.leftMs(ASK_MS))
  if (!greeting.ok || greeting.info.role !== 'primary' || greeting.info.replid !== info.replid) return
  await engine.note({ lines: engine.linesWith(info.replid, greeting.title.line) })
}

async function here(engine: Engine, course: Course): Promise<Done> {
  const info = await infoOf(engine, course)
  if (typeof info === 'string') return failed(`follow: ${info}`)
  const line = engine.file?.lines[info.replid]
  if (line === undefined) return done(null)
  const position = { timeline: line.timeline, lsn: line.base + info.offset }
  engine.lastPosition = position
  await engine.note({ line, lastLsn: position.lsn })
  return done(position)
}

function otherSystem(upstream: EngineEndpoint, greeting: Greeting & { ok: true }, at: FollowAt): string | null {
  const { systemId } = greeting.title
  if (at.systemId === null || at.systemId === systemId) return null
  const where = `${upstream.host}:${upstream.port}`
  return `${where} has system identifier ${systemId}, the group is ${at.systemId}; it is not followed`
}
