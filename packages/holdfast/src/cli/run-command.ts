/** The processes of a platform, each in the foreground: `holdfast agent`, `router`, `store`, and the hidden `guard`. */
import { join } from 'node:path'
import { type Command, Option } from 'commander'
import { tlsTexts } from '../config/pem.ts'
import { agentByName, type Platform } from '../config/platform.ts'
import { HoldfastError } from '../errors.ts'
import { systemClock } from '../io/clock.ts'
import { createLog, type Log, type LogLevel } from '../io/log.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { privateFolder } from './private-folder.ts'
import { startRouterNamed } from './router-process.ts'
import { type Common, commonOf, fail, platformFor, type Shell, withFile } from './shell.ts'
import { interruption } from './terminal.ts'

/** Set by whoever holds the other end of standard input: when it closes, he is gone and we end cleanly. */
export const PARENT_PIPE = 'HOLDFAST_PARENT_PIPE'

/** For lines still on their way to a pipe. */
const LINGER_MS = 500

export interface Running {
  readonly url: string
  /** More to tell once it runs. */
  readonly note?: string
  close(): Promise<void>
}

export type Start = (platform: Platform, log: Log) => Promise<Running>

export function withLogLevel(command: Command): Command {
  return command.addOption(
    new Option('--log-level <level>', 'lines on standard error, one JSON object each')
      .choices(['debug', 'info', 'warn', 'error', 'silent'])
      .default('info'),
  )
}

export function registerProcesses(program: Command, shell: Shell): void {
  const base = (name: string, summary: string) => withLogLevel(withFile(program.command(name)).summary(summary))
  base('agent', 'run one agent')
    .description(
      'Runs one agent in the foreground: stands beside its members, decides, acts. Ends on SIGTERM or Ctrl-C.',
    )
    .requiredOption('--name <agent>', 'which agent of the description')
    .option('--leave-engine', 'let the engine of a replica run on when the agent ends')
    .addHelpText('after', '\nExamples:\n  holdfast agent --file /etc/holdfast/holdfast.yaml --name north-a')
    .action(async (options: Record<string, unknown>) => {
      const name = String(options.name)
      const leaveEngineRunning = options.leaveEngine === true
      const start: Start = async (platform, log) => {
        const { startAgent } = await import('../agent/wire.ts')
        const own = agentByName(platform, name)?.dir
        if (own !== undefined) privateFolder(own)
        return startAgent({ platform, name, log, clock: systemClock, leaveEngineRunning })
      }
      shell.finish(await run(shell, options, { title: `agent ${name}`, start }))
    })
  base('router', 'run one router')
    .description('Runs one router in the foreground: leads applications to the primary. Ends on SIGTERM or Ctrl-C.')
    .requiredOption('--name <router>', 'which router of the description')
    .addHelpText('after', '\nExamples:\n  holdfast router --name router-north')
    .action(async (options: Record<string, unknown>) => {
      const name = String(options.name)
      const start: Start = (platform, log) => startRouterNamed(platform, name, log)
      shell.finish(await run(shell, options, { title: `router ${name}`, start }))
    })
  base('store', 'run the embedded store')
    .description('Runs the embedded store in the foreground. Ends on SIGTERM or Ctrl-C.')
    .addHelpText('after', '\nExamples:\n  holdfast store --file /etc/holdfast/holdfast.yaml')
    .action(async (options: Record<string, unknown>) => {
      shell.finish(await run(shell, options, { title: 'store', start: startStore }))
    })
  program
    .command('guard', { hidden: true })
    .description('The small twin of an agent that fences; started by it.')
    .action(async () => {
      const { runGuard } = await import('../guard/main.ts')
      shell.finish(await runGuard())
    })
}

/** Runs one process of the platform in the foreground until it is asked to end. */
export async function run(
  shell: Shell,
  options: Readonly<Record<string, unknown>>,
  { title, start }: { readonly title: string; readonly start: Start },
): Promise<ExitCode> {
  const common: Common = commonOf(shell, options)
  const platform = platformFor(common, 'all')
  if (platform === null) return EXIT.usage
  const { terminal } = common
  const log = createLog({ level: options.logLevel as LogLevel, name: title })
  process.title = `holdfast ${title}`
  let running: Running
  try {
    running = await start(platform, log)
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error
    fail(common, error.code, error.message, error.next)
    return error.code === 'HF_CONFIG_INVALID' ? EXIT.usage : EXIT.failed
  }
  terminal.out(`${title} ready at ${running.url}\n${running.note ?? ''}`)
  await Promise.race([interruption(terminal.interrupted), parentGone(terminal.env)])
  await running.close()
  // A pipe that is still being read would keep the process.
  if (terminal.env[PARENT_PIPE] === '1') process.stdin.destroy()
  // All is closed and released; a forgotten timer is no reason to stay, and whoever waits for us would kill us.
  setTimeout(() => process.exit(), LINGER_MS).unref()
  return EXIT.ok
}

function parentGone(env: Readonly<Record<string, string | undefined>>): Promise<void> {
  return new Promise((resolve) => {
    if (env[PARENT_PIPE] !== '1') return
    process.stdin.on('end', () => resolve())
    process.stdin.on('error', () => resolve())
    process.stdin.resume()
  })
}

async function startStore(platform: Platform, log: Log): Promise<Running> {
  const { store } = platform
  if (store.kind !== 'embedded') {
    const next = 'start etcd by its own means, or write `kind: embedded`'
    throw new HoldfastError('HF_CONFIG_INVALID', 'the store of this description is etcd, not the embedded one', next)
  }
  const { startEmbeddedStore } = await import('../store/embedded/server.ts')
  privateFolder(store.dir)
  const { host, port } = store.listen
  return startEmbeddedStore({
    host,
    port,
    file: join(store.dir, 'store.sqlite'),
    token: store.token.reveal(),
    ...(store.tls === null ? {} : { tls: tlsTexts(store.tls) }),
    log: (message, detail) => log.info(detail, message),
  })
}
