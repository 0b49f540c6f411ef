/**
 * Throughput of pgbench's SELECT through each door to the same primary: none (direct), Holdfast's router, HAProxy,
 * PgBouncer. Short rounds, one path after the other, so that a change of the machine's mood hits all of them; what
 * counts is each path's ratio to the direct one of its own round. Time on a core per transaction is told beside, for it
 * depends less on who else works.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Layout } from '../packages/holdfast/src/cli/demo/layout.ts'
import { sleep } from '../packages/holdfast/src/cli/demo/ledger.ts'
import { findPostgres } from '../packages/holdfast/src/engines/postgres/binaries.ts'
import { cpuMsOf } from '../packages/holdfast/src/io/footprint.ts'
import { programPath } from '../packages/holdfast/src/io/program-path.ts'
import { engineOwner } from '../packages/holdfast/src/io/unprivileged.ts'
import { freePorts } from '../test/platform.ts'
import { loadNow, round, summary, tableOf } from './page.ts'
import type { Stage } from './stage.ts'

export interface Throughput {
  readonly mode: 'simple' | 'prepared'
  readonly clients: number
  readonly path: string
  readonly round: number
  readonly tps: number
  /** Time on a core of the door's process, for each transaction; 0 for no door. */
  readonly doorCpuUs: number
  readonly load: number
}

export interface ThroughputOptions {
  readonly rounds: number
  readonly seconds: number
  readonly signal: AbortSignal
  readonly say: (text: string) => void
}

interface Path {
  readonly name: string
  readonly port: number
  readonly pids: () => readonly number[]
}

const HOLDFAST = fileURLToPath(new URL('../packages/holdfast/bin/holdfast.js', import.meta.url))
const SCALE = 10
const LISTEN_MS = 10_000
const CASES = (['simple', 'prepared'] as const).flatMap((mode) => [1, 8].map((clients) => ({ mode, clients })))
const run = promisify(execFile)

/** Starts the doors before the stage's primary, and ends them. */
export async function measureThroughput(stage: Stage, options: ThroughputOptions): Promise<readonly Throughput[]> {
  await stage.start()
  const primary = await stage.whole()
  const server = stage.layout.members.find((one) => one.member === primary)?.port ?? 0
  stage.unwatch()
  const doors = await startDoors(stage, server)
  try {
    const paths: readonly Path[] = [
      { name: 'direct', port: server, pids: () => [] },
      { name: 'holdfast router', port: stage.layout.routerPort, pids: () => stage.routerPids() },
      doors.relayed,
      ...doors.paths,
    ]
    const pgbench = await pgbenchOf(stage, options.signal)
    await pgbench(server, ['-i', '-q', '-s', String(SCALE)])
    const found: Throughput[] = []
    for (let at = 1; at <= options.rounds; at += 1) {
      options.say(`throughput, round ${at} of ${options.rounds}, load ${round(loadNow(), 2)}`)
      for (const { mode, clients } of CASES) {
        // Each round begins with another path, so that none is always the one that finds the caches cold.
        const order = paths.map((_, i) => paths[(i + at) % paths.length]).filter((path) => path !== undefined)
        for (const path of order) {
          const words = ['-n', '-S', '-M', mode, '-c', String(clients), '-j', clients === 1 ? '1' : '2']
          const before = cpuOf(path.pids())
          const text = await pgbench(path.port, [...words, '-T', String(options.seconds)])
          const tps = Number(/^tps = ([\d.]+)/m.exec(text)?.[1] ?? Number.NaN)
          const count = Number(/transactions actually processed: (\d+)/.exec(text)?.[1] ?? Number.NaN)
          if (!(tps > 0) || !(count > 0)) throw new Error(`pgbench through ${path.name} told no result:\n${text}`)
          const doorCpuUs = round(((cpuOf(path.pids()) - before) * 1_000) / count, 1)
          found.push({
            mode,
            clients,
            path: path.name,
            round: at,
            tps: round(tps),
            doorCpuUs,
            load: round(loadNow(), 2),
          })
        }
      }
    }
    return found
  } finally {
    await doors.close()
  }
}

function cpuOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + cpuMsOf(pid), 0)
}

type Pgbench = (port: number, words: readonly string[]) => Promise<string>

async function pgbenchOf(stage: Stage, signal: AbortSignal): Promise<Pgbench> {
  const found = await findPostgres()
  const beside = found.ok ? join(found.binaries.binDir, 'pgbench') : ''
  const program = programPath('pgbench') ?? beside
  const env = { ...process.env, PGPASSWORD: stage.layout.password, LC_ALL: 'C.UTF-8' }
  return async (port, words) => {
    const login = ['-h', '127.0.0.1', '-p', String(port), '-U', 'app']
    const { stdout } = await run(program, [...login, ...words, 'app'], { env, signal, maxBuffer: 1 << 20 })
    return stdout
  }
}

interface Doors {
  readonly paths: readonly Path[]
  /** A second router of ours, whose bytes HAProxy carries. */
  readonly relayed: Path
  close(): Promise<void>
}

