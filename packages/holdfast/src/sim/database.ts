/**
 * A PostgreSQL-like server of one member: its disk, its process, commits that wait for named standbys, and the state a
 * standby keeps. Long commands (create, follow, promote, ...) live in `engine.ts`; connections in `replication.ts`.
 * Commits behave as PostgreSQL's: written, flushed here, then held until the sync setting in effect is satisfied; a
 * wait that is cancelled or cut off by a crash leaves the write visible and unacknowledged.
 */
import { type DataState, type MemberName, NO_SYNC, type SyncSet } from '../core/model.ts'
import { Branch, commonPoint, type Entry, entryAt, holds, lsnOf, type Point } from './log.ts'
import type { Network } from './network.ts'
import type { Stream } from './prng.ts'
import { Connection, type StreamEnd } from './replication.ts'
import { KIND, type World } from './world.ts'

export interface EngineTiming {
  readonly fsyncMs: number
  /** Upper bound of the time a half of a replication connection waits on silence. */
  readonly patienceMs: number
  readonly createMs: readonly [number, number]
  readonly startMs: readonly [number, number]
  readonly recoverMs: readonly [number, number]
  readonly cloneMs: readonly [number, number]
  readonly rewindMs: readonly [number, number]
  readonly promoteMs: readonly [number, number]
  readonly fenceMs: readonly [number, number]
}

export type CommitEnd = 'acknowledged' | 'refused' | 'unknown'

interface Waiter {
  readonly point: Point
  readonly write: number
  readonly end: (how: CommitEnd) => void
}

export interface DatabaseHooks {
  /** The database starts to accept writes; `thawed`: it goes on after a pause. */
  writable(db: Database, thawed: boolean): void
  acknowledged(db: Database, point: Point): void
  /** A standby tells `primary` that everything up to `index` of the primary's log is durable. */
  confirmed(primary: Database, standby: StreamEnd, index: number): void
  /** The log was cut back or the copy replaced on purpose. */
  logReplaced(db: Database, before: Point | null): void
  /** A command that broke off made this copy useless. */
  spoiled(db: Database): void
  /** The guard does its work on a database that would accept writes. */
  guardFired(): void
  /** The main process ended. `asked`: by a command of its own agent. */
  exited(db: Database, asked: boolean): void
}

export interface DatabaseSetup {
  readonly host: number
  readonly member: MemberName
  readonly network: Network
  readonly random: Stream
  readonly timing: EngineTiming
  readonly hooks: DatabaseHooks
}

/** Commits that may wait at once; PostgreSQL's max_connections plays this part. */
const WAITERS_MAX = 500
const RETRY_RECEIVER_MS = 100
/** A standby that has nothing to confirm still tells its status this often (`wal_receiver_status_interval`). */
const STATUS_MS = 1_000

export class Database implements StreamEnd {
  readonly host: number
  readonly member: MemberName
  readonly network: Network
  readonly world: World
  readonly random: Stream
  readonly timing: EngineTiming
  readonly hooks: DatabaseHooks
  /** Finds the database of a member; set when the cluster is wired. */
  peer: (member: MemberName) => Database | null = () => null

  data: DataState = 'empty'
  diskId: string | null = null
  systemId: string | null = null
  written: Point | null = null
  flushed: Point | null = null
  /** What a start would make of it. */
  diskRole: 'primary' | 'replica' = 'replica'
  sync: SyncSet = NO_SYNC

  powered = true
  running = false
  frozen = false
  stopping = false
  role: 'primary' | 'replica' = 'replica'
  /** Changes with each start and each end of the process. */
  incarnation = 0
  epoch = 0
  /** Epoch of a promotion that was never opened for writes. */
  unopenedEpoch: number | null = null
  upstream: MemberName | null = null
  receiverOff = false
  receiver: Connection | null = null
  senders: Connection[] = []
  slowDiskMs = 0
  streamLagMs = 0
  /** Until then it may run beside a new primary: its machine goes on and its guard comes next. */
  excusedUntilMs = 0
  /** Planted bug: streams onto a log that does not fit instead of rewinding. */
  ignoresDivergence = false
  /** Planted bug: an old copy comes back under the identity of the lost one. */
  hidesDiskLoss = false
  private reportedLsn = -1
  private readonly waiters: Waiter[] = []
  private flushing = false

  constructor(setup: DatabaseSetup) {
    this.host = setup.host
    this.member = setup.member
    this.network = setup.network
    this.world = setup.network.world
    this.random = setup.random
    this.timing = setup.timing
    this.hooks = setup.hooks
  }

  /** It would accept a client's write in this instant. */
  get writable(): boolean {
    return this.running && this.role === 'primary' && !this.frozen && !this.stopping && this.powered
  }

  get waiting(): number {
    return this.waiters.length
  }

  /** Lsn this copy would report as durable. */
  get durableLsn(): number {
    if (this.flushed === null) return 0
    return Math.max(lsnOf(this.flushed), this.reportedLsn)
  }

