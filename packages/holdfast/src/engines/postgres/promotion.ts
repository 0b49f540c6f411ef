/**
 * From replica to primary, and from a crashed primary back to a running one. Both end when a row was committed on this
 * disk; what standbys must confirm is in effect before (the server's default on a replica is "everything waits").
 * A promotion that is cancelled or late is ended by killing the server: it cannot be called back any other way (R18).
 */
import type { Epoch, SyncSet } from '../../core/model.ts'
import { worksIn } from '../../io/process-tree.ts'
import type { Done } from '../contract.ts'
import { syncNamesOf, writePassFile } from './config.ts'
import { type Course, done, type Engine, failed, refused } from './engine.ts'
import { text } from './home.ts'
import { HEARTBEAT, timelineOnDisk } from './probe.ts'
import { startServer } from './start.ts'
import { applySync } from './sync-names.ts'
import { makeSlots } from './upstream.ts'

/** Between two attempts to write; each costs one round trip of well below a millisecond. */
const TRY_WRITE_MS = 4
const ASK_MS = 2_000
const READ_ONLY = '25006'
const RECEIVER_GONE_MS = 4

export async function promote(engine: Engine, epoch: Epoch, sync: SyncSet, course: Course): Promise<Done> {
  await engine.postmaster.adopt()
  if (engine.postmaster.pid === null) return failed('promote: the engine does not run')
  const is = await engine.eye.ask(
    "select pg_is_in_recovery() as replica, current_setting('synchronous_standby_names') as names",
    course.leftMs(ASK_MS),
  )
  if (!is.ok) return failed(`promote: ${is.because}`)
  if (is.rows[0]?.replica !== true) return asPrimary(engine, sync, course)
  try {
    // With a set that lets acknowledgements through, the log is no fork without writes from the first moment on.
    const live = { upstream: null, syncNames: syncNamesOf(sync) }
    await engine.noteUnopened(isClosed(sync) ? epoch : null)
    // A frozen member mostly was told before; the rule must be what the server itself says, whoever changed it since.
    if (is.rows[0]?.names !== live.syncNames || !engine.wasTold(live)) await engine.reload(live)
  } catch (error) {
    return failed(`promote: cannot write the settings: ${text(error)}`)
  }
  if (course.over) return course.late('promote')
  const sent = await engine.eye.ask('select pg_promote(false) as sent', course.leftMs(ASK_MS))
  const result = sent.ok ? await openForWrites(engine, course) : failed(`promote: ${sent.because}`)
  if (!result.ok) {
    // Once sent it may still succeed, and nobody would hold the lease for it.
    await engine.postmaster.kill()
  }
  return result
}

export async function restart(engine: Engine, epoch: Epoch, sync: SyncSet, course: Course): Promise<Done> {
  const look = await engine.refresh()
  if (look.state !== 'ready') return refused(look.because || `restart: ${engine.home.dataDir} is empty`)
  await engine.postmaster.adopt()
  if (engine.postmaster.pid !== null) return promote(engine, epoch, sync, course)
  if (!isClosed(sync)) await engine.noteUnopened(null)
  const started = await startServer(engine, 'primary', { upstream: null, syncNames: syncNamesOf(sync) }, course)
  const result = started.ok ? await openForWrites(engine, course) : started
  if (!result.ok) await engine.postmaster.kill()
  return result
}

/** Waits until a row is committed on this disk, then tells where the log ends. */
export async function openForWrites(engine: Engine, course: Course): Promise<Done> {
  for (;;) {
    const wrote = await engine.hand.ask(HEARTBEAT, course.leftMs(ASK_MS))
    if (wrote.ok) break
    if (engine.postmaster.pid === null) return failed('the server ended before it was writable')
    const wait = wrote.code === READ_ONLY ? 'still read-only' : wrote.because
    if (!(await course.pause(TRY_WRITE_MS))) return course.late(`open for writes (${wait})`)
  }
  if (course.signal.aborted) return course.late('open for writes')
  const at = await engine.hand.ask(
    `select pg_current_wal_flush_lsn() - '0/0' as lsn,
       substr(pg_walfile_name(pg_current_wal_flush_lsn()), 1, 8) as timeline_hex`,
    course.leftMs(ASK_MS),
  )
  const row = at.ok ? at.rows[0] : undefined
  if (row === undefined) return failed('the server does not tell its position')
  const position = { timeline: Number.parseInt(String(row.timeline_hex), 16), lsn: Number(row.lsn) }
  engine.lastPosition = position
  engine.lastRole = 'primary'
  void makeSlots(engine)
  return done(position)
}

async function asPrimary(engine: Engine, sync: SyncSet, course: Course): Promise<Done> {
  const result = await openForWrites(engine, course)
  if (!result.ok) return result
  return applySync(engine, sync, course)
}

function isClosed(sync: SyncSet): boolean {
  return sync.members.length === 0 && sync.need > 0
}

/**
 * Stops receiving and tells what is durable (R13). The password file goes first: from then on no receiver can open a
 * new connection, whatever setting the startup process still holds; then the running one ends by the new setting.
 */
export async function freeze(engine: Engine, course: Course): Promise<Done> {
  await engine.postmaster.adopt()
  if (engine.postmaster.pid === null) return failed('freeze: the engine does not run')
  const is = await engine.eye.ask('select pg_is_in_recovery() as replica', course.leftMs(ASK_MS))
  if (!is.ok) return failed(`freeze: ${is.because}`)
  if (is.rows[0]?.replica !== true) return refused('freeze: the engine is a primary')
  try {
    await writePassFile(false, engine.home, engine.o)
    await engine.reload({ ...engine.live, upstream: null })
  } catch (error) {
    return failed(`freeze: cannot write the settings: ${text(error)}`)
  }
  let goneOnce = false
  for (;;) {
    const seen = await engine.eye.ask(
      `select greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) - '0/0' as lsn,
         (select pid from pg_stat_activity where backend_type = 'walreceiver') as receiver`,
      course.leftMs(ASK_MS),
    )
    const row = seen.ok ? seen.rows[0] : undefined
    if (row !== undefined && row.receiver === null) {
      // Asked again with nobody receiving: the receiver flushes what it holds while it ends.
      if (goneOnce) return frozen(engine, Number(row.lsn))
      goneOnce = true
      continue
    }
    if (row !== undefined) endReceiver(engine, Number(row.receiver))
    if (!(await course.pause(RECEIVER_GONE_MS))) return course.late('freeze')
  }
}

/**
 * The startup process ends it when it reads the new setting, but while it cannot find its next record it does not
 * read: a receiver that waits for a place to start at would stay. On SIGTERM it flushes what it has and ends.
 */
function endReceiver(engine: Engine, pid: number): void {
  if (!worksIn(pid, engine.home.dataDir)) return
  try {
    process.kill(pid, 'SIGTERM')
  } catch {
    // It went by itself.
  }
}

async function frozen(engine: Engine, lsn: number): Promise<Done> {
  const timeline = await timelineOnDisk(engine.home.dataDir, lsn, engine.walSegmentBytes)
  if (timeline === null) return failed('freeze: no log file holds the last position')
  return done({ timeline, lsn })
}
