/**
 * Mistakes put in on purpose, to know what the simulator would notice. Each one changes the world around the core or
 * wraps it; the core itself stays as it ships. The budget says within how many seeds it must be found.
 */
import type { NodeEvent, NodeSettings } from '../../core/node.ts'
import { PROFILES } from '../../core/settings.ts'
import type { Defects } from '../cluster.ts'
import type { CorePort } from '../core-port.ts'
import type { Fault } from '../fault-menu.ts'
import type { Mix, Scenario } from '../scenario.ts'
import { believing, doing, echoing, hearing, remembering } from './wraps.ts'

export interface Planted {
  readonly name: string
  readonly describe: string
  readonly budgetSeeds: number
  /** The mix that is meant to find it; without one the ordinary shares. */
  readonly mix?: Mix
  /** Settings without which it cannot show. */
  readonly adjust?: (scenario: Scenario) => Scenario
  readonly defects?: Defects
  readonly wrap?: (core: CorePort) => CorePort
}

const ANY_LOSS = { kind: 'async', lossBytesMax: Number.POSITIVE_INFINITY, lossMsMax: Number.POSITIVE_INFINITY } as const

function withoutMargin(settings: NodeSettings): NodeSettings {
  const members = settings.members.map((m) => ({ ...m, timing: { ...m.timing, marginMs: 0 } }))
  return { ...settings, marginMs: 0, members }
}

function endlessPromotion(settings: NodeSettings): NodeSettings {
  const members = settings.members.map((m) => ({ ...m, timing: { ...m.timing, promoteMs: 1e9 } }))
  return { ...settings, members }
}

/** A primary goes on by promises, and the others do not see it come back to the store: R21 meets a watch that lags. */
function promisesAndStalls(scenario: Scenario): Fault[] {
  const { ttlMs } = PROFILES[scenario.profile]
  const faults: Fault[] = []
  for (let atMs = 20 * ttlMs; atMs < scenario.horizonMs; atMs += 15 * ttlMs) {
    const cut = { kind: 'cut-store', atMs, forMs: 2.2 * ttlMs, host: -1, other: 0, amount: 0.1 } as const
    faults.push(cut)
    for (let host = 0; host < scenario.sites.length; host += 1) {
      faults.push({ ...cut, kind: 'watch-stalls', atMs: atMs + 1.6 * ttlMs, forMs: 3 * ttlMs, host })
      faults.push({ ...cut, kind: 'cut-pair', atMs: atMs + 2.1 * ttlMs, forMs: 2 * ttlMs, other: host })
    }
  }
  return faults
}

/** An answer for every fence at once, before anything is dead. */
function fencedAtOnce(event: NodeEvent, actions: readonly { kind: string }[]): NodeEvent[] {
  const events: NodeEvent[] = []
  for (const action of actions as readonly import('../../core/protocol.ts').Action[]) {
    if (action.kind !== 'engine' || action.command.do !== 'fence') continue
    const outcome = { ok: true, position: null, lsn: 0 } as const
    const done = { kind: 'engine-done', id: action.id, outcome, nowMs: event.event.nowMs } as const
    events.push({ to: 'member', member: action.member, event: done })
  }
  return events
}

/** One member's promise counted as everybody's. */
function acceptedByAll(event: NodeEvent, members: readonly string[]): NodeEvent[] {
  if (event.to !== 'member' || event.event.kind !== 'failsafe-answer' || !event.event.accept) return []
  const { member, event: answer } = event
  return members
    .filter((from) => from !== answer.from)
    .map((from) => ({ to: 'member', member, event: { ...answer, from } }))
}

