/**
 * Has every other agent of our groups heard once a beat, and makes ourselves heard: a question for reports carries our
 * own. Of two agents the one whose name comes first asks; the other only while it is not told (the first is older, is
 * gone, or the way from it is cut), so that one exchange a beat serves both. One question per agent at a time.
 */
import type { PeerReport } from '../core/model.ts'
import type { Mailbox } from './mailbox.ts'
import { nextAskMs } from './pace.ts'
import type { PeerLink } from './peer-link.ts'
import { localReport, type Telling, toldAfterMs } from './records.ts'

export interface PeerFeedOptions {
  /** Name of this agent. */
  readonly agent: string
  /** Drawn by this process; an echo of another one dates nothing. */
  readonly boot: string
  readonly peers: ReadonlyMap<string, Pick<PeerLink, 'agent' | 'reports'>>
  readonly mailbox: Pick<Mailbox, 'nowMs' | 'groupsWith' | 'toGroup'>
  /** Which members each agent may speak for. */
  readonly membersOf: (agent: string) => ReadonlySet<string>
  readonly own: () => Omit<Telling, 'echo'>
  readonly beatMs: number
  readonly requestMs: number
}

/** Who was told waits this long for the next time before it asks: a beat, and half of one for what delays it. */
const TOLD_BEATS = 1.5

export class PeerFeed {
  readonly #options: PeerFeedOptions
  readonly #timers = new Map<string, NodeJS.Timeout>()
  /** Not asked before this, by agent. */
  readonly #restUntilMs = new Map<string, number>()
  /** When it was asked last, by agent. */
  readonly #askedMs = new Map<string, number>()
  #sessionBeatAtMs: number | null = null
  #beatMs: number
  #closed = false

  constructor(options: PeerFeedOptions) {
    this.#options = options
    this.#beatMs = options.beatMs
  }

  start(): void {
    for (const agent of this.#options.peers.keys()) void this.#ask(agent)
  }

  close(): void {
    this.#closed = true
    for (const timer of this.#timers.values()) clearTimeout(timer)
    this.#timers.clear()
  }

  /** A peer asked and brought its reports. What may be older than an answer would be is not believed. */
  told(telling: Telling): void {
    const { agent, boot, peers, mailbox, requestMs } = this.#options
    const { from } = telling
    if (this.#closed || !peers.has(from)) return
    const nowMs = mailbox.nowMs()
    const afterMs = toldAfterMs(telling.echo, boot, nowMs)
    if (afterMs === null || nowMs - afterMs > requestMs) return
    const reports = telling.reports.filter((report) => report.agent === from)
    this.#take(
      from,
      reports.map((report) => localReport(report, telling.nowMs, afterMs, nowMs)),
    )
    if (from > agent) return
    this.#restUntilMs.set(from, nowMs + TOLD_BEATS * this.#beatMs)
    if (this.#timers.has(from)) this.#wait(from)
  }

  /** The session's next beat, and how long a beat is now; see `pace.ts`. */
  pace(sessionBeatAtMs: number | null, beatMs: number): void {
    this.#sessionBeatAtMs = sessionBeatAtMs
    this.#beatMs = beatMs
    for (const agent of this.#timers.keys()) this.#wait(agent)
  }

  async #ask(agent: string): Promise<void> {
    const { peers, mailbox, own, requestMs } = this.#options
    this.#timers.delete(agent)
    this.#askedMs.set(agent, mailbox.nowMs())
    const reports = (await peers.get(agent)?.reports(requestMs, own())) ?? []
    if (this.#closed) return
    this.#take(agent, reports)
    this.#wait(agent)
  }

  /** Asks with the next beat, or when there was no word from it for long enough. */
  #wait(agent: string): void {
    const { mailbox } = this.#options
    clearTimeout(this.#timers.get(agent))
    const startedMs = this.#askedMs.get(agent) ?? mailbox.nowMs()
    const inStepMs = nextAskMs({ startedMs, beatMs: this.#beatMs, sessionBeatAtMs: this.#sessionBeatAtMs })
    const atMs = Math.max(inStepMs, this.#restUntilMs.get(agent) ?? 0)
    this.#timers.set(
      agent,
      setTimeout(() => void this.#ask(agent), Math.max(1, atMs - mailbox.nowMs())),
    )
  }

  #take(agent: string, reports: readonly PeerReport[]): void {
    const { mailbox, membersOf } = this.#options
    const own = membersOf(agent)
    for (const report of reports) {
      if (!own.has(report.member)) continue
      for (const group of mailbox.groupsWith(report.member)) {
        mailbox.toGroup(group, { kind: 'peer', report, nowMs: mailbox.nowMs() })
      }
    }
  }
}
