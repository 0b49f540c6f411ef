/**
 * Finds and kills every process of one engine. An engine is known by its data directory: each of its processes has it
 * as working directory, also those whose main process is already dead. No disk, no network, no database: only /proc
 * (or `ps` where there is no /proc), so the guard can use it while everything else hangs (R3).
 *
 * Invariants: a process is identified by pid AND start time, and both are read again right before each signal, so a
 * reused pid is never hit. "Gone" means that the kernel has closed its sockets (no entry, or a zombie).
 * `dataDir` must be absolute and free of symbolic links: the kernel reports the real path.
 */
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

export interface ProcessId {
  readonly pid: number
  /** Start time as the kernel tells it; two processes with the same pid differ in it. */
  readonly started: string
}

export interface KillOptions {
  /** Longest time to wait for the last process to be gone. Default 150 ms. */
  readonly boundMs?: number
}

export interface KillResult {
  readonly killed: number
  /** Processes that could not be seen gone within the bound; 0 is success. */
  readonly alive: number
}

const BOUND_MS = 150
/** Time between two looks; a process killed by SIGKILL is usually gone within one. */
const LOOK_AGAIN_MS = 1
/** Programs that belong to an engine even when they were started from a terminal. */
const ENGINE_PROGRAMS = new Set(['postgres', 'redis-server', 'valkey-server'])
const HAS_PROC = process.platform === 'linux'

/** All living processes of the engine, main process first. */
export function treeOf(dataDir: string, mainPid: number | null): ProcessId[] {
  return HAS_PROC ? treeFromProc(dataDir, mainPid) : treeFromPs(dataDir, mainPid)
}

/** True while this very process (not another one with its number) is alive and not a zombie. */
export function isAlive(id: ProcessId): boolean {
  return identify(id.pid)?.started === id.started
}

/** Identity of a living process, null when there is none (or only a zombie). */
export function identify(pid: number): ProcessId | null {
  if (!HAS_PROC) return identifyByPs(pid)
  const stat = statOf(pid)
  return stat === null || stat.state === 'Z' || stat.state === 'X' ? null : { pid, started: stat.started }
}

const BOOT_ID_FILE = '/proc/sys/kernel/random/boot_id'
let boot: string | null = null

/** A name of this very process that no other one has, also after the host was started again. */
export function nameOfProcess({ pid, started }: ProcessId): string {
  try {
    boot ??= readFileSync(BOOT_ID_FILE, 'utf8').slice(0, 8)
  } catch {
    boot = ''
  }
  return `${pid}.${started}.${boot}`.replaceAll(/[^\w.:-]+/g, '-')
}

/** True when the process was stopped by a signal and so answers nobody. Always false where there is no /proc. */
export function isStopped(pid: number): boolean {
  return HAS_PROC && statOf(pid)?.state === 'T'
}

/** True when `pid` is alive and works in `dataDir`. */
export function worksIn(pid: number, dataDir: string): boolean {
  if (HAS_PROC) return cwdOf(pid) === dataDir
  return treeFromPs(dataDir, null).some((p) => p.pid === pid)
}

/** Kills all processes of the engine and waits until they are gone. Safe to call again at any time. */
export async function killTree(
  dataDir: string,
  mainPid: number | null,
  options: KillOptions = {},
): Promise<KillResult> {
  const strike = new Strike(dataDir, mainPid)
  const endMs = performance.now() + (options.boundMs ?? BOUND_MS)
  while (!strike.round() && performance.now() < endMs) await sleep(LOOK_AGAIN_MS)
  return strike.result()
}

/** The same without yielding: for the guard, whose deadline must not depend on its event loop. */
export function killTreeSync(dataDir: string, mainPid: number | null, options: KillOptions = {}): KillResult {
  const strike = new Strike(dataDir, mainPid)
  const pause = new Int32Array(new SharedArrayBuffer(4))
  const endMs = performance.now() + (options.boundMs ?? BOUND_MS)
  while (!strike.round() && performance.now() < endMs) Atomics.wait(pause, 0, 0, LOOK_AGAIN_MS)
  return strike.result()
}

class Strike {
  readonly #dataDir: string
  readonly #mainPid: number | null
  readonly #struck = new Map<string, ProcessId>()
  #alive = 0

  constructor(dataDir: string, mainPid: number | null) {
    this.#dataDir = dataDir
    this.#mainPid = mainPid
  }

