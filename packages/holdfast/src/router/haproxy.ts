/**
 * HAProxy as the relay of a router: starts it beside the router, tells it by its runtime API whom to let in where, and
 * starts it anew when it ends. What it is told is decided in `core/routing`.
 *
 * A relay that does not do what it is told, or does not answer in time, is killed, which cuts everybody: so a turn has
 * always happened when its promise is fulfilled. It ends with the router: by signal, by its parent's death where the
 * system can (Linux, util-linux), and at the latest by missing the router's pulse, which cuts its sessions.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { lookup } from 'node:dns/promises'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, isIP, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type RelayMode, sameMode } from '../core/routing/relay.ts'
import { HoldfastError } from '../errors.ts'
import { systemClock } from '../io/clock.ts'
import { isProgram, programPath } from '../io/program-path.ts'
import { freshId } from '../io/random.ts'
import {
  ASK_COUNTS,
  askSessions,
  countsIn,
  cutCommands,
  type HaproxyPlan,
  haproxyText,
  modeCommands,
  type RelayCounts,
  type RelayDoor,
  sessionsIn,
} from './haproxy-text.ts'

export interface HaproxyOptions {
  readonly doors: readonly RelayDoor[]
  /** Of the program; null: looked for in PATH. */
  readonly program: string | null
  /** How long a client waits before the relay at most. */
  readonly patienceMs: number
  /** It ended by itself or was killed for not obeying; it starts again. */
  readonly onEnded: (because: string) => void
}

/** Commands take a millisecond; one that takes longer than this cannot be counted on. */
const COMMAND_MS = 500
const LOOKUP_MS = 500
const START_MS = 5_000
/** The first time; doubled each time it ends at once again. */
const RESTART_MS = 100
const RESTART_MAX_MS = 2_000
/** A session that was ended is gone within a few milliseconds. */
const CUT_LOOK_MS = 2
/** Ends every line of commands: only who carried out all of them says so. */
const THE_END = { ask: 'show cli level', answer: 'admin' }
const LOOK_MS = 20
const COUNT_EVERY_MS = 2_000
const ANSWER_BYTES_MAX = 1_048_576
const WORDS_MAX = 2_000
const run = promisify(execFile)

export class Haproxy {
  readonly #options: HaproxyOptions
  readonly #folder: string
  readonly #pulse: Server
  readonly #modes = new Map<string, RelayMode>()
  /** Where it leads each group's clients now. */
  readonly #leadsTo = new Map<string, RelayMode>()
  /** Takes commands. */
  #child: ChildProcess | null = null
  /** Started, and does not take commands yet. */
  #starting: ChildProcess | null = null
  #restartMs = RESTART_MS
  readonly #pulseWord = freshId()
  #words = ''
  #turns: Promise<void> = Promise.resolve()
  #counts: ReadonlyMap<string, RelayCounts> = new Map()
  #timer: NodeJS.Timeout | undefined
  #counting: NodeJS.Timeout | undefined
  #closed = false

