/**
 * Failover side by side: each group in turn, A B A B, under the same clients and the same faults, each at a random
 * moment of its loop. A group is started anew for each turn, so nothing is left from the one before.
 */
import { twoWritersMs, writeOutageMs } from '../packages/holdfast/src/cli/demo/figures.ts'
import { signalAll } from '../packages/holdfast/src/cli/demo/hosts.ts'
import type { DemoMode } from '../packages/holdfast/src/cli/demo/layout.ts'
import {
  audit,
  FIRST_PROBER,
  type Ledger,
  prepareLedger,
  sleep,
  startLedger,
} from '../packages/holdfast/src/cli/demo/ledger.ts'
import { systemClock } from '../packages/holdfast/src/io/clock.ts'
import { jitterMs } from '../packages/holdfast/src/io/random.ts'
import { loadNow, round, summary, tableOf } from './page.ts'
import type { Stage, StageName } from './stage.ts'

export const FAULTS = ['postmaster-kill', 'host-crash', 'host-freeze', 'switchover'] as const
export type FaultName = (typeof FAULTS)[number]

export interface Sample {
  readonly stage: StageName
  readonly mode: DemoMode
  readonly fault: FaultName
  readonly outageMs: number
  readonly acked: number
  /** Acknowledged through the door, and not on the final primary. */
  readonly lost: number
  /** Acknowledged on a connection straight to a member, and not on the final primary. */
  readonly lostDirect: number
  readonly doubled: number
  readonly twoWritersMs: number
  readonly load: number
}

/** Load before and after each fault, so that an outage has two ends. */
const CALM_MS = 700
const TAKEOVER_MS = 90_000
const LOOK_MS = 100
/** A new primary serves this long before the old host comes back. */
const BACK_AFTER_MS: Readonly<Record<FaultName, number>> = {
  'postmaster-kill': 0,
  'host-crash': 300,
  'host-freeze': 1_000,
  switchover: 0,
}

/** One turn: every fault once. A fault that cannot be measured ends the turn and says so; what was measured stays. */
export async function oneTurn(
  stage: Stage,
  faults: readonly FaultName[],
  heard: (sample: Sample) => void,
): Promise<void> {
  await stage.start()
  await prepareLedger(stage.layout)
  const ledger = startLedger(stage.layout)
  try {
    for (const fault of faults) heard(await oneFault(stage, fault, ledger))
  } finally {
    await ledger.stop()
  }
}

async function oneFault(stage: Stage, fault: FaultName, ledger: Ledger): Promise<Sample> {
  const target = await stage.whole()
  await sleep(CALM_MS + jitterMs(0, stage.beatMs))
  const load = round(loadNow(), 2)
  const first = ledger.acks.length
  const startMs = systemClock.nowMs()
  await doFault(stage, fault, target, ledger)
  const endedMs = systemClock.nowMs()
  const served = (): boolean => ledger.acks.some((a) => a.writer < FIRST_PROBER && a.sentMs > endedMs)
  if (!(await until(async () => served())))
    throw new Error(`${stage.name}: ${fault}: no write within ${TAKEOVER_MS} ms`)
  await stage.whole()
  await sleep(CALM_MS)
  const acks = ledger.acks.slice()
  const found = await audit(stage.layout, acks)
  const own = found.lost.filter((a) => a.sentMs >= startMs - CALM_MS)
  const lost = own.filter((a) => a.writer < FIRST_PROBER).length
  return {
    ...{ stage: stage.name, mode: stage.mode, fault, load, lost, lostDirect: own.length - lost },
    outageMs: writeOutageMs(acks, { startMs, endMs: systemClock.nowMs() }),
    acked: acks.length - first,
    doubled: found.doubled,
    twoWritersMs: round(twoWritersMs(acks.filter((a) => a.ackedMs >= startMs - CALM_MS))),
  }
}

