/** The agent's side of a freeze: starts the dead-man and its keeper, gives the word, keeps what they say. */
import { type ChildProcess, spawn } from 'node:child_process'
import type { Writable } from 'node:stream'
import type { ProcessId } from '../io/process-tree.ts'
import type { DeadmanView, Order } from './deadman.ts'
import { lineSplitter } from './lines.ts'
import { deadmanProgram, GUARD_ARGUMENTS, PROGRAM_FD } from './program.ts'
import type { EngineHome } from './standstill.ts'

/** Two processes of Node on a busy host. */
const READY_MS = 8_000

export interface FreezeOptions {
  readonly fencers: readonly ProcessId[]
  readonly engines: readonly EngineHome[]
  readonly forMs: number
  readonly delayMs: number
  readonly door: NonNullable<Order['door']>
}

export interface Freeze {
  /** Where the dead-man answers; null: it could not listen. */
  readonly port: number | null
  readonly pids: readonly number[]
  /** What the dead-man last said; null before the processes stand. */
  view(): DeadmanView | null
  go(): void
  lift(): void
  /** Ends both; what they stopped runs again. */
  discard(): void
}

/** Resolves when both dead-men are there; nothing is stopped before `go`. Rejects when they do not come up. */
export async function prepareFreeze(options: FreezeOptions): Promise<Freeze> {
  const { fencers, engines, forMs, delayMs, door } = options
  const program = await deadmanProgram()
  const keeper = new Watcher({ fencers, engines, forMs, delayMs, door: null }, program)
  // A keeper that stayed would end a later freeze of the same engine.
  const onView = (view: DeadmanView): void => {
    if (view.lateMs !== null) keeper.say('lift')
  }
  const first = new Watcher({ fencers, engines, forMs, delayMs, door }, program, onView)
  const discard = (): void => {
    for (const one of [first, keeper]) one.end()
  }
  try {
    await Promise.all([first.ready, keeper.ready])
  } catch (error) {
    discard()
    throw error
  }
  return {
    port: first.port,
    pids: [first, keeper].flatMap((one) => (one.pid === null ? [] : [one.pid])),
    view: () => first.view,
    go: () => {
      // The keeper first: from here on somebody will let go.
      keeper.say('go')
      first.say('go')
    },
    lift: () => {
      first.say('lift')
      keeper.say('lift')
    },
    discard,
  }
}

class Watcher {
  readonly ready: Promise<void>
  port: number | null = null
  view: DeadmanView | null = null
  readonly #child: ChildProcess
  readonly #onView: (view: DeadmanView) => void

  constructor(order: Order, program: string, onView: (view: DeadmanView) => void = () => {}) {
    this.#onView = onView
    // A group of its own: neither Ctrl-C nor the end of the agent reaches it.
    this.#child = spawn(process.execPath, [...GUARD_ARGUMENTS], {
      cwd: '/',
      detached: true,
      env: {},
      stdio: ['pipe', 'pipe', 'ignore', 'pipe'],
    })
    this.#child.unref()
    const door = this.#child.stdio[PROGRAM_FD] as Writable | null | undefined
    door?.on('error', () => {})
    door?.end(program)
    this.#child.stdin?.on('error', () => {})
    this.#child.stdin?.write(`${JSON.stringify(order)}\n`)
    this.ready = new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`the dead-man was not there within ${READY_MS} ms`)), READY_MS)
      const settle = (error: Error | null): void => {
        clearTimeout(timer)
        if (error === null) resolve()
        else reject(error)
      }
      this.#child.on('error', (error) => settle(error))
      this.#child.on('exit', (code, signal) => settle(new Error(`the dead-man ended with ${signal ?? code}`)))
      const splitter = lineSplitter()
      this.#child.stdout?.on('error', () => {})
      this.#child.stdout?.on('data', (chunk: Buffer) => {
        for (const line of splitter.push(chunk)) if (line !== null) this.#hear(line, () => settle(null))
      })
    })
    // Whoever waits sees it; a watcher that ends later is no defect of the process.
    this.ready.catch(() => undefined)
  }

  get pid(): number | null {
    return this.#child.pid ?? null
  }

  say(word: string): void {
    if (this.#child.stdin?.writable) this.#child.stdin.write(`${word}\n`)
  }

  end(): void {
    this.#child.kill('SIGTERM')
  }

  #hear(line: string, ready: () => void): void {
    const words = JSON.parse(line) as { is: string; port: number | null } & DeadmanView
    if (words.is === 'ready') {
      this.port = words.port
      ready()
    } else {
      this.view = words
      this.#onView(words)
    }
  }
}
