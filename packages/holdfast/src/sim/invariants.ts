/**
 * S1 to S9, checked when something happens that could break them, with the whole truth in view: every log, every
 * process, the store's present value. The first break ends the run. Loss is allowed only where an operator accepted it
 * for that very leadership, or within the declared bound of an async group.
 */
import type { GroupRecord, MemberName } from '../core/model.ts'
import type { Action } from '../core/protocol.ts'
import type { AgentProcess } from './agent-process.ts'
import type { Database } from './database.ts'
import { commonPoint, entryAt, holds, lsnOf, type Point } from './log.ts'
import type { StreamEnd } from './replication.ts'
import { GROUP, type Scenario } from './scenario.ts'
import { type Sometimes, sometimes } from './sometimes.ts'
import type { SimStore, Stored } from './store.ts'
import { KIND, type World } from './world.ts'

export interface Violation {
  readonly invariant: string
  readonly atMs: number
  readonly what: string
}

export class Checker {
  violation: Violation | null = null
  acks = 0
  promotions = 0
  automatic = 0
  /** Times of leaderships that nobody ordered. */
  readonly automaticAtMs: number[] = []
  approvedLosses = 0
  asyncLossBytesMax = 0
  /** The newest acknowledged write; every later primary must hold it and all before it. */
  tip: Point | null = null
  readonly lostDisks = new Set<string>()
  readonly seen: Sometimes
  databases: readonly Database[] = []
  store: SimStore | null = null
  private readonly world: World
  private readonly scenario: Scenario
  private ackedEpoch = 0
  private readonly approved = new Set<number>()
  private readonly cleanly = new Set<number>()
  private readonly vouchedFor = new Set<number>()
  private readonly leaders = new Map<number, string>()
  private readonly lastHold = new Map<string, unknown>()

  constructor(world: World, scenario: Scenario, seen: Sometimes) {
    this.world = world
    this.scenario = scenario
    this.seen = seen
  }

  fail(invariant: string, what: string): void {
    if (this.violation !== null) return
    this.violation = { invariant, atMs: Math.round(this.world.nowMs), what }
    this.world.stopped = true
  }

  get record(): GroupRecord | null {
    return (this.store?.peek(`groups/${GROUP}`).value ?? null) as GroupRecord | null
  }

  private get isAsync(): boolean {
    return this.scenario.replication.kind === 'async'
  }

  private database(member: string): Database | undefined {
    return this.databases.find((db) => db.member === member)
  }

  // --- engines ------------------------------------------------------------------------------------------------------

  writable(db: Database, thawed: boolean): void {
    for (const other of this.databases) {
      if (other !== db && other.writable) this.twoWriters(db, other)
    }
    // A promotion that goes on with its machine is behind the gate; its guard comes next.
    if (thawed || db.excusedUntilMs > this.world.nowMs) return
    this.promotions += 1
    this.checkDisk(db)
    if (this.tip === null) return
    if (db.flushed !== null && holds(db.flushed, this.tip)) return
    const common = db.flushed === null ? null : commonPoint(db.flushed, this.tip)
    if (this.approved.has(db.epoch) && common !== null) {
      this.approvedLosses += 1
      this.tip = common
      return
    }
    if (this.isAsync && common !== null) this.asyncLoss(db, common)
    else this.fail('S3', `${named(db)} opens with lsn ${db.durableLsn} but lsn ${lsnOf(this.tip)} was acknowledged`)
  }

  /**
   * S2. Nothing but a guard that runs can stop a process, so when a machine goes on after a pause and its guard comes a
   * few milliseconds later, two databases may stand open for just that long. Then S2 is: the pair is gone when the
   * guard has had its turn, and nothing is lost by what was acknowledged in between (`lateAck`).
   */
  private twoWriters(a: Database, b: Database): void {
    const nowMs = this.world.nowMs
    const excusedUntilMs = Math.max(a.excusedUntilMs, b.excusedUntilMs)
    if (excusedUntilMs <= nowMs) {
      this.fail('S2', `${named(a)} and ${named(b)} both accept writes`)
      return
    }
    sometimes(this.seen, 'late-guard-after-pause')
    this.world.at(excusedUntilMs + 0.001, KIND.check, a.host, () => {
      if (a.writable && b.writable) this.twoWriters(a, b)
    })
  }

  /** An older leadership acknowledges while its guard wakes up: in sync mode the later history must hold that write. */
  private lateAck(db: Database, point: Point): boolean {
    const { record, tip } = this
    if (db.excusedUntilMs <= this.world.nowMs || record === null || record.epoch <= db.epoch) return false
    sometimes(this.seen, 'late-acknowledgement')
    if (this.isAsync) return true
    const later = record.holder === null ? null : (this.database(record.holder)?.flushed ?? null)
    return (later !== null && holds(later, point)) || (tip !== null && holds(tip, point))
  }

