/** Numbers for Prometheus, taken from state when asked. Labels are names from the description and fixed words only. */
import { createRequire } from 'node:module'
import type { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { NodeSettings } from '../core/node.ts'
import type { Route } from './door.ts'
import { lagBytes, type Moment, writableForMs } from './snapshot.ts'

export interface MetricsSources {
  readonly settings: NodeSettings
  readonly moment: () => Moment
  readonly loopGapMaxMs: () => number
  readonly guard: { readonly alive: boolean; readonly fired: number }
  readonly journalDropped: () => number
  readonly reasonCounts: () => ReadonlyMap<string, number>
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
const ROLES = ['idle', 'replica', 'claiming', 'promoting', 'primary', 'demoting', 'fencing', 'releasing'] as const
const MEMBER = ['group', 'member'] as const

export class Metrics {
  readonly #registry = new RegistryClass()
  readonly #registers = [this.#registry]
  readonly #store = new HistogramClass({
    name: 'holdfast_store_request_seconds',
    help: 'Time of one call of the store, by operation and result',
    labelNames: ['operation', 'result'],
    buckets: STORE_SECONDS,
    registers: this.#registers,
  })
  readonly #commands = new HistogramClass({
    name: 'holdfast_engine_command_seconds',
    help: 'Time of one engine command, by command and outcome',
    labelNames: ['command', 'ok'],
    buckets: COMMAND_SECONDS,
    registers: this.#registers,
  })
  readonly #fences = this.#counter('holdfast_fences_total', 'Fences done by the agent', MEMBER)
  readonly #promotions = this.#counter('holdfast_promotions_total', 'Promotions that succeeded', MEMBER)
  readonly #nonsense = this.#counter('holdfast_store_nonsense_total', 'Values of the store that were no records', [])

  watch(sources: MetricsSources): void {
    const { settings, moment } = sources
    const perMember = (set: (labels: { group: string; member: string }, member: string) => void): void => {
      for (const m of settings.members) set({ group: m.group, member: m.self.member }, m.self.member)
    }
    this.#gauge('holdfast_member_role', 'One for the role the member has', [...MEMBER, 'role'], (gauge) => {
      const { members } = moment().state
      perMember((labels, member) => {
        for (const role of ROLES) gauge.set({ ...labels, role }, members[member]?.role === role ? 1 : 0)
      })
    })
    this.#gauge('holdfast_member_epoch', 'Number of the leadership the member knows', MEMBER, (gauge) => {
      const { members } = moment().state
      perMember((labels, member) => gauge.set(labels, members[member]?.record?.value?.epoch ?? 0))
    })
    this.#gauge(
      'holdfast_member_lag_bytes',
      'Bytes behind what the holder published; no sample if unknown',
      MEMBER,
      (g) => {
        const { members } = moment().state
        g.reset()
        perMember((labels, member) => {
          const state = members[member]
          const lag = state === undefined ? null : lagBytes(state)
          if (lag !== null) g.set(labels, lag)
        })
      },
    )
    this.#gauge('holdfast_member_writable_seconds', 'Trust left without another beat', MEMBER, (gauge) => {
      const now = moment()
      perMember((labels, member) => {
        const state = now.state.members[member]
        gauge.set(labels, state === undefined ? 0 : writableForMs(now, state) / 1_000)
      })
    })
    this.#plain(sources)
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

  #plain(sources: MetricsSources): void {
    const { moment } = sources
    const single = (name: string, help: string, value: () => number): void =>
      this.#gauge(name, help, [], (gauge) => gauge.set(value()))
    single('holdfast_loop_age_seconds', 'Time since the core last ran', () => moment().loopAgeMs / 1_000)
    single('holdfast_loop_gap_max_seconds', 'Longest pause between two steps', () => sources.loopGapMaxMs() / 1_000)
    single('holdfast_guard_up', 'One while the guard answers', () => (sources.guard.alive ? 1 : 0))
    single('holdfast_guard_fired', 'Fences the guard did on its own since the start', () => sources.guard.fired)
    single('holdfast_journal_dropped', 'Journal entries lost since the start', sources.journalDropped)
    single('process_resident_memory_bytes', 'Resident memory of the agent', () => process.memoryUsage.rss())
    single('process_cpu_seconds', 'Processor time of the agent', () => {
      const { user, system } = process.cpuUsage()
      return (user + system) / 1_000_000
    })
    this.#gauge('holdfast_decisions', 'Decisions told since the start, by reason code', ['code'], (gauge) => {
      for (const [code, count] of [...sources.reasonCounts()].slice(0, CODES_MAX)) gauge.set({ code }, count)
    })
  }

  #gauge<L extends string>(name: string, help: string, labels: readonly L[], fill: (gauge: Gauge<L>) => void): void {
    const gauge: Gauge<L> = new GaugeClass<L>({
      name,
      help,
      labelNames: [...labels],
      registers: this.#registers,
      collect: () => fill(gauge),
    })
  }

  #counter<L extends string>(name: string, help: string, labels: readonly L[]): Counter<L> {
    return new CounterClass<L>({ name, help, labelNames: [...labels], registers: this.#registers })
  }
}
