/** `holdfast explain`: each candidate's verdict, the rules that exclude it and their numbers. */
import type { GroupExplanation, ReasonLine } from '@holdfast/client'
import type { Command } from 'commander'
import { supervisedByName } from '../config/platform.ts'
import { bytesText, durationText } from '../config/quantities.ts'
import { wrapped } from '../config/report.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import type { Paint } from './paint.ts'
import {
  agentsOfGroup,
  type Common,
  clientFor,
  commonOf,
  failResult,
  groupFor,
  platformFor,
  type Shell,
  withFile,
  withOutput,
} from './shell.ts'
import { explainSupervised } from './supervised-explain.ts'

const EXAMPLES = `
The rules (R1 to R33) are explained in docs/concepts.

Examples:
  holdfast explain orders
  holdfast explain orders --output json | jq '.candidates[].because'`

export function registerExplain(program: Command, shell: Shell): void {
  withOutput(withFile(program.command('explain')))
    .summary('show who could take over, and why others could not')
    .description('Shows what would happen if the holder died now: who could take over, and why others could not.')
    .argument('<group>', 'name of the group')
    .addHelpText('after', EXAMPLES)
    .action(async (group: string, options: Record<string, unknown>) => {
      shell.finish(await explain(commonOf(shell, options), group))
    })
}

async function explain(common: Common, name: string): Promise<ExitCode> {
  const platform = platformFor(common, 'agents')
  if (platform === null) return EXIT.usage
  const supervised = supervisedByName(platform, name)
  if (supervised !== null) return explainSupervised(common, supervised)
  const group = groupFor(common, platform, name)
  if (group === null) return EXIT.usage
  const result = await clientFor(agentsOfGroup(platform, group)).explain(name)
  if (!result.ok) return failResult(common, result)
  if (common.output === 'json') common.terminal.out(`${JSON.stringify(result.value)}\n`)
  else common.terminal.out(`${explanationLines(result.value, common.paint).join('\n')}\n`)
  return EXIT.ok
}

export function explanationLines(explanation: GroupExplanation, paint: Paint): readonly string[] {
  const { group, epoch, phase, holder, seenBy, candidates, wouldDo } = explanation
  const nameWidth = Math.max(0, ...candidates.map((candidate) => candidate.member.length))
  // Without a lease there is neither epoch nor holder.
  const observed = phase === 'observed'
  const leads = observed ? 'is primary' : 'holds the lease'
  const facts = observed
    ? `only observed, primary ${holder ?? 'none'}`
    : `epoch ${epoch}, ${phase}, holder ${holder ?? 'none'}`
  return [
    `${paint.bold(group)}  ${facts}, as seen by ${seenBy}`,
    '',
    ...candidates.flatMap(({ member, eligible, because }) => {
      const role = member === holder ? leads : eligible ? paint.good('may take over') : paint.bad('may not')
      return [`  ${member.padEnd(nameWidth)}  ${role}`, ...because.flatMap((reason) => reasonLines(reason))]
    }),
    '',
    ...wrapped(wouldDo, observed ? '' : 'if the holder died now: '),
  ]
}

/** `R12  behind-floor: 3.2 MiB behind ...` */
export function reasonLines(reason: ReasonLine, indent = '      '): readonly string[] {
  const numbers = Object.entries(reason.detail).map(([name, value]) => `${wordsOf(name)} ${valueText(name, value)}`)
  const rule = (reason.rule ?? '').padEnd(4)
  return wrapped([wordsOf(reason.code), ...numbers].join(', '), `${indent}${rule} `)
}

/** `lagBytes` -> `lag`, `not-in-failsafe-list` -> `not in failsafe list`. */
function wordsOf(name: string): string {
  const spaced = name.replace(/(Ms|Bytes)$/, '').replace(/([a-z])([A-Z])/g, '$1 $2')
  return spaced.replaceAll('-', ' ').toLowerCase()
}

function valueText(name: string, value: string | number | boolean | null): string {
  if (value === null) return 'unknown'
  if (typeof value === 'boolean') return value ? 'yes' : 'no'
  if (typeof value === 'number' && name.endsWith('Ms')) return durationText(value)
  return typeof value === 'number' && name.endsWith('Bytes') ? bytesText(value) : String(value)
}
