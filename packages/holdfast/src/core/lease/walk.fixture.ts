/**
 * Test support: one member in a world of its own, with an oracle that keeps its own account of what was told and checks
 * every action against the invariants of SPEC.md. It shares no code with the rules it checks.
 */
import assert from 'node:assert/strict'
import type { GroupRecord, Role, SessionRecord } from '../model.ts'
import { type NodeSettings, type NodeState, startNode, stepNode } from '../node.ts'
import type { Action, MemberEvent, SessionEvent } from '../protocol.ts'
import type { MemberSettings } from '../settings.ts'
import { openRecord } from './script.ts'

type Pending<K extends Action['kind']> = Extract<Action, { kind: K }>

/** A store with one record, and an account of everything the core was told and did. */
export class Walk {
  readonly member: MemberSettings
  readonly settings: NodeSettings
  state: NodeState
  nowMs = 0
  pending: Action[] = []
  old: Action[] = []
  revision = 5
  record: GroupRecord
  sessionRevision = 1
  holderBeat = 7
  holderSession = 'a-1'
  /** Sent times that were confirmed; the oracle of trust. */
  confirmedSentMs = Number.NEGATIVE_INFINITY
  failsafeSentMs = Number.NEGATIVE_INFINITY
  readonly accepts = new Map<number, Map<string, number>>()
  promisedUntilMs = 0
  /** What was told of the holder's session: the newest change and the newest read of that very value. */
  readonly told = new Map<string, { key: string; beat: number; changedAtMs: number; readSentAtMs: number }>()
  toldRecord: { revision: number; value: GroupRecord; atMs: number } | null = null
  op: Pending<'engine'> | null = null
  mayBePrimary = false
  readonly writes = new Set<number>()
  readonly roles = new Set<Role>()

  constructor(member: MemberSettings) {
    this.member = member
    const { ttlMs, beatMs, requestMs, marginMs } = member.timing
    this.settings = { agent: member.self.agent, ttlMs, beatMs, requestMs, marginMs, members: [member] }
    this.state = startNode(this.settings, 'boot', 0)
    const listed = member.replication.kind === 'quorum' ? { b: 'disk-b', c: 'disk-c' } : { b: 'disk-b' }
    this.record = openRecord({ sync: { members: Object.keys(listed), need: 1, disks: listed } })
  }

  get own() {
    const own = this.state.members.b
    assert.ok(own !== undefined)
    return own
  }

  find<K extends Action['kind']>(kind: K): Pending<K> | undefined {
    return this.pending.find((a): a is Pending<K> => a.kind === kind)
  }

  drop(action: Action): void {
    this.pending = this.pending.filter((a) => a !== action)
    this.old = [action, ...this.old].slice(0, 8)
  }

  tell(event: MemberEvent): void {
    this.run(() => stepNode(this.state, { to: 'member', member: 'b', event }, this.settings))
  }

  tellSession(event: SessionEvent): void {
    this.run(() => stepNode(this.state, { to: 'session', event }, this.settings))
  }

  tick(): void {
    const { nowMs } = this
    this.run(() => stepNode(this.state, { to: 'node', event: { kind: 'tick', nowMs } }, this.settings))
  }

  run(step: () => ReturnType<typeof stepNode>): void {
    let result = step()
    this.take(result)
    for (let spins = 0; result.wakeAtMs <= this.nowMs; spins += 1) {
      assert.ok(spins < 6, `spins at ${this.nowMs}: wakes at ${result.wakeAtMs} as ${this.own.role}`)
      result = stepNode(this.state, { to: 'node', event: { kind: 'tick', nowMs: this.nowMs } }, this.settings)
      this.take(result)
    }
  }

  take(result: ReturnType<typeof stepNode>): void {
    this.state = result.state
    this.roles.add(this.own.role)
    for (const action of result.actions) this.check(action)
    this.pending.push(...result.actions)
    if (this.own.role === 'primary' || this.own.role === 'promoting' || this.own.role === 'demoting') {
      assert.ok(this.nowMs < this.trustUntilMs() - this.member.timing.fenceMs, `I2: ${this.own.role} past its fence`)
    }
  }

  trustUntilMs(): number {
    const { ttlMs, marginMs } = this.member.timing
    return Math.max(this.confirmedSentMs, this.failsafeSentMs) + ttlMs - marginMs
  }

