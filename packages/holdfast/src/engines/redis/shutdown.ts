/**
 * The clean stop. Writes are refused first, then every replica that can confirms the log's end, then the server ends.
 * A small data set is saved as a snapshot, which knows where in history it is: its member can go on without a copy.
 */
import type { Done } from '../contract.ts'
import { CLOSED, NOWHERE } from './config.ts'
import { type Course, done, type Engine, failed } from './engine.ts'
import { exists, text } from './home.ts'
import { ASK_INFO, ASK_TITLE, infoAndTitle, parseInfo } from './info.ts'

const ASK_MS = 2_000
/** A replica that does not confirm within this time is not waited for. */
const CONFIRM_MS = 1_500
/** Saving takes about 10 ms for each MiB on a slow disk, and on a primary writes stand still meanwhile. */
const SAVE_PRIMARY_BYTES_MAX = 32 * 1024 * 1024
const SAVE_REPLICA_BYTES_MAX = 1024 * 1024 * 1024

export async function stop(engine: Engine, course: Course): Promise<Done> {
  const { server, home } = engine
  await server.adopt()
  engine.endKnock()
  if (server.pid === null) {
    engine.eye.drop()
    engine.hand.drop()
    const leftovers = await server.kill(course.leftMs())
    if (leftovers.alive > 0) return failed(`stop: ${leftovers.alive} processes do not end`)
    const clean = (await engine.refresh()).file?.clean ?? null
    if (clean !== null) return done({ timeline: clean.timeline, lsn: clean.lsn })
    return engine.lastRole === 'primary' || engine.file?.wasPrimary === true
      ? failed('stop: the server did not shut down cleanly')
      : done(engine.lastPosition)
  }
  if (!(await exists(home.dataDir))) return failed(`stop: ${home.dataDir} is gone`)
  return endServer(engine, course)
}

/**
 * The same for a hand-over, without an end: the server becomes a replica without a source and keeps its place in
 * history, so it goes on by a partial copy however large it is. What it wrote last still flows to its replicas.
 */
export async function demote(engine: Engine, course: Course): Promise<Done> {
  await engine.server.adopt()
  if (engine.server.pid === null) return stop(engine, course)
  const before = infoAndTitle(await engine.hand.ask([ASK_INFO, ASK_TITLE], course.leftMs(ASK_MS)))
  if (!before.ok) return failed(`demote: ${before.because}`)
  const { info, title } = before
  if (info.role === 'primary') await engine.hand.ask(REFUSING, course.leftMs(ASK_MS))
  const closing = info.role === 'primary' ? [...REFUSING, ...confirmed(info.replicas.length, course)] : []
  const away = ['REPLICAOF', NOWHERE.host, String(NOWHERE.port)]
  const cut = ['CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes']
  const pubsub = ['CLIENT', 'KILL', 'TYPE', 'pubsub']
  // The server takes them in order: while it waits for confirmations the rest waits, too.
  const commands = [...closing, ['MULTI'], away, cut, pubsub, ['EXEC'], ASK_INFO]
  const answer = await engine.hand.ask(commands, course.leftMs(CONFIRM_MS + ASK_MS))
  if (course.over) return course.late('demote')
  const after = answer.ok ? parseInfo(answer.replies.at(-1)) : null
  if (after === null || after.role !== 'replica') return failed(`demote: ${answer.ok ? 'refused' : answer.because}`)
  // Asked again: what was noted the first time may still be on its way to the disk.
  if (info.role === 'replica') await engine.settled
  const line = info.role === 'primary' ? title?.line : engine.file?.lines[after.replid]
  if (line === undefined) return failed('demote: the position is not known')
  const position = { timeline: line.timeline, lsn: line.base + after.offset }
  engine.lastRole = 'replica'
  engine.lastPosition = position
  engine.noteSoon({ line, lines: engine.linesWith(after.replid, line), lastLsn: position.lsn })
  return done(position)
}

