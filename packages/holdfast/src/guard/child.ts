/**
 * The agent's side of the guard: starts it, speaks to it, and notices when it is gone or does not answer. Decides
 * nothing else: what to do without a guard is the core's business (`guard-gone`).
 *
 * The guard runs in a process group of its own, so that Ctrl-C in a terminal reaches the agent alone.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { realpathSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Writable } from 'node:stream'
import type { FenceTarget } from '../engines/contract.ts'
import type { Clock } from '../io/clock.ts'
import { fromGuardOf, lineSplitter } from './lines.ts'
import { GUARD_ARGUMENTS, guardProgram, PROGRAM_FD } from './program.ts'
import type { FromGuard, ToGuard } from './protocol.ts'

const PING_MIN_MS = 100
/** A guard at the highest priority that missed as many pings is frozen or starved. */
const PINGS_MISSED = 3
/** It is asked when it was not asked for so many pings' time. */
const ASK_EVERY = 1.5
/** A question is open this long before its silence counts: as long as a pause of our own is forgiven. */
const PATIENCE = 2
export const SILENT_MIN_MS = PINGS_MISSED * PING_MIN_MS
/** With nothing armed there is nothing to fence: the guard is asked less often, and its silence judged by that. */
const IDLE_FACTOR = 3
const IDLE_PING_MAX_MS = 1_000
/** A guard that has said nothing at all for this long after its start never came up. */
const START_MAX_MS = 5_000
/** Words to a guard that does not read; it is declared gone long before this fills. */
const UNREAD_BYTES_MAX = 1_048_576

export interface GuardOptions {
  readonly clock: Clock
  readonly log: (line: string) => void
  /** The guard killed what was left of the member; `lateMs` after its deadline nothing was alive. */
  readonly onFired: (member: string, fired: { readonly killed: number; readonly lateMs: number }) => void
  /** Called once. The guard ended or is silent; what it may still do is unknown until `discard`. */
  readonly onGone: (because: string) => void
  /** Called once: the guard has come up and listens. */
  readonly onReady?: () => void
  readonly onArmed: (member: string, untilMs: number) => void
  /** Something of the member survived the kill so far; the guard keeps trying. */
  readonly onStuck?: (member: string, alive: number) => void
  readonly nodePath?: string
  /** Silence that counts as gone; at least `SILENT_MIN_MS`. A third of the shortest ttl is a good value. */
  readonly silentMaxMs?: number
  readonly watchdog?: { readonly device: string; readonly required: boolean; readonly timeoutMaxMs: number }
}

export interface GuardLink {
  readonly pid: number | null
  /** True until `onGone` or `close`. */
  alive(): boolean
  /** How long ago the guard last answered. */
  silentForMs(): number
  /** Remember how to kill this member; must come before `arm`. Cheap to repeat. */
  watch(target: FenceTarget): void
  arm(member: string, epoch: number, untilMs: number): void
  disarm(member: string): void
  fence(member: string): void
  /** Lets go: the guard keeps what is armed, fences at each deadline, and ends. Disarm first what is stopped. */
  close(): void
  /**
   * Kills the guard. For one that is gone and about to be replaced: only after every member it had armed is fenced,
   * because a frozen guard that thaws still does its duty.
   */
  discard(): void
}

/** Starts a guard. Never throws: a guard that cannot start is `onGone`. */
export function startGuard(options: GuardOptions): GuardLink {
  return new Link(options)
}

class Link implements GuardLink {
  readonly #options: GuardOptions
  readonly #child: ChildProcess
  readonly #pingMs: number
  readonly #startedMs: number
  readonly #armed = new Set<string>()
  #timer: NodeJS.Timeout | undefined
  #heardMs: number
  /** Silence before this is nothing to judge. */
  #judgedFromMs: number
  /** When it was last told something that it answers, and since when it owes an answer. */
  #askedMs = 0
  #owesSinceMs: number | null = null
  #tickedMs: number
  #ready = false
  #open = true
  #pings = 0
  #watchdogTold = ''

