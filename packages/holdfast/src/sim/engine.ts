/**
 * Commands of one member's database, as an adapter would carry them out: each takes its time, may be cut off by its
 * deadline, a fence, a crash or a SIGSTOP, and may go on in the background after its deadline, as real servers do.
 * One command at a time; a new one supersedes, and waits only for a fence.
 */
import { type EngineView, type MemberName, NO_SYNC, type Position, type SyncSet } from '../core/model.ts'
import type { EngineCommand, EngineOutcome } from '../core/protocol.ts'
import type { Database } from './database.ts'
import { Branch, commonPoint, holds, lsnOf, type Point, timelineOf } from './log.ts'
import { KIND } from './world.ts'

type Range = readonly [number, number]
type Finish = (outcome: EngineOutcome) => void

interface Job {
  readonly command: EngineCommand
  readonly deadlineMs: number
  readonly done: Finish
}

const PAUSED_LOOK_MS = 40
const FIRST_LSN = 0x1_000_000

/** A standby that says nothing for so long is not waited for by a clean stop (`engines/postgres/standby-ears.ts`). */
const SILENT_MS = 1_500

export class Engine {
  readonly db: Database
  /** Faults in force. */
  promoteFault: 'none' | 'hang' | 'fail' = 'none'
  rewindFails = false
  crashMidCommand = 0
  /** Full disks in force: nothing starts and nothing is copied. */
  diskFull = 0
  /** Nothing on the host moves. */
  paused = false
  /** Bytes a crash recovery reads for each byte written; scenarios draw it. */
  redoFactor = 1
  /** Planted bugs. */
  readonly bug = { promoteSkipsSync: false, applySyncLies: false, stopWaitsForSilent: false, releasesLate: false }
  private job: Job | null = null
  /** Waits for the fence that runs. */
  private next: Job | null = null
  /** Changes whenever what runs is cut off. */
  private token = 0
  private copies = 0
  private readonly dueKills: (() => void)[] = []

  constructor(db: Database) {
    this.db = db
  }

  get busy(): number {
    return (this.next === null ? 0 : 1) + (this.job === null ? 0 : 1)
  }

  run(command: EngineCommand, deadlineMs: number, done: Finish): void {
    const job: Job = { command, deadlineMs, done }
    if (command.do === 'fence') {
      this.fence(job)
      return
    }
    // A new command supersedes the one that runs, but waits for a fence.
    if (this.job?.command.do === 'fence') {
      this.next?.done(failure('superseded', true))
      this.next = job
      return
    }
    const superseded = this.job
    this.begin(job)
    superseded?.done(failure('superseded', true))
  }

  /** The agent that asked is gone: nobody waits for the results; what runs in the server goes on. */
  forget(): void {
    this.token += 1
    this.job = null
    this.next = null
  }

  private begin(job: Job) {
    this.job = job
    const token = ++this.token
    const { db } = this
    db.world.at(job.deadlineMs, KIND.command, db.host, () => {
      if (this.token === token && this.job === job) this.finish(job, failure('deadline passed', true))
    })
    this.carryOut(job.command, (outcome) => {
      if (this.job === job) this.finish(job, outcome)
    })
  }

  private finish(job: Job, outcome: EngineOutcome) {
    this.token += 1
    this.job = null
    job.done(outcome)
    const { next } = this
    this.next = null
    if (next !== null && this.job === null) this.begin(next)
  }

  /** Kills every process, whatever else runs. */
  private fence(job: Job) {
    const cutOff = this.job
    const { next } = this
    this.forget()
    this.job = job
    this.killIn(this.drawMs(this.db.timing.fenceMs), true, () => {
      if (this.job === job) this.finish(job, success(null))
    })
    cutOff?.done(failure('superseded', true))
    next?.done(failure('superseded', true))
  }

  /** Also the guard's way: SIGKILL to every process, seen gone after `ms`. */
  killIn(ms: number, asked: boolean, gone: () => void): void {
    const { db } = this
    const killed = () => {
      if (!db.powered) return
      if (this.paused) this.dueKills.push(killed)
      else {
        this.breakStart()
        db.kill(asked)
        gone()
      }
    }
    db.world.after(db.running ? ms : 1, KIND.guard, db.host, killed)
  }