const NINE: readonly Planted[] = [
  {
    name: 'any-standby-leads',
    describe: 'any standby may be promoted, whatever it holds',
    budgetSeeds: 200,
    wrap: believing(
      (own) => own.role === 'replica',
      (m) => ({ ...m, replication: ANY_LOSS }),
    ),
  },
  {
    name: 'old-copy-leads',
    describe: 'a disk that was replaced by an old copy counts as the same',
    budgetSeeds: 400,
    defects: { diskLossUnnoticed: true },
  },
  {
    name: 'no-step-down',
    describe: 'a renewal without an answer counts as a renewal',
    budgetSeeds: 100,
    wrap: (core) => ({
      ...core,
      step(state, event, settings) {
        if (
          event.to !== 'session' ||
          event.event.kind !== 'session-written' ||
          event.event.outcome.kind !== 'unknown'
        ) {
          return core.step(state, event, settings)
        }
        const outcome = { kind: 'ok', revision: state.session.revision, value: null } as const
        return core.step(state, { ...event, event: { ...event.event, outcome } }, settings)
      },
    }),
  },
  {
    name: 'database-before-record',
    describe: 'the sync list of the database changes before the record says so',
    budgetSeeds: 200,
    mix: 'sync-set',
    wrap: doing((action) => {
      if (action.kind !== 'write-record' || action.purpose !== 'sync' || action.record.holder === null) return [action]
      const { members, need } = action.record.sync
      const sync = { members, need }
      const member = action.record.holder
      return [{ kind: 'engine', id: -1, member, command: { do: 'apply-sync', sync }, deadlineMs: 1e15 }, action]
    }),
  },
  {
    name: 'published-before-caught-up',
    describe: 'a new standby is published before it holds what was acknowledged',
    budgetSeeds: 400,
    mix: 'sync-set',
    wrap: hearing((event) => {
      if (event.kind !== 'engine-view' || event.view.position === null) return event
      const { lsn } = event.view.position
      const standbys = event.view.standbys.map((standby) => ({ ...standby, flushLsn: lsn }))
      return { ...event, view: { ...event.view, standbys } }
    }),
  },
  {
    name: 'rejoin-without-rewind',
    describe: 'an old primary streams onto its diverged log',
    budgetSeeds: 300,
    defects: { streamsWithoutRewind: true },
  },
  {
    name: 'trust-from-answer',
    describe: 'the trust window counts from the answer of a renewal',
    budgetSeeds: 1_500,
    mix: 'timing',
    defects: { trustFromAnswer: true },
  },
  {
    name: 'no-drift-margin',
    describe: 'no margin for clocks that run at different rates',
    budgetSeeds: 1_500,
    mix: 'timing',
    defects: { settings: withoutMargin },
  },
  {
    name: 'sync-without-compare',
    describe: 'the sync set is written without compare-and-set',
    budgetSeeds: 600,
    mix: 'sync-set',
    wrap: doing((action) =>
      action.kind === 'write-record' && action.purpose === 'sync' ? [{ ...action, ifRevision: -1 }] : [action],
    ),
  },
]

const LEASE: readonly Planted[] = [
  {
    name: 'guard-never-fires',
    describe: 'the guard sleeps through its deadline',
    budgetSeeds: 300,
    mix: 'lease',
    defects: { guardNeverFires: true },
  },
  {
    name: 'guard-late',
    describe: 'the guard fires more than a second late',
    budgetSeeds: 600,
    mix: 'timing',
    defects: { guardLateMs: 1_200 },
  },
  {
    name: 'epoch-not-increased',
    describe: 'a claim keeps the epoch of the leadership before it',
    budgetSeeds: 50,
    wrap: doing((action) => {
      if (action.kind !== 'write-record' || action.purpose !== 'claim') return [action]
      return [{ ...action, record: { ...action.record, epoch: action.record.epoch - 1 } }]
    }),
  },
  {
    name: 'takeover-too-early',
    describe: 'candidates wait for less than half of the ttl',
    budgetSeeds: 300,
    mix: 'lease',
    wrap: hearing((event) => {
      if (event.kind !== 'session' || event.value === null) return event
      return { ...event, value: { ...event.value, ttlMs: event.value.ttlMs * 0.4 } }
    }),
  },
  {
    name: 'unknown-claim-is-won',
    describe: 'a claim without an answer counts as won',
    budgetSeeds: 400,
    wrap: hearing((event, { own }) => {
      const write = own?.write
      if (event.kind !== 'record-written' || event.outcome.kind !== 'unknown') return event
      if (write === null || write === undefined || write.purpose !== 'claim') return event
      return { ...event, outcome: { kind: 'ok', revision: write.ifRevision + 1, value: write.record } }
    }),
  },
  {
    name: 'conflict-is-won',
    describe: 'a claim that met another version counts as won',
    budgetSeeds: 400,
    wrap: hearing((event, { own }) => {
      const write = own?.write
      if (event.kind !== 'record-written' || event.outcome.kind !== 'conflict') return event
      if (write === null || write === undefined || write.purpose !== 'claim') return event
      return { ...event, outcome: { kind: 'ok', revision: event.outcome.revision, value: write.record } }
    }),
  },
  {
    name: 'release-before-gone',
    describe: 'the lease is released before the engine is dead',
    budgetSeeds: 100,
    wrap: echoing((event, result) => fencedAtOnce(event, result.actions)),
  },
  {
    name: 'starts-by-itself',
    describe: 'the machine starts a former primary as primary after a power cut',
    budgetSeeds: 200,
    defects: { startsByItself: true },
  },
  {
    name: 'one-promise-is-enough',
    describe: 'failsafe goes on when one member agrees',
    budgetSeeds: 600,
    mix: 'lease',
    wrap: (core) => ({
      ...core,
      step: (state, event, settings) =>
        echoing((heard) => acceptedByAll(heard, settings.members[0]?.members.map((m) => m.member) ?? []))(core).step(
          state,
          event,
          settings,
        ),
    }),
  },
  {
    name: 'old-look-counts',
    describe: 'a look at the session from before the end of a promise proves silence',
    budgetSeeds: 600,
    mix: 'lease',
    adjust: (scenario) => ({ ...scenario, sharedSession: true, faults: promisesAndStalls(scenario) }),
    wrap: hearing((event, { own }) => {
      if (event.kind !== 'session' || event.sentAtMs === null || own === undefined || own.holder === null) return event
      const silentFromMs = own.holder.unchangedSinceMs + own.holder.ttlMs
      if (event.sentAtMs < silentFromMs || event.sentAtMs >= own.promisedUntilMs) return event
      return { ...event, sentAtMs: own.promisedUntilMs }
    }),
  },
  {
    name: 'stray-primary-waits',
    describe: 'a new agent leaves a running primary alone until it hears the store',
    budgetSeeds: 200,
    mix: 'lease',
    wrap: hearing((event, { own }) => {
      const stray = event.kind === 'engine-view' && event.view.role === 'primary' && own?.record === null
      return stray ? { kind: 'tick', nowMs: event.nowMs } : event
    }),
  },
  {
    name: 'reads-not-linearizable',
    describe: 'a member of the store answers reads from its own copy',
    budgetSeeds: 600,
    mix: 'lease',
    adjust: (scenario) => ({ ...scenario, storeMembers: 3 }),
    defects: { storeReadsLocally: true },
  },
  {
    name: 'promise-forgotten',
    describe: 'a member forgets that it promised not to take over',
    budgetSeeds: 600,
    mix: 'lease',
    wrap: remembering((own) => (own.promisedUntilMs === 0 ? own : { ...own, promisedUntilMs: 0 })),
  },
]

