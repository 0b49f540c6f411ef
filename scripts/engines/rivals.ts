/**
 * What the side-by-side measurements run beside Holdfast: HAProxy, PgBouncer, Redis with Sentinel, and Patroni.
 * Of these, ordinary tests need HAProxy, Sentinel and Patroni. Debian's packages bring all but Patroni, whose newest
 * version comes from PyPI into a virtual environment of its own; where that cannot be had, Debian's older one does, and
 * the version says which it was.
 */
import { existsSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { programPath } from '../../packages/holdfast/src/io/program-path.ts'
import { blockedAt, engineOwner } from '../../packages/holdfast/src/io/unprivileged.ts'
import { type DebianPackages, type Installed, whyNoPackages } from './debian.ts'
import { cacheDirectory } from './npm-postgres.ts'
import { lastLines, run } from './run.ts'
import { type EngineRow, findHaproxy, row } from './wanted.ts'

export const PGBOUNCER = 'pgbouncer'
export const REDIS = 'redis with sentinel'
export const PATRONI = 'patroni'

/** The version the measurements were written against; raise it here and run them again. */
const PATRONI_VERSION = '4.1.5'
/** Where root's engine account can read what lies out of its reach in root's home. */
const READABLE_DIR = '/var/cache/holdfast/engines'
/** Written last, so that an installation that was killed half-way does not pass for a whole one. */
const WHOLE = 'whole'
const COMPARED = 'the comparison with'

export async function findRivals(): Promise<readonly EngineRow[]> {
  return Promise.all([
    findHaproxy(),
    find(PGBOUNCER, 'pgbouncer', { flag: '--version', pattern: /PgBouncer (\S+)/ }),
    findRedis(),
    findPatroni(),
  ])
}

interface Asking {
  readonly flag: string
  readonly pattern: RegExp
}

async function find(engine: string, program: string, how: Asking): Promise<EngineRow> {
  const path = programPath(program)
  const answer = path === null ? null : await run(path, [how.flag])
  const version = how.pattern.exec(answer?.output ?? '')?.[1] ?? null
  return row(engine, version === null ? null : path, version, `${COMPARED} ${engine}`)
}

async function findRedis(): Promise<EngineRow> {
  const found = await find(REDIS, 'redis-server', { flag: '--version', pattern: /v=(\S+)/ })
  return found.found && programPath('redis-sentinel') === null ? row(REDIS, null, null, found.neededFor) : found
}

/** Our own environment first, then what the system has. */
export async function findPatroni(neededFor = `${COMPARED} ${PATRONI}`): Promise<EngineRow> {
  const home = await patroniHome()
  const own = existsSync(join(home, WHOLE)) ? join(home, 'bin', 'patroni') : null
  const path = own ?? programPath('patroni')
  const answer = path === null ? null : await run(path, ['--version'])
  const version = /patroni (\S+)/.exec(answer?.output ?? '')?.[1] ?? null
  return row(PATRONI, version === null ? null : path, version, neededFor)
}

/** Patroni runs as the engine's account, so it must lie where that account can go. */
async function patroniHome(): Promise<string> {
  const usual = join(cacheDirectory(), `patroni-${PATRONI_VERSION}`)
  const blocked = await blockedAt(dirname(usual), await engineOwner())
  return blocked === null ? usual : join(READABLE_DIR, `patroni-${PATRONI_VERSION}`)
}

export async function installRival(engine: string, packages: DebianPackages): Promise<Installed> {
  const obstacle = whyNoPackages()
  if (engine === PATRONI) return installPatroni(packages, obstacle)
  if (obstacle !== null) return { ok: false, because: obstacle }
  const names = engine === REDIS ? ['redis-server', 'redis-sentinel'] : [engine]
  return packages.install(names)
}

async function installPatroni(packages: DebianPackages, obstacle: string | null): Promise<Installed> {
  const newest = await fromPyPi(packages, obstacle)
  if (newest.ok || obstacle !== null) return newest
  const older = await packages.install(['patroni', 'python3-etcd', 'python3-psycopg2'])
  return older.ok ? { ok: true, note: `${older.note}; ${PATRONI_VERSION}: ${newest.because}` } : newest
}

async function fromPyPi(packages: DebianPackages, obstacle: string | null): Promise<Installed> {
  const home = await patroniHome()
  // The system's Python: one in somebody's home is out of reach of the engine's account.
  const python = existsSync('/usr/bin/python3') ? '/usr/bin/python3' : programPath('python3')
  if (python === null) return { ok: false, because: 'there is no python3 here' }
  await rm(home, { recursive: true, force: true })
  await mkdir(dirname(home), { recursive: true, mode: 0o755 })
  let made = await run(python, ['-m', 'venv', home])
  if (!made.ok && obstacle === null && (await packages.install(['python3-venv'])).ok) {
    made = await run(python, ['-m', 'venv', '--clear', home])
  }
  if (!made.ok) return { ok: false, because: `python3 -m venv: ${lastLines(made.output)}` }
  const wanted = [`patroni[etcd3]==${PATRONI_VERSION}`, 'psycopg[binary]']
  const brought = await run(join(home, 'bin', 'pip'), ['install', '--quiet', ...wanted])
  if (!brought.ok) return { ok: false, because: `pip install ${wanted.join(' ')}: ${lastLines(brought.output)}` }
  await writeFile(join(home, WHOLE), `${wanted.join('\n')}\n`)
  return { ok: true, note: `installed by pip (${wanted.join(' ')})` }
}
