/**
 * Runs one drill: gathers what is seen, asks the core (`core/drill`), does what it says. Everything that can fail here
 * leads to the end of the fault: an error, Ctrl-C, a word in the store, the abort conditions; and without this process
 * the target's own timer ends it.
 */
import type { AgentClient, AgentStatus, ReasonLine } from '@holdfast/client'
import type { DrillSpec } from '../config/drill.ts'
import type { AgentSpec, GroupSpec, Platform } from '../config/platform.ts'
import { replicationOf } from '../config/settings.ts'
import { measure } from '../core/drill/figures.ts'
import type { DrillAction, DrillEvent, DrillSettings, DrillState, When } from '../core/drill/model.ts'
import { type Prediction, predictionOf, settleMsOf } from '../core/drill/prediction.ts'
import { hitOf } from '../core/drill/radius.ts'
import { startDrill, stepDrill } from '../core/drill/step.ts'
import { HoldfastError } from '../errors.ts'
import type { Clock } from '../io/clock.ts'
import { type Canary, type CanaryDoor, canaryDoor, startCanary } from './canary.ts'
import { type ActiveDrill, BEAT_MS, type DrillLedger, type DrillRecord } from './ledger.ts'
import { look } from './probes.ts'
import type { ReportHead } from './report-head.ts'
import { type Seen, seen, statusesOf } from './scene.ts'
import { type TargetOptions, Targets } from './targets.ts'

const TICK_MS = 100
const FACTS_MS = 300
const LOOK_MS = 100
/** What the agents said longer ago says nothing of now; a frozen one delays the others' by less. */
const SEEN_MAX_MS = 2_000
/** Of agents' reasons in a report. */
const REASONS_MAX = 1_000
const FOUND_MS = 45_000

export interface TimelineEntry {
  readonly wallMs: number
  /** Since the drill began, on the runner's monotonic clock. */
  readonly sinceMs: number
  readonly code: string
  readonly detail: Readonly<Record<string, string | number | boolean | null>>
}

export interface RunOptions {
  readonly id: string
  readonly platform: Platform
  readonly group: GroupSpec
  readonly drill: DrillSpec
  readonly by: string
  readonly head: ReportHead
  readonly agents: readonly AgentSpec[]
  readonly ledger: DrillLedger
  /** Asks the agents of the group, each within half a second or so: a frozen one must not hide the others. */
  readonly watcher: AgentClient
  readonly client: AgentClient
  readonly clientOf: TargetOptions['clientOf']
  readonly patientOf: TargetOptions['patientOf']
  readonly fetch: TargetOptions['fetch']
  readonly clock: Clock
  readonly interrupted: AbortSignal
  readonly onEntry: (entry: TimelineEntry) => void
}

export interface DrillRun {
  readonly state: DrillState
  readonly settings: DrillSettings
  readonly startedWallMs: number
  readonly endedWallMs: number
  readonly members: readonly string[]
  readonly prediction: Prediction | null
  readonly timeline: readonly TimelineEntry[]
  /** What the agents decided meanwhile, by their own wall clocks. */
  readonly reasons: readonly ReasonLine[]
  /** Acknowledged writes per step of the drill. */
  readonly rate: { readonly stepMs: number; readonly acked: readonly number[] }
}

/** The longest chart of a report. */
const STEPS_MAX = 240
const STEP_MIN_MS = 100

/** Takes the group's place for drills, runs, and leaves the place taken: who called ends it with the report's hash. */
export async function runDrill(options: RunOptions): Promise<DrillRun> {
  const { ledger, group, id } = options
  const door = canaryDoor(options.platform, group, id)
  await claim(options)
  try {
    await door.prepare().catch((error: unknown) => {
      const because = error instanceof Error ? error.message : String(error)
      const message = `no write goes through the door of ${group.name}: ${because}`
      throw new HoldfastError(
        'HF_DRILL_REFUSED',
        message,
        'a drill begins with a group that works: holdfast status',
        error,
      )
    })
    return await new Run(options, door).go()
  } catch (error) {
    await ledger.change(group.name, (record) => (record.active?.id === id ? { ...record, active: null } : null))
    throw error
  }
}

