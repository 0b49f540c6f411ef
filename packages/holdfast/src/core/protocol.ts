/**
 * What goes into the core and what comes out. Events carry `nowMs` of this node's monotonic clock. Actions are data;
 * the shell performs them in the order given and each result returns as an event with the same `id`.
 *
 * Order is a promise: a fence stands before a promotion, a store write before what depends on it, an engine's stop
 * before the release of its lease. Late, doubled or lost results are normal; the core matches them by `id`.
 */
import type {
  AgentName,
  EngineView,
  Epoch,
  GroupRecord,
  MemberName,
  PeerReport,
  Position,
  Reason,
  Revision,
  SessionRecord,
  SyncSet,
} from './model.ts'

/** Result of a store call. `unknown` = time-out or broken answer: it may or may not have been applied (R8). */
export type StoreOutcome<T> =
  | { readonly kind: 'ok'; readonly revision: Revision; readonly value: T | null }
  | { readonly kind: 'conflict'; readonly revision: Revision; readonly value: T | null }
  | { readonly kind: 'unknown'; readonly because: string }

export type EngineOutcome =
  | { readonly ok: true; readonly position: Position | null; readonly lsn: number }
  | { readonly ok: false; readonly because: string; readonly retryable: boolean }

export type EngineCommand =
  /**
   * Make the data set and run it as primary, read-only to clients until opened. Only for a group that never existed.
   */
  | { readonly do: 'create'; readonly epoch: Epoch; readonly sync: SyncSet }
  /**
   * Be a running replica of `upstream`, by start, clone or rewind; idempotent. `upstream` null: run without a source.
   * `afresh`: a server that runs is stopped cleanly first, once; for whoever asks for a restart.
   */
  | {
      readonly do: 'follow'
      readonly upstream: MemberName | null
      readonly epoch: Epoch
      readonly timeline: number
      readonly afresh?: true
    }
  /** Stop receiving, then report what is durable (R13). Undone by the next `follow` or `promote`. */
  | { readonly do: 'freeze'; readonly epoch: Epoch }
  /** Put `sync` in effect, then promote; ends when a write would be accepted. */
  | { readonly do: 'promote'; readonly epoch: Epoch; readonly sync: SyncSet }
  /** Start a crashed primary in place, with `sync` in effect. Only while the lease is held. */
  | { readonly do: 'restart'; readonly epoch: Epoch; readonly sync: SyncSet }
  /** Put `sync` in effect; the result's `lsn` is the log end after it took effect. */
  | { readonly do: 'apply-sync'; readonly sync: SyncSet }
  /** Shorten a coming clean stop. */
  | { readonly do: 'checkpoint' }
  /** Clean stop: all that was acknowledged is sent to standbys first. The result's `position` is final. */
  | { readonly do: 'stop' }
  /** Kill every process of the engine and see it gone. Pre-empts any other command. */
  | { readonly do: 'fence' }

export type WritePurpose = 'create' | 'claim' | 'open' | 'sync' | 'release' | 'intent'

export type Action =
  | {
      readonly kind: 'write-session'
      readonly id: number
      readonly record: SessionRecord
      readonly ifRevision: Revision
    }
  | { readonly kind: 'read-session'; readonly id: number; readonly agent: AgentName }
  | { readonly kind: 'read-record'; readonly id: number; readonly group: string }
  | {
      readonly kind: 'write-record'
      readonly id: number
      readonly purpose: WritePurpose
      readonly record: GroupRecord
      readonly ifRevision: Revision
    }
  /** Tell the guard until when `member` may be writable; it fences at that time without further word (R2, R3). */
  | { readonly kind: 'arm'; readonly member: MemberName; readonly epoch: Epoch; readonly untilMs: number }
  /** The engine is a replica or gone: the guard forgets it. */
  | { readonly kind: 'disarm'; readonly member: MemberName }
  | {
      readonly kind: 'engine'
      readonly id: number
      readonly member: MemberName
      readonly command: EngineCommand
      readonly deadlineMs: number
    }
  /** Ask these members to freeze for `epoch` and report. */
  | {
      readonly kind: 'ask-freeze'
      readonly id: number
      readonly group: string
      readonly epoch: Epoch
      readonly members: readonly MemberName[]
    }
  /** Ask these members to accept us as primary without the store for one ttl (R21). */
  | {
      readonly kind: 'ask-failsafe'
      readonly id: number
      readonly group: string
      readonly epoch: Epoch
      readonly members: readonly MemberName[]
    }
  /** Answer a peer's question; `id` is the question's. */
  | { readonly kind: 'answer-failsafe'; readonly id: number; readonly accept: boolean; readonly because: string }
  | {
      readonly kind: 'answer-freeze'
      readonly id: number
      readonly report: PeerReport | null
      readonly because: string
    }
  /** Answer to `restart-asked`: the engine is being started anew, or why not. */
  | { readonly kind: 'answer-restart'; readonly id: number; readonly accept: boolean; readonly because: string }

