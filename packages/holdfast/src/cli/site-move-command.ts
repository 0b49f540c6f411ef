/** `holdfast move` and `holdfast evacuate`: show a plan, carry it out, resume or cancel one. */
import { createInterface } from 'node:readline/promises'
import type { Command } from 'commander'
import { nearest } from '../config/nearest.ts'
import { type Platform, serviceByName } from '../config/platform.ts'
import { durationText } from '../config/quantities.ts'
import { type Draft, isLossy } from '../core/site-plan/draft.ts'
import { isOver, type PlanRecord } from '../core/site-plan/plan.ts'
import type { Wish } from '../core/site-plan/runner.ts'
import { systemClock } from '../io/clock.ts'
import { freshId } from '../io/random.ts'
import { type Drafted, draftMove, evacuated, hooksOf, type Moved } from '../plans/draft-move.ts'
import { Hands } from '../plans/hands.ts'
import { type PlanPort, portOver } from '../plans/plan-port.ts'
import { type RunEnd, runPlan } from '../plans/run-plan.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { whoAmI } from './pause-command.ts'
import { draftLines, Progress, stepsJson } from './plan-screen.ts'
import { type Common, clientFor, commonOf, fail, platformFor, type Shell, withFile, withOutput } from './shell.ts'

const MOVE_EXAMPLES = `
Groups move in the order of the service, what others need first. The plan is
shown before anything is done: its steps, what waits for what, how long each
took in past runs, what could be lost, and who would refuse. It is kept in the
store: when this command dies, --resume goes on and --cancel takes it back.

Examples:
  holdfast move shop --to south --dry-run
  holdfast move shop --to south --yes
  holdfast move shop --home
  holdfast move shop --resume`

const EVACUATE_EXAMPLES = `
If the member is primary, another one takes over, without loss. It may become
primary again when the others fail: stop its agent to be sure.

Examples:
  holdfast evacuate orders-1 --dry-run
  holdfast evacuate orders-1 --yes`

export interface Ordered {
  readonly to: string | null
  readonly home: boolean
  readonly resume: boolean
  readonly cancel: boolean
  readonly dryRun: boolean
  readonly yes: boolean
  readonly allowDataLoss: boolean
}

export interface Scene {
  readonly common: Common
  readonly platform: Platform
  readonly one: Moved
  readonly port: PlanPort
  /** What to type to go on. */
  readonly words: string
  /** What to type when a plan is under way. */
  readonly ways: string
}

export function registerSiteMoves(program: Command, shell: Shell): void {
  withOutput(withFile(program.command('move')))
    .summary('move a service to another site, in order')
    .description('Moves a service to another site: all its groups, in order, with its hooks.')
    .argument('<service>', 'name of the service')
    .option('--to <site>', 'where it shall be')
    .option('--home', 'to the site it is at home')
    .option('--resume', 'go on with a plan whose runner is gone')
    .option('--cancel', 'take a plan back that is under way')
    .option('--dry-run', 'only show the plan')
    .option('--yes', 'carry it out without asking')
    .option('--allow-data-loss', 'accept the loss that the plan shows')
    .addHelpText('after', MOVE_EXAMPLES)
    .action(async (name: string, options: Record<string, unknown>) => {
      shell.finish(await move(commonOf(shell, options), name, orderedBy(options)))
    })
  withOutput(withFile(program.command('evacuate')))
    .summary('move the primary away from one member')
    .description('Moves the primary away from one member, so that its host can be worked on.')
    .argument('<member>', 'name of the member')
    .option('--dry-run', 'only show the plan')
    .option('--yes', 'carry it out without asking')
    .addHelpText('after', EVACUATE_EXAMPLES)
    .action(async (name: string, options: Record<string, unknown>) => {
      shell.finish(await evacuate(commonOf(shell, options), name, orderedBy(options)))
    })
}

