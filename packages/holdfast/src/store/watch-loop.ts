/**
 * What every watch does around its stream: opens it, notices its end, waits a little and opens the next, until it is
 * closed. Opening is the adapter's. No callback runs after `close` returned.
 */
import { jitterMs } from '../io/random.ts'
import type { Watch } from './contract.ts'

/** The first new try comes at once: a server that restarts is back soon. Later ones spare a store that is down. */
const PAUSE_FIRST_MS = 10
const PAUSE_MAX_MS = 400

export interface Session {
  close(): void
}

export interface WatchLoopOptions {
  /** Opens one stream. `alive`: it delivered something. `broke`: it ended; at most one call counts. */
  open(alive: () => void, broke: (because: string) => void): Session
  onGap(because: string): void
}

export class WatchLoop implements Watch {
  readonly #options: WatchLoopOptions
  #session: Session | null = null
  #timer: NodeJS.Timeout | undefined
  #pauseMs = PAUSE_FIRST_MS
  #closed = false

  constructor(options: WatchLoopOptions) {
    this.#options = options
    // The caller gets its Watch before the first callback runs.
    this.#timer = setTimeout(() => this.#open(), 0)
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    this.#session?.close()
    this.#session = null
  }

  #open(): void {
    let broken = false
    const broke = (because: string) => {
      if (broken || this.#closed) return
      broken = true
      this.#session?.close()
      this.#session = null
      this.#timer = setTimeout(() => this.#open(), jitterMs(this.#pauseMs / 2, this.#pauseMs))
      this.#pauseMs = Math.min(this.#pauseMs * 2, PAUSE_MAX_MS)
      this.#options.onGap(because)
    }
    const alive = () => {
      this.#pauseMs = PAUSE_FIRST_MS
    }
    const session = this.#options.open(alive, broke)
    if (broken || this.#closed) session.close()
    else this.#session = session
  }
}
