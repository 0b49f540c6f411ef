/**
 * The words the rooms of the black box share: what a world, a subject, a fault, a line of history and a verdict are.
 * `SPEC.md` beside it says how they work together. Types only.
 *
 * Every time is CLOCK_MONOTONIC in nanoseconds (`process.hrtime.bigint()` as a number: exact for 104 days of uptime),
 * which all processes of one machine share, also across network namespaces.
 */
import type { ChildProcess } from 'node:child_process'

export interface Address {
  readonly host: string
  readonly port: number
}

/* ---- world: hosts, the links between them, and what can be done to a link ---- */

/** What the proxy of one directed link does to the bytes that flow through it; absent means untouched. */
export interface LinkShape {
  readonly delayMs?: number
  readonly bytesPerSecond?: number
  /** Accepts and reads nothing, passes nothing, closes nothing. */
  readonly stalled?: boolean
  /** Ends every connection in the middle of its stream, after so many more bytes. */
  readonly cutAfterBytes?: number
}

export interface Spawn {
  readonly host: string
  readonly command: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  /** Its output is appended here. */
  readonly log: string
}

export interface World {
  /** `namespaces` where the kernel and our rights allow it; else `loopback`, where only the proxies cut. */
  readonly kind: 'namespaces' | 'loopback'
  readonly hosts: readonly string[]
  /** Where a process on `host` must listen so that the others reach it. */
  addressOf(host: string): string
  /** Where a process on `from` reaches a port of `to`: the listener of this directed link's proxy. Made once. */
  route(from: string, to: string, port: number): Promise<Address>
  spawn(how: Spawn): ChildProcess
  /** From now on nothing from `from` arrives at `to`, and nobody is told. */
  cut(from: string, to: string): Promise<void>
  shape(from: string, to: string, shape: LinkShape): Promise<void>
  /** Every link as it was. */
  heal(): Promise<void>
  /** Ends every process it spawned, and takes down what it made. May be called twice. */
  close(): Promise<void>
}

/* ---- subject: what is tested ---- */

export type Part = 'engine' | 'agent' | 'guard' | 'router' | 'store'

export interface SubjectMember {
  readonly member: string
  readonly host: string
  /** Where its own host reaches it, past every proxy: for the probe. */
  readonly own: Address
  readonly dataDir: string
}

export type ReplicationMode = 'sync' | 'quorum' | 'async'
export type EngineName = 'postgres' | 'redis'

/** One group of a subject: what is written to, probed, read and judged by itself. */
export interface Lane {
  readonly group: string
  readonly mode: ReplicationMode
  readonly engine: EngineName
  /** A primary without replicas goes on, and a client that it tells so waits for none. */
  readonly alone: boolean
  readonly members: readonly SubjectMember[]
  /** Where clients on `edge` connect to write. */
  readonly door: Address
  readonly login: { readonly user: string; readonly password: string; readonly database: string }
  /** Loss it declares for an unplanned failover; null when it promises none. */
  readonly bound: { readonly lossBytesMax: number; readonly lossTimeMaxMs: number } | null
  primary(): Promise<string | null>
  switchover(): Promise<Answer>
  /** Every change of the primary since the start, with the reason it gives. */
  promotions(): Promise<readonly Promotion[]>
}

/** What became of something an operator asked for. */
export interface Answer {
  readonly ok: boolean
  readonly text: string
}

export interface Subject {
  /** `holdfast`, `patroni`, ... */
  readonly name: string
  /** One at least. Hosts carry members of several. */
  readonly lanes: readonly Lane[]
  readonly storeHosts: readonly string[]
  /** The host of the router and of every client. */
  readonly edge: string
  /** What the groups make together; null where each stands alone. */
  readonly service: Service | null
  /** Starts everything, and returns when every group is whole. */
  start(): Promise<void>
  /**
   * The primaries, once every other member follows its own and one may take over without loss, and nothing of the
   * service is under way or held; throws after `boundMs`.
   */
  whole(boundMs: number): Promise<string>
  /** Living processes of this part, main process first; empty when there are none. Of all engines, or one group's. */
  pids(host: string, part: Part, group?: string): readonly number[]
  /** Starts what was killed; does nothing for a part that another part starts (guard, engine). */
  restart(host: string, part: Part): void
  stop(): Promise<void>
}