export function orderedBy(options: Readonly<Record<string, unknown>>): Ordered {
  const is = (key: string): boolean => options[key] === true
  return {
    to: typeof options.to === 'string' ? options.to : null,
    home: is('home'),
    resume: is('resume'),
    cancel: is('cancel'),
    dryRun: is('dryRun'),
    yes: is('yes'),
    allowDataLoss: is('allowDataLoss'),
  }
}

async function move(common: Common, name: string, ordered: Ordered): Promise<ExitCode> {
  const platform = platformFor(common, 'agents')
  if (platform === null) return EXIT.usage
  const one = serviceByName(platform, name)
  if (one === null) {
    const known = platform.services.map((service) => service.name)
    const meant = nearest(name, known)
    const next = known.length === 0 ? 'describe it under `services:`' : `${meant ?? known.join(', ')}?`
    fail(common, 'HF_SERVICE_UNKNOWN', `there is no service ${name}`, next)
    return EXIT.usage
  }
  const ways = [ordered.to !== null, ordered.home, ordered.resume, ordered.cancel].filter((given) => given).length
  if (ways !== 1) {
    fail(common, 'HF_USAGE', 'say where to, once', '--to <site>, --home, --resume or --cancel')
    return EXIT.usage
  }
  const scene = sceneOf(common, platform, one, { words: `move ${name}` })
  if (ordered.resume) return carryOut(scene, { kind: 'resume' }, 'resume')
  if (ordered.cancel) return carryOut(scene, { kind: 'cancel', by: whoAmI() }, 'cancel')
  const to = ordered.to ?? one.home
  const sites = platform.sites.filter((site) => !site.witness).map((site) => site.name)
  if (!sites.includes(to)) {
    fail(common, 'HF_SITE_UNKNOWN', `${to} is no site with data`, `one of ${sites.join(', ')}`)
    return EXIT.usage
  }
  return planned(scene, ordered, moveOf(scene, ordered, { to, member: null, home: one.home }))
}

async function evacuate(common: Common, member: string, ordered: Ordered): Promise<ExitCode> {
  const platform = platformFor(common, 'agents')
  if (platform === null) return EXIT.usage
  const scope = evacuated(platform, member)
  if (scope === null) {
    const names = platform.groups.flatMap(({ members }) => members.map(({ name }) => name))
    fail(common, 'HF_MEMBER_UNKNOWN', `there is no member ${member}`, `one of ${names.slice(0, 12).join(', ')}`)
    return EXIT.usage
  }
  const scene = sceneOf(common, platform, scope, { words: `evacuate ${member}` })
  return planned(scene, ordered, moveOf(scene, ordered, { to: null, member, home: null }))
}

export function sceneOf(
  common: Common,
  platform: Platform,
  one: Moved,
  { words, ways = `holdfast move ${one.name} --resume, or --cancel` }: { words: string; ways?: string },
): Scene {
  return { common, platform, one, port: portOver(clientFor(platform.agents)), words, ways }
}

interface Where {
  readonly to: string | null
  readonly member: string | null
  readonly home: string | null
}

function moveOf({ one, platform, port }: Scene, ordered: Ordered, where: Where): () => Promise<Drafted> {
  const order = { id: freshId(), by: whoAmI(), lossAccepted: ordered.allowDataLoss, ...where }
  return () => draftMove(one, order, { platform, port })
}

