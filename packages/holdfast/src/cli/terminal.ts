/** Where a command writes and how it is interrupted. The real one is the process; tests pass their own. */
import { systemClock } from '../io/clock.ts'
import { visibleText } from '../io/visible-text.ts'
import { EXIT } from './exit-codes.ts'

/** Signals closer together than this are one and the same. */
const SAME_SIGNAL_MS = 400

export interface Streams {
  out(text: string): void
  err(text: string): void
  /** People are watching: colours, refreshing in place. */
  readonly isTty: boolean
  readonly env: Readonly<Record<string, string | undefined>>
  /** Aborted by Ctrl-C or a request to end. */
  readonly interrupted: AbortSignal
}

export interface Terminal extends Streams {
  /** As it is: for what is ours alone, such as moving the cursor. */
  draw(text: string): void
}

/** What agents, engines and logs say passes through here on its way to the screen, and commands nothing there. */
export function shielded(streams: Streams): Terminal {
  const colours = streams.isTty
  return {
    ...streams,
    out: (text) => streams.out(visibleText(text, colours)),
    err: (text) => streams.err(visibleText(text, colours)),
    draw: (text) => streams.out(text),
  }
}

/** Streams over this process, and how to let go of its signals again. */
export function processTerminal(): { readonly streams: Streams; release(): void } {
  const controller = new AbortController()
  let firstMs = 0
  const onSignal = () => {
    const nowMs = systemClock.nowMs()
    // A second Ctrl-C means "now". The same one may arrive twice: from the terminal and from whoever started us.
    if (controller.signal.aborted && nowMs - firstMs > SAME_SIGNAL_MS) process.exit(EXIT.interrupted)
    if (!controller.signal.aborted) firstMs = nowMs
    controller.abort()
  }
  const onBrokenPipe = (error: NodeJS.ErrnoException) => {
    // `holdfast status --watch | head` ends the pipe; that is no failure.
    if (error.code === 'EPIPE') process.exit(0)
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  process.stdout.on('error', onBrokenPipe)
  const streams: Streams = {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    isTty: process.stdout.isTTY === true,
    env: process.env,
    interrupted: controller.signal,
  }
  // That a pipe is broken is heard after the write, so also when the command is over.
  const release = () => {
    process.off('SIGINT', onSignal)
    process.off('SIGTERM', onSignal)
  }
  return { streams, release }
}

/** Resolves when interrupted. */
export function interruption(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

/** Resolves after `ms`, or at once when interrupted; true when the time passed. */
export function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve(false)
    const onAbort = () => {
      clearTimeout(timer)
      resolve(false)
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', onAbort)
      resolve(true)
    }, ms)
    signal.addEventListener('abort', onAbort, { once: true })
  })
}
