/**
 * From replica to primary, and from a crashed primary back to a running one. The rule of confirmation is in effect
 * before the first write could be accepted: both happen in one transaction of the server's one thread. A promotion that
 * is cancelled or late is ended by killing the server (R18).
 */
import type { Epoch, SyncSet } from '../../core/model.ts'
import { ReplyError } from '../../io/resp.ts'
import type { Done } from '../contract.ts'
import { fsyncOf, isClosed, NOWHERE } from './config.ts'
import { applySync, ruleCommands } from './confirmations.ts'
import { type Course, done, type Engine, failed, refused } from './engine.ts'
import type { LogLine } from './home.ts'
import { ASK_INFO, parseInfo, type ServerInfo, shownReply } from './info.ts'
import { infoOf, startServer } from './start.ts'
import { greet } from './upstream.ts'

const ASK_MS = 2_000
const LEARN_MS = 300
/** A disk that does not take a line in this time holds writers up longer than another member would. */
const NOTE_MS = 5_000
/** Positions told before this much more was put aside on the disk need no write of their own. */
export const RESERVE_BYTES = 2 ** 30

export async function promote(engine: Engine, epoch: Epoch, sync: SyncSet, course: Course): Promise<Done> {
  await engine.server.adopt()
  if (engine.server.pid === null) return failed('promote: the engine does not run')
  const info = await infoOf(engine, course)
  if (typeof info === 'string') return failed(`promote: ${info}`)
  if (info.role === 'primary') return applySync(engine, sync, course)
  const { file } = engine
  const from = file?.lines[info.replid]
  if (file === null || from === undefined) return failed('promote: nobody knows where in history this copy is')
  if (info.copying) return failed('promote: a copy is being loaded')
  const line: LogLine = { timeline: epoch, base: from.base }
  const noted = engine.note({
    unopenedEpoch: isClosed(sync) ? epoch : null,
    wasPrimary: true,
    line,
    reservedLsn: line.base + info.offset + RESERVE_BYTES,
    lastLsn: line.base + info.offset,
    // A copy that was received a moment ago may not be in the log yet.
    ...(info.logOn && !info.logBusy ? {} : { logPending: true }),
  })
  // Behind the gate nothing is accepted, so the disk may follow: until `applySync` opens, a lost note costs nothing.
  engine.notesPromotion(noted)
  if (isClosed(sync)) void endUnlessNoted(engine, noted, course)
  else {
    const problem = await course.written(noted)
    if (problem !== null) return failed(`promote: cannot write what is about to be: ${problem}`)
  }
  engine.endKnock()
  if (course.over) return course.late('promote')
  const result = await openAs(engine, line, sync, course)
  // Once sent it may still succeed, and nobody would hold the lease for it.
  if (!result.ok) await engine.server.kill()
  return result
}

/** Without the note the gate never opens, so this member must not go on leading: it would hold the lease for nobody. */
async function endUnlessNoted(engine: Engine, noted: Promise<void>, course: Course): Promise<void> {
  const problem = await course.written(noted, NOTE_MS)
  // Whoever cancelled the promotion ends the server himself, and may have started another one meanwhile.
  if (problem === null || course.signal.aborted || engine.promotionNoted !== noted) return
  engine.o.log.error(
    { member: engine.o.member, because: problem },
    'the promotion cannot be noted: the server is ended',
  )
  await engine.server.kill()
}

async function openAs(engine: Engine, line: LogLine, sync: SyncSet, course: Course): Promise<Done> {
  const title = { systemId: engine.file?.systemId ?? '', line, sync }
  const commands = ruleCommands(engine, title, [['REPLICAOF', 'NO', 'ONE']])
  const answer = await engine.hand.ask(commands, course.leftMs(ASK_MS))
  if (!answer.ok) return failed(`promote: ${answer.because}`)
  const results = answer.replies.at(-2)
  const wrong = Array.isArray(results) ? results.find((r) => r instanceof ReplyError) : results
  if (wrong !== undefined) return failed(`promote: ${shownReply(wrong)}`)
  const info = parseInfo(answer.replies.at(-1))
  if (info === null || info.role !== 'primary') return failed('promote: the server did not become a primary')
  if (course.signal.aborted) return course.late('promote')
  return opened(engine, line, info)
}

function opened(engine: Engine, line: LogLine, info: ServerInfo): Done {
  engine.lastRole = 'primary'
  engine.lastPosition = { timeline: line.timeline, lsn: line.base + info.offset }
  // Nothing waits for it: while the server runs it tells its line itself.
  engine.noteSoon({ lines: engine.linesWith(info.replid, line) })
  return done(engine.lastPosition)
}

