/**
 * Looks at each engine every beat, at once after a command ended, and tells the core. Never two looks at one engine at
 * the same time. An engine that keeps silent gives `answering: false`; the core draws the conclusions.
 */
import type { EngineView, MemberName } from '../core/model.ts'
import type { EngineAdapter } from '../engines/contract.ts'
import type { GuardDesk } from './guard-desk.ts'
import type { Mailbox } from './mailbox.ts'
import { nextLookMs } from './pace.ts'

export interface EngineFeedOptions {
  readonly member: MemberName
  readonly adapter: EngineAdapter
  readonly mailbox: Mailbox
  readonly guard: Pick<GuardDesk, 'refresh'>
  readonly beatMs: number
  readonly requestMs: number
}

/** The adapter keeps the deadline; the shell's stands a little later and catches one that does not. */
const GRACE_MS = 50

export class EngineFeed {
  readonly #options: EngineFeedOptions
  #timer: NodeJS.Timeout | null = null
  #looking: AbortController | null = null
  #again = false
  #closed = false
  #last: EngineView | null = null
  #startedMs = 0
  #sessionBeatAtMs: number | null = null
  #beatMs: number

  constructor(options: EngineFeedOptions) {
    this.#options = options
    this.#beatMs = options.beatMs
    options.adapter.onExit(() => {
      if (this.#closed) return
      const { mailbox, member } = this.#options
      mailbox.toMember(member, { kind: 'engine-exited', nowMs: mailbox.nowMs() })
      this.look()
    })
  }

  start(): void {
    this.look()
  }

  /** The session's next beat, for feeds of the same beat, and how long a beat is now; see `pace.ts`. */
  pace(sessionBeatAtMs: number | null, beatMs: number): void {
    this.#sessionBeatAtMs = sessionBeatAtMs
    this.#beatMs = beatMs
    if (!this.#closed && this.#looking === null && this.#timer !== null) this.#wait()
  }

  /** Looks now, or once more when the look under way has ended. */
  look(): void {
    if (this.#closed) return
    if (this.#looking !== null) {
      this.#again = true
      return
    }
    void this.#look()
  }

  close(): void {
    this.#closed = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#looking?.abort(new Error('the agent ends'))
  }

  async #look(): Promise<void> {
    const { mailbox, member, guard } = this.#options
    this.#startedMs = mailbox.nowMs()
    this.#again = false
    if (this.#timer !== null) clearTimeout(this.#timer)
    const view = await this.#view()
    if (this.#closed) return
    this.#last = view
    guard.refresh(member)
    mailbox.toMember(member, { kind: 'engine-view', view, nowMs: mailbox.nowMs() })
    if (this.#again) return this.#look()
    this.#wait()
  }

  #wait(): void {
    const { mailbox } = this.#options
    if (this.#timer !== null) clearTimeout(this.#timer)
    const pace = { startedMs: this.#startedMs, beatMs: this.#beatMs, sessionBeatAtMs: this.#sessionBeatAtMs }
    const atMs = nextLookMs(pace)
    this.#timer = setTimeout(() => this.look(), Math.max(1, atMs - mailbox.nowMs()))
  }

  async #view(): Promise<EngineView> {
    const { adapter, requestMs } = this.#options
    const abort = new AbortController()
    this.#looking = abort
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<null>((resolve) => {
      timer = setTimeout(() => resolve(null), requestMs + GRACE_MS)
    })
    try {
      const view = await Promise.race([adapter.view({ deadlineMs: requestMs, signal: abort.signal }), late])
      return view ?? this.#silent()
    } catch {
      return this.#silent()
    } finally {
      clearTimeout(timer)
      abort.abort()
      this.#looking = null
    }
  }

  /** What was last seen, less everything that needs an answer now. */
  #silent(): EngineView {
    const last = this.#last
    return {
      observedAtMs: this.#options.mailbox.nowMs(),
      running: last?.running ?? true,
      answering: false,
      role: last?.role ?? 'none',
      data: last?.data ?? 'ready',
      systemId: last?.systemId ?? null,
      diskId: last?.diskId ?? null,
      position: null,
      receiving: false,
      upstream: null,
      standbys: [],
      sync: null,
      unopenedEpoch: last?.unopenedEpoch ?? null,
      redoBytes: 0,
    }
  }
}
