/** `holdfast switchover` and `holdfast failover`: ask for another primary and wait until it is there, or refused. */
import type { AgentClient, IntentState } from '@holdfast/client'
import type { Command } from 'commander'
import { type GroupSpec, type Platform, supervisedByName } from '../config/platform.ts'
import { durationText } from '../config/quantities.ts'
import { wrapped } from '../config/report.ts'
import { systemClock } from '../io/clock.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { explanationLines } from './explain-command.ts'
import { whoAmI } from './pause-command.ts'
import {
  agentsOfGroup,
  type Common,
  clientFor,
  commonOf,
  fail,
  failResult,
  groupFor,
  platformFor,
  type Shell,
  withFile,
  withOutput,
  withTimeout,
} from './shell.ts'
import { moveSupervised } from './supervised-move.ts'
import { pause } from './terminal.ts'

const SWITCHOVER_EXAMPLES = `
The primary stops cleanly, the target confirms the last write, then it opens:
nothing is lost. Without --to the best candidate is taken.

Examples:
  holdfast switchover orders
  holdfast switchover orders --to orders-2
  holdfast switchover orders --to orders-2 --dry-run`

const FAILOVER_EXAMPLES = `
For a group whose primary is gone and that does not move by itself. A member
that may lack acknowledged writes is refused, with the rule and its numbers,
unless the loss is accepted with --allow-data-loss.

Examples:
  holdfast failover orders
  holdfast failover orders --to orders-2 --allow-data-loss`

interface Move {
  readonly kind: 'switchover' | 'failover'
  readonly to: string | null
  readonly dryRun: boolean
  readonly allowDataLoss: boolean
  /** Matters only where another program is asked. */
  readonly yes: boolean
}

interface Scene {
  readonly common: Common
  readonly platform: Platform
  readonly group: GroupSpec
  readonly client: AgentClient
  readonly move: Move
}

/** A switchover takes some 300 ms; a look every so often costs nothing. */
const LOOK_MS = 100

export function registerMoves(program: Command, shell: Shell): void {
  const base = (name: 'switchover' | 'failover') =>
    withTimeout(withOutput(withFile(program.command(name))), '60s')
      .argument('<group>', 'name of the group')
      .option('--to <member>', 'who becomes primary')
      .option('--yes', 'do ask the program that leads a supervised group')
  base('switchover')
    .summary('move the primary, planned and without loss')
    .description('Moves the primary of a group to another member, without loss.')
    .option('--dry-run', 'only say whether it would be done')
    .option('--allow-data-loss', 'supervised by sentinel: do not hold the writers')
    .addHelpText('after', SWITCHOVER_EXAMPLES)
    .action(async (group: string, options: Record<string, unknown>) => {
      const common = commonOf(shell, options)
      const rest = { ...flagsOf(options), dryRun: options.dryRun === true }
      shell.finish(await run(common, group, { kind: 'switchover', to: textOrNull(options.to), ...rest }))
    })
  base('failover')
    .summary('make another member primary when the primary is gone')
    .description('Makes another member primary when the present one is gone.')
    .option('--allow-data-loss', 'accept that acknowledged writes may be lost')
    .addHelpText('after', FAILOVER_EXAMPLES)
    .action(async (group: string, options: Record<string, unknown>) => {
      const common = commonOf(shell, options)
      const rest = { ...flagsOf(options), dryRun: false }
      shell.finish(await run(common, group, { kind: 'failover', to: textOrNull(options.to), ...rest }))
    })
}

