/** The command line: its commands, their help, and what the process ends with. Each family has a file of its own. */
import { Command, CommanderError } from 'commander'
import { HoldfastError } from '../errors.ts'
import { EXIT, EXIT_HELP, type ExitCode } from './exit-codes.ts'
import { registerProcesses } from './run-command.ts'
import { commonOf, fail, type Shell } from './shell.ts'
import { processTerminal, type Streams, shielded } from './terminal.ts'
import { version } from './version.ts'

const EXAMPLES = `
${EXIT_HELP}

Examples:
  holdfast demo                       see real failovers on this machine
  holdfast validate holdfast.yaml     check a description
  holdfast up holdfast.yaml           run everything it describes, here
  holdfast status --watch             see whether it is safe now
  holdfast switchover orders          move a primary, without loss
  holdfast move shop --to south       move a service to another site, in order

holdfast <command> --help tells more. Reference: docs/reference/cli.md`

/** Commands of `run-command.ts`. */
const PROCESSES: ReadonlySet<string> = new Set(['agent', 'router', 'store', 'guard'])

/** Runs one command and gives the exit code. Never throws for what a person can type. */
export async function main(argv: readonly string[], given?: Streams): Promise<number> {
  if (given !== undefined) return runWith(argv, given)
  const { streams, release } = processTerminal()
  try {
    return await runWith(argv, streams)
  } finally {
    release()
  }
}

async function runWith(argv: readonly string[], streams: Streams): Promise<number> {
  let code: ExitCode = EXIT.ok
  const shell: Shell = {
    terminal: shielded(streams),
    finish: (value) => {
      code = value
    },
  }
  try {
    const program = await programFor(shell, argv[0] ?? '')
    await program.parseAsync([...argv], { from: 'user' })
    return code
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
    return unexpected(error, shell)
  }
}

async function programFor(shell: Shell, asked: string): Promise<Command> {
  const { terminal } = shell
  const program = new Command('holdfast')
    .description('Keeps one writer per group of database members, and shows why.')
    .version(version(), '-V, --version')
    .usage('<command> [options]')
    .addHelpText('after', EXAMPLES)
    .helpCommand(false)
    .showSuggestionAfterError(true)
    .configureOutput({
      writeOut: (text) => terminal.out(text),
      writeErr: (text) => terminal.err(text),
      outputError: (text, write) => write(text.replace(/^error: /, 'holdfast: ')),
      getOutHelpWidth: () => HELP_WIDTH,
      getErrHelpWidth: () => HELP_WIDTH,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .exitOverride()
  // What runs for months loads its own command and nothing else; the others would cost it ten megabytes.
  if (PROCESSES.has(asked)) registerProcesses(program, shell)
  else (await import('./families.ts')).registerAll(program, shell)
  for (const command of program.commands) command.copyInheritedSettings(program)
  return program
}

const HELP_WIDTH = 80

/** A stack trace helps nobody who types commands; it is there for who asks for it. */
function unexpected(error: unknown, shell: Shell): ExitCode {
  const common = commonOf(shell, {})
  if (error instanceof HoldfastError) fail(common, error.code, error.message, error.next)
  else
    fail(common, 'HF_INTERNAL', error instanceof Error ? error.message : String(error), 'HOLDFAST_DEBUG=1 shows where')
  if (shell.terminal.env.HOLDFAST_DEBUG === '1' && error instanceof Error) shell.terminal.err(`${error.stack}\n`)
  return EXIT.failed
}
