/**
 * Gives up a tail that the upstream never had: keeps it first, then undoes it with pg_rewind where there is one, else
 * says that a clone is needed. While pg_rewind works the data directory is out of its place, in `<data>.partial`, so
 * that a kill at any moment leaves either the directory as it was, or none. A directory that comes back carries
 * `holdfast.unfinished`; the adapter removes the mark once the copy is ours again.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { chmod, chown, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import type { Progress } from '../contract.ts'
import { CloneArea, fileFailure, type Owner, syncDirectory } from './clone-area.ts'
import { type ControlFile, readControlFile } from './control-file.ts'
import { writeAnew } from './home.ts'
import { keepTail } from './kept-tail.ts'
import type { RejoinBinaries, RejoinDecision } from './rejoin.ts'
import { failureOf, ReplicationLine, type Upstream } from './replication.ts'

export interface RewindOptions {
  readonly dataDir: string
  readonly binaries: RejoinBinaries
  readonly upstream: Upstream
  readonly decision: RejoinDecision
  readonly keepDir: string
  readonly owner: Owner | null
  readonly signal: AbortSignal
  readonly progress?: Progress
  /** For the summary of what was kept; default the name of the data directory. */
  readonly member?: string
}

export type RewindResult =
  | { readonly ok: true; readonly did: 'rewind' | 'clone-needed'; readonly keptTail: string | null }
  | { readonly ok: false; readonly because: string; readonly retryable: boolean }

/** The adapter treats a directory with this file as one to be made anew. */
const UNFINISHED = 'holdfast.unfinished'
const CHECKPOINT_MS = 120_000
/** Crash recovery of a large log comes first; without an end in sight a clone is better. */
const REWIND_MS = 30 * 60_000
const OUTPUT_BYTES_MAX = 64 * 1024

/** The engine must be stopped. Run again after any failure: what was done is found or done anew. */
export async function rewindOrPrepareClone(options: RewindOptions): Promise<RewindResult> {
  const { decision, signal, progress } = options
  if (decision.kind === 'follow') {
    return { ok: false, because: 'this copy can follow; there is nothing to give up', retryable: false }
  }
  if (decision.kind === 'error') return { ok: false, because: decision.because, retryable: decision.retryable }
  try {
    signal.throwIfAborted()
    progress?.('keeping the tail', 0, null)
    const keptTail = await keep(options)
    if (decision.kind === 'clone' || !options.binaries.hasRewind) return { ok: true, did: 'clone-needed', keptTail }
    await checkpoint(options)
    const failed = await rewind(options)
    if (failed === null) return { ok: true, did: 'rewind', keptTail }
    progress?.(`no rewind: ${failed}`, 0, null)
    return { ok: true, did: 'clone-needed', keptTail }
  } catch (error) {
    if (signal.aborted) return { ok: false, because: 'the rewind was cancelled', retryable: true }
    return fileFailure(error) ?? failureOf(options.upstream, error)
  }
}

/** Null when there is no log to keep. */
async function keep(options: RewindOptions): Promise<string | null> {
  const { decision, dataDir, signal } = options
  const control = await readControlFile(dataDir)
  const from = keptFrom(decision, control)
  if (from === null) return null
  return keepTail({
    walDir: join(dataDir, 'pg_wal'),
    keepDir: options.keepDir,
    member: options.member ?? basename(dataDir),
    systemId: control?.systemId ?? '0',
    ...from,
    signal,
  })
}

/** Without a known fork all since the last checkpoint is kept. */
function keptFrom(
  decision: RejoinDecision,
  control: ControlFile | null,
): { timeline: number; forkLsn: number; endLsn: number | null } | null {
  if (decision.kind === 'diverged') {
    return { timeline: decision.timeline, forkLsn: decision.forkLsn, endLsn: decision.endLsn }
  }
  return control === null ? null : { timeline: control.timeline, forkLsn: control.redoLsn, endLsn: null }
}

/** Until its first checkpoint a new primary's control file names the old timeline, and pg_rewind would believe it. */
async function checkpoint(options: RewindOptions): Promise<void> {
  options.progress?.('checkpoint on the upstream', 0, null)
  const line = await ReplicationLine.open(options.upstream, options.signal, 'sql')
  try {
    await line.rows('CHECKPOINT', CHECKPOINT_MS)
  } finally {
    line.close()
  }
}

