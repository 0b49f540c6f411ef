/**
 * Child processes of `holdfast up`: started, started again after they fell, ended in order. Each gets a session of its
 * own, so that Ctrl-C reaches only `up`, and a pipe whose end tells it that `up` is gone. Their log lines go to files.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { systemClock } from '../io/clock.ts'
import { EXIT } from './exit-codes.ts'
import { privateFolder } from './private-folder.ts'
import { PARENT_PIPE } from './run-command.ts'

export interface ChildOptions {
  readonly title: string
  /** Words after `holdfast`. */
  readonly words: readonly string[]
  readonly logFile: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly say: (line: string) => void
  /** It cannot run: it fell too often before it was ever ready. */
  readonly onHopeless: (because: string) => void
}

const PROGRAM = fileURLToPath(new URL('../../bin/holdfast.js', import.meta.url))
const AGAIN_MIN_MS = 250
const AGAIN_MAX_MS = 10_000
/** Who ran this long is well; the next fall starts from the shortest wait again. */
const WELL_MS = 30_000
/** Falls before it was ever ready. */
const FALLS_MAX = 3
const TAIL_BYTES = 2_048
/** After a kill the operating system needs a moment. */
const KILLED_MS = 5_000

export class Child {
  readonly #options: ChildOptions
  #process: ChildProcess | null = null
  #timer: NodeJS.Timeout | undefined
  #stopping = false
  #wasReady = false
  #falls = 0
  #againMs = AGAIN_MIN_MS
  #startedMs = 0
  #onReady: () => void = () => {}
  readonly ready = new Promise<void>((resolve) => {
    this.#onReady = resolve
  })

  constructor(options: ChildOptions) {
    this.#options = options
  }

  get title(): string {
    return this.#options.title
  }

  get pid(): number | null {
    return this.#process?.pid ?? null
  }

  start(): void {
    if (this.#stopping) return
    const { words, logFile, env } = this.#options
    privateFolder(dirname(logFile))
    const log = openSync(logFile, 'a', 0o600)
    this.#startedMs = systemClock.nowMs()
    const child = spawn(process.execPath, [...process.execArgv, PROGRAM, ...words], {
      stdio: ['pipe', 'pipe', log],
      detached: true,
      env: { ...env, [PARENT_PIPE]: '1' },
    })
    closeSync(log)
    this.#process = child
    child.stdin?.on('error', () => {})
    if (child.stdout !== null) createInterface({ input: child.stdout }).on('line', (line) => this.#hear(line))
    child.on('error', (error) => this.#fell(error.message))
    child.on('exit', (code, signal) => this.#fell(signal === null ? `code ${code}` : `signal ${signal}`, code))
  }

  /** Asks it to end, and kills it when it has not after `graceMs`. False when it had to be killed. */
  async stop(graceMs: number): Promise<boolean> {
    this.#stopping = true
    clearTimeout(this.#timer)
    const child = this.#process
    if (child === null || child.exitCode !== null || child.signalCode !== null) return true
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
    child.kill('SIGTERM')
    // Before it was ready there was nothing to end in order.
    if (await within(gone, graceMs)) return child.exitCode === EXIT.ok || !this.#wasReady
    this.#options.say(`${this.title} does not end within ${Math.round(graceMs / 1_000)} s and is killed`)
    child.kill('SIGKILL')
    await within(gone, KILLED_MS)
    return false
  }

  #hear(line: string): void {
    // A new server's first account is made with it; a person has to see it.
    if (line.startsWith('one-time code ')) this.#options.say(line)
    if (!/ ready at /.test(line)) return
    this.#options.say(`${line} (pid ${this.pid ?? '?'})`)
    this.#wasReady = true
    this.#falls = 0
    this.#onReady()
  }

  #fell(how: string, code: number | null = null): void {
    if (this.#process === null) return
    this.#process = null
    if (this.#stopping) return
    const { say, onHopeless, logFile } = this.#options
    if (systemClock.nowMs() - this.#startedMs > WELL_MS) this.#againMs = AGAIN_MIN_MS
    this.#falls += 1
    const hopeless = !this.#wasReady && (code === EXIT.usage || this.#falls >= FALLS_MAX)
    if (hopeless) {
      onHopeless(`${this.title} ended with ${how}; the end of ${logFile}:\n${tail(logFile)}`)
      return
    }
    say(`${this.title} ended with ${how}; starting it again in ${this.#againMs} ms (log: ${logFile})`)
    this.#timer = setTimeout(() => this.start(), this.#againMs)
    this.#againMs = Math.min(AGAIN_MAX_MS, this.#againMs * 2)
  }
}

/** True when it settled in time. */
export async function within(promise: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), ms)
  })
  const settled = await Promise.race([promise.then(() => true as const), late])
  clearTimeout(timer)
  return settled
}

/** The last lines of a log, for a person who asks why. */
function tail(file: string): string {
  const descriptor = openSync(file, 'r')
  try {
    const { size } = fstatSync(descriptor)
    const length = Math.min(size, TAIL_BYTES)
    const buffer = Buffer.alloc(length)
    readSync(descriptor, buffer, 0, length, size - length)
    const lines = buffer.toString('utf8').trimEnd().split('\n')
    return lines
      .slice(size > length ? 1 : 0)
      .slice(-8)
      .map((line) => `  ${line}`)
      .join('\n')
  } finally {
    closeSync(descriptor)
  }
}
