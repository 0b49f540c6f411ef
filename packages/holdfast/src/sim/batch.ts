/** Runs many seeds and adds up what happened: the counts without which "no failure" says nothing. */
import { type RunOptions, type RunResult, runSeed } from './run.ts'
import type { Sometimes } from './sometimes.ts'

/** Every so many seeds one is run twice and the fingerprints are compared. */
const TWICE_EVERY = 50

export interface Totals {
  seeds: number
  simulatedMs: number
  /** What the second runs of the same seeds simulated; part of the work, not of the hours looked at. */
  repeatedMs: number
  events: number
  steps: number
  acks: number
  promotions: number
  automatic: number
  twice: number
  readonly struck: Map<string, number>
  readonly mixes: Map<string, number>
  readonly seen: Sometimes
  readonly failures: RunResult[]
}

export function emptyTotals(): Totals {
  return {
    seeds: 0,
    simulatedMs: 0,
    repeatedMs: 0,
    events: 0,
    steps: 0,
    acks: 0,
    promotions: 0,
    automatic: 0,
    twice: 0,
    struck: new Map(),
    mixes: new Map(),
    seen: new Map(),
    failures: [],
  }
}

export function addRun(totals: Totals, result: RunResult): void {
  totals.seeds += 1
  totals.simulatedMs += result.simulatedMs
  totals.events += result.events
  totals.steps += result.steps
  totals.acks += result.acks
  totals.promotions += result.promotions
  totals.automatic += result.automatic
  totals.mixes.set(result.scenario.mix, (totals.mixes.get(result.scenario.mix) ?? 0) + 1)
  for (const [kind, count] of result.struck) totals.struck.set(kind, (totals.struck.get(kind) ?? 0) + count)
  if (result.violation !== null) totals.failures.push(result)
}

/** One seed; now and then twice. A run that differs from itself is a failure of its own. */
export function runCounted(totals: Totals, seed: number, options: RunOptions): RunResult {
  const result = runSeed(seed, { ...options, seen: totals.seen })
  let counted = result
  if (totals.seeds % TWICE_EVERY === 0) {
    totals.twice += 1
    const again = runSeed(seed, options)
    totals.repeatedMs += again.simulatedMs
    if (again.fingerprint !== result.fingerprint || again.events !== result.events) {
      const what = `two runs of one seed differ: ${result.fingerprint} and ${again.fingerprint}`
      counted = { ...result, violation: { invariant: 'determinism', atMs: 0, what } }
    }
  }
  addRun(totals, counted)
  return counted
}
