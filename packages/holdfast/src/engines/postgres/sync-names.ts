/**
 * Puts a sync set in effect and proves it (R14): when `applySync` returns, no commit is acknowledged by the old rule
 * any more. Where the rule lives in the server (src/backend/replication/syncrep.c, 15 to 18):
 *
 * - A backend waits if `sync_standbys_defined` is set in shared memory. Only the checkpointer sets it, when it handles
 *   SIGHUP, which can be late during a fast checkpoint. So the step from "nobody" to "somebody" first names a standby
 *   that does not exist and watches a commit of ours wait: then the flag is set, and it stays set.
 * - Waiting commits are released by each walsender, by its own copy of the setting. Its copy shows as
 *   `sync_priority` in pg_stat_replication (shared memory, written by the walsender itself): 0 not in the list, 1 in
 *   an ANY list, its place in a FIRST list. A changed list is visible there. A grown number is not, so it first
 *   becomes `FIRST n (gate, ...)`, which is at least as strict as either rule and shows as priorities above 1.
 * - New walsenders take the postmaster's copy, and the postmaster reads the file before it tells its children: any
 *   visible change in one of them proves it; with no standby connected a fresh session shows it.
 * - A walsender that takes a new list releases nobody; only the next reply of its standby does. When every client
 *   waits, nothing is written, so the standby has nothing to reply to until its status is due, a second later. A small
 *   local commit of ours is written once the new list is proved, and the reply to it releases them.
 */
import type { SyncSet } from '../../core/model.ts'
import type { Done } from '../contract.ts'
import { CLOSED_NAMES, parseSyncNames, syncNamesOf } from './config.ts'
import { askOnce, Line, localTarget } from './connection.ts'
import { type Course, done, type Engine, failed } from './engine.ts'
import { HEARTBEAT } from './probe.ts'

const LOOK_MS = 2
const ASK_MS = 2_000
/** As long as the look's own write may take, so that neither cuts the other's connection first. */
const RELEASE_MS = 3_000
/**
 * A commit that waits for standbys without touching a row that anybody needs. A transaction number alone is not enough:
 * a commit waits only if its transaction wrote to the log before (`wrote_xlog` in RecordTransactionCommit).
 */
const EMPTY_COMMIT = "set synchronous_commit = on; select pg_logical_emit_message(true, 'holdfast', '')"

export async function applySync(engine: Engine, sync: SyncSet, course: Course): Promise<Done> {
  const now = await engine.eye.ask(
    "select pg_is_in_recovery() as replica, current_setting('synchronous_standby_names') as names",
    course.leftMs(ASK_MS),
  )
  if (!now.ok) return failed(`sync set: ${now.because}`)
  if (now.rows[0]?.replica === true) return failed('sync set: the engine is not a primary')
  const before = parseSyncNames(String(now.rows[0]?.names)) ?? { members: [], need: 0 }
  const names = syncNamesOf(sync)
  const closed = sync.members.length === 0 && sync.need > 0
  // Before anything can be acknowledged under it: from then on this log is no longer a fork without writes.
  if (!closed) await engine.noteUnopened(null)
  if (before.need === 0 && sync.need > 0 && !(await gate(engine, course))) return course.late('sync set: gate')
  const stays = sync.members.some((m) => before.members.includes(m))
  if (stays && before.need > 0 && sync.need > before.need) {
    await engine.reload({ ...engine.live, syncNames: syncNamesOf(sync, 'FIRST') })
    if (!(await sendersAgree(engine, { before, sync, strict: true }, course)))
      return course.late('sync set: strict form')
  }
  await engine.reload({ ...engine.live, syncNames: names })
  const change = { before, sync, strict: false }
  const proved = sync.need === 0 ? await commitPasses(engine, course) : await sendersAgree(engine, change, course)
  if (!proved) return course.late('sync set')
  // One that fails costs those who wait a second at most, so nobody waits for it.
  if (sync.need > 0 && !closed) void engine.hand.ask(HEARTBEAT, RELEASE_MS)
  // Flushed, not inserted: whatever was acknowledged has been flushed, and standbys can be expected to reach it.
  const end = await engine.eye.ask("select pg_current_wal_flush_lsn() - '0/0' as lsn", course.leftMs(ASK_MS))
  if (!end.ok) return failed(`sync set: ${end.because}`)
  const lsn = Number(end.rows[0]?.lsn)
  const position = engine.lastPosition === null ? null : { ...engine.lastPosition, lsn }
  return position === null ? { ok: true, position: null, lsn } : done(position)
}

/** Nobody can confirm; proved by a commit that waits. */
async function gate(engine: Engine, course: Course): Promise<boolean> {
  await engine.reload({ ...engine.live, syncNames: CLOSED_NAMES })
  const line = new Line(localTarget(engine.home, engine.o), 'holdfast-proof')
  try {
    const self = await line.ask('select pg_backend_pid() as pid', course.leftMs(ASK_MS))
    if (!self.ok) return false
    const pid = Number(self.rows[0]?.pid)
    while (!course.over) {
      let ended = false
      void line.ask(EMPTY_COMMIT, course.leftMs()).then(() => {
        ended = true
      })
      while (!ended && !course.over) {
        const sql = `select wait_event as event from pg_stat_activity where pid = ${pid}`
        const seen = await engine.eye.ask(sql, course.leftMs(ASK_MS))
        if (seen.ok && seen.rows[0]?.event === 'SyncRep') {
          await engine.eye.ask(`select pg_cancel_backend(${pid})`, course.leftMs(ASK_MS))
          return true
        }
        await course.pause(LOOK_MS)
      }
    }
    return false
  } finally {
    line.close()
  }
}

/** A commit that would wait if anybody were asked for passes: the checkpointer has read the setting. */
async function commitPasses(engine: Engine, course: Course): Promise<boolean> {
  const answer = await askOnce(localTarget(engine.home, engine.o), EMPTY_COMMIT, course.leftMs())
  return answer.ok
}

interface Change {
  readonly before: SyncSet
  readonly sync: SyncSet
  /** The form `FIRST n (gate, ...)` is being put in effect. */
  readonly strict: boolean
}

/** Every connected standby shows the new rule: its place in the set, or 0 when it is not in it. */
async function sendersAgree(engine: Engine, change: Change, course: Course): Promise<boolean> {
  const { before, sync, strict } = change
  while (!course.over) {
    const seen = await engine.eye.ask(
      `select application_name as name, sync_priority as priority from pg_stat_replication
        where flush_lsn is not null and state in ('streaming', 'catchup')`,
      course.leftMs(ASK_MS),
    )
    if (seen.ok) {
      const agree = seen.rows.every((r) => {
        const have = Number(r.priority)
        if (!sync.members.includes(String(r.name))) return have === 0
        return strict ? have >= 2 : have === 1
      })
      const witness = seen.rows.some((r) => {
        const name = String(r.name)
        return sync.members.includes(name) ? strict || !before.members.includes(name) : before.members.includes(name)
      })
      if (agree) return witness || freshSessionShows(engine, course)
    }
    await course.pause(LOOK_MS)
  }
  return false
}

async function freshSessionShows(engine: Engine, course: Course): Promise<boolean> {
  const sql = "select current_setting('synchronous_standby_names') as names"
  while (!course.over) {
    const seen = await askOnce(localTarget(engine.home, engine.o), sql, course.leftMs(ASK_MS))
    if (seen.ok && seen.rows[0]?.names === engine.live.syncNames) return true
    await course.pause(LOOK_MS)
  }
  return false
}
