/**
 * Starts the server as a primary or as a replica without a source, and waits until it answers; says why when it does
 * not. A replica is led to its source afterwards (`follow.ts`), when it is known who that is.
 */
import { stat, statfs } from 'node:fs/promises'
import { fieldsOf, ReplyError } from '../../io/resp.ts'
import type { Done } from '../contract.ts'
import { type StartSettings, writeConfig } from './config.ts'
import { type Course, done, type Engine, failed, refused } from './engine.ts'
import { tailOf, text } from './home.ts'
import { ASK_INFO, parseInfo, type ServerInfo } from './info.ts'

/** Between two attempts to ask a starting server. */
const RETRY_MS = 3
const ASK_MS = 2_000
const LOG_TAIL_BYTES = 16 * 1024

export async function startServer(engine: Engine, start: StartSettings, course: Course): Promise<Done> {
  const ready = await engine.ready()
  if (!ready.ok) return ready
  const { home, server, o } = engine
  const leftovers = await server.kill(course.leftMs())
  if (leftovers.alive > 0) return failed(`${leftovers.alive} processes of the former server do not end`)
  try {
    await writeConfig(start, home, o)
    // Whether it ends well is noted at its end; until then what is on the disk is only the least it held.
    const pending = start.load === 'snapshot'
    await engine.note({ clean: null, bootId: engine.bootId, ...(pending ? { logPending: true } : {}) })
  } catch (error) {
    return failed(`cannot write the settings: ${text(error)}`)
  }
  const logFrom = await stat(home.logFile).then(
    (s) => s.size,
    () => 0,
  )
  engine.eye.drop()
  engine.hand.drop()
  engine.lastRole = start.role
  const problem = await server.start(ready.binaries, () => !course.over)
  if (problem !== null) return failed(problem)
  // An end at the start is this call's failure, told with its cause; only a later one is a surprise.
  server.expectEnd()
  try {
    const answering = await untilAnswering(engine, course, logFrom)
    if (!answering.ok || start.load === 'log') return answering
    const on = await engine.hand.must([['CONFIG', 'SET', 'appendonly', 'yes']], course.leftMs(ASK_MS))
    return on.ok ? answering : failed(`cannot turn the log on: ${on.because}`)
  } finally {
    // Who cancelled this call ends the server himself.
    if (!course.signal.aborted) server.expectLife()
  }
}

async function untilAnswering(engine: Engine, course: Course, logFrom: number): Promise<Done> {
  for (;;) {
    const answer = await engine.hand.ask([['PING'], ASK_INFO], course.leftMs(ASK_MS))
    if (engine.server.pid === null) return whyEnded(engine, logFrom)
    const pong = answer.ok ? answer.replies[0] : null
    if (pong === 'PONG') return done(null)
    const code = pong instanceof ReplyError ? pong.code : answer.ok ? '' : answer.code
    // A wrong password does not get better with time.
    if (code === 'WRONGPASS') return refused("the superuser's password is refused")
    if (code === 'LOADING') tellLoading(answer.ok ? answer.replies[1] : null, course)
    if (!(await course.pause(code === 'LOADING' ? 10 : RETRY_MS))) return course.late('start')
  }
}

function tellLoading(reply: unknown, course: Course): void {
  if (typeof reply !== 'string') return
  const f = fieldsOf(reply)
  course.options.progress?.(
    'load',
    Number(f.get('loading_loaded_bytes') ?? 0),
    Number(f.get('loading_total_bytes')) || null,
  )
}

/** What the server says of itself right now. */
export async function infoOf(engine: Engine, course: Course): Promise<ServerInfo | string> {
  const answer = await engine.hand.ask([ASK_INFO], course.leftMs(ASK_MS))
  if (!answer.ok) return answer.because
  return parseInfo(answer.replies[0]) ?? 'the server does not tell its state'
}

/** The server's own last words, in a form that names the next step where we know one. */
async function whyEnded(engine: Engine, logFrom: number): Promise<Done> {
  const log = await tailOf(engine.home, logFrom, LOG_TAIL_BYTES)
  const { host, port } = engine.o
  if (/Address already in use/i.test(log)) {
    return failed(`port ${port} on ${host} is in use by another program; end it or give this member another port`)
  }
  if (/No space left on device/i.test(log) || (await isFull(engine.home.dataDir))) {
    return failed(`the disk of ${engine.home.dataDir} is full; free space, then it is tried again`)
  }
  if (/Bad directive|Bad file format|wrong number of arguments|FATAL CONFIG/i.test(log)) {
    const line = />>> '(.*)'/.exec(log)?.[1] ?? 'a setting'
    return refused(`the server refuses ${line}; mend the group's parameters`)
  }
  if (/Unexpected end of file reading the append only file|Bad file format reading the append only/i.test(log)) {
    return failed(`the log in ${engine.home.dataDir} is damaged; this copy has to be made anew: move it away`)
  }
  const words = log.split('\n').filter((l) => / # |FATAL|BUG|Can't|Failed|Could not/.test(l))
  const said = words
    .slice(-3)
    .map((l) => l.replace(/^.*? # /, '').trim())
    .join('; ')
  return failed(`the server ended at its start: ${said || 'no word in its log'} (log: ${engine.home.logFile})`)
}

const FULL_BYTES = 256 * 1024

export async function isFull(dataDir: string): Promise<boolean> {
  const s = await statfs(dataDir).catch(() => null)
  return s !== null && s.bavail * s.bsize < FULL_BYTES
}
