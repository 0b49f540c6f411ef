/**
 * `npm run blackbox:controls`: plants one bug after the other into a copy of the program and runs the black box on it
 * with fresh seeds until the checker named for it fails; the same with rivals that are known to lose writes. What stays
 * hidden within its tries is the failure here.
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type RunReport, run } from '../run.ts'
import { type RunSettings, UsageError } from '../settings.ts'
import { copyProgram } from './copy.ts'
import { PLANTED, type PlantedBug } from './planted.ts'
import { losses, RIVALS, type Rival } from './rivals.ts'
import { sentinelRun } from './sentinel.ts'

export interface ControlResult {
  readonly name: string
  readonly found: boolean
  readonly tries: number
  /** Seeds in the order they were tried. */
  readonly seeds: readonly number[]
  /** What the checkers said when it was found. */
  readonly findings: readonly string[]
}

const HELP = `Plants bugs into copies of the program, and starts rivals that lose writes; the black box must find each.

  npm run blackbox:controls -- [--only NAME]... [--seed N] [--keep] [--output json]

  --only NAME    only this one (may be repeated)
  --seed N       the first seed; the next ones follow it
  --innocent     the same once without the bug: nothing may be found
  --keep         keeps the folders of the runs that found something
  --output json  one line at the end

Bugs: ${PLANTED.map(({ name }) => name).join(', ')}
Rivals: ${RIVALS.map(({ name }) => name).join(', ')}, sentinel-planned

Exit codes: 0 each was found (none, with --innocent), 1 otherwise, 2 a run could not be made.`

export function settingsOf(bug: PlantedBug, seed: number, program: string): RunSettings {
  const { faults, minutes, mode, profile, scenario = 'group', stretch = 1 } = bug
  return { ...COMMON, scenario, faults, minutes, mode, profile, stretch, seed, program, subject: 'holdfast' }
}

/** What the named checkers found; empty when they were content. */
export function caught(bug: PlantedBug, report: Pick<RunReport, 'verdicts'>): readonly string[] {
  return report.verdicts
    .filter(({ checker, ok }) => !ok && bug.expects.includes(checker))
    .flatMap(({ checker, findings }) => findings.map((text) => `${checker}: ${text}`))
}

/** One thing to be found. */
interface Quarry {
  readonly name: string
  readonly what: string
  readonly triesMax: number
  readonly hunt: (how: Hunt) => Promise<ControlResult>
}

const COMMON = {
  without: [],
  count: null,
  engine: 'postgres',
  store: 'embedded',
  world: 'auto',
  keep: false,
  striking: true,
} as const

const QUARRIES: readonly Quarry[] = [
  ...PLANTED.map((bug): Quarry => ({ ...bug, hunt: (how) => huntBug(bug, how) })),
  ...RIVALS.map((rival): Quarry => ({ ...rival, hunt: (how) => huntRival(rival, how) })),
  {
    name: 'sentinel-planned',
    what: 'Redis with Sentinel: a planned failover goes on acknowledging at the old primary for a while',
    triesMax: 3,
    hunt: (how) =>
      tries({ name: 'sentinel-planned', triesMax: 3 }, how, async () => (await sentinelRun()).verdict.findings),
  },
]

async function huntBug(bug: PlantedBug, how: Hunt): Promise<ControlResult> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-planted-'))
  try {
    const ground = bug.ground ?? []
    const program = copyProgram(folder, how.innocent ? ground : [...ground, ...bug.edits])
    const count = { name: bug.name, triesMax: how.innocent ? 1 : bug.triesMax }
    return await tries(count, how, async (seed) => caught(bug, await runOnce(settingsOf(bug, seed, program), how)))
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  }
}

function huntRival(rival: Rival, how: Hunt): Promise<ControlResult> {
  const { faults, minutes, mode, profile, subject, stretch } = rival
  const settings = {
    ...COMMON,
    scenario: 'group',
    faults,
    minutes,
    mode,
    profile,
    subject,
    stretch,
    program: null,
  } as const
  return tries(rival, how, async (seed) => losses(await runOnce({ ...settings, seed }, how)))
}

function runOnce(settings: RunSettings, how: Hunt): Promise<RunReport> {
  return run({ settings, say: (line) => how.say(`    ${line}`), signal: how.signal, discard: !how.keep })
}

type Named = Pick<Quarry, 'name' | 'triesMax'>

async function tries(
  { name, triesMax }: Named,
  how: Hunt,
  look: (seed: number) => Promise<readonly string[]>,
): Promise<ControlResult> {
  const seeds: number[] = []
  for (let attempt = 0; attempt < triesMax; attempt += 1) {
    const seed = how.seed + attempt
    seeds.push(seed)
    const findings = await look(seed)
    if (findings.length > 0) return { name, found: true, tries: seeds.length, seeds, findings }
  }
  return { name, found: false, tries: seeds.length, seeds, findings: [] }
}

interface Hunt {
  readonly seed: number
  readonly keep: boolean
  /** Without the bug: nothing may be found. */
  readonly innocent: boolean
  readonly say: (line: string) => void
  readonly signal: AbortSignal
}

async function main(): Promise<number> {
  const text = { type: 'string' } as const
  const flag = { type: 'boolean' } as const
  const options = {
    only: { ...text, multiple: true },
    seed: text,
    output: text,
    keep: flag,
    innocent: flag,
    help: flag,
  } as const
  const { values } = parseArgs({ options, strict: true })
  if (values.help === true) {
    console.log(HELP)
    return 0
  }
  const only = values.only ?? []
  const unknown = only.find((name) => !QUARRIES.some((one) => one.name === name))
  if (unknown !== undefined) throw new UsageError(`no control is called ${unknown}`)
  const chosen = QUARRIES.filter(({ name }) => only.length === 0 || only.includes(name))
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort(new Error(`by ${signal}`)))
  const json = values.output === 'json'
  const say = (line: string): void => (json ? console.error(line) : console.log(line))
  const seed = values.seed === undefined ? randomBytes(3).readUIntBE(0, 3) : Number(values.seed)
  const innocent = values.innocent === true
  const results: ControlResult[] = []
  for (const quarry of chosen) {
    say(`${quarry.name}: ${quarry.what}`)
    const result = await quarry.hunt({ seed, keep: values.keep === true, innocent, say, signal: stop.signal })
    results.push(result)
    say(`${quarry.name}: ${result.found ? `found, try ${result.tries}: ${result.findings[0]}` : 'NOT FOUND'}`)
  }
  if (json) console.log(JSON.stringify(results))
  return results.every(({ found }) => found !== innocent) ? 0 : 1
}

if (import.meta.main) {
  try {
    process.exit(await main())
  } catch (error) {
    console.error(error instanceof UsageError ? error.message : error)
    process.exit(2)
  }
}