  /** One pass; true when nothing is left. The main process is stopped first so that it starts nothing new. */
  round(): boolean {
    const main = this.#mainPid === null ? null : identify(this.#mainPid)
    const mainIsOurs = main !== null && worksIn(main.pid, this.#dataDir)
    if (mainIsOurs) signal(main, 'SIGSTOP')
    const tree = treeOf(this.#dataDir, this.#mainPid)
    for (const one of tree) if (one.pid !== this.#mainPid) this.#kill(one)
    if (mainIsOurs) this.#kill(main)
    let alive = 0
    for (const one of this.#struck.values()) if (isAlive(one)) alive++
    // A tree that was not empty may have forked between the look and the stop: look once more.
    this.#alive = alive > 0 ? alive : treeOf(this.#dataDir, this.#mainPid).length
    return this.#alive === 0
  }

  result(): KillResult {
    return { killed: this.#struck.size, alive: this.#alive }
  }

  #kill(one: ProcessId): void {
    if (!isAlive(one)) return
    this.#struck.set(`${one.pid}@${one.started}`, one)
    signal(one, 'SIGKILL')
  }
}

function signal(id: ProcessId, name: 'SIGSTOP' | 'SIGKILL'): void {
  try {
    process.kill(id.pid, name)
  } catch {
    // Gone in between (ESRCH), or not ours to kill (EPERM): then it shows up as alive in the result.
  }
}

function treeFromProc(dataDir: string, mainPid: number | null): ProcessId[] {
  const found: ProcessId[] = []
  const seen = new Set<number>([process.pid])
  const add = (pid: number): void => {
    if (seen.has(pid)) return
    seen.add(pid)
    if (cwdOf(pid) !== dataDir) return
    const stat = statOf(pid)
    if (stat === null || stat.state === 'Z' || stat.state === 'X') return
    // Somebody's shell that merely stands in the directory: it has a terminal and is no engine.
    if (stat.terminal !== '0' && pid !== mainPid && !ENGINE_PROGRAMS.has(stat.program)) return
    found.push({ pid, started: stat.started })
  }
  if (mainPid !== null) add(mainPid)
  for (const name of readdirSync('/proc')) {
    const first = name.charCodeAt(0)
    if (first >= 48 && first <= 57) add(Number(name))
  }
  return found
}

function cwdOf(pid: number): string | null {
  try {
    return readlinkSync(`/proc/${pid}/cwd`).replace(/ \(deleted\)$/, '')
  } catch {
    return null
  }
}

interface Stat {
  readonly program: string
  readonly state: string
  readonly terminal: string
  readonly started: string
}

/** Fields 2, 3, 7 and 22 of /proc/PID/stat (proc(5)); the name may hold spaces and parentheses. */
function statOf(pid: number): Stat | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const open = text.indexOf('(')
    const close = text.lastIndexOf(')')
    const rest = text.slice(close + 2).split(' ')
    const [state, terminal, started] = [rest[0], rest[4], rest[19]]
    if (state === undefined || terminal === undefined || started === undefined) return null
    return { program: text.slice(open + 1, close), state, terminal, started }
  } catch {
    return null
  }
}

interface PsRow {
  readonly pid: number
  readonly parent: number
  readonly state: string
  readonly started: string
  readonly command: string
}

/** Where there is no /proc: the main process by its command line, the others as its descendants. */
function treeFromPs(dataDir: string, mainPid: number | null): ProcessId[] {
  const rows = psRows().filter((r) => !r.state.startsWith('Z'))
  const words = [`-D ${dataDir}`, `-D${dataDir}`]
  const roots = rows.filter((r) => words.some((w) => r.command.endsWith(w) || r.command.includes(`${w} `)))
  const wanted = new Set(roots.map((r) => r.pid))
  for (let grew = true; grew; ) {
    grew = false
    for (const r of rows) {
      if (wanted.has(r.pid) || !wanted.has(r.parent)) continue
      wanted.add(r.pid)
      grew = true
    }
  }
  const list = rows.filter((r) => wanted.has(r.pid)).map((r) => ({ pid: r.pid, started: r.started }))
  return list.sort((a, b) => Number(b.pid === mainPid) - Number(a.pid === mainPid))
}

function identifyByPs(pid: number): ProcessId | null {
  const row = psRows().find((r) => r.pid === pid && !r.state.startsWith('Z'))
  return row === undefined ? null : { pid, started: row.started }
}

function psRows(): PsRow[] {
  const out = spawnSync('ps', ['-axo', 'pid=,ppid=,stat=,lstart=,command='], { encoding: 'utf8', timeout: 1_000 })
  const rows: PsRow[] = []
  for (const line of (out.stdout ?? '').split('\n')) {
    const m = /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(\S+\s+\S+\s+\S+\s+\S+\s+\S+)\s+(.*)$/.exec(line)
    if (m === null) continue
    rows.push({ pid: Number(m[1]), parent: Number(m[2]), state: m[3] ?? '', started: m[4] ?? '', command: m[5] ?? '' })
  }
  return rows
}
