/** From what a drill did to the report of it. Pure: says what was seen, in the words of the report. */
import type { GroupSpec } from '../config/platform.ts'
import type { When } from '../core/drill/model.ts'
import { deviations } from '../core/drill/verdict.ts'
import { type DrillReport, drillReport, METHOD } from '../evidence/report.ts'
import { probeWords } from './probes.ts'
import type { ReportHead } from './report-head.ts'
import type { DrillRun } from './runner.ts'

export function reportOf(run: DrillRun, head: ReportHead, group: GroupSpec, chain: DrillReport['chain']): DrillReport {
  const { state, settings } = run
  const since = (ms: number | null): number | null => (ms === null ? null : Math.round(ms - state.startedMs))
  const { measured } = state
  const gates = state.approvals.map(({ gate, by, atMs }) => ({ gate, by, sinceMs: since(atMs) ?? 0 }))
  return drillReport({
    ...head,
    run: {
      ...head.run,
      startedAt: new Date(run.startedWallMs).toISOString(),
      endedAt: new Date(run.endedWallMs).toISOString(),
    },
    chain,
    outcome: state.outcome ?? 'unproved',
    because: state.because,
    scope: { ...head.scope, members: run.members },
    approvals: [...head.approvals, ...gates],
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
