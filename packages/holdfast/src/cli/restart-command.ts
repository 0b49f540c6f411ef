/** `holdfast restart`: the engines of one group anew, one after the other, as a plan of its own kind. */
import type { Command } from 'commander'
import { supervisedByName } from '../config/platform.ts'
import { isOver, type PlanRecord } from '../core/site-plan/plan.ts'
import { freshId } from '../io/random.ts'
import { draftRestarts, movedAlone } from '../plans/draft-move.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { whoAmI } from './pause-command.ts'
import { type Common, commonOf, fail, groupFor, platformFor, type Shell, withFile, withOutput } from './shell.ts'
import { carryOut, type Ordered, orderedBy, planned, type Scene, sceneOf } from './site-move-command.ts'

const EXAMPLES = `
For new binaries of the same major version, or parameters that need a restart.
Each replica in turn, until it has caught up again; then a switchover; then the
former primary. Writers meet one switchover. A replica that does not come back
stops the plan before the next one is touched. The plan is kept in the store:
when this command dies, --resume goes on.

Examples:
  holdfast restart orders --rolling --dry-run
  holdfast restart orders --rolling --yes
  holdfast restart orders --member orders-2 --yes
  holdfast restart orders --resume`

interface Wanted extends Ordered {
  readonly rolling: boolean
  readonly member: string | null
}

export function registerRestart(program: Command, shell: Shell): void {
  withOutput(withFile(program.command('restart')))
    .summary('restart the engines of a group, one by one')
    .description('Restarts the engines of a group, one after the other.')
    .argument('<group>', 'name of the group')
    .option('--rolling', 'every member, the primary last')
    .option('--member <member>', 'only this one; a primary is switched away from first')
    .option('--resume', 'go on with a plan whose runner is gone')
    .option('--cancel', 'end a plan that is under way')
    .option('--dry-run', 'only show the plan')
    .option('--yes', 'carry it out without asking')
    .addHelpText('after', EXAMPLES)
    .action(async (name: string, options: Record<string, unknown>) => {
      const member = typeof options.member === 'string' ? options.member : null
      const wanted = { ...orderedBy(options), rolling: options.rolling === true, member }
      shell.finish(await restart(commonOf(shell, options), name, wanted))
    })
}

async function restart(common: Common, name: string, wanted: Wanted): Promise<ExitCode> {
  const platform = platformFor(common, 'agents')
  if (platform === null) return EXIT.usage
  if (supervisedByName(platform, name) !== null) {
    const what = `${name} is supervised: its own manager restarts its engines`
    fail(common, 'HF_USAGE', what, 'by its own command, e.g. patronictl restart')
    return EXIT.usage
  }
  const group = groupFor(common, platform, name)
  if (group === null) return EXIT.usage
  const { member } = wanted
  const asked = [wanted.rolling, member !== null, wanted.resume, wanted.cancel].filter((given) => given).length
  if (asked !== 1) {
    fail(common, 'HF_USAGE', 'say what to restart, once', '--rolling, --member <member>, --resume or --cancel')
    return EXIT.usage
  }
  const names = group.members.map((one) => one.name)
  if (member !== null && !names.includes(member)) {
    fail(common, 'HF_MEMBER_UNKNOWN', `${name} has no member ${member}`, `one of ${names.join(', ')}`)
    return EXIT.usage
  }
  const one = movedAlone(platform, group)
  const ways = `holdfast restart ${name} --resume, or --cancel`
  const scene = sceneOf(common, platform, one, { words: `restart ${name}`, ways })
  if (wanted.resume || wanted.cancel) return goOn(scene, group.name, wanted.cancel)
  const order = { id: freshId(), by: whoAmI(), member }
  return planned(scene, wanted, () => draftRestarts(one, order, { platform, port: scene.port }))
}

/** A plan of the whole service is not this command's to end, nor one that restarts another group of it. */
async function goOn(scene: Scene, group: string, isCancel: boolean): Promise<ExitCode> {
  const { common, one, port } = scene
  const read = await port.read(one.name)
  if (!read.ok) {
    const words = `plans cannot be read: ${read.because}; nothing was changed`
    fail(common, 'HF_STORE_UNREACHABLE', words, 'see holdfast status, ask again')
    return EXIT.unreachable
  }
  const { plan } = read
  const other = plan === null || isOver(plan) ? null : otherWork(plan, group)
  if (plan !== null && other !== null) {
    const ways = plan.kind === 'restart' ? `holdfast restart ${other}` : `holdfast move ${one.name}`
    const next = `to go on with it, or end it: ${ways} --resume, or --cancel`
    const what = `what is under way is a ${plan.kind} of ${other}, asked by ${plan.by}; nothing was changed`
    fail(common, 'HF_PLAN_REFUSED', what, next)
    return EXIT.failed
  }
  const id = plan === null ? {} : { id: plan.id }
  if (isCancel) return carryOut(scene, { kind: 'cancel', by: whoAmI(), ...id }, 'cancel')
  return carryOut(scene, { kind: 'resume', ...id }, 'resume')
}

/** What the plan is about; null when it restarts this group. */
export function otherWork({ kind, scope, steps }: PlanRecord, group: string): string | null {
  if (kind !== 'restart') return scope
  const restarted = steps.find((step) => step.kind === 'restart')?.group ?? null
  return restarted === group ? null : (restarted ?? scope)
}
