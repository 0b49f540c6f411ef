/**
 * One member's engine commands, one at a time. A new command supersedes the one that runs, except a fence, which
 * everything waits for and which itself waits for nobody. Looks at the engine between commands are the feed's.
 *
 * Invariants: every command ends with exactly one outcome within its deadline plus `GRACE_MS`; no command but a fence
 * starts while another still runs inside the adapter; a fence is done only when nothing that ran before it can still
 * start a process.
 */
import type { EngineCommand, EngineOutcome } from '../core/protocol.ts'
import type { CallOptions, Done, EngineAdapter, EngineEndpoint, Progress } from '../engines/contract.ts'

/** Adapters keep their own deadlines; the shell's stands a little later and catches one that does not. */
export const GRACE_MS = 250

/** Before a restart that was asked for; a server with much in memory takes minutes to write it. */
const CHECKPOINT_MS = 300_000
const STOP_MS = 120_000

export interface LaneOptions {
  readonly adapter: EngineAdapter
  readonly endpointOf: (member: string) => EngineEndpoint | null
  /** From the newest record of the group; a member with another one is not followed. */
  readonly systemId: () => string | null
  readonly onFinished: (command: EngineCommand['do'], tookMs: number, ok: boolean) => void
  readonly nowMs: () => number
}

export interface Work {
  readonly step: string
  readonly done: number
  readonly total: number | null
}

interface Running {
  readonly command: EngineCommand['do']
  readonly abort: AbortController
  /** Settles when the adapter's call has really ended, however late. */
  readonly settled: Promise<void>
}

const SUPERSEDED: EngineOutcome = { ok: false, because: 'superseded', retryable: true }

export class EngineLane {
  readonly #options: LaneOptions
  #running: Running | null = null
  #ticket = 0
  #work: Work | null = null

  constructor(options: LaneOptions) {
    this.#options = options
  }

  /** The step of a long command that runs now. */
  get work(): Work | null {
    return this.#work
  }

  get busy(): boolean {
    return this.#running !== null
  }

  /** Never rejects. */
  async run(command: EngineCommand, deadlineMs: number): Promise<EngineOutcome> {
    const ticket = ++this.#ticket
    const before = this.#running
    if (command.do === 'fence') return this.#fence(deadlineMs, before)
    if (before !== null) {
      if (before.command !== 'fence') before.abort.abort(new Error('superseded'))
      if (!(await settledWithin(before.settled, deadlineMs))) {
        return { ok: false, because: `${before.command} does not end`, retryable: true }
      }
      if (ticket !== this.#ticket) return SUPERSEDED
    }
    return this.#start(command, deadlineMs)
  }

  /** Aborts what runs; for the end of the agent. */
  async close(): Promise<void> {
    this.#ticket++
    const running = this.#running
    running?.abort.abort(new Error('the agent ends'))
    if (running !== null) await settledWithin(running.settled, GRACE_MS)
  }

  #fence(deadlineMs: number, before: Running | null): Promise<EngineOutcome> {
    if (before !== null && before.command !== 'fence') before.abort.abort(new Error('superseded by a fence'))
    const work = this.#fenceTwice(deadlineMs, before === null || before.command === 'fence' ? null : before)
    this.#occupy({ command: 'fence', abort: new AbortController(), settled: work.then(noop, noop) })
    return work
  }

  /** What was aborted may start a process after the first kill: look again once it has really ended. */
  async #fenceTwice(deadlineMs: number, before: Running | null): Promise<EngineOutcome> {
    const startedMs = this.#options.nowMs()
    const first = await this.#perform({ do: 'fence' }, deadlineMs, new AbortController()).outcome
    if (before === null || !first.ok) return first
    const leftMs = Math.max(1, deadlineMs - (this.#options.nowMs() - startedMs))
    if (!(await settledWithin(before.settled, leftMs))) {
      return { ok: false, because: `${before.command} does not end`, retryable: true }
    }
    return this.#perform({ do: 'fence' }, leftMs, new AbortController()).outcome
  }

  #start(command: EngineCommand, deadlineMs: number): Promise<EngineOutcome> {
    const abort = new AbortController()
    const { outcome, settled } = this.#perform(command, deadlineMs, abort)
    this.#occupy({ command: command.do, abort, settled })
    return outcome
  }

