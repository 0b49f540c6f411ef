/** `holdfast validate`: every mistake of a description, or what it describes. */
import { type Command, Option } from 'commander'
import { drillEntries } from '../config/drill-files.ts'
import { loadPlatform } from '../config/load.ts'
import type { Platform } from '../config/platform.ts'
import { durationText } from '../config/quantities.ts'
import { mistakesText } from '../config/report.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { type Common, commonOf, countText, type Shell, withOutput } from './shell.ts'
import { tableLines } from './table.ts'

const EXAMPLES = `
Examples:
  holdfast validate holdfast.yaml
  holdfast validate holdfast.yaml --secrets none     # on a machine without them
  holdfast validate holdfast.yaml --output json | jq '.mistakes[].what'

A description to start from: examples/one-host.yaml. For completion in an
editor, the JSON Schema is packages/holdfast/schema/holdfast.v1.json.`

export function registerValidate(program: Command, shell: Shell): void {
  withOutput(program.command('validate'))
    .summary('check a description')
    .description('Checks a description and tells every mistake: where, what is wrong, what would be right.')
    .argument('<file>', 'the description')
    .addOption(new Option('--secrets <which>', 'which secrets must be there').choices(['all', 'none']).default('all'))
    .addHelpText('after', EXAMPLES)
    .action((file: string, options: Record<string, unknown>) => {
      const common = { ...commonOf(shell, options), file }
      shell.finish(validate(common, options.secrets === 'none' ? 'none' : 'all'))
    })
}

function validate(common: Common, secrets: 'all' | 'none'): ExitCode {
  const { file, terminal, paint } = common
  const loaded = loadPlatform(file, { env: terminal.env, secrets })
  const mistakes = loaded.ok ? [] : loaded.mistakes
  const { warnings } = loaded
  const drills = loaded.ok ? drillEntries(loaded.platform).flatMap((one) => (one.ok ? [] : [one])) : []
  const right = loaded.ok && drills.length === 0
  if (common.output === 'json') {
    const told = drills.map((one) => ({ file: one.file, mistakes: one.mistakes }))
    const answer = { ok: right, file, mistakes, warnings, ...(told.length === 0 ? {} : { drills: told }) }
    terminal.out(`${JSON.stringify(answer)}\n`)
    return right ? EXIT.ok : EXIT.usage
  }
  if (mistakes.length > 0) terminal.out(`${mistakesText(file, mistakes)}\n\n`)
  if (warnings.length > 0) terminal.out(`${paint.warn('Warnings')}\n${mistakesText(file, warnings)}\n\n`)
  if (loaded.ok) terminal.out(`${summary(loaded.platform).join('\n')}\n\n`)
  const counts = [
    mistakes.length === 0 ? paint.good('no mistakes') : paint.bad(countText(mistakes.length, 'mistake')),
    ...(warnings.length === 0 ? [] : [countText(warnings.length, 'warning')]),
  ]
  for (const one of drills) terminal.out(`${mistakesText(one.file, one.mistakes)}\n`)
  if (drills.length > 0) counts.push(paint.bad(`${countText(drills.length, 'drill file')} with mistakes`))
  terminal.out(`${file}: ${counts.join(', ')}\n`)
  return right ? EXIT.ok : EXIT.usage
}

function summary(platform: Platform): readonly string[] {
  const columns = [
    { title: 'GROUP' },
    { title: 'REPLICATION' },
    { title: 'FAILOVER' },
    { title: 'LEASE' },
    { title: 'MEMBERS', align: 'right' as const },
    { title: 'SITES' },
  ]
  const rows = platform.groups.map((group) => [
    group.name,
    group.replication.kind === 'quorum' ? `quorum ${group.replication.need}` : group.replication.kind,
    group.failover,
    durationText(group.timing.ttlMs),
    String(group.members.length),
    [...new Set(group.members.map((member) => member.site))].join(' '),
  ])
  const supervised = platform.supervised.map((group) => [
    group.name,
    '-',
    `by ${group.by}`,
    '-',
    '-',
    [...new Set(Object.values(group.sites))].join(' '),
  ])
  return tableLines(columns, [...rows, ...supervised])
}
