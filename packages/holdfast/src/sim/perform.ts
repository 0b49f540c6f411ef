/**
 * Carries out a shell's actions in the simulated world and brings the results back as events: calls to the store with a
 * deadline, questions to peers, engine commands, words to the guard. A missing answer from a peer never comes.
 */
import type { GroupRecord, MemberName, PeerReport, SessionRecord } from '../core/model.ts'
import type { Action, StoreOutcome } from '../core/protocol.ts'
import type { AgentProcess } from './agent-process.ts'
import type { CasAnswer } from './store.ts'

type ActionOf<K extends Action['kind']> = Extract<Action, { kind: K }>
type FreezeReply = (report: PeerReport | null) => void
type FailsafeReply = (accept: boolean, because: string) => void

/** A peer's report, when it was made on the peer's clock, and how long its loop had not run then. */
interface Answer {
  readonly report: PeerReport
  readonly atMs: number
  readonly loopAgeMs: number
}

/** Questions of peers that wait for the core's answer. */
const QUESTIONS_MAX = 64

export class Performer {
  private readonly shell: AgentProcess
  private nextQuestion = 1
  private readonly freezes = new Map<number, FreezeReply>()
  private readonly failsafes = new Map<number, FailsafeReply>()

  constructor(shell: AgentProcess) {
    this.shell = shell
  }

  forget(): void {
    this.freezes.clear()
    this.failsafes.clear()
  }

  perform(action: Action) {
    const { shell } = this
    switch (action.kind) {
      case 'write-session':
        return this.writeSession(action)
      case 'write-record':
        return this.writeRecord(action)
      case 'read-session':
        return this.readSession(action)
      case 'read-record':
        return this.readRecord(action.id)
      case 'arm':
        return shell.guard?.arm(action.untilMs)
      case 'disarm':
        return shell.guard?.disarm()
      case 'engine':
        return this.engine(action)
      case 'ask-freeze':
        for (const member of action.members) this.askFreeze(action, member)
        return
      case 'ask-failsafe':
        for (const member of action.members) this.askFailsafe(action, member)
        return
      case 'answer-freeze':
        this.freezes.get(action.id)?.(action.report)
        this.freezes.delete(action.id)
        return
      case 'answer-failsafe':
        this.failsafes.get(action.id)?.(action.accept, action.because)
        this.failsafes.delete(action.id)
        return
      case 'answer-restart':
        return
    }
  }

  /** One attempt with a deadline: `late` runs when nothing came in time, and then no answer is heard any more. */
  private attempt<T>(send: (answer: (value: T) => void) => void, heard: (value: T) => void, late: () => void): void {
    const { shell } = this
    const { incarnation } = shell
    let open = true
    const deadline = shell.later(shell.parts.settings.requestMs, () => {
      if (!open) return
      open = false
      shell.parts.store.unanswered(shell.parts.host)
      late()
    })
    send((value) =>
      shell.inside(incarnation, () => {
        if (!open) return
        open = false
        shell.parts.world.callOff(deadline)
        heard(value)
      }),
    )
  }

  private sentAt(leftMs: number): number {
    return this.shell.parts.bug.trustFromAnswer ? this.shell.localMs : leftMs
  }

  private writeSession(action: ActionOf<'write-session'>) {
    const { shell } = this
    const leftMs = shell.localMs
    const tell = (outcome: StoreOutcome<SessionRecord>) => {
      const event = { kind: 'session-written', id: action.id, sentAtMs: this.sentAt(leftMs), outcome } as const
      shell.step({ to: 'session', event: { ...event, nowMs: shell.localMs } })
    }
    const write = { key: `sessions/${action.record.agent}`, value: action.record, ifRevision: action.ifRevision }
    this.attempt<CasAnswer>(
      (answer) => shell.parts.store.compareAndSet(shell.parts.host, write, answer),
      (answer) => tell(answer as StoreOutcome<SessionRecord>),
      () => tell({ kind: 'unknown', because: 'no answer in time' }),
    )
  }

