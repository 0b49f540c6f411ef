/**
 * Runs tests. `unit`: the fast ones beside the source. `all`: brings the engines, then runs everything. Names decide:
 * `*.test.ts` is fast and needs nothing, `*.engine.test.ts` starts real engines, `*.slow.test.ts` takes its time.
 * Paths after the word narrow the run. Ends with the plain line `N passed, N failed` (and `, N skipped`).
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join, relative } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { inCi } from './ci.ts'

const ROOT = join(import.meta.dirname, '..')
const HOMES = ['packages', 'scripts', 'test', 'bench']
/** Fast files two by two. Engines, agents and clients of one file fill both cores, and leases are a second long. */
const CONCURRENCY = { fast: 2, engines: 1 }
/** A file that takes longer hangs; its tests are then counted as failed. */
const FILE_TIMEOUT_MS = { unit: 60_000, all: 600_000 }
/** A skip that starts with this is about something `npm run engines` should have brought. */
const MISSING_ENGINE = /^needs /

export interface Tally {
  passed: number
  failed: number
  skipped: number
}

export function isWanted(path: string, mode: 'unit' | 'all'): boolean {
  if (!/\.test\.ts$/.test(path)) return false
  return mode === 'all' || !(/\.(engine|slow)\.test\.ts$/.test(path) || /^test\//.test(path))
}

function testFiles(mode: 'unit' | 'all', narrowed: readonly string[]): readonly string[] {
  const files: string[] = []
  for (const home of HOMES.filter((one) => existsSync(join(ROOT, one)))) {
    for (const entry of readdirSync(join(ROOT, home), { recursive: true, withFileTypes: true })) {
      const path = relative(ROOT, join(entry.parentPath, entry.name))
      if (entry.isFile() && !path.includes('node_modules') && isWanted(path, mode)) files.push(path)
    }
  }
  const chosen = narrowed.length === 0 ? files : files.filter((path) => narrowed.some((part) => path.includes(part)))
  return chosen.sort()
}

/** What one finished piece adds. A group adds nothing of itself unless it was skipped whole or failed of itself. */
export function count(tally: Tally, outcome: Outcome, strict: boolean): void {
  if (outcome.kind === 'group' && outcome.skipped === null && (outcome.passed || !outcome.ownFailure)) return
  // A file speaks for itself only when it ran no test: it did not load, ended early, or holds none.
  if (!outcome.passed || outcome.kind === 'file') tally.failed++
  else if (outcome.skipped === null) tally.passed++
  else if (strict && MISSING_ENGINE.test(outcome.skipped)) tally.failed++
  else tally.skipped++
}

export interface Outcome {
  readonly kind: 'test' | 'group' | 'file'
  readonly passed: boolean
  /** A group failed by itself (a hook), not only because a test in it did. */
  readonly ownFailure: boolean
  /** Why it was skipped; null when it ran. */
  readonly skipped: string | null
}

export function finalLine(tally: Tally): string {
  const skipped = tally.skipped === 0 ? '' : `, ${tally.skipped} skipped`
  return `${tally.passed} passed, ${tally.failed} failed${skipped}`
}

async function runFiles(files: readonly string[], mode: 'unit' | 'all'): Promise<Tally> {
  const fast = files.filter((path) => isWanted(path, 'unit'))
  const engines = files.filter((path) => !isWanted(path, 'unit'))
  const first = await runSome(fast, mode, CONCURRENCY.fast)
  const second = await runSome(engines, mode, CONCURRENCY.engines)
  return {
    passed: first.passed + second.passed,
    failed: first.failed + second.failed,
    skipped: first.skipped + second.skipped,
  }
}

async function runSome(files: readonly string[], mode: 'unit' | 'all', concurrency: number): Promise<Tally> {
  const tally: Tally = { passed: 0, failed: 0, skipped: 0 }
  if (files.length === 0) return tally
  const strict = inCi()
  const remarks: string[] = []
  const stream = run({
    files: files.map((path) => join(ROOT, path)),
    concurrency,
    timeout: FILE_TIMEOUT_MS[mode],
    cwd: ROOT,
    // Node may spin for ever while it takes its handles down (Environment::CleanupHandles, seen once); so it does not.
    execArgv: ['--disable-warning=ExperimentalWarning', '--test-force-exit'],
  })
  const note = (passed: boolean) => (event: TestEvent) => {
    const skipped = event.skip === undefined ? null : String(event.skip)
    const kind = event.name === event.file ? 'file' : event.details.type === 'suite' ? 'group' : 'test'
    const ownFailure = event.details.error?.failureType !== 'subtestsFailed'
    count(tally, { passed, kind, ownFailure, skipped }, strict)
    if (kind === 'file') remarks.push(`failed: ${relative(ROOT, event.name)} ended before its tests did, or has none`)
    if (skipped !== null && MISSING_ENGINE.test(skipped)) {
      remarks.push(`${strict ? 'failed' : 'skipped'}: ${event.name}: ${skipped}`)
    }
  }
  stream.on('test:pass', note(true))
  stream.on('test:fail', note(false))
  for await (const text of stream.compose(new spec())) process.stdout.write(text)
  for (const remark of remarks) console.log(remark)
  return tally
}

interface TestEvent {
  readonly name: string
  readonly file?: string | undefined
  readonly skip?: string | boolean
  readonly details: { readonly type?: string | undefined; readonly error?: { readonly failureType?: string } }
}

function bringEngines(): boolean {
  return spawnSync(process.execPath, [join(ROOT, 'scripts/engines.ts')], { stdio: 'inherit' }).status === 0
}

async function main(): Promise<void> {
  const [word, ...narrowed] = process.argv.slice(2)
  if (word !== 'unit' && word !== 'all') {
    console.error('usage: node scripts/test.ts unit|all [part of a path]...')
    process.exitCode = 2
    return
  }
  const files = testFiles(word, narrowed)
  // A missing engine fails in CI, but the tests that need none still say what they have to say.
  const enginesReady = word === 'unit' || narrowed.length > 0 || bringEngines()
  const tally = await runFiles(files, word)
  if (!enginesReady) tally.failed++
  if (files.length === 0) console.log('no test matches')
  console.log(finalLine(tally))
  process.exitCode = tally.failed > 0 || files.length === 0 ? 1 : 0
}

if (import.meta.main) await main()
