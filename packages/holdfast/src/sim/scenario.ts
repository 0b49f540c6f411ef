/**
 * A scenario is all that happens to a group, as data: topology, settings, workload, faults with their times. It is
 * drawn from a seed, can be written to a file, and can be shrunk by leaving parts out. What it does not hold (delays,
 * losses, durations of single steps) is drawn during the run from streams named after purpose and link.
 */
import type { NodeSettings } from '../core/node.ts'
import { CLOCK_RATE_BOUND, type MemberSettings, type MemberSpec, PROFILES, type Replication } from '../core/settings.ts'
import type { EngineTiming } from './database.ts'
import { drawFaults, type Fault } from './fault-menu.ts'
import type { NetworkShape } from './network.ts'
import { type Stream, streamOf } from './prng.ts'

export const GROUP = 'g'

export const MIXES = ['swarm', 'fixed', 'lease', 'timing', 'sync-set', 'switchover', 'quiet'] as const
export type Mix = (typeof MIXES)[number]

export interface Scenario {
  readonly v: 1
  readonly seed: number
  readonly mix: Mix
  /** Site of each member; their number is the size of the group. */
  readonly sites: readonly number[]
  readonly storeSite: number
  /** Members of the store; absent: one server. */
  readonly storeMembers?: 1 | 3
  /** After a pause of the machine the guard goes on this much later than the database; absent: before it. */
  readonly guardThawMs?: number
  /** The agent stands beside further groups whose reads of a session are shared (R9, R21). */
  readonly sharedSession?: boolean
  readonly replication: Replication
  readonly failover: MemberSettings['failover']
  readonly whenAlone: MemberSettings['whenAlone']
  readonly profile: keyof typeof PROFILES
  readonly noFailover: readonly number[]
  readonly moveEstimateMs: number
  readonly redoFactor: number
  /** Clock rate of each host relative to true time. */
  readonly rates: readonly number[]
  readonly network: NetworkShape
  readonly engine: EngineTiming
  readonly clients: number
  readonly thinkMs: number
  readonly horizonMs: number
  readonly faults: readonly Fault[]
  /** Phase 2: these members heal, the others stay dead for ever. */
  readonly core: readonly number[]
}

/** Members of a group: half of the seeds have three. */
const SIZES = [2, 2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 4, 4, 4, 5, 5, 5, 5, 7] as const
const HORIZON_MS = 10 * 60_000
/**
 * Short beats make as many events in less time, so their runs are shorter: each profile has a third of the seeds and
 * the same number of faults to a run, and none outweighs the others by much in what happens.
 */
const HORIZON_SHARE = { fast: 0.5, normal: 1, wan: 1.5 } as const

/** Shares of the mixes: 60 % swarm, 20 % fixed, 20 % focused on one room or on faults that must not move anything. */
export function mixOf(random: Stream): Mix {
  const draw = random.next()
  if (draw < 0.6) return 'swarm'
  if (draw < 0.8) return 'fixed'
  return random.pick(['lease', 'timing', 'sync-set', 'sync-set', 'switchover', 'quiet'])
}

export function drawScenario(seed: number, wanted?: Mix): Scenario {
  const random = streamOf(seed, 'scenario')
  const mix = wanted ?? mixOf(random)
  const size = random.pick(SIZES)
  const siteCount = 1 + random.int(3)
  const sites = Array.from({ length: size }, (_, i) => i % siteCount)
  const profile = drawProfile(random)
  const { ttlMs } = PROFILES[profile]
  const horizonShare = HORIZON_SHARE[profile]
  const horizonMs = Math.round(horizonShare * HORIZON_MS * (mix === 'fixed' ? 1 : random.range(0.3, 1.4)))
  const load = { clients: 1 + random.int(3), thinkMs: Math.round(random.decades(300, 5_000)) }
  const replication = drawReplication(random, { size, mix, profile, ...load })
  const partial = { size, sites: siteCount, ttlMs, horizonMs, horizonShare, mix }
  return {
    v: 1,
    seed,
    mix,
    sites,
    storeSite: siteCount - 1,
    ...drawExtras(streamOf(seed, 'extras'), mix),
    replication,
    failover: random.chance(0.93) ? 'automatic' : random.pick(['manual', 'observe'] as const),
    whenAlone: random.chance(0.6) ? 'block' : 'continue',
    profile,
    noFailover: size > 2 && random.chance(0.15) ? [random.int(size)] : [],
    moveEstimateMs: random.decades(100, 5_000),
    redoFactor: random.decades(1, 100_000),
    rates: drawRates(random, size, mix),
    network: drawNetwork(random, profile, mix),
    engine: drawEngine(random, PROFILES[profile].fenceMs, mix),
    clients: load.clients,
    thinkMs: load.thinkMs,
    horizonMs,
    faults: drawFaults(streamOf(seed, 'faults'), partial),
    core: random.shuffle(sites.map((_, i) => i)).slice(0, Math.max(2, size - random.int(size))),
  }
}

