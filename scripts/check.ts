/**
 * Everything that must hold before a change is done, in the order in which it is quickest to hear bad news. Prints
 * each step with its time, what went wrong in full, and a summary. Exit code 1 when a step failed. Under 3 minutes.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '../packages/holdfast/src/io/clock.ts'

const ROOT = join(import.meta.dirname, '..')
const NODE_MAJOR = 24
const SIMULATION_SEEDS = 1_000
/** A crowded machine gets through fewer seeds; the simulator says how many. */
const SIMULATION_SECONDS = 45
/** A step that takes longer hangs. */
const STEP_TIMEOUT_MS = 300_000
const OUTPUT_BYTES_MAX = 64_000_000

interface Step {
  readonly name: string
  readonly program: string
  readonly args: readonly string[]
  /** The step waits until this path exists: what it checks is not there yet. */
  readonly onceThereIs?: string
  readonly mend: string
}

const bin = (name: string): string => join(ROOT, 'node_modules', '.bin', name)
const CORE_PROJECT = 'packages/holdfast/src/core/tsconfig.json'
const DASHBOARD_PROJECT = 'packages/dashboard/tsconfig.json'

/** Other seeds in each run; what is printed with a failure repeats it. */
function freshSeeds(): string[] {
  const start = Math.floor(systemClock.wallMs() / 1_000) * SIMULATION_SEEDS
  return ['--seeds', String(SIMULATION_SEEDS), '--seconds', String(SIMULATION_SECONDS), '--start', String(start)]
}

const STEPS: readonly Step[] = [
  {
    name: 'format and lint',
    program: bin('biome'),
    args: ['check', '--error-on-warnings', '--max-diagnostics=50', '.'],
    mend: 'npm run format',
  },
  { name: 'tidy', program: process.execPath, args: ['scripts/tidy.ts'], mend: 'each line above says how' },
  { name: 'types', program: bin('tsc'), args: ['-p', 'tsconfig.json'], mend: 'npm run types' },
  {
    name: 'types of the dashboard',
    program: bin('tsc'),
    args: ['-p', DASHBOARD_PROJECT],
    mend: 'npm run types',
  },
  {
    name: 'purity of the core',
    program: bin('tsc'),
    args: ['-p', CORE_PROJECT],
    mend: 'the core uses the language only: no Node, no timers, no clock; pass in what it needs',
  },
  {
    name: 'schema is up to date',
    program: process.execPath,
    args: ['scripts/schema.ts', '--check'],
    onceThereIs: 'scripts/schema.ts',
    mend: 'npm run schema',
  },
  {
    name: 'errors page is up to date',
    program: process.execPath,
    args: ['scripts/errors-page.ts', '--check'],
    mend: 'npm run errors-page',
  },
  { name: 'unit tests', program: process.execPath, args: ['scripts/test.ts', 'unit'], mend: 'npm run unit' },
  {
    name: 'simulation, fresh and past seeds',
    program: process.execPath,
    args: ['packages/holdfast/bin/holdfast.js', 'sim', '--regressions', ...freshSeeds()],
    onceThereIs: 'packages/holdfast/src/sim/regressions',
    mend: 'the command it prints replays the seed; keep the seed with the repair',
  },
]

type Verdict = 'ok' | 'failed' | 'not yet'

interface Result {
  readonly step: Step
  readonly verdict: Verdict
  readonly seconds: string
}

function perform(step: Step): Result {
  if (step.onceThereIs !== undefined && !existsSync(join(ROOT, step.onceThereIs))) {
    return { step, verdict: 'not yet', seconds: '' }
  }
  const startedMs = systemClock.nowMs()
  const done = spawnSync(step.program, [...step.args], {
    cwd: ROOT,
    encoding: 'utf8',
    timeout: STEP_TIMEOUT_MS,
    maxBuffer: OUTPUT_BYTES_MAX,
  })
  const seconds = ((systemClock.nowMs() - startedMs) / 1_000).toFixed(1)
  if (done.status === 0) return { step, verdict: 'ok', seconds }
  process.stdout.write(
    `${done.stdout ?? ''}${done.stderr ?? ''}${done.error === undefined ? '' : done.error.message}\n`,
  )
  return { step, verdict: 'failed', seconds }
}

function lineOf(result: Result): string {
  const time = result.seconds === '' ? '' : `${result.seconds} s`
  return `${result.verdict.padEnd(8)} ${result.step.name.padEnd(34)} ${time}`
}

/** Why this Node cannot run the checks, or null. */
function whyNotThisNode(): string | null {
  const major = Number.parseInt(process.versions.node, 10)
  if (major < NODE_MAJOR) return `Node ${NODE_MAJOR} or newer is needed, this is ${process.versions.node}`
  if (!existsSync(bin('biome')) || !existsSync(bin('tsc'))) return 'the development packages are not installed'
  return null
}

function main(): number {
  const because = whyNotThisNode()
  if (because !== null) {
    console.error(`check: ${because}. Run 'npm ci', then 'npm run check' (npm takes the Node of node_modules).`)
    return 1
  }
  const startedMs = systemClock.nowMs()
  const results: Result[] = []
  for (const step of STEPS) {
    const result = perform(step)
    console.log(lineOf(result))
    results.push(result)
  }
  const failed = results.filter((result) => result.verdict === 'failed')
  const seconds = ((systemClock.nowMs() - startedMs) / 1_000).toFixed(1)
  for (const { step } of failed) console.log(`\n${step.name} failed; to mend: ${step.mend}`)
  console.log(`\ncheck: ${failed.length === 0 ? 'all in order' : `${failed.length} failed`} after ${seconds} s`)
  return failed.length === 0 ? 0 : 1
}

process.exitCode = main()
