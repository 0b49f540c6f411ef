/**
 * `holdfast sim`: past failures first, then fresh seeds, then what they add up to. One seed can be told step by step or
 * made small. Ends cleanly on Ctrl-C with the counts so far. Decides nothing about the product; it only looks.
 */
import { parseArgs } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { emptyTotals, runCounted, type Totals } from './batch.ts'
import { readGoldens, writeGolden } from './golden.ts'
import { hunt } from './planted/hunt.ts'
import { PLANTED } from './planted/list.ts'
import { failureText, round, summary, summaryText } from './report.ts'
import { type RunOptions, runScenario, runSeed } from './run.ts'
import { MIXES, type Mix } from './scenario.ts'
import { shrink } from './shrink.ts'
import { Trace } from './trace.ts'

type Print = (line: string) => void

interface Options {
  readonly seeds: number
  readonly start: number
  readonly seed: number | null
  readonly minutes: number | null
  /** No seed starts after this processor time of the whole process. */
  readonly seconds: number | null
  readonly mix: Mix | null
  readonly trace: boolean
  readonly shrink: boolean
  readonly out: string | null
  readonly planted: boolean
  readonly json: boolean
}

const EXIT = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const
const SEEDS = 100
const SEED_MAX = Number.MAX_SAFE_INTEGER
/** Between two looks at Ctrl-C. */
const SEEDS_PER_TURN = 10
const FAILURES_SHOWN_MAX = 10
const TRACE_LINES_MAX = 100_000
const LAST_DECISIONS = 50

const HELP = `holdfast sim: run the decisions of this version in a simulated world full of faults

  --seeds N        fresh seeds to run (default 100)
  --start S        first seed (default 1)
  --seconds S      stop after so much processor time, however many seeds are left
  --minutes M      run fresh seeds for so many minutes of processor time instead
  --mix NAME       only this mix: ${MIXES.join(', ')}
  --seed N         one seed; with --trace told step by step, with --shrink made small
  --out FILE       where --shrink writes the golden scenario
  --regressions    only the golden scenarios of past failures; with --seeds those first
  --planted        look for the bugs planted on purpose and print the score
  --output json    one JSON line instead of text

Examples:
  holdfast sim --seeds 1000
  holdfast sim --seed 4711 --trace
  holdfast sim --seed 4711 --shrink --out failure.json`

export function run(words: readonly string[], print: Print): Promise<number> {
  return simCommand(words, print)
}

export async function simCommand(argv: readonly string[], print: Print = printLine): Promise<number> {
  if (argv.includes('--help') || argv.includes('-h')) {
    print(HELP)
    return EXIT.ok
  }
  const options = parsed(argv)
  if (typeof options === 'string') {
    print(`holdfast sim: ${options}\n    next: see \`holdfast sim --help\``)
    return EXIT.usage
  }
  const interrupt = { asked: false }
  const onInterrupt = () => {
    interrupt.asked = true
  }
  process.once('SIGINT', onInterrupt)
  try {
    const code = await dispatch(options, interrupt, print)
    return interrupt.asked ? EXIT.interrupted : code
  } finally {
    process.removeListener('SIGINT', onInterrupt)
  }
}

function dispatch(options: Options, interrupt: { asked: boolean }, print: Print): Promise<number> {
  if (options.planted) return planted(options, interrupt, print)
  if (options.seed !== null) return Promise.resolve(oneSeed(options, options.seed, print))
  return batch(options, interrupt, print)
}

function printLine(line: string): void {
  process.stdout.write(`${line}\n`)
}

function parsed(argv: readonly string[]): Options | string {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        seeds: { type: 'string' },
        start: { type: 'string', default: '1' },
        seed: { type: 'string' },
        minutes: { type: 'string' },
        seconds: { type: 'string' },
        mix: { type: 'string' },
        trace: { type: 'boolean', default: false },
        shrink: { type: 'boolean', default: false },
        out: { type: 'string' },
        regressions: { type: 'boolean', default: false },
        planted: { type: 'boolean', default: false },
        output: { type: 'string', default: 'text' },
      },
    })
    const { mix, output } = values
    if (mix !== undefined && !isMix(mix)) return `no mix named ${mix}; there are ${MIXES.join(', ')}`
    if (output !== 'text' && output !== 'json') return `--output is text or json, not ${output}`
    return {
      seeds: values.seeds === undefined ? (values.regressions ? 0 : SEEDS) : whole('--seeds', values.seeds, 1e7),
      start: whole('--start', values.start, SEED_MAX),
      seed: values.seed === undefined ? null : whole('--seed', values.seed, SEED_MAX),
      minutes: values.minutes === undefined ? null : whole('--minutes', values.minutes, 10_000),
      seconds: values.seconds === undefined ? null : whole('--seconds', values.seconds, 1e6),
      mix: mix ?? null,
      trace: values.trace,
      shrink: values.shrink,
      out: values.out ?? null,
      planted: values.planted,
      json: output === 'json',
    }
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

function isMix(name: string): name is Mix {
  return (MIXES as readonly string[]).includes(name)
}

function whole(name: string, text: string, max: number): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 0 || value > max)
    throw new Error(`${name} is a whole number from 0 to ${max}, not ${text}`)
  return value
}