  private writeRecord(action: ActionOf<'write-record'>) {
    const { shell } = this
    const sentAtMs = shell.localMs
    const tell = (outcome: StoreOutcome<GroupRecord>) =>
      shell.tell({ kind: 'record-written', id: action.id, sentAtMs, outcome, nowMs: shell.localMs })
    const write = { key: `groups/${action.record.group}`, value: action.record, ifRevision: action.ifRevision }
    this.attempt<CasAnswer>(
      (answer) => shell.parts.store.compareAndSet(shell.parts.host, write, answer),
      (answer) => tell(answer as StoreOutcome<GroupRecord>),
      () => tell({ kind: 'unknown', because: 'no answer in time' }),
    )
  }

  /** Somebody else's read; it ends without a word when nothing comes. */
  readSessionUnasked(agent: string): void {
    this.readSession({ agent, id: null })
  }

  private readSession({ agent, id }: { agent: string; id: number | null }) {
    const { shell } = this
    const sentAtMs = shell.localMs
    this.attempt<{ value: unknown }>(
      (answer) => shell.parts.store.get(shell.parts.host, `sessions/${agent}`, answer),
      ({ value }) =>
        shell.tell({
          kind: 'session',
          agent,
          value: value as SessionRecord | null,
          sentAtMs,
          id,
          nowMs: shell.localMs,
        }),
      () => {
        if (id !== null) shell.tell({ kind: 'read-failed', id, because: 'no answer in time', nowMs: shell.localMs })
      },
    )
  }

  readRecordUnasked(): void {
    this.readRecord(null)
  }

  private readRecord(id: number | null) {
    const { shell } = this
    const sentAtMs = shell.localMs
    this.attempt<{ revision: number; value: unknown }>(
      (answer) => shell.parts.store.get(shell.parts.host, `groups/${shell.parts.group}`, answer),
      ({ revision, value }) => {
        const nowMs = shell.localMs
        shell.tell({ kind: 'record', revision, value: value as GroupRecord | null, sentAtMs, id, nowMs })
      },
      () => {
        if (id !== null) shell.tell({ kind: 'read-failed', id, because: 'no answer in time', nowMs: shell.localMs })
      },
    )
  }

  private engine(action: ActionOf<'engine'>) {
    const { shell } = this
    const { incarnation } = shell
    const { clock, engine } = shell.parts
    const deadlineMs = Math.max(clock.trueMs(action.deadlineMs), shell.parts.world.nowMs + 1)
    engine.run(action.command, deadlineMs, (outcome) => {
      // Results come back through the event loop, never inside the step that asked.
      shell.later(0.1, () => {
        if (shell.incarnation !== incarnation) return
        shell.tell({ kind: 'engine-done', id: action.id, outcome, nowMs: shell.localMs })
        shell.look()
      })
    })
  }

  // --- peers --------------------------------------------------------------------------------------------------------

  /** Once per beat; times in an answer become ages that count from when the question left (R10). */
  askPeers(): void {
    const { shell } = this
    const { incarnation } = shell
    const { network, host } = shell.parts
    const sentAtMs = shell.localMs
    for (const spec of shell.parts.settings.members[0]?.members ?? []) {
      const peer = spec.member === shell.parts.member ? null : shell.parts.peer(spec.member)
      if (peer === null || !peer.alive) continue
      // A stopped process reads the question when it goes on.
      if (peer.frozen) {
        this.question(peer, (reply) => {
          const answer = reportNow(peer)
          if (answer !== null) reply(() => this.heardReport(answer, sentAtMs))
        })
        continue
      }
      const answer = reportNow(peer)
      if (answer === null) continue
      const heard = () => this.heardReport(answer, sentAtMs)
      network.roundTrip(host, peer.parts.host, () => shell.inside(incarnation, heard))
    }
  }

