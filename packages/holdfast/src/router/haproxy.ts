/**
 * HAProxy as the relay of a router: starts it beside the router, tells it by its runtime API whom to let in where, and
 * starts it anew when it ends. What it is told is decided in `core/routing`.
 *
 * A relay that does not do what it is told, or does not answer in time, is killed, which cuts everybody: so a turn has
 * always happened when its promise is fulfilled. It ends with the router: by signal, by its parent's death where the
 * system can (Linux, util-linux), and at the latest by missing the router's pulse, which cuts its sessions.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type RelayMode, sameMode } from '../core/routing/relay.ts'
import { HoldfastError } from '../errors.ts'
import { systemClock } from '../io/clock.ts'
import { isProgram, programPath } from '../io/program-path.ts'
import {
  ALIVE,
  ASK_COUNTS,
  commandsFor,
  countsIn,
  type HaproxyPlan,
  haproxyText,
  type RelayCounts,
  type RelayDoor,
} from './haproxy-text.ts'

export interface HaproxyOptions {
  readonly doors: readonly RelayDoor[]
  /** Of the program; null: looked for in PATH. */
  readonly program: string | null
  /** It ended by itself or was killed for not obeying; it starts again. */
  readonly onEnded: (because: string) => void
}

/** Commands take a millisecond; one that takes longer than this cannot be counted on. */
const COMMAND_MS = 500
const START_MS = 5_000
const RESTART_MS = 100
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
  #child: ChildProcess | null = null
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
      socket.end(ALIVE)
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
      const plan: HaproxyPlan = { doors: this.#options.doors, socket: this.#socket, pulsePort }
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
    const because = await this.#told(commandsFor(door, mode, cut))
    if (because === null) return
    this.#words = `it did not do what it was told: ${because}`
    await this.#kill()
  }

  #listens(): Promise<boolean> {
    return this.#ask('show info').then(
      (answer) => answer !== '',
      () => false,
    )
  }

  /** Null when it was done; else why not. Every command of ours is silent when it succeeds. */
  async #told(commands: string): Promise<string | null> {
    try {
      const answer = (await this.#ask(commands)).trim()
      return answer === '' ? null : answer.slice(0, WORDS_MAX)
    } catch (error) {
      return error instanceof Error ? error.message : String(error)
    }
  }

  #ask(commands: string): Promise<string> {
    return new Promise((resolve, reject) => {
      let answer = ''
      const socket = connect(this.#socket)
      const timer = setTimeout(() => socket.destroy(new Error(`no answer within ${COMMAND_MS} ms`)), COMMAND_MS)
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
    const child = spawn(first, rest, { stdio: ['ignore', 'ignore', 'pipe'] })
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
    if (ended || systemClock.nowMs() >= untilMs) {
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
    this.#child = child
    void gone.then(() => this.#ended(program, child))
    for (const [group, mode] of this.#modes) void this.turn(group, mode, false)
    await this.#turns
  }

  #ended(program: string, child: ChildProcess): void {
    if (this.#child !== child) return
    this.#child = null
    this.#counts = new Map()
    if (this.#closed) return
    this.#options.onEnded(`it ended: ${this.#words.trim() || 'it said nothing'}`)
    this.#again(program)
  }

  #again(program: string): void {
    this.#timer = setTimeout(() => {
      if (this.#closed) return
      this.#begin(program).catch((error: Error) => {
        this.#options.onEnded(error.message)
        if (!this.#closed) this.#again(program)
      })
    }, RESTART_MS)
  }

  async #kill(): Promise<void> {
    const child = this.#child
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
