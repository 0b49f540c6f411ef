/** What the process of the workloads is told, as JSON. Types and defaults only. */
import type { Address, Lane } from '../contract.ts'
import type { Confirmation } from './redis-client.ts'

export type WorkloadName = 'insert' | 'transfer' | 'txn' | 'long' | 'old'
export type Isolation = 'serializable' | 'repeatable read'

export interface Rate {
  readonly clients: number
  /** Pause of one client between two operations. */
  readonly paceMs: number
}

export interface WorkloadSettings {
  /** Default: `postgres`. */
  readonly engine?: 'postgres' | 'redis'
  /** Of Redis: what a write waits for; nothing when not said. */
  readonly redis?: Confirmation
  readonly door: Address
  readonly login: Lane['login']
  /** The file the history is appended to. */
  readonly history: string
  readonly seed: number
  readonly workloads: Readonly<Partial<Record<WorkloadName, Rate>>>
  /** Names of members by `address:port` or by port, as the member itself sees its address. */
  readonly nodes?: Readonly<Record<string, string>>
  /** Of list-append. Serializable when not said; the checker must be told the same. */
  readonly isolation?: Isolation
  /** Number of the first client; another process of the same run that writes begins above its clients. */
  readonly firstClient?: number
  readonly connectMs?: number
  /** A statement that takes longer is given up as unknown. */
  readonly answerMs?: number
}

export const DEFAULT_WORKLOADS: Readonly<Record<WorkloadName, Rate>> = {
  insert: { clients: 4, paceMs: 20 },
  transfer: { clients: 2, paceMs: 30 },
  txn: { clients: 3, paceMs: 30 },
  long: { clients: 1, paceMs: 100 },
  old: { clients: 1, paceMs: 50 },
}

/** Longer than any way over of a healthy group, so a router that holds a connection back is waited for. */
export const CONNECT_MS = 8_000
export const ANSWER_MS = 5_000