export async function planned(
  scene: Scene,
  ordered: Pick<Ordered, 'dryRun' | 'yes' | 'allowDataLoss'>,
  draftIt: () => Promise<Drafted>,
): Promise<ExitCode> {
  const { common } = scene
  const drafted = await draftIt()
  if (!drafted.ok) return notDrafted(scene, drafted)
  const { draft } = drafted
  const lossy = isLossy(draft) && !ordered.allowDataLoss
  const begin = draft.refusals.length === 0 && !lossy && draft.plan.steps.length > 0
  const stays = ordered.dryRun || !begin
  if (common.output === 'table') common.terminal.out(`${draftLines(draft, common.paint).join('\n')}\n`)
  else if (stays) {
    const { plan, losses, refusals, notes = [] } = draft
    const answer = { ok: draft.refusals.length === 0 && !lossy, dryRun: ordered.dryRun, kind: plan.kind }
    const steps = plan.steps.map(({ id, after, predicted }) => ({ name: id, after, predicted }))
    common.terminal.out(
      `${JSON.stringify({ ...answer, from: plan.from, to: plan.to, steps, losses, refusals, notes })}\n`,
    )
  }
  if (draft.refusals.length > 0 || (lossy && !ordered.dryRun)) return refused(scene, draft)
  if (ordered.dryRun) {
    if (common.output === 'table') common.terminal.out('Nothing was changed.\n')
    return EXIT.ok
  }
  if (draft.plan.steps.length === 0) return EXIT.ok
  if (!ordered.yes && !(await agreed(common))) {
    fail(common, 'HF_PLAN_REFUSED', 'nobody agreed, so nothing was changed', 'the same command with --yes')
    return EXIT.failed
  }
  return carryOut(scene, { kind: 'create', plan: draft.plan, ifRevision: drafted.revision }, 'go')
}

function notDrafted(scene: Scene, drafted: Exclude<Drafted, { readonly ok: true }>): ExitCode {
  const { common, one } = scene
  if (drafted.kind === 'busy') return told(scene, { how: 'busy', plan: drafted.plan }, NOTHING_DONE)
  if (drafted.kind === 'store') {
    const words = `plans cannot be read: ${drafted.because}`
    fail(common, 'HF_STORE_UNREACHABLE', words, 'see holdfast status, ask again')
    return EXIT.unreachable
  }
  const next = 'start the agents of the surviving site, then ask again'
  fail(common, 'HF_AGENT_UNREACHABLE', `no agent of a group of ${one.name} answers`, next)
  return EXIT.unreachable
}

function refused({ common, words }: Scene, { refusals, losses }: Draft): ExitCode {
  if (common.output === 'json') return EXIT.failed
  if (refusals.length > 0) {
    const next = 'mend it, then ask again; holdfast explain <group> tells more'
    fail(common, 'HF_PLAN_REFUSED', 'the plan is refused as shown; nothing was changed', next)
    return EXIT.failed
  }
  const groups = losses.map(({ group }) => group).join(', ')
  const next = `to accept it: holdfast ${words} .. --allow-data-loss`
  fail(common, 'HF_PLAN_REFUSED', `${groups} may lose acknowledged writes (R16), and nobody accepted that`, next)
  return EXIT.failed
}

async function agreed({ terminal }: Common): Promise<boolean> {
  if (!terminal.isTty || process.stdin.isTTY !== true) return false
  const asker = createInterface({ input: process.stdin, output: process.stdout })
  try {
    return /^y(es)?$/i.test(await asker.question('Carry it out? (yes/no) ', { signal: terminal.interrupted }))
  } catch {
    return false
  } finally {
    asker.close()
  }
}

export async function carryOut(scene: Scene, wish: Wish, why: 'go' | 'resume' | 'cancel'): Promise<ExitCode> {
  const { common, platform, one, port } = scene
  const startedMs = systemClock.nowMs()
  const progress = new Progress()
  const say = (line: string): void => {
    if (common.output === 'json') return
    common.terminal.err(`${durationText(systemClock.nowMs() - startedMs).padStart(8)}  ${line}\n`)
  }
  let last: PlanRecord | null = null
  let silence = ''
  if (why !== 'go') say('looking for the plan; one whose runner is gone is taken over after 8 s')
  const end = await runPlan({
    scope: one.name,
    wish,
    port,
    hands: new Hands({ platform, hooks: hooksOf(platform, one.name), clock: systemClock }),
    clock: systemClock,
    left: common.terminal.interrupted,
    onChange: (plan) => {
      last = plan
      for (const line of progress.news(plan)) say(line)
    },
    onSilence: (because) => {
      if (silence !== because) say(`the store does not answer: ${because}`)
      silence = because
    },
  })
  return told(scene, { ...end, plan: end.plan ?? last }, { why, tookMs: systemClock.nowMs() - startedMs })
}

