/**
 * The words of the core: what is written to the store, what a member observes, and what travels between the two.
 * Everything here is plain data, JSON-safe, and immutable. Times named `nowMs`, `...AtMs` are monotonic milliseconds
 * of ONE node's clock; two nodes' clocks are never compared. Log positions are bytes since the start of the log.
 */

export type MemberName = string
export type AgentName = string
export type GroupName = string
/** A fresh random id; an agent opens a new one whenever the old one lapsed. */
export type SessionId = string
/** Number of a leadership. Only grows; the store's compare-and-set makes each one unique (R19). */
export type Epoch = number
/** Version of one key in the store. 0 means "the key does not exist". */
export type Revision = number

/** Where a member's durable log ends. Positions on different timelines are only comparable through the fork point. */
export interface Position {
  readonly timeline: number
  readonly lsn: number
}

/**
 * What a holder tells about its log with each beat. A candidate uses it as the floor it must reach.
 * `ackedLsn` is confirmed durable on enough members of the recorded sync set (equals `lsn` in async mode).
 */
export interface PublishedPosition {
  readonly epoch: Epoch
  readonly timeline: number
  readonly lsn: number
  readonly ackedLsn: number
}

/** Key `sessions/<agent>`. The holder's right to write lives and dies with `beat` moving. */
export interface SessionRecord {
  readonly v: 1
  readonly agent: AgentName
  readonly session: SessionId
  readonly beat: number
  readonly ttlMs: number
  readonly positions: Readonly<Record<GroupName, PublishedPosition>>
}

/**
 * Who may take over without loss: every acknowledged write is durable on the last open holder and on at least `need`
 * of `members`. `need` 0 with no members means only the holder itself is known to be complete.
 */
export interface SyncSet {
  readonly members: readonly MemberName[]
  readonly need: number
}

/** Nobody can confirm: acknowledgements wait. In effect from before a promotion until the record says `open`. */
export const GATE: SyncSet = { members: [], need: 1 }
/** Nobody needs to confirm. */
export const NO_SYNC: SyncSet = { members: [], need: 0 }

export interface RecordedSyncSet extends SyncSet {
  /** Disk id each member had when it was confirmed; another disk is not the same copy (S8). */
  readonly disks: Readonly<Record<MemberName, string>>
}

/** A time that does not come; finite, so that states survive JSON. */
export const NEVER_MS = Number.MAX_SAFE_INTEGER

/** `creating`: the first holder is making the data set. `claimed`: holder won, not yet writable. `open`: writable. */
export type Phase = 'creating' | 'claimed' | 'open' | 'released'

export interface Release {
  /** Final position of a clean stop; null when it is not known (crash): then the published floor counts. */
  readonly position: Position | null
  /** True when the engine was stopped cleanly after its last write reached the target. */
  readonly clean: boolean
  /** Who should take it; others wait one ttl before they consider themselves. */
  readonly to: MemberName | null
  readonly because: string
}

/** What an operator asked for. One at a time per group; cleared by the holder that carried it out or refused it. */
export interface Intent {
  readonly id: string
  readonly kind: 'switchover' | 'failover'
  readonly to: MemberName | null
  /** The operator accepts that acknowledged writes may be lost (R16). Only for `failover`. */
  readonly allowDataLoss: boolean
  readonly by: string
  /** How long the intent stays valid after an agent first saw it. */
  readonly validMs: number
}

/** No automatic promotion or demotion while it stands (R28). Expires `validMs` after an agent first saw `id`. */
export interface Pause {
  readonly id: string
  readonly by: string
  readonly because: string
  readonly validMs: number
}

