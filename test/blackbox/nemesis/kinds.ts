/** What a fault is: where it may strike, what it needs, whether it stands in the way of writes, and its way in. */
import type { Stream } from '../../../packages/holdfast/src/sim/prng.ts'
import type { FaultPlan, Part } from '../contract.ts'
import { type Back, type Field, kill, type Place } from './ways.ts'

export interface Strike {
  readonly field: Field
  /** Resolved: real hosts. */
  readonly at: readonly string[]
  readonly lastsMs: number
  /** The fault's own chance; the same for the same seed, whatever else is in the plan. */
  readonly chance: Stream
  /** Ends a fault that does things all the time (`restart-storm`); it is aborted when the way back begins. */
  readonly signal: AbortSignal
}

/** Where it strikes. `member` and `site` are the primary's more often than not; `pair` is two different hosts. */
export type Aim = 'member' | 'primary' | 'replica' | 'store' | 'edge' | 'pair' | 'site' | 'nowhere'

export type Need = 'disks' | 'clocks' | 'throttle' | 'sites'

export interface FaultKind {
  readonly what: string
  readonly aim: Aim
  /** Parts the subject must have for it. */
  readonly parts: readonly Part[]
  /** A promotion during it, or shortly after, is no false alarm. */
  readonly excuses: boolean
  /** Store hosts it needs; 1 when not said. */
  readonly storeHosts?: number
  /** What has to be prepared before the subject starts. */
  readonly needs?: Need
  /** Done only when it is named: it is about false alarms, and says nothing beside faults that excuse them. */
  readonly onlyNamed?: boolean
  /** Times as long as others. */
  readonly stretch?: number
  /** Asked for when it begins. */
  readonly asks?: NonNullable<FaultPlan['asks']>
  /** It is nothing but what is asked for, and over when that is answered. */
  readonly onlyAsks?: boolean
  /** Sites it takes away as a whole. The service begins it at one; where both go, nobody is left who could see it. */
  readonly losesSites?: 1 | 2
  readonly begin: (strike: Strike) => Promise<Back>
}

/** Everything that dies with the power of a member's host. */
export const HOST: readonly Part[] = ['agent', 'guard', 'engine']

/** An engine alone is that of the group the fault is aimed at; a host takes all of its engines along. */
export function places({ at, field }: Strike, parts: readonly Part[]): readonly Place[] {
  const only = parts.length === 1 && parts[0] === 'engine' ? { group: field.lane.group } : {}
  return at.flatMap((host) => parts.map((part) => ({ host, part, ...only })))
}

export function killing(what: string, aim: Aim, parts: readonly Part[], excuses = true): FaultKind {
  return { what, aim, parts, excuses, begin: async (strike) => kill(strike.field, places(strike, parts)) }
}

/** A planned switchover is asked for by the nemesis itself (`nemesis.ts`) for every plan that says so. */
export async function nothing(): Promise<Back> {
  return async () => {}
}
