/**
 * The agent's side of its guard: keeps the guard told how to kill each member, passes deadlines on, turns its words
 * into events, and starts a new guard when one ends. While there is no guard the core is told so and holds nothing.
 */
import type { Epoch, MemberName } from '../core/model.ts'
import type { MemberEvent } from '../core/protocol.ts'
import type { EngineAdapter, FenceTarget } from '../engines/contract.ts'
import { type GuardLink, startGuard } from '../guard/child.ts'
import type { Clock } from '../io/clock.ts'
import type { Log } from '../io/log.ts'
import type { Mailbox } from './mailbox.ts'

export interface GuardDeskOptions {
  readonly mailbox: Mailbox
  readonly adapters: ReadonlyMap<MemberName, EngineAdapter>
  readonly clock: Clock
  /** Silence of the guard that counts as gone. */
  readonly silentMaxMs: number
  readonly watchdog: { readonly device: string; readonly required: boolean; readonly timeoutMaxMs: number } | null
  /** Nothing here is held or being fenced: the remains of a lost guard may be killed and another started. */
  readonly mayReplace: () => boolean
  readonly log: Pick<Log, 'warn' | 'info'>
}

/** Between the end of a guard and the start of the next; a guard that cannot live is not started in a tight loop. */
const RESTART_MS = 500

export class GuardDesk {
  readonly #options: GuardDeskOptions
  readonly #told = new Map<MemberName, FenceTarget>()
  #link: GuardLink | null = null
  /** Gone or silent; it may still thaw and fence, so it is killed before another takes its place. */
  #lost: GuardLink | null = null
  #timer: NodeJS.Timeout | null = null
  #closed = false
  #fired = 0

  constructor(options: GuardDeskOptions) {
    this.#options = options
  }

  get pid(): number | null {
    return this.alive ? (this.#link?.pid ?? null) : null
  }

  get alive(): boolean {
    return this.#link?.alive() ?? false
  }

  /** Fences the guard did on its own since the start. */
  get fired(): number {
    return this.#fired
  }

  start(): void {
    if (this.#closed) return
    const { clock, mailbox, silentMaxMs, watchdog, log } = this.#options
    this.#lost?.discard()
    this.#lost = null
    this.#told.clear()
    this.#link = startGuard({
      clock,
      silentMaxMs,
      ...(watchdog === null ? {} : { watchdog }),
      log: (line) => log.warn({ line }, 'guard-says'),
      // Ready is told as armed until the beginning of time: alive, and nothing may be writable yet.
      onReady: () => mailbox.toAll({ kind: 'guard-armed', untilMs: 0, nowMs: clock.nowMs() }),
      onArmed: (member, untilMs) => this.#tell(member, { kind: 'guard-armed', untilMs, nowMs: clock.nowMs() }),
      onFired: (member, fired) => this.#onFired(member, fired),
      onStuck: (member, alive) => log.warn({ member, alive }, 'guard-stuck'),
      onGone: (because) => this.#onGone(because),
    })
    for (const member of this.#options.adapters.keys()) this.refresh(member)
  }

  arm(member: MemberName, epoch: Epoch, untilMs: number): void {
    this.refresh(member)
    this.#link?.arm(member, epoch, untilMs)
  }

  disarm(member: MemberName): void {
    this.#link?.disarm(member)
  }

  /** Tells the guard how to kill this member now, if that changed. */
  refresh(member: MemberName): void {
    const target = this.#options.adapters.get(member)?.fenceTarget()
    const told = this.#told.get(member)
    if (this.#link === null || target === undefined) return
    if (told !== undefined && told.mainPid === target.mainPid && told.dataDir === target.dataDir) return
    this.#told.set(member, target)
    this.#link.watch(target)
  }

  /** Lets the guard go; whatever is still armed it fences at its deadline, then it ends. */
  close(): void {
    this.#closed = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#link?.close()
    this.#lost?.discard()
    this.#link = null
  }

  #tell(member: MemberName, event: MemberEvent): void {
    this.#options.mailbox.toMember(member, event)
  }

  #onFired(member: MemberName, fired: { readonly killed: number; readonly lateMs: number }): void {
    this.#fired += 1
    this.#options.log.warn({ member, killed: fired.killed, lateMs: fired.lateMs }, 'guard-fired')
    this.#tell(member, { kind: 'guard-fired', nowMs: this.#options.mailbox.nowMs() })
  }

  #onGone(because: string): void {
    const { mailbox, log } = this.#options
    this.#lost = this.#link
    this.#link = null
    if (this.#closed) return
    log.warn({ because }, 'guard-gone')
    mailbox.toAll({ kind: 'guard-gone', because, nowMs: mailbox.nowMs() })
    this.#retry()
  }

  #retry(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = setTimeout(() => (this.#options.mayReplace() ? this.start() : this.#retry()), RESTART_MS)
  }
}
