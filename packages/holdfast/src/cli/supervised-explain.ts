/** `holdfast explain` for a group that another program leads: who said what, and what we make of it. */
import { wrapped } from '../config/report.ts'
import type { SupervisedSpec } from '../config/supervised.ts'
import type { Picture, Sighting } from '../core/supervision/model.ts'
import { pictureOf } from '../core/supervision/picture.ts'
import { chooseTarget, type Target } from '../core/supervision/target.ts'
import type { Look, Supervisor } from '../engines/supervisor.ts'
import { LOOK_MS, openSupervised } from '../server/supervised/open.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { type Common, fail } from './shell.ts'
import { concernLines, factText } from './supervised-screen.ts'

export async function explainSupervised(common: Common, spec: SupervisedSpec): Promise<ExitCode> {
  const supervisor = await openSupervised(spec)
  const look = await supervisor.look(LOOK_MS)
  const picture = pictureOf(look.sighting)
  if (picture.heard === 0) return unreachable(common, spec, look.sighting)
  const target = chooseTarget(picture, { to: null, namesTarget: supervisor.traits.namesTarget })
  const failover = supervisor.failoverCommand(target.ok ? target.to : null, picture)
  if (common.output === 'json') {
    const { manager, facts, sighting } = look
    const answer = { group: spec.name, by: spec.by, manager, facts, sighting, picture, target, failover }
    common.terminal.out(`${JSON.stringify(answer)}\n`)
  } else {
    const lines = linesOf({ spec, look, picture, target, failover, supervisor })
    common.terminal.out(`${lines.join('\n')}\n`)
  }
  return EXIT.ok
}

export function unreachable(common: Common, spec: SupervisedSpec, { voices }: Sighting): ExitCode {
  const tried = voices.map(({ voice, because }) => `${voice}: ${because}`).join('; ')
  const next = 'check `endpoints` and the password in the description, and that the manager runs'
  fail(common, 'HF_MANAGER_UNREACHABLE', `nobody of ${spec.by} answers for ${spec.name} (${tried})`, next)
  return EXIT.unreachable
}

interface Told {
  readonly spec: SupervisedSpec
  readonly look: Look
  readonly picture: Picture
  readonly target: Target
  readonly failover: string
  readonly supervisor: Supervisor
}

function linesOf({ spec, look, picture, target, failover, supervisor }: Told): readonly string[] {
  const { voices, engines } = look.sighting
  const facts = Object.entries(look.facts).map(([name, value]) => factText(name, value))
  const loses = supervisor.traits.losesWhenPlanned
    ? ['  writers are held during a switchover, because it would lose what they are told is safe', '']
    : []
  return [
    ...wrapped([`supervised by ${spec.by}`, look.manager, ...facts].join(', '), `${spec.name}  `),
    '',
    '  what the manager says',
    ...voices.flatMap(({ voice, heard, because, epoch, members, paused }) => {
      const primaries = members.filter(({ role }) => role === 'primary').map(({ member }) => member)
      const number = epoch === null ? '' : `, epoch ${epoch}`
      const says = heard ? `primary ${primaries.join(', ') || 'none'}${number}${paused ? ', paused' : ''}` : because
      return wrapped(says, `    ${voice}  `)
    }),
    '',
    '  what the engines say',
    ...engines.flatMap(({ member, answering, because, role, position, streaming }) => {
      const at = position === null ? '' : `, log ends at ${position}`
      const stream = role === 'replica' ? (streaming ? ', streaming' : ', not streaming') : ''
      return wrapped(answering ? `${role}${stream}${at}` : because, `    ${member}  `)
    }),
    '',
    ...picture.concerns.flatMap((concern) => concernLines(concern)),
    ...wrapped(picture.because, `  safe now: ${picture.safe ? 'yes' : 'no'}, `),
    '',
    ...loses,
    ...(target.ok
      ? wrapped(`${target.from} to ${target.to}`, '  a switchover would be asked for: ')
      : ['  a switchover would not be asked for:', ...target.reasons.flatMap((one) => concernLines(one, '    '))]),
    ...wrapped('the manager decides that by itself; to force it, with its own tool:', '  failover: '),
    `    ${failover}`,
  ]
}