  start(role: 'primary' | 'replica'): void {
    this.running = true
    this.role = role
    this.diskRole = role
    this.stopping = false
    this.incarnation += 1
    this.flushing = false
    // Recovery makes durable what the operating system still had.
    this.flushed = this.written
    if (role === 'primary') {
      this.hooks.writable(this, false)
    } else this.seekUpstream(0)
  }

  /** The process ends at once. What was written stays with the operating system, what was not flushed may be lost. */
  kill(asked: boolean): void {
    if (!this.running) return
    this.running = false
    this.frozen = false
    this.stopping = false
    this.incarnation += 1
    this.endConnections()
    this.endWaiters('unknown')
    this.hooks.exited(this, asked)
  }

  /** Power is gone: nobody is told, and only the flushed part of the log remains. */
  powerOff(): void {
    this.powered = false
    this.kill(false)
    this.written = this.flushed
  }

  private endConnections(): void {
    const receiver = this.receiver
    if (receiver !== null) receiver.ended('standby')
    for (const sender of [...this.senders]) sender.ended('primary')
  }

  private endWaiters(how: CommitEnd): void {
    for (const waiter of this.waiters.splice(0)) waiter.end(how)
  }

  freeze(): void {
    if (!this.running || this.frozen) return
    this.frozen = true
    this.receiver?.stall()
    for (const sender of this.senders) sender.stall()
  }

  thaw(): void {
    if (!this.running || !this.frozen) return
    this.frozen = false
    if (this.role === 'primary') {
      this.hooks.writable(this, true)
      this.flushSoon()
    }
  }

  // --- as a primary -------------------------------------------------------------------------------------------------

  /** A client's write; `end` runs when the client may be told. */
  commit(write: number, bytes: number, end: (how: CommitEnd) => void): void {
    if (!this.writable || this.waiters.length >= WAITERS_MAX) {
      end('refused')
      return
    }
    this.waiters.push({ point: this.append(write, bytes), write, end })
    this.flushSoon()
  }

  append(write: number, bytes: number): Point {
    const at = this.written
    if (at === null) throw new Error(`${this.member} has no log`)
    let { branch } = at
    // A crash may have lost entries that were never flushed: what follows is another history on the same timeline.
    if (branch.lastIndex !== at.index) branch = new Branch(branch.timeline, branch, at.index, lsnOf(at))
    const entry: Entry = { lsn: lsnOf(at) + bytes, epoch: this.epoch, write, atMs: this.world.nowMs }
    branch.entries.push(entry)
    this.written = { branch, index: branch.lastIndex }
    return this.written
  }

  flushSoon(): void {
    if (this.flushing) return
    this.flushing = true
    const { incarnation } = this
    this.world.after(this.fsyncMs(), KIND.disk, this.host, () => {
      if (this.incarnation !== incarnation) return
      this.flushing = false
      if (this.frozen || this.written === null) return
      this.flushed = this.written
      for (const sender of this.senders) sender.push()
      // Where standbys must confirm, only their word ends a wait.
      if (this.sync.need === 0) this.settle()
    })
  }

  private fsyncMs(): number {
    return this.timing.fsyncMs * (0.5 + this.random.next()) + this.slowDiskMs * this.random.next()
  }

  /** Ends the waits that the sync setting in effect allows to end. */
  settle(): void {
    while (this.waiters.length > 0 && !this.frozen) {
      const first = this.waiters[0]
      if (first === undefined || this.flushed === null || !holds(this.flushed, first.point)) return
      if (!this.satisfied(first.point.index)) return
      this.waiters.shift()
      this.hooks.acknowledged(this, first.point)
      first.end('acknowledged')
    }
  }

  /** Puts a sync setting in effect. A list of standbys ends no wait by itself; the next word of one of them does. */
  obey(sync: SyncSet): void {
    this.sync = sync
    if (sync.need === 0) {
      this.settle()
      return
    }
    const { incarnation } = this
    this.world.after(STATUS_MS * this.random.next(), KIND.stream, this.host, () => {
      if (this.incarnation === incarnation) this.settle()
    })
  }

  /** A commit waits although enough standbys hold it. */
  get overdue(): boolean {
    const first = this.waiters[0]
    if (first === undefined || this.flushed === null || !holds(this.flushed, first.point)) return false
    return this.satisfied(first.point.index)
  }

  satisfied(index: number): boolean {
    const { members, need } = this.sync
    if (need === 0) return true
    let confirmed = 0
    for (const sender of this.senders) {
      if (sender.ackIndex >= index && members.includes(sender.standby.member)) confirmed += 1
    }
    return confirmed >= need
  }

  /** The administrator cancels the waits: clients get a warning, the writes stay visible. */
  cancelWaits(): void {
    this.endWaiters('unknown')
  }

  told(connection: Connection, index: number): void {
    this.hooks.confirmed(this, connection.standby, index)
  }

  confirmed(connection: Connection, index: number): void {
    if (index > connection.ackIndex) connection.ackIndex = index
    this.settle()
  }

