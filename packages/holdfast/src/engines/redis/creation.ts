/** Makes a new data set: an empty server started as primary, and the file that says whose it is. */
import { chmod, chown, mkdir } from 'node:fs/promises'
import type { Epoch, SyncSet } from '../../core/model.ts'
import { freshId } from '../../io/random.ts'
import type { Done } from '../contract.ts'
import { isClosed } from './config.ts'
import { type Course, type Engine, failed, refused } from './engine.ts'
import { markUnfinished, text, unmark, wipe, writeMemberFile } from './home.ts'
import { RESERVE_BYTES, restart, startPrimary } from './promotion.ts'

export async function create(engine: Engine, epoch: Epoch, sync: SyncSet, course: Course): Promise<Done> {
  const ready = await engine.ready()
  if (!ready.ok) return ready
  const look = await engine.refresh()
  if (look.state === 'foreign') return refused(look.because)
  // Asked twice: what exists is complete and goes on as it is.
  if (look.state === 'ready') return restart(engine, epoch, sync, course)
  try {
    return await make(engine, epoch, sync, course)
  } catch (error) {
    await engine.server.kill()
    return failed(`create: ${text(error)}`)
  } finally {
    await engine.refresh()
  }
}

async function make(engine: Engine, epoch: Epoch, sync: SyncSet, course: Course): Promise<Done> {
  const { home, o, server } = engine
  await server.kill(course.leftMs())
  await markUnfinished(home, o)
  await engine.forget()
  const kept = await wipe(home, o)
  if (kept !== null) return refused(kept)
  await mkdir(home.dataDir, { recursive: true, mode: 0o700 })
  await chmod(home.dataDir, 0o700)
  if (home.owner !== null) await chown(home.dataDir, home.owner.uid, home.owner.gid)
  const line = { timeline: epoch, base: 0 }
  await writeMemberFile(home, {
    ...{ v: 1, engine: 'redis', group: o.group, member: o.member, systemId: freshId(), diskId: freshId() },
    ...{
      madeBy: 'create',
      unopenedEpoch: isClosed(sync) ? epoch : null,
      wasPrimary: true,
      line,
      lines: {},
      reservedLsn: RESERVE_BYTES,
    },
    ...{ lastLsn: 0, logPending: false, bootId: engine.bootId, clean: null },
  })
  engine.notesPromotion(Promise.resolve())
  await unmark(home)
  await engine.refresh()
  course.options.progress?.('first start', 0, null)
  const started = await startPrimary(engine, line, sync, course)
  if (started.ok) return started
  // Nothing was ever written: the next attempt begins anew.
  await markUnfinished(home, o)
  return started
}
