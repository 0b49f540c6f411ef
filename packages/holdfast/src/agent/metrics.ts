/**
 * Numbers for Prometheus, taken from state when asked; names, types and words stand in `core/metric-families.ts`.
 * Nothing is looked up for an answer: what takes time (disks, certificates) is watched beside it.
 */
import { createRequire } from 'node:module'
import type { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { AGENT_FAMILIES, type AgentMetric } from '../core/metric-families.ts'
import type { NodeSettings } from '../core/node.ts'
import type { CertificateFile } from './certificate-watch.ts'
import type { DiskReading } from './disk-watch.ts'
import type { Route } from './door.ts'
import { MEMBER_GAUGES, type OneMember, type Sample } from './member-metrics.ts'
import type { Moment } from './snapshot.ts'

export interface MetricsSources {
  readonly settings: NodeSettings
  readonly site: string
  readonly version: string
  readonly engineOf: (group: string) => string
  readonly moment: () => Moment
  readonly loopGapMaxMs: () => number
  readonly guard: { readonly alive: boolean; readonly fired: number }
  readonly store: { readonly confirmedAtMs: number | null }
  readonly journalDropped: () => number
  readonly reasonCounts: () => ReadonlyMap<string, number>
  readonly disk: (member: string) => DiskReading | null
  readonly leaseLowMs: (member: string, nowMs: number) => number | null
  readonly certificateEnds: () => ReadonlyMap<CertificateFile, number>
}

/** From their files: the library's door also brings cluster support and default metrics (8 MB resident). */
const load = createRequire(import.meta.url)
const CounterClass = load('prom-client/lib/counter.js') as typeof Counter
const GaugeClass = load('prom-client/lib/gauge.js') as typeof Gauge
const HistogramClass = load('prom-client/lib/histogram.js') as typeof Histogram
const RegistryClass = load('prom-client/lib/registry.js') as typeof Registry

/** From a local answer to a lost one. */
const STORE_SECONDS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2]
/** From a fence to a clone of a large copy. */
const COMMAND_SECONDS = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 60, 600, 3_600]
/** Reason codes come from the core's own list; the bound only protects against a mistake there. */
const CODES_MAX = 200

export class Metrics {
  readonly #registry = new RegistryClass()
  readonly #registers = [this.#registry]
  readonly #store = this.#histogram('holdfast_store_request_seconds', STORE_SECONDS)
  readonly #commands = this.#histogram('holdfast_engine_command_seconds', COMMAND_SECONDS)
  readonly #fences = this.#counter('holdfast_fences_total')
  readonly #promotions = this.#counter('holdfast_promotions_total')
  readonly #nonsense = this.#counter('holdfast_store_nonsense_total')

  watch(sources: MetricsSources): void {
    // From zero on: a counter that appears with its first event shows no increase.
    for (const { group, self } of sources.settings.members) {
      this.#fences.inc({ group, member: self.member }, 0)
      this.#promotions.inc({ group, member: self.member }, 0)
    }
    for (const name of Object.keys(MEMBER_GAUGES) as (keyof typeof MEMBER_GAUGES)[]) this.#member(name, sources)
    this.#plain(sources)
    this.#labelled(sources)
  }

  route(): Route {
    return {
      method: 'GET',
      path: '/metrics',
      open: true,
      handle: async () => ({
        status: 200,
        body: await this.#registry.metrics(),
        contentType: this.#registry.contentType,
      }),
    }
  }

  storeCall(operation: string, tookMs: number, result: string): void {
    this.#store.observe({ operation, result }, tookMs / 1_000)
  }

  command(of: { readonly group: string; readonly member: string }, name: string, tookMs: number, ok: boolean): void {
    this.#commands.observe({ command: name, ok: String(ok) }, tookMs / 1_000)
    if (name === 'fence') this.#fences.inc({ group: of.group, member: of.member })
    if (name === 'promote' && ok) this.#promotions.inc({ group: of.group, member: of.member })
  }

  nonsense(): void {
    this.#nonsense.inc()
  }

  #member(name: keyof typeof MEMBER_GAUGES, sources: MetricsSources): void {
    this.#gauge(name, (gauge) => {
      gauge.reset()
      for (const one of membersNow(sources)) {
        const { group, self } = one.settings
        const told: number | null | readonly Sample[] = MEMBER_GAUGES[name](one)
        const samples: readonly Sample[] = told === null ? [] : typeof told === 'number' ? [[told]] : told
        for (const [value, more] of samples) gauge.set({ group, member: self.member, ...more }, value)
      }
    })
  }

  #plain(sources: MetricsSources): void {
    const { moment, store, settings } = sources
    const single = (name: AgentMetric, value: () => number | null): void =>
      this.#gauge(name, (gauge) => {
        const now = value()
        if (now === null) gauge.remove()
        else gauge.set(now)
      })
    const silentMs = (): number | null => (store.confirmedAtMs === null ? null : moment().nowMs - store.confirmedAtMs)
    single('holdfast_loop_age_seconds', () => moment().loopAgeMs / 1_000)
    single('holdfast_loop_gap_max_seconds', () => sources.loopGapMaxMs() / 1_000)
    single('holdfast_guard_up', () => (sources.guard.alive ? 1 : 0))
    single('holdfast_guard_fired', () => sources.guard.fired)
    single('holdfast_store_reachable', () => ((silentMs() ?? Number.POSITIVE_INFINITY) <= settings.ttlMs ? 1 : 0))
    single('holdfast_store_silent_seconds', () => {
      const ms = silentMs()
      return ms === null ? null : ms / 1_000
    })
    single('holdfast_journal_dropped', sources.journalDropped)
    single('process_resident_memory_bytes', () => process.memoryUsage.rss())
    single('process_cpu_seconds', () => {
      const { user, system } = process.cpuUsage()
      return (user + system) / 1_000_000
    })
  }

  #labelled(sources: MetricsSources): void {
    const { settings, site, version } = sources
    this.#gauge('holdfast_agent_info', (gauge) => gauge.set({ agent: settings.agent, site, version }, 1))
    this.#gauge('holdfast_decisions', (gauge) => {
      for (const [code, count] of [...sources.reasonCounts()].slice(0, CODES_MAX)) gauge.set({ code }, count)
    })
    this.#gauge('holdfast_certificate_expiry_timestamp_seconds', (gauge) => {
      gauge.reset()
      for (const [{ use, part, group }, endsAt] of sources.certificateEnds()) gauge.set({ use, part, group }, endsAt)
    })
  }

  #gauge(name: AgentMetric, fill: (gauge: Gauge) => void): void {
    const gauge: Gauge = new GaugeClass({ ...this.#named(name), collect: () => fill(gauge) })
  }

  #counter(name: AgentMetric): Counter {
    return new CounterClass(this.#named(name))
  }

  #histogram(name: AgentMetric, buckets: number[]): Histogram {
    return new HistogramClass({ ...this.#named(name), buckets })
  }

  #named(name: AgentMetric): { name: string; help: string; labelNames: string[]; registers: Registry[] } {
    const { help, labels } = AGENT_FAMILIES[name]
    return { name, help, labelNames: [...labels], registers: this.#registers }
  }
}

function* membersNow(sources: MetricsSources): Iterable<OneMember> {
  const { settings, engineOf, disk, leaseLowMs } = sources
  const moment = sources.moment()
  for (const one of settings.members) {
    const { member } = one.self
    const state = moment.state.members[member]
    if (state === undefined) continue
    yield {
      settings: one,
      state,
      moment,
      engine: engineOf(one.group),
      disk: disk(member),
      leaseLowMs: leaseLowMs(member, moment.nowMs),
    }
  }
}
