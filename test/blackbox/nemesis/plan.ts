/**
 * A seed makes a plan: which faults, where, for how long, in which order. Pure. Each fault draws from a stream of its
 * own, so taking one out (`--without 3`) leaves the others as they were. What a fault does stands in `faults.ts`.
 */
import { PROFILES } from '../../../packages/holdfast/src/core/settings.ts'
import { type Stream, streamOf } from '../../../packages/holdfast/src/sim/prng.ts'
import type { FaultPlan } from '../contract.ts'
import { FAULTS } from './faults.ts'
import type { Aim, Need } from './kinds.ts'

export type Profile = 'fast' | 'normal'

export interface PlannedFault extends FaultPlan {
  /** From 1; its name in reports and in `--without`. */
  readonly number: number
}

export interface PlanOptions {
  readonly seed: number
  /** Names of `FAULTS`; they are taken in rounds, each round in an order of its own. */
  readonly faults: readonly string[]
  readonly count: number
  readonly profile: Profile
  readonly memberHosts: readonly string[]
  readonly storeHosts: readonly string[]
  readonly edge: string
  /** Groups; a fault is aimed at one of them. */
  readonly lanes?: number
  /** Every fault at the primary, where there is a choice, and long enough to have consequences. */
  readonly striking?: boolean
  /** Every fault lasts so many times longer, for a subject with slower timings. */
  readonly stretch?: number
}

/** Quiet time before a fault, once everything is whole. */
const QUIET_TTLS = { low: 0.5, high: 2.5 }
/** One fault in so many has a switchover asked for in its midst. */
const SWITCHOVER_CHANCE = 0.15
/** A member fault strikes the primary's host with this chance, else a replica's. */
const PRIMARY_CHANCE = 0.65
/** What is asked for in the midst of a fault of a service. */
const ASKED = ['switchover', 'move', 'move-back'] as const
/** A storm below this is a single kill. */
const STORM_MS_MIN = 3_000

interface Span {
  readonly weight: number
  readonly of: (chance: Stream, profile: Profile) => number
}

/**
 * Where mistakes of timing live: far below everything, around a beat, just before and after the ttl, and long enough
 * for whatever must happen to have happened.
 */
const LONGEST: Span = { weight: 4, of: (chance, profile) => PROFILES[profile].ttlMs * chance.range(2, 4) }
const SPANS: readonly Span[] = [
  { weight: 1, of: (chance) => chance.decades(5, 150) },
  { weight: 2, of: (chance, profile) => PROFILES[profile].beatMs * chance.range(0.5, 2) },
  { weight: 3, of: (chance, profile) => PROFILES[profile].ttlMs * chance.range(0.65, 1.15) },
  LONGEST,
]

/** What the machine and the subject allow. */
export interface Abilities {
  readonly storeHosts: number
  readonly needs: ReadonlySet<Need>
}

/** Also those that are done only when they are named. */
export function possibleFaults({ storeHosts, needs }: Abilities): readonly string[] {
  return Object.entries(FAULTS)
    .filter(([, kind]) => (kind.storeHosts ?? 1) <= storeHosts)
    .filter(([, kind]) => kind.needs === undefined || needs.has(kind.needs))
    .map(([name]) => name)
}

/** What a run does when it is not told. */
export function usualFaults(abilities: Abilities): readonly string[] {
  return possibleFaults(abilities).filter((name) => FAULTS[name]?.onlyNamed !== true)
}

export function makePlan(options: PlanOptions): readonly PlannedFault[] {
  const plan: PlannedFault[] = []
  let afterMs = 0
  for (let number = 1; number <= options.count; number += 1) {
    const chance = streamOf(options.seed, `fault ${number}`)
    const quietMs = PROFILES[options.profile].ttlMs * chance.range(QUIET_TTLS.low, QUIET_TTLS.high)
    const one = planned(options, number, chance)
    plan.push({ ...one, afterMs: Math.round(afterMs + quietMs) })
    afterMs += quietMs + one.lastsMs
  }
  return plan
}

/** The chance of the fault itself, for what it draws while it acts. */
export function chanceOf(seed: number, fault: PlannedFault): Stream {
  return streamOf(seed, `acts ${fault.number}`)
}

function planned(options: PlanOptions, number: number, chance: Stream): PlannedFault {
  const fault = nameOf(options, number)
  const kind = FAULTS[fault]
  if (kind === undefined) throw new RangeError(`no fault is called ${fault}`)
  const at = aimed(options, kind.aim, chance)
  const drawnMs = spanOf(chance, options.profile)
  const spanMs = options.striking === true ? LONGEST.of(chance, options.profile) : drawnMs
  const lastsMs =
    (kind.stretch ?? 1) *
    (options.stretch ?? 1) *
    Math.round(fault === 'restart-storm' ? Math.max(spanMs, STORM_MS_MIN) : spanMs)
  const drawn = chance.chance(SWITCHOVER_CHANCE) && options.striking !== true && kind.onlyNamed !== true
  const atMs = Math.round(chance.range(0, lastsMs))
  const switchoverAfterMs = kind.asks !== undefined ? 0 : drawn ? atMs : null
  const one = { number, fault, at, afterMs: 0, lastsMs: kind.onlyAsks === true ? 0 : lastsMs, switchoverAfterMs }
  const { lanes = 1 } = options
  if (lanes === 1) return one
  // Drawn last: what one group draws stays what it was.
  return { ...one, lane: chance.int(lanes), asks: kind.asks ?? chance.pick(ASKED) }
}

/** Every fault once before any comes again: a short run sees as many kinds as it can. */
function nameOf({ seed, faults }: PlanOptions, number: number): string {
  const round = Math.floor((number - 1) / faults.length)
  const order = streamOf(seed, `round ${round}`).shuffle(faults)
  const name = order[(number - 1) % faults.length]
  if (name === undefined) throw new RangeError('a plan needs at least one fault')
  return name
}

function spanOf(chance: Stream, profile: Profile): number {
  const total = SPANS.reduce((sum, span) => sum + span.weight, 0)
  let left = chance.range(0, total)
  const span = SPANS.find(({ weight }) => {
    left -= weight
    return left < 0
  })
  return Math.max(1, (span ?? SPANS[0])?.of(chance, profile) ?? 1)
}

function aimed(options: PlanOptions, aim: Aim, chance: Stream): readonly string[] {
  const { memberHosts, storeHosts, edge } = options
  switch (aim) {
    case 'nowhere':
      return []
    case 'edge':
      return [edge]
    case 'primary':
    case 'replica':
      return [aim]
    case 'member':
      return [options.striking === true || chance.chance(PRIMARY_CHANCE) ? 'primary' : 'replica']
    case 'site':
      return [options.striking === true || chance.chance(PRIMARY_CHANCE) ? 'primary-site' : 'other-site']
    case 'store':
      // Of several store members a majority: less than that nobody may notice.
      return chance.shuffle(storeHosts).slice(0, Math.floor(storeHosts.length / 2) + 1)
    case 'pair': {
      const one = chance.chance(PRIMARY_CHANCE) ? 'primary' : chance.pick(memberHosts)
      const other = chance.pick(
        [...memberHosts, ...storeHosts, ...storeHosts, edge, 'replica'].filter((h) => h !== one),
      )
      return chance.chance(0.5) ? [one, other] : [other, one]
    }
  }
}
