/**
 * Lets whoever follows this agent wait for its next change instead of asking all the time. Costs nothing while nobody
 * waits. What counts as a change: roles, records, what engines do, new decisions; not numbers that move by themselves.
 */
import type { NodeState } from '../core/node.ts'

/** Servers and a few people; more are answered at once. */
const WAITERS_MAX = 64

export class ChangeBell {
  readonly #waiters = new Set<() => void>()
  readonly #mark: () => string
  #last = ''

  constructor(mark: () => string) {
    this.#mark = mark
  }

  /** After each step of the core. */
  look(): void {
    if (this.#waiters.size === 0) return
    const mark = this.#mark()
    if (mark === this.#last) return
    this.#last = mark
    this.ring()
  }

  /** Until something differs from `mark`, or the time is up. */
  wait(mark: string, waitMs: number): Promise<void> {
    const now = this.#mark()
    if (now !== mark || this.#waiters.size >= WAITERS_MAX) return Promise.resolve()
    this.#last = now
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        this.#waiters.delete(done)
        resolve()
      }
      const timer = setTimeout(done, waitMs)
      this.#waiters.add(done)
    })
  }

  /** Everybody is answered now; also when the agent ends. */
  ring(): void {
    for (const done of [...this.#waiters]) done()
  }
}

/** What is worth telling at once, as one text. */
export function gistOf({ session, members }: NodeState): string {
  const parts = Object.entries(members).map(([name, member]) => {
    const { view } = member
    const record = member.record?.value ?? null
    return [
      name,
      member.role,
      member.hold?.epoch,
      record?.epoch,
      record?.phase,
      record?.holder,
      record?.pause?.id,
      record?.intent?.id,
      record?.sync.members.join('+'),
      view?.running,
      view?.answering,
      view?.role,
      view?.receiving,
      view?.data,
    ].join()
  })
  return `${session.phase};${parts.join(';')}`
}