/** Lets signals and timers of this process run. */
function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/**
 * Runs leave much garbage and little else: threads that collect together cost more processor time than they save. The
 * code of each function is compiled at once, because all of it is run thousands of times.
 */
function tuneForRuns(): void {
  setFlagsFromString('--single-threaded-gc')
  setFlagsFromString('--always-sparkplug')
}

/** Processor time: other work on the machine does not make the simulator look slower. */
function processorMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}

// --- many seeds -----------------------------------------------------------------------------------------------------

async function batch(options: Options, interrupt: { asked: boolean }, print: Print): Promise<number> {
  const totals = emptyTotals()
  tuneForRuns()
  const old = regressions(options, print)
  const startedMs = processorMs()
  if (options.seeds > 0 || options.minutes !== null) await freshSeeds(options, totals, interrupt, print)
  const tookMs = processorMs() - startedMs
  if (options.json) print(JSON.stringify({ ...summary(totals, tookMs), regressions: old }))
  else {
    if (old.run > 0) print(`${old.run} past failures run again, ${old.broken.length} broken`)
    if (totals.seeds > 0) {
      print(`seeds from ${options.start}; \`holdfast sim --start ${options.start}\` runs the same ones`)
      print(summaryText(totals, tookMs))
    }
  }
  return totals.failures.length > 0 || old.broken.length > 0 ? EXIT.failed : EXIT.ok
}

async function freshSeeds(
  options: Options,
  totals: Totals,
  interrupt: { asked: boolean },
  print: Print,
): Promise<void> {
  const endMs = options.minutes === null ? Number.POSITIVE_INFINITY : processorMs() + options.minutes * 60_000
  const last = options.minutes === null ? options.start + options.seeds : SEED_MAX
  const mix = options.mix === null ? {} : { mix: options.mix }
  const spent = () => options.seconds !== null && processorMs() > options.seconds * 1_000
  for (let seed = options.start; seed < last && processorMs() < endMs && !spent(); seed += 1) {
    const result = runCounted(totals, seed, mix)
    if (result.violation !== null && !options.json && totals.failures.length <= FAILURES_SHOWN_MAX)
      print(failureText(result))
    if (seed % SEEDS_PER_TURN !== 0) continue
    await breathe()
    if (interrupt.asked) return
  }
}

function regressions(options: Options, print: Print): { run: number; broken: string[] } {
  const broken: string[] = []
  const goldens = readGoldens()
  for (const { name, golden } of goldens) {
    const { violation } = runScenario(golden.scenario)
    if (violation === null) continue
    broken.push(name)
    if (!options.json) print(`${name}: ${golden.about}\n  breaks ${violation.invariant} again: ${violation.what}`)
  }
  return { run: goldens.length, broken }
}

// --- one seed -------------------------------------------------------------------------------------------------------

function oneSeed(options: Options, seed: number, print: Print): number {
  const mix = options.mix === null ? {} : { mix: options.mix }
  const first = runSeed(seed, mix)
  const trace = new Trace(first.scenario.sites.length, TRACE_LINES_MAX)
  if (options.trace || first.violation !== null) {
    const told: RunOptions = { ...mix, onStep: (atMs, host, step) => trace.step(atMs, host, step) }
    runSeed(seed, told)
  }
  if (options.json)
    print(JSON.stringify({ seed, ...first.violation, fingerprint: first.fingerprint, scenario: first.scenario }))
  else {
    for (const line of options.trace ? trace.lines : trace.last(LAST_DECISIONS)) print(line)
    print(
      `${failureText(first)}\nfingerprint ${first.fingerprint}, ${round(first.simulatedMs / 1_000)} simulated seconds`,
    )
  }
  if (options.shrink && first.violation !== null) shrinkSeed(options, first, print)
  return first.violation === null ? EXIT.ok : EXIT.failed
}

function shrinkSeed(options: Options, first: ReturnType<typeof runSeed>, print: Print): void {
  const { scenario, result, runs } = shrink(first, { run: runScenario })
  const path = options.out ?? `seed-${first.seed}.json`
  const about = result.violation?.what ?? ''
  writeGolden(path, { v: 1, about, invariant: result.violation?.invariant ?? '', scenario })
  if (options.json) return
  print(`${first.scenario.faults.length} faults became ${scenario.faults.length} in ${runs} runs; written to ${path}`)
}

// --- planted bugs ---------------------------------------------------------------------------------------------------

async function planted(options: Options, interrupt: { asked: boolean }, print: Print): Promise<number> {
  const found = []
  for (const bug of PLANTED) {
    if (interrupt.asked) break
    const result = hunt(bug, { nowMs: () => processorMs(), startSeed: options.start })
    found.push(result)
    if (!options.json) {
      const how =
        result.seeds === null ? 'NOT FOUND' : `seed ${result.seeds} of ${bug.budgetSeeds} by ${result.invariant}`
      print(`${bug.name.padEnd(28)} ${how.padEnd(32)} ${bug.describe}`)
    }
    await breathe()
  }
  const score = found.filter((f) => f.seeds !== null).length
  if (options.json) print(JSON.stringify({ ok: score === PLANTED.length, score, of: PLANTED.length, found }))
  else print(`${score} of ${PLANTED.length} planted bugs found within their budgets`)
  return score === PLANTED.length ? EXIT.ok : EXIT.failed
}
