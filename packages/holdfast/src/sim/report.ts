/** What a batch of runs tells, for people and for machines. */
import type { Totals } from './batch.ts'
import type { RunResult } from './run.ts'
import { unreached } from './sometimes.ts'

const HOUR_MS = 3_600_000

export function summary(totals: Totals, tookMs: number): Record<string, unknown> {
  const hours = totals.simulatedMs / HOUR_MS
  return {
    ok: totals.failures.length === 0,
    seeds: totals.seeds,
    simulatedHours: round(hours),
    hoursPerSecond: round((totals.simulatedMs + totals.repeatedMs) / HOUR_MS / (tookMs / 1_000)),
    events: totals.events,
    steps: totals.steps,
    promotions: totals.promotions,
    unordered: totals.automatic,
    acknowledged: totals.acks,
    runTwice: totals.twice,
    mixes: Object.fromEntries([...totals.mixes].sort()),
    faults: Object.fromEntries([...totals.struck].sort()),
    situations: Object.fromEntries([...totals.seen].sort()),
    unreached: unreached(totals.seen),
    failures: totals.failures.map((f) => ({ seed: f.seed, mix: f.scenario.mix, ...f.violation })),
  }
}

export function summaryText(totals: Totals, tookMs: number): string {
  const s = summary(totals, tookMs)
  const list = (counts: ReadonlyMap<string, number>) =>
    [...counts]
      .sort()
      .map(([name, count]) => `${name} ${count}`)
      .join(', ')
  const missing = unreached(totals.seen)
  return [
    `${totals.seeds} seeds, ${s.simulatedHours} simulated hours in ${round(tookMs / 1_000)} s of processor time`,
    `${s.hoursPerSecond} simulated hours per second of processor time, second runs included`,
    `${totals.promotions} promotions, ${totals.automatic} of them ordered by nobody`,
    `${totals.acks} acknowledged writes, ${totals.events} events`,
    `mixes: ${list(totals.mixes)}`,
    `faults: ${list(totals.struck)}`,
    `rare situations: ${list(totals.seen)}`,
    missing.length === 0 ? 'every rare situation was reached' : `never reached: ${missing.join(', ')}`,
    `${totals.twice} seeds run twice for determinism`,
    totals.failures.length === 0 ? 'no invariant broken' : `${totals.failures.length} seeds broke an invariant`,
  ].join('\n')
}

export function failureText(result: RunResult): string {
  const { violation, scenario } = result
  if (violation === null) return `seed ${result.seed}: no invariant broken`
  const { sites, replication, profile, mix } = scenario
  return [
    `seed ${result.seed} (${mix}, ${sites.length} members, ${replication.kind}, ${profile})`,
    `  breaks ${violation.invariant} at ${(violation.atMs / 1_000).toFixed(3)} s`,
    `  ${violation.what}`,
    `  holdfast sim --seed ${result.seed} --trace    tells it step by step; --shrink makes it small`,
  ].join('\n')
}

export function round(value: number): number {
  return Math.round(value * 100) / 100
}
