/** The clean stop. What was written is sent to connected standbys first; the final position comes from the disk. */
import { stat } from 'node:fs/promises'
import type { Done } from '../contract.ts'
import { cleanEnd } from './control-file.ts'
import { type Course, done, type Engine, failed } from './engine.ts'

/** Sessions and connections go at once; a standby that is gone is waited for at most `wal_sender_timeout` (3 s). */
export async function stop(engine: Engine, course: Course): Promise<Done> {
  const { postmaster, home } = engine
  await postmaster.adopt()
  if (postmaster.pid !== null) {
    const existed = await stat(home.dataDir).then(
      () => true,
      () => false,
    )
    if (!existed) return failed(`stop: ${home.dataDir} is gone`)
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
