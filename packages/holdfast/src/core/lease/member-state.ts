/** What one member's core remembers between events. Plain data: it goes into the journal and the simulator as it is. */
import type {
  AgentName,
  EngineView,
  Epoch,
  GroupRecord,
  MemberName,
  PeerReport,
  Position,
  PublishedPosition,
  Revision,
  Role,
  SessionId,
  SyncSet,
} from '../model.ts'
import type { EngineCommand, WritePurpose } from '../protocol.ts'

/** Newest version of the group record this node has seen. */
export interface RecordFact {
  readonly revision: Revision
  readonly value: GroupRecord | null
  readonly firstSeenAtMs: number
  /** When the newest linearizable read that returned this version was sent; -1: only from a watch or own write. */
  readonly readSentAtMs: number
}

/** What this node has itself seen of the session that the record names. Equality of beats only, own clock only (R9). */
export interface HolderFact {
  readonly agent: AgentName
  /** Session the record names; another one starts the observation anew. */
  readonly watched: SessionId
  readonly session: SessionId | null
  readonly beat: number
  readonly ttlMs: number
  readonly unchangedSinceMs: number
  /** When the newest linearizable read that showed this beat was sent; -1: none yet. */
  readonly readSentAtMs: number
  readonly published: PublishedPosition | null
  /** When the watched session was last seen to beat; a new one of the same agent tells nothing of its log. */
  readonly publishedAtMs: number
  /**
   * It was published no earlier than this: when the beat before it was seen. Null: it was there when this process began
   * to look; whoever looked before us may have promised the holder to stand back (R21), and that is forgotten.
   */
  readonly publishedAfterMs: number | null
  /** Published log ends, oldest first; to tell how old our copy is. */
  readonly history: readonly { readonly lsn: number; readonly afterMs: number }[]
}

export interface PeerFact {
  readonly report: PeerReport
  readonly atMs: number
}

export interface EngineOp {
  readonly id: number
  readonly command: EngineCommand
  readonly startedAtMs: number
  readonly deadlineMs: number
}

/** One write of the group record at a time. It stays until its outcome is certain: unknown means: write it again. */
export interface RecordWrite {
  readonly id: number
  readonly purpose: WritePurpose
  readonly record: GroupRecord
  readonly ifRevision: Revision
  readonly sentAtMs: number
  readonly unknown: boolean
}

/** Answers gathered from members that stopped receiving (R13). */
export interface Gathering {
  readonly id: number
  readonly epoch: Epoch
  readonly startedAtMs: number
  readonly askedAtMs: number
  readonly asked: readonly MemberName[]
  readonly answers: Readonly<Record<MemberName, PeerReport | null>>
  /** Our own receiver has stopped. */
  readonly selfFrozen: boolean
}

export interface FailsafeRound {
  readonly id: number
  readonly asked: readonly MemberName[]
  readonly accepted: readonly MemberName[]
  readonly earliestSentAtMs: number
  readonly startedAtMs: number
}

/** The leadership this member won and has not lost. Dropped the moment it may be lost; never taken up again. */
export interface Hold {
  readonly epoch: Epoch
  readonly session: SessionId
}

/** What the primary sees of one standby, view by view. */
export interface StandbyPace {
  /** When it was last seen streaming, to ride out short breaks. */
  readonly streamedAtMs: number
  /** A log end of ours that it has yet to make durable, and when it last reached such a goal. */
  readonly goalLsn: number
  readonly metAtMs: number
}