type Extras = Required<Pick<Scenario, 'storeMembers' | 'guardThawMs' | 'sharedSession'>>

function drawExtras(random: Stream, mix: Mix): Extras {
  const storeMembers = random.chance(mix === 'lease' ? 0.6 : 0.3) ? 3 : 1
  const guardThawMs = random.chance(0.25) ? random.range(0.5, 10) : 0
  return { storeMembers, guardThawMs, sharedSession: random.chance(0.25) }
}

/** Each profile in a third of the seeds, whatever it costs to simulate: short beats are where timing goes wrong. */
function drawProfile(random: Stream): Scenario['profile'] {
  return random.pick(['fast', 'normal', 'wan'] as const)
}

interface Load {
  readonly size: number
  readonly mix: Mix
  readonly profile: Scenario['profile']
  readonly clients: number
  readonly thinkMs: number
}

/** A loss bound below this many beats' writes is closed to every load; no sane operator declares one. */
const BOUND_BEATS_MIN = 8
const WRITE_BYTES_MAX = 8_100

function drawReplication(random: Stream, load: Load): Replication {
  const draw = random.next()
  if (draw < 0.5) return { kind: 'sync' }
  if (draw < 0.8 || load.mix === 'sync-set')
    return { kind: 'quorum', need: 1 + random.int(Math.max(1, Math.min(3, load.size - 1))) }
  const { beatMs, ttlMs } = PROFILES[load.profile]
  const beatBytes = load.clients * WRITE_BYTES_MAX * Math.max(1, beatMs / load.thinkMs)
  return {
    kind: 'async',
    lossBytesMax: Math.round(BOUND_BEATS_MIN * beatBytes * random.decades(1, 100)),
    lossMsMax: Math.round(ttlMs * random.decades(2, 20)),
  }
}

/** In half of the seeds two clocks differ by exactly the bound. */
function drawRates(random: Stream, size: number, mix: Mix): number[] {
  const half = CLOCK_RATE_BOUND / 2
  const extreme = mix === 'timing' || random.chance(0.5)
  return Array.from({ length: size }, () => 1 + (extreme ? random.pick([-half, half]) : random.range(-half, half) / 10))
}

function drawNetwork(random: Stream, profile: Scenario['profile'], mix: Mix): NetworkShape {
  const wan = profile === 'wan'
  const { ttlMs } = PROFILES[profile]
  // Short ways leave no slack that would hide a mistake in the timing.
  if (mix === 'timing') return { minMs: 0.05, meanMs: 0.1, siteMs: 0.1, loss: 0, duplicate: 0, lateMs: 5 }
  return {
    minMs: random.decades(0.05, 1),
    meanMs: random.decades(0.1, wan ? 20 : 5),
    siteMs: wan ? random.decades(1, 60) : random.decades(0.2, 5),
    loss: random.chance(0.5) ? 0 : random.decades(0.0005, 0.05),
    duplicate: random.chance(0.5) ? 0 : random.decades(0.001, 0.1),
    lateMs: random.pick([5, ttlMs / 10, ttlMs, 3 * ttlMs]),
  }
}

function drawEngine(random: Stream, fenceMs: number, mix: Mix): EngineTiming {
  const range = (low: number, high: number): [number, number] => {
    const from = random.decades(low, high)
    return [from, Math.min(high, from * random.decades(1, 10))]
  }
  // Half of the seeds fence as slowly as the settings allow.
  const slowFence = mix === 'timing' || random.chance(0.5)
  return {
    fsyncMs: random.decades(0.1, 20),
    patienceMs: random.decades(1_000, 15_000),
    createMs: range(200, 5_000),
    startMs: range(30, 2_000),
    recoverMs: range(50, 4_000),
    cloneMs: range(500, 20_000),
    rewindMs: range(200, 8_000),
    promoteMs: mix === 'timing' ? [2, 20] : range(2, 1_500),
    fenceMs: slowFence ? [fenceMs * 0.8, fenceMs * 0.95] : [3, fenceMs * 0.6],
  }
}

export function settingsOf(scenario: Scenario, host: number): NodeSettings {
  const timing = PROFILES[scenario.profile]
  const specs: MemberSpec[] = scenario.sites.map((site, i) => ({
    member: `m${i + 1}`,
    agent: `a${i + 1}`,
    site: `s${site + 1}`,
    priority: scenario.sites.length - i,
    noFailover: scenario.noFailover.includes(i),
  }))
  const self = specs[host]
  if (self === undefined) throw new RangeError(`no host ${host}`)
  const member: MemberSettings = {
    group: GROUP,
    self,
    members: specs,
    replication: scenario.replication,
    failover: scenario.failover,
    whenAlone: scenario.whenAlone,
    timing,
    moveEstimateMs: scenario.moveEstimateMs,
    flapFree: 3,
    flapWindowMs: 10 * 60_000,
  }
  const { ttlMs, beatMs, requestMs, marginMs } = timing
  return { agent: self.agent, ttlMs, beatMs, requestMs, marginMs, members: [member] }
}
