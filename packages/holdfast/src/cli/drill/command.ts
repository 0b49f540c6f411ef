/** `holdfast drill`: planned faults with a hypothesis, and what they proved. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Command, Option } from 'commander'
import { type GroupSpec, groupByName, type Platform } from '../../config/platform.ts'
import { openDesk } from '../../drills/desk.ts'
import { storeChain } from '../../drills/store-chain.ts'
import { abortDrill } from '../../drills/undo.ts'
import { HoldfastError } from '../../errors.ts'
import { writeReport } from '../../evidence/folder.ts'
import { systemClock } from '../../io/clock.ts'
import { openSigningKey } from '../../io/signing.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { whoAmI } from '../pause-command.ts'
import { privateFolder } from '../private-folder.ts'
import { PARENT_PIPE } from '../run-command.ts'
import {
  agentsOfGroup,
  type Common,
  commonOf,
  fail,
  groupFor,
  platformFor,
  type Shell,
  withFile,
  withOutput,
  withTimeout,
} from '../shell.ts'
import type { Terminal } from '../terminal.ts'
import { evidenceFolderOf, exitOf, type Order, planLines, type Ran, type RunChoice, runOne, whereToRun } from './run.ts'
import { areRight, drillsIn, due, list, report } from './show.ts'

const RUN_EXAMPLES = `
Without --yes it only says what would be done. A drill that could lose data is
done on a copy, unless --live or the drill file says otherwise. Ctrl-C stops it
and ends its fault; without anybody the fault ends at its own timer.

Examples:
  holdfast drill run examples/drills/switchover.yaml
  holdfast drill run examples/drills/switchover.yaml --yes
  holdfast drill run examples/drills/frozen-host.yaml --yes --practice
  holdfast drill run monday.yaml tuesday.yaml --yes      # stops at the first
                                                         # that does not pass`

const ABORT_EXAMPLES = `
Anybody with the description may stop a drill. Its runner ends the fault and
says so; if the runner is gone this command ends it.

Examples:
  holdfast drill abort orders --because "customers call"`

type Options = Readonly<Record<string, unknown>>

export function registerDrill(program: Command, shell: Shell): void {
  const drill = program
    .command('drill')
    .summary('planned faults, measured, with signed reports')
    .description('Planned faults with a hypothesis, measured by a client, with signed reports.')
    .helpCommand(false)
  registerRun(drill, shell)
  registerLooks(drill, shell)
  registerWords(drill, shell)
}

function registerRun(drill: Command, shell: Shell): void {
  withOutput(withFile(drill.command('run')))
    .summary('run drills, one after the other')
    .description('Runs drills, one after the other, and writes a signed report of each.')
    .argument('<drill...>', 'drill files')
    .option('--yes', 'do it; without this it is only described')
    .option('--practice', 'on a copy, on this machine')
    .option('--live', 'on the platform, also where data could be lost')
    .option('--evidence <folder>', 'where reports go (default: holdfast-data/evidence)')
    .option('--key <path>', 'the key that signs (default: evidence.key in that folder)')
    // For the server that runs it; a person has no use for them.
    .addOption(new Option('--order <json>').hideHelp())
    .addHelpText('after', RUN_EXAMPLES)
    .action(async (files: readonly string[], options: Options) => {
      shell.finish(await run(commonOf(shell, options), files, options))
    })
}

function registerLooks(drill: Command, shell: Shell): void {
  withOutput(drill.command('validate'))
    .summary('check drill files')
    .description('Checks drill files and tells every mistake: where, what is wrong, what would be right.')
    .argument('<drill...>', 'drill files')
    .addHelpText('after', '\nExamples:\n  holdfast drill validate examples/drills/*.yaml')
    .action((files: readonly string[], options: Options) => {
      const common = commonOf(shell, options)
      const right = areRight(common, files)
      if (right && common.output === 'json') common.terminal.out(`${JSON.stringify({ ok: true, files })}\n`)
      else if (right) common.terminal.out(`${files.map((file) => `${file}: no mistakes`).join('\n')}\n`)
      shell.finish(right ? EXIT.ok : EXIT.usage)
    })
  withOutput(withFile(drill.command('list')))
    .summary('what runs, what ran, what it is worth today')
    .description('Lists the drills of each group: the one that runs, the last ones, and the score that fades.')
    .addHelpText('after', '\nExamples:\n  holdfast drill list\n  holdfast drill list --output json')
    .action(async (options: Options) => {
      const common = commonOf(shell, options)
      const platform = platformFor(common, 'all')
      shell.finish(platform === null ? EXIT.usage : await list(common, platform))
    })
  withOutput(withFile(drill.command('due')))
    .summary('which scheduled drills are due')
    .description('Tells which scheduled drills are due or overdue; ends with 1 when one is.')
    .argument('[drill...]', 'drill files (default: those of the description)')
    .addHelpText('after', '\nExamples:\n  holdfast drill due drills/*.yaml || holdfast drill run drills/*.yaml --yes')
    .action(async (files: readonly string[], options: Options) => {
      const common = commonOf(shell, options)
      const platform = platformFor(common, 'all')
      const drills = platform === null ? null : drillsIn(common, files, platform)
      shell.finish(drills === null || platform === null ? EXIT.usage : await due(common, platform, drills))
    })
  withOutput(withFile(drill.command('report')))
    .summary('show a report, or print it as PDF')
    .description('Shows a report: the newest, or by its number, the id of its run, or its file.')
    .argument('[report]', 'number, id or file')
    .option('--evidence <folder>', 'where reports are (default: holdfast-data/evidence)')
    .option('--key <path>', 'the key that signs a PDF (default: evidence.key in that folder)')
    .option('--pdf <path>', 'also print it, with the Chromium of this machine')
    .addHelpText('after', '\nExamples:\n  holdfast drill report\n  holdfast drill report 12 --pdf report-12.pdf')
    .action(async (which: string | undefined, options: Options) => {
      const common = commonOf(shell, options)
      const platform = platformFor(common, 'none')
      if (platform === null) return shell.finish(EXIT.usage)
      const choice = { evidenceFolder: text(options.evidence), keyFile: text(options.key), pdf: text(options.pdf) }
      shell.finish(await report(common, platform, which ?? null, choice))
    })
}

function registerWords(drill: Command, shell: Shell): void {
  withTimeout(withOutput(withFile(drill.command('abort'))), '90s')
    .summary('stop a drill and end its fault')
    .description('Stops the drill of a group and waits until its fault is gone.')
    .argument('<group>', 'name of the group')
    .option('--because <text>', 'why; stands in the report', 'no reason given')
    .addHelpText('after', ABORT_EXAMPLES)
    .action(async (name: string, options: Options) => {
      shell.finish(await abort(commonOf(shell, options), name, String(options.because)))
    })
  withOutput(withFile(drill.command('approve')))
    .summary('let a drill that waits go on')
    .description('Lets a drill that waits for an approval go on. Who runs a drill does not approve it.')
    .argument('<group>', 'name of the group')
    .addHelpText('after', '\nExamples:\n  holdfast drill approve orders')
    .action(async (name: string, options: Options) => {
      shell.finish(await approve(commonOf(shell, options), name))
    })
}

/** Ctrl-C; and when a server runs it, that server's end: nobody would be left to stop it. */
function interruptedBy({ env, interrupted }: Terminal): AbortSignal {
  if (env[PARENT_PIPE] !== '1') return interrupted
  const alone = new AbortController()
  const end = (): void => alone.abort('the server that ran it is gone')
  process.stdin.on('end', end).on('error', end).resume()
  // Whoever read our lines is gone as well; the fault is ended and the report written all the same.
  process.stderr.on('error', () => undefined)
  // It is no reason to stay once the drill is over.
  if ('unref' in process.stdin) (process.stdin as { unref(): void }).unref()
  return AbortSignal.any([interrupted, alone.signal])
}