  constructor(options: HaproxyOptions) {
    this.#options = options
    this.#folder = mkdtempSync(join(tmpdir(), 'holdfast-relay-'))
    this.#pulse = createServer((socket) => {
      socket.on('error', () => {})
      socket.end(this.#pulseWord)
    })
    this.#pulse.unref()
  }

  /** Throws `HF_RELAY_MISSING` without a usable HAProxy, `HF_LISTEN_FAILED` when it cannot listen. */
  async start(): Promise<void> {
    try {
      const program = this.#program()
      await new Promise<void>((resolve, reject) => {
        this.#pulse.once('error', reject)
        this.#pulse.listen({ host: '127.0.0.1', port: 0 }, () => resolve())
      })
      const address = this.#pulse.address()
      const pulsePort = typeof address === 'object' && address ? address.port : 0
      const { doors, patienceMs } = this.#options
      const plan: HaproxyPlan = { doors, socket: this.#socket, pulsePort, pulseWord: this.#pulseWord, patienceMs }
      writeFileSync(this.#file, haproxyText(plan), { mode: 0o600 })
      await this.#verify(program)
      await this.#begin(program)
    } catch (error) {
      await this.close()
      throw error
    }
    this.#counting = setInterval(() => void this.#count(), COUNT_EVERY_MS)
    this.#counting.unref()
  }

  get running(): boolean {
    return this.#child !== null
  }

  get pid(): number | null {
    return this.#child?.pid ?? null
  }

  /** What went through each group's relay, some seconds old at most. */
  counts(group: string): RelayCounts {
    return this.#counts.get(group) ?? { sessions: 0, accepted: 0, bytesUp: 0, bytesDown: 0 }
  }

  /** Null while it changes, or does not run. */
  leadsTo(group: string): RelayMode | null {
    return this.#child === null ? null : (this.#leadsTo.get(group) ?? null)
  }

  /** Fulfilled once it is so, at the latest because the relay is gone. Turns are done one after the other. */
  turn(group: string, mode: RelayMode, cut: boolean): Promise<void> {
    this.#modes.set(group, mode)
    this.#turns = this.#turns.then(() => this.#turn(group, mode, cut))
    return this.#turns
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    clearInterval(this.#counting)
    await this.#kill()
    if (this.#pulse.listening) await new Promise((resolve) => this.#pulse.close(resolve))
    rmSync(this.#folder, { recursive: true, force: true })
  }

  get #file(): string {
    return join(this.#folder, 'haproxy.cfg')
  }

  get #socket(): string {
    return join(this.#folder, 'commands')
  }

  async #turn(group: string, mode: RelayMode, cut: boolean): Promise<void> {
    const door = this.#options.doors.find((one) => one.group === group)
    if (door === undefined || this.#child === null) return
    // A newer turn waits behind this one; what only opens is left to it, a cut never.
    const latest = this.#modes.get(group) ?? mode
    if (!cut && !sameMode(latest, mode)) return
    const because = (cut ? await this.#cut(door) : null) ?? (await this.#lead(door, latest))
    if (because === null) return
    this.#words = `it did not do what it was told: ${because}`
    await this.#kill()
  }

  /** Null once no session of a member is left; else why not. */
  async #cut(door: RelayDoor): Promise<string | null> {
    const untilMs = systemClock.nowMs() + COMMAND_MS
    this.#leadsTo.delete(door.group)
    for (;;) {
      // Again each time: a client that was being joined at that very moment is not met by the first.
      const because = await this.#told(cutCommands(door))
      if (because !== null) return because
      const left = await this.#ask(askSessions(door.group)).then(sessionsIn, () => Number.NaN)
      if (left === 0 || door.members.length === 0) return null
      if (systemClock.nowMs() > untilMs) return `${left} sessions do not end`
      await sleep(CUT_LOOK_MS)
    }
  }

  async #lead(door: RelayDoor, mode: RelayMode): Promise<string | null> {
    if (mode.to === 'member') await this.#readdress(door, mode.member)
    const because = await this.#told(modeCommands(door, mode))
    if (because === null) this.#leadsTo.set(door.group, mode)
    return because
  }

  /** A name may stand for another address than when HAProxy was started. */
  async #readdress({ group, members }: RelayDoor, member: string): Promise<void> {
    const target = members.find((one) => one.member === member)
    if (target === undefined || isIP(target.host) !== 0) return
    const found = await Promise.race([lookup(target.host).catch(() => null), sleep(LOOKUP_MS)])
    if (!found) return
    await this.#ask(`set server ${group}/${member} addr ${found.address} port ${target.port}`).catch(() => undefined)
  }

  #listens(): Promise<boolean> {
    return this.#ask('show info').then(
      (answer) => answer !== '',
      () => false,
    )
  }

  /** Null when it was done; else why not. Every command of ours is silent when it succeeds, but for the last. */
  async #told(commands: string): Promise<string | null> {
    try {
      const answer = (await this.#ask(`${commands}; ${THE_END.ask}`)).trim()
      return answer === THE_END.answer ? null : answer.slice(0, WORDS_MAX) || 'it said nothing'
    } catch (error) {
      return error instanceof Error ? error.message : String(error)
    }
  }

  #ask(commands: string): Promise<string> {
    return new Promise((resolve, reject) => {
      let answer = ''
      const socket = connect(this.#socket)
      // After what has come meanwhile was read: it may be this process that stood still.
      const late = () => setImmediate(() => socket.destroy(new Error(`no answer within ${COMMAND_MS} ms`)))
      const timer = setTimeout(late, COMMAND_MS)
      socket.setEncoding('utf8')
      socket.on('connect', () => socket.write(`${commands}\n`))
      socket.on('data', (text: string) => {
        answer += text
        if (answer.length > ANSWER_BYTES_MAX) socket.destroy(new Error('the answer is too long'))
      })
      socket.on('error', (error) => {
        clearTimeout(timer)
        reject(error)
      })
      socket.on('close', () => {
        clearTimeout(timer)
        resolve(answer)
      })
    })
  }

  #program(): string {
    const wanted = this.#options.program
    const found = wanted === null ? programPath('haproxy') : isProgram(wanted) ? wanted : null
    if (found !== null) return found
    throw new HoldfastError(
      'HF_RELAY_MISSING',
      'this router is to relay with HAProxy, and there is none on this machine',
      'install haproxy 2.4 or newer, or leave `relay` out: the router then carries the bytes itself',
    )
  }

  async #verify(program: string): Promise<void> {
    try {
      await run(program, ['-c', '-q', '-f', this.#file], { timeout: START_MS })
    } catch (error) {
      const words = (error as { stderr?: string }).stderr?.trim() || String(error)
      throw new HoldfastError(
        'HF_RELAY_MISSING',
        `HAProxy at ${program} does not take its configuration: ${words.slice(0, WORDS_MAX)}`,
        'install haproxy 2.4 or newer, or leave `relay` out',
        error,
      )
    }
  }

  /** A started process that takes commands, with every group in its present mode. */
  async #begin(program: string): Promise<void> {
    const command = [program, '-db', '-f', this.#file]
    const [first = program, ...rest] = isProgram(SETPRIV) ? [SETPRIV, '--pdeathsig', 'KILL', ...command] : command
    // Secrets of the environment are none of its business.
    const child = spawn(first, rest, { stdio: ['ignore', 'ignore', 'pipe'], env: {} })
    this.#starting = child
    this.#words = ''
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#words = (this.#words + text).slice(-WORDS_MAX)
    })
    const gone = new Promise<void>((resolve) => {
      child.once('error', (error) => {
        this.#words += error.message
        resolve()
      })
      child.once('exit', () => resolve())
    })
    const untilMs = systemClock.nowMs() + START_MS
    let ended = false
    void gone.then(() => {
      ended = true
    })
    while (!ended && !(await this.#listens()) && systemClock.nowMs() < untilMs) await sleep(LOOK_MS)
    if (ended || this.#closed || systemClock.nowMs() >= untilMs) {
      this.#starting = null
      child.kill('SIGKILL')
      await gone
      const places = this.#options.doors.map(({ listen }) => `${listen.host}:${listen.port}`).join(', ')
      const words = this.#words.trim() || `it took no command within ${START_MS} ms`
      throw new HoldfastError(
        'HF_LISTEN_FAILED',
        `HAProxy cannot serve ${places}: ${words}`,
        'end what listens there, or give the door another address',
      )
    }
    // Nobody may take it for ready before it knows where to lead.
    for (const [group, mode] of this.#modes) {
      const door = this.#options.doors.find((one) => one.group === group)
      if (door !== undefined) await this.#lead(door, mode)
    }
    this.#starting = null
    this.#child = child
    void gone.then(() => this.#ended(program, child))
    for (const [group, mode] of this.#modes) void this.turn(group, mode, false)
    await this.#turns
    this.#restartMs = RESTART_MS
  }

  #ended(program: string, child: ChildProcess): void {
    if (this.#child !== child) return
    this.#child = null
    this.#counts = new Map()
    this.#leadsTo.clear()
    if (this.#closed) return
    this.#options.onEnded(`it ended: ${this.#words.trim() || 'it said nothing'}`)
    this.#again(program)
  }

  #again(program: string): void {
    this.#timer = setTimeout(() => {
      if (this.#closed) return
      this.#begin(program).catch((error: Error) => {
        if (this.#closed) return
        this.#options.onEnded(error.message)
        this.#again(program)
      })
    }, this.#restartMs)
    this.#restartMs = Math.min(RESTART_MAX_MS, 2 * this.#restartMs)
  }

  async #kill(): Promise<void> {
    const child = this.#child ?? this.#starting
    if (child === null || child.exitCode !== null || child.signalCode !== null) return
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
    child.kill('SIGKILL')
    await gone
  }

  async #count(): Promise<void> {
    if (this.#child === null) return
    this.#counts = await this.#ask(ASK_COUNTS).then(countsIn, () => this.#counts)
  }
}

const SETPRIV = '/usr/bin/setpriv'

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