interface Ending {
  readonly why: 'go' | 'resume' | 'cancel'
  readonly tookMs: number
}

const NOTHING_DONE: Ending = { why: 'go', tookMs: 0 }

function told(scene: Scene, { how, plan }: RunEnd, { why, tookMs }: Ending): ExitCode {
  const { common, one, words } = scene
  const wanted = why === 'cancel' ? plan?.phase === 'undone' : plan?.phase === 'done'
  const ok = how === 'over' && wanted
  const error = ok ? null : errorOf({ how, plan, name: one.name, ways: scene.ways })
  if (common.output === 'json') {
    const facts = plan === null ? {} : { id: plan.id, phase: plan.phase, because: plan.because, steps: stepsJson(plan) }
    const tail = error === null ? {} : { error }
    common.terminal.out(
      `${JSON.stringify({ ok, how, service: one.name, ...facts, tookMs: Math.round(tookMs), ...tail })}\n`,
    )
  } else if (error === null) {
    common.terminal.out(`${common.paint.good('done')}  ${words}: ${plan?.phase}, ${durationText(tookMs)}\n`)
  } else fail(common, error.code, error.message, error.next)
  if (ok) return EXIT.ok
  return how === 'left' ? EXIT.interrupted : EXIT.failed
}

interface Failure {
  readonly code: string
  readonly message: string
  readonly next: string
}

function errorOf({ how, plan, name, ways }: RunEnd & { readonly name: string; readonly ways: string }): Failure {
  const because = plan?.because ?? ''
  const begun = plan?.steps.filter(({ state }) => state !== 'waiting').map(({ id, state }) => `${id} ${state}`) ?? []
  if (how === 'left') {
    if (plan === null) return { code: 'HF_PLAN_STOPPED', message: 'interrupted before anything was begun', next: '' }
    const message = `interrupted; the plan stays as it is (${plan.phase}: ${begun.join(', ') || 'nothing begun'})`
    return { code: 'HF_PLAN_STOPPED', message, next: ways }
  }
  if (how === 'busy' && plan !== null && isOver(plan)) {
    const message = `somebody else moved ${name} meanwhile (${plan.kind}: ${plan.phase})`
    return { code: 'HF_PLAN_BUSY', message, next: 'look again: holdfast status' }
  }
  if (how === 'busy') {
    const to = plan?.to == null ? '' : ` to ${plan.to}`
    const message = `${plan?.kind} of ${name}${to}, asked by ${plan?.by}, is not over`
    return { code: 'HF_PLAN_BUSY', message, next: ways }
  }
  if (how === 'nothing')
    return { code: 'HF_PLAN_REFUSED', message: `no plan of ${name} is under way`, next: 'holdfast status' }
  if (how === 'taken-over') {
    return {
      code: 'HF_PLAN_BUSY',
      message: 'somebody else runs this plan now',
      next: `watch it: holdfast status --watch`,
    }
  }
  if (plan?.phase === 'undone') {
    return { code: 'HF_PLAN_UNDONE', message: `taken back: ${because}`, next: 'mend what failed, then ask again' }
  }
  if (plan?.phase === 'done')
    return { code: 'HF_PLAN_REFUSED', message: 'it was done before it could be cancelled', next: '' }
  const stuck = plan?.steps.filter(({ state }) => state === 'failed' || state === 'stuck') ?? []
  const which = stuck.map(({ id, state }) => `${id} ${state}`).join(', ')
  const message = `stopped: ${because}${which === '' ? '' : ` (${which})`}`
  return {
    code: 'HF_PLAN_STOPPED',
    message,
    next: 'holdfast status; when it is mended, the same command again',
  }
}
