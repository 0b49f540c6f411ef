/**
 * Makes a failing scenario small: ddmin on the faults, then shorter durations and horizon, then fewer clients and
 * members. What remains must break the same invariant. Because each purpose and link draws from its own stream, taking
 * a fault out leaves the rest as it was.
 */
import type { Fault } from './fault-menu.ts'
import type { RunResult } from './run.ts'
import type { Scenario } from './scenario.ts'

export interface ShrinkOptions {
  readonly run: (scenario: Scenario) => RunResult
  /** Runs of the simulator at most. */
  readonly runsMax?: number
}

export interface Shrunk {
  readonly scenario: Scenario
  readonly result: RunResult
  readonly runs: number
}

const RUNS_MAX = 600

class Shrinking {
  scenario: Scenario
  result: RunResult
  runs = 0
  private readonly invariant: string
  private readonly options: ShrinkOptions

  constructor(scenario: Scenario, result: RunResult, options: ShrinkOptions) {
    this.scenario = scenario
    this.result = result
    this.invariant = result.violation?.invariant ?? ''
    this.options = options
  }

  get tired(): boolean {
    return this.runs >= (this.options.runsMax ?? RUNS_MAX)
  }

  /** Keeps `smaller` if it still breaks the same invariant. */
  accepts(smaller: Scenario): boolean {
    if (this.tired) return false
    this.runs += 1
    const result = this.options.run(smaller)
    if (result.violation?.invariant !== this.invariant) return false
    this.scenario = smaller
    this.result = result
    return true
  }
}

export function shrink(result: RunResult, options: ShrinkOptions): Shrunk {
  const s = new Shrinking(result.scenario, result, options)
  if (result.violation !== null) {
    cutHorizon(s)
    fewerFaults(s)
    shorterFaults(s)
    cutHorizon(s)
    fewerClients(s)
    fewerMembers(s)
    fewerFaults(s)
  }
  return { scenario: s.scenario, result: s.result, runs: s.runs }
}

/** Nothing after the break can have caused it. */
function cutHorizon(s: Shrinking): void {
  const atMs = s.result.violation?.atMs ?? s.scenario.horizonMs
  const last = s.scenario.faults.at(-1)
  const faults = s.scenario.faults.filter((fault) => fault.atMs <= atMs)
  s.accepts({ ...s.scenario, faults, horizonMs: Math.min(s.scenario.horizonMs, atMs + 1) })
  if (last === undefined) return
  s.accepts({ ...s.scenario, horizonMs: Math.min(s.scenario.horizonMs, last.atMs + last.forMs + 1_000) })
}

/** Zeller's ddmin: leave out ever smaller parts while it still fails. */
function fewerFaults(s: Shrinking): void {
  let parts = 2
  while (s.scenario.faults.length > 0 && !s.tired) {
    const { faults } = s.scenario
    const size = Math.ceil(faults.length / parts)
    let found = false
    for (let from = 0; from < faults.length; from += size) {
      const rest = [...faults.slice(0, from), ...faults.slice(from + size)]
      if (s.accepts({ ...s.scenario, faults: rest })) {
        found = true
        break
      }
    }
    if (found) parts = Math.max(2, parts - 1)
    else if (size <= 1) return
    else parts = Math.min(faults.length, parts * 2)
  }
}

function shorterFaults(s: Shrinking): void {
  for (let index = 0; index < s.scenario.faults.length; index += 1) {
    for (const share of [0.1, 0.5, 0.8]) {
      const faults = s.scenario.faults.map((fault, i) => (i === index ? shorter(fault, share) : fault))
      if (s.accepts({ ...s.scenario, faults })) break
    }
  }
}

function shorter(fault: Fault, share: number): Fault {
  return { ...fault, forMs: Math.max(1, Math.round(fault.forMs * share)) }
}

function fewerClients(s: Shrinking): void {
  if (s.scenario.clients > 1) s.accepts({ ...s.scenario, clients: 1 })
}

function fewerMembers(s: Shrinking): void {
  while (s.scenario.sites.length > 2) {
    const size = s.scenario.sites.length - 1
    const smaller: Scenario = {
      ...s.scenario,
      sites: s.scenario.sites.slice(0, size),
      rates: s.scenario.rates.slice(0, size),
      noFailover: s.scenario.noFailover.filter((host) => host < size),
      core: s.scenario.core.filter((host) => host < size),
    }
    if (smaller.core.length === 0 || !s.accepts(smaller)) return
  }
}