function flagsOf(options: Readonly<Record<string, unknown>>): Pick<Move, 'allowDataLoss' | 'yes'> {
  return { allowDataLoss: options.allowDataLoss === true, yes: options.yes === true }
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

async function run(common: Common, name: string, move: Move): Promise<ExitCode> {
  const platform = platformFor(common, 'agents')
  if (platform === null) return EXIT.usage
  const supervised = supervisedByName(platform, name)
  if (supervised !== null) return moveSupervised(common, supervised, move)
  const group = groupFor(common, platform, name)
  if (group === null) return EXIT.usage
  if (move.kind === 'switchover' && move.allowDataLoss) {
    const next = 'without --allow-data-loss; what may lose something is: holdfast failover'
    fail(common, 'HF_INTENT_REFUSED', `a switchover of ${name} loses nothing, so there is no loss to accept`, next)
    return EXIT.usage
  }
  const { to } = move
  if (to !== null && !group.members.some((member) => member.name === to)) {
    const names = group.members.map((member) => member.name).join(', ')
    fail(common, 'HF_MEMBER_UNKNOWN', `${to} is no member of ${name}`, `one of ${names}`)
    return EXIT.usage
  }
  const client = clientFor(agentsOfGroup(platform, group))
  return carryOut({ common, platform, group, client, move })
}

async function carryOut(scene: Scene): Promise<ExitCode> {
  const { common, group, client, move } = scene
  const startedMs = systemClock.nowMs()
  const before = await client.explain(group.name)
  const target = move.to === null ? {} : { to: move.to }
  const by = whoAmI()
  const result =
    move.kind === 'switchover'
      ? await client.switchover(group.name, { ...target, by, ...(move.dryRun ? { dryRun: true } : {}) })
      : await client.failover(group.name, { ...target, by, allowDataLoss: move.allowDataLoss })
  if (!result.ok) {
    if (result.kind === 'refused' && result.code === 'HF_INTENT_REFUSED')
      return refused(scene, result.message, result.next)
    return failResult(common, result)
  }
  const oldPrimary = before.ok ? before.value.holder : null
  if (move.dryRun) return wouldDo(scene, oldPrimary)
  return follow(scene, result.value.id, { startedMs, oldPrimary })
}

function wouldDo({ common, group, move }: Scene, oldPrimary: string | null): ExitCode {
  const to = move.to ?? 'the best candidate'
  if (common.output === 'json') {
    const answer = { ok: true, dryRun: true, group: group.name, oldPrimary, to: move.to }
    common.terminal.out(`${JSON.stringify(answer)}\n`)
  } else
    common.terminal.out(
      `It would be done: ${group.name} from ${oldPrimary ?? 'nobody'} to ${to}. Nothing was changed.\n`,
    )
  return EXIT.ok
}

interface Begun {
  readonly startedMs: number
  readonly oldPrimary: string | null
}

async function follow(scene: Scene, id: string, begun: Begun): Promise<ExitCode> {
  const { common, group, client, move } = scene
  const { terminal, output } = common
  const deadlineMs = begun.startedMs + common.timeoutMs
  const say = progress(common)
  say(`${move.kind} of ${group.name} asked for`)
  for (;;) {
    const state = await client.intent(group.name, id)
    if (state.ok) {
      if (state.value.state === 'done') return done(scene, state.value, begun)
      if (state.value.state === 'refused')
        return refused(
          scene,
          state.value.because,
          `see what it lacks with: holdfast explain ${group.name}; then ask again`,
        )
      say(`${state.value.state}: ${state.value.because}`)
    } else if (state.kind === 'refused' && state.code === 'HF_INTENT_UNKNOWN') {
      // The group remembers one answer; a later request took its place. It may well have been done.
      fail(common, state.code, 'a later request took the place of the answer to this one', 'holdfast status')
      return EXIT.uncertain
    } else say('no agent answers just now')
    const leftMs = deadlineMs - systemClock.nowMs()
    if (leftMs <= 0) {
      const message = `${move.kind} is not done after ${durationText(common.timeoutMs)}; it may still happen`
      fail(common, 'HF_TIMED_OUT', message, 'holdfast status --watch')
      return EXIT.uncertain
    }
    if (await pause(Math.min(LOOK_MS, leftMs), terminal.interrupted)) continue
    if (output === 'table') terminal.err('\nNo longer waiting; it goes on. Watch it with: holdfast status --watch\n')
    return EXIT.interrupted
  }
}

/** Tells each new step once, with the time since the start; only to people. */
function progress(common: Common): (step: string) => void {
  const startedMs = systemClock.nowMs()
  let last = ''
  return (step) => {
    if (step === last || common.output === 'json') return
    last = step
    common.terminal.err(`${durationText(systemClock.nowMs() - startedMs).padStart(8)}  ${step}\n`)
  }
}

function done({ common, group, move }: Scene, state: IntentState, begun: Begun): ExitCode {
  const tookMs = Math.round(systemClock.nowMs() - begun.startedMs)
  const { oldPrimary } = begun
  const newPrimary = state.holder
  if (common.output === 'json') {
    const answer = { ok: true, group: group.name, kind: move.kind, oldPrimary, newPrimary, epoch: state.epoch, tookMs }
    common.terminal.out(`${JSON.stringify(answer)}\n`)
    return EXIT.ok
  }
  const names = `old primary ${oldPrimary ?? 'none'}, new primary ${newPrimary ?? 'none'}`
  common.terminal.out(`${common.paint.good('done')}  ${names}, epoch ${state.epoch}, ${durationText(tookMs)}\n`)
  return EXIT.ok
}

/** Why it was refused, what each candidate lacks, and the command that overrides it where there is one. */
async function refused(scene: Scene, because: string, next: string): Promise<ExitCode> {
  const { common, group, client, move } = scene
  const override = move.kind === 'failover' && !move.allowDataLoss ? overrideCommand(scene) : null
  if (common.output === 'json') {
    const error = { code: 'HF_INTENT_REFUSED', message: because, next: override ?? next }
    common.terminal.out(`${JSON.stringify({ ok: false, error })}\n`)
    return EXIT.failed
  }
  fail(common, 'HF_INTENT_REFUSED', `${move.kind} refused: ${because}`, override === null ? next : '')
  const explanation = await client.explain(group.name)
  if (explanation.ok) common.terminal.err(`\n${explanationLines(explanation.value, common.paint).join('\n')}\n`)
  if (override !== null) {
    const text = 'To go on all the same, and lose what was acknowledged and is only on the old primary:'
    common.terminal.err(`\n${wrapped(text, '').join('\n')}\n  ${override}\n`)
  }
  return EXIT.failed
}

function overrideCommand({ common, group, move }: Scene): string {
  const to = move.to === null ? '' : ` --to ${move.to}`
  const file = common.file === 'holdfast.yaml' ? '' : ` --file ${quoted(common.file)}`
  return `holdfast failover ${group.name}${to} --allow-data-loss${file}`
}

function quoted(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`
}