async function claim({ ledger, group, id, drill, by, head, clock }: RunOptions): Promise<void> {
  const active: ActiveDrill = {
    id,
    drill: drill.settings.drill,
    by,
    startedWallMs: clock.wallMs(),
    phase: 'checking',
    beat: 0,
    members: [],
    waiting: null,
    approvals: [],
    abort: null,
    head,
  }
  const record = await ledger.change(group.name, (now) => (now.active === null ? { ...now, active } : null))
  if (record.active?.id === id) return
  const other = record.active
  const message = `drill ${other?.drill} of ${other?.by} runs on ${group.name} (${other?.phase})`
  throw new HoldfastError('HF_DRILL_REFUSED', message, `wait for it, or: holdfast drill abort ${group.name}`)
}

class Run {
  readonly #options: RunOptions
  readonly #settings: DrillSettings
  readonly #door: CanaryDoor
  readonly #canary: Canary
  readonly #targets: Targets
  readonly #startMs: number
  readonly #startWallMs: number
  readonly #timeline: TimelineEntry[] = []
  readonly #reasons = new Map<string, ReasonLine>()
  readonly #timers: NodeJS.Timeout[] = []
  #state: DrillState
  #seen: Seen | null = null
  #seenMs = 0
  #members: readonly string[] = []
  #prediction: Prediction | null = null
  #waiting: ActiveDrill['waiting'] = null
  #beating = false
  #looking = false
  #asking = false
  #ended: () => void = () => {}
  #broken: (error: unknown) => void = () => {}

