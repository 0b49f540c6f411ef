/**
 * When to do next what is done once a beat. An agent that wakes thirty times a second to do a little takes twice the
 * processor of one that does the same work in a few bursts: each time its code and data come from far memory. So looks
 * and questions keep to the beats of the session: a look ends just before one, so that it publishes what is new, and
 * peers are asked just after. Decides about no beat; a feed whose beats are others keeps its own time.
 */

/** A look takes one to three milliseconds; one that takes longer is published a beat later, as without this. */
const LOOK_LEAD_MS = 5
const ASK_LAG_MS = 1
/** Beats are late by a timer's coarseness each; a pause is never longer than this many of them for their sake. */
const STRETCH = 1.1
/** Nor shorter: while the store is away beats are tried more often. */
const SHRINK = 0.5
/** Until they are in step. */
const CATCH_UP = 0.75
/**
 * A holder that is silent for this share of its ttl may soon be replaced. What its engine writes last arrives until the
 * guard ends it, just before that; with looks an eighth of a beat old the one who holds most of it is known. It is over
 * when the silence lasts, so that a store that is away costs nothing.
 */
const HURRY = { from: 0.6, until: 1.5, share: 8, leastMs: 25 }

export interface Pace {
  /** When the last one began. */
  readonly startedMs: number
  readonly beatMs: number
  /** When the session's next beat is due; null when there is none, or its beats are others. */
  readonly sessionBeatAtMs: number | null
}

export function nextLookMs(pace: Pace): number {
  return nextMs(pace, -LOOK_LEAD_MS)
}

export function nextAskMs(pace: Pace): number {
  return nextMs(pace, ASK_LAG_MS)
}

/** In step with the session if that is about a beat away, or on the way there. */
function nextMs({ startedMs, beatMs, sessionBeatAtMs }: Pace, shiftMs: number): number {
  if (sessionBeatAtMs === null) return startedMs + beatMs
  const inStepMs = sessionBeatAtMs + shiftMs
  const fits = inStepMs >= startedMs + SHRINK * beatMs && inStepMs <= startedMs + STRETCH * beatMs
  return fits ? inStepMs : startedMs + CATCH_UP * beatMs
}

/** The holder that a replica follows, as far as this agent has seen it; null when there is none or it is itself. */
export interface HolderSilence {
  readonly unchangedSinceMs: number
  readonly ttlMs: number
}

export function beatNow(beatMs: number, holder: HolderSilence | null, nowMs: number): number {
  if (holder === null) return beatMs
  const silence = (nowMs - holder.unchangedSinceMs) / holder.ttlMs
  if (silence < HURRY.from || silence > HURRY.until) return beatMs
  return Math.min(beatMs, Math.max(HURRY.leastMs, beatMs / HURRY.share))
}
