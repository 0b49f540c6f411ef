/** `holdfast drill run`: one drill after the other, each with its report; stops at the first that did not pass. */
import { join } from 'node:path'
import type { DrillSpec } from '../../config/drill.ts'
import type { GroupSpec, Platform } from '../../config/platform.ts'
import { durationText } from '../../config/quantities.ts'
import { replicationOf } from '../../config/settings.ts'
import { couldLose } from '../../core/drill/radius.ts'
import { type Desk, openDesk } from '../../drills/desk.ts'
import type { EndedDrill } from '../../drills/ledger.ts'
import { reportOf } from '../../drills/report.ts'
import { faultWords, headOf } from '../../drills/report-head.ts'
import { type DrillRun, runDrill, type TimelineEntry } from '../../drills/runner.ts'
import { storeChain } from '../../drills/store-chain.ts'
import { HoldfastError } from '../../errors.ts'
import { type Written, writeReport } from '../../evidence/folder.ts'
import { localChain } from '../../evidence/local-chain.ts'
import { systemClock } from '../../io/clock.ts'
import { freshId } from '../../io/random.ts'
import { openSigningKey } from '../../io/signing.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { whoAmI } from '../pause-command.ts'
import { privateFolder } from '../private-folder.ts'
import { agentsOfGroup, type Common, fail, groupFor } from '../shell.ts'
import { openSandbox } from './practice.ts'

export interface RunChoice {
  readonly interrupted: AbortSignal
  readonly yes: boolean
  /** On a copy, live, or as the drill file says. */
  readonly where: 'practice' | 'live' | 'file'
  readonly evidenceFolder: string | null
  readonly keyFile: string | null
  readonly tool: string
  /** Run for somebody else, who has a name for it; null: for who typed it. */
  readonly order: Order | null
}

export interface Order {
  readonly id: string
  readonly by: string
  /** Of the file as it was approved; another one is not run. */
  readonly sha256: string
  /** The same, of the description: what a fault could do hangs on it. */
  readonly configSha256: string
  readonly approvedBy: string | null
}

export interface Ran {
  readonly drill: string
  readonly group: string
  readonly practice: boolean
  readonly run: DrillRun
  readonly written: Written
  readonly past: EndedDrill
}

export function evidenceFolderOf(platform: Platform, given: string | null): string {
  return given ?? join(platform.folder, 'holdfast-data', 'evidence')
}

/** What would be done, in words; nothing is. */
export function planLines(
  platform: Platform,
  group: GroupSpec,
  drill: DrillSpec,
  practice: boolean,
): readonly string[] {
  const { settings } = drill
  const where = practice ? 'on a copy, on this machine; the platform is not touched' : `on ${platform.name}, live`
  const rto = durationText(settings.objectives.rtoMs)
  const gates = settings.approvals.map(({ before, by }) => `before the ${before}: ${by.join(' or ')}`)
  return [
    `${settings.drill}: ${faultWords(settings.fault)} of group ${group.name}`,
    `  where      ${where}`,
    `  objective  RTO ${rto}, RPO ${durationText(settings.objectives.rpoMs)}`,
    `  hits       at most ${settings.blastRadius.members} of ${group.members.length} members`,
    ...(gates.length === 0 ? [] : [`  approval   ${gates.join('; ')}`]),
  ]
}

/** Null after a refusal was told. */
export function whereToRun(
  common: Common,
  drill: DrillSpec,
  group: GroupSpec,
  where: RunChoice['where'],
): { readonly practice: boolean } | null {
  const replication = replicationOf(group)
  const need = replication.kind === 'async' ? 0 : replication.kind === 'sync' ? 1 : replication.need
  const risky = couldLose(drill.settings.fault, { need })
  if (where === 'practice') return { practice: true }
  if (drill.practice === 'always' && where === 'live') {
    const next = 'leave --live out, or change the drill file'
    fail(common, 'HF_DRILL_REFUSED', `${drill.settings.drill} is to be practised on a copy, always`, next)
    return null
  }
  if (where === 'live' || drill.practice === 'never') return { practice: false }
  return { practice: drill.practice === 'always' || risky }
}

/** One drill to its end and its report. Throws what a person has to be told. */
export async function runOne(
  common: Common,
  platform: Platform,
  drill: DrillSpec,
  choice: RunChoice & { readonly practice: boolean },
): Promise<Ran | null> {
  const real = groupFor(common, platform, drill.settings.group)
  if (real === null) return null
  const { interrupted } = choice
  const say = (line: string): void => {
    if (common.output !== 'json') common.terminal.err(`${line}\n`)
  }
  const sandbox = choice.practice ? await openSandbox(platform, real, { interrupted, say }) : null
  const scene = sandbox ?? { platform, group: real }
  const desk = openDesk(scene.platform)
  try {
    const ran = await carryOut(common, desk, { ...choice, drill, group: scene.group, real: platform })
    if (choice.practice) await tellRealStore(platform, ran, say)
    return ran
  } finally {
    await desk.close()
    await sandbox?.close()
  }
}

