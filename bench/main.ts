/**
 * `npm run bench`: Holdfast beside what a user would take otherwise, in one run on one machine: failover and memory
 * against Patroni with etcd and HAProxy, throughput of the router against HAProxy and PgBouncer. What is measured how
 * stands in docs/reference/measurements.md, which gets the tables. `npm run engines -- --rivals` brings the others.
 */
import { parseArgs } from 'node:util'
import type { DemoMode } from '../packages/holdfast/src/cli/demo/layout.ts'
import { findPostgres } from '../packages/holdfast/src/engines/postgres/binaries.ts'
import { findRivals } from '../scripts/engines/rivals.ts'
import { findAll } from '../scripts/engines/wanted.ts'
import { FAULTS, type FaultName, failoverRows, failoverTable, oneTurn, type Sample } from './failovers.ts'
import { type Footprints, footprintTable, measureFootprints } from './footprints.ts'
import { commitNow, loadNow, machineNow, round, writeResult, writeTable } from './page.ts'
import { type RedisSample, redisRows, redisTable, redisTurn } from './redis-failovers.ts'
import { REDIS_STAGES } from './redis-stage.ts'
import { makeRedisStage } from './redis-stages.ts'
import { makeStage, STAGES, type Stage, type StageName } from './stage.ts'
import { measureThroughput, throughputRows, throughputTable } from './throughput.ts'

const HELP = `Measures Holdfast beside Patroni, HAProxy, PgBouncer, and Redis with Sentinel.

  npm run bench -- [options]

  --quick            10 minutes instead of 60: the fastest settings, one round, short throughput
  --only PART        failover | rest | throughput | redis; may be given several times
  --runs N           rounds of failover (default 4, with --quick 1), also of Redis
  --async-runs N     rounds of failover with asynchronous replication (default 1, with --quick 0), also of Redis
  --group NAME       only this group: ${STAGES.join(', ')}; may be given several times
  --fault NAME       only this fault: ${FAULTS.join(', ')}; may be given several times
  --dry              writes no file
  --help             this

Results: bench/results/{failover,rest,throughput,redis}-side-by-side.json and docs/reference/measurements.md`

const PARTS = ['failover', 'rest', 'throughput', 'redis'] as const
type Part = (typeof PARTS)[number]
const RUNS_MAX = 100
const EXIT = { ok: 0, failed: 1, usage: 2, interrupted: 130 }

interface Choice {
  readonly quick: boolean
  readonly parts: readonly Part[]
  readonly runs: Readonly<Record<DemoMode, number>>
  readonly stages: readonly StageName[]
  readonly faults: readonly FaultName[]
  readonly dry: boolean
}

/** The words of the command line, or what is wrong with them; null when help was asked. */
export function choiceOf(words: readonly string[]): Choice | string | null {
  let values: ReturnType<typeof parse>
  try {
    values = parse(words)
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
  if (values.help) return null
  const { quick, dry } = values
  const parts = picked(values.only, PARTS)
  const stages = picked(values.group, quick ? QUICK_STAGES : STAGES, STAGES)
  const faults = picked(values.fault, FAULTS)
  const sync = Number(values.runs ?? (quick ? 1 : 4))
  const async = Number(values['async-runs'] ?? (quick ? 0 : 1))
  if (typeof parts === 'string') return parts
  if (typeof stages === 'string') return stages
  if (typeof faults === 'string') return faults
  const counts = [sync, async].every((n) => Number.isInteger(n) && n >= 0 && n <= RUNS_MAX)
  if (!counts) return `--runs and --async-runs are whole numbers up to ${RUNS_MAX}`
  return { quick, dry, parts, stages, faults, runs: { sync, async } }
}

const QUICK_STAGES: readonly StageName[] = ['patroni-tight', 'holdfast-fast']

function parse(words: readonly string[]) {
  return parseArgs({
    args: [...words],
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true },
      runs: { type: 'string' },
      'async-runs': { type: 'string' },
      group: { type: 'string', multiple: true },
      fault: { type: 'string', multiple: true },
      dry: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  }).values
}

/** What was named of what there is, in the order of what there is; a sentence when a name is not there. */
function picked<T extends string>(
  named: readonly string[] | undefined,
  usual: readonly T[],
  all: readonly T[] = usual,
): readonly T[] | string {
  if (named === undefined) return usual
  const unknown = named.find((one) => !all.some((known) => known === one))
  if (unknown !== undefined) return `there is no ${unknown}; there are ${all.join(', ')}`
  return all.filter((one) => named.includes(one))
}

/** Groups that run now; whatever happens they are closed. */
const open = new Set<{ close(): Promise<void> }>()
const interrupted = new AbortController()

async function onStage<T>(name: StageName, mode: DemoMode, work: (stage: Stage) => Promise<T>): Promise<T> {
  return onAny(await makeStage(name, mode), work)
}

async function onAny<S extends { close(): Promise<void> }, T>(stage: S, work: (stage: S) => Promise<T>): Promise<T> {
  open.add(stage)
  try {
    return await work(stage)
  } finally {
    open.delete(stage)
    await stage.close()
  }
}

async function versionsNow(): Promise<Readonly<Record<string, string>>> {
  const rows = [...(await findRivals()), ...(await findAll()).filter((row) => row.engine === 'etcd')]
  const postgres = await findPostgres()
  const others = rows.map((row): [string, string] => [row.engine, row.version ?? 'missing'])
  const server = postgres.ok ? postgres.binaries.version : 'missing'
  return { commit: commitNow(), postgres: server, ...Object.fromEntries(others), node: process.version }
}

class Bench {
  readonly #choice: Choice
  readonly #about: Readonly<Record<string, unknown>>
  readonly #startedMs = performance.now()
  failed = 0

