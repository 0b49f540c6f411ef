/**
 * Being a replica of somebody, from any state: running or not, former primary or not, empty, or interrupted half-way.
 * A former primary is never started before its log was compared with the upstream's (R28). Copying and rewinding take
 * as long as they take: they go on when a call's deadline ends, and the next call for the same upstream joins them.
 */
import type { Position } from '../../core/model.ts'
import type { Done, EngineEndpoint } from '../contract.ts'
import { CLOSED_NAMES, shown, writePassFile } from './config.ts'
import { readControlFile } from './control-file.ts'
import { startCopy } from './copy.ts'
import { type Course, done, type Engine, failed, refused } from './engine.ts'
import { exists, text } from './home.ts'
import { RECEIVER, timelineOnDisk } from './probe.ts'
import { leftBehind, rejoinDecision } from './rejoin.ts'
import { stop } from './shutdown.ts'
import { startServer } from './start.ts'
import { dropSlots, greetUpstream } from './upstream.ts'

export interface FollowAt {
  readonly epoch: number
  readonly timeline: number
  readonly systemId: string | null
}

const ASK_MS = 2_000
const STREAM_LOOK_MS = 8
/** A replica that does not stream after this long although the upstream answers is compared with it: two heartbeats. */
const STREAM_WAIT_MS = 2_500
/** The comparison stops the server, so it is not repeated at every call. */
const COMPARE_EVERY_MS = 5_000

export async function follow(
  engine: Engine,
  upstream: EngineEndpoint | null,
  at: FollowAt,
  course: Course,
): Promise<Done> {
  const ready = await engine.ready()
  if (!ready.ok) return ready
  if (engine.copy !== null) return joinCopy(engine, upstream, at, course)
  const look = await engine.refresh()
  if (look.state === 'foreign') return refused(look.because)
  if (look.state !== 'ready')
    return upstream === null ? failed('nothing to copy from') : copy(engine, upstream, at, course)
  if (at.systemId !== null && look.file !== null && look.file.systemId !== at.systemId) {
    const why = `${engine.home.dataDir} holds system ${look.file.systemId}, the group is ${at.systemId}`
    return refused(`${why}; this is another data set: move the directory away, and it is cloned anew`)
  }
  await engine.postmaster.adopt()
  if (engine.postmaster.pid !== null) {
    const is = await engine.eye.ask('select pg_is_in_recovery() as replica', course.leftMs(ASK_MS))
    if (is.ok && is.rows[0]?.replica === true) return repoint(engine, upstream, at, course)
    // Starting (57P03): it will answer; anything else that does not answer is the core's to fence.
    if (!is.ok) return failed(`follow: ${is.because}`)
    const stopped = await stop(engine, course)
    if (!stopped.ok) return stopped
  }
  return rejoin(engine, upstream, at, course)
}

/** A running replica: another upstream takes effect without a restart. */
async function repoint(engine: Engine, upstream: EngineEndpoint | null, at: FollowAt, course: Course): Promise<Done> {
  // What was received but never acknowledged can be more than the new primary has; such a receiver comes and goes.
  if (upstream !== null && (await isLeftBehind(engine, upstream, course))) {
    const stopped = await stop(engine, course)
    return stopped.ok ? rejoin(engine, upstream, at, course) : stopped
  }
  const same = sameEndpoint(engine.live.upstream, upstream) && (await exists(engine.home.passFile))
  if (same && (await streaming(engine, course))) return joined(engine, course)
  // The greeting comes first: without its slot the receiver would be turned away.
  const greeting = upstream === null ? null : await greetUpstream(engine, upstream, course)
  if (!same) {
    try {
      await writePassFile(upstream !== null, engine.home, engine.o)
      await engine.reload({ upstream, syncNames: CLOSED_NAMES })
    } catch (error) {
      return failed(`follow: cannot write the settings: ${text(error)}`)
    }
  }
  if (upstream === null || greeting === null) return here(engine, course)
  if (!greeting.ok) return failed(`upstream not reached, the replica keeps trying: ${greeting.because}`)
  const other = otherSystem(upstream, greeting.systemId, at)
  if (other !== null) return refused(other)
  if (await untilStreaming(engine, course)) return joined(engine, course)
  if (course.over) return course.late('follow: streaming')
  const nowMs = engine.o.clock.nowMs()
  if (nowMs - engine.comparedAtMs < COMPARE_EVERY_MS) return failed('the receiver does not stream yet')
  const stopped = await stop(engine, course)
  if (!stopped.ok) return stopped
  return rejoin(engine, upstream, at, course)
}

async function isLeftBehind(engine: Engine, upstream: EngineEndpoint, course: Course): Promise<boolean> {
  const seen = await engine.eye.ask(
    "select greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) - '0/0' as lsn",
    course.leftMs(ASK_MS),
  )
  const lsn = seen.ok ? Number(seen.rows[0]?.lsn ?? 0) : 0
  if (lsn <= 0) return false
  const timeline = await timelineOnDisk(engine.home.dataDir, lsn, engine.walSegmentBytes)
  if (timeline === null) return false
  return leftBehind({ upstream: await engine.source(upstream), timeline, lsn, signal: course.signal })
}

