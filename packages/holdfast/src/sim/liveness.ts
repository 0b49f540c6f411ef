/**
 * Phase 2: a random core of members heals, the rest stay dead for ever, and the group must come back. An oracle with
 * the whole truth says whether it can; where it cannot, the group must refuse quietly: no promotion, an alarm, no storm
 * of retries (L4).
 */
import type { GroupRecord } from '../core/model.ts'
import { PROFILES } from '../core/settings.ts'
import type { Cluster } from './cluster.ts'
import type { Database } from './database.ts'
import { holds } from './log.ts'
import { sometimes } from './sometimes.ts'

const LOOK_MS = 500
/** Steps of the core per agent and beat above which something runs in circles. */
const STEPS_PER_BEAT_MAX = 60

export interface LivenessResult {
  readonly recoverable: boolean
  readonly because: string
  readonly writableAfterMs: number | null
  readonly redundantAfterMs: number | null
  /** What a person's order to move the primary cost then; null: nobody could be asked to. */
  readonly move: MoveResult | null
}

export interface MoveResult {
  /** Time without a writable primary; null when it was not done. */
  readonly closedMs: number | null
  /** Longest wait of a commit, after the move, that enough standbys held already. */
  readonly overdueMs: number
  readonly because: string
}

interface Frame {
  readonly alive: readonly Database[]
  readonly startMs: number
  readonly acked: number
  /** Of the last leadership that was open when the core healed. */
  readonly openEpoch: number
}

export function healCore(cluster: Cluster): LivenessResult {
  const { scenario, world, checker } = cluster
  cluster.phase = 2
  const core = scenario.core.filter((index) => index < scenario.sites.length)
  for (const host of cluster.hosts) if (!core.includes(host.index)) host.bury()
  cluster.network.heal([...core, ...cluster.storeEnds, cluster.clientsEnd])
  cluster.store.members?.heal()
  for (const host of cluster.hosts) {
    while (cluster.store.isStalled(host.index)) cluster.store.unstallWatch(host.index)
  }
  cluster.store.outages = 0
  cluster.store.slowMs = 0
  cluster.store.answerLoss = 0
  for (const index of core) cluster.hosts[index]?.heal()
  const alive = core.map((index) => cluster.hosts[index]?.db).filter((db) => db !== undefined)
  const startMs = world.nowMs
  const verdict = recoverable(cluster, alive)
  sometimes(cluster.seen, verdict.can ? 'core-heals' : 'unrecoverable-core')
  const stepsBefore = cluster.hosts.map((host) => host.shell.steps)
  const frame: Frame = { alive, startMs, acked: acked(cluster), openEpoch: openEpoch(cluster) }
  const result = verdict.can ? awaitRecovery(cluster, frame, verdict.because) : standStill(cluster, verdict.because)
  const beats = (world.nowMs - startMs) / (cluster.hosts[0]?.shell.parts.settings.beatMs ?? 1)
  cluster.hosts.forEach((host, i) => {
    const perBeat = (host.shell.steps - (stepsBefore[i] ?? 0)) / Math.max(beats, 10)
    const bound = STEPS_PER_BEAT_MAX + 8 * cluster.hosts.length
    if (perBeat > bound) checker.fail('L5', `${host.db.member} ran ${Math.round(perBeat)} steps per beat`)
  })
  return result
}

function acked(cluster: Cluster): number {
  return cluster.clients.reduce((sum, client) => sum + client.acknowledged, 0)
}

/** What a healed group may take: the sum of everything that can stand in its way, each at its declared worst. */
function boundMs(cluster: Cluster): number {
  const { scenario } = cluster
  const timing = PROFILES[scenario.profile]
  const founding = cluster.checker.record?.systemId ? 0 : 12 * timing.ttlMs * scenario.sites.length
  const flapping = 64 * timing.ttlMs
  const orders = 65_000
  const copies = 3 * (scenario.engine.cloneMs[1] + scenario.engine.rewindMs[1])
  return 12 * timing.ttlMs + 2 * timing.promoteMs + timing.stopMs + copies + founding + flapping + orders + 30_000
}