async function endServer(engine: Engine, course: Course): Promise<Done> {
  const { server } = engine
  const before = infoAndTitle(await engine.hand.ask([ASK_INFO, ASK_TITLE], course.leftMs(ASK_MS)))
  if (!before.ok) return failed(`stop: ${before.because}`)
  // Nothing may expire or be evicted behind the last confirmation.
  const pause = ['CLIENT', 'PAUSE', '60000', 'WRITE']
  if (before.info.role === 'primary') {
    await engine.hand.ask(REFUSING, course.leftMs(ASK_MS))
    const commands = [...REFUSING, ...confirmed(before.info.replicas.length, course), pause]
    await engine.hand.ask(commands, course.leftMs(CONFIRM_MS + ASK_MS))
  }
  // What is confirmed from now on would not be in the snapshot.
  else await engine.hand.ask([['REPLICAOF', NOWHERE.host, String(NOWHERE.port)]], course.leftMs(ASK_MS))
  const seen = infoAndTitle(await engine.hand.ask([ASK_INFO, ASK_TITLE], course.leftMs(ASK_MS)))
  if (!seen.ok) return failed(`stop: ${seen.because}`)
  const { info } = seen
  const line = info.role === 'primary' ? (seen.title?.line ?? null) : (engine.file?.lines[info.replid] ?? null)
  const mostBytes = info.role === 'primary' ? SAVE_PRIMARY_BYTES_MAX : SAVE_REPLICA_BYTES_MAX
  const save = line !== null && info.memoryBytes <= mostBytes && !info.copying
  server.expectEnd()
  const saved = save && ((await shutdown(engine, ['SAVE', 'NOW'], course)) || (await saveFirst(engine, course)))
  if (engine.server.pid !== null && !(await shutdown(engine, ['NOSAVE', 'NOW', 'FORCE'], course))) {
    server.expectLife()
    return course.late('stop')
  }
  engine.eye.drop()
  engine.hand.drop()
  const leftovers = await server.kill(course.leftMs())
  if (leftovers.alive > 0) return failed(`stop: ${leftovers.alive} processes do not end`)
  if (line === null) return info.role === 'primary' ? failed('stop: the position is not known') : done(null)
  const position = { timeline: line.timeline, lsn: line.base + info.offset }
  engine.lastPosition = position
  engine.lastRedoBytes = 0
  try {
    const end = { ...position, replid: info.replid, offset: info.offset, saved }
    // A log that is still being written anew is not what was in memory: without a snapshot this was a crash.
    const clean = saved || engine.file?.logPending === false ? end : null
    await engine.note({ clean, line, lines: engine.linesWith(info.replid, line), lastLsn: position.lsn })
  } catch (error) {
    return failed(`stop: the end cannot be noted: ${text(error)}`)
  }
  return done(position)
}

/**
 * Nothing is accepted any more. Said twice, each time in a question of its own: a replica that went on by a partial
 * copy answers over a socket without TCP_NODELAY (Redis 7.0, `replicationResurrectCachedMaster`), so its confirmation
 * waits up to 40 ms behind one that is still under way, unless something came from the primary in between. A stop that
 * failed may have left its pause behind, and a word that is replicated would wait for its end.
 */
const REFUSING: readonly (readonly string[])[] = [
  ['CONFIG', 'SET', 'min-replicas-to-write', String(CLOSED)],
  ['CLIENT', 'UNPAUSE'],
  ['PUBLISH', 'holdfast:end', ''],
]

/**
 * Who can confirm the end has confirmed it. `WAIT` waits for what its own client sent last, from Redis 7.2 on only if
 * that was replicated: a word to nobody is.
 */
function confirmed(replicas: number, course: Course): readonly (readonly string[])[] {
  return replicas > 0 ? [['WAIT', String(replicas), String(Math.floor(course.leftMs(CONFIRM_MS)))]] : []
}

/** A server that is writing its first log refuses to save at its end, but not before. */
async function saveFirst(engine: Engine, course: Course): Promise<boolean> {
  const answer = await engine.hand.must([['SAVE']], course.leftMs())
  return answer.ok
}

/** True when the main process is gone. A save that fails (a full disk) leaves it running. */
async function shutdown(engine: Engine, how: readonly string[], course: Course): Promise<boolean> {
  const asked = engine.hand.ask([['SHUTDOWN', ...how]], course.leftMs())
  const gone = engine.server.gone(course.leftMs(), course.signal)
  // An answer is an error: a server that ends says nothing.
  const refused = asked.then((a) => a.ok)
  return Promise.race([gone, refused.then((said) => (said ? false : gone))])
}