/** A complete but stopped copy. */
async function rejoin(engine: Engine, upstream: EngineEndpoint | null, at: FollowAt, course: Course): Promise<Done> {
  if (upstream === null) return startReplica(engine, null, course)
  const greeting = await greetUpstream(engine, upstream, course)
  if (!greeting.ok) {
    // A copy that was never writable cannot have diverged: it may run and so be a candidate.
    if (await wasReplica(engine)) return startReplica(engine, upstream, course)
    return failed(`a former primary is not started before its log was compared: ${greeting.because}`)
  }
  const other = otherSystem(upstream, greeting.systemId, at)
  if (other !== null) return refused(other)
  const ready = await engine.ready()
  if (!ready.ok) return ready
  engine.comparedAtMs = engine.o.clock.nowMs()
  const source = await engine.source(upstream)
  const { dataDir } = engine.home
  const decision = await rejoinDecision({ dataDir, binaries: ready.binaries, upstream: source, signal: course.signal })
  if (decision.kind === 'error') return { ok: false, because: decision.because, retryable: decision.retryable }
  if (decision.kind === 'follow') return startReplica(engine, upstream, course)
  engine.o.log.info({ member: engine.o.member, decision }, 'the log differs from the upstream')
  startCopy(engine, upstream, at.systemId, decision)
  return joinCopy(engine, upstream, at, course)
}

async function copy(engine: Engine, upstream: EngineEndpoint, at: FollowAt, course: Course): Promise<Done> {
  const greeting = await greetUpstream(engine, upstream, course)
  if (!greeting.ok) return failed(`nothing to copy from yet: ${greeting.because}`)
  const other = otherSystem(upstream, greeting.systemId, at)
  if (other !== null) return refused(other)
  startCopy(engine, upstream, at.systemId, null)
  return joinCopy(engine, upstream, at, course)
}

/** Waits for the copy under way; a copy from somebody else is given up first. */
async function joinCopy(engine: Engine, upstream: EngineEndpoint | null, at: FollowAt, course: Course): Promise<Done> {
  const work = engine.copy
  if (work === null) return follow(engine, upstream, at, course)
  if (!sameEndpoint(work.upstream, upstream)) {
    work.abort.abort(new Error('another upstream'))
    await work.result
    return follow(engine, upstream, at, course)
  }
  const stopWatching = work.watch(course.options.progress)
  const cancel = (): void => work.abort.abort(new Error('cancelled'))
  course.signal.addEventListener('abort', cancel, { once: true })
  if (course.signal.aborted) cancel()
  const end = course.end()
  try {
    const result = await Promise.race([work.result, end.over])
    if (result === null) {
      if (course.signal.aborted) await work.result
      return failed(`${work.step} goes on`)
    }
    if (!result.ok) return result
    return await startReplica(engine, upstream, course)
  } finally {
    end.forget()
    course.signal.removeEventListener('abort', cancel)
    stopWatching()
  }
}

async function startReplica(engine: Engine, upstream: EngineEndpoint | null, course: Course): Promise<Done> {
  const started = await startServer(engine, 'replica', { upstream, syncNames: CLOSED_NAMES }, course)
  if (!started.ok) return started
  engine.lastRole = 'replica'
  await dropSlots(engine)
  if (upstream === null) return here(engine, course)
  if (await untilStreaming(engine, course)) return joined(engine, course)
  return failed(`the replica runs but does not stream from ${shown(upstream)} yet`)
}

async function untilStreaming(engine: Engine, course: Course): Promise<boolean> {
  const endMs = engine.o.clock.nowMs() + STREAM_WAIT_MS
  while (engine.o.clock.nowMs() < endMs) {
    if (await streaming(engine, course)) return true
    if (!(await course.pause(STREAM_LOOK_MS))) return false
  }
  return false
}

/** From the upstream of the settings: a receiver of the former one may live for a moment after a change. */
async function streaming(engine: Engine, course: Course): Promise<boolean> {
  const at = engine.live.upstream
  if (at === null) return false
  const seen = await engine.eye.ask(
    `select status, sender_host as host, sender_port as port from (${RECEIVER}) w`,
    course.leftMs(ASK_MS),
  )
  const row = seen.ok ? seen.rows[0] : undefined
  return row?.status === 'streaming' && row.host === at.host && Number(row.port) === at.port
}

/** The upstream accepted our log as a part of its own: whatever promotion it went through, it is no fork. */
async function joined(engine: Engine, course: Course): Promise<Done> {
  await engine.noteUnopened(null)
  return here(engine, course)
}

async function here(engine: Engine, course: Course): Promise<Done> {
  const seen = await engine.eye.ask(
    `select greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) - '0/0' as lsn,
       (select received_tli from (${RECEIVER}) w) as timeline`,
    course.leftMs(ASK_MS),
  )
  const row = seen.ok ? seen.rows[0] : undefined
  if (row === undefined || row.lsn === null || row.timeline === null) return done(null)
  const position: Position = { timeline: Number(row.timeline), lsn: Number(row.lsn) }
  engine.lastPosition = position
  return done(position)
}

async function wasReplica(engine: Engine): Promise<boolean> {
  const control = await readControlFile(engine.home.dataDir)
  return control?.state === 'shut down in recovery' || control?.state === 'in archive recovery'
}

function otherSystem(upstream: EngineEndpoint, systemId: string, at: FollowAt): string | null {
  if (at.systemId === null || at.systemId === systemId) return null
  return `${shown(upstream)} has system identifier ${systemId}, the group is ${at.systemId}; it is not followed`
}

function sameEndpoint(a: EngineEndpoint | null, b: EngineEndpoint | null): boolean {
  return a === b || (a !== null && b !== null && a.host === b.host && a.port === b.port)
}