/** So that `drill list` knows of it. The real platform need not run for a practice; then only the report does. */
async function tellRealStore(platform: Platform, { group, past }: Ran, say: (line: string) => void): Promise<void> {
  const desk = openDesk(platform)
  try {
    await desk.ledger.change(group, (record) => ({ ...record, past: [...record.past, past] }))
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error
    say(`the store of ${platform.name} does not answer, so "drill list" will not know of this practice`)
  } finally {
    await desk.close()
  }
}

interface Carry extends RunChoice {
  readonly practice: boolean
  readonly drill: DrillSpec
  readonly group: GroupSpec
  readonly real: Platform
}

async function carryOut(common: Common, desk: Desk, carry: Carry): Promise<Ran> {
  const { drill, group, real, practice } = carry
  const folder = evidenceFolderOf(real, carry.evidenceFolder)
  privateFolder(folder)
  // Before anything is done: a drill whose report cannot be signed is a fault for nothing.
  const key = await openSigningKey(carry.keyFile ?? join(folder, 'evidence.key'))
  const { order } = carry
  if (order !== null && order.sha256 !== drill.sha256) {
    const message = `${drill.file} is not the file that was asked for: it was changed since`
    throw new HoldfastError('HF_DRILL_REFUSED', message, 'look at it and ask for it again')
  }
  if (order !== null && order.configSha256 !== real.sha256) {
    const message = `${real.file} is not the description it was asked with: it was changed since`
    throw new HoldfastError('HF_DRILL_REFUSED', message, 'restart the server, look at the drill and ask for it again')
  }
  const id = order?.id ?? freshId()
  const by = order?.by ?? whoAmI()
  const orderApprovedBy = order?.approvedBy ?? null
  const around = {
    id,
    platform: real,
    group,
    drill,
    practice,
    by,
    orderApprovedBy,
    tool: carry.tool,
    configSha256: real.sha256,
  }
  const head = headOf(around)
  const run = await runDrill({
    id,
    head,
    platform: desk.platform,
    group,
    drill,
    by,
    agents: agentsOfGroup(desk.platform, group),
    ledger: desk.ledger,
    watcher: desk.watcher(group),
    client: desk.client(group),
    clientOf: desk.clientOf,
    patientOf: desk.patientOf,
    fetch: desk.fetch,
    clock: systemClock,
    interrupted: carry.interrupted,
    onEntry: (entry) => (order === null ? progress(common, entry) : tellOrder(common, entry)),
  })
  const home = practice ? join(folder, 'practice') : folder
  privateFolder(home)
  const chain = practice ? localChain(home) : storeChain(desk)
  const written = await writeReport(home, key, chain, (place) => reportOf(run, head, group, place)).catch(
    async (error: unknown) => {
      // A full disk costs the report, not the group's place.
      await closeDrill(desk, group.name, ended(run, { id, practice, written: null }))
      throw error
    },
  )
  const past = ended(run, { id, practice, written })
  await closeDrill(desk, group.name, past)
  return { drill: drill.settings.drill, group: group.name, practice, run, written, past }
}

function ended(
  run: DrillRun,
  { id, practice, written }: { readonly id: string; readonly practice: boolean; readonly written: Written | null },
): EndedDrill {
  const { state, settings } = run
  return {
    id,
    drill: settings.drill,
    outcome: state.outcome ?? 'unproved',
    because: state.because,
    practice,
    startedWallMs: run.startedWallMs,
    endedWallMs: run.endedWallMs,
    rtoMs: state.measured === null ? null : Math.round(state.measured.rtoMs),
    rpoMs: state.measured === null ? null : Math.round(state.measured.rpoMs),
    seq: written?.seq ?? null,
    sha256: written?.sha256 ?? null,
  }
}

async function closeDrill({ ledger }: Desk, group: string, past: EndedDrill): Promise<void> {
  await ledger.change(group, (record) => ({
    ...record,
    active: record.active?.id === past.id ? null : record.active,
    past: [...record.past, past],
  }))
}

function progress(common: Common, { sinceMs, code, detail }: TimelineEntry): void {
  if (common.output === 'json') return
  const words = Object.entries(detail)
    .map(([key, value]) => `${key} ${value}`)
    .join(', ')
  common.terminal.err(`${durationText(sinceMs).padStart(9)}  ${code}${words === '' ? '' : `: ${words}`}\n`)
}

/** One JSON line each, for the server that asked. */
function tellOrder({ terminal }: Common, entry: TimelineEntry): void {
  terminal.err(`${JSON.stringify(entry)}\n`)
}

export function exitOf(common: Common, runs: readonly Ran[]): ExitCode {
  if (common.terminal.interrupted.aborted) return EXIT.interrupted
  return runs.every(({ run }) => run.state.outcome === 'passed') ? EXIT.ok : EXIT.failed
}
