/**
 * Bugs to plant into a copy of the program, each with the checker that must find it. A checker that never fails is not
 * trusted; neither is a nemesis whose faults would not reach the bug. Each text must stand exactly once in its file.
 */
import type { ReplicationMode } from '../contract.ts'
import type { Profile } from '../nemesis/plan.ts'
import type { Scenario } from '../settings.ts'

export interface Edit {
  /** From the root of the repository. */
  readonly file: string
  readonly find: string
  readonly replace: string
}

export interface PlantedBug {
  readonly name: string
  readonly what: string
  readonly edits: readonly Edit[]
  /** Also changed, and no mistake: what brings the bug into reach. Alone it must be found innocent (`--innocent`). */
  readonly ground?: readonly Edit[]
  /** Absent: one group. */
  readonly scenario?: Scenario
  readonly mode: ReplicationMode
  readonly profile: Profile
  /** That reach it. */
  readonly faults: readonly string[]
  /** Every fault lasts so many times longer than usual, where the ground is slower; 1 when absent. */
  readonly stretch?: number
  /** One of these must fail. */
  readonly expects: readonly string[]
  /** Fresh seeds until it has to be found. */
  readonly triesMax: number
  readonly minutes: number
}

const SRC = 'packages/holdfast/src'

const NO_KILL: Edit = {
  file: `${SRC}/guard/main.ts`,
  find: 'const found = killTreeSync(quarry.dataDir, quarry.mainPid, { boundMs })',
  replace: 'const found = { killed: 0, alive: boundMs * 0 }',
}

export const PLANTED: readonly PlantedBug[] = [
  {
    name: 'no-guard',
    what: 'the guard keeps its deadlines but kills nobody: while the agent is frozen the old primary goes on',
    edits: [NO_KILL],
    // With sync the old primary waits for a confirmation that nobody gives: two walls, and this is about the first.
    mode: 'async',
    profile: 'fast',
    faults: ['freeze-agent'],
    expects: ['two-writers'],
    triesMax: 3,
    minutes: 1,
  },
  {
    name: 'trust-from-answer',
    what: 'the lease counts from the answer of the store, not from the request',
    edits: [
      {
        file: `${SRC}/agent/perform.ts`,
        find: 'const { sentAtMs, outcome } = await store.writeSession(action.record, action.ifRevision)',
        replace: [
          'const { outcome } = await store.writeSession(action.record, action.ifRevision)',
          'const sentAtMs = mailbox.nowMs()',
        ].join('\n'),
      },
    ],
    // With patient requests, which R2 allows, an answer may come so late that a promotion fits into the difference,
    // also where the machine is busy. A fault has to last longer than the ttl: an agent that is back fences in order.
    ground: [
      {
        file: `${SRC}/core/settings.ts`,
        find: 'timingOf(3_000, 600, 500)',
        replace: 'timingOf(20_000, 8_000, 5_500)',
      },
    ],
    stretch: 4,
    mode: 'async',
    profile: 'normal',
    faults: ['late-then-kill'],
    expects: ['two-writers'],
    triesMax: 4,
    minutes: 6,
  },
  {
    name: 'database-before-record',
    what: 'a standby leaves the list of the database before the record says so',
    edits: [
      {
        file: `${SRC}/core/sync-set/plan.ts`,
        find: 'if (!sameSync(engine.sync, wanted.engine) && meets(wanted.engine, recorded))',
        replace: 'if (!sameSync(engine.sync, wanted.engine))',
      },
    ],
    mode: 'sync',
    profile: 'fast',
    faults: ['split'],
    expects: ['lost'],
    triesMax: 4,
    minutes: 2,
  },
  {
    name: 'router-keeps-sessions',
    what: 'nobody kills the old primary, and the router leaves the connections of an older epoch open',
    edits: [
      NO_KILL,
      {
        file: `${SRC}/core/routing/route.ts`,
        find: "if (turn.state.kind === 'open') turn.actions.push({ do: 'cut' })",
        replace: '',
      },
    ],
    // With a guard that kills, the old connections die with their engine: only both holes together let a write through.
    mode: 'async',
    profile: 'fast',
    faults: ['freeze-agent'],
    expects: ['stale-write'],
    triesMax: 3,
    minutes: 1,
  },
  {
    name: 'any-standby-leads',
    what: 'every takeover may lose data, whoever it is',
    edits: [
      {
        file: `${SRC}/core/lease/takeover.ts`,
        find: 'const allowDataLoss = intentStands(turn, record) && record.intent?.allowDataLoss === true',
        replace: 'const allowDataLoss = true',
      },
    ],
    mode: 'sync',
    profile: 'fast',
    faults: ['strand-replica'],
    expects: ['lost'],
    triesMax: 4,
    minutes: 2,
  },
  {
    name: 'no-order',
    what: 'a plan moves all groups of a service at once, whatever each needs',
    edits: [
      {
        file: `${SRC}/core/site-plan/draft.ts`,
        find: '    const waits = needs.flatMap((name) => ends.get(name) ?? [])',
        replace: '    const waits = needs.slice(0, 0)',
      },
    ],
    scenario: 'shop',
    mode: 'sync',
    profile: 'normal',
    faults: ['move', 'move-back'],
    expects: ['in-order'],
    triesMax: 2,
    minutes: 1,
  },
]
