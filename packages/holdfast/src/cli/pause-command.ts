/** `holdfast pause` and `resume`: no automatic change of primary for a while, visible and with an end (R28). */
import { hostname, userInfo } from 'node:os'
import type { Command } from 'commander'
import { supervisedByName } from '../config/platform.ts'
import { durationText } from '../config/quantities.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import {
  agentsOfGroup,
  type Common,
  clientFor,
  commonOf,
  durationArgument,
  failResult,
  groupFor,
  platformFor,
  type Shell,
  withFile,
  withOutput,
} from './shell.ts'
import { pauseSupervised } from './supervised-move.ts'

const PAUSE_EXAMPLES = `
While paused, nobody is promoted or demoted by itself: when the primary dies,
the group stays without one. A pause always ends by itself, at the latest after
7 days.

Examples:
  holdfast pause orders --for 30m --because "kernel update on north-a"`

export function registerPause(program: Command, shell: Shell): void {
  withOutput(withFile(program.command('pause')))
    .summary('no automatic change of primary for a while')
    .description('Stops automatic changes of the primary of one group for a while.')
    .argument('<group>', 'name of the group')
    .requiredOption('--for <time>', 'how long, e.g. 30m', durationArgument)
    .requiredOption('--because <text>', 'why; shown to everybody who looks')
    .addHelpText('after', PAUSE_EXAMPLES)
    .action(async (group: string, options: Record<string, unknown>) => {
      const validMs = Number(options.for)
      const because = String(options.because)
      shell.finish(await pause(commonOf(shell, options), group, { because, validMs }))
    })
  withOutput(withFile(program.command('resume')))
    .summary('end a pause')
    .description('Ends the pause of one group. Harmless when there is none.')
    .argument('<group>', 'name of the group')
    .addHelpText('after', '\nExamples:\n  holdfast resume orders')
    .action(async (group: string, options: Record<string, unknown>) => {
      shell.finish(await pause(commonOf(shell, options), group, null))
    })
}

async function pause(
  common: Common,
  name: string,
  wanted: { readonly because: string; readonly validMs: number } | null,
): Promise<ExitCode> {
  const platform = platformFor(common, 'agents')
  if (platform === null) return EXIT.usage
  const supervised = supervisedByName(platform, name)
  if (supervised !== null) return pauseSupervised(common, supervised, wanted)
  const group = groupFor(common, platform, name)
  if (group === null) return EXIT.usage
  const client = clientFor(agentsOfGroup(platform, group))
  const by = whoAmI()
  const result = wanted === null ? await client.resume(name, { by }) : await client.pause(name, { by, ...wanted })
  if (!result.ok) return failResult(common, result)
  const done =
    wanted === null
      ? `${name} is no longer paused`
      : `${name} is paused for ${durationText(wanted.validMs)}; holdfast resume ${name} ends it`
  common.terminal.out(common.output === 'json' ? `${JSON.stringify({ ok: true, group: name })}\n` : `${done}\n`)
  return EXIT.ok
}

/** Who asks, for the record and for everybody who looks. */
export function whoAmI(): string {
  try {
    return `${userInfo().username}@${hostname()}`
  } catch {
    // A user without an entry in the password file, as in some containers.
    return `uid ${process.getuid?.() ?? 'unknown'}@${hostname()}`
  }
}
