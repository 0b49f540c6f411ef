/**
 * Carries out what the core decided. Each kind of action has its own deadline; each result comes back as one event with
 * the action's id. Starts work and returns; never waits, never throws, never decides.
 */
import type { GroupRecord, MemberName } from '../core/model.ts'
import type { Action } from '../core/protocol.ts'
import type { EngineLane } from './engine-lane.ts'
import type { GuardDesk } from './guard-desk.ts'
import type { Mailbox } from './mailbox.ts'
import type { PeerLink } from './peer-link.ts'
import type { Questions } from './questions.ts'
import type { StorePort } from './store-port.ts'

export interface PerformOptions {
  readonly mailbox: Mailbox
  readonly store: StorePort
  readonly lanes: ReadonlyMap<MemberName, EngineLane>
  readonly guard: GuardDesk
  /** By agent. */
  readonly peers: ReadonlyMap<string, PeerLink>
  readonly questions: Questions
  /** An engine command ended: look at the engine now. */
  readonly onEngineDone: (member: MemberName) => void
  /** A version of the record this agent wrote or read. */
  readonly onRecord: (record: GroupRecord) => void
  /** Some group of ours is held by this agent, or was last. */
  readonly isHolder: (agent: string) => boolean
  /** The local member of `group` that asks. */
  readonly askerOf: (group: string) => MemberName | null
}

type Ask = Extract<Action, { kind: 'ask-freeze' | 'ask-failsafe' }>

export class Performer {
  readonly #options: PerformOptions

  constructor(options: PerformOptions) {
    this.#options = options
  }

  perform(action: Action): void {
    const { guard, questions } = this.#options
    switch (action.kind) {
      case 'write-session':
        void this.#writeSession(action)
        return
      case 'write-record':
        void this.#writeRecord(action)
        return
      case 'read-session':
        void this.#readSession(action)
        return
      case 'read-record':
        void this.#readRecord(action)
        return
      case 'engine':
        void this.#engine(action)
        return
      case 'arm':
        guard.arm(action.member, action.epoch, action.untilMs)
        return
      case 'disarm':
        guard.disarm(action.member)
        return
      case 'ask-freeze':
        for (const member of action.members) void this.#askFreeze(action, member)
        return
      case 'ask-failsafe':
        for (const member of action.members) void this.#askFailsafe(action, member)
        return
      case 'answer-failsafe':
        questions.answer(action.id, { accept: action.accept, because: action.because })
        return
      case 'answer-restart':
        questions.answer(action.id, { accept: action.accept, because: action.because })
        return
      case 'answer-freeze':
        questions.answer(action.id, { report: action.report, because: action.because })
        return
    }
  }

  async #writeSession(action: Extract<Action, { kind: 'write-session' }>): Promise<void> {
    const { mailbox, store } = this.#options
    const { sentAtMs, outcome } = await store.writeSession(action.record, action.ifRevision)
    mailbox.toSession({ kind: 'session-written', id: action.id, sentAtMs, outcome, nowMs: mailbox.nowMs() })
    const { agent } = action.record
    if (outcome.kind === 'unknown' || !this.#options.isHolder(agent)) return
    // What a watch on our own key would bring, without waking for it.
    const { value } = outcome
    mailbox.toSharersOf(agent, { kind: 'session', agent, value, sentAtMs: null, id: null, nowMs: mailbox.nowMs() })
  }

