/** One machine: agent, guard and database beside each other, and what faults may do to them. Faults may overlap. */
import type { Database } from './database.ts'
import type { Engine } from './engine.ts'
import type { Network } from './network.ts'
import type { Shell } from './shell.ts'
import { KIND } from './world.ts'

/** A guard that goes on kills in this time. */
const GUARD_REACTS_MS = 1

export class Host {
  readonly index: number
  readonly shell: Shell
  readonly engine: Engine
  readonly db: Database
  private readonly network: Network
  /** After a pause of the machine the guard goes on this much later than the rest. */
  private readonly guardThawMs: number
  private readonly stops = { agent: 0, database: 0, machine: 0 }
  /** Planted bug: the machine starts the database as it was, without asking anybody. */
  private readonly startsByItself: boolean
  private crashes = 0
  private agentKills = 0

  constructor(shell: Shell, engine: Engine, network: Network, how: { startsByItself: boolean; guardThawMs: number }) {
    this.index = engine.db.host
    this.startsByItself = how.startsByItself
    this.guardThawMs = how.guardThawMs
    this.shell = shell
    this.engine = engine
    this.db = engine.db
    this.network = network
  }

  get up(): boolean {
    return this.crashes === 0
  }

  /** The guard would do its work now: it lives, and knows a deadline if there is something to fence. */
  get guarded(): boolean {
    return this.shell.guards.some((guard) => guard.alive && !guard.frozen && (!this.db.writable || guard.untilMs > 0))
  }

  // --- SIGSTOP and SIGCONT ------------------------------------------------------------------------------------------

  stop(what: 'agent' | 'database' | 'machine'): void {
    this.stops[what] += 1
    this.apply()
  }

  /** Stops the guard process that runs now, not one that follows it. Gives the way to let it go on. */
  stopGuard(): () => void {
    const { guard } = this.shell
    if (guard === null) return () => undefined
    guard.stopped = true
    this.apply()
    return () => {
      guard.stopped = false
      this.apply()
    }
  }

  go(what: 'agent' | 'database' | 'machine'): void {
    this.stops[what] = Math.max(0, this.stops[what] - 1)
    this.apply()
  }

  /**
   * The guard goes on first: what it has to kill is dead before anything else runs. In a share of the seeds it is a few
   * milliseconds late, as a scheduler may have it; then only what is acknowledged in between counts (invariants.ts).
   */
  private apply(): void {
    const machine = this.stops.machine > 0
    const late = this.guardThawMs > 0 && !machine && this.db.frozen
    if (late) {
      this.db.excusedUntilMs = this.db.world.nowMs + this.guardThawMs + GUARD_REACTS_MS
      this.db.world.after(this.guardThawMs, KIND.guard, this.index, () => this.applyToGuards())
    } else this.applyToGuards()
    if (machine) this.engine.paused = true
    else this.engine.resume()
    if (machine || this.stops.database > 0) this.db.freeze()
    else this.db.thaw()
    if (machine || this.stops.agent > 0) this.shell.freeze()
    else this.shell.thaw()
  }

  private applyToGuards(): void {
    for (const guard of this.shell.guards) {
      if (this.stops.machine > 0 || guard.stopped) guard.frozen = guard.alive
      else guard.thaw()
    }
  }

  // --- ends and starts ----------------------------------------------------------------------------------------------

  /** The agent alone; what it started lives on. The guard keeps its deadlines. */
  killAgent(): void {
    this.agentKills += 1
    this.shell.kill()
  }

  startAgent(): void {
    this.agentKills = Math.max(0, this.agentKills - 1)
    this.wake()
  }

  killGuard(): void {
    this.shell.guard?.kill()
    this.shell.guardLost(true)
  }

  crash(): void {
    this.crashes += 1
    for (const guard of this.shell.guards) guard.kill()
    this.shell.kill()
    this.db.powerOff()
  }

  powerOn(): void {
    this.crashes = Math.max(0, this.crashes - 1)
    this.wake()
  }

  private wake(): void {
    if (this.crashes > 0) return
    const wasOff = !this.db.powered
    this.db.powered = true
    if (wasOff && this.startsByItself && this.db.data === 'ready') this.db.start(this.db.diskRole)
    if (this.agentKills > 0 || this.shell.alive) return
    this.shell.start()
    this.apply()
  }

  // --- phase 2 ------------------------------------------------------------------------------------------------------

  /** Everything that was done to this host ends. */
  heal(): void {
    this.stops.agent = 0
    this.stops.database = 0
    for (const guard of this.shell.guards) guard.stopped = false
    this.stops.machine = 0
    this.apply()
    this.crashes = 0
    this.agentKills = 0
    this.engine.promoteFault = 'none'
    this.engine.rewindFails = false
    this.engine.crashMidCommand = 0
    this.engine.diskFull = 0
    this.db.slowDiskMs = 0
    this.db.streamLagMs = 0
    this.wake()
  }

  /** Gone for ever. */
  bury(): void {
    this.crash()
    for (let end = 0; end < this.network.size; end += 1) {
      if (end === this.index) continue
      this.network.link(this.index, end).cuts += 1
      this.network.link(end, this.index).cuts += 1
    }
  }
}
