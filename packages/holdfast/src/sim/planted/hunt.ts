/** Looks for planted bugs: seeds until each is found or its budget is spent. */
import { REAL_CORE, runScenario } from '../run.ts'
import { drawScenario } from '../scenario.ts'
import type { Planted } from './list.ts'

export interface Found {
  readonly name: string
  readonly describe: string
  readonly budgetSeeds: number
  /** Seeds run until it was found; null: not within the budget. */
  readonly seeds: number | null
  readonly invariant: string | null
  readonly what: string | null
  readonly tookMs: number
}

export interface HuntOptions {
  readonly nowMs: () => number
  readonly startSeed: number
  /** Share of the budget to spend; 1 for all of it. */
  readonly share?: number
  readonly cancelled?: () => boolean
}

export function hunt(planted: Planted, options: HuntOptions): Found {
  const { name, describe, budgetSeeds, mix, adjust, defects, wrap } = planted
  const startedMs = options.nowMs()
  const core = wrap?.(REAL_CORE) ?? REAL_CORE
  const limit = Math.max(1, Math.ceil(budgetSeeds * (options.share ?? 1)))
  for (let tried = 1; tried <= limit; tried += 1) {
    if (options.cancelled?.() === true) break
    const seed = options.startSeed + tried - 1
    const drawn = drawScenario(seed, mix)
    const scenario = adjust?.(drawn) ?? drawn
    const { violation } = runScenario(scenario, { core, defects: defects ?? {} })
    if (violation === null) continue
    // What breaks without the bug as well does not count as finding it.
    if (runScenario(scenario).violation?.invariant === violation.invariant) continue
    const { invariant, what } = violation
    return { name, describe, budgetSeeds, seeds: tried, invariant, what, tookMs: options.nowMs() - startedMs }
  }
  const tookMs = options.nowMs() - startedMs
  return { name, describe, budgetSeeds, seeds: null, invariant: null, what: null, tookMs }
}
