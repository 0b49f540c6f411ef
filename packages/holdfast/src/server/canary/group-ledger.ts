/**
 * One group's canary on the leading server: turns what it finds into events, outages and figures, and says of each
 * incident what clients saw of it. Writes nothing itself; `keeper.ts` does.
 */
import type { ApiCanaryNow, ApiGroup, ApiIncident, ApiIncidentCanary, ApiIncidentMeasured } from '@holdfast/client'
import { GroupCanary } from '../../canary/group-canary.ts'
import { serverRuns } from '../../canary/record.ts'
import type { CanaryView, Finding, Finished } from '../../canary/settings.ts'
import type { GroupSpec, Platform } from '../../config/platform.ts'
import { type Gap, type Meter, worstGap } from '../../core/canary/incident.ts'
import { paceOf, type Told } from '../../core/canary/model.ts'
import type { Clock } from '../../io/clock.ts'
import { freshId } from '../../io/random.ts'
import type { Draft } from '../follow/changes.ts'
import { eventOfFinding, outageBegan, outageOver } from './findings.ts'
import { nowOf } from './now.ts'
import type { OutageNote } from './outages.ts'
import type { Periods } from './periods.ts'

/** An outage that is shorter is told when it is over. */
const TOLD_AFTER_MS = 1_000
/** A group that comes and goes is told of once in so long. */
const AGAIN_MS = 10_000
/** For the first look at the primary after an incident; without it the loss is told as not known. */
const LOOK_MS = 30_000
/** As many as an incident may find, one after the other. */
const LOSSES_MAX = 20
const LOST_BEFORE_MS = 15_000
/** Drawn before and after an incident. */
const BEFORE_MS = 10_000
const AFTER_MS = 3_000

export interface GroupLedgerOptions {
  readonly platform: Platform
  readonly group: GroupSpec
  readonly key: string
  readonly clock: Clock
  readonly periods: Periods
  /** As the agents say. */
  readonly known: () => ApiGroup | null
  readonly delayMs: number
  readonly onDraft: (draft: Draft) => void
  readonly onNote: (note: OutageNote) => void
}

interface Closing {
  readonly meter: Meter
  readonly gap: Gap | null
  readonly closedMs: number
}

export class GroupLedger {
  readonly #options: GroupLedgerOptions
  readonly #canary: GroupCanary
  #began: { readonly fromMs: number; told: boolean } | null = null
  #toldMs = Number.NEGATIVE_INFINITY
  #closing: Closing | null = null
  /** Newest last. */
  #losses: readonly { readonly atMs: number; readonly records: number; readonly ms: number }[] = []

  constructor(options: GroupLedgerOptions) {
    const { platform, group, key, clock, delayMs } = options
    this.#options = options
    this.#canary = new GroupCanary(
      {
        ...{
          platform,
          group,
          key,
          clock,
          run: `${serverRuns(platform.name)}${freshId()}`,
          perSecond: group.canaryPerSecond,
        },
        primary: () => primaryOf(options.known()),
        founded: () => (options.known()?.epoch ?? 0) > 0,
        onFinding: (finding) => this.#found(finding),
        onSpan: (of, span) => options.periods.span(group.name, of, span, this.#aheadMs()),
        onAttempt: (attempt) => this.#attempted(attempt),
      },
      delayMs,
    )
  }