  private asyncLoss(db: Database, common: Point): void {
    const { replication } = this.scenario
    const { tip } = this
    if (replication.kind !== 'async' || tip === null) return
    const bytes = lsnOf(tip) - lsnOf(common)
    const last = entryAt(tip)
    const first = entryAt({ branch: tip.branch, index: common.index + 1 })
    const ms = (last?.atMs ?? 0) - (first?.atMs ?? 0)
    sometimes(this.seen, 'async-loss')
    this.asyncLossBytesMax = Math.max(this.asyncLossBytesMax, bytes)
    if (bytes > replication.lossBytesMax)
      this.fail('S5', `${db.member} loses ${bytes} bytes, declared ${replication.lossBytesMax}`)
    else if (ms > replication.lossMsMax)
      this.fail('S5', `${db.member} loses ${Math.round(ms)} ms, declared ${replication.lossMsMax}`)
    this.tip = common
  }

  private checkDisk(db: Database): void {
    const { record } = this
    if (this.isAsync || record === null || record.lastOpen === null || record.epoch !== db.epoch) return
    if (this.approved.has(db.epoch) || this.cleanly.has(db.epoch)) return
    const last = record.lastOpen.member === db.member && record.lastOpen.diskId === db.diskId
    const listed = record.sync.members.includes(db.member) && record.sync.disks[db.member] === db.diskId
    if (!last && !listed && !this.vouchedFor.has(db.epoch))
      this.fail('S8', `${db.member} opens with disk ${db.diskId}, which nobody confirmed`)
  }

  /** At the claim of a member that is not listed: its log holds all that enough listed copies hold (R15). */
  private isVouchedFor(old: GroupRecord, member: MemberName | null): boolean {
    const own = member === null ? undefined : this.database(member)
    const { members, need, disks } = old.sync
    if (own === undefined || own.flushed === null || need === 0 || members.includes(own.member)) return false
    const { flushed } = own
    const vouching = members.filter((name) => {
      const other = this.database(name)
      if (other === undefined) return false
      // Lost after it had answered: whatever it held is judged by S3 alone.
      if (other.diskId !== disks[name]) return this.lostDisks.has(disks[name] ?? '')
      return other.flushed !== null && holds(flushed, other.flushed)
    })
    return vouching.length > members.length - need
  }

  acknowledged(db: Database, point: Point): void {
    this.acks += 1
    const { epoch } = db
    if (this.lateAck(db, point)) return
    if (epoch < this.ackedEpoch)
      this.fail('S6', `${db.member} acknowledges in epoch ${epoch} after epoch ${this.ackedEpoch}`)
    this.ackedEpoch = Math.max(this.ackedEpoch, epoch)
    const { tip } = this
    if (tip !== null && (db.flushed === null || !holds(db.flushed, tip))) {
      this.fail('S3', `${db.member} acknowledges on a log without lsn ${lsnOf(tip)}, acknowledged before`)
    }
    if (tip === null || point.index > tip.index) this.tip = point
    this.checkEligible('an acknowledgement')
  }

  /** S4: who the store lists as able to take over without loss really is. */
  checkEligible(when: string, giving = false): void {
    const { tip, record } = this
    if (tip === null || record === null || this.isAsync) return
    const open = record.lastOpen
    const last = open === null ? undefined : this.database(open.member)
    if (last !== undefined && last.diskId === open?.diskId && last.flushed !== null && !holds(last.flushed, tip)) {
      this.fail('S4', `${last.member} is the last open holder but lacks lsn ${lsnOf(tip)}, seen at ${when}`)
    }
    const { need, members, disks } = record.sync
    if (need === 0) return
    let complete = 0
    for (const member of members) {
      const disk = disks[member]
      if (disk !== undefined && this.lostDisks.has(disk)) {
        complete += 1
        continue
      }
      const db = this.database(member)
      if (db === undefined || db.data !== 'ready' || db.flushed === null) complete += giving ? 0 : 1
      // Another copy than the confirmed one never counts for a quorum, so it cannot outvote those that hold the write.
      else if (db.diskId !== disk || holds(db.flushed, tip)) complete += 1
    }
    if (complete < need) {
      const have = members.map((m) => `${m}=${this.database(m)?.durableLsn ?? 0}`).join(' ')
      this.fail('S4', `only ${complete} of ${need} listed members hold lsn ${lsnOf(tip)} (${have}), seen at ${when}`)
    }
  }

