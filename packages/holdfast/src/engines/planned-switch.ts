/**
 * A planned switch of a supervised group, whoever its manager is: look, choose, ask, and look until it is there. For
 * the command line, drills and plans. Decides nothing that `core/supervision` does not; sends nothing by itself.
 *
 * Run twice at once, the manager takes one and refuses the other. Killed half-way, the manager goes on or not, and a
 * later look says which.
 */
import type { Concern, Picture } from '../core/supervision/model.ts'
import { concernText, pictureOf } from '../core/supervision/picture.ts'
import { chooseTarget, movedFrom } from '../core/supervision/target.ts'
import type { Clock } from '../io/clock.ts'
import type { Supervisor } from './supervisor.ts'

export interface SwitchWish {
  /** Null: the best. */
  readonly to: string | null
  readonly allowLoss: boolean
  readonly timeoutMs: number
  /** Only say what would be asked. */
  readonly dryRun: boolean
  /** How long one look may take. Default: 3000. */
  readonly lookMs?: number
}

export interface SwitchTools {
  readonly clock: Clock
  /** Tells each step, for people. */
  say(step: string): void
  readonly signal?: AbortSignal
}

export type SwitchReport =
  | {
      readonly ok: true
      readonly from: string
      readonly to: string
      readonly shard: string
      readonly epoch: number | null
      readonly tookMs: number
      /** How long no member answered as primary, or writers were held. Null in a dry run. */
      readonly outageMs: number | null
      /** How exactly that is known: time between two looks. */
      readonly resolutionMs: number
      /** Acknowledged by the old primary and not on the new one; null: not counted. */
      readonly lostBytes: number | null
      /** What the manager answered. */
      readonly said: string
    }
  | {
      readonly ok: false
      /** `uncertain`: it may still happen, or happened in part. */
      readonly kind: 'refused' | 'unreachable' | 'uncertain'
      readonly because: string
      readonly next: string
      readonly reasons: readonly Concern[]
      /** Who leads by the last look; null: nobody knows. */
      readonly primary: string | null
    }

/** One look; each member and voice answers in a few milliseconds when it is well. */
const LOOK_MS = 3_000
const AGAIN_MS = 100

export async function plannedSwitch(
  supervisor: Supervisor,
  wish: SwitchWish,
  tools: SwitchTools,
): Promise<SwitchReport> {
  const { clock } = tools
  const startMs = clock.nowMs()
  const deadlineMs = startMs + wish.timeoutMs
  const lookMs = wish.lookMs ?? LOOK_MS
  const before = pictureOf((await supervisor.look(lookMs)).sighting)
  const { namesTarget } = supervisor.traits
  const target = chooseTarget(before, { to: wish.to, namesTarget })
  if (!target.ok) return refusedReport(target.reasons, before)
  const { from, to, shard } = target
  const base = { from, to, shard, epoch: before.epoch, resolutionMs: 0, lostBytes: null, said: '' }
  if (wish.dryRun) return { ok: true, ...base, tookMs: 0, outageMs: null }
  const watch = new Watch(supervisor, { from, shard, clock, lookMs, signal: tools.signal })
  const asked = await supervisor.askSwitchover({
    from,
    to,
    shard,
    allowLoss: wish.allowLoss,
    deadlineMs,
    say: tools.say,
  })
  if (!asked.ok && asked.kind === 'refused') {
    const primary = (await watch.end())?.primary ?? from
    return { ok: false, kind: 'refused', because: asked.because, next: asked.next, reasons: [], primary }
  }
  const seen = await watch.until(deadlineMs)
  if (!seen.done || !asked.ok) return lateReport(asked.ok ? null : asked.because, { wish, seen })
  return {
    ok: true,
    ...base,
    to: seen.primary ?? to,
    epoch: seen.epoch,
    tookMs: Math.round(clock.nowMs() - startMs),
    outageMs: Math.round(asked.heldMs ?? watch.outageMs),
    resolutionMs: asked.heldMs === null ? Math.round(watch.gapMs) : 1,
    lostBytes: asked.lostBytes,
    said: asked.said,
  }
}

const NEXT: Readonly<Record<string, string>> = {
  'target-not-named': 'name a replica of the shard that is meant with --to',
  'manager-chooses-another': 'without --to, or give the one you want a lower replica-priority',
  'nobody-answers': 'check `endpoints` and the password in the description, and that the manager runs',
}

function refusedReport(reasons: readonly Concern[], picture: Picture): SwitchReport {
  const kind = picture.heard === 0 ? 'unreachable' : 'refused'
  const silent = picture.concerns.filter(({ code }) => code === 'voice-silent')
  const because = (picture.heard === 0 ? silent : reasons).map(concernText).join('; ')
  const primary = picture.shards.length === 1 ? (picture.shards[0]?.primary ?? null) : null
  return {
    ok: false,
    kind,
    because,
    next: NEXT[reasons[0]?.code ?? ''] ?? 'holdfast explain shows what the manager and the engines say',
    reasons,
    primary,
  }
}

function lateReport(because: string | null, { wish, seen }: { wish: SwitchWish; seen: Seen }): SwitchReport {
  const text = because ?? `not seen to be done within ${wish.timeoutMs} ms; the manager may still do it`
  return {
    ok: false,
    kind: 'uncertain',
    because: text,
    next: 'holdfast status --watch',
    reasons: [],
    primary: seen.primary,
  }
}

interface Seen {
  readonly primary: string | null
  readonly done: boolean
  readonly epoch: number | null
}

interface WatchOptions {
  readonly from: string
  readonly shard: string
  readonly clock: Clock
  readonly lookMs: number
  readonly signal: AbortSignal | undefined
}

/** Looks again and again from before the question, so that a short time without a primary is seen. */
class Watch {
  gapMs = 0
  readonly #supervisor: Supervisor
  readonly #o: WatchOptions
  readonly #loop: Promise<void>
  #running = true
  #last: Seen | null = null
  #lastOpenMs: number
  #backMs: number | null = null

  constructor(supervisor: Supervisor, o: WatchOptions) {
    this.#supervisor = supervisor
    this.#o = o
    this.#lastOpenMs = o.clock.nowMs()
    this.#loop = this.#run()
  }

  /** From the last sight of the old primary open to the first of another. */
  get outageMs(): number {
    return Math.max(0, (this.#backMs ?? this.#o.clock.nowMs()) - this.#lastOpenMs)
  }

  async until(deadlineMs: number): Promise<Seen> {
    const { clock, signal } = this.#o
    while (this.#last?.done !== true && clock.nowMs() < deadlineMs && signal?.aborted !== true) await pause(AGAIN_MS)
    return (await this.end()) ?? { primary: null, done: false, epoch: null }
  }

  async end(): Promise<Seen | null> {
    this.#running = false
    await this.#loop
    return this.#last
  }

  async #run(): Promise<void> {
    const { clock, from, shard, lookMs } = this.#o
    let before = clock.nowMs()
    while (this.#running) {
      const picture = pictureOf((await this.#supervisor.look(lookMs)).sighting)
      const nowMs = clock.nowMs()
      this.gapMs = Math.max(this.gapMs, nowMs - before)
      before = nowMs
      const open = picture.members.filter((one) => one.shard === shard && one.engine?.role === 'primary')
      if (open.some(({ member }) => member !== from)) this.#backMs ??= nowMs
      else if (open.length > 0) this.#lastOpenMs = nowMs
      this.#last = { ...movedFrom(picture, { shard, from }), epoch: picture.epoch }
      if (this.#last.done) return
      await pause(AGAIN_MS)
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
