/**
 * The guard's table of deadlines: which member may be writable until when, and which fence is under way. Decides only;
 * `main.ts` reads lines, kills and answers.
 *
 * Invariants:
 * - G1 A member whose deadline passed is fenced before any later word of the agent is heard (`main.ts` calls `due`
 *   before each `hear`), so a guard that was frozen over a deadline cannot be talked out of it on thaw.
 * - G2 A deadline only moves later, and only by an epoch that is not older (R19).
 * - G3 A fence ends when nothing of the member is alive, never by a later word.
 */
import type { FromGuard, ToGuard } from './protocol.ts'

/** What is needed to kill a member without asking anybody. */
export interface Quarry {
  readonly dataDir: string
  readonly mainPid: number | null
}

interface Fence {
  readonly dueMs: number
  readonly startedMs: number
  killed: number
  strikes: number
  nextTryMs: number
  stuckTold: boolean
}

interface Entry {
  quarry: Quarry | null
  epoch: number
  untilMs: number | null
  fence: Fence | null
}

export interface Strike {
  readonly member: string
  readonly quarry: Quarry
  /** Not the first strike of this fence. */
  readonly again: boolean
}

/** A fence that takes longer says so; the agent's budget for it is `fenceMs`. */
export const FENCE_BOUND_MS = 150
/** Between two looks at a tree that was killed: the kernel needs about a millisecond per process. */
const LOOK_AGAIN_MS = 2
/** Once the bound is passed only the kernel can help (a process in uninterruptible sleep); look less often. */
const LOOK_AGAIN_STUCK_MS = 20
/** One agent stands beside a handful of members; more is a mistake of the sender. */
export const MEMBERS_MAX = 64

export class GuardTable {
  readonly #entries = new Map<string, Entry>()
  #answers: FromGuard[] = []

  /** Takes one line of the agent; `false` when it makes no sense (member unknown, older epoch, table full). */
  hear(line: ToGuard, nowMs: number): boolean {
    if (line.do === 'watch') return this.#watch(line)
    if (line.do === 'arm') return this.#arm(line, nowMs)
    if (line.do === 'ping') this.#answers.push({ is: 'pong', n: line.n })
    if (line.do === 'ping' || line.do === 'watchdog') return true
    const entry = this.#entries.get(line.member)
    if (!entry?.quarry) return false
    if (line.do === 'fence') startFence(entry, nowMs, nowMs)
    else {
      entry.untilMs = null
      this.#answers.push({ is: 'disarmed', member: line.member })
    }
    return true
  }

  /** Members to kill now. Starts a fence for each deadline that passed. */
  due(nowMs: number): readonly Strike[] {
    const strikes: Strike[] = []
    for (const [member, entry] of this.#entries) {
      if (entry.untilMs !== null && entry.untilMs <= nowMs) startFence(entry, entry.untilMs, nowMs)
      if (entry.quarry && entry.fence && entry.fence.nextTryMs <= nowMs) {
        strikes.push({ member, quarry: entry.quarry, again: entry.fence.strikes > 0 })
      }
    }
    return strikes
  }

  /** What a kill of `member` found. */
  struck(member: string, found: { readonly killed: number; readonly alive: number }, nowMs: number): void {
    const entry = this.#entries.get(member)
    const fence = entry?.fence
    if (!entry || !fence) return
    // A process that is still dying is struck again, so the counts of several strikes do not add up.
    fence.killed = Math.max(fence.killed, found.killed)
    fence.strikes += 1
    if (found.alive === 0) {
      entry.fence = null
      this.#answers.push({ is: 'fired', member, killed: fence.killed, lateMs: nowMs - fence.dueMs })
      return
    }
    const late = nowMs - fence.startedMs >= FENCE_BOUND_MS
    fence.nextTryMs = nowMs + (late ? LOOK_AGAIN_STUCK_MS : LOOK_AGAIN_MS)
    if (late && !fence.stuckTold) {
      fence.stuckTold = true
      this.#answers.push({ is: 'stuck', member, alive: found.alive })
    }
  }

  /** Answers gathered since the last call. */
  answers(): readonly FromGuard[] {
    const taken = this.#answers
    this.#answers = []
    return taken
  }

  /** When `due` must be called next; null when nothing is pending. */
  nextMs(): number | null {
    let nextMs: number | null = null
    for (const { untilMs, fence } of this.#entries.values()) {
      const atMs = fence ? fence.nextTryMs : untilMs
      if (atMs !== null && (nextMs === null || atMs < nextMs)) nextMs = atMs
    }
    return nextMs
  }

  /** Some member is past its deadline and not yet seen gone. */
  overdue(): boolean {
    return [...this.#entries.values()].some((entry) => entry.fence !== null)
  }

  #watch(line: ToGuard & { do: 'watch' }): boolean {
    const known = this.#entries.get(line.member)
    const quarry = { dataDir: line.dataDir, mainPid: line.mainPid }
    if (known) known.quarry = quarry
    else if (this.#entries.size >= MEMBERS_MAX) return false
    else this.#entries.set(line.member, { quarry, epoch: 0, untilMs: null, fence: null })
    return true
  }

  #arm(line: ToGuard & { do: 'arm' }, nowMs: number): boolean {
    const entry = this.#entries.get(line.member)
    if (!entry?.quarry || line.epoch < entry.epoch) return false
    entry.epoch = line.epoch
    if (line.untilMs <= nowMs && entry.untilMs === null) {
      // The right to write had ended before we heard of it: whatever runs now runs without one.
      startFence(entry, line.untilMs, nowMs)
      return true
    }
    entry.untilMs = Math.max(entry.untilMs ?? 0, line.untilMs)
    this.#answers.push({ is: 'armed', member: line.member, untilMs: entry.untilMs })
    return true
  }
}

function startFence(entry: Entry, dueMs: number, nowMs: number): void {
  entry.untilMs = null
  entry.fence ??= { dueMs, startedMs: nowMs, killed: 0, strikes: 0, nextTryMs: nowMs, stuckTold: false }
}
