/** What the tests want to find on a machine, and where each comes from when it is missing. */
import { existsSync } from 'node:fs'
import { findPostgres, MAJOR_MAX, MAJOR_MIN } from '../../packages/holdfast/src/engines/postgres/binaries.ts'
import { findRedis } from '../../packages/holdfast/src/engines/redis/binaries.ts'
import { findValkey } from '../../packages/holdfast/src/engines/redis/valkey-fixture.ts'
import { programPath } from '../../packages/holdfast/src/io/program-path.ts'
import { findMonitoring, type Monitoring } from './monitoring.ts'
import { run } from './run.ts'

export interface EngineRow {
  readonly engine: string
  readonly found: boolean
  readonly version: string | null
  readonly path: string | null
  /** What this run did for it: nothing, an installation, or why there was none. */
  readonly note: string
  /** What stays untested without it. */
  readonly neededFor: string
}

export const ETCD = 'etcd'
export const FAKETIME = 'libfaketime'
export const REWIND = 'postgresql with pg_rewind'
export const REDIS_SERVER = 'redis or valkey'
export const SENTINEL = 'redis-sentinel'
export const VALKEY = 'valkey'
export const HAPROXY = 'haproxy'
export const MONITORING: readonly Monitoring[] = ['prometheus', 'prometheus-alertmanager']
export const CHROMIUM = 'chromium'
export const MAJORS: readonly number[] = Array.from({ length: MAJOR_MAX - MAJOR_MIN + 1 }, (_, i) => MAJOR_MIN + i)
export const postgresName = (major: number): string => `postgresql ${major}`

export async function findAll(): Promise<readonly EngineRow[]> {
  return Promise.all([
    findEtcd(),
    findRewind(),
    findFaketime(),
    findRedisServer(),
    findValkeyServer(),
    findSentinel(),
    findHaproxy(),
    ...MONITORING.map(findMonitor),
    findChromium(),
    ...MAJORS.map((major) => findMajor(major)),
  ])
}

async function findEtcd(): Promise<EngineRow> {
  const path = programPath('etcd')
  const answer = path === null ? null : await run(path, ['--version'])
  const version = /etcd Version: (\S+)/i.exec(answer?.output ?? '')?.[1] ?? null
  return row(ETCD, version === null ? null : path, version, 'the etcd store (one and three nodes)')
}

async function findRewind(): Promise<EngineRow> {
  const answer = await findPostgres()
  const fits = answer.ok && answer.binaries.hasRewind
  const path = fits ? answer.binaries.binDir : null
  return row(REWIND, path, fits ? answer.binaries.version : null, 'rejoining a diverged member by pg_rewind')
}

/** Where distributions put it, and where somebody may have told us it is. */
export function faketimePath(): string | null {
  const machine = { x64: 'x86_64', arm64: 'aarch64' }[process.arch as string] ?? process.arch
  const places = [
    process.env.HOLDFAST_FAKETIME ?? '',
    `/usr/lib/${machine}-linux-gnu/faketime/libfaketime.so.1`,
    '/usr/lib64/faketime/libfaketime.so.1',
    '/usr/lib/faketime/libfaketime.so.1',
  ]
  return places.find((place) => place !== '' && existsSync(place)) ?? null
}

async function findFaketime(): Promise<EngineRow> {
  const path = faketimePath()
  return row(FAKETIME, path, path === null ? null : '-', 'clocks that jump, under a whole group')
}

async function findRedisServer(): Promise<EngineRow> {
  const answer = await findRedis()
  const { server, version } = answer.ok ? answer.binaries : { server: null, version: null }
  return row(REDIS_SERVER, server, version, 'the Redis adapter')
}

async function findValkeyServer(): Promise<EngineRow> {
  const found = await findValkey()
  return row(VALKEY, found?.binaries.server ?? null, found?.binaries.version ?? null, 'the Redis adapter on Valkey')
}

/** The same program as the server, by another name. */
async function findSentinel(): Promise<EngineRow> {
  const path = programPath('redis-sentinel')
  const answer = path === null ? null : await run(path, ['--version'])
  const version = /v=(\S+)/.exec(answer?.output ?? '')?.[1] ?? null
  return row(SENTINEL, version === null ? null : path, version, 'groups led by Sentinels')
}

export async function findHaproxy(): Promise<EngineRow> {
  const path = programPath('haproxy')
  const answer = path === null ? null : await run(path, ['-v'])
  const version = /version (\S+?)[-\s]/.exec(answer?.output ?? '')?.[1] ?? null
  return row(HAPROXY, version === null ? null : path, version, 'the relay of a router, and the comparison with haproxy')
}

async function findMonitor(name: Monitoring): Promise<EngineRow> {
  const found = await findMonitoring(name)
  return row(name, found?.path ?? null, found?.version ?? null, 'generated rules, routes and dashboard')
}

/** Debian's name, and those of other systems. */
export function chromiumPath(): string | null {
  const given = process.env.HOLDFAST_CHROMIUM ?? ''
  if (given !== '' && existsSync(given)) return given
  return programPath('chromium') ?? programPath('chromium-browser') ?? programPath('google-chrome')
}

async function findChromium(): Promise<EngineRow> {
  const path = chromiumPath()
  const answer = path === null ? null : await run(path, ['--version'])
  const version = /(\d+(\.\d+)+)/.exec(answer?.output ?? '')?.[1] ?? null
  return row(CHROMIUM, version === null ? null : path, version, 'the dashboard in a browser')
}

async function findMajor(major: number): Promise<EngineRow> {
  const answer = await findPostgres({ version: major })
  const neededFor = `the PostgreSQL adapter on version ${major}`
  if (!answer.ok) return row(postgresName(major), null, null, neededFor)
  return row(postgresName(major), answer.binaries.binDir, answer.binaries.version, neededFor)
}

export function row(engine: string, path: string | null, version: string | null, neededFor: string): EngineRow {
  return { engine, found: path !== null, version, path, note: path === null ? 'missing' : 'found', neededFor }
}