/** Key `groups/<group>`: lease, sync set and intent in one record, so that one compare-and-set moves them together. */
export interface GroupRecord {
  readonly v: 1
  /** Names the write that made this version, so that a lost answer can be told from somebody else's write (R8). */
  readonly stamp: string
  readonly group: GroupName
  readonly epoch: Epoch
  readonly phase: Phase
  readonly holder: MemberName | null
  readonly agent: AgentName | null
  readonly session: SessionId | null
  readonly systemId: string | null
  /** Timeline the holder writes on; set when the phase becomes open. */
  readonly timeline: number
  /** Failsafe list (R21); also the only members that may ever hold. */
  readonly members: readonly MemberName[]
  readonly sync: RecordedSyncSet
  /** The last member that was open for writes, and its disk: it holds all it acknowledged. */
  readonly lastOpen: { readonly member: MemberName; readonly epoch: Epoch; readonly diskId: string } | null
  /** What the last open holder had published when its lease was claimed; the floor if that claim comes to nothing. */
  readonly lastPublished: PublishedPosition | null
  readonly release: Release | null
  readonly intent: Intent | null
  readonly pause: Pause | null
  /** Result of the last intent, so that whoever asked can read it. */
  readonly lastIntent: { readonly id: string; readonly ok: boolean; readonly because: string } | null
}

/** One standby as the primary sees it. */
export interface StandbyView {
  readonly member: MemberName
  readonly streaming: boolean
  /** Durable on the standby. */
  readonly flushLsn: number
}

export type DataState = 'empty' | 'ready' | 'unfinished' | 'foreign'

/** What the adapter saw when it last looked at the engine. */
export interface EngineView {
  readonly observedAtMs: number
  /** Any process of the engine is alive. */
  readonly running: boolean
  /** It answered a query within its deadline. */
  readonly answering: boolean
  readonly role: 'primary' | 'replica' | 'none'
  readonly data: DataState
  readonly systemId: string | null
  /** Identity of this copy of the data; changes with each create or clone. */
  readonly diskId: string | null
  /** Durable end of the log: written (primary) or received and flushed (replica). Null when unknown. */
  readonly position: Position | null
  /** The replica's receiver is connected and streaming. */
  readonly receiving: boolean
  readonly upstream: MemberName | null
  /** Primary only: its standbys, and the sync setting in effect. */
  readonly standbys: readonly StandbyView[]
  readonly sync: SyncSet | null
  /**
   * Epoch of a promotion of this copy that was never opened for writes: its log is a fork nobody else has. Null:
   * none.
   */
  readonly unopenedEpoch: Epoch | null
  /** Bytes a crash recovery would have to read again; 0 when unknown. */
  readonly redoBytes: number
}

/** What a member's agent tells the other agents. Answered from state, never from a blocking call. */
export interface PeerReport {
  readonly member: MemberName
  readonly agent: AgentName
  readonly role: Role
  readonly epoch: Epoch
  /** The member is open for writes and its trust is valid for this long; 0 otherwise (R10). */
  readonly writableForMs: number
  /** Time since the reporting agent's loop last ran; a report of an old loop is ignored (R10). */
  readonly loopAgeMs: number
  readonly engine: EngineView | null
  /** It stopped its receiver for this epoch (R13); 0 when not frozen. */
  readonly frozenForEpoch: Epoch
  /**
   * What keeps it from any lease, also from one that is given to it; null: nothing. A fresh agent has no session until
   * its predecessor's has run out, and one that was frozen lets a ttl pass before it trusts its clock again.
   */
  readonly unready: string | null
  readonly noFailover: boolean
  readonly priority: number
}

/**
 * What a member is doing.
 * - `idle`: no decision yet (record or engine not seen)
 * - `replica`: follows, or tries to; watches the holder
 * - `claiming`: a compare-and-set for the lease is under way or unresolved
 * - `promoting`: holds the lease, engine on its way to primary (or being created, or restarted in place)
 * - `primary`: holds the lease, open for writes
 * - `demoting`: planned hand-over, engine being stopped cleanly
 * - `fencing`: engine being killed; nothing else happens until it is gone
 * - `releasing`: engine is gone, the record still names us
 */
export type Role = 'idle' | 'replica' | 'claiming' | 'promoting' | 'primary' | 'demoting' | 'fencing' | 'releasing'

/** Why a decision was taken: a stable code and its numbers. Log line, audit entry, `explain` and golden file in one. */
export interface Reason {
  readonly code: string
  readonly group: GroupName
  readonly member: MemberName
  readonly rule?: string
  readonly detail: Readonly<Record<string, string | number | boolean | null>>
}