  constructor(options: RunOptions, door: CanaryDoor) {
    const { clock, drill, group, agents, client, clientOf, patientOf, fetch, id, by } = options
    this.#options = options
    this.#settings = { ...drill.settings, settleMs: settleMsOf(group.timing) }
    this.#door = door
    this.#startMs = clock.nowMs()
    this.#startWallMs = clock.wallMs()
    this.#canary = startCanary(door, clock)
    this.#targets = new Targets({ id, by, group, agents, client, clientOf, patientOf, fetch })
    const begun = startDrill(this.#settings, this.#startMs)
    this.#state = begun.state
    for (const reason of begun.reasons) this.#note(reason.code, reason.detail)
    for (const action of begun.actions) this.#perform(action)
  }

  async go(): Promise<DrillRun> {
    const { ledger, group, interrupted, by } = this.#options
    const over = new Promise<void>((resolve, reject) => {
      this.#ended = resolve
      this.#broken = reject
    })
    // Whoever interrupts it may say why.
    const why = (): string => (typeof interrupted.reason === 'string' ? interrupted.reason : 'Ctrl-C')
    const stop = (): void => this.#take({ kind: 'abort', by, because: why() })
    const watch = ledger.watch(group.name, (record) => this.#hear(record))
    this.#every(TICK_MS, () => this.#tick())
    this.#every(FACTS_MS, () => this.#gather())
    this.#every(LOOK_MS, () => this.#follow())
    this.#every(BEAT_MS, () => this.#beat())
    interrupted.addEventListener('abort', stop, { once: true })
    if (interrupted.aborted) stop()
    try {
      if (this.#state.phase !== 'ended') await over
    } finally {
      interrupted.removeEventListener('abort', stop)
      watch.close()
      for (const timer of this.#timers) clearInterval(timer)
      // Only a defect comes here with the fault still on; the target's timer would end it, this is sooner.
      if (this.#state.askedMs !== null && this.#state.goneMs === null) await this.#targets.lift().catch(() => undefined)
      await this.#canary.stop()
      await this.#door.clean().catch(() => undefined)
    }
    return this.#result()
  }

  #every(ms: number, work: () => unknown): void {
    this.#timers.push(
      setInterval(() => {
        try {
          const result = work()
          if (result instanceof Promise) result.catch((error: unknown) => this.#broken(error))
        } catch (error) {
          this.#broken(error)
        }
      }, ms),
    )
  }

  #take(event: DistributiveOmit<DrillEvent, 'nowMs'>): void {
    const nowMs = this.#options.clock.nowMs()
    const { state, actions, reasons } = stepDrill(this.#state, { ...event, nowMs } as DrillEvent, this.#settings)
    this.#state = state
    for (const reason of reasons) this.#note(reason.code, reason.detail)
    for (const action of actions) this.#perform(action)
  }

  #tick(): void {
    this.#take({ kind: 'canary', canary: this.#canary.view() })
    this.#take({ kind: 'tick' })
  }

  #perform(action: DrillAction): void {
    if (action.kind !== 'ask') this.#waiting = null
    switch (action.kind) {
      case 'ask':
        this.#waiting = { gate: action.approval.before, by: action.approval.by }
        this.#note('approval-awaited', { gate: action.approval.before, by: action.approval.by.join(', ') })
        break
      case 'probe':
        void this.#probe(action.when)
        break
      case 'do-fault':
        void this.#doFault()
        break
      case 'lift-fault':
        void this.#lift()
        break
      case 'measure':
        void this.#measure()
        break
      case 'end':
        this.#ended()
    }
  }

  async #probe(when: When): Promise<void> {
    const { group, clock } = this.#options
    const scene = {
      group,
      canary: this.#canary,
      door: this.#door,
      seen: () => (clock.nowMs() - this.#seenMs <= SEEN_MAX_MS ? this.#seen : null),
      nowMs: () => clock.nowMs(),
    }
    const held = await Promise.all(this.#settings[when].map((probe) => look(probe, scene)))
    this.#take({ kind: 'probed', when, held })
  }

  async #doFault(): Promise<void> {
    const { fault, blastRadius } = this.#settings
    const scene = this.#seen?.scene ?? { places: [], primary: null, need: 0 }
    const hit = hitOf(fault, scene, blastRadius)
    if (!hit.ok) {
      this.#take({ kind: 'fault-failed', because: hit.because })
      return
    }
    this.#members = hit.members
    const { timing } = this.#options.group
    const hitsPrimary = scene.primary !== null && hit.members.includes(scene.primary)
    const replication = replicationOf(this.#options.group)
    this.#prediction = predictionOf(fault, { timing, replication, hitsPrimary, lagMs: null })
    this.#note('targets', { members: hit.members.join(', '), primary: scene.primary })
    const told = await this.#targets.do(fault, hit.members).catch((error: unknown) => ({
      ok: false as const,
      because: error instanceof Error ? error.message : String(error),
    }))
    if (!told.ok) this.#take({ kind: 'fault-failed', because: told.because })
    // What has no length is on when it was taken.
    else if (fault.kind === 'switchover' || fault.kind === 'kill') this.#take({ kind: 'fault-on', proof: told.proof })
  }