  tick(): void {
    this.#canary.tick()
    const nowMs = this.#options.clock.nowMs()
    const began = this.#began
    if (began !== null && !began.told && nowMs - began.fromMs >= TOLD_AFTER_MS && this.#mayTell(nowMs)) {
      began.told = true
      const { failed = 0, unknown = 0 } = this.#canary.view().writes.outage ?? {}
      this.#draft(
        outageBegan(nowMs - began.fromMs, { failed, unknown, because: this.#canary.view().writes.lastTrouble }),
      )
    }
    if (this.#closing !== null) this.#settle(this.#closing, nowMs)
  }

  /** Each second. */
  now(): ApiCanaryNow {
    const { group, clock, known, periods } = this.#options
    const view = this.#canary.view()
    const behind = view.replicas.flatMap(({ stale }) => (stale === null ? [] : [stale.lacksMs]))
    if (behind.length > 0) periods.add(group.name, clock.wallMs(), {}, { stale_max_ms: Math.max(...behind) })
    return nowOf(group.name, view, clock.nowMs(), known())
  }

  get view(): CanaryView {
    return this.#canary.view()
  }

  incident({ id, state }: ApiIncident): void {
    if (this.#closing?.meter.incident === id) return
    // If this process stood still that is told first: else it would be taken for a gap.
    this.#canary.tick()
    const nowMs = this.#options.clock.nowMs()
    const { writes, meter: before } = this.#canary.view()
    if (writes.condition === 'unmeasured') return
    if (before?.incident !== id) this.#canary.openIncident(id)
    const { meter } = this.#canary.view()
    if (state !== 'closed' || meter === null) return
    this.#closing = { meter, gap: worstGap(meter, nowMs), closedMs: nowMs }
    this.#canary.closeIncident()
    // Whoever leads now is looked through; what was looked at before may have been somebody else.
    this.#canary.lookNow()
  }

  /** What is known of an incident that is open, or just over; null: nothing here. */
  measured(id: string): ApiIncidentMeasured | null {
    const { clock } = this.#options
    const nowMs = clock.nowMs()
    const { meter } = this.#canary.view()
    if (this.#closing?.meter.incident === id) return this.#told(this.#closing, nowMs)
    if (meter?.incident !== id) return null
    const closedMs = Number.POSITIVE_INFINITY
    return { ...this.#told({ meter, gap: worstGap(meter, nowMs), closedMs }, nowMs), over: false }
  }

  async close(): Promise<void> {
    await this.#canary.close()
  }

  #attempted({ kind, nowMs, latencyMs }: Finished): void {
    const { periods, group } = this.#options
    const wallMs = nowMs + this.#aheadMs()
    if (kind === 'ok') {
      periods.add(group.name, wallMs, { acked: 1, latency_sum_ms: latencyMs }, { latency_max_ms: latencyMs })
    } else periods.add(group.name, wallMs, kind === 'fail' ? { failed: 1 } : { unknown: 1 })
  }

  #found(finding: Finding): void {
    const { periods, group, clock } = this.#options
    switch (finding.kind) {
      case 'outage-began':
        this.#began = { fromMs: finding.fromMs, told: false }
        return
      case 'outage-ended':
        this.#over(finding)
        return
      case 'lost': {
        const { records, reachMs } = finding.loss
        this.#losses = [...this.#losses, { atMs: clock.nowMs(), records, ms: reachMs }].slice(-LOSSES_MAX)
        periods.add(group.name, clock.wallMs(), { lost: records })
        break
      }
      case 'checked':
      case 'stalled':
        return
      default:
    }
    this.#draft(eventOfFinding(finding))
  }

  #over(outage: Extract<Told, { kind: 'outage-ended' }>): void {
    const { group, clock } = this.#options
    const { fromMs, toMs, failed, unknown, unmeasuredMs, seen } = outage
    const aheadMs = this.#aheadMs()
    const incident = this.#incidentNow()
    const ms = Math.max(0, toMs - fromMs - unmeasuredMs)
    this.#options.onNote({
      kind: 'outage',
      outage: {
        ...{ id: freshId(), group: group.name, incident, failed, unknown },
        ...{ fromMs: Math.round(fromMs + aheadMs), toMs: Math.round(toMs + aheadMs), ms: Math.round(ms) },
        unmeasuredMs: Math.round(unmeasuredMs),
        seenToItsEnd: seen === 'to its end',
      },
    })
    const told = this.#began?.told === true
    this.#began = null
    if (told || this.#mayTell(clock.nowMs())) this.#draft(outageOver(outage))
  }

  #incidentNow(): string | null {
    return (
      this.#canary.view().meter?.incident ?? this.#closing?.meter.incident ?? this.#options.known()?.incident ?? null
    )
  }

  #settle(closing: Closing, nowMs: number): void {
    if (nowMs - closing.closedMs < AFTER_MS) return
    if (!this.#looked(closing) && nowMs - closing.closedMs < LOOK_MS) return
    const measured = this.#told(closing, nowMs)
    this.#closing = null
    this.#options.onNote({ kind: 'incident', beganMs: closing.meter.openedMs + this.#aheadMs(), measured })
  }

  /** The primary was looked through after the incident was over. */
  #looked({ closedMs }: Pick<Closing, 'closedMs'>): boolean {
    const { checkedMsAgo } = this.#canary.view()
    return checkedMsAgo !== null && this.#options.clock.nowMs() - checkedMsAgo >= closedMs
  }

  #told(closing: Closing, nowMs: number): ApiIncidentMeasured {
    const { meter, closedMs } = closing
    const aheadMs = this.#aheadMs()
    const series = this.#canary.seconds.series(meter.openedMs - BEFORE_MS, Math.min(nowMs, closedMs + AFTER_MS))
    return {
      incident: meter.incident,
      group: this.#options.group.name,
      measured: this.#words(closing),
      over: true,
      series: { ...series, fromMs: Math.round(series.fromMs + aheadMs) },
    }
  }

  #words(closing: Closing): ApiIncidentCanary {
    const { group } = this.#options
    const { meter, gap } = closing
    const { failed, unknown, openedMs } = meter
    const known = this.#looked(closing)
    // A loss may be found before anybody opened the incident.
    const own = this.#losses.filter(({ atMs }) => atMs >= openedMs - LOST_BEFORE_MS)
    return {
      outageMs: gap === null ? null : Math.round(gap.toMs - gap.fromMs - gap.unmeasuredMs),
      unmeasuredMs: Math.round(gap?.unmeasuredMs ?? 0),
      resolutionMs: paceOf(group.canaryPerSecond).everyMs,
      ...{ failed, unknown },
      lostRecords: known ? own.reduce((sum, { records }) => sum + records, 0) : null,
      lostMs: known ? Math.round(Math.max(0, ...own.map(({ ms }) => ms))) : null,
    }
  }

  #draft(words: Pick<Draft, 'severity' | 'code' | 'summary' | 'detail'>): void {
    const { group, clock, onDraft } = this.#options
    const base = { wallMs: clock.wallMs(), kind: 'canary', source: 'canary', member: null, rule: null } as const
    onDraft({ ...base, ...words, group: group.name, incident: this.#incidentNow() })
  }

  #mayTell(nowMs: number): boolean {
    if (nowMs - this.#toldMs < AGAIN_MS) return false
    this.#toldMs = nowMs
    return true
  }

  /** Of the wall clock before the monotonic one, now: only for what people read. */
  #aheadMs(): number {
    return this.#options.clock.wallMs() - this.#options.clock.nowMs()
  }
}

function primaryOf(group: ApiGroup | null): string | null {
  if (group === null) return null
  if (group.failover !== 'observe') return group.writer
  return group.members.find(({ role }) => role === 'primary')?.member ?? null
}