  async #writeRecord(action: Extract<Action, { kind: 'write-record' }>): Promise<void> {
    const { mailbox, store, onRecord } = this.#options
    const { sentAtMs, outcome } = await store.writeGroup(action.record, action.ifRevision)
    if (outcome.kind !== 'unknown' && outcome.value !== null) onRecord(outcome.value)
    const event = { kind: 'record-written', id: action.id, sentAtMs, outcome, nowMs: mailbox.nowMs() } as const
    mailbox.toGroup(action.record.group, event)
  }

  async #readSession(action: Extract<Action, { kind: 'read-session' }>): Promise<void> {
    const { mailbox, store } = this.#options
    const { id, agent } = action
    const { sentAtMs, outcome } = await store.readSession(agent)
    const nowMs = mailbox.nowMs()
    if (outcome.kind !== 'ok') {
      mailbox.toAll({ kind: 'read-failed', id, because: because(outcome), nowMs })
      return
    }
    mailbox.toSharersOf(agent, { kind: 'session', agent, value: outcome.value, sentAtMs, id, nowMs })
  }

  async #readRecord(action: Extract<Action, { kind: 'read-record' }>): Promise<void> {
    const { mailbox, store, onRecord } = this.#options
    const { id, group } = action
    const { sentAtMs, outcome } = await store.readGroup(group)
    const nowMs = mailbox.nowMs()
    if (outcome.kind !== 'ok') {
      mailbox.toGroup(group, { kind: 'read-failed', id, because: because(outcome), nowMs })
      return
    }
    if (outcome.value !== null) onRecord(outcome.value)
    const { revision, value } = outcome
    mailbox.toGroup(group, { kind: 'record', revision, value, sentAtMs, id, nowMs })
  }

  async #engine(action: Extract<Action, { kind: 'engine' }>): Promise<void> {
    const { mailbox, lanes, guard, onEngineDone } = this.#options
    const { id, member, command } = action
    const leftMs = Math.max(1, action.deadlineMs - mailbox.nowMs())
    const outcome = (await lanes.get(member)?.run(command, leftMs)) ?? {
      ok: false,
      because: `no member ${member} beside this agent`,
      retryable: false,
    }
    guard.refresh(member)
    mailbox.toMember(member, { kind: 'engine-done', id, outcome, nowMs: mailbox.nowMs() })
    onEngineDone(member)
  }

  async #askFreeze(action: Extract<Ask, { kind: 'ask-freeze' }>, to: MemberName): Promise<void> {
    const { mailbox, questions } = this.#options
    const { id, group, epoch } = action
    const { peer, from, requestMs } = this.#route(action, to)
    const ask = (question: number): void =>
      mailbox.toMember(to, { kind: 'freeze-asked', id: question, from, epoch, nowMs: mailbox.nowMs() })
    const report =
      peer === null
        ? mailbox.settingsOf(to) === null
          ? null
          : ((await questions.freeze(ask, requestMs))?.report ?? null)
        : await peer.freeze({ group, member: to, from, epoch }, requestMs)
    mailbox.toGroup(group, { kind: 'freeze-answer', id, from: to, report, nowMs: mailbox.nowMs() })
  }

  async #askFailsafe(action: Extract<Ask, { kind: 'ask-failsafe' }>, to: MemberName): Promise<void> {
    const { mailbox, questions } = this.#options
    const { id, group, epoch } = action
    const { peer, from, requestMs } = this.#route(action, to)
    const sentAtMs = mailbox.nowMs()
    const ask = (question: number): void =>
      mailbox.toMember(to, { kind: 'failsafe-asked', id: question, from, epoch, nowMs: mailbox.nowMs() })
    const local = mailbox.settingsOf(to) === null ? null : questions.failsafe(ask, requestMs)
    const reply = (await (peer?.failsafe({ group, member: to, from, epoch }, requestMs) ?? local)) ?? {
      accept: false,
      because: `nobody here knows member ${to}`,
    }
    const { accept, because } = reply
    const nowMs = mailbox.nowMs()
    mailbox.toGroup(group, { kind: 'failsafe-answer', id, from: to, sentAtMs, accept, because, nowMs })
  }

  /** Who answers for `to`: another agent, or this one (peer null) when both stand beside it. */
  #route(action: Ask, to: MemberName): { peer: PeerLink | null; from: MemberName; requestMs: number } {
    const { mailbox, peers, askerOf } = this.#options
    const from = askerOf(action.group) ?? ''
    const settings = mailbox.settingsOf(from)
    const agent = settings?.members.find((member) => member.member === to)?.agent
    const peer = agent === undefined ? null : (peers.get(agent) ?? null)
    return { peer, from, requestMs: settings?.timing.requestMs ?? 0 }
  }
}

function because(outcome: { readonly kind: string; readonly because?: string }): string {
  return outcome.because ?? outcome.kind
}