function awaitRecovery(cluster: Cluster, frame: Frame, because: string): LivenessResult {
  const { world, checker } = cluster
  const endMs = frame.startMs + boundMs(cluster)
  let writableAfterMs: number | null = null
  let redundantAfterMs: number | null = null
  while (world.nowMs < endMs && !world.stopped) {
    world.runUntil(world.nowMs + LOOK_MS)
    if (writableAfterMs === null && acked(cluster) > frame.acked + cluster.clients.length * 2) {
      writableAfterMs = world.nowMs - frame.startMs
    }
    if (redundantAfterMs === null && redundant(cluster, frame.alive)) redundantAfterMs = world.nowMs - frame.startMs
    if (writableAfterMs !== null && redundantAfterMs !== null) break
  }
  const result = { recoverable: true, because, writableAfterMs, redundantAfterMs, move: null }
  if (world.stopped || (writableAfterMs === null && openedInDying(cluster, frame))) return result
  const names = frame.alive.map((db) => db.member).join(' ')
  const waited = `${Math.round((world.nowMs - frame.startMs) / 1_000)} s after ${names} healed (${because})`
  if (writableAfterMs === null) checker.fail('L1', `not writable ${waited}`)
  else if (redundantAfterMs === null) checker.fail('L1', `no redundancy ${waited}`)
  else {
    checkFinal(cluster, frame.alive)
    const move = moveOnce(cluster, frame.alive)
    if (move !== null) judgeMove(cluster, move)
    return { ...result, move }
  }
  return result
}

function openEpoch({ checker }: Cluster): number {
  return checker.record?.lastOpen?.epoch ?? 0
}

/** The last word of a member that stays dead was on its way, and only its copy may lead since. */
function openedInDying(cluster: Cluster, { alive, openEpoch: before }: Frame): boolean {
  const last = cluster.checker.record?.lastOpen ?? null
  return last !== null && last.epoch > before && !alive.some((db) => db.member === last.member)
}

/**
 * L6: a planned move in a group that is whole costs what its engine takes, and not a lease beside it. L7: nor do those
 * wait whose writes are already where they must be.
 */
function judgeMove(cluster: Cluster, { closedMs, overdueMs }: MoveResult): void {
  if (closedMs === null) return
  const { engine, network, profile } = cluster.scenario
  const { ttlMs, requestMs } = PROFILES[profile]
  // A lost message of the store's is asked for again after a request's time.
  const again = network.loss > 0 ? 3 * requestMs : 0
  const boundMs = engine.promoteMs[1] + ttlMs / 2 + again
  if (overdueMs > RELEASE_MS_MAX + 10 * network.meanMs + 4 * network.siteMs + again) {
    cluster.checker.fail('L7', `a commit that enough standbys held waited for ${overdueMs} ms after a planned move`)
  } else if (overdueMs > 0) sometimes(cluster.seen, 'released-after-move')
  if (closedMs <= boundMs) sometimes(cluster.seen, 'planned-move-in-health')
  else cluster.checker.fail('L6', `a planned move closed the group for ${closedMs} ms, ${Math.round(boundMs)} at most`)
}

/** Time for clocks, promises and sessions of what was healed to be trusted again. */
const SETTLE_TTLS = 4
const MOVE_STEP_MS = 2
const MOVE_MAX_MS = 60_000
/** Two flushes and two messages, and what is in their way. */
const RELEASE_MS_MAX = 200

/** A person moves the primary of a group that is whole (L6). */
function moveOnce(cluster: Cluster, alive: readonly Database[]): MoveResult | null {
  const { scenario, world, checker, operator } = cluster
  const { ttlMs } = PROFILES[scenario.profile]
  world.runUntil(world.nowMs + SETTLE_TTLS * ttlMs)
  const able = alive.filter((db) => !scenario.noFailover.includes(db.host))
  const { record } = checker
  if (scenario.failover === 'observe' || able.length < 2 || !redundant(cluster, alive)) return null
  if (record === null || record.intent !== null || record.pause !== null) return null
  operator.order({ kind: 'switchover', to: null, allowDataLoss: false, validMs: MOVE_MAX_MS })
  const untilMs = world.nowMs + MOVE_MAX_MS
  let closedAtMs: number | null = null
  while (world.nowMs < untilMs && !world.stopped) {
    world.runUntil(world.nowMs + MOVE_STEP_MS)
    const open = alive.some((db) => db.writable)
    if (!open) closedAtMs ??= world.nowMs
    else if (closedAtMs !== null) {
      const closedMs = world.nowMs - closedAtMs
      return { closedMs, overdueMs: watchWaits(cluster, alive, ttlMs), because: 'done' }
    }
    const told = checker.record?.lastIntent
    if (told?.id !== record.lastIntent?.id && told?.ok === false) {
      return { closedMs: null, overdueMs: 0, because: told.because }
    }
  }
  return { closedMs: null, overdueMs: 0, because: closedAtMs === null ? 'nothing happened' : 'not opened again' }
}

/** A write of nobody whose answer is awaited. */
const HELD_WRITE = -2
const HELD_BYTES = 200

