/**
 * The server's wall clock as the browser knows it. Times of events are the server's; the browser's own clock may be
 * minutes off, so ages are never taken from it. A message is delayed on its way, never early: the one that puts the
 * server's clock furthest ahead of ours was delayed least. Pure.
 */
export interface ServerClock {
  /** Add it to the browser's monotonic clock to get the server's wall clock. */
  readonly aheadMs: number
  /** Judged by messages since then. */
  readonly sinceMs: number
}

/** A server whose clock was set back is believed after so long. */
const FORGET_MS = 60_000
/** Beyond it people are told that their clock differs. */
const NOTICE_MS = 5_000

export function clockAfter(clock: ServerClock | null, serverWallMs: number, nowMs: number): ServerClock {
  const aheadMs = serverWallMs - nowMs
  if (clock === null || aheadMs >= clock.aheadMs || nowMs - clock.sinceMs > FORGET_MS) {
    return { aheadMs, sinceMs: nowMs }
  }
  return clock
}

export function serverWallMs(clock: ServerClock | null, nowMs: number, fallbackWallMs: number): number {
  return clock === null ? fallbackWallMs : nowMs + clock.aheadMs
}

/** How far the browser's clock is ahead of the server's (behind: negative), when it is worth telling; else null. */
export function clockDifferenceMs(clock: ServerClock | null, nowMs: number, browserWallMs: number): number | null {
  if (clock === null) return null
  const difference = browserWallMs - (nowMs + clock.aheadMs)
  return Math.abs(difference) < NOTICE_MS ? null : difference
}
