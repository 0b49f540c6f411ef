/** `holdfast server`: the API, the events and the dashboard, in the foreground. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import { parseAddress } from '../config/quantities.ts'
import { systemClock } from '../io/clock.ts'
import { EXIT } from './exit-codes.ts'
import { type Running, run, type Start, withLogLevel } from './run-command.ts'
import { commonOf, fail, type Shell, withFile } from './shell.ts'
import { version } from './version.ts'

const EXAMPLES = `
Needs a \`server:\` block in the description. On the first start it prints a
one-time code: open the address, or POST it to /api/v1/session/first-admin, to
make the first account. Several servers may run with one PostgreSQL; one leads.

Examples:
  holdfast server --file /etc/holdfast/holdfast.yaml
  HOLDFAST_DATABASE_URL=postgres://... holdfast server --name south
  holdfast server --admin-code      # a new code, when nobody can log in`

export function registerServer(program: Command, shell: Shell): void {
  withLogLevel(withFile(program.command('server')).summary('run the API and the dashboard'))
    .description('Runs the server in the foreground: API, events, dashboard. Ends on SIGTERM or Ctrl-C.')
    .option('--name <name>', 'tells servers of one platform apart (default: host and port)')
    .option('--listen <address>', "host:port instead of the description's", addressArgument)
    .option('--database-url <url>', 'postgres://... instead of SQLite (also: HOLDFAST_DATABASE_URL)')
    .option('--admin-code', 'print a new one-time code that makes an admin')
    .addHelpText('after', EXAMPLES)
    .action(async (options: Record<string, unknown>) => {
      const common = commonOf(shell, options)
      const url = options.databaseUrl ?? common.terminal.env.HOLDFAST_DATABASE_URL
      if (typeof url === 'string' && !/^postgres(ql)?:\/\//.test(url)) {
        fail(common, 'HF_CONFIG_INVALID', 'the database URL is not one of PostgreSQL', 'write postgres://...')
        shell.finish(EXIT.usage)
        return
      }
      shell.finish(await run(shell, options, { title: 'server', start: starting(options, url) }))
    })
}

function starting(options: Readonly<Record<string, unknown>>, url: unknown): Start {
  return async (platform, log): Promise<Running> => {
    const { startServer } = await import('../server/wire.ts')
    const server = await startServer({
      platform,
      ...(typeof options.name === 'string' ? { name: options.name } : {}),
      ...(options.listen === undefined ? {} : { listen: options.listen as { host: string; port: number } }),
      databaseUrl: typeof url === 'string' ? url : null,
      adminCode: options.adminCode === true,
      dashboardDir: dashboardDir(),
      version: version(),
      clock: systemClock,
      log,
    })
    const note = server.code === null ? '' : `one-time code for the first admin: ${server.code} (one hour)\n`
    return { url: server.url, note, close: () => server.close() }
  }
}

/** Shipped within the product; in the repository built beside it. */
function dashboardDir(): string {
  const shipped = join(import.meta.dirname, '..', '..', 'dashboard')
  return existsSync(shipped) ? shipped : join(import.meta.dirname, '..', '..', '..', 'dashboard', 'dist')
}

function addressArgument(text: string): { host: string; port: number } {
  const address = parseAddress(text)
  if (address === null) throw new InvalidArgumentError('Write host:port, e.g. 127.0.0.1:7400.')
  return address
}