  check(action: Action): void {
    const { timing } = this.member
    if (action.kind === 'arm') {
      assert.ok(action.untilMs <= this.trustUntilMs() - timing.fenceMs, `I1: armed until ${action.untilMs}`)
    }
    if (action.kind === 'answer-failsafe' && action.accept) {
      assert.ok(
        !['claiming', 'promoting', 'primary', 'demoting'].includes(this.own.role),
        'I13: promised while claiming',
      )
      this.promisedUntilMs = this.nowMs + timing.ttlMs + timing.marginMs
    }
    if (action.kind === 'engine') this.checkEngine(action)
    if (action.kind === 'write-record') this.checkWrite(action)
  }

  checkEngine(action: Pending<'engine'>): void {
    const what = action.command.do
    // A command without an answer is given up for lost some time after its deadline.
    const lostMs = (this.op?.deadlineMs ?? 0) + 2 * this.member.timing.requestMs
    if (this.nowMs >= lostMs) this.op = null
    if (this.op !== null && what !== 'fence') {
      const follows = this.op.command.do === 'follow' && ['freeze', 'promote', 'follow'].includes(what)
      assert.ok(follows, `${what} while ${this.op.command.do} runs`)
    }
    this.op = action
    if (what === 'promote' || what === 'create' || what === 'restart') {
      const { guard, hold, role } = this.own
      assert.equal(role, 'promoting')
      assert.ok(hold !== null && guard.alive && guard.armedUntilMs > this.nowMs, `I7: ${what} without an armed guard`)
      assert.ok(this.nowMs < this.trustUntilMs(), `I7: ${what} without trust`)
      if (what !== 'restart') assert.deepEqual(action.command.sync, { members: [], need: 1 }, 'I8: the gate')
      this.mayBePrimary = true
    }
  }

  checkWrite(action: Pending<'write-record'>): void {
    const { record, purpose, ifRevision } = action
    if (this.writes.has(action.id)) return
    this.writes.add(action.id)
    const told = this.toldRecord
    assert.ok(told !== null, 'a write needs a record')
    assert.equal(ifRevision, told.revision, 'a write goes on the newest version told')
    if (purpose === 'claim') {
      assert.equal(record.epoch, told.value.epoch + 1, 'I6')
      assert.ok(this.proved(told.value, told.atMs), `I5: no proof that ${told.value.holder} is gone`)
      assert.ok(this.nowMs >= this.promisedUntilMs, 'I13: claims against its promise')
      assert.equal(record.sync, told.value.sync, 'a claim leaves the sync set')
    } else assert.equal(record.epoch, told.value.epoch, 'I6: the epoch stays')
    if (purpose === 'release') {
      assert.equal(told.value.holder, 'b', 'releases what it does not hold')
      assert.ok(!this.mayBePrimary, 'I12: released with an engine that may write')
    }
  }

  proved(record: GroupRecord, seenAtMs: number): boolean {
    const { ttlMs, marginMs } = this.member.timing
    if (record.phase === 'released') {
      const to = record.release?.to ?? null
      return to === null || to === 'b' || this.nowMs >= seenAtMs + ttlMs
    }
    const seen = this.told.get(record.agent ?? '')
    if (seen === undefined) return false
    if (!seen.key.startsWith(`${record.session}#`) && seen.key !== 'null#0') return seen.readSentAtMs >= seenAtMs
    return seen.readSentAtMs >= seen.changedAtMs + ttlMs + marginMs
  }

  noteRecord(revision: number, value: GroupRecord): void {
    if (this.toldRecord !== null && revision <= this.toldRecord.revision) return
    if (this.toldRecord?.value.session !== value.session && value.agent !== null) this.told.delete(value.agent)
    this.toldRecord = { revision, value, atMs: this.nowMs }
  }

  noteSession(agent: string, value: SessionRecord | null, readSentAtMs: number): void {
    if (this.toldRecord?.value.agent !== agent) return
    const key = `${value?.session ?? null}#${value?.beat ?? 0}`
    const beat = value?.beat ?? 0
    const before = this.told.get(agent)
    if (before?.key === key) before.readSentAtMs = Math.max(before.readSentAtMs, readSentAtMs)
    else if (!(before?.key.split('#')[0] === key.split('#')[0] && beat < (before?.beat ?? 0) && readSentAtMs < 0))
      this.told.set(agent, { key, beat, changedAtMs: this.nowMs, readSentAtMs })
  }
}
