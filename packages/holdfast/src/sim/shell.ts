/**
 * One agent process in the simulated world: keeps the core's state, feeds it what its host sees, and hands its actions
 * to `perform.ts`. It can be killed, restarted, and stopped by SIGSTOP; what arrives meanwhile waits in the sockets.
 */
import type { GroupRecord, SessionRecord } from '../core/model.ts'
import type { NodeEvent, NodeState } from '../core/node.ts'
import type { MemberEvent } from '../core/protocol.ts'
import type { AgentProcess, ShellParts } from './agent-process.ts'
import { Guard } from './guard.ts'
import { Performer } from './perform.ts'
import type { Stored } from './store.ts'
import { type Due, KIND } from './world.ts'

/** What the kernel keeps for a stopped process; more is dropped as a full socket would. */
const INBOX_MAX = 4_000
const GUARD_RESTART_MS = 500
const GUARD_SILENT_MS = 150
const WATCH_LOOK_MS = 400
const SHARED_READ_SHARE = 0.23
const SHARED_READ_CHANCE = 0.15

export class Shell implements AgentProcess {
  readonly parts: ShellParts
  alive = false
  frozen = false
  /** Changes with each start and end of the process. */
  incarnation = 0
  state: NodeState | null = null
  guard: Guard | null = null
  /** Every guard process of this host that may still act; one outlives the agent that started it. */
  guards: Guard[] = []
  steps = 0
  actions = 0
  private readonly recordKey: string
  private lastStepMs = 0
  /** What the core wants now, and when the timer goes off that stands. */
  private wakeMs = Number.POSITIVE_INFINITY
  private timerMs = Number.POSITIVE_INFINITY
  private inbox: (() => void)[] = []
  readonly questions: Performer

  constructor(parts: ShellParts) {
    this.parts = parts
    this.questions = new Performer(this)
    this.recordKey = `groups/${parts.group}`
  }

  get localMs(): number {
    return this.parts.clock.localMs(this.parts.world.nowMs)
  }

  // --- process ------------------------------------------------------------------------------------------------------

  start(): void {
    if (this.alive) return
    const { settings, core, host, random } = this.parts
    this.alive = true
    this.frozen = false
    this.incarnation += 1
    this.inbox = []
    this.timerMs = Number.POSITIVE_INFINITY
    this.lastStepMs = this.localMs
    this.state = core.start(settings, `boot-${host}-${this.incarnation}`, this.localMs)
    this.startGuard()
    const { incarnation } = this
    this.tick()
    this.every(settings.beatMs, random.next() * settings.beatMs, () => this.beat(), incarnation)
    this.later(0, () => this.keepWatch())
    this.every(this.groupTtlMs(), 0, () => this.questions.readRecordUnasked(), incarnation)
    if (this.parts.sharesReads) {
      const periodMs = this.groupTtlMs() * SHARED_READ_SHARE
      this.every(periodMs, random.next() * periodMs, () => this.shareRead(), incarnation)
    }
  }

  /**
   * A member of another group on this agent reads the session of the same holder; one read serves all of them, at times
   * that this member did not choose (`agent/perform.ts` does so).
   */
  private shareRead(): void {
    const { member } = this.parts
    const agent = this.state?.members[member]?.holder?.agent
    if (agent !== undefined && this.parts.random.chance(SHARED_READ_CHANCE)) this.questions.readSessionUnasked(agent)
  }

  private groupTtlMs(): number {
    return this.parts.settings.members[0]?.timing.ttlMs ?? this.parts.settings.ttlMs
  }

  kill(): void {
    if (!this.alive) return
    this.alive = false
    this.frozen = false
    this.incarnation += 1
    this.state = null
    this.inbox = []
    this.questions.forget()
    this.parts.engine.forget()
    this.parts.store.breakWatch(this.parts.host)
  }

  freeze(): void {
    this.frozen = this.alive
  }

  thaw(): void {
    if (!this.frozen) return
    this.frozen = false
    // The event loop may serve its timers or its sockets first.
    const timersFirst = this.parts.random.chance(0.5)
    if (timersFirst) this.tick()
    for (const read of this.inbox.splice(0)) if (!this.frozen) read()
    if (!timersFirst) this.tick()
  }

  /** Runs inside this process, now or after it goes on; never in a later one. */
  inside(incarnation: number, run: () => void): void {
    if (!this.alive || this.incarnation !== incarnation) return
    if (!this.frozen) run()
    else if (this.inbox.length < INBOX_MAX) this.inbox.push(run)
  }

  /** As a timer of this process: on its own clock. */
  later(localDelayMs: number, run: () => void): Due {
    const { world, clock, host } = this.parts
    const { incarnation } = this
    return world.after(localDelayMs / clock.rate, KIND.timer, host, () => this.inside(incarnation, run))
  }

  private every(periodMs: number, firstMs: number, run: () => void, incarnation: number): void {
    const again = () => {
      run()
      if (this.alive && this.incarnation === incarnation) this.later(periodMs, again)
    }
    this.later(firstMs, again)
  }

  // --- the core -----------------------------------------------------------------------------------------------------

  tick(): void {
    this.step({ to: 'node', event: { kind: 'tick', nowMs: this.localMs } })
  }

  tell(event: MemberEvent): void {
    this.step({ to: 'member', member: this.parts.member, event })
  }

