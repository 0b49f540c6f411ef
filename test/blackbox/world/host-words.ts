/** What the harness and the process on each host say to each other: one JSON object a line. */
import type { Address, HistoryLine, LinkShape } from '../contract.ts'
import type { Confirmation } from '../workloads/redis-client.ts'

export type Order =
  | { readonly do: 'open'; readonly peer: string; readonly target: Address }
  | { readonly do: 'shape'; readonly peer: string; readonly shape: LinkShape }
  | { readonly do: 'block'; readonly peer: string; readonly forward: boolean; readonly backward: boolean }
  | { readonly do: 'probe'; readonly probe: ProbeOrder }
  | { readonly do: 'end-probe'; readonly member: string }

export interface ProbeOrder {
  readonly member: string
  readonly own: Address
  readonly login: { readonly user: string; readonly password: string; readonly database: string }
  readonly everyMs: number
  readonly deadlineMs: number
  /** It is a Redis server, and this is what a write waits for; absent: PostgreSQL. */
  readonly redis?: Confirmation
  /** The number of its first process; it goes on from there after each `info`. */
  readonly process: number
}

/** `port` in the answer to `open`. */
export type Answer =
  | { readonly id: number; readonly ok: true; readonly port?: number }
  | { readonly id: number; readonly ok: false; readonly because: string }

/** A line of history; whoever writes the history down numbers it. */
export type UnnumberedLine = Omit<HistoryLine, 'index'>

export type FromHost = Answer | { readonly line: UnnumberedLine } | { readonly ready: true }
