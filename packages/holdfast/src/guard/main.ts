/**
 * The guard process: reads lines from the agent on stdin, kills at the deadline, answers on stdout. Touches no disk,
 * no network, no store and no database; `/proc` and signals are all it needs (R3). What to decide is in `guard.ts`.
 *
 * It outlives its agent: with stdin closed it keeps every deadline, fences at each, and ends when none is left.
 */
import { writeFileSync } from 'node:fs'
import { constants, setPriority } from 'node:os'
import type { Readable, Writable } from 'node:stream'
import { systemClock } from '../io/clock.ts'
import { killTreeSync } from '../io/process-tree.ts'
import { GuardTable } from './guard.ts'
import { lineSplitter, toGuardOf } from './lines.ts'
import type { FromGuard, ToGuard } from './protocol.ts'
import { type Watchdog, watchdog } from './watchdog.ts'

/** Timers may be late under load; close to a deadline the guard looks again after each short sleep. */
const NEAR_MS = 8
/** The longest sleep while something is armed, so that a late timer costs little. */
const SLEEP_MAX_MS = 250
/** The first strike waits this long to see the member gone; later ones do not, other members have deadlines too. */
const STRIKE_BOUND_MS = 20
/** An agent that does not read gets no answers beyond this; it will see missing pongs. */
const ANSWERS_BYTES_MAX = 262_144
/** The first bad lines are told, then only their count at powers of two. */
const BAD_LINES_TOLD = 3

export interface GuardStreams {
  readonly input: Readable
  readonly output: Writable
  readonly complaints: Writable
}

/** Runs until the agent is gone and nothing is armed; the result is the exit code. */
export function runGuard(streams?: GuardStreams): Promise<number> {
  if (!streams) standOut()
  const { stdin, stdout, stderr } = process
  return new Guard(streams ?? { input: stdin, output: stdout, complaints: stderr }).run()
}

class Guard {
  readonly #streams: GuardStreams
  readonly #table = new GuardTable()
  #dog: Watchdog | null = null
  #timer: NodeJS.Timeout | undefined
  #badLines = 0
  #orphaned = false
  /** Nobody may count on us while the watchdog it requires is not there (R4). The deadlines are kept all the same. */
  #withheld = false
  #finish: (code: number) => void = () => {}

  constructor(streams: GuardStreams) {
    this.#streams = streams
  }

  run(): Promise<number> {
    const { input, output, complaints } = this.#streams
    const splitter = lineSplitter()
    const orphan = (): void => {
      this.#orphaned = true
      this.#wake()
    }
    return new Promise((resolve) => {
      this.#finish = resolve
      input.on('data', (chunk: Buffer) => {
        for (const text of splitter.push(chunk)) {
          this.#strike()
          const line = text === null ? null : toGuardOf(text)
          if (line) this.#hear(line)
          else this.#bad(text === null ? 'a line over the bound' : 'a line that is not understood')
        }
        this.#wake()
      })
      for (const event of ['end', 'close', 'error']) input.on(event, orphan)
      for (const stream of [output, complaints]) stream.on('error', () => {})
      this.#tell({ is: 'ready', pid: process.pid })
    })
  }

  #bad(what: string): void {
    this.#badLines += 1
    const count = this.#badLines
    const told = count <= BAD_LINES_TOLD || (count & (count - 1)) === 0
    const { complaints } = this.#streams
    if (!told || complaints.writableLength > ANSWERS_BYTES_MAX) return
    complaints.write(`guard: ${what} ignored (${count} so far)\n`)
  }

  #tell(answer: FromGuard): void {
    const { output } = this.#streams
    if (this.#orphaned || output.writableLength > ANSWERS_BYTES_MAX) return
    output.write(`${JSON.stringify(answer)}\n`)
  }

  /** Kills what is due. Runs first on every wake-up, whatever woke us (G1). */
  #strike(): void {
    for (const { member, quarry, again } of this.#table.due(systemClock.nowMs())) {
      const boundMs = again ? 0 : STRIKE_BOUND_MS
      const found = killTreeSync(quarry.dataDir, quarry.mainPid, { boundMs })
      this.#table.struck(member, found, systemClock.nowMs())
    }
  }

  #wake(): void {
    this.#strike()
    for (const answer of this.#table.answers()) if (answer.is !== 'armed' || !this.#withheld) this.#tell(answer)
    clearTimeout(this.#timer)
    const nextMs = this.#table.nextMs()
    if (nextMs === null) {
      this.#dog?.stop()
      if (this.#orphaned) this.#finish(0)
      return
    }
    const leftMs = nextMs - systemClock.nowMs()
    const sleepMs = leftMs > NEAR_MS ? Math.min(leftMs - NEAR_MS / 2, SLEEP_MAX_MS) : Math.max(1, leftMs)
    this.#timer = setTimeout(() => this.#wake(), sleepMs)
  }

  #hear(line: ToGuard): void {
    if (line.do === 'watchdog' && this.#dog === null) {
      this.#dog = watchdog(line)
      this.#tell({ is: 'watchdog', ...this.#dog.check() })
    }
    const known = this.#table.hear(line, systemClock.nowMs())
    if (!known) this.#bad(`a line that fits nothing known (${line.do})`)
    if (!known || line.do !== 'arm' || !this.#dog) return
    const opened = this.#dog.open()
    this.#withheld = this.#dog.required && !opened.ok
    this.#tell({ is: 'watchdog', ...opened })
    // Fed by confirmed renewals only, and never while something is past its deadline and alive.
    if (opened.ok && !this.#table.overdue()) this.#dog.feed()
  }
}

/** Best effort: being ready in time matters more than anything else on the host, and costs next to nothing. */
function standOut(): void {
  process.title = 'holdfast guard'
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
  const attempts = [
    () => setPriority(0, constants.priority.PRIORITY_HIGHEST),
    () => writeFileSync('/proc/self/oom_score_adj', '-900'),
  ]
  for (const attempt of attempts) {
    try {
      attempt()
    } catch {
      // Without privileges the guard runs as any other process; the deadline still holds on a host that is not starved.
    }
  }
}

if (import.meta.main) process.exit(await runGuard())