function text(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

async function run(common: Common, files: readonly string[], options: Options): Promise<ExitCode> {
  const platform = platformFor(common, 'all')
  const drills = platform === null ? null : drillsIn(common, files, platform)
  if (platform === null || drills === null) return EXIT.usage
  if (options.practice === true && options.live === true) {
    fail(common, 'HF_DRILL_REFUSED', 'it is either on a copy or live', 'leave --practice or --live out')
    return EXIT.usage
  }
  const choice: RunChoice = {
    interrupted: interruptedBy(common.terminal),
    yes: options.yes === true,
    where: options.practice === true ? 'practice' : options.live === true ? 'live' : 'file',
    evidenceFolder: text(options.evidence),
    keyFile: text(options.key),
    tool: `holdfast ${version()}, Node ${process.versions.node}`,
    order: typeof options.order === 'string' ? (JSON.parse(options.order) as Order) : null,
  }
  const runs: Ran[] = []
  for (const drill of drills) {
    const group = groupFor(common, platform, drill.settings.group)
    const place = group === null ? null : whereToRun(common, drill, group, choice.where)
    if (group === null || place === null) return EXIT.usage
    if (common.output === 'table')
      common.terminal.err(`${planLines(platform, group, drill, place.practice).join('\n')}\n`)
    if (!choice.yes) continue
    const ran = await runOne(common, platform, drill, { ...choice, ...place })
    if (ran === null) return EXIT.usage
    runs.push(ran)
    if (common.output === 'table') await tell(common, platform, ran)
    if (ran.run.state.outcome !== 'passed') break
  }
  if (!choice.yes) return dry(common, drills.length)
  if (common.output === 'json') common.terminal.out(`${JSON.stringify(jsonOf(runs))}\n`)
  return exitOf(common, runs)
}

function dry(common: Common, count: number): ExitCode {
  if (common.output === 'json') common.terminal.out(`${JSON.stringify({ ok: true, dryRun: true, drills: count })}\n`)
  else common.terminal.err('Nothing was done. To do it, add --yes.\n')
  return EXIT.ok
}

function jsonOf(runs: readonly Ran[]): object {
  const drills = runs.map(({ drill, group, practice, run, written }) => {
    const { outcome, because, measured } = run.state
    return { drill, group, practice, outcome, because, measured, prediction: run.prediction, report: written }
  })
  return { ok: drills.every(({ outcome }) => outcome === 'passed'), drills }
}

async function tell(common: Common, platform: Platform, { written }: Ran): Promise<void> {
  common.terminal.err('\n')
  await report(common, platform, written.json, { evidenceFolder: null, keyFile: null, pdf: null })
}

async function abort(common: Common, name: string, because: string): Promise<ExitCode> {
  const found = platformAndGroup(common, name)
  if (found === null) return EXIT.usage
  const { platform, group } = found
  const desk = openDesk(platform)
  try {
    const result = await abortDrill({
      group: group.name,
      by: whoAmI(),
      because,
      ledger: desk.ledger,
      agents: agentsOfGroup(platform, group),
      clientOf: desk.clientOf,
      clock: systemClock,
      say: (line) => common.output === 'table' && common.terminal.err(`${line}\n`),
      timeoutMs: common.timeoutMs,
      interrupted: common.terminal.interrupted,
      write: async (make) => {
        const folder = evidenceFolderOf(platform, null)
        privateFolder(folder)
        const key = await openSigningKey(join(folder, 'evidence.key'))
        return writeReport(folder, key, storeChain(desk), make)
      },
    })
    if (result.kind === 'not-yet') {
      fail(common, 'HF_TIMED_OUT', result.because, `holdfast drill abort ${name}`)
      return EXIT.uncertain
    }
    const words = {
      none: `no drill runs on ${name}`,
      aborted: 'its runner has ended it; the fault is gone or its report says what remains',
      undone: `ended from here: ${result.kind === 'undone' ? result.proof : ''}`,
    }[result.kind]
    common.terminal.out(common.output === 'json' ? `${JSON.stringify({ ok: true, ...result })}\n` : `${words}\n`)
    return EXIT.ok
  } finally {
    await desk.close()
  }
}

async function approve(common: Common, name: string): Promise<ExitCode> {
  const found = platformAndGroup(common, name)
  if (found === null) return EXIT.usage
  const desk = openDesk(found.platform)
  const by = whoAmI()
  try {
    let given: string | null = null
    await desk.ledger.change(name, (record) => {
      given = null
      const { active } = record
      const waiting = active?.waiting ?? null
      if (active === null || waiting === null) return null
      const as = waiting.by.find((one) => one === by || one === accountOf(by))
      if (as === undefined) throw notAllowed(`${by} is none of ${waiting.by.join(', ')}`)
      // The same account on another host is the same person.
      if (accountOf(active.by) === accountOf(by)) throw notAllowed(`${by} runs this drill, as ${active.by}`)
      given = `${active.drill}, before the ${waiting.gate}`
      if (active.approvals.some((one) => one.gate === waiting.gate)) return null
      return { ...record, active: { ...active, approvals: [...active.approvals, { gate: waiting.gate, by: as }] } }
    })
    if (given === null) {
      fail(common, 'HF_DRILL_UNKNOWN', `no drill of ${name} waits for an approval`, 'holdfast drill list')
      return EXIT.failed
    }
    const answer = { ok: true, group: name, approved: given, by }
    common.terminal.out(common.output === 'json' ? `${JSON.stringify(answer)}\n` : `approved: ${given}, by ${by}\n`)
    return EXIT.ok
  } finally {
    await desk.close()
  }
}

/** Of `account@host`; an account may have an @ of its own. */
function accountOf(who: string): string {
  const at = who.lastIndexOf('@')
  return at < 0 ? who : who.slice(0, at)
}

function notAllowed(because: string): HoldfastError {
  return new HoldfastError('HF_DRILL_REFUSED', because, 'somebody whom the drill file names has to approve')
}

function platformAndGroup(
  common: Common,
  name: string,
): { readonly platform: Platform; readonly group: GroupSpec } | null {
  const platform = platformFor(common, 'all')
  const group = platform === null ? null : (groupByName(platform, name) ?? groupFor(common, platform, name))
  return platform === null || group === null ? null : { platform, group }
}

function version(): string {
  const file = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')
  return String((JSON.parse(file) as { version: string }).version)
}
