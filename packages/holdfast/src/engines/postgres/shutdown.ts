/** The clean stop. What was written is sent to connected standbys first; the final position comes from the disk. */
import { stat } from 'node:fs/promises'
import type { Done } from '../contract.ts'
import { cleanEnd } from './control-file.ts'
import { type Course, done, type Engine, failed } from './engine.ts'

/** What a stop may cost before it begins. */
const LETTING_GO_MS = 150

/**
 * Sessions and connections go at once. A server that stops waits until each connected standby has everything; for one
 * that is frozen or cut off without a word that takes until `wal_sender_timeout` (3 s), while writers wait. So those
 * who have been silent are let go first.
 */
export async function stop(engine: Engine, course: Course): Promise<Done> {
  const { postmaster, home } = engine
  await postmaster.adopt()
  if (postmaster.pid !== null) {
    const existed = await stat(home.dataDir).then(
      () => true,
      () => false,
    )
    if (!existed) return failed(`stop: ${home.dataDir} is gone`)
    await letGoSilent(engine)
    postmaster.expectEnd()
    if (!postmaster.signal('SIGINT')) return failed('stop: the main process cannot be signalled')
    if (!(await postmaster.gone(course.leftMs(), course.signal))) {
      postmaster.expectLife()
      return course.late('stop')
    }
  }
  engine.eye.drop()
  engine.hand.drop()
  const leftovers = await postmaster.kill(course.leftMs())
  if (leftovers.alive > 0) return failed(`stop: ${leftovers.alive} processes do not end`)
  const final = await cleanEnd(home.dataDir)
  if (final !== null) {
    engine.lastPosition = final
    engine.lastRedoBytes = 0
    return done(final)
  }
  return engine.lastRole === 'primary'
    ? failed('stop: the server did not shut down cleanly')
    : done(engine.lastPosition)
}

async function letGoSilent(engine: Engine): Promise<void> {
  const silent = engine.ears.silent()
  if (silent.length === 0) return
  const { log, member } = engine.o
  log.warn({ member, standbys: silent.length }, 'the stop does not wait for standbys that are silent')
  const which = silent.map((pid) => String(Math.trunc(pid))).join(', ')
  await engine.hand.ask(
    `select pg_terminate_backend(pid) from pg_stat_replication where pid in (${which})`,
    LETTING_GO_MS,
  )
}
