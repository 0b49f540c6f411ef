/**
 * What a process takes from its machine: resident memory and time of a core, as Linux counts them. Reads /proc and
 * nothing else; what is too much is decided by whoever asks.
 */
import { readFileSync } from 'node:fs'

export interface Footprint {
  /** Resident pages; a page that two processes share counts in both. */
  readonly rssBytes: number
  /** Resident pages; a page that n processes share counts one n-th in each, so that a sum is true. */
  readonly pssBytes: number
  /** Time on a core since the start, user and system, all threads. */
  readonly cpuMs: number
}

const KIBIBYTE = 1_024
/** The kernel tells times in hundredths of a second, whatever it counts in (proc(5), USER_HZ). */
const TICK_MS = 10

/** Null when there is no such process, or no /proc. */
export function footprintOf(pid: number): Footprint | null {
  try {
    const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1')
    return { rssBytes: bytesIn(rollup, 'Rss'), pssBytes: bytesIn(rollup, 'Pss'), cpuMs: cpuMsOf(pid) }
  } catch {
    return null
  }
}

/** 0 when there is no such process. */
export function cpuMsOf(pid: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // Fields 14 and 15; the name in parentheses may hold spaces.
    const rest = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return (Number(rest[11]) + Number(rest[12])) * TICK_MS
  } catch {
    return 0
  }
}

function bytesIn(rollup: string, field: string): number {
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(rollup)?.[1] ?? 0) * KIBIBYTE
}