export interface MemberState {
  readonly role: Role
  readonly record: RecordFact | null
  readonly holder: HolderFact | null
  readonly view: EngineView | null
  /** Views taken before this say nothing: an engine command has finished since. */
  readonly viewNotBeforeMs: number
  /** Last time the engine answered as what it should be. */
  readonly engineGoodAtMs: number
  readonly peers: Readonly<Record<MemberName, PeerFact>>
  readonly guard: { readonly alive: boolean; readonly armedUntilMs: number }
  readonly hold: Hold | null
  /** Latest deadline told to the guard for this hold. */
  readonly armAskedMs: number
  /** Writable until this time without the store, because every member agreed (R21). 0: not. */
  readonly failsafeUntilMs: number
  readonly round: FailsafeRound | null
  readonly nextRoundAtMs: number
  /** We promised a primary not to take over before this time. */
  readonly promisedUntilMs: number
  readonly op: EngineOp | null
  readonly write: RecordWrite | null
  /** A write that lost is not repeated before this time. */
  readonly writeNotBeforeMs: number
  /** Ids of reads under way, with the time they were asked for. */
  readonly recordRead: { readonly id: number; readonly atMs: number; readonly failed: boolean } | null
  readonly sessionRead: { readonly id: number; readonly atMs: number; readonly failed: boolean } | null
  readonly gathering: Gathering | null
  readonly frozenForEpoch: Epoch
  readonly frozenAtMs: number
  /** Question of a peer that waits for our freeze to finish. */
  readonly freezeQuestion: { readonly id: number; readonly from: MemberName; readonly epoch: Epoch } | null
  /** We saw better-placed candidates; they have until this time. */
  readonly deferUntilMs: number
  /** Better-placed members that did not act when it was theirs; reset with each epoch. */
  readonly passedOver: readonly MemberName[]
  readonly deferredTo: MemberName | null
  /** Sync setting known to be in effect, and the log end after it took effect. Null: not known. */
  readonly engineSync: { readonly sync: SyncSet; readonly lsn: number } | null
  /** Sync setting on its way into the engine. */
  readonly applying: SyncSet | null
  /** Final position of a clean stop under way. */
  readonly finalPosition: Position | null
  /** Why a hand-over turned back; told to whoever asked for it. */
  readonly backBecause: { readonly id: string; readonly why: string } | null
  /** How each standby of this primary keeps up; empty on everybody else. */
  readonly pace: Readonly<Record<MemberName, StandbyPace>>
  readonly afterFence: 'release' | 'restart' | 'rejoin'
  readonly fenceBecause: string
  readonly intentSeen: { readonly id: string; readonly atMs: number; readonly waits: string | null } | null
  readonly pauseSeen: { readonly id: string; readonly atMs: number } | null
  /** After promotions that failed here this member stands back until this time; `failures` in a row so far. */
  readonly failedUntilMs: number
  readonly failures: number
  /** What this member would have published when its engine was given up. */
  readonly finalPublished: PublishedPosition | null
  /** Promotion under way: how the engine becomes primary, and whether that is done. */
  readonly promotion: {
    readonly by: 'create' | 'promote' | 'restart'
    readonly done: boolean
    readonly sinceMs: number
  } | null
  /** Hand-over under way: the intent it serves and its step. */
  readonly handover: { readonly id: string; readonly to: MemberName; readonly step: HandoverStep } | null
  /** Times at which this node saw the epoch grow without an operator, newest last (R25). */
  readonly promotionsAtMs: readonly number[]
  /** No offensive act before this time: the clock jumped or the loop stood still (R23). */
  readonly tiltUntilMs: number
  readonly lastEventAtMs: number
  /** The store answered with an older version than it had confirmed: nothing offensive until a restart (R22). */
  readonly storeWentBack: boolean
  readonly lastCrashAtMs: number
  /** No eligible member was seen from this time on; 0: there is one, or nobody is needed. */
  readonly alarmFromMs: number
  readonly retry: { readonly atMs: number; readonly count: number }
  /** Observe mode: the primary as last seen. */
  readonly observed: { readonly member: MemberName; readonly atMs: number; readonly lsn: number } | null
  /** When this member wants to be looked at again without another event. */
  readonly wakeAtMs: number
  /** Newest reason per topic, so that a standing reason is told once. */
  readonly said: Readonly<Record<string, string>>
}

export type HandoverStep = 'checkpoint' | 'stop' | 'confirm' | 'release'

export function startMember(nowMs: number): MemberState {
  return {
    role: 'idle',
    record: null,
    holder: null,
    view: null,
    viewNotBeforeMs: -1,
    engineGoodAtMs: nowMs,
    peers: {},
    guard: { alive: false, armedUntilMs: 0 },
    hold: null,
    armAskedMs: 0,
    failsafeUntilMs: 0,
    round: null,
    nextRoundAtMs: 0,
    promisedUntilMs: 0,
    op: null,
    write: null,
    writeNotBeforeMs: 0,
    failedUntilMs: 0,
    failures: 0,
    finalPublished: null,
    recordRead: null,
    sessionRead: null,
    gathering: null,
    frozenForEpoch: 0,
    frozenAtMs: 0,
    freezeQuestion: null,
    deferUntilMs: 0,
    passedOver: [],
    deferredTo: null,
    engineSync: null,
    applying: null,
    finalPosition: null,
    backBecause: null,
    pace: {},
    afterFence: 'rejoin',
    fenceBecause: '',
    intentSeen: null,
    pauseSeen: null,
    promotion: null,
    handover: null,
    promotionsAtMs: [],
    tiltUntilMs: 0,
    lastEventAtMs: nowMs,
    storeWentBack: false,
    lastCrashAtMs: -1,
    alarmFromMs: 0,
    retry: { atMs: 0, count: 0 },
    observed: null,
    wakeAtMs: nowMs,
    said: {},
  }
}