  /** A server that still recovers has processes, too; a kill ends them, and it does not become a primary later. */
  private breakStart(): void {
    const { job } = this
    if (job === null || this.db.running) return
    const { do: what } = job.command
    if (what === 'create' || what === 'restart') this.finish(job, failure('killed while it started', true))
  }

  killAtOnce(): void {
    this.breakStart()
    this.db.kill(false)
  }

  /** The host goes on: kills that fell due meanwhile come before anything else runs. */
  resume(): void {
    if (!this.paused) return
    this.paused = false
    for (const kill of this.dueKills.splice(0)) kill()
  }

  private drawMs(range: Range): number {
    return this.db.random.decades(range[0], range[1])
  }

  /** Runs `then` later unless the command was cut off (`bound`) or the server has become another one. */
  private later(ms: number, then: () => void, bound = true) {
    const { db, token } = this
    const { incarnation, diskId } = db
    const due = () => {
      if (!db.powered || (bound && this.token !== token)) return
      if (!bound && db.incarnation !== incarnation) return
      if (this.paused || db.frozen) db.world.after(PAUSED_LOOK_MS, KIND.command, db.host, due)
      else if (db.diskId !== diskId) this.diskGone()
      else then()
    }
    db.world.after(ms, KIND.command, db.host, due)
  }

  private diskGone() {
    if (this.job !== null) this.finish(this.job, failure('the disk is gone', true))
  }

  private carryOut(command: EngineCommand, finish: Finish) {
    switch (command.do) {
      case 'create':
        return this.create(command.epoch, command.sync, finish)
      case 'follow':
        return this.follow(command.upstream, finish)
      case 'freeze':
        return this.freeze(finish)
      case 'promote':
        return this.promote(command.epoch, command.sync, finish)
      case 'restart':
        return this.restart(command.epoch, command.sync, finish)
      case 'apply-sync':
        return this.applySync(command.sync, finish)
      case 'checkpoint':
        return this.later(this.db.random.range(5, 200), () => finish(success(null)))
      case 'stop':
        return this.stop(finish)
      case 'fence':
        return
    }
  }

  private create(epoch: number, sync: SyncSet, finish: Finish) {
    const { db } = this
    if (db.data === 'ready' || db.running) return finish(failure('the data directory is not empty', false))
    if (this.diskFull > 0) return finish(failure('no space left on device', true))
    db.data = 'unfinished'
    this.later(this.drawMs(db.timing.createMs), () => {
      this.copies += 1
      db.diskId = `${db.member}-made-${this.copies}`
      db.systemId = `system-of-${db.diskId}`
      db.data = 'ready'
      const branch = new Branch(1, null, -1, FIRST_LSN)
      db.written = { branch, index: -1 }
      db.epoch = epoch
      db.append(-1, 4_096)
      db.sync = sync
      db.upstream = null
      db.start('primary')
      finish(success(this.position(), db.durableLsn))
    })
  }

  private follow(upstream: MemberName | null, finish: Finish) {
    const { db } = this
    const source = upstream === null ? null : db.peer(upstream)
    if (db.running && db.role === 'replica') {
      if (this.divergedFrom(source)) {
        return this.stopThen(() => this.rewind(upstream, source, finish))
      }
      return this.later(db.random.range(2, 20), () => {
        if (!db.running) return finish(failure('the server ended', true))
        db.pointAt(upstream)
        finish(success(this.position(), db.durableLsn))
      })
    }
    if (db.running) return this.stopThen(() => this.followStopped(upstream, source, finish))
    return this.followStopped(upstream, source, finish)
  }

  private stopThen(then: () => void) {
    this.later(this.drawMs(this.db.timing.fenceMs), () => {
      const token = this.token
      this.db.kill(true)
      if (this.token === token) then()
    })
  }

  private followStopped(upstream: MemberName | null, source: Database | null, finish: Finish) {
    const { db } = this
    if (db.data !== 'ready') return this.clone(upstream, source, finish)
    if (this.divergedFrom(source)) return this.rewind(upstream, source, finish)
    // A former primary is compared with the new one before it starts (R28).
    if (db.diskRole === 'primary' && upstream !== null && !this.readable(source)) {
      return finish(failure('the upstream cannot be read', true))
    }
    this.startReplica(upstream, finish)
  }

