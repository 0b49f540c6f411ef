/** `switchover`, `failover`, `pause` and `resume` of a group that another program leads: that program is asked. */
import { durationText } from '../config/quantities.ts'
import type { SupervisedSpec } from '../config/supervised.ts'
import { pictureOf } from '../core/supervision/picture.ts'
import { plannedSwitch, type SwitchReport } from '../engines/planned-switch.ts'
import type { Asked, Supervisor } from '../engines/supervisor.ts'
import { systemClock } from '../io/clock.ts'
import { LOOK_MS, openSupervised } from '../server/supervised/open.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { type Common, fail } from './shell.ts'
import { unreachable } from './supervised-explain.ts'

export interface SupervisedMove {
  readonly kind: 'switchover' | 'failover'
  readonly to: string | null
  readonly dryRun: boolean
  readonly allowDataLoss: boolean
  /** Another program is about to be told to act; without a yes it is only said what would be asked. */
  readonly yes: boolean
}

export async function moveSupervised(common: Common, spec: SupervisedSpec, move: SupervisedMove): Promise<ExitCode> {
  const supervisor = await openSupervised(spec)
  return move.kind === 'switchover'
    ? switchover(common, spec, { supervisor, move })
    : failover(common, spec, { supervisor, move })
}

interface Scene {
  readonly supervisor: Supervisor
  readonly move: SupervisedMove
}

async function switchover(common: Common, spec: SupervisedSpec, { supervisor, move }: Scene): Promise<ExitCode> {
  const dryRun = move.dryRun || !move.yes
  const say = progress(common)
  const report = await plannedSwitch(
    supervisor,
    { to: move.to, allowLoss: move.allowDataLoss, timeoutMs: common.timeoutMs, dryRun },
    { clock: systemClock, say, signal: common.terminal.interrupted },
  )
  if (!report.ok) return notDone(common, spec, report)
  if (dryRun) return wouldAsk(common, spec, { report, move, supervisor })
  return done(common, spec, { report, supervisor })
}

type Done = Extract<SwitchReport, { readonly ok: true }>

function wouldAsk(
  common: Common,
  spec: SupervisedSpec,
  { report, move, supervisor }: Scene & { readonly report: Done },
): ExitCode {
  const { from, to } = report
  const loses = supervisor.traits.losesWhenPlanned
  const held = !loses
    ? ''
    : move.allowDataLoss
      ? ' Acknowledged writes may be lost.'
      : ' Writers would be held meanwhile.'
  if (common.output === 'json') {
    const answer = {
      ok: move.dryRun,
      dryRun: true,
      group: spec.name,
      oldPrimary: from,
      to,
      writersHeld: loses && !move.allowDataLoss,
    }
    common.terminal.out(`${JSON.stringify(answer)}\n`)
  } else {
    const add = move.dryRun ? '' : ' Add --yes to do it.'
    const what = `${spec.by} would be asked to move ${spec.name} from ${from} to ${to}.`
    common.terminal.out(`${what}${held} Nothing was changed.${add}\n`)
  }
  return move.dryRun ? EXIT.ok : EXIT.failed
}

function done(
  common: Common,
  spec: SupervisedSpec,
  { report, supervisor }: { report: Done; supervisor: Supervisor },
): ExitCode {
  const { from, to, epoch, tookMs, outageMs, resolutionMs, lostBytes } = report
  if (common.output === 'json') {
    const names = { group: spec.name, by: spec.by, kind: 'switchover', oldPrimary: from, newPrimary: to, epoch }
    const answer = { ok: true, ...names, tookMs, outageMs, resolutionMs, lostBytes, said: report.said }
    common.terminal.out(`${JSON.stringify(answer)}\n`)
    return EXIT.ok
  }
  const outage = `${durationText(outageMs ?? 0)} (seen every ${durationText(resolutionMs)})`
  const times = `${durationText(tookMs)}, without a primary for writers ${outage}`
  const loses = supervisor.traits.losesWhenPlanned
  const loss =
    lostBytes === null
      ? loses
        ? ', loss not counted'
        : ''
      : lostBytes === 0
        ? ', nothing lost'
        : `, ${lostBytes} bytes lost`
  common.terminal.out(`${common.paint.good('done')}  old primary ${from}, new primary ${to}, ${times}${loss}\n`)
  return EXIT.ok
}

const EXITS = { refused: EXIT.failed, unreachable: EXIT.unreachable, uncertain: EXIT.uncertain } as const
const CODES = {
  refused: 'HF_MANAGER_REFUSED',
  unreachable: 'HF_MANAGER_UNREACHABLE',
  uncertain: 'HF_MANAGER_UNCERTAIN',
} as const