interface At {
  readonly nowMs: number
}

/** Events of the agent's session. */
export type SessionEvent =
  | (At & { readonly kind: 'tick' })
  | (At & {
      readonly kind: 'session-written'
      readonly id: number
      readonly sentAtMs: number
      readonly outcome: StoreOutcome<SessionRecord>
    })

/** Events of one member. `member` says which one. */
export type MemberEvent =
  | (At & { readonly kind: 'tick' })
  /** From a watch or a read. `sentAtMs` is set for linearizable reads only. `revision` 0: the key does not exist. */
  | (At & {
      readonly kind: 'record'
      readonly revision: Revision
      readonly value: GroupRecord | null
      readonly sentAtMs: number | null
      readonly id: number | null
    })
  | (At & {
      readonly kind: 'session'
      readonly agent: AgentName
      readonly value: SessionRecord | null
      readonly sentAtMs: number | null
      readonly id: number | null
    })
  /** A read that ended without an answer. */
  | (At & { readonly kind: 'read-failed'; readonly id: number; readonly because: string })
  | (At & {
      readonly kind: 'record-written'
      readonly id: number
      readonly sentAtMs: number
      readonly outcome: StoreOutcome<GroupRecord>
    })
  | (At & { readonly kind: 'engine-view'; readonly view: EngineView })
  /** The engine's main process ended and nobody here asked for it. */
  | (At & { readonly kind: 'engine-exited' })
  | (At & { readonly kind: 'engine-done'; readonly id: number; readonly outcome: EngineOutcome })
  | (At & { readonly kind: 'peer'; readonly report: PeerReport })
  /** One member's answer to `ask-freeze`; null report: it refused or did not answer. */
  | (At & {
      readonly kind: 'freeze-answer'
      readonly id: number
      readonly from: MemberName
      readonly report: PeerReport | null
    })
  /** One member's answer to `ask-failsafe`; `sentAtMs` is when the question left. */
  | (At & {
      readonly kind: 'failsafe-answer'
      readonly id: number
      readonly from: MemberName
      readonly sentAtMs: number
      readonly accept: boolean
      readonly because: string
    })
  | (At & { readonly kind: 'freeze-asked'; readonly id: number; readonly from: MemberName; readonly epoch: Epoch })
  | (At & { readonly kind: 'failsafe-asked'; readonly id: number; readonly from: MemberName; readonly epoch: Epoch })
  /** Somebody wants this member's engine started anew: new binaries, parameters that need it. */
  | (At & { readonly kind: 'restart-asked'; readonly id: number; readonly by: string; readonly ifEpoch: Epoch })
  /** The guard confirmed that it stands ready to fence at `untilMs`. */
  | (At & { readonly kind: 'guard-armed'; readonly untilMs: number })
  /** The guard ended, does not answer, or cannot do its work. */
  | (At & { readonly kind: 'guard-gone'; readonly because: string })
  /** The guard killed the engine on its own. */
  | (At & { readonly kind: 'guard-fired' })

export interface StepResult<S> {
  readonly state: S
  readonly actions: readonly Action[]
  readonly reasons: readonly Reason[]
  /** When the shell must call again with a `tick` at the latest. */
  readonly wakeAtMs: number
}