/**
 * The longest time within `forMs` in which a commit waits although enough standbys hold it. One that was held at a
 * router's door is there when the door opens.
 */
function watchWaits({ world }: Cluster, alive: readonly Database[], forMs: number): number {
  alive.find((db) => db.writable)?.commit(HELD_WRITE, HELD_BYTES, () => {})
  const untilMs = world.nowMs + forMs
  let sinceMs: number | null = null
  let longestMs = 0
  while (world.nowMs < untilMs && !world.stopped) {
    world.runUntil(world.nowMs + MOVE_STEP_MS)
    sinceMs = alive.some((db) => db.writable && db.overdue) ? (sinceMs ?? world.nowMs) : null
    if (sinceMs !== null) longestMs = Math.max(longestMs, world.nowMs - sinceMs)
  }
  return longestMs
}

/** Every living member streams from one open primary, and the record lists a sync set where the mode wants one. */
function redundant(cluster: Cluster, alive: readonly Database[]): boolean {
  const primary = alive.find((db) => db.writable)
  if (primary === undefined) return false
  const { record } = cluster.checker
  if (record?.phase !== 'open' || record.holder !== primary.member) return false
  if (alive.some((db) => db !== primary && db.receiver?.primary !== primary)) return false
  const others = alive.filter((db) => db !== primary && !cluster.scenario.noFailover.includes(db.host))
  const { replication } = cluster.scenario
  const wanted = replication.kind === 'quorum' ? replication.need : 1
  return replication.kind === 'async' || others.length < wanted || record.sync.need > 0
}

function checkFinal(cluster: Cluster, alive: readonly Database[]): void {
  const { tip } = cluster.checker
  const primary = alive.find((db) => db.writable)
  if (tip === null || primary === undefined || primary.flushed === null) return
  if (!holds(primary.flushed, tip)) cluster.checker.fail('S3', `${primary.member} ends without an acknowledged write`)
}

function standStill(cluster: Cluster, because: string): LivenessResult {
  const { world, hosts } = cluster
  const ttlMs = hosts[0]?.shell.parts.settings.ttlMs ?? 1_000
  world.runUntil(world.nowMs + 10 * ttlMs)
  return { recoverable: false, because, writableAfterMs: null, redundantAfterMs: null, move: null }
}

interface Verdict {
  readonly can: boolean
  readonly because: string
}

const no = (because: string): Verdict => ({ can: false, because })
const yes = (because: string): Verdict => ({ can: true, because })

/** Conservative: says yes only where the rules oblige the group to come back by itself. */
function recoverable(cluster: Cluster, alive: readonly Database[]): Verdict {
  const { scenario, checker } = cluster
  const { record } = checker
  if (scenario.failover === 'observe') return no('observe mode acts on nothing')
  const able = alive.filter((db) => !scenario.noFailover.includes(db.host))
  if (able.length === 0) return no('only members without failover live')
  const room = roomForSync(cluster, able)
  if (room !== null) return no(room)
  if (record === null || record.systemId === null) {
    const data = cluster.hosts.some((host) => host.db.data !== 'empty')
    return data ? no('the group was never finished') : yes('a new group')
  }
  if (scenario.failover === 'manual') return no('a person decides')
  return withData(cluster, record, able)
}

/** A group that blocks when alone needs living standbys to acknowledge anything. */
function roomForSync(cluster: Cluster, able: readonly Database[]): string | null {
  const { replication, whenAlone } = cluster.scenario
  if (replication.kind === 'async') return null
  const need = replication.kind === 'sync' ? 1 : replication.need
  if (able.length - 1 >= need) return null
  return whenAlone === 'continue' ? null : 'too few standbys live'
}

function withData(cluster: Cluster, record: GroupRecord, able: readonly Database[]): Verdict {
  const intact = (member: string, disk: string | undefined): boolean =>
    able.some(
      (db) => db.member === member && db.data === 'ready' && db.diskId === disk && record.members.includes(member),
    )
  const { lastOpen, sync } = record
  if (lastOpen !== null && intact(lastOpen.member, lastOpen.diskId)) return yes('the last open holder lives')
  if (cluster.scenario.replication.kind === 'async') return no('the last open holder is gone')
  if (sync.need === 0) return no('only the last open holder was complete')
  const living = sync.members.filter((member) => intact(member, sync.disks[member]))
  const enough = sync.members.length - sync.need + 1
  if (living.length >= enough) return yes(`${living.length} of the sync set live`)
  return no(`${living.length} of ${enough} needed of the sync set live`)
}