  /** Whether what was asked for is on, and whether it is over. */
  async #follow(): Promise<void> {
    const { phase } = this.#state
    if (this.#looking || (phase !== 'faulting' && phase !== 'faulted') || this.#members.length === 0) return
    this.#looking = true
    try {
      const found = await this.#targets.look()
      if (found === null) return
      if (this.#state.phase === 'faulting' && found.on) this.#take({ kind: 'fault-on', proof: found.proof })
      else if (this.#state.phase === 'faulted' && found.over) this.#take({ kind: 'fault-off', proof: found.proof })
    } finally {
      this.#looking = false
    }
  }

  async #lift(): Promise<void> {
    const told = await this.#targets.lift().catch((error: unknown) => ({
      ok: false as const,
      because: error instanceof Error ? error.message : String(error),
    }))
    if (told.ok) this.#take({ kind: 'fault-off', proof: told.proof })
    else this.#take({ kind: 'lift-failed', because: told.because })
  }

  async #measure(): Promise<void> {
    const { clock } = this.#options
    const endMs = clock.nowMs()
    const { failed } = this.#canary.view()
    await this.#canary.stop()
    const untilMs = clock.nowMs() + FOUND_MS
    for (;;) {
      try {
        const found = await this.#door.found()
        const acks = this.#canary.acks.filter((ack) => ack.ackedMs <= endMs)
        const measured = measure({ acks, failed }, found, this.#state.askedMs ?? endMs, endMs)
        this.#take({ kind: 'measured', measured })
        return
      } catch (error) {
        if (clock.nowMs() > untilMs || this.#state.phase !== 'measuring') {
          const because = error instanceof Error ? error.message : String(error)
          this.#take({ kind: 'measure-failed', because })
          return
        }
        await new Promise((resolve) => setTimeout(resolve, FACTS_MS))
      }
    }
  }

  async #gather(): Promise<void> {
    if (this.#asking) return
    this.#asking = true
    try {
      const { agents, platform, group, watcher } = this.#options
      const askedMs = this.#options.clock.nowMs()
      const statuses = statusesOf(agents, await watcher.statusOfEach())
      for (const status of statuses.values()) if (status !== null) this.#keepReasons(status)
      const found = seen(platform, group, statuses)
      this.#seen = found
      this.#seenMs = askedMs
      const hit = hitOf(this.#settings.fault, found.scene, this.#settings.blastRadius)
      // Before the fault, what may not be hit is as good a reason to leave it as what is not well.
      const early = this.#state.askedMs === null && found.facts.healthy && !hit.ok
      const facts = early ? { ...found.facts, healthy: false, because: hit.because } : found.facts
      this.#take({ kind: 'facts', facts })
    } finally {
      this.#asking = false
    }
  }

  #keepReasons({ reasons }: AgentStatus): void {
    const { group } = this.#settings
    for (const line of reasons) {
      if (line.group !== group || line.wallMs < this.#startWallMs || this.#reasons.size >= REASONS_MAX) continue
      this.#reasons.set(JSON.stringify([line.wallMs, line.member, line.code]), line)
    }
  }

  /** Shows that we live, and where we are. */
  async #beat(): Promise<void> {
    if (this.#beating) return
    this.#beating = true
    try {
      const { ledger, group, id } = this.#options
      const { phase } = this.#state
      const record = await ledger.change(group.name, (now) => {
        if (now.active?.id !== id) return null
        const { active } = now
        const said = { phase, beat: active.beat + 1, members: this.#members, waiting: this.#waiting }
        return { ...now, active: { ...active, ...said } }
      })
      this.#hear(record)
    } catch (error) {
      // The drill may be about the store; what was begun is brought to its end without it.
      if (!(error instanceof HoldfastError)) throw error
    } finally {
      this.#beating = false
    }
  }

  #hear({ active }: DrillRecord): void {
    if (active?.id !== this.#options.id) {
      const because = 'its place in the store was taken from it'
      if (this.#state.abort === null) this.#take({ kind: 'abort', by: 'somebody else', because })
      return
    }
    if (active.abort !== null && this.#state.abort === null) this.#take({ kind: 'abort', ...active.abort })
    for (const { gate, by } of active.approvals) {
      const had = this.#state.approvals.some((one) => one.gate === gate)
      if (!had) this.#take({ kind: 'approved', gate, by })
    }
  }

  #note(code: string, detail: TimelineEntry['detail']): void {
    const { clock, onEntry } = this.#options
    const sinceMs = Math.round(clock.nowMs() - this.#startMs)
    const entry = { wallMs: clock.wallMs(), sinceMs, code, detail }
    this.#timeline.push(entry)
    onEntry(entry)
  }

  #result(): DrillRun {
    const { clock } = this.#options
    const tookMs = clock.nowMs() - this.#startMs
    const stepMs = Math.max(STEP_MIN_MS, Math.ceil(tookMs / STEPS_MAX))
    const acked = Array.from({ length: Math.ceil(tookMs / stepMs) + 1 }, () => 0)
    for (const { ackedMs } of this.#canary.acks) {
      const at = Math.max(0, Math.floor((ackedMs - this.#startMs) / stepMs))
      acked[at] = (acked[at] ?? 0) + 1
    }
    return {
      state: this.#state,
      settings: this.#settings,
      startedWallMs: this.#startWallMs,
      endedWallMs: clock.wallMs(),
      members: this.#members,
      prediction: this.#prediction,
      timeline: this.#timeline,
      reasons: [...this.#reasons.values()].sort((a, b) => a.wallMs - b.wallMs),
      rate: { stepMs, acked },
    }
  }
}

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never
