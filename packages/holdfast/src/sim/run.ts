/** One run: from a seed or a scenario to a result with its counts, its fingerprint and the first broken invariant. */
import { reportOf } from '../core/lease/report.ts'
import type { Reason } from '../core/model.ts'
import { type NodeEvent, type NodeState, startNode, stepNode } from '../core/node.ts'
import type { Action } from '../core/protocol.ts'
import { Cluster, type Defects } from './cluster.ts'
import type { CorePort } from './core-port.ts'
import { scheduleFaults } from './faults.ts'
import type { Violation } from './invariants.ts'
import { healCore, type LivenessResult } from './liveness.ts'
import { drawScenario, type Mix, type Scenario } from './scenario.ts'
import { type Sometimes, sometimes } from './sometimes.ts'

export const REAL_CORE: CorePort = {
  start: startNode,
  step: stepNode,
  report(state: NodeState | null, member, settings, nowMs) {
    const own = settings.members.find((m) => m.self.member === member)
    const memberState = state?.members[member]
    if (own === undefined || memberState === undefined || state === null) return null
    const { session } = state
    const trusted = session.phase === 'live' && memberState.hold?.session === session.session
    const writableUntilMs = Math.max(trusted ? session.trustedUntilMs : 0, memberState.failsafeUntilMs)
    const live = session.phase === 'live' ? { untilMs: session.trustedUntilMs } : null
    return reportOf(memberState, own, { nowMs, writableUntilMs, session: live, loopAgeMs: 0 })
  },
}

export interface RunOptions {
  readonly core?: CorePort
  readonly defects?: Defects
  readonly mix?: Mix
  /** Situations reached are added here. */
  readonly seen?: Sometimes
  readonly onStep?: (atMs: number, host: number, what: Step) => void
  /** Leave phase 2 out. */
  readonly safetyOnly?: boolean
}

export interface Step {
  readonly event: NodeEvent
  readonly actions: readonly Action[]
  readonly reasons: readonly Reason[]
}

export interface RunResult {
  readonly seed: number
  readonly scenario: Scenario
  readonly violation: Violation | null
  readonly fingerprint: string
  readonly simulatedMs: number
  readonly events: number
  readonly steps: number
  readonly acks: number
  readonly promotions: number
  readonly automatic: number
  readonly approvedLosses: number
  readonly struck: ReadonlyMap<string, number>
  readonly liveness: LivenessResult | null
}

export function runSeed(seed: number, options: RunOptions = {}): RunResult {
  return runScenario(drawScenario(seed, options.mix), options)
}

export function runScenario(scenario: Scenario, options: RunOptions = {}): RunResult {
  const seen: Sometimes = options.seen ?? new Map()
  const { onStep } = options
  const cluster: Cluster = new Cluster(scenario, {
    core: options.core ?? REAL_CORE,
    defects: options.defects ?? {},
    seen,
    ...(onStep === undefined
      ? {}
      : {
          onStep: (host, event, actions, reasons) => onStep(cluster.world.nowMs, host, { event, actions, reasons }),
        }),
  })
  scheduleFaults(cluster)
  cluster.start()
  cluster.world.runUntil(scenario.horizonMs)
  if (scenario.mix === 'quiet' && cluster.checker.automatic > 0) {
    cluster.checker.fail('L2', `${cluster.checker.automatic} promotions without a fault in the write path`)
  }
  checkFlapping(cluster)
  const liveness = options.safetyOnly === true || cluster.world.stopped ? null : healCore(cluster)
  if (cluster.checker.approvedLosses > 0) sometimes(seen, 'approved-loss')
  if ((cluster.store.members?.elections ?? 0) > 0) sometimes(seen, 'store-elects')
  if (scenario.sharedSession === true) sometimes(seen, 'read-shared')
  return resultOf(cluster, liveness)
}

/** Each fault may cost a move and a move back; a few more are free (L3, R25). */
const AUTOMATIC_PER_FAULT_MAX = 2
const AUTOMATIC_FREE = 4

function checkFlapping(cluster: Cluster): void {
  let faults = 0
  for (const count of cluster.struck.values()) faults += count
  const { automatic } = cluster.checker
  if (automatic <= AUTOMATIC_FREE + AUTOMATIC_PER_FAULT_MAX * faults) return
  cluster.checker.fail('L3', `${automatic} promotions that nobody ordered, but only ${faults} faults`)
}

function resultOf(cluster: Cluster, liveness: LivenessResult | null): RunResult {
  const { scenario, world, checker } = cluster
  return {
    seed: scenario.seed,
    scenario,
    violation: checker.violation,
    fingerprint: world.fingerprint,
    simulatedMs: world.nowMs,
    events: world.events,
    steps: cluster.hosts.reduce((sum, host) => sum + host.shell.steps, 0),
    acks: checker.acks,
    promotions: checker.promotions,
    automatic: checker.automatic,
    approvedLosses: checker.approvedLosses,
    struck: cluster.struck,
    liveness,
  }
}
