/** Questions of other agents that wait for the core's answer. Each is answered once: by the core or by its time-out. */
import type { PeerReport } from '../core/model.ts'

/** Peers ask once per member and beat; more waiting than this is not a peer. */
export const QUESTIONS_MAX = 64

export interface FreezeReply {
  readonly report: PeerReport | null
  readonly because: string
}

export interface FailsafeReply {
  readonly accept: boolean
  readonly because: string
}

type Reply = FreezeReply | FailsafeReply

interface Waiting {
  readonly resolve: (reply: Reply) => void
  readonly timer: NodeJS.Timeout
}

export class Questions {
  readonly #waiting = new Map<number, Waiting>()
  #next = 1

  /** Null: too many wait already. `ask` is called with the question's id. */
  freeze(ask: (id: number) => void, timeoutMs: number): Promise<FreezeReply> | null {
    return this.#ask(ask, timeoutMs, { report: null, because: 'no answer in time' }) as Promise<FreezeReply> | null
  }

  failsafe(ask: (id: number) => void, timeoutMs: number): Promise<FailsafeReply> | null {
    return this.#ask(ask, timeoutMs, { accept: false, because: 'no answer in time' }) as Promise<FailsafeReply> | null
  }

  restart(ask: (id: number) => void, timeoutMs: number): Promise<FailsafeReply> | null {
    return this.failsafe(ask, timeoutMs)
  }

  answer(id: number, reply: FreezeReply | FailsafeReply): void {
    const waiting = this.#waiting.get(id)
    if (waiting === undefined) return
    this.#waiting.delete(id)
    clearTimeout(waiting.timer)
    waiting.resolve(reply)
  }

  close(): void {
    for (const id of [...this.#waiting.keys()])
      this.answer(id, { accept: false, report: null, because: 'the agent ends' })
  }

  #ask(
    ask: (id: number) => void,
    timeoutMs: number,
    late: FreezeReply | FailsafeReply,
  ): Promise<FreezeReply | FailsafeReply> | null {
    if (this.#waiting.size >= QUESTIONS_MAX) return null
    const id = this.#next++
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.answer(id, late), timeoutMs)
      this.#waiting.set(id, { resolve, timer })
      ask(id)
    })
  }
}