/** HAProxy in plain TCP mode and PgBouncer with a server connection per client: what each does fastest and safely. */
async function startDoors(stage: Stage, server: number): Promise<Doors> {
  const folder = join(stage.layout.folder, 'doors')
  mkdirSync(folder, { mode: 0o755 })
  const [haproxyPort = 0, pgbouncerPort = 0, relayedPort = 0] = await freePorts(3)
  const [haproxy, pgbouncer] = [programPath('haproxy'), programPath('pgbouncer')]
  if (haproxy === null || pgbouncer === null) throw new Error('haproxy and pgbouncer: npm run engines -- --rivals')
  const owner = await engineOwner()
  const haproxyFile = join(folder, 'haproxy.cfg')
  const pgbouncerFile = join(folder, 'pgbouncer.ini')
  writeFileSync(haproxyFile, haproxyText(haproxyPort, server))
  // Readable by the account it runs as; the password is that of a database which is thrown away.
  writeFileSync(pgbouncerFile, pgbouncerText(pgbouncerPort, server, stage.layout.password), { mode: 0o644 })
  const asOwner = owner === null ? [] : ['setpriv', `--reuid=${owner.uid}`, `--regid=${owner.gid}`, '--clear-groups']
  const relayedFile = join(stage.layout.folder, 'relayed.yaml')
  writeFileSync(relayedFile, relayedText(stage.layout, relayedPort))
  const children = [
    start([haproxy, '-db', '-f', haproxyFile], join(folder, 'haproxy.log')),
    start([...asOwner, pgbouncer, pgbouncerFile], join(folder, 'pgbouncer.log')),
    start(
      [process.execPath, HOLDFAST, 'router', '--name', 'router-1', '--file', relayedFile],
      join(folder, 'relayed.log'),
    ),
  ]
  const close = async (): Promise<void> => {
    const living = children.filter((child) => child.exitCode === null && child.signalCode === null)
    const gone = living.map((child) => new Promise<void>((resolve) => child.once('exit', () => resolve())))
    // The router takes its relay with it when it may end by itself.
    for (const child of living) child.kill('SIGTERM')
    await Promise.race([Promise.all(gone), sleep(LISTEN_MS)])
    for (const child of living) child.kill('SIGKILL')
    await Promise.all(gone)
  }
  process.once('exit', () => {
    for (const child of children) child.kill('SIGKILL')
  })
  try {
    for (const port of [haproxyPort, pgbouncerPort, relayedPort]) await listens(port)
  } catch (error) {
    await close()
    throw error
  }
  const pidOf = (at: number): readonly number[] => [children[at]?.pid ?? -1]
  const paths = [
    { name: 'haproxy', port: haproxyPort, pids: () => pidOf(0) },
    { name: 'pgbouncer', port: pgbouncerPort, pids: () => pidOf(1) },
  ]
  const relayed = { name: 'holdfast with haproxy', port: relayedPort, pids: () => relayedPids(children[2]?.pid ?? -1) }
  return { paths, relayed, close }
}

/** The router and the relay it started. */
function relayedPids(router: number): readonly number[] {
  const children = readFileSync(`/proc/${router}/task/${router}/children`, 'utf8').trim().split(' ')
  return [router, ...children.filter((pid) => pid !== '').map(Number)]
}

function relayedText(layout: Layout, port: number): string {
  const text = readFileSync(layout.file, 'utf8')
  return text.replace('relay: router', 'relay: haproxy').replace(`127.0.0.1:${layout.routerPort}`, `127.0.0.1:${port}`)
}

function start([command = '', ...args]: readonly string[], log: string): ChildProcess {
  const file = openSync(log, 'a', 0o600)
  const child = spawn(command, args, { stdio: ['ignore', file, file], detached: true })
  closeSync(file)
  child.on('error', () => {})
  return child
}

async function listens(port: number): Promise<void> {
  const untilMs = performance.now() + LISTEN_MS
  while (performance.now() < untilMs) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect({ host: '127.0.0.1', port }, () => resolve(true))
      socket.once('error', () => resolve(false))
      socket.once('connect', () => socket.destroy())
    })
    if (open) return
    await sleep(50)
  }
  throw new Error(`nothing listens at 127.0.0.1:${port} after ${LISTEN_MS} ms`)
}

function haproxyText(port: number, server: number): string {
  return `global
  maxconn 200
defaults
  mode tcp
  timeout connect 1s
  timeout client 30m
  timeout server 30m
listen primary
  bind 127.0.0.1:${port}
  server primary 127.0.0.1:${server}
`
}

function pgbouncerText(port: number, server: number, password: string): string {
  return `[databases]
app = host=127.0.0.1 port=${server} user=app password=${password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = session
default_pool_size = 20
max_client_conn = 100
`
}

export function throughputRows(measured: readonly Throughput[]) {
  const direct = new Map(
    measured.filter((m) => m.path === 'direct').map((m) => [`${m.mode} ${m.clients} ${m.round}`, m.tps]),
  )
  const keys = [...new Set(measured.map((m) => `${m.mode}/${m.clients}/${m.path}`))]
  return keys.map((key) => {
    const own = measured.filter((m) => key === `${m.mode}/${m.clients}/${m.path}`)
    const [mode = '', clients = '', path = ''] = key.split('/')
    return {
      ...{ mode, clients: Number(clients), path, rounds: own.length },
      tps: summary(own.map((m) => m.tps)),
      ratio: summary(own.map((m) => m.tps / (direct.get(`${m.mode} ${m.clients} ${m.round}`) ?? Number.NaN))),
      doorCpuUs: summary(own.map((m) => m.doorCpuUs)).median,
    }
  })
}

export function throughputTable(rows: ReturnType<typeof throughputRows>): string {
  return tableOf(
    ['protocol', 'clients', 'path', 'rounds', 'transactions a second', 'ratio to direct', 'door, µs of a core each'],
    rows.map((row) => [
      ...[row.mode, String(row.clients), row.path, String(row.rounds)],
      `${row.tps.min} / ${round(row.tps.median)} / ${row.tps.max}`,
      `${row.ratio.min.toFixed(2)} / **${row.ratio.median.toFixed(2)}** / ${row.ratio.max.toFixed(2)}`,
      row.path === 'direct' ? '' : row.doorCpuUs.toFixed(1),
    ]),
  )
}
