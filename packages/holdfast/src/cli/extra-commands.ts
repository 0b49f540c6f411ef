/** Commands whose work lives elsewhere and is loaded only when they are used: `sim`, `replay`, `demo`. */
import type { Command } from 'commander'
import { wrapped } from '../config/report.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import type { Shell } from './shell.ts'

interface Extra {
  readonly name: string
  readonly summary: string
  readonly load: () => Promise<unknown>
}

/** What such a module exports: takes the words after the command's name, gives the exit code. */
type Run = (words: readonly string[], print: (line: string) => void) => Promise<ExitCode>

// The addresses are values, so that a part that is not installed is met when it is asked for, with words of ours.
const EXTRAS: readonly Extra[] = [
  { name: 'sim', summary: 'hunt for mistakes of our own in a simulated world', load: () => load('../sim/command.ts') },
  { name: 'replay', summary: 'run a journal or a scenario again', load: () => load('../sim/replay-command.ts') },
  { name: 'demo', summary: 'real failovers on this machine, measured', load: () => load('./demo.ts') },
]

function load(address: string): Promise<unknown> {
  return import(new URL(address, import.meta.url).href)
}

export function registerExtras(program: Command, shell: Shell): void {
  for (const extra of EXTRAS) {
    program
      .command(extra.name)
      .summary(extra.summary)
      .argument('[words...]', 'its own options; see --help')
      .allowUnknownOption()
      .helpOption(false)
      .action(async (words: string[]) => shell.finish(await run(extra, words, shell)))
  }
}

async function run(extra: Extra, words: readonly string[], shell: Shell): Promise<ExitCode> {
  const { terminal } = shell
  let found: unknown
  try {
    found = await extra.load()
  } catch (error) {
    if (!isMissing(error)) throw error
    const text = `\`${extra.name}\` is not part of this installation`
    terminal.err(
      `${wrapped(text, 'holdfast: ').join('\n')}\n    next: install the whole package, or its newest version\n`,
    )
    return EXIT.failed
  }
  const { run: start } = found as { readonly run: Run }
  return start(words, (line) => terminal.out(`${line}\n`))
}

/** The module itself is missing, not something inside it. */
function isMissing(error: unknown): boolean {
  const missing = error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND'
  return missing && /(command|demo)\.ts'? imported from/.test(error.message)
}
