/**
 * Failover of Redis side by side: Holdfast and three Sentinels in turn, under the same clients and the same faults,
 * each at a random moment. A group is started anew for each turn.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { signalAll } from '../packages/holdfast/src/cli/demo/hosts.ts'
import { systemClock } from '../packages/holdfast/src/io/clock.ts'
import { jitterMs } from '../packages/holdfast/src/io/random.ts'
import { until } from '../test/platform.ts'
import { loadNow, round, summary, tableOf } from './page.ts'
import { auditRedis, outageMs, RedisLedger } from './redis-ledger.ts'
import type { RedisMode, RedisStage, RedisStageName } from './redis-stage.ts'

export const REDIS_FAULTS = ['process-kill', 'host-crash', 'planned-move'] as const
export type RedisFault = (typeof REDIS_FAULTS)[number]

export interface RedisSample {
  readonly stage: RedisStageName
  readonly mode: RedisMode
  readonly fault: RedisFault
  readonly outageMs: number
  readonly acked: number
  readonly lost: number
  readonly doubled: number
  /** Another failover than the one that was caused. */
  readonly movedAgain: boolean
  readonly load: number
}

const CALM_MS = 700
const JITTER_MS = 3_000
const TAKEOVER_MS = 90_000
/** A new primary serves this long before what was killed is started again. */
const BACK_AFTER_MS = 1_000
/** A second failover that a fault caused would have come by then. */
const AFTER_MS = 2_500

export async function redisTurn(stage: RedisStage, mode: RedisMode, heard: (s: RedisSample) => void): Promise<void> {
  await stage.start()
  const ledger = new RedisLedger({ target: () => stage.target(), confirmations: mode === 'sync' ? 1 : 0 })
  try {
    for (const fault of REDIS_FAULTS) heard(await oneFault(stage, { mode, fault }, ledger))
  } finally {
    await ledger.stop()
  }
}

async function oneFault(
  stage: RedisStage,
  { mode, fault }: { readonly mode: RedisMode; readonly fault: RedisFault },
  ledger: RedisLedger,
): Promise<RedisSample> {
  const target = await stage.whole()
  await sleep(CALM_MS + jitterMs(0, JITTER_MS))
  const load = round(loadNow(), 2)
  const first = ledger.acks.length
  const startMs = systemClock.nowMs()
  if (fault === 'planned-move') await stage.switchover()
  else if (fault === 'host-crash') signalAll(stage.hostPids(target), 'SIGKILL')
  else
    signalAll(
      [stage.enginePid(target) ?? -1].filter((pid) => pid > 0),
      'SIGKILL',
    )
  await servedAgain(stage, fault, { target, startMs }, ledger)
  await sleep(BACK_AFTER_MS)
  const moved = await stage.primary()
  if (fault !== 'planned-move') await stage.revive(target)
  await stage.whole()
  await sleep(AFTER_MS)
  const last = await stage.whole()
  const acks = ledger.acks.slice()
  const { lost, doubled } = await auditRedis(await stage.target(), acks)
  return {
    ...{ stage: stage.name, mode, fault, load, doubled, movedAgain: moved !== null && last !== moved },
    outageMs: outageMs(acks, startMs),
    acked: acks.length - first,
    lost: lost.filter(({ ackedMs }) => ackedMs >= startMs - CALM_MS).length,
  }
}

/** A write was sent and acknowledged after the fault had shown; a planned move also has another primary. */
async function servedAgain(
  stage: RedisStage,
  fault: RedisFault,
  { target, startMs }: { readonly target: string; readonly startMs: number },
  ledger: RedisLedger,
): Promise<void> {
  // The first gap that a fault makes is at most some milliseconds long; what was on its way is not counted.
  const afterMs = startMs + 100
  const what = `${stage.name}: a write after the ${fault} of ${target}`
  await until(what, async () => ledger.acks.some(({ sentMs }) => sentMs > afterMs), TAKEOVER_MS)
  if (fault === 'process-kill') return
  await until(
    `${what} on another primary`,
    async () => {
      const now = await stage.primary()
      return now !== null && now !== target
    },
    TAKEOVER_MS,
  )
}

/** Which group is compared with which. */
const PAIRS: readonly (readonly [RedisStageName, RedisStageName])[] = [
  ['sentinel-500', 'holdfast-fast'],
  ['sentinel-1000', 'holdfast-normal'],
]

export function redisRows(samples: readonly RedisSample[]) {
  const keys = [...new Set(samples.map((s) => `${s.mode} ${s.fault} ${s.stage}`))].sort()
  return keys.map((key) => {
    const [mode, fault, stage] = key.split(' ')
    const own = samples.filter((s) => s.mode === mode && s.fault === fault && s.stage === stage)
    const sum = (pick: (s: RedisSample) => number): number => own.reduce((total, s) => total + pick(s), 0)
    return {
      ...{ mode: mode ?? '', fault: fault ?? '', stage: stage ?? '', runs: own.length },
      outageMs: summary(own.map((s) => s.outageMs)),
      acked: sum((s) => s.acked),
      lost: sum((s) => s.lost),
      doubled: Math.max(...own.map((s) => s.doubled)),
      movedAgain: own.filter((s) => s.movedAgain).length,
    }
  })
}

export type RedisRow = ReturnType<typeof redisRows>[number]

/** How many times longer the other one's median outage is. */
export function redisRatio(rows: readonly RedisRow[], row: RedisRow): number | null {
  const pair = PAIRS.find(([, own]) => own === row.stage)
  const other = rows.find((one) => one.mode === row.mode && one.fault === row.fault && one.stage === pair?.[0])
  return other === undefined || row.outageMs.median === 0 ? null : other.outageMs.median / row.outageMs.median
}

export function redisTable(rows: readonly RedisRow[]): string {
  const head = ['mode', 'fault', 'group', 'runs', 'write outage ms, min / median / max', 'ratio of medians']
  return tableOf(
    [...head, 'acked', 'lost', 'doubled', 'moved once more'],
    rows.map((row) => {
      const { min, median, max } = row.outageMs
      const ratio = redisRatio(rows, row)
      return [
        ...[row.mode, row.fault, row.stage, String(row.runs)],
        `${round(min)} / **${round(median)}** / ${round(max)}`,
        ratio === null ? '' : `**${ratio.toFixed(1)}**`,
        ...[row.acked, row.lost, row.doubled, row.movedAgain].map(String),
      ]
    }),
  )
}