  constructor(choice: Choice, about: Readonly<Record<string, unknown>>) {
    this.#choice = choice
    this.#about = about
  }

  say(text: string): void {
    const seconds = Math.round((performance.now() - this.#startedMs) / 1_000)
    const time = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`
    console.log(`${time.padStart(6)}  ${text}`)
  }

  async failover(): Promise<void> {
    const { runs, stages, faults } = this.#choice
    const samples: Sample[] = []
    const rounds = (['sync', 'async'] as const).flatMap((mode) =>
      Array.from({ length: runs[mode] }, (_, at) => ({ mode, at: at + 1 })),
    )
    for (const { mode, at } of rounds) {
      for (const name of stages) {
        this.say(`failover, ${mode}, round ${at} of ${runs[mode]}: ${name}`)
        const heard = (s: Sample): void => {
          samples.push(s)
          const outage = `${Math.round(s.outageMs)} ms`.padStart(9)
          this.say(`  ${s.fault.padEnd(15)} ${outage}, ${s.acked} acked, ${s.lost + s.lostDirect} lost, load ${s.load}`)
        }
        await this.#attempt(() => onStage(name, mode, (stage) => oneTurn(stage, faults, heard)))
        this.#keepFailover(samples)
      }
    }
  }

  /** After every turn, so that an interrupted run leaves what it has. */
  #keepFailover(samples: readonly Sample[]): void {
    if (samples.length === 0) return
    const rows = failoverRows(samples)
    this.#write('failover', { rows, samples }, failoverTable(rows))
  }

  async rest(): Promise<void> {
    const { quick, stages } = this.#choice
    const [restMs, measureMs] = quick ? [5_000, 10_000] : [20_000, 30_000]
    const rows: Footprints[] = []
    for (const name of stages) {
      this.say(`at rest: ${name}`)
      await this.#attempt(async () => {
        rows.push(...(await onStage(name, 'sync', (stage) => measureFootprints(stage, { restMs, measureMs }))))
      })
    }
    this.#write('rest', { rows }, footprintTable(rows))
  }

  async throughput(): Promise<void> {
    const { quick } = this.#choice
    const [rounds, seconds] = quick ? [2, 2] : [12, 2]
    await this.#attempt(async () => {
      const measured = await onStage('holdfast-normal', 'sync', (stage) =>
        measureThroughput(stage, { rounds, seconds, signal: interrupted.signal, say: (text) => this.say(text) }),
      )
      const rows = throughputRows(measured)
      this.#write('throughput', { rows, measured }, throughputTable(rows))
    })
  }

  async redis(): Promise<void> {
    const { runs } = this.#choice
    const samples: RedisSample[] = []
    for (const mode of ['sync', 'async'] as const) {
      for (let at = 1; at <= runs[mode]; at += 1) {
        for (const name of REDIS_STAGES) {
          this.say(`Redis, ${mode}, round ${at} of ${runs[mode]}: ${name}`)
          const heard = (s: RedisSample): void => {
            samples.push(s)
            const outage = `${Math.round(s.outageMs)} ms`.padStart(9)
            this.say(`  ${s.fault.padEnd(15)} ${outage}, ${s.acked} acked, ${s.lost} lost, load ${s.load}`)
          }
          await this.#attempt(async () => onAny(await makeRedisStage(name, mode), (s) => redisTurn(s, mode, heard)))
          const rows = redisRows(samples)
          if (samples.length > 0) this.#write('redis', { rows, samples }, redisTable(rows))
        }
      }
    }
  }

  /** One that fails is told and counted; the others go on. */
  async #attempt(work: () => Promise<unknown>): Promise<void> {
    if (interrupted.signal.aborted) return
    try {
      await work()
    } catch (error) {
      if (interrupted.signal.aborted) return
      this.failed += 1
      this.say(`FAILED: ${error instanceof Error ? error.message : String(error)}`)
    }
  }

  #write(part: Part, result: Readonly<Record<string, unknown>>, table: string): void {
    const { dry, quick } = this.#choice
    if (interrupted.signal.aborted) return
    if ((part !== 'failover' && part !== 'redis') || dry) console.log(table)
    if (dry) return
    writeResult(`${part}-side-by-side`, { ...this.#about, quick, loadAfter: round(loadNow(), 2), ...result })
    writeTable(`${part} side by side`, table)
  }
}

async function main(): Promise<number> {
  const choice = choiceOf(process.argv.slice(2))
  if (choice === null || typeof choice === 'string') {
    console.log(choice === null ? HELP : `bench: ${choice}\n    next: npm run bench -- --help`)
    return choice === null ? EXIT.ok : EXIT.usage
  }
  const rivals = (await findRivals()).filter((row) => !row.found)
  if (rivals.length > 0) {
    console.log(`bench: ${rivals.map((row) => row.engine).join(', ')} missing\n    next: npm run engines -- --rivals`)
    return EXIT.usage
  }
  const about = { machine: machineNow(), versions: await versionsNow(), loadBefore: round(loadNow(), 2) }
  const bench = new Bench(choice, about)
  bench.say(
    Object.entries(about.versions)
      .map((pair) => pair.join(' '))
      .join(', '),
  )
  const work = (async () => {
    for (const part of choice.parts) await bench[part]()
  })()
  const stop = new Promise<void>((resolve) => interrupted.signal.addEventListener('abort', () => resolve()))
  await Promise.race([work, stop])
  if (!interrupted.signal.aborted) return bench.failed === 0 ? EXIT.ok : EXIT.failed
  console.log('Interrupted; ending what was started.')
  await Promise.all([...open].map((stage) => stage.close()))
  return EXIT.interrupted
}

if (import.meta.main) {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort())
  // What an interrupted part still waits for must not hold the end up.
  process.exit(await main())
}
