/**
 * What the timings of the group let one expect, to stand beside what was measured. A prediction is no bound: engines
 * and disks take what they take; the parts are told so that a reader can see which one was off.
 */
import type { Replication, Timing } from '../settings.ts'
import type { FaultSpec } from './model.ts'

export interface Prediction {
  readonly rtoMs: number
  readonly rpoMs: number
  readonly because: string
}

/** Stop, confirmation, promotion and the first write of a planned move; measured 250 to 400 ms on an idle machine. */
const MOVE_MS = 400
/** Decision, promotion, first write after the lease is won; measured 80 to 300 ms. */
const TAKEOVER_MS = 300
/** Connections are made anew. */
const CLIENT_MS = 50

/**
 * How long a group may look well before a fault shows: a killed server's sessions go on for a moment, a silent one is
 * judged after `engineSilent`, a silent host after its ttl.
 */
export function settleMsOf({ ttlMs, beatMs, requestMs, engineSilentMs }: Timing): number {
  return Math.max(ttlMs, engineSilentMs) + 2 * beatMs + requestMs + 1_000
}

export interface Setting {
  readonly timing: Timing
  readonly replication: Replication
  /** The fault is done to the primary. */
  readonly hitsPrimary: boolean
  /** Of the furthest eligible replica, by the engine's counters, when the fault was done; null: unknown. */
  readonly lagMs: number | null
}

export function predictionOf(fault: FaultSpec, setting: Setting): Prediction {
  const { timing, replication, hitsPrimary, lagMs } = setting
  const loses = hitsPrimary && fault.kind !== 'switchover' && replication.kind === 'async'
  const rpoMs = loses ? (lagMs ?? replication.lossMsMax) : 0
  const rpo = loses ? `async: up to what a replica lacks` : 'nothing acknowledged is lost'
  if (fault.kind === 'switchover') return { rtoMs: MOVE_MS + CLIENT_MS, rpoMs, because: `a planned move; ${rpo}` }
  if (!hitsPrimary) {
    const rtoMs = replication.kind === 'async' ? CLIENT_MS : 2 * timing.beatMs + CLIENT_MS
    return { rtoMs, rpoMs, because: `not the primary: at most until its place in the sync list is taken; ${rpo}` }
  }
  if (fault.kind !== 'freeze' && fault.kind !== 'kill') {
    return { rtoMs: CLIENT_MS, rpoMs, because: `its peers agree that it goes on, or it keeps the store; ${rpo}` }
  }
  if (fault.kind === 'kill') {
    const rtoMs = timing.beatMs + timing.requestMs + TAKEOVER_MS + CLIENT_MS
    return { rtoMs, rpoMs, because: `beat + request + takeover: the agent sees the engine gone and moves on; ${rpo}` }
  }
  const silentMs = fault.what === 'engine' ? timing.engineSilentMs : timing.ttlMs + timing.marginMs
  const rtoMs = silentMs + timing.beatMs + timing.requestMs + TAKEOVER_MS + CLIENT_MS
  const wait = fault.what === 'engine' ? 'engineSilent' : 'ttl + margin'
  // A freeze that ends before anybody may act is waited out.
  const shorter = fault.forMs < silentMs
  return {
    rtoMs: shorter ? fault.forMs + CLIENT_MS : rtoMs,
    rpoMs,
    because: shorter
      ? `the freeze is shorter than ${wait} and is waited out; ${rpo}`
      : `${wait} + beat + request + takeover; ${rpo}`,
  }
}