  accept(connection: Connection): void {
    const old = this.senders.find((sender) => sender.standby === connection.standby)
    if (old !== undefined) old.closePrimary()
    this.senders.push(connection)
    connection.push()
  }

  dropSender(connection: Connection): void {
    this.senders = this.senders.filter((sender) => sender !== connection)
  }

  // --- as a standby -------------------------------------------------------------------------------------------------

  /** Connects to the upstream now and then until it streams. */
  seekUpstream(delayMs: number): void {
    const { incarnation, upstream } = this
    const gaps = delayMs === 0 ? 1 : delayMs * (0.8 + 0.4 * this.random.next())
    this.world.after(gaps, KIND.stream, this.host, () => {
      const stale = this.incarnation !== incarnation || this.upstream !== upstream || this.role !== 'replica'
      if (stale || this.receiver !== null || upstream === null || this.receiverOff) return
      if (!this.frozen && this.connect(upstream)) return
      this.seekUpstream(Math.min(2_000, Math.max(RETRY_RECEIVER_MS, gaps * 1.3)))
    })
  }

  private connect(upstream: MemberName): boolean {
    const primary = this.peer(upstream)
    if (primary === null || primary === this || this.flushed === null || this.written === null) return false
    if (!primary.running || primary.frozen || primary.role !== 'primary' || !primary.powered) return false
    if (!this.network.connects(this.host, primary.host) || primary.flushed === null) return false
    const fits = primary.written !== null && holds(primary.written, this.written)
    if (!fits && !(this.ignoresDivergence && primary.systemId === this.systemId)) return false
    const start = fits ? this.written : (commonPoint(primary.written ?? this.written, this.written) ?? this.written)
    // What was a fork of its own has become everybody's history.
    if (fits) this.unopenedEpoch = null
    const connection = new Connection(primary, this, start)
    this.receiver = connection
    primary.accept(connection)
    this.confirmAgain(connection)
    return true
  }

  receive(connection: Connection, point: Point): void {
    if (this.receiver !== connection || this.written === null || this.flushed === null) return
    if (holds(this.flushed, point)) {
      this.confirmAgain(connection)
      return
    }
    const fits = holds(point, this.written) || holds(this.written, point)
    if (fits && !holds(this.written, point)) this.written = point
    const { incarnation } = this
    this.world.after(this.fsyncMs(), KIND.disk, this.host, () => {
      if (this.incarnation !== incarnation || this.frozen || this.written === null) return
      if (fits && holds(this.written, point)) {
        this.flushedUpTo(point)
        this.confirmAgain(connection)
      } else if (this.ignoresDivergence) {
        this.reportedLsn = Math.max(this.reportedLsn, lsnOf(point))
        if (this.receiver === connection) connection.confirm(point.index)
      }
    })
  }

  private flushedUpTo(point: Point): void {
    if (this.flushed === null || !holds(this.flushed, point)) this.flushed = point
  }

  /** Tells the primary what is durable here, in the primary's own numbering. */
  confirmAgain(connection: Connection): void {
    if (this.receiver !== connection || this.flushed === null) return
    connection.confirm(this.flushed.index)
  }

  dropReceiver(connection: Connection): void {
    if (this.receiver !== connection) return
    this.receiver = null
    if (this.running) this.seekUpstream(RETRY_RECEIVER_MS)
  }

  /** Follows another upstream, or none; an open connection ends. */
  pointAt(upstream: MemberName | null): void {
    if (this.upstream === upstream && !this.receiverOff && this.receiver !== null) return
    this.upstream = upstream
    this.receiverOff = false
    this.receiver?.ended('standby')
    this.receiver = null
    this.seekUpstream(0)
  }

  stopReceiver(): void {
    this.receiverOff = true
    this.receiver?.ended('standby')
    this.receiver = null
  }

  /** The disk is gone; nobody was asked. */
  loseDisk(): void {
    this.kill(false)
    if (this.hidesDiskLoss && this.flushed !== null) {
      let { branch } = this.flushed
      while (branch.parent !== null) branch = branch.parent
      this.written = { branch, index: 0 }
      this.flushed = this.written
      this.diskRole = 'replica'
      return
    }
    this.data = 'empty'
    this.diskId = null
    this.systemId = null
    this.written = null
    this.flushed = null
    this.diskRole = 'replica'
    this.unopenedEpoch = null
  }

  /** Cuts the log back to `point`, or puts another copy in its place. */
  replaceLog(point: Point | null): void {
    const before = this.flushed
    this.written = point
    this.flushed = point
    this.reportedLsn = -1
    this.unopenedEpoch = null
    this.hooks.logReplaced(this, before)
  }

  /** New history from here on, as a promotion starts it. */
  fork(): void {
    const at = this.written
    if (at === null) throw new Error(`${this.member} has no log to promote`)
    const branch = new Branch(at.branch.timeline + 1, at.branch, at.index, lsnOf(at))
    this.written = { branch, index: at.index }
    this.append(-1, 112)
    this.flushed = this.written
  }

  lastEntry(): Entry | null {
    return this.flushed === null ? null : entryAt(this.flushed)
  }
}