export async function restart(engine: Engine, epoch: Epoch, sync: SyncSet, course: Course): Promise<Done> {
  const look = await engine.refresh()
  const { file } = look
  if (look.state !== 'ready' || file === null) {
    return refused(look.because || `restart: ${engine.home.dataDir} is empty`)
  }
  await engine.server.adopt()
  if (engine.server.pid !== null) return promote(engine, epoch, sync, course)
  if (file.logPending || (file.clean === null && mayLack(engine))) {
    return failed('restart: after this crash the log on the disk may lack what was acknowledged last')
  }
  // Without a clean end nobody knows the last offset: positions go on above everything that was ever told.
  const base = file.clean?.lsn ?? file.reservedLsn
  const line: LogLine = { timeline: file.line.timeline, base }
  // Whoever was never opened is still not; it is this leadership now that did not open it.
  const neverOpened = isClosed(sync) && file.unopenedEpoch !== null
  const change = isClosed(sync) ? (neverOpened ? { unopenedEpoch: epoch } : {}) : { unopenedEpoch: null }
  const noted = engine.note({ ...change, wasPrimary: true, line, reservedLsn: base + RESERVE_BYTES, lastLsn: base })
  const problem = await course.written(noted)
  if (problem !== null) return failed(`restart: cannot write what is about to be: ${problem}`)
  // Whatever an earlier promotion could not write, this leadership has.
  engine.notesPromotion(noted)
  return startPrimary(engine, line, sync, course)
}

/** Starts the server on its log as the primary of `line`. */
export async function startPrimary(engine: Engine, line: LogLine, sync: SyncSet, course: Course): Promise<Done> {
  const title = { systemId: engine.file?.systemId ?? '', line, sync }
  const started = await startServer(engine, { role: 'primary', load: 'log', title }, course)
  const info = started.ok ? await infoOf(engine, course) : null
  if (info !== null && typeof info !== 'string' && !course.signal.aborted) return opened(engine, line, info)
  await engine.server.kill()
  if (!started.ok) return started
  return typeof info === 'string' ? failed(info) : course.late('start')
}

/**
 * The disk may hold less than was acknowledged: the log was being written anew, or Redis was free to answer before it
 * wrote. With `everysec` it is, while an earlier fsync goes on (flushAppendOnlyFile in aof.c postpones for up to 2 s);
 * an asynchronous group has accepted that for a killed process, but not for a host that went down.
 */
export function mayLack(engine: Engine): boolean {
  const { file, o, bootId } = engine
  if (file === null || file.logPending) return true
  return fsyncOf(o) !== 'always' && (o.confirmations > 0 || file.bootId !== bootId)
}

/** The source was started again a moment ago, and no look has asked it yet which history this is. */
async function learnLine(engine: Engine, { replid, linkUp, upstream }: ServerInfo, course: Course): Promise<void> {
  if (!linkUp || upstream === null || engine.file?.lines[replid] !== undefined) return
  const at = engine.o.members.find((m) => m.host === upstream.host && m.port === upstream.port)
  const greeting = at === undefined ? null : await greet(engine, at, course.leftMs(LEARN_MS))
  if (greeting?.ok !== true || greeting.info.role !== 'primary' || greeting.info.replid !== replid) return
  if (greeting.title.systemId !== engine.file?.systemId) return
  await engine.note({ lines: engine.linesWith(replid, greeting.title.line) }).catch(() => undefined)
}

/** Stops receiving and tells what is held (R13). The server takes it as one step: nothing more is applied after it. */
export async function freeze(engine: Engine, course: Course): Promise<Done> {
  await engine.server.adopt()
  if (engine.server.pid === null) return failed('freeze: the engine does not run')
  engine.endKnock()
  const before = await infoOf(engine, course)
  if (typeof before === 'string') return failed(`freeze: ${before}`)
  if (before.role !== 'replica') return refused('freeze: the engine is a primary')
  await learnLine(engine, before, course)
  const away = ['REPLICAOF', NOWHERE.host, String(NOWHERE.port)]
  const answer = await engine.hand.must([away, ASK_INFO], course.leftMs(ASK_MS))
  const info = answer.ok ? parseInfo(answer.replies[1]) : null
  if (info === null) return failed(`freeze: ${answer.ok ? 'no position' : answer.because}`)
  const line = engine.file?.lines[info.replid]
  if (line === undefined) return failed('freeze: nobody knows where in history this copy is')
  const position = { timeline: line.timeline, lsn: line.base + info.offset }
  engine.lastPosition = position
  return done(position)
}