  private startReplica(upstream: MemberName | null, finish: Finish) {
    const { db } = this
    this.later(this.drawMs(db.timing.startMs), () => {
      if (this.diskFull > 0) return finish(failure('no space left on device', true))
      db.upstream = upstream
      db.receiverOff = false
      db.start('replica')
      finish(success(this.position(), db.durableLsn))
    })
  }

  private readable(source: Database | null): source is Database {
    if (source === null) return false
    return source.running && !source.frozen && this.db.network.connects(this.db.host, source.host)
  }

  /** The adapter compares histories; it is taken to notice also equal timeline numbers of different histories. */
  private divergedFrom(source: Database | null): boolean {
    const { db } = this
    if (db.ignoresDivergence || !this.readable(source) || source.role !== 'primary') return false
    if (source.written === null || db.written === null) return false
    return !holds(source.written, db.written)
  }

  private rewind(upstream: MemberName | null, source: Database | null, finish: Finish) {
    const { db } = this
    this.later(this.drawMs(db.timing.rewindMs), () => {
      const fresh = this.readable(source) ? source : null
      const common = fresh?.written && db.written ? commonPoint(fresh.written, db.written) : null
      if (this.rewindFails || fresh === null || common === null) {
        if (this.rewindFails || common === null) this.spoil()
        return finish(failure('rewind failed', true))
      }
      if (this.crashes()) {
        this.spoil()
        return finish(failure('crashed in the middle of a rewind', true))
      }
      db.replaceLog(common)
      this.startReplica(upstream, finish)
    })
  }

  /** A rewind that broke off leaves a copy that must be made anew. */
  private spoil() {
    this.db.data = 'unfinished'
    this.db.hooks.spoiled(this.db)
  }

  private clone(upstream: MemberName | null, source: Database | null, finish: Finish) {
    const { db } = this
    if (!this.readable(source)) return finish(failure('the upstream cannot be read', true))
    if (this.diskFull > 0) return finish(failure('no space left on device', true))
    db.data = 'unfinished'
    db.diskId = null
    if (db.flushed !== null) db.replaceLog(null)
    const { incarnation } = source
    this.later(this.drawMs(db.timing.cloneMs), () => {
      if (!this.readable(source) || source.incarnation !== incarnation || this.crashes()) {
        return finish(failure('the copy broke off', true))
      }
      this.copies += 1
      db.diskId = `${db.member}-copy-${this.copies}`
      db.systemId = source.systemId
      db.data = 'ready'
      db.diskRole = 'replica'
      db.replaceLog(source.flushed)
      this.startReplica(upstream, finish)
    })
  }

  private crashes(): boolean {
    return this.db.random.chance(this.crashMidCommand)
  }

  private freeze(finish: Finish) {
    const { db } = this
    this.later(db.random.decades(1, 40), () => {
      if (!db.running || db.role !== 'replica') return finish(failure('not a running replica', true))
      db.stopReceiver()
      finish(success(this.position(), db.durableLsn))
    })
  }

  private promote(epoch: number, sync: SyncSet, finish: Finish) {
    const { db } = this
    if (db.running && db.role === 'primary') {
      db.epoch = epoch
      return this.applySync(sync, finish)
    }
    if (!db.running) return finish(failure('not running', true))
    if (this.promoteFault === 'fail') return finish(failure('promotion refused', true))
    db.sync = this.bug.promoteSkipsSync ? NO_SYNC : sync
    if (this.promoteFault === 'hang') return
    // Once signalled it goes on in the server, whatever becomes of the one who asked.
    this.later(
      this.drawMs(db.timing.promoteMs),
      () => {
        if (!db.running || db.role === 'primary') return
        db.stopReceiver()
        db.epoch = epoch
        db.fork()
        db.unopenedEpoch = db.sync.need > db.sync.members.length ? epoch : null
        db.role = 'primary'
        db.diskRole = 'primary'
        db.upstream = null
        db.hooks.writable(db, false)
        finish(success(this.position(), db.durableLsn))
      },
      false,
    )
  }