  #occupy(running: Running): void {
    this.#running = running
    void running.settled.then(() => {
      if (this.#running !== running) return
      this.#running = null
      this.#work = null
    })
  }

  #perform(
    command: EngineCommand,
    deadlineMs: number,
    abort: AbortController,
  ): { outcome: Promise<EngineOutcome>; settled: Promise<void> } {
    const startedMs = this.#options.nowMs()
    const progress: Progress = (step, done, total) => {
      if (!abort.signal.aborted) this.#work = { step, done, total }
    }
    const call = this.#call(command, { deadlineMs, signal: abort.signal, progress })
    const outcome = new Promise<EngineOutcome>((resolve) => {
      const timer = setTimeout(() => {
        resolve({ ok: false, because: `${command.do}: no end within ${deadlineMs} ms`, retryable: true })
        abort.abort(new Error('deadline'))
      }, deadlineMs + GRACE_MS)
      abort.signal.addEventListener('abort', () => resolve(SUPERSEDED), { once: true })
      call.then(resolve, (error: unknown) => resolve(thrown(error))).finally(() => clearTimeout(timer))
    })
    const told = outcome.then((result) => {
      this.#options.onFinished(command.do, this.#options.nowMs() - startedMs, result.ok)
      return result
    })
    return { outcome: told, settled: call.then(noop, noop) }
  }

  async #call(command: EngineCommand, options: CallOptions): Promise<Done> {
    const { adapter, endpointOf, systemId } = this.#options
    switch (command.do) {
      case 'create':
        return adapter.create(command.epoch, command.sync, options)
      case 'follow': {
        const upstream = command.upstream === null ? null : endpointOf(command.upstream)
        if (upstream === null && command.upstream !== null) {
          return { ok: false, because: `member ${command.upstream} has no address here`, retryable: false }
        }
        const at = { epoch: command.epoch, timeline: command.timeline, systemId: systemId() }
        if (command.afresh === true) {
          const stopped = await stoppedFirst(adapter, options)
          if (!stopped.ok) return stopped
        }
        return adapter.follow(upstream, at, options)
      }
      case 'freeze':
        return adapter.freeze(command.epoch, options)
      case 'promote':
        return adapter.promote(command.epoch, command.sync, options)
      case 'restart':
        return adapter.restart(command.epoch, command.sync, options)
      case 'apply-sync':
        return adapter.applySync(command.sync, options)
      case 'checkpoint':
        return adapter.checkpoint(options)
      case 'stop':
        // The core stops an engine only to hand over; the end of the agent stops it for good (farewell.ts).
        return adapter.demote?.(options) ?? adapter.stop(options)
      case 'fence':
        return adapter.fence(options)
    }
  }
}

/** What is on the disk before the stop need not be written by it, and not be read again by the start. */
async function stoppedFirst(adapter: EngineAdapter, options: CallOptions): Promise<Done> {
  await adapter.checkpoint({ ...options, deadlineMs: Math.min(options.deadlineMs, CHECKPOINT_MS) })
  return adapter.stop({ ...options, deadlineMs: Math.min(options.deadlineMs, STOP_MS) })
}

function thrown(error: unknown): EngineOutcome {
  return { ok: false, because: `defect: ${error instanceof Error ? error.message : String(error)}`, retryable: false }
}

function settledWithin(settled: Promise<void>, ms: number): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), ms)
    void settled.then(() => {
      clearTimeout(timer)
      resolve(true)
    })
  })
}

function noop(): void {}
