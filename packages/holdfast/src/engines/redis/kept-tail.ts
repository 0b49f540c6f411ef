/**
 * Keeps the data of a former primary that is about to be given up (R28): its log files as they are, which are readable
 * text, and a summary. Redis's log has no positions, so nobody can cut out exactly what the others lack: everything
 * written since the log's last rewrite is kept, and the summary says where histories parted. The result appears whole
 * or not at all.
 */
import { mkdir, readdir, rename, rm, stat, statfs, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { systemClock } from '../../io/clock.ts'
import type { Done } from '../contract.ts'
import { type Course, done, type Engine, failed } from './engine.ts'
import { exists, type LogLine, markUnfinished, text } from './home.ts'

/** Kept tails of one member; the oldest goes first. */
const KEPT_MAX = 5
/** The start of the log (a snapshot) is kept as well, up to this size and while this share of the disk stays free. */
const BASE_BYTES_MAX = 2 ** 30
const FREE_SHARE = 0.2

export async function keepTail(engine: Engine, upstream: LogLine, course: Course): Promise<Done> {
  const { home, o, server, file } = engine
  const left = await server.kill(course.leftMs())
  if (left.alive > 0) return failed(`follow: ${left.alive} processes of the former server do not end`)
  const logDir = join(home.dataDir, 'appendonlydir')
  try {
    // From here on the directory is not started any more, whatever happens.
    await markUnfinished(home, o)
    if (!(await exists(logDir))) return done(null)
    const keepDir = join(dirname(home.dataDir), `${o.member}.kept`)
    await mkdir(keepDir, { recursive: true, mode: 0o700 })
    const keptAt = new Date(systemClock.wallMs()).toISOString()
    const name = `${keptAt.replaceAll(':', '-')}-tl${file?.line.timeline ?? 0}`
    const making = join(keepDir, `.${name}.partial`)
    await mkdir(making, { mode: 0o700 })
    const files = await chosen(logDir)
    for (const one of files.kept) await rename(join(logDir, one), join(making, one))
    const summary = {
      member: o.member,
      systemId: file?.systemId ?? null,
      line: file?.line ?? null,
      atLeastLsn: file?.lastLsn ?? null,
      upstreamLine: upstream,
      keptAt,
      ...files,
      read: 'The *.incr.aof files are the commands in the order they were run; the last ones are the lost tail.',
    }
    await writeFile(join(making, 'summary.json'), `${JSON.stringify(summary, null, 2)}\n`, { mode: 0o600, flush: true })
    await rename(making, join(keepDir, name))
    await prune(keepDir)
    o.log.warn({ member: o.member, keptTail: join(keepDir, name) }, 'a lost tail of the log was kept')
    return done(null)
  } catch (error) {
    return failed(`follow: the lost tail cannot be kept: ${text(error)}`)
  }
}

async function chosen(logDir: string): Promise<{ readonly kept: readonly string[]; readonly dropped: string[] }> {
  const space = await statfs(logDir)
  const roomy = space.bavail / space.blocks > FREE_SHARE
  const kept: string[] = []
  const dropped: string[] = []
  for (const name of await readdir(logDir)) {
    const { size } = await stat(join(logDir, name))
    const isBase = name.includes('.base.')
    if (isBase && (size > BASE_BYTES_MAX || !roomy)) dropped.push(name)
    else kept.push(name)
  }
  return { kept, dropped }
}

async function prune(keepDir: string): Promise<void> {
  const names = (await readdir(keepDir)).sort()
  for (const name of names) if (name.endsWith('.partial')) await rm(join(keepDir, name), { recursive: true })
  const whole = names.filter((n) => !n.endsWith('.partial'))
  for (const name of whole.slice(0, -KEPT_MAX)) await rm(join(keepDir, name), { recursive: true, force: true })
}