function notDone(
  common: Common,
  spec: SupervisedSpec,
  report: Extract<SwitchReport, { readonly ok: false }>,
): ExitCode {
  const { kind, because, next, primary, reasons } = report
  const code = CODES[kind]
  if (common.output === 'json') {
    const error = { code, message: because, next, reasons, primary }
    common.terminal.out(`${JSON.stringify({ ok: false, group: spec.name, error })}\n`)
  } else {
    const head = {
      refused: 'switchover refused',
      unreachable: 'nobody of the manager answers',
      uncertain: 'not certain',
    }
    const now = primary === null ? '' : `; the primary is ${primary}`
    fail(common, code, `${head[kind]}: ${because}${now}`, next)
  }
  return EXITS[kind]
}

/** The manager decides it; only where it takes an operator's word, and gets it in full, is that handed on. */
async function failover(common: Common, spec: SupervisedSpec, { supervisor, move }: Scene): Promise<ExitCode> {
  const look = await supervisor.look(LOOK_MS)
  const picture = pictureOf(look.sighting)
  const command = supervisor.failoverCommand(move.to, picture)
  if (!supervisor.traits.takesFailover || supervisor.askFailover === undefined || !move.allowDataLoss || !move.yes) {
    const word = `holdfast failover ${spec.name} --to MEMBER --allow-data-loss --yes`
    const how = supervisor.traits.takesFailover
      ? `to hand your word on to it: ${word}; or with its own tool: ${command}`
      : `to force it, with its own tool: ${command}`
    fail(
      common,
      'HF_MANAGER_DECIDES',
      `when ${spec.name} fails over, and to whom, is decided by ${spec.by}, which leads it`,
      how,
    )
    return EXIT.failed
  }
  if (picture.heard === 0) return unreachable(common, spec, look.sighting)
  if (move.to === null || !picture.members.some(({ member }) => member === move.to)) {
    const names = picture.members.map(({ member }) => member).join(', ')
    fail(
      common,
      'HF_MEMBER_UNKNOWN',
      `${move.to ?? 'nobody'} is no member of ${spec.name}`,
      `--to with one of ${names}`,
    )
    return EXIT.usage
  }
  const deadlineMs = systemClock.nowMs() + common.timeoutMs
  const asked = await supervisor.askFailover({ to: move.to, shard: '', deadlineMs, say: progress(common) })
  return told(common, spec, { asked, text: `${spec.by} took it` })
}

export async function pauseSupervised(
  common: Common,
  spec: SupervisedSpec,
  wanted: { readonly because: string; readonly validMs: number } | null,
): Promise<ExitCode> {
  const supervisor = await openSupervised(spec)
  if (!supervisor.traits.canPause || supervisor.askPause === undefined) {
    const what = `${spec.by}, which leads ${spec.name}, cannot be paused: it has no such command`
    fail(common, 'HF_MANAGER_DECIDES', what, 'stop its processes on purpose, or make its time-outs longer for a while')
    return EXIT.failed
  }
  const asked = await supervisor.askPause(wanted !== null, LOOK_MS)
  const text =
    wanted === null
      ? `${spec.name} is no longer paused`
      : `${spec.name} is paused; that has no end of its own and keeps no reason: holdfast resume ${spec.name} ends it`
  return told(common, spec, { asked, text, ...(wanted === null ? {} : { endsByItself: false }) })
}

interface Told {
  readonly asked: Asked
  readonly text: string
  readonly endsByItself?: boolean
}

function told(common: Common, spec: SupervisedSpec, { asked, text, ...more }: Told): ExitCode {
  if (asked.ok) {
    const answer = { ok: true, group: spec.name, said: asked.said, ...more }
    const line = asked.said.startsWith('{') ? text : `${text}: ${asked.said}`
    common.terminal.out(common.output === 'json' ? `${JSON.stringify(answer)}\n` : `${line}\n`)
    return EXIT.ok
  }
  const next = asked.kind === 'refused' ? asked.next : 'holdfast status --watch'
  fail(common, CODES[asked.kind], asked.because, next)
  return EXITS[asked.kind]
}

function progress(common: Common): (step: string) => void {
  const startMs = systemClock.nowMs()
  return (step) => {
    if (common.output === 'json') return
    common.terminal.err(`${durationText(systemClock.nowMs() - startMs).padStart(8)}  ${step}\n`)
  }
}
