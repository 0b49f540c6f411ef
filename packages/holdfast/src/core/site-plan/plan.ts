/**
 * A plan as it stands in the store: a graph of steps, who runs it under which epoch, and how far it is. Plain data,
 * changed only by compare-and-set of the whole. SPEC.md has the states and the invariants.
 */
import type { GroupName, MemberName } from '../model.ts'

export type PlanKind = 'switchover' | 'failover' | 'failback' | 'evacuate' | 'restart'

/**
 * - `running`: forward. `undoing`: every begun step is taken back, last one first. `stopping`: only holds are taken
 *   back, a person must look at the rest.
 * - `done`, `undone`, `stopped`: the end. Nothing is left held in any of them.
 */
export type PlanPhase = 'running' | 'undoing' | 'stopping' | 'done' | 'undone' | 'stopped'

/** `failed`: it did not come to its end; its effect may be there. `stuck`: it could not be taken back. */
export type StepState = 'waiting' | 'running' | 'done' | 'failed' | 'undoing' | 'undone' | 'stuck'

/**
 * - `hook`: a command or call of the operator
 * - `hold`: no automatic failover of these groups until `release` (R31)
 * - `move`: the group's primary is `member` of the site the plan goes to, without loss (R30)
 * - `follow`: the same when the old site is gone
 * - `restart`: the engine of `member`, a replica then, runs anew and has caught up
 */
export type StepKind = 'hook' | 'hold' | 'move' | 'follow' | 'release' | 'restart'

/** How a step is taken back: by an action of its own, it leaves nothing to take back, or it cannot be. */
export type WayBack = 'undo' | 'nothing' | 'none'

export interface Prediction {
  readonly ms: number
  /** `past-runs`: their median. `formula`: from the group's timing. `deadline`: nothing is known but the bound. */
  readonly from: 'past-runs' | 'formula' | 'deadline'
  readonly runs: number
}

export interface PlanStep {
  readonly id: string
  readonly kind: StepKind
  /** Null for steps of the whole plan. */
  readonly group: GroupName | null
  /** Who shall be primary. */
  readonly member: MemberName | null
  /** Who was primary when the plan was made; the way back leads there. */
  readonly from: MemberName | null
  /** Of a restart: names the process that `member`, or `from`, ran when the plan was made. Done when it is another. */
  readonly started: string | null
  readonly hook: string | null
  /** Ids of steps that must be done before. */
  readonly after: readonly string[]
  readonly deadlineMs: number
  readonly attemptsMax: number
  readonly onFailure: 'undo' | 'stop' | 'go-on'
  readonly wayBack: WayBack
  /** It may lose acknowledged writes, so somebody must have accepted that. */
  readonly mayLose: boolean
  readonly predicted: Prediction
  readonly state: StepState
  /** Times it was begun; of the way back, too. */
  readonly attempt: number
  readonly undoAttempt: number
  readonly because: string
  readonly measuredMs: number | null
}

/** Key `plans/<scope>`: one plan per service, by compare-and-set (R31). */
export interface PlanRecord {
  readonly v: 1
  /** Names the write that made this version, so that a lost answer can be told from somebody else's write (R8). */
  readonly stamp: string
  /** A service, or `group:<name>` for a group that is in none. */
  readonly scope: string
  readonly id: string
  readonly kind: PlanKind
  /** Sites. */
  readonly from: string | null
  readonly to: string | null
  readonly by: string
  readonly origin: 'operator' | 'automatic'
  readonly lossAccepted: boolean
  /** Number of a runner's turn at this scope; only grows. */
  readonly epoch: number
  readonly runner: string
  readonly beat: number
  readonly phase: PlanPhase
  readonly because: string
  readonly cancel: { readonly by: string } | null
  readonly steps: readonly PlanStep[]
}

export function isOver({ phase }: Pick<PlanRecord, 'phase'>): boolean {
  return phase === 'done' || phase === 'undone' || phase === 'stopped'
}

export function stepById(plan: PlanRecord, id: string): PlanStep | null {
  return plan.steps.find((step) => step.id === id) ?? null
}

export function withStep(plan: PlanRecord, id: string, change: Partial<PlanStep>): PlanRecord {
  return { ...plan, steps: plan.steps.map((step) => (step.id === id ? { ...step, ...change } : step)) }
}