/** Groups over several sites that move together. */
export interface Service {
  readonly name: string
  readonly home: string
  /** Hosts of each site that has data. */
  readonly sites: Readonly<Record<string, readonly string[]>>
  /** What must be writable before each group when the service is moved. */
  readonly after: Readonly<Record<string, readonly string[]>>
  /** As an operator does it, at the edge; several may ask at once. */
  move(to: string): Promise<Answer>
  /** Kills every move under way where it is typed. */
  killMovers(): void
  /** What a person does about a plan whose runner is gone: goes on with it, or takes it back. Null: there is none. */
  mend(way: 'resume' | 'cancel'): Promise<Answer | null>
  /** Every version of the service's plan that was seen, in order. */
  plans(): readonly SeenPlan[]
}

export interface SeenPlan {
  readonly time: number
  readonly id: string
  readonly kind: string
  readonly origin: string
  readonly from: string | null
  readonly to: string | null
  readonly epoch: number
  readonly phase: string
  readonly because: string
  readonly steps: readonly {
    readonly id: string
    readonly kind: string
    readonly group: string
    readonly state: string
  }[]
}

export interface Promotion {
  readonly member: string
  readonly epoch: number
  readonly time: number
  /** When it claimed the leadership; absent where the subject does not say. */
  readonly claimedNs?: number
  readonly planned: boolean
  readonly reason: string
}

/* ---- history ---- */

/** As Jepsen writes it. A time-out or a lost connection after a statement was sent is `info`, never `fail`. */
export interface HistoryLine {
  readonly index: number
  readonly time: number
  readonly type: 'invoke' | 'ok' | 'fail' | 'info'
  /** A client; a process that saw `info` goes on under a new number. */
  readonly process: number | 'nemesis'
  readonly f: OperationName
  readonly value: unknown
  /** Member and timeline that answered, as the database itself says; in `ok` lines. */
  readonly node?: string
  readonly epoch?: number
  readonly error?: string
}

export type OperationName =
  | 'insert' // value {n, attempt}: one numbered row; an `ok` adds {lsn}, the position in the log in bytes
  | 'transfer' // value {id, from, to, amount}: moves money between two accounts; or {id, read: [balance...]}
  | 'txn' // value [['append', key, n] | ['r', key, [n...] | null], ...]: list-append, as Elle reads it
  | 'long' // value {id, rows: ['n/attempt'...], held}: a transaction that stays open for `held` ms
  | 'old' // value {n, attempt}: an insert on a connection that is never renewed while it lives
  | 'probe' // value {member, n}: an insert straight at one database
  | 'fault'
  | 'heal' // value {fault, ...}: by the nemesis
  | 'whole' // the same, when everything was whole after it

/** What stands in the databases when all is healed and quiet. */
export interface FinalState {
  readonly primary: string
  readonly members: Readonly<Record<string, FinalMember>>
}

export interface FinalMember {
  /** `n/attempt` of every row of `insert`, `old` and `long`. */
  readonly rows: readonly string[]
  readonly balances: readonly number[]
  readonly lists: Readonly<Record<string, readonly number[]>>
}

/* ---- faults ---- */

export interface FaultPlan {
  readonly fault: string
  /**
   * The host, or the two ends of a link, it is done to; `primary`, `replica`, and the site of either (`primary-site`,
   * `other-site`) are resolved when it starts.
   */
  readonly at: readonly string[]
  /** From the start of the run to the fault, and how long it lasts. */
  readonly afterMs: number
  readonly lastsMs: number
  /** A switchover, or what `asks` says, is asked for this long after the fault began; null for none. */
  readonly switchoverAfterMs: number | null
  /** `switchover` where it is not said; `move` to another site, `move-back` to the home of the service. */
  readonly asks?: 'switchover' | 'move' | 'move-back'
  /** The group it is aimed at; the first where it is not said. */
  readonly lane?: number
}

/* ---- verdicts ---- */

export interface CheckerInput {
  readonly history: readonly HistoryLine[]
  readonly final: FinalState
  readonly mode: ReplicationMode
  readonly bound: Lane['bound']
  readonly promotions: readonly Promotion[]
}

export interface Verdict {
  readonly checker: string
  readonly ok: boolean
  /** Numbers to report, also when all is well. */
  readonly figures: Readonly<Record<string, number>>
  /** At most a few, each a sentence with its numbers. */
  readonly findings: readonly string[]
}