  constructor(options: GuardOptions) {
    this.#options = options
    this.#pingMs = Math.max(SILENT_MIN_MS, options.silentMaxMs ?? 0) / PINGS_MISSED
    const nowMs = options.clock.nowMs()
    this.#startedMs = nowMs
    this.#heardMs = nowMs
    this.#judgedFromMs = nowMs
    this.#tickedMs = nowMs
    this.#child = spawn(options.nodePath ?? process.execPath, GUARD_ARGUMENTS, {
      cwd: '/',
      detached: true,
      env: {},
      stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
    })
    this.#load()
    this.#listen()
    this.#wait()
    if (options.watchdog) this.#say({ do: 'watchdog', ...options.watchdog })
  }

  get pid(): number | null {
    return this.#child.pid ?? null
  }

  alive(): boolean {
    return this.#open && this.#ready
  }

  silentForMs(): number {
    return this.#options.clock.nowMs() - this.#heardMs
  }

  watch(target: FenceTarget): void {
    this.#say({
      do: 'watch',
      member: target.member,
      dataDir: resolved(target.dataDir),
      mainPid: target.mainPid,
    })
  }

  arm(member: string, epoch: number, untilMs: number): void {
    const idle = this.#armed.size === 0
    this.#armed.add(member)
    if (idle) this.#watchClosely()
    this.#ask({ do: 'arm', member, epoch, untilMs })
  }

  disarm(member: string): void {
    this.#armed.delete(member)
    this.#say({ do: 'disarm', member })
  }

  fence(member: string): void {
    this.#say({ do: 'fence', member })
  }

  close(): void {
    this.#open = false
    clearTimeout(this.#timer)
    this.#child.stdin?.end()
    // What it still does it does alone; the agent's process must not wait for it.
    this.#child.unref()
    for (const stream of [this.#child.stdout, this.#child.stderr]) stream?.destroy()
  }

  discard(): void {
    this.close()
    this.#child.kill('SIGKILL')
  }

  /** Says something that the guard answers. */
  #ask(line: ToGuard): void {
    this.#askedMs = this.#options.clock.nowMs()
    this.#owesSinceMs ??= this.#askedMs
    this.#say(line)
  }

  #say(line: ToGuard): void {
    const input = this.#child.stdin
    if (!this.#open || !input?.writable) return
    if (input.writableLength > UNREAD_BYTES_MAX) this.#gone('the guard does not read')
    else input.write(`${JSON.stringify(line)}\n`)
  }

  #load(): void {
    const door = this.#child.stdio[PROGRAM_FD] as Writable | null | undefined
    door?.on('error', () => {})
    door?.end(guardProgram())
  }

  #listen(): void {
    const { stdin, stdout, stderr } = this.#child
    const splitter = lineSplitter()
    stdin?.on('error', () => {})
    stdout?.on('error', () => {})
    stdout?.on('data', (chunk: Buffer) => {
      for (const text of splitter.push(chunk)) {
        const answer = text === null ? null : fromGuardOf(text)
        if (answer) this.#hear(answer)
        else this.#options.log('the guard said something that is not understood')
      }
    })
    stderr?.on('error', () => {})
    stderr?.on('data', (chunk: Buffer) => this.#options.log(chunk.toString('utf8').trimEnd().slice(0, 2_000)))
    this.#child.on('error', (error) => this.#gone(`the guard cannot be started: ${error.message}`))
    this.#child.on('exit', (code, signal) => this.#gone(`the guard ended with ${signal ?? code}`))
  }

  #hear(answer: FromGuard): void {
    if (!this.#open) return
    this.#heardMs = this.#options.clock.nowMs()
    this.#owesSinceMs = null
    if (answer.is === 'ready') {
      // With a watchdog that must be there nobody may count on the guard before it said that it is (R4).
      if (this.#options.watchdog?.required !== true) this.#becomeReady()
    } else if (answer.is === 'armed') this.#options.onArmed(answer.member, answer.untilMs)
    else if (answer.is === 'fired') this.#options.onFired(answer.member, answer)
    else if (answer.is === 'stuck') this.#options.onStuck?.(answer.member, answer.alive)
    else if (answer.is === 'watchdog') this.#hearWatchdog(answer)
  }

  #becomeReady(): void {
    if (this.#ready) return
    this.#ready = true
    this.#options.onReady?.()
  }

  #hearWatchdog({ ok, because }: FromGuard & { is: 'watchdog' }): void {
    if (because !== this.#watchdogTold) this.#options.log(`watchdog: ${because}`)
    this.#watchdogTold = because
    if (this.#options.watchdog?.required !== true) return
    if (ok) this.#becomeReady()
    else this.#gone(`no watchdog: ${because}`)
  }

  /** Something is armed from now on; that it was asked seldom until now is no fault of the guard. */
  #watchClosely(): void {
    this.#judgedFromMs = this.#options.clock.nowMs()
    this.#wait()
  }

  #everyMs(): number {
    const idleMs = Math.max(this.#pingMs, Math.min(IDLE_FACTOR * this.#pingMs, IDLE_PING_MAX_MS))
    return this.#armed.size > 0 || !this.#ready ? this.#pingMs : idleMs
  }

  #wait(): void {
    clearTimeout(this.#timer)
    if (!this.#open) return
    this.#tickedMs = this.#options.clock.nowMs()
    this.#timer = setTimeout(() => this.#tick(), this.#everyMs())
  }

  #tick(): void {
    const nowMs = this.#options.clock.nowMs()
    const everyMs = this.#everyMs()
    // When this process itself stood still the guard's answers are still unread: judge it from now on.
    if (nowMs - this.#tickedMs > PATIENCE * everyMs) this.#judgedFromMs = nowMs - everyMs
    const silentMs = nowMs - Math.max(this.#heardMs, this.#judgedFromMs)
    const boundMs = this.#ready ? PINGS_MISSED * everyMs : START_MAX_MS
    const owesMs = this.#owesSinceMs === null ? 0 : nowMs - Math.max(this.#owesSinceMs, this.#judgedFromMs)
    if (silentMs > boundMs && owesMs >= PATIENCE * everyMs) {
      const since = this.#ready ? '' : ` since its start ${Math.round(nowMs - this.#startedMs)} ms ago`
      this.#gone(`the guard is silent for ${Math.round(silentMs)} ms${since}`)
      return
    }
    // An arm is answered as a ping is, so a leader that renews needs few pings beside it.
    if (nowMs - this.#askedMs >= ASK_EVERY * everyMs) {
      this.#pings += 1
      this.#ask({ do: 'ping', n: this.#pings })
    }
    this.#wait()
  }

  #gone(because: string): void {
    if (!this.#open) return
    this.#open = false
    clearTimeout(this.#timer)
    this.#options.onGone(because)
  }
}

/** The kernel names working directories by their real path. What is not there yet is resolved as far as it is. */
function resolved(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    const parent = dirname(path)
    return parent === path ? path : join(resolved(parent), basename(path))
  }
}