  private restart(epoch: number, sync: SyncSet, finish: Finish) {
    const { db } = this
    if (db.running) {
      if (db.role !== 'primary') return finish(failure('runs as a replica', false))
      db.epoch = epoch
      return this.applySync(sync, finish)
    }
    if (db.data !== 'ready' || db.diskRole !== 'primary') return finish(failure('no primary to restart', false))
    this.later(this.drawMs(db.timing.recoverMs), () => {
      if (this.diskFull > 0) return finish(failure('no space left on device', true))
      db.sync = sync
      db.epoch = epoch
      db.upstream = null
      db.start('primary')
      db.append(-1, 112)
      db.flushSoon()
      finish(success(this.position(), db.durableLsn))
    })
  }

  private applySync(sync: SyncSet, finish: Finish) {
    const { db } = this
    if (!db.running) return finish(failure('not running', true))
    if (this.bug.applySyncLies) finish(success(this.position(), lsnOf(db.written as Point)))
    this.later(
      db.random.decades(1, 30),
      () => {
        if (!db.running || db.role !== 'primary') return finish(failure('not a running primary', true))
        db.obey(sync)
        if (sync.need <= sync.members.length) db.unopenedEpoch = null
        if (sync.need > 0 && !this.bug.releasesLate) {
          // A commit of our own: the standbys' answer to it ends the waits of the others.
          db.append(-1, 64)
          db.flushSoon()
        }
        finish(success(this.position(), db.written === null ? 0 : lsnOf(db.written)))
      },
      false,
    )
  }

  /** Clean stop: no new writes, everything to every connected standby, then gone. */
  private stop(finish: Finish) {
    const { db } = this
    if (!db.running) return finish(success(this.stoppedPosition(), db.durableLsn))
    if (db.role === 'replica') {
      return this.later(this.drawMs(db.timing.fenceMs), () => {
        db.kill(true)
        finish(success(null))
      })
    }
    if (!this.bug.stopWaitsForSilent) {
      for (const sender of [...db.senders]) if (sender.silentForMs() >= SILENT_MS) sender.ended('primary')
    }
    db.stopping = true
    db.cancelWaits()
    const last = db.append(-1, 120)
    db.flushSoon()
    this.awaitShipped(last, finish)
  }

  private awaitShipped(last: Point, finish: Finish) {
    const { db } = this
    this.later(
      db.random.range(3, 15),
      () => {
        const flushed = db.flushed !== null && holds(db.flushed, last)
        if (!flushed || db.senders.some((sender) => sender.ackIndex < last.index))
          return this.awaitShipped(last, finish)
        db.kill(true)
        finish(success(this.stoppedPosition(), db.durableLsn))
      },
      false,
    )
  }

  private stoppedPosition(): Position | null {
    return this.db.flushed === null ? null : this.position()
  }

  position(): Position | null {
    const { flushed } = this.db
    return flushed === null ? null : { timeline: timelineOf(flushed), lsn: this.db.durableLsn }
  }

  view(observedAtMs: number): EngineView {
    const { db } = this
    const answering = db.running && !db.frozen
    const primary = answering && db.role === 'primary'
    return {
      observedAtMs,
      running: db.running,
      answering,
      role: answering ? db.role : 'none',
      data: db.data,
      systemId: db.data === 'ready' ? db.systemId : null,
      diskId: db.data === 'ready' ? db.diskId : null,
      position: answering ? this.position() : null,
      receiving: answering && db.receiver !== null,
      upstream: answering ? db.upstream : null,
      standbys: primary ? db.senders.map((s) => this.standbyView(s.standby.member, s.ackIndex)) : [],
      sync: primary ? db.sync : null,
      unopenedEpoch: db.unopenedEpoch,
      redoBytes: db.flushed === null ? 0 : Math.round((db.durableLsn - FIRST_LSN) * this.redoFactor),
    }
  }

  private standbyView(member: MemberName, index: number) {
    const { written } = this.db
    const flushLsn = index < 0 || written === null ? 0 : lsnOf({ branch: written.branch, index })
    return { member, streaming: true, flushLsn }
  }
}

function success(position: Position | null, lsn = 0): EngineOutcome {
  return { ok: true, position, lsn }
}

function failure(because: string, retryable: boolean): EngineOutcome {
  return { ok: false, because, retryable }
}
