/** One group's canary: its writes, its reads, its looks at the replicas. Driven by ticks; ends when it is closed. */
import {
  type Lately,
  latelyAck,
  latelyUnmeasured,
  type Meter,
  metAck,
  metBad,
  metUnmeasured,
  NOTHING_LATELY,
  openMeter,
} from '../core/canary/incident.ts'
import type { Span } from '../core/canary/model.ts'
import { atRisk } from '../core/canary/records.ts'
import type { EngineLines } from './engine-lines.ts'
import { postgresLines } from './postgres-lines.ts'
import { DoorReader, ReplicaReaders } from './readers.ts'
import { serverRuns } from './record.ts'
import { redisLines } from './redis-lines.ts'
import { Seconds } from './seconds.ts'
import type { CanaryOptions, CanaryView, Finished } from './settings.ts'
import { Writers } from './writers.ts'

export class GroupCanary {
  readonly seconds = new Seconds()
  readonly #options: CanaryOptions
  readonly #writers: Writers
  readonly #reader: DoorReader
  readonly #replicas: ReplicaReaders
  #meter: Meter | null = null
  #lately: Lately = NOTHING_LATELY
  #counts = { acked: 0, failed: 0, unknown: 0 }

  /** `delayMs`: canaries of many groups do not all begin at once. */
  constructor(given: CanaryOptions, delayMs: number, engine: EngineLines = linesOf(given)) {
    const options: CanaryOptions = {
      ...given,
      onAttempt: (attempt) => {
        this.#count(attempt)
        given.onAttempt(attempt)
      },
      onSpan: (of, span) => {
        if (of === 'write') this.#heed(span)
        given.onSpan(of, span)
      },
    }
    this.#options = options
    const startMs = options.clock.nowMs() + delayMs
    this.#writers = new Writers(options, engine, startMs)
    this.#reader = new DoorReader(options, engine, this.#writers, startMs)
    this.#replicas = new ReplicaReaders(options, engine, this.#writers, startMs)
  }

  tick(): void {
    const nowMs = this.#options.clock.nowMs()
    this.#writers.tick(nowMs)
    this.#reader.tick(nowMs)
    this.#replicas.tick(nowMs)
  }

  /** From now on what clients see counts for this incident, with what they saw in the seconds before. */
  openIncident(id: string): void {
    if (this.#meter?.incident !== id) this.#meter = openMeter(id, this.#lately, this.#options.clock.nowMs())
  }

  /** Looks through the primary with the next write. */
  lookNow(): void {
    this.#writers.lookNow()
  }

  closeIncident(): void {
    this.#meter = null
  }

  view(): CanaryView {
    const { run, perSecond, clock, group, primary } = this.#options
    const nowMs = clock.nowMs()
    const { ledger, lastAckMs, bad } = this.#writers
    const replicas = this.#replicas.views(nowMs)
    const site = group.members.find(({ name }) => name === primary())?.site ?? null
    return {
      ...{ run, perSecond, replicas, bad },
      ...this.#counts,
      writes: this.#writers.side(),
      reads: this.#reader.side(),
      sinceAckMs: lastAckMs === null ? null : Math.max(0, nowMs - lastAckMs),
      latency: latencyOf(ledger.acks.map(({ sentMs, ackedMs }) => ackedMs - sentMs)),
      lost: ledger.lostTotal,
      checkedMsAgo: ledger.checkedMs === null ? null : Math.max(0, nowMs - ledger.checkedMs),
      atRisk: site === null ? null : atRisk(replicas, site),
      meter: this.#meter,
    }
  }

  /** `clean`: removes its records, where nobody will. */
  async close(clean = false): Promise<void> {
    this.#reader.close()
    this.#replicas.close()
    await this.#writers.close(clean)
  }

  #count({ kind, nowMs }: Finished): void {
    this.seconds.add(kind, nowMs)
    const { acked, failed, unknown } = this.#counts
    if (kind === 'ok') this.#counts = { acked: acked + 1, failed, unknown }
    else if (kind === 'fail') this.#counts = { acked, failed: failed + 1, unknown }
    else this.#counts = { acked, failed, unknown: unknown + 1 }
    if (kind === 'ok') this.#lately = latelyAck(this.#lately, nowMs)
    if (this.#meter === null) return
    this.#meter = kind === 'ok' ? metAck(this.#meter, nowMs) : metBad(this.#meter, kind)
  }

  #heed({ kind, fromMs, toMs }: Span): void {
    if (kind !== 'unmeasured') return
    this.#lately = latelyUnmeasured(this.#lately, toMs - fromMs)
    if (this.#meter !== null) this.#meter = metUnmeasured(this.#meter, toMs - fromMs)
  }
}

function linesOf({ platform, group, run }: CanaryOptions): EngineLines {
  if (group.engine === 'redis') return redisLines(group, run)
  return postgresLines(group, run, serverRuns(platform.name))
}

function latencyOf(all: readonly number[]): CanaryView['latency'] {
  const newest = all.at(-1)
  if (newest === undefined) return null
  const sorted = [...all].sort((a, b) => a - b)
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? newest
  return { newestMs: newest, p50Ms: at(0.5), p95Ms: at(0.95) }
}