async function doFault(stage: Stage, fault: FaultName, target: string, ledger: Ledger): Promise<void> {
  const { agent, guard, engine } = stage.pids(target)
  const host = [...agent, ...guard, ...engine]
  if (agent.length === 0 || engine.length === 0) throw new Error(`${stage.name}: ${target} does not run`)
  const atMs = systemClock.nowMs()
  if (fault === 'postmaster-kill') {
    signalAll(engine.slice(0, 1), 'SIGKILL')
    // Somebody writes again on a connection that was made after the server had ended.
    await until(async () => ledger.refused.some((r) => r.atMs > atMs))
    return
  }
  if (fault === 'switchover') await stage.switchover()
  else signalAll(host, fault === 'host-crash' ? 'SIGKILL' : 'SIGSTOP')
  const moved = await until(async () => {
    const primary = await stage.primary()
    return (
      primary !== null &&
      primary !== target &&
      ledger.acks.some((a) => a.sentMs > atMs && a.port !== portOf(stage, target))
    )
  })
  if (!moved) throw new Error(`${stage.name}: ${fault}: nobody took over from ${target} within ${TAKEOVER_MS} ms`)
  await sleep(BACK_AFTER_MS[fault])
  if (fault === 'host-crash') stage.revive(target)
  if (fault === 'host-freeze') signalAll([...host].reverse(), 'SIGCONT')
}

function portOf(stage: Stage, member: string): number {
  return stage.layout.members.find((one) => one.member === member)?.port ?? 0
}

async function until(what: () => Promise<boolean>): Promise<boolean> {
  const untilMs = systemClock.nowMs() + TAKEOVER_MS
  while (systemClock.nowMs() < untilMs) {
    if (await what()) return true
    await sleep(LOOK_MS)
  }
  return false
}

/** Which group is compared with which: the defaults of both, and the fastest of both. */
const PAIRS: readonly (readonly [StageName, StageName])[] = [
  ['patroni-default', 'holdfast-normal'],
  ['patroni-tight', 'holdfast-fast'],
]

export function failoverRows(samples: readonly Sample[]) {
  const keys = [...new Set(samples.map((s) => `${s.mode} ${s.fault} ${s.stage}`))].sort()
  return keys.map((key) => {
    const [mode, fault, stage] = key.split(' ')
    const own = samples.filter((s) => s.mode === mode && s.fault === fault && s.stage === stage)
    const sum = (pick: (s: Sample) => number): number => own.reduce((total, s) => total + pick(s), 0)
    return {
      ...{ mode: mode ?? '', fault: fault ?? '', stage: stage ?? '', runs: own.length },
      outageMs: summary(own.map((s) => s.outageMs)),
      acked: sum((s) => s.acked),
      lost: sum((s) => s.lost),
      lostDirect: sum((s) => s.lostDirect),
      doubled: Math.max(...own.map((s) => s.doubled)),
      twoWritersMs: Math.max(...own.map((s) => s.twoWritersMs)),
    }
  })
}

export type FailoverRow = ReturnType<typeof failoverRows>[number]

/** How many times longer the other one's median outage is. */
export function ratioOf(rows: readonly FailoverRow[], row: FailoverRow): number | null {
  const pair = PAIRS.find(([, own]) => own === row.stage)
  const other = rows.find((one) => one.mode === row.mode && one.fault === row.fault && one.stage === pair?.[0])
  return other === undefined || row.outageMs.median === 0 ? null : other.outageMs.median / row.outageMs.median
}

export function failoverTable(rows: readonly FailoverRow[]): string {
  const head = ['mode', 'fault', 'group', 'runs', 'write outage ms, min / median / max', 'ratio of medians']
  return tableOf(
    [...head, 'acked', 'lost', 'lost, direct', 'doubled', 'two writers ms'],
    rows.map((row) => {
      const { min, median, max } = row.outageMs
      const ratio = ratioOf(rows, row)
      return [
        ...[row.mode, row.fault, row.stage, String(row.runs)],
        `${round(min)} / **${round(median)}** / ${round(max)}`,
        ratio === null ? '' : `**${ratio.toFixed(1)}**`,
        ...[row.acked, row.lost, row.lostDirect, row.doubled, row.twoWritersMs].map(String),
      ]
    }),
  )
}