/** Null when done, otherwise why not; then the directory is back, marked as unfinished. */
async function rewind(options: RewindOptions): Promise<string | null> {
  const area = new CloneArea(options.dataDir, options.owner)
  await area.open()
  await mark(options.dataDir, options.owner)
  await area.takeOut()
  options.progress?.('rewinding', 0, null)
  let failed: string | null
  try {
    failed = await runRewind(options, area.inside)
  } finally {
    // pg_rewind removes what the upstream does not have, our mark too.
    await mark(area.inside, options.owner)
    await area.publish()
  }
  return failed
}

async function mark(dir: string, owner: Owner | null): Promise<void> {
  const path = join(dir, UNFINISHED)
  await writeAnew(path, 'Being rewound by Holdfast.\n', owner)
  await syncDirectory(dir)
}

async function runRewind(options: RewindOptions, dataDir: string): Promise<string | null> {
  const { binaries, owner, upstream } = options
  const secrets = await mkdtemp(join(tmpdir(), 'holdfast-rewind-'))
  try {
    // pg_rewind may walk in and read; only we write and remove there.
    if (owner !== null) await chown(secrets, process.getuid?.() ?? 0, owner.gid)
    await chmod(secrets, owner === null ? 0o700 : 0o710)
    const source = await connectionString(upstream, secrets, owner)
    const child = spawn(
      join(binaries.binDir, 'pg_rewind'),
      ['-D', dataDir, `--source-server=${source}`, '--progress'],
      {
        ...(owner ?? {}),
        cwd: secrets,
        env: { ...(binaries.env ?? { PATH: '/usr/bin:/bin' }), LC_ALL: 'C', PGPASSWORD: upstream.password },
        stdio: ['ignore', 'pipe', 'pipe'],
        // A group of its own: the server that pg_rewind starts for crash recovery ends with it.
        detached: true,
      },
    )
    const { code, output } = await untilEnd(child, options)
    if (code !== 0) return `pg_rewind failed: ${lastLines(output)}`
    // Then what we hold beyond the fork was never replayed, and would be: only a clone is without it.
    if (output.includes('no rewind required')) return 'pg_rewind saw nothing to undo'
    return null
  } finally {
    await rm(secrets, { recursive: true, force: true })
  }
}

async function connectionString(upstream: Upstream, secrets: string, owner: Owner | null): Promise<string> {
  const words: [string, string][] = [
    ['host', upstream.host],
    ['port', String(upstream.port)],
    ['user', upstream.user],
    ['dbname', 'postgres'],
    ['application_name', 'holdfast-rewind'],
    ['connect_timeout', '10'],
  ]
  const { ssl } = upstream
  if (ssl !== undefined) {
    words.push(['sslmode', ssl.ca === undefined || !ssl.rejectUnauthorized ? 'require' : 'verify-full'])
    words.push(['channel_binding', 'require'])
    if (ssl.ca !== undefined) {
      const path = join(secrets, 'ca.pem')
      await writeAnew(path, ssl.ca, owner)
      words.push(['sslrootcert', path])
    }
  }
  return words.map(([name, value]) => `${name}='${value.replace(/[\\']/g, '\\$&')}'`).join(' ')
}

function untilEnd(child: ChildProcess, options: RewindOptions): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve) => {
    let output = ''
    const kill = (): void => {
      if (child.pid === undefined) return
      try {
        process.kill(-child.pid, 'SIGKILL')
      } catch {
        // It ended in this moment.
      }
    }
    const timer = setTimeout(kill, REWIND_MS)
    options.signal.addEventListener('abort', kill, { once: true })
    if (options.signal.aborted) kill()
    const take = (chunk: Buffer): void => {
      const text = chunk.toString()
      output = (output + text).slice(-OUTPUT_BYTES_MAX)
      const seen = [...text.matchAll(/(\d+)\/(\d+) kB \(\d+%\) copied/g)].at(-1)
      if (seen !== undefined) options.progress?.('rewinding', Number(seen[1]) * 1024, Number(seen[2]) * 1024)
    }
    child.stdout?.on('data', take)
    child.stderr?.on('data', take)
    const end = (code: number | null): void => {
      clearTimeout(timer)
      options.signal.removeEventListener('abort', kill)
      resolve({ code, output })
    }
    child.once('error', (error) => {
      output += error.message
      end(null)
    })
    child.once('close', end)
  })
}

function lastLines(output: string): string {
  const lines = output.split(/[\r\n]+/).filter((line) => line !== '' && !line.includes(' copied'))
  return lines.slice(-3).join('; ').slice(-500)
}