const DATA: readonly Planted[] = [
  {
    name: 'no-gate',
    describe: 'a promoted engine acknowledges before the record says open',
    budgetSeeds: 400,
    defects: { promoteSkipsSync: true },
  },
  {
    name: 'sync-applied-early',
    describe: 'a new sync list is reported in effect before it is',
    budgetSeeds: 600,
    mix: 'sync-set',
    defects: { applySyncLies: true },
  },
  {
    name: 'stop-waits-for-the-silent',
    describe: 'a planned move waits until the connection of a dead standby times out',
    budgetSeeds: 400,
    defects: { stopWaitsForSilent: true },
  },
  {
    name: 'released-by-the-next-status',
    describe: 'after a new sync list nothing makes the standbys speak, and commits that they hold go on waiting',
    budgetSeeds: 800,
    mix: 'switchover',
    defects: { releasesLate: true },
  },
  {
    name: 'loss-not-asked-for',
    describe: 'every ordered failover may lose data',
    budgetSeeds: 600,
    mix: 'switchover',
    wrap: hearing((event) => {
      if (event.kind !== 'record' || event.value === null || event.value.intent === null) return event
      return { ...event, value: { ...event.value, intent: { ...event.value.intent, allowDataLoss: true } } }
    }),
  },
  {
    name: 'disk-without-name',
    describe: 'a sync set is published before the disk of its member is known',
    budgetSeeds: 20,
    wrap: doing((action) => {
      if (action.kind !== 'write-record' || action.purpose !== 'sync') return [action]
      const { sync } = action.record
      const disks = Object.fromEntries(sync.members.map((member) => [member, '']))
      return [{ ...action, record: { ...action.record, sync: { ...sync, disks } } }]
    }),
  },
  {
    name: 'hold-of-another-session',
    describe: 'a hold is taken up again by the next session of the agent',
    budgetSeeds: 100,
    wrap: (core) => ({
      ...core,
      step(state, event, settings) {
        const result = core.step(state, event, settings)
        const member = settings.members[0]?.self.member ?? ''
        const before = state.members[member]?.hold ?? null
        const own = result.state.members[member]
        const { session } = result.state.session
        if (own === undefined || before === null || own.hold !== null || session === null) return result
        const members = { ...result.state.members, [member]: { ...own, hold: { ...before, session: `${session}+` } } }
        return { ...result, state: { ...result.state, members } }
      },
    }),
  },
  {
    name: 'loss-bound-ignored',
    describe: 'an async group forgets its loss bound',
    budgetSeeds: 400,
    adjust: (scenario) => ({
      ...scenario,
      thinkMs: 300,
      replication: { kind: 'async', lossBytesMax: 20_000, lossMsMax: 20_000 },
    }),
    wrap: believing(
      (own) => own.role === 'replica',
      (m) => (m.replication.kind === 'async' ? { ...m, replication: ANY_LOSS } : m),
    ),
  },
]

const LIVENESS: readonly Planted[] = [
  {
    name: 'lease-for-a-dead-database',
    describe: 'the lease is renewed although the database is dead',
    budgetSeeds: 100,
    wrap: hearing((event, { own }) => {
      if (own?.role !== 'primary' || own.view === null) return event
      if (event.kind === 'engine-view' && !event.view.answering) {
        return { ...event, view: { ...own.view, observedAtMs: event.view.observedAtMs } }
      }
      return event.kind === 'engine-exited' ? { kind: 'tick', nowMs: event.nowMs } : event
    }),
  },
  {
    name: 'endless-promotion',
    describe: 'a promotion has no deadline',
    budgetSeeds: 300,
    mix: 'switchover',
    defects: { settings: endlessPromotion },
  },
]

export const PLANTED: readonly Planted[] = [...NINE, ...LEASE, ...DATA, ...LIVENESS]