  private heardReport(answer: Answer, sentAtMs: number) {
    const { shell } = this
    const nowMs = shell.localMs
    if (nowMs - sentAtMs > shell.parts.settings.requestMs) return
    shell.tell({ kind: 'peer', report: localReport(answer, sentAtMs, nowMs), nowMs })
  }

  /** Carries a question to a peer's process and its answer back into ours. */
  private question(peer: AgentProcess, ask: (reply: (heard: () => void) => void) => void) {
    const { shell } = this
    const { incarnation } = shell
    const { network, host } = shell.parts
    const there = peer.parts.host
    network.send(host, there, () => {
      peer.inside(peer.incarnation, () =>
        ask((heard) => network.send(there, host, () => shell.inside(incarnation, heard))),
      )
    })
  }

  private askFreeze(action: ActionOf<'ask-freeze'>, member: MemberName) {
    const { shell } = this
    const peer = shell.parts.peer(member)
    if (peer === null) return
    const sentAtMs = shell.localMs
    let open = true
    const heard = (report: PeerReport | null) => {
      if (!open) return
      open = false
      shell.tell({ kind: 'freeze-answer', id: action.id, from: member, report, nowMs: shell.localMs })
    }
    this.question(peer, (reply) =>
      peer.questions.freeze(shell.parts.member, action.epoch, (report) => {
        const aged = report === null ? null : { report, atMs: peer.localMs, loopAgeMs: 0 }
        reply(() => heard(aged === null ? null : localReport(aged, sentAtMs, shell.localMs)))
      }),
    )
    shell.later(shell.parts.settings.requestMs, () => heard(null))
  }

  private askFailsafe(action: ActionOf<'ask-failsafe'>, member: MemberName) {
    const { shell } = this
    const peer = shell.parts.peer(member)
    if (peer === null) return
    const leftMs = shell.localMs
    this.question(peer, (reply) =>
      peer.questions.failsafe(shell.parts.member, action.epoch, (accept, because) =>
        reply(() => {
          const nowMs = shell.localMs
          const sentAtMs = this.sentAt(leftMs)
          shell.tell({ kind: 'failsafe-answer', id: action.id, from: member, sentAtMs, accept, because, nowMs })
        }),
      ),
    )
  }

  /** A peer's question: put to the core under an id of our own. */
  freeze(from: MemberName, epoch: number, reply: FreezeReply): void {
    const id = this.nextQuestion++
    if (this.freezes.size >= QUESTIONS_MAX) this.freezes.delete(this.freezes.keys().next().value ?? -1)
    this.freezes.set(id, reply)
    this.shell.tell({ kind: 'freeze-asked', id, from, epoch, nowMs: this.shell.localMs })
  }

  failsafe(from: MemberName, epoch: number, reply: FailsafeReply): void {
    const id = this.nextQuestion++
    if (this.failsafes.size >= QUESTIONS_MAX) this.failsafes.delete(this.failsafes.keys().next().value ?? -1)
    this.failsafes.set(id, reply)
    this.shell.tell({ kind: 'failsafe-asked', id, from, epoch, nowMs: this.shell.localMs })
  }
}

function reportNow(peer: AgentProcess): Answer | null {
  const { core, member, settings } = peer.parts
  const atMs = peer.localMs
  const report = peer.state === null ? null : core.report(peer.state, member, settings, atMs)
  return report === null ? null : { report, atMs, loopAgeMs: peer.loopAgeMs() }
}

/** Times in an answer are told on the asker's clock, as ages since the question left (R10). */
function localReport(answer: Answer, sentAtMs: number, nowMs: number): PeerReport {
  const { report, atMs } = answer
  const loopAgeMs = answer.loopAgeMs + nowMs - sentAtMs
  if (report.engine === null) return { ...report, loopAgeMs }
  const observedAtMs = sentAtMs - Math.max(0, atMs - report.engine.observedAtMs)
  return { ...report, engine: { ...report.engine, observedAtMs }, loopAgeMs }
}
