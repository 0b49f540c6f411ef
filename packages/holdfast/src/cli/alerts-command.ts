/** `holdfast alerts`: run them, look at them, silence and acknowledge them, try a channel. */
import { type Command, Option } from 'commander'
import type { Platform } from '../config/platform.ts'
import { durationText } from '../config/quantities.ts'
import { type RuleId, ruleRow } from '../core/alerts/rules.ts'
import type { Rule } from '../core/alerts/state.ts'
import { durationOf } from '../core/alerts/text.ts'
import type { LogLevel } from '../io/log.ts'
import { listAlerts } from './alerts-list.ts'
import { runAlerts } from './alerts-run.ts'
import { acknowledge, silence, tryChannel, unsilence } from './alerts-words.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { type Common, commonOf, durationArgument, platformFor, type Shell, withFile, withOutput } from './shell.ts'
import { tableLines } from './table.ts'

const RUN_HELP = `
Looks at every agent and router, and tells the channels of the description. One
process a platform. What was told, silenced and acknowledged is kept, so that
after a restart nothing is told twice and nothing is forgotten.

Examples:
  holdfast alerts run --file /etc/holdfast/holdfast.yaml`

const SILENCE_HELP = `
MATCHER is name=text, all must fit; the names are rule, severity, group, member,
site, agent, router; * stands for any text. A silence always ends by itself.

Examples:
  holdfast alerts silence group=orders --for 2h --because "kernel update"
  holdfast alerts silence rule=lag-* site=west --for 30m --because "line work"`

export function registerAlerts(program: Command, shell: Shell): void {
  const alerts = program
    .command('alerts')
    .summary('who is told when something needs a person')
    .description('Rules, channels, silences and acknowledgements.')
    .addHelpText('after', '\nExamples:\n  holdfast alerts list\n  holdfast alerts rules')
  alerts.helpCommand(false)
  const base: Base = (name) => withOutput(withFile(alerts.command(name)))
  registerLooking(base, shell)
  registerWords(base, shell)
}

type Base = (name: string) => Command

function registerLooking(base: Base, shell: Shell): void {
  base('list')
    .summary('show what fires, what is silenced and which channel fails')
    .description('Shows what fires, what is silenced, and which channel could not be told.')
    .addHelpText('after', '\nExamples:\n  holdfast alerts list --output json | jq .alerts')
    .action((options: Record<string, unknown>) => shell.finish(within(shell, options, listAlerts)))
  base('rules')
    .summary('show every rule with its limit on this platform')
    .description('Shows every rule as it stands on this platform: severity, limit, how long it must hold.')
    .addHelpText('after', '\nExamples:\n  holdfast alerts rules')
    .action(async (options: Record<string, unknown>) => {
      const { alertsConfig } = await import('../alerts/settings.ts')
      shell.finish(within(shell, options, (common, platform) => rules(common, alertsConfig(platform).rules)))
    })
  base('run')
    .summary('look at the platform and tell the channels')
    .description('Runs the alerts of a platform in the foreground. Ends on SIGTERM or Ctrl-C.')
    .addOption(
      new Option('--log-level <level>', 'lines on standard error, one JSON object each')
        .choices(['debug', 'info', 'warn', 'error', 'silent'])
        .default('info'),
    )
    .addHelpText('after', RUN_HELP)
    .action(async (options: Record<string, unknown>) =>
      shell.finish(
        await within(
          shell,
          options,
          (common, platform) => runAlerts(common, platform, options.logLevel as LogLevel),
          'alerts',
        ),
      ),
    )
}

function registerWords(base: Base, shell: Shell): void {
  base('silence')
    .summary('tell nobody of some alerts for a while')
    .description('Tells nobody of the alerts that fit, for a while; or ends a silence with --end.')
    .argument('[matchers...]', 'name=text; all must fit')
    .option('--for <time>', 'how long, e.g. 2h; at most 30d', durationArgument)
    .option('--because <text>', 'why; shown to everybody who looks')
    .option('--end <silence>', 'ends this silence; see: holdfast alerts list')
    .addHelpText('after', SILENCE_HELP)
    .action(async (matchers: string[], options: Record<string, unknown>) => {
      const end = options.end
      const asked = { matchers, forMs: Number(options.for ?? 0), because: String(options.because ?? '') }
      shell.finish(
        await within(shell, options, (common, platform) =>
          typeof end === 'string' ? unsilence(common, platform, end) : silence(common, platform, asked),
        ),
      )
    })
  base('ack')
    .summary('say that an alert is in your hands')
    .description('Says that an alert is in your hands: it is not repeated and nobody else is called.')
    .argument('<alert>', 'its id; see: holdfast alerts list')
    .addHelpText('after', '\nExamples:\n  holdfast alerts ack 1f3c9a20')
    .action(async (id: string, options: Record<string, unknown>) =>
      shell.finish(await within(shell, options, (common, platform) => acknowledge(common, platform, id))),
    )
  base('test')
    .summary('send a message through a channel')
    .description('Sends one message that says it is a test, and says whether it arrived.')
    .argument('<channel>', 'a channel of the description')
    .addHelpText('after', '\nExamples:\n  holdfast alerts test ops-chat')
    .action(async (name: string, options: Record<string, unknown>) =>
      shell.finish(await within(shell, options, (common, platform) => tryChannel(common, platform, name), 'alerts')),
    )
}

function within<T>(
  shell: Shell,
  options: Record<string, unknown>,
  work: (common: Common, platform: Platform) => T,
  secrets: 'none' | 'alerts' = 'none',
): T | ExitCode {
  const common = commonOf(shell, options)
  const platform = platformFor(common, secrets)
  return platform === null ? EXIT.usage : work(common, platform)
}

function rules(common: Common, found: readonly Rule[]): ExitCode {
  const { terminal, output } = common
  if (output === 'json') {
    const told = found.map(({ id, severity, engine, limit, forMs, summary }) => {
      return { id, severity, engine, limit, forMs, summary }
    })
    terminal.out(`${JSON.stringify({ ok: true, rules: told })}\n`)
    return EXIT.ok
  }
  const titles = ['RULE', 'SEVERITY', 'ENGINE', 'AFTER', 'LIMIT']
  const rows = found.map(({ id, severity, engine, limit, forMs }) => {
    return [id, severity, engine === '' ? 'any' : engine, durationText(forMs), limitText(id, limit)]
  })
  terminal.out(
    `${tableLines(
      titles.map((title) => ({ title })),
      rows,
    ).join('\n')}\n`,
  )
  return EXIT.ok
}

function limitText(id: string, limit: number): string {
  const unit = ruleRow(id as RuleId).limit?.unit
  if (unit === undefined) return '-'
  return unit === 'share' ? `${Math.round(limit * 1_000) / 10} %` : durationOf(limit)
}
