/** Starts the server as a primary or as a replica and waits until it answers; says why when it does not. */
import { lstat, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Done } from '../contract.ts'
import { type LiveSettings, writeConfig } from './config.ts'
import { readControlFile } from './control-file.ts'
import { type Course, done, type Engine, failed, refused } from './engine.ts'
import { tailOf, text, writeOwned } from './home.ts'

/** Between two attempts to connect to a starting server; an attempt that is refused costs about 1 ms. */
const RETRY_MS = 4
const ASK_MS = 2_000
const LOG_TAIL_BYTES = 16 * 1024

export async function startServer(
  engine: Engine,
  kind: 'primary' | 'replica',
  live: LiveSettings,
  course: Course,
): Promise<Done> {
  const ready = await engine.ready()
  if (!ready.ok) return ready
  const { home, postmaster } = engine
  const mismatch = await otherData(engine)
  if (mismatch !== null) return refused(mismatch)
  const leftovers = await postmaster.kill(course.leftMs())
  if (leftovers.alive > 0) return failed(`${leftovers.alive} processes of the former server do not end`)
  try {
    await placeSignals(engine, kind)
    engine.live = live
    await writeConfig(live, home, engine.o)
  } catch (error) {
    return failed(`cannot write the settings: ${text(error)}${await spaceHint(error)}`)
  }
  const logFrom = await lstat(home.logFile).then(
    (s) => s.size,
    () => 0,
  )
  engine.eye.drop()
  engine.hand.drop()
  // The signal file settles what it will be, also while it does not answer yet.
  engine.lastRole = kind
  const problem = await postmaster.start(ready.binaries, () => !course.over)
  if (problem !== null) return failed(problem)
  // An end at the start is this call's failure, told with its cause; only a later one is a surprise.
  postmaster.expectEnd()
  try {
    return await untilAnswering(engine, course, logFrom)
  } finally {
    // Who cancelled this call ends the server himself.
    if (!course.signal.aborted) postmaster.expectLife()
  }
}

/** What keeps this directory from being started as what its member file says it is. */
async function otherData(engine: Engine): Promise<string | null> {
  const { file } = engine.look
  if (file === null) return null
  const control = await readControlFile(engine.home.dataDir)
  if (control === null) return `${engine.home.dataDir} has no readable control file; restore it or remove the directory`
  if (control.systemId === file.systemId) return null
  const why = `the data has system identifier ${control.systemId}, but was made with ${file.systemId}`
  return `${why}; somebody replaced it: move ${engine.home.dataDir} away, and it is cloned anew`
}

async function placeSignals(engine: Engine, kind: 'primary' | 'replica'): Promise<void> {
  const at = (name: string): string => join(engine.home.dataDir, name)
  await rm(at('recovery.signal'), { force: true })
  if (kind === 'primary') await rm(at('standby.signal'), { force: true })
  else await writeOwned(engine.home, at('standby.signal'), '', true)
}

async function untilAnswering(engine: Engine, course: Course, logFrom: number): Promise<Done> {
  for (;;) {
    const answer = await engine.hand.ask('select 1', course.leftMs(ASK_MS))
    if (engine.postmaster.pid === null) return failed(await whyEnded(engine, logFrom))
    if (answer.ok) return done(null)
    // A wrong password does not get better with time.
    if (answer.code === '28P01') return refused(`the superuser's password is refused: ${answer.because}`)
    if (!(await course.pause(RETRY_MS))) return course.late(`start (${answer.because})`)
  }
}

/** The server's own last words, in a form that names the next step where we know one. */
async function whyEnded(engine: Engine, logFrom: number): Promise<string> {
  const log = await tailOf(engine.home, logFrom, LOG_TAIL_BYTES)
  const { host, port } = engine.o
  if (/could not bind .*: Address already in use/i.test(log)) {
    return `port ${port} on ${host} is in use by another program; end it or give this member another port`
  }
  if (/No space left on device/i.test(log)) {
    return `the disk of ${engine.home.dataDir} is full; free space, then it is tried again`
  }
  const words = log
    .split('\n')
    .filter((l) => /(FATAL|PANIC|ERROR|DETAIL|invalid value|unrecognized|postgres: )/.test(l))
  const said = words
    .slice(-3)
    .map((l) => l.replace(/^.*?(FATAL|PANIC|ERROR|DETAIL):\s*/, ''))
    .join('; ')
  return `the server ended at its start: ${said || 'no word in its log'} (log: ${engine.home.logFile})`
}

async function spaceHint(error: unknown): Promise<string> {
  return (error as NodeJS.ErrnoException).code === 'ENOSPC' ? '; the disk is full: free space' : ''
}