  step(event: NodeEvent): void {
    const { core, settings, hooks } = this.parts
    if (this.state === null || !this.alive) return
    this.steps += 1
    this.lastStepMs = event.event.nowMs
    const { incarnation } = this
    try {
      const result = core.step(this.state, event, settings)
      this.state = result.state
      hooks.stepped(this, event, result.actions, result.reasons)
      for (const action of result.actions) {
        if (this.incarnation !== incarnation) return
        this.actions += 1
        this.questions.perform(action)
      }
      this.arm(result.wakeAtMs)
    } catch (error) {
      this.kill()
      hooks.defect(this, error)
    }
  }

  /** One timer for the newest wake-up, as in `agent/loop.ts`; it is moved on when it goes off too early. */
  private arm(wakeAtMs: number): void {
    this.wakeMs = Math.max(wakeAtMs, this.localMs + 1)
    if (this.wakeMs < this.timerMs) this.setTimer(this.wakeMs)
  }

  private setTimer(atMs: number): void {
    this.timerMs = atMs
    const { world, clock, host, random } = this.parts
    const { incarnation } = this
    world.at(clock.trueMs(atMs) + random.next(), KIND.timer, host, () => {
      this.inside(incarnation, () => {
        if (this.timerMs !== atMs) return
        if (this.wakeMs > this.localMs) return this.setTimer(this.wakeMs)
        this.timerMs = Number.POSITIVE_INFINITY
        this.tick()
      })
    })
  }

  // --- what the host sees -------------------------------------------------------------------------------------------

  private beat(): void {
    this.look()
    this.questions.askPeers()
  }

  look(): void {
    const nowMs = this.localMs
    this.tell({ kind: 'engine-view', view: this.parts.engine.view(nowMs), nowMs })
  }

  engineExited(): void {
    this.soon(() => {
      this.tell({ kind: 'engine-exited', nowMs: this.localMs })
      this.look()
    })
  }

  private soon(run: () => void): void {
    this.later(0.5 + this.parts.random.next() * 4, run)
  }

  private keepWatch(): void {
    const { store, host, random } = this.parts
    const { incarnation } = this
    store.watch(host, {
      deliver: (key, stored) => this.inside(incarnation, () => this.onEntry(key, stored)),
      wants: (key) => this.wants(key),
      // It is noticed a little later, and then tried until it stands.
      broken: () => {
        if (this.alive && this.incarnation === incarnation)
          this.later(WATCH_LOOK_MS * random.next(), () => this.keepWatch())
      },
    })
    if (!store.isWatching(host)) this.later(WATCH_LOOK_MS, () => this.keepWatch())
  }

  /** The core looks at the holder's session only; the others are left out, as they would change nothing. */
  private wants(key: string): boolean {
    if (key === this.recordKey) return true
    const { store, member } = this.parts
    const seen = this.state?.members[member]?.holder?.agent
    if (seen !== undefined && key.endsWith(seen)) return true
    const named = (store.peek(this.recordKey).value as GroupRecord | null)?.agent ?? null
    return named !== null && named !== seen && key.endsWith(named)
  }

  private onEntry(key: string, stored: Stored): void {
    const nowMs = this.localMs
    if (key.startsWith('groups/')) {
      const value = stored.value as GroupRecord | null
      this.tell({ kind: 'record', revision: stored.revision, value, sentAtMs: null, id: null, nowMs })
      return
    }
    const agent = key.slice('sessions/'.length)
    this.tell({ kind: 'session', agent, value: stored.value as SessionRecord | null, sentAtMs: null, id: null, nowMs })
  }

  loopAgeMs(): number {
    return this.localMs - this.lastStepMs
  }

  // --- the guard ----------------------------------------------------------------------------------------------------

  private startGuard(): void {
    const { world, clock, engine, random, guardBug } = this.parts
    const { incarnation } = this
    const guard: Guard = new Guard(
      { world, clock, engine, random, bug: guardBug },
      {
        armed: (untilMs) =>
          this.inside(incarnation, () => {
            if (this.guard === guard) this.tell({ kind: 'guard-armed', untilMs, nowMs: this.localMs })
          }),
        fired: () => this.inside(incarnation, () => this.tell({ kind: 'guard-fired', nowMs: this.localMs })),
      },
    )
    this.guard = guard
    this.guards = [...this.guards.filter((old) => old.alive && old.untilMs > 0), guard]
    this.soon(() => {
      if (this.guard === guard && guard.alive) this.tell({ kind: 'guard-armed', untilMs: 0, nowMs: this.localMs })
    })
  }

  /** The guard was killed or stopped; the agent hears of it as its pipe closes or stays silent. */
  guardLost(killed: boolean): void {
    const { guard } = this
    if (guard === null || !this.alive) return
    this.later(killed ? 1 + this.parts.random.next() * 4 : GUARD_SILENT_MS, () => {
      if (this.guard !== guard || (guard.alive && !guard.frozen)) return
      this.guard = null
      this.tell({ kind: 'guard-gone', because: killed ? 'it ended' : 'it is silent', nowMs: this.localMs })
      this.later(GUARD_RESTART_MS, () => this.replaceGuard(guard))
    })
  }

  /** Another guard starts only when nothing is held or being fenced here. */
  private replaceGuard(lost: Guard): void {
    const member = this.state?.members[this.parts.member]
    const busy = member === undefined || member.hold !== null || member.role === 'fencing'
    if (busy) {
      this.later(GUARD_RESTART_MS, () => this.replaceGuard(lost))
      return
    }
    lost.kill()
    this.startGuard()
  }
}