  confirmed(primary: Database, standby: StreamEnd, index: number): void {
    if (index < 0 || primary.flushed === null || standby.flushed === null) return
    const point = { branch: primary.flushed.branch, index }
    if (index <= primary.flushed.index && !holds(standby.flushed, point)) {
      this.fail(
        'S7',
        `${standby.member} confirms lsn ${lsnOf(point)} of ${primary.member}, which its log does not hold`,
      )
    }
  }

  logReplaced(db: Database, before: Point | null): void {
    if (db.flushed !== null) sometimes(this.seen, before === null ? 'copy-made-anew' : 'rewind')
    if (before !== null) this.checkEligible(`${db.member} giving up its copy`, true)
  }

  // --- store and actions --------------------------------------------------------------------------------------------

  applied(key: string, before: Stored, after: Stored): void {
    if (key !== `groups/${GROUP}`) return
    const old = before.value as GroupRecord | null
    const now = after.value as GroupRecord | null
    if (now === null) return
    if (old !== null && now.epoch < old.epoch) this.fail('S1', `epoch falls from ${old.epoch} to ${now.epoch}`)
    const leader = `${now.holder}/${now.session}`
    const known = this.leaders.get(now.epoch)
    if (known !== undefined && known !== leader)
      this.fail('S1', `epoch ${now.epoch} belongs to ${known}, then to ${leader}`)
    this.leaders.set(now.epoch, leader)
    if (old !== null && now.epoch > old.epoch) this.newEpoch(old, now)
    else if (old !== null && now.phase === 'open') this.noteSync(old, now)
    this.checkNames(now)
    if (now.phase === 'released' && old?.phase !== 'released') this.checkReleased(now)
    this.checkEligible(`record ${now.stamp}`)
  }

  /** A copy without a name could be any copy (S8). */
  private checkNames(now: GroupRecord): void {
    const disks = [now.lastOpen?.diskId, ...now.sync.members.map((member) => now.sync.disks[member] ?? '')]
    if (disks.includes('')) this.fail('S8', `record ${now.stamp} carries a disk without a name`)
  }

  /** What a member believes to hold was given to just that session. */
  holds(shell: AgentProcess): void {
    const { member } = shell.parts
    const hold = shell.state?.members[member]?.hold ?? null
    if (hold === null || this.lastHold.get(member) === hold) return
    this.lastHold.set(member, hold)
    const leader = this.leaders.get(hold.epoch)
    if (leader !== `${member}/${hold.session}`)
      this.fail('S1', `${member} holds epoch ${hold.epoch} by session ${hold.session}, but it belongs to ${leader}`)
  }

  private noteSync(old: GroupRecord, now: GroupRecord): void {
    const [before, after] = [old.sync.members.length, now.sync.members.length]
    if (after > before) sometimes(this.seen, 'sync-set-grows')
    if (after < before) sometimes(this.seen, after === 0 ? 'primary-alone' : 'sync-set-shrinks')
  }

  private newEpoch(old: GroupRecord, now: GroupRecord): void {
    if (old.intent?.kind === 'failover' && old.intent.allowDataLoss) this.approved.add(now.epoch)
    const clean = old.release?.clean === true
    if (clean) this.cleanly.add(now.epoch)
    if (this.isVouchedFor(old, now.holder)) {
      this.vouchedFor.add(now.epoch)
      sometimes(this.seen, 'further-than-listed')
    }
    const planned = old.intent !== null || clean || old.phase === 'creating' || old.systemId === null
    if (planned) sometimes(this.seen, 'planned-move')
    else {
      this.automatic += 1
      this.automaticAtMs.push(this.world.nowMs)
      sometimes(this.seen, now.holder === old.holder ? 'same-member-again' : 'other-member-takes-over')
    }
    if (old.phase === 'claimed') sometimes(this.seen, 'claim-without-opening')
  }

  private checkReleased(now: GroupRecord): void {
    const db = now.holder === null ? undefined : this.database(now.holder)
    // A stopped process counts too: it writes again the moment it goes on.
    if (db?.running === true && db.role === 'primary') {
      this.fail('S9', `${db.member} is released while its engine ${db.writable ? 'accepts writes' : 'is not dead'}`)
    }
  }

  performed(shell: AgentProcess, action: Action): void {
    if (action.kind !== 'engine') return
    const { do: what } = action.command
    if (what === 'restart') sometimes(this.seen, 'restart-in-place')
    if (what !== 'promote' && what !== 'restart' && what !== 'create') return
    const { guard } = shell
    if (guard === null || !guard.alive || guard.untilMs <= shell.localMs) {
      this.fail('S9', `${action.member} is told to ${what} while no guard stands ready`)
    }
  }
}

function named(db: Database): string {
  return `${db.member} (epoch ${db.epoch})`
}
