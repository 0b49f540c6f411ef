/** From what a drill did to the report of it. Pure: says what was seen, in the words of the report. */
import type { DrillSpec } from '../config/drill.ts'
import type { GroupSpec, Platform } from '../config/platform.ts'
import { bytesText, durationText } from '../config/quantities.ts'
import type { DrillSettings, FaultSpec, Target, When } from '../core/drill/model.ts'
import { deviations } from '../core/drill/verdict.ts'
import { type DrillReport, drillReport, METHOD } from '../evidence/report.ts'
import { probeWords } from './probes.ts'
import type { DrillRun } from './runner.ts'

export interface Around {
  readonly id: string
  readonly platform: Platform
  readonly group: GroupSpec
  readonly drill: DrillSpec
  readonly practice: boolean
  readonly by: string
  readonly tool: string
  readonly configSha256: string
}

export function reportOf(run: DrillRun, around: Around, chain: DrillReport['chain']): DrillReport {
  const { state, settings } = run
  const { platform, group, drill } = around
  const since = (ms: number | null): number | null => (ms === null ? null : Math.round(ms - state.startedMs))
  const { measured } = state
  return drillReport({
    run: {
      id: around.id,
      drill: settings.drill,
      platform: platform.name,
      group: group.name,
      engine: group.version === null ? group.engine : `${group.engine} ${group.version}`,
      practice: around.practice,
      startedAt: new Date(run.startedWallMs).toISOString(),
      endedAt: new Date(run.endedWallMs).toISOString(),
      by: around.by,
      tool: around.tool,
      configSha256: around.configSha256,
      drillSha256: drill.sha256,
    },
    chain,
    outcome: state.outcome ?? 'unproved',
    because: state.because,
    description: drill.description,
    statement: drill.statement,
    scope: {
      fault: faultWords(settings.fault),
      members: run.members,
      blastRadius: settings.blastRadius,
      abortConditions: abortWords(settings),
    },
    approvals: state.approvals.map(({ gate, by, atMs }) => ({ gate, by, sinceMs: since(atMs) ?? 0 })),
    objective: { rtoMs: settings.objectives.rtoMs, rpoMs: settings.objectives.rpoMs },
    prediction: run.prediction,
    measured: measured === null ? null : { ...rounded(measured), method: METHOD },
    deviations: measured === null ? [state.because] : deviations(state, settings, measured),
    faultProof: {
      askedMs: since(state.askedMs),
      onMs: since(state.onMs),
      goneMs: since(state.goneMs),
      recoveredMs: since(state.recoveredMs),
    },
    checks: (['before', 'during', 'after'] as const).flatMap((when) => checksOf(when, run, group)),
    timeline: timelineOf(run),
    rate: run.rate,
  })
}

function rounded<T extends { readonly rtoMs: number; readonly rpoMs: number }>(measured: T): T {
  return { ...measured, rtoMs: Math.round(measured.rtoMs), rpoMs: Math.round(measured.rpoMs) }
}

function checksOf(when: When, { state, settings }: DrillRun, group: GroupSpec): DrillReport['checks'] {
  return settings[when].map((probe, index) => {
    const count = state.counts[when][index] ?? { rounds: 0, held: 0 }
    return { when, check: probeWords(probe, group), looks: count.rounds, held: count.held }
  })
}

function timelineOf({ timeline, reasons, startedWallMs }: DrillRun): DrillReport['timeline'] {
  const own = timeline.map(({ sinceMs, code, detail }) => ({ sinceMs, source: 'drill', code, words: words(detail) }))
  const told = reasons.map(({ wallMs, member, code, rule, detail }) => ({
    sinceMs: Math.round(wallMs - startedWallMs),
    source: member,
    code: rule === undefined ? code : `${code} (${rule})`,
    words: words(detail),
  }))
  return [...own, ...told].sort((a, b) => a.sinceMs - b.sinceMs)
}

function words(detail: Readonly<Record<string, string | number | boolean | null>>): string {
  return Object.entries(detail)
    .map(([key, value]) => `${key} ${typeof value === 'number' ? Math.round(value * 1_000) / 1_000 : value}`)
    .join(', ')
}

export function faultWords(fault: FaultSpec): string {
  if (fault.kind === 'switchover') return fault.to === null ? 'a switchover' : `a switchover to ${fault.to}`
  const target = targetWords(fault.target)
  if (fault.kind === 'kill') return `SIGKILL of the engine of ${target}`
  const last = `for ${durationText(fault.forMs)}`
  if (fault.kind === 'freeze') return `SIGSTOP of the ${fault.what} of ${target} ${last}`
  const what = fault.kind === 'block-store' ? 'the store' : 'the agents of the other members'
  return `the agent of ${target} does not reach ${what} ${last}`
}

function targetWords(target: Target): string {
  if (target === 'primary') return 'the primary'
  if (target === 'replica') return 'a replica'
  return 'member' in target ? target.member : `all members at ${target.site}`
}

function abortWords({ abort }: DrillSettings): string {
  const lag = abort.lagBytesMax === null ? '' : `, a replica more than ${bytesText(abort.lagBytesMax)} behind`
  const gap = durationText(abort.canaryGapMs)
  return `no acknowledged write for ${gap}, more than ${abort.failedWritesMax} failed writes${lag}, or anybody's word`
}
