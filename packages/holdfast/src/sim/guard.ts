/**
 * The guard: a process of its own that knows "valid until T" and how to kill. It outlives its agent and keeps its
 * deadlines. Messages from the agent reach it over a pipe; killed or stopped, it does nothing, and the agent notices.
 */
import type { HostClock } from './clock.ts'
import type { Engine } from './engine.ts'
import type { Stream } from './prng.ts'
import { KIND, type World } from './world.ts'

export interface GuardTold {
  armed(untilMs: number): void
  fired(): void
}

/** Planted bugs of the guard. */
export interface GuardBug {
  neverFires: boolean
  lateMs: number
}

export class Guard {
  alive = true
  frozen = false
  /** By a SIGSTOP of its own, beyond a pause of the machine. */
  stopped = false
  /** Local time of the fence; 0: not armed. */
  untilMs = 0
  /** Deadline that the timer was last set for; 0: it is not set. */
  private timerMs = 0
  private readonly world: World
  private readonly clock: HostClock
  private readonly engine: Engine
  private readonly random: Stream
  private readonly told: GuardTold
  private readonly bug: GuardBug
  private inbox: (() => void)[] = []

  constructor(
    parts: { world: World; clock: HostClock; engine: Engine; random: Stream; bug: GuardBug },
    told: GuardTold,
  ) {
    this.world = parts.world
    this.clock = parts.clock
    this.engine = parts.engine
    this.random = parts.random
    this.bug = parts.bug
    this.told = told
  }

  arm(untilMs: number): void {
    this.message(() => {
      if (untilMs > this.untilMs) {
        this.untilMs = untilMs
        // A timer that stands is moved when it goes off, not with every beat.
        if (this.timerMs === 0 || this.timerMs > untilMs) this.schedule(untilMs)
      }
      this.reply(() => this.told.armed(this.untilMs))
    })
  }

  disarm(): void {
    this.message(() => {
      this.untilMs = 0
    })
  }

  private message(read: () => void): void {
    this.world.after(0.05 + this.random.next(), KIND.guard, this.engine.db.host, () => {
      if (!this.alive) return
      if (this.frozen) this.inbox.push(read)
      else read()
    })
  }

  private reply(tell: () => void): void {
    this.world.after(0.05 + this.random.next(), KIND.guard, this.engine.db.host, tell)
  }

  private schedule(untilMs: number): void {
    this.timerMs = untilMs
    const lateMs = this.random.next() * 2 + this.bug.lateMs
    this.world.at(this.clock.trueMs(untilMs) + lateMs, KIND.guard, this.engine.db.host, () => {
      if (this.timerMs !== untilMs) return
      this.timerMs = 0
      if (this.untilMs === untilMs) this.fire(false)
      else if (this.untilMs > 0) this.schedule(this.untilMs)
    })
  }

  /** `atOnce`: the deadline passed while nothing on this host moved; the kill comes before anything else runs. */
  private fire(atOnce: boolean): void {
    if (!this.alive || this.frozen || this.bug.neverFires) return
    this.untilMs = 0
    if (this.engine.db.writable) this.engine.db.hooks.guardFired()
    const gone = () => this.reply(() => this.told.fired())
    const [low, high] = this.engine.db.timing.fenceMs
    if (atOnce) {
      this.engine.killAtOnce()
      gone()
    } else this.engine.killIn(this.random.decades(low, high), false, gone)
  }

  thaw(): void {
    if (!this.frozen) return
    this.frozen = false
    if (this.alive && this.untilMs > 0 && this.clock.localMs(this.world.nowMs) >= this.untilMs) this.fire(true)
    for (const read of this.inbox.splice(0)) read()
  }

  kill(): void {
    this.alive = false
    this.untilMs = 0
  }
}
