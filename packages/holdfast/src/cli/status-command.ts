/** `holdfast status`: what every agent says, per group, and whether it is safe now. */
import type { Command } from 'commander'
import { visibleText } from '../io/visible-text.ts'
import { LOOK_MS, openSupervised } from '../server/supervised/open.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import {
  type Common,
  clientFor,
  commonOf,
  durationArgument,
  platformFor,
  type Shell,
  withFile,
  withOutput,
} from './shell.ts'
import { statusLines } from './status-screen.ts'
import { type PlatformView, platformView } from './status-view.ts'
import { supervisedGroupView } from './supervised-view.ts'
import { pause } from './terminal.ts'

const EXAMPLES = `
WRITABLE is how long a member may still write without renewing its lease; "-"
means it may not. "safe now" tells whether the loss of the primary, this
second, would be survived without loss.

Examples:
  holdfast status
  holdfast status --watch
  holdfast status --output json | jq '.groups[] | {group, safe: .verdict.safe}'`

export function registerStatus(program: Command, shell: Shell): void {
  withOutput(withFile(program.command('status')))
    .summary('show every group and whether it is safe now')
    .description('Asks every agent and shows each group: members, roles, lag, and whether it is safe now.')
    .option('-w, --watch', 'refresh until Ctrl-C')
    .option('--every <time>', 'time between refreshes (default: 1s)', durationArgument)
    .addHelpText('after', EXAMPLES)
    .action(async (options: Record<string, unknown>) => {
      const common = commonOf(shell, options)
      const everyMs = typeof options.every === 'number' ? options.every : 1_000
      shell.finish(options.watch === true ? await watch(common, everyMs) : await once(common))
    })
}

async function look(common: Common): Promise<(() => Promise<PlatformView>) | null> {
  const platform = platformFor(common, 'agents')
  if (platform === null) return null
  const client = clientFor(platform.agents)
  const managers = await Promise.all(
    platform.supervised.map(async (spec) => ({ spec, supervisor: await openSupervised(spec) })),
  )
  return async () => {
    const [answers, ...supervised] = await Promise.all([
      platform.agents.length === 0 ? [] : client.statusOfEach(),
      ...managers.map(async ({ spec, supervisor }) => supervisedGroupView(spec, await supervisor.look(LOOK_MS))),
    ])
    return platformView(platform, answers, supervised)
  }
}

async function once(common: Common): Promise<ExitCode> {
  const ask = await look(common)
  if (ask === null) return EXIT.usage
  const view = await ask()
  common.terminal.out(drawn(view, common))
  const heard = view.groups.some(({ supervised }) => supervised !== null && supervised.heard > 0)
  return heard || view.agents.some((agent) => agent.status !== null) ? EXIT.ok : EXIT.unreachable
}

function drawn(view: PlatformView, common: Common): string {
  if (common.output === 'json') return `${JSON.stringify(view)}\n`
  return `${statusLines(view, common.paint).join('\n').trimEnd()}\n`
}

/** In a terminal: a screen of its own, redrawn in place, and the old one back at the end. */
async function watch(common: Common, everyMs: number): Promise<ExitCode> {
  const ask = await look(common)
  if (ask === null) return EXIT.usage
  const { terminal } = common
  const inPlace = terminal.isTty && common.output === 'table'
  if (inPlace) terminal.draw('\u001b[?1049h\u001b[?25l')
  try {
    do {
      const text = drawn(await ask(), common)
      if (terminal.interrupted.aborted) break
      // Each line clears its own rest, so that nothing flickers.
      if (inPlace) {
        const lines = visibleText(text, true).replaceAll('\n', '\u001b[K\n')
        terminal.draw(`\u001b[H${lines}${footer(common)}\u001b[J`)
      } else terminal.out(text)
    } while (await pause(everyMs, terminal.interrupted))
  } finally {
    if (inPlace) terminal.draw('\u001b[?25h\u001b[?1049l')
  }
  return EXIT.ok
}

function footer(common: Common): string {
  return common.paint.dim('\nCtrl-C ends this.\u001b[K')
}
