/**
 * What an agent answers over HTTP. Plain data; the same types serve the agent, the CLI, the router and applications.
 *
 * Health checks (no token): GET /primary, /replica?lag=<bytes>, /readyz, /livez, /metrics.
 * With `Authorization: Bearer <token>`:
 *   GET  /v1/status                      -> AgentStatus
 *   GET  /v1/status?after=MARK&waitMs=N  -> the same once it differs from MARK, with the decisions since only
 *   GET  /v1/groups/:group/explain       -> GroupExplanation
 *   POST /v1/groups/:group/switchover    { to?, by, dryRun? }              -> IntentAccepted
 *   POST /v1/groups/:group/failover      { to?, by, allowDataLoss }        -> IntentAccepted
 *   GET  /v1/groups/:group/intents/:id   -> IntentState
 *   POST /v1/groups/:group/pause         { by, because, validMs }          -> { ok: true }
 *   POST /v1/groups/:group/resume        { by }                            -> { ok: true }
 *   POST /v1/groups/:group/restart       { member, by, ifEpoch, ifStarted } -> { ok: true } (a replica's engine)
 *   GET  /v1/plans/:scope                -> StoredPlan; /timings beside it
 *   POST /v1/plans/:scope                { value, ifRevision }             -> PlanWritten
 *   GET  /v1/drills/faults               -> { faults: FaultStatus[] }
 *   POST /v1/drills/faults               { id, kind, what?, members, forMs, by }  -> FaultStatus
 *   POST /v1/drills/lift                 { id, by }                        -> { faults: FaultStatus[] }
 *   GET  /v1/peer/reports                -> { nowMs, boot, reports } (agents only)
 *   POST /v1/peer/reports                { from, nowMs, reports, echo }    -> the same; brings the asker's own
 *   POST /v1/peer/freeze                 { group, member, from, epoch }    -> { report } (agents only)
 *   POST /v1/peer/failsafe               { group, member, from, epoch }    -> { accept, because } (agents only)
 * switchover, failover, pause and resume take `ifEpoch` and `ifPausedBy`: the agent refuses (HF_GROUP_CHANGED) when the
 * group is no longer like that.
 * Errors: { error: { code: 'HF_...', message, retryable, doc } } with the status of the error table.
 */
export interface MemberStatus {
  readonly group: string
  readonly member: string
  readonly agent: string
  readonly site: string
  /** Role of the failover core: idle, replica, claiming, promoting, primary, demoting, fencing, releasing. */
  readonly role: string
  readonly epoch: number
  readonly engine: {
    readonly running: boolean
    readonly answering: boolean
    readonly role: string
    readonly data: string
    readonly timeline: number | null
    readonly lsn: number | null
    readonly receiving: boolean
    readonly upstream: string | null
    /** Names the engine's main process; another one after each start. Null while none runs. */
    readonly started: string | null
  } | null
  /** Milliseconds for which this member may still write without another beat; 0 when it may not. */
  readonly writableForMs: number
  /** Bytes behind what the holder last published; null when unknown. */
  readonly lagBytes: number | null
  /** Age, at most, of its data: what the primary wrote before that is there; null when unknown. */
  readonly staleMs: number | null
  readonly address: { readonly host: string; readonly port: number }
  /** Long work under way, if any. */
  readonly work: { readonly step: string; readonly done: number; readonly total: number | null } | null
}

export interface GroupStatus {
  readonly group: string
  readonly epoch: number
  readonly phase: string
  readonly holder: string | null
  readonly eligible: readonly string[]
  readonly need: number
  readonly paused: { readonly by: string; readonly because: string; readonly forMs: number } | null
  readonly failsafe: boolean
}

export interface ReasonLine {
  /** Wall clock of the agent, milliseconds since 1970. */
  readonly wallMs: number
  readonly code: string
  readonly group: string
  readonly member: string
  readonly rule?: string
  readonly detail: Readonly<Record<string, string | number | boolean | null>>
}

export interface AgentStatus {
  readonly agent: string
  readonly site: string
  readonly version: string
  readonly loopAgeMs: number
  readonly store: { readonly reachable: boolean; readonly lastConfirmedMsAgo: number | null }
  readonly guard: { readonly alive: boolean; readonly pid: number | null }
  readonly members: readonly MemberStatus[]
  readonly groups: readonly GroupStatus[]
  /** The newest decisions, oldest first, at most 200. */
  readonly reasons: readonly ReasonLine[]
  /** Decisions since this process started; with `boot` the number of each is its own for good. */
  readonly reasonsTotal: number
  /** Drawn by this process. */
  readonly boot: string
  /** What to ask with `after`. */
  readonly mark: string
}

export interface CandidateVerdict {
  readonly member: string
  readonly eligible: boolean
  /** Every rule that excludes it, with its numbers; empty when eligible. */
  readonly because: readonly ReasonLine[]
}

export interface GroupExplanation {
  readonly group: string
  readonly seenBy: string
  readonly holder: string | null
  readonly epoch: number
  readonly phase: string
  readonly candidates: readonly CandidateVerdict[]
  /** What would happen now if the holder died, in one sentence. */
  readonly wouldDo: string
}

export interface IntentAccepted {
  readonly id: string
}

export interface IntentState {
  readonly id: string
  readonly state: 'waiting' | 'running' | 'done' | 'refused'
  readonly because: string
  readonly holder: string | null
  readonly epoch: number
}

/** A record of the store as text, with the revision for the next compare-and-set; null: there is none. */
export interface StoredPlan {
  readonly value: string | null
  readonly revision: number
}

/** `written` false: somebody else wrote meanwhile, and this is what is there. */
export interface PlanWritten extends StoredPlan {
  readonly written: boolean
}

/** Compared by the agent in the same write that takes the request. */
export interface GroupCondition {
  readonly ifEpoch?: number
  /** Null: nobody. */
  readonly ifPausedBy?: string | null
}

export type FaultKind = 'kill' | 'freeze' | 'block-store' | 'block-link'

/** One fault of a drill at one agent. */
export interface FaultStatus {
  /** The drill's own; a fault that was lifted is never done again under it. */
  readonly id: string
  readonly kind: FaultKind
  readonly members: readonly string[]
  readonly by: string
  readonly state: 'waiting' | 'on' | 'off'
  /** What was seen, in words: how many processes stopped, ran again, how many calls met the block. */
  readonly proof: string
  /** Until it ends by itself. */
  readonly leftMs: number
  /** Where a freeze can be looked at and ended while the agent itself stands still. */
  readonly deadman: { readonly url: string; readonly secret: string } | null
}

export interface FaultOrder {
  readonly id: string
  readonly kind: FaultKind
  /** Of a freeze. */
  readonly what?: 'engine' | 'agent' | 'host'
  readonly members: readonly string[]
  readonly forMs: number
  readonly by: string
}
