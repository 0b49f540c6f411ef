/**
 * What `holdfast server` takes and answers. Made by `npm run schema` from the table of its routes.
 */

export interface ApiAbortDrill {
  readonly because: string
}

export interface ApiActiveDrill {
  readonly group: string
  readonly id: string
  readonly drill: string
  readonly by: string
  readonly startedMs: number
  readonly phase: string
  /** Whom the fault is done to, once that is known. */
  readonly members: readonly string[]
  /** It goes on when one of these says yes. */
  readonly waiting: {
    readonly before: 'start' | 'fault'
    readonly by: readonly string[]
  } | null
  readonly abort: {
    readonly by: string
    readonly because: string
  } | null
  /** Since its runner was last heard of. */
  readonly silentMs: number
}

export interface ApiAgent {
  readonly agent: string
  readonly site: string
  readonly version: string | null
  readonly reachable: boolean
  /** Why it is not reachable; empty when it is. */
  readonly because: string
  readonly loopAgeMs: number | null
  readonly store: {
    readonly reachable: boolean
    readonly lastConfirmedMsAgo: number | null
  } | null
  readonly guardAlive: boolean | null
}

export interface ApiAlerts {
  /** Somebody on the host of this server looks. */
  readonly running: boolean
  /** Why not; empty when somebody does. */
  readonly because: string
  readonly lookedMs: number | null
  readonly alerts: readonly {
    readonly id: string
    readonly rule: string
    readonly severity: 'critical' | 'warning' | 'info'
    readonly summary: string
    /** What to do first. */
    readonly next: string
    readonly runbook: string
    readonly labels: Readonly<Record<string, string>>
    readonly sinceMs: number
    readonly acknowledgedBy: string | null
    /** Why nobody is told; empty when somebody is. */
    readonly quiet: string
  }[]
  readonly silences: readonly {
    readonly id: string
    readonly matchers: Readonly<Record<string, string>>
    readonly by: string
    readonly because: string
    readonly endsMs: number
  }[]
  readonly failing: readonly {
    readonly channel: string
    readonly scope: string
    readonly because: string
  }[]
  readonly channels: readonly {
    readonly channel: string
    readonly kind: string
  }[]
}

export interface ApiApproval {
  readonly id: string
  readonly action: 'switchover' | 'failover' | 'plan'
  /** Null: it is about a service. */
  readonly group: string | null
  readonly to: string | null
  readonly plan: {
    readonly service: string
    readonly kind: 'switchover' | 'failover' | 'failback' | 'evacuate' | 'restart'
    readonly from: string | null
    readonly to: string | null
    readonly member: string | null
    readonly steps: readonly string[]
    readonly losses: readonly string[]
    /** What was shown to who asked. Another plan is refused, and the request has ended. */
    readonly digest: string
  } | null
  readonly allowDataLoss: boolean
  /** Of the group when it was asked for. At another one it is refused and has ended. Of a plan the digest counts. */
  readonly epoch: number
  readonly state: 'waiting' | 'approved' | 'rejected' | 'expired' | 'failed'
  readonly askedBy: string
  readonly askedMs: number
  readonly expiresMs: number
  readonly decidedBy: string | null
  readonly decidedMs: number | null
  /** Words of who decided, or what the agent said. */
  readonly because: string
  /** Number of the request at the agents, or of the plan, once it was begun. */
  readonly intent: string | null
}

export interface ApiAsked {
  /** Follow it at /groups/{group}/intents/{id}. */
  readonly intent: string | null
  /** There when it waits for somebody else. */
  readonly approval: ApiApproval | null
}

export interface ApiAuditCheckpoint {
  /** Number of the newest entry it covers. */
  readonly number: number
  /** Hash of that entry. */
  readonly hash: string
  readonly wallMs: number
  /** Public key, SPKI, base64. */
  readonly key: string
  /** Ed25519, base64. */
  readonly signature: string
}

export interface ApiAuditEntry {
  readonly number: number
  readonly wallMs: number
  /** `user NAME`, `token ID of NAME`, `server NAME` or `nobody`. */
  readonly actor: string
  /** Name of the route, or what the server did by itself. */
  readonly action: string
  /** What it was done to. */
  readonly subject: string
  readonly outcome: 'asked' | 'done' | 'refused' | 'failed' | 'unknown'
  /** Where the request came from. */
  readonly address: string
  readonly detail: Readonly<Record<string, string | number | boolean | null>>
  /** Hash of the entry before. */
  readonly before: string
  /** SHA-256 over the canonical JSON of this entry without `hash`. */
  readonly hash: string
}

export interface ApiAuditPage {
  readonly entries: readonly ApiAuditEntry[]
  /** For `before`; null at the end. */
  readonly next: number | null
}

export interface ApiAuditVerdict {
  readonly ok: boolean
  readonly entries: number
  readonly checkpoints: number
  /** Newest entry that a signature covers. */
  readonly lastSigned: number | null
  /** The first thing that is wrong; empty when nothing is. */
  readonly because: string
  /** Number of the entry it was found at. */
  readonly at: number | null
}

export interface ApiAutomationRequest {
  readonly automation: 'on' | 'off'
  readonly because: string
  /** How long it stays off; needed with `off`. */
  readonly validMs?: number
}

export interface ApiCanary {
  readonly group: string
  /** The server that measures; null: none does. */
  readonly by: string | null
  /** Age of `now`; another server than the leading one has it later. */
  readonly measuredMsAgo: number | null
  /** Why nothing is measured; empty when something is. */
  readonly because: string
  readonly now: ApiCanaryNow | null
  readonly availability: readonly {
    readonly windowMs: number
    /** Share of the measured time in which writes were served; null: none was. */
    readonly writes: number | null
    readonly reads: number | null
    readonly downMs: number
    readonly unmeasuredMs: number
    readonly lost: number
  }[]
  /** The last hour, oldest first. */
  readonly minutes: readonly {
    readonly startMs: number
    readonly acked: number
    readonly failed: number
    readonly unknown: number
    readonly downMs: number
    readonly unmeasuredMs: number
    /** Mean. */
    readonly latencyMs: number | null
    readonly latencyMaxMs: number
    /** The most that any replica was surely behind. */
    readonly staleMaxMs: number
  }[]
  /** Newest first. */
  readonly outages: readonly ApiCanaryOutage[]
}

export interface ApiCanaryFigures {
  readonly wallMs: number
  readonly groups: readonly {
    readonly group: string
    /** `down`: writes or reads fail or wait; `unmeasured`: see because. */
    readonly writes: 'unmeasured' | 'starting' | 'up' | 'down'
    /** `down`: writes or reads fail or wait; `unmeasured`: see because. */
    readonly reads: 'unmeasured' | 'starting' | 'up' | 'down'
    readonly because: string
    readonly latencyMs: number | null
    readonly sinceAckMs: number | null
    readonly outageMs: number | null
    readonly risk: ApiMeasuredRisk | null
    readonly replicas: readonly {
      readonly member: string
      readonly ageMs: number | null
      readonly lacksMs: number | null
    }[]
  }[]
}

export interface ApiCanaryNow {
  readonly group: string
  readonly perSecond: number
  readonly writes: {
    /** `down`: writes or reads fail or wait; `unmeasured`: see because. */
    readonly condition: 'unmeasured' | 'starting' | 'up' | 'down'
    /** Why nothing is measured; empty when something is. */
    readonly because: string
    /** By which way: a door of a router, or straight to a member. */
    readonly via: string
    readonly lastTrouble: string
  }
  readonly reads: {
    /** `down`: writes or reads fail or wait; `unmeasured`: see because. */
    readonly condition: 'unmeasured' | 'starting' | 'up' | 'down'
    /** Why nothing is measured; empty when something is. */
    readonly because: string
    /** By which way: a door of a router, or straight to a member. */
    readonly via: string
    readonly lastTrouble: string
  }
  readonly sinceAckMs: number | null
  readonly latency: {
    readonly newestMs: number
    readonly p50Ms: number
    readonly p95Ms: number
  } | null
  readonly outage: {
    /** Since the last acknowledged write. */
    readonly forMs: number
    readonly failed: number
    /** Writes without an answer. */
    readonly unknown: number
    readonly unmeasuredMs: number
  } | null
  readonly acked: number
  readonly failed: number
  readonly unknown: number
  /** Acknowledged, and later not at the primary. */
  readonly lost: number
  /** Read back edited, or not written by this canary. */
  readonly badRecords: number
  /** Since every acknowledged number was looked for; null: not yet. */
  readonly checkedMsAgo: number | null
  /** What would be lost if the primary’s site burned; null: not measured. */
  readonly risk: ApiMeasuredRisk | null
  readonly replicas: readonly {
    readonly member: string
    readonly site: string
    /** Of the newest record it showed: it is at most so stale. */
    readonly ageMs: number | null
    /** Acknowledged records it did not show. */
    readonly lacks: number | null
    /** Since the oldest of these was acknowledged: it is at least so stale. */
    readonly lacksMs: number | null
    readonly lookedMsAgo: number | null
    /** Why it shows nothing; empty when it does. */
    readonly because: string
    /** By the counters of the engine. */
    readonly lagBytesPredicted: number | null
  }[]
}

export interface ApiCanaryOutage {
  readonly id: string
  readonly group: string
  readonly incident: string | null
  readonly fromMs: number
  readonly toMs: number
  /** Without what was not measured of it. */
  readonly ms: number
  readonly unmeasuredMs: number
  readonly failed: number
  readonly unknown: number
  readonly seenToItsEnd: boolean
}

export interface ApiDecision {
  readonly because?: string
}

export interface ApiDrill {
  readonly drill: string
  readonly group: string
  /** Name of its file. */
  readonly file: string
  /** Of that file; what is approved is this and nothing else. */
  readonly sha256: string
  readonly description: string
  /** What is believed. */
  readonly statement: string
  readonly fault: string
  /** The fault ends by itself after this; null: it has no length. */
  readonly deadmanMs: number | null
  readonly blastRadius: {
    readonly members: number
    readonly sites: number
    readonly groups: number
  }
  readonly abortConditions: string
  readonly objective: {
    readonly rtoMs: number
    readonly rpoMs: number
  }
  /** Where it is done unless somebody says otherwise. */
  readonly where: 'live' | 'practice'
  readonly liveAllowed: boolean
  /** Live, acknowledged writes could be lost: it waits for an approver. */
  readonly liveRisky: boolean
  readonly approvals: readonly {
    readonly before: 'start' | 'fault'
    readonly by: readonly string[]
  }[]
  readonly due: {
    readonly state: 'due' | 'overdue' | 'later' | 'frozen' | 'unscheduled'
    readonly because: string
    readonly nextMs: number | null
    /** The next 90 days. */
    readonly times: readonly {
      readonly atMs: number
      readonly frozen: string | null
    }[]
  }
  readonly freezes: readonly {
    readonly from: string
    readonly to: string
    readonly because: string
  }[]
  readonly last: ApiDrillRun | null
  readonly lastPassed: ApiDrillRun | null
}

export interface ApiDrillAborted {
  /** Null: none runs. */
  readonly drill: string | null
  readonly because: string
}

export interface ApiDrillDay {
  readonly title: string
  /** One after the other; ends at the first not passed. */
  readonly drills: readonly string[]
}

export interface ApiDrillGate {
  /** Of the run that was looked at. */
  readonly id: string
  /** What it waits before. */
  readonly gate: 'start' | 'fault'
}

export interface ApiDrillOrder {
  readonly id: string
  readonly title: string
  /** `waiting` for an approver; `ready` to be run by the server that leads. */
  readonly state: 'waiting' | 'ready' | 'running' | 'ended' | 'rejected' | 'expired' | 'missed'
  readonly because: string
  /** Who asked; `schedule` for one that was due. */
  readonly by: string
  readonly scheduledMs: number | null
  readonly askedMs: number
  /** What waits or is ready after this is not run. */
  readonly expiresMs: number | null
  readonly decidedBy: string | null
  readonly decidedMs: number | null
  readonly endedMs: number | null
  /** Of the description it was asked with; with another one it is not run. */
  readonly configSha256: string
  readonly drills: readonly {
    readonly drill: string
    readonly group: string
    readonly sha256: string
    readonly practice: boolean
    /** Id of the run, once it was begun. */
    readonly run: string | null
    readonly outcome: 'passed' | 'failed' | 'aborted' | 'refused' | 'unproved' | null
    readonly because: string
  }[]
}

export interface ApiDrillReport {
  readonly id: string
  readonly drill: string
  readonly group: string
  readonly practice: boolean
  readonly outcome: string
  readonly because: string
  readonly startedMs: number
  readonly endedMs: number
  readonly by: string
  readonly seq: number
  readonly sha256: string
  readonly keyId: string
  readonly objective: {
    readonly rtoMs: number
    readonly rpoMs: number
  }
  readonly measured: {
    readonly rtoMs: number
    readonly rpoMs: number
    readonly acked: number
    readonly failed: number
    readonly lost: number
    readonly doubled: number
  } | null
  readonly platform: string
  readonly engine: string
  readonly tool: string
  readonly configSha256: string
  readonly drillSha256: string
  readonly previousSha256: string | null
  readonly description: string
  readonly statement: string
  readonly fault: string
  readonly members: readonly string[]
  readonly blastRadius: {
    readonly members: number
    readonly sites: number
    readonly groups: number
  }
  readonly abortConditions: string
  readonly approvals: readonly {
    readonly gate: string
    readonly by: string
    readonly sinceMs: number
  }[]
  readonly prediction: {
    readonly rtoMs: number
    readonly rpoMs: number
    readonly because: string
  } | null
  readonly method: string
  readonly deviations: readonly string[]
  readonly checks: readonly {
    readonly when: string
    readonly check: string
    readonly looks: number
    readonly held: number
  }[]
  readonly timeline: readonly {
    readonly sinceMs: number
    readonly source: string
    readonly code: string
    readonly words: string
  }[]
  readonly rate: {
    readonly stepMs: number
    readonly acked: readonly number[]
  }
  readonly controls: readonly {
    readonly rule: string
    readonly clause: string
    readonly supports: string
    readonly notProved: string
  }[]
  readonly files: readonly ('json' | 'html' | 'pdf' | 'seal')[]
}

export interface ApiDrillReportLine {
  readonly id: string
  readonly drill: string
  readonly group: string
  readonly practice: boolean
  readonly outcome: string
  readonly because: string
  readonly startedMs: number
  readonly endedMs: number
  readonly by: string
  readonly seq: number
  readonly sha256: string
  readonly keyId: string
  readonly objective: {
    readonly rtoMs: number
    readonly rpoMs: number
  }
  readonly measured: {
    readonly rtoMs: number
    readonly rpoMs: number
    readonly acked: number
    readonly failed: number
    readonly lost: number
    readonly doubled: number
  } | null
}

export interface ApiDrillReportVerdict {
  readonly ok: boolean
  readonly signature: {
    readonly ok: boolean
    readonly because: string
  }
  /** Of the HTML page. */
  readonly page: {
    readonly ok: boolean
    readonly because: string
  } | null
  readonly chain: {
    readonly ok: boolean
    readonly because: string
  }
  readonly keyId: string | null
  /** Signed by the key of this server. */
  readonly ownKey: boolean
}

export interface ApiDrillRun {
  /** Of its report, when it left one. */
  readonly id: string
  readonly drill: string
  readonly outcome: 'passed' | 'failed' | 'aborted' | 'refused' | 'unproved'
  readonly because: string
  /** On a copy. */
  readonly practice: boolean
  readonly startedMs: number
  readonly endedMs: number
  readonly rtoMs: number | null
  readonly rpoMs: number | null
  /** Its place in the chain of evidence; null: it left none. */
  readonly seq: number | null
}

export interface ApiDrillScores {
  readonly groups: readonly {
    readonly group: string
    /** 0 to 100; fades with the age of the last proof. */
    readonly score: number
    readonly lastPassedDrill: ApiDrillRun | null
    /** Scheduled drills that passed too long ago. */
    readonly overdue: readonly string[]
    readonly nextMs: number | null
  }[]
  readonly services: readonly {
    readonly service: string
    /** 0 to 100; fades with the age of the last proof. */
    readonly score: number
    /** Of its groups the oldest proof; null: one has none. */
    readonly lastPassedDrill: ApiDrillRun | null
  }[]
}

export interface ApiDrills {
  /** Why what ran is not known, or is old; empty when the store answers. */
  readonly storeBecause: string
  readonly drills: readonly ApiDrill[]
  readonly mistakes: readonly {
    readonly file: string
    readonly what: string
    readonly right: string
    readonly line: number
  }[]
  readonly active: readonly ApiActiveDrill[]
  /** Newest first. */
  readonly orders: readonly ApiDrillOrder[]
}

export interface ApiError {
  readonly error: {
    /** `HF_...`; docs/reference/errors.md explains each. */
    readonly code: string
    readonly message: string
    /** What to do about it. */
    readonly next: string
    readonly retryable: boolean
    readonly doc: string
  }
}

export interface ApiEvent {
  /** Grows by one with each event; the `id` of the stream. */
  readonly number: number
  /** When it happened, by the clock of who saw it. */
  readonly wallMs: number
  /** When the server wrote it down. */
  readonly recordedMs: number
  readonly kind:
    | 'reason'
    | 'role'
    | 'leader'
    | 'verdict'
    | 'pause'
    | 'agent'
    | 'incident'
    | 'action'
    | 'approval'
    | 'plan'
    | 'server'
    | 'drill'
    | 'canary'
    | 'alert'
  readonly severity: 'info' | 'notice' | 'warning' | 'critical'
  readonly code: string
  readonly summary: string
  readonly group: string | null
  readonly member: string | null
  /** `agent NAME`, `server NAME` or `user NAME`. */
  readonly source: string
  readonly rule: string | null
  readonly incident: string | null
  readonly detail: Readonly<Record<string, string | number | boolean | null>>
}

export interface ApiEventPage {
  readonly events: readonly ApiEvent[]
  readonly next: number | null
  /** Older events were deleted by age. */
  readonly oldestKept: number
}

export interface ApiExplanation {
  readonly group: string
  readonly seenBy: string
  readonly holder: string | null
  readonly epoch: number
  readonly phase: string
  readonly candidates: readonly {
    readonly member: string
    readonly eligible: boolean
    readonly because: readonly ApiReason[]
  }[]
  /** What would happen now if the holder died. */
  readonly wouldDo: string
}

export interface ApiFailoverRequest {
  readonly to?: string
  /** Acknowledged writes may be lost. Carried out at once for who may approve; else it waits for one. */
  readonly allowDataLoss?: boolean
  /** Refused when the group is at another epoch than the one that was seen. */
  readonly ifEpoch?: number
}

export interface ApiFaults {
  /** Every agent answered and has no fault on. */
  readonly allOff: boolean
  readonly agents: readonly {
    readonly agent: string
    readonly site: string
    readonly off: boolean
    /** What is on, or why it is not known. */
    readonly because: string
  }[]
}

export interface ApiFigures {
  readonly wallMs: number
  readonly members: readonly {
    readonly member: string
    readonly lsn: number | null
    readonly lagBytes: number | null
    readonly writableForMs: number
  }[]
  readonly groups: readonly {
    readonly group: string
    readonly lossBytes: number | null
  }[]
}

export interface ApiFirstAdmin {
  readonly code: string
  readonly user: string
  readonly password: string
}

export interface ApiGrant {
  readonly role: ApiRole
  /** Only over these groups. */
  readonly groups?: readonly string[]
  /** Only over the groups of these services. */
  readonly services?: readonly string[]
}

export interface ApiGroup {
  readonly group: string
  readonly engine: string
  readonly profile: string
  readonly failover: 'automatic' | 'manual' | 'observe'
  readonly whenAlone: 'block' | 'continue'
  readonly replication: {
    readonly kind: 'sync' | 'quorum' | 'async'
    /** Standbys that confirm, with a quorum. */
    readonly need: number | null
    readonly lossBytesMax: number | null
    readonly lossMsMax: number | null
  }
  /** Length of the lease. */
  readonly ttlMs: number
  readonly epoch: number
  /** Phase of the record, or `unknown`. */
  readonly phase: string
  readonly holder: string | null
  /** The one member that may write now. */
  readonly writer: string | null
  readonly eligible: readonly string[]
  readonly need: number
  readonly paused: {
    readonly by: string
    readonly because: string
    readonly forMs: number
  } | null
  readonly failsafe: boolean
  readonly verdict: ApiVerdict
  /** What would be lost if the site of the primary burned this second. */
  readonly loss: ApiLoss
  readonly doors: readonly {
    readonly router: string
    readonly site: string
    readonly write: {
      readonly host: string
      readonly port: number
    }
    readonly read: {
      readonly listen: {
        readonly host: string
        readonly port: number
      }
      readonly lagBytesMax: number
    } | null
  }[]
  readonly members: readonly ApiMember[]
  /** The one that is open. */
  readonly incident: string | null
}

export interface ApiIncident {
  readonly id: string
  readonly group: string
  readonly kind: 'failover' | 'switchover' | 'outage'
  readonly state: 'open' | 'closed'
  readonly openedMs: number
  readonly closedMs: number | null
  readonly fromEpoch: number
  readonly toEpoch: number | null
  /** Primary before. */
  readonly from: string | null
  /** Primary after. */
  readonly to: string | null
  readonly because: string
  /** From the last moment a member was seen open for writes to the next. */
  readonly writeGapMs: number | null
  /** What clients saw of it, once it is over; null: not measured. */
  readonly canary: ApiIncidentCanary | null
  readonly phases: readonly {
    readonly phase: 'detect' | 'decide' | 'fence' | 'promote' | 'route' | 'healthy'
    readonly wallMs: number
    readonly code: string
    readonly summary: string
  }[]
}

export interface ApiIncidentCanary {
  /** From the last acknowledged write to the next; null: not measured. */
  readonly outageMs: number | null
  /** Of it; in so much of it nobody wrote. */
  readonly unmeasuredMs: number
  /** Between two writes: an outage is not seen finer. */
  readonly resolutionMs: number
  readonly failed: number
  readonly unknown: number
  /** Null: the primary was not looked through yet. */
  readonly lostRecords: number | null
  readonly lostMs: number | null
}

export interface ApiIncidentMeasured {
  readonly incident: string
  readonly group: string
  readonly measured: ApiIncidentCanary | null
  /** Nothing of it will change any more. */
  readonly over: boolean
  readonly series: {
    readonly fromMs: number
    readonly stepMs: number
    readonly acked: readonly number[]
    readonly failed: readonly number[]
    readonly unknown: readonly number[]
  } | null
}

export interface ApiIntent {
  readonly id: string
  readonly state: 'waiting' | 'running' | 'done' | 'refused'
  readonly because: string
  readonly holder: string | null
  readonly epoch: number
}

export interface ApiLogin {
  readonly user: string
  readonly password: string
}

export interface ApiLoginMethods {
  readonly platform: string
  /** Nobody has an account yet: use the one-time code the server printed. */
  readonly firstAdmin: boolean
  /** Go to /api/v1/session/oidc. */
  readonly oidc: {
    readonly label: string
  } | null
}

export interface ApiLoss {
  readonly kind: 'nothing' | 'bytes' | 'everything' | 'unknown'
  /** A prediction from counters of the engines, never a measurement. */
  readonly bytes: number | null
  readonly because: string
}

export interface ApiMeasuredRisk {
  /** Acknowledged records that the best copy outside the primary’s site did not show. */
  readonly records: number
  /** For how long the oldest of these has been acknowledged. */
  readonly ms: number
  /** That copy. */
  readonly member: string
  readonly site: string
  readonly lookedMsAgo: number
}

export interface ApiMember {
  readonly member: string
  readonly site: string
  readonly agent: string
  readonly address: {
    readonly host: string
    readonly port: number
  }
  /** Role of the failover core, or `unknown` when its agent is silent. */
  readonly role: string
  /** What its engine does, in a few words. */
  readonly state: string
  readonly epoch: number
  readonly timeline: number | null
  /** Where its log ends, in bytes. */
  readonly lsn: number | null
  /** Behind what the holder last published, by the counters of the engine. */
  readonly lagBytes: number | null
  /** For how long it may write without another beat; 0 when it may not. */
  readonly writableForMs: number
  readonly answering: boolean
  readonly streaming: boolean
  /** Whom it follows. */
  readonly upstream: string | null
  /** Stands in the list of those who may take over. */
  readonly eligible: boolean
  readonly priority: number
  readonly noFailover: boolean
  /** Long work under way. */
  readonly work: {
    readonly step: string
    readonly done: number
    readonly total: number | null
  } | null
  /** What its engine last refused, while it is not well; empty otherwise. */
  readonly because: string
}

export interface ApiNewToken {
  readonly label: string
  readonly rights: readonly ApiRight[]
  readonly groups?: readonly string[]
  readonly validDays: number
}

export interface ApiNewUser {
  readonly user: string
  readonly display?: string
  readonly password: string
  readonly grants: readonly ApiGrant[]
}

export interface ApiOk {
  readonly ok: true
}

export interface ApiOutcomes {
  readonly outcomes: readonly {
    readonly group: string
    readonly ok: boolean
    readonly because: string
  }[]
}

export interface ApiPasswordChange {
  readonly old: string
  readonly new: string
}

export interface ApiPauseRequest {
  readonly because: string
  readonly validMs: number
}

export interface ApiPlan {
  readonly id: string
  /** A service, or `group:NAME` for a group that is in none. */
  readonly service: string
  readonly kind: 'switchover' | 'failover' | 'failback' | 'evacuate' | 'restart'
  /** Site. */
  readonly from: string | null
  /** Site; null where one member is evacuated. */
  readonly to: string | null
  readonly by: string
  readonly origin: 'operator' | 'automatic'
  readonly lossAccepted: boolean
  /** Number of the turn of whoever runs it; grows with each takeover. */
  readonly epoch: number
  readonly phase: 'running' | 'undoing' | 'stopping' | 'done' | 'undone' | 'stopped'
  readonly because: string
  readonly cancel: {
    readonly by: string
  } | null
  /** It is not over and nobody runs it; resume it or take it back. */
  readonly stalled: boolean
  /** When a server saw it begin; null when none did. */
  readonly begunMs: number | null
  readonly endedMs: number | null
  /** Along the longest way through the graph. */
  readonly predictedMs: number
  readonly steps: readonly ApiPlanStep[]
}

export interface ApiPlanAsked {
  /** There when it has begun. */
  readonly plan: ApiPlan | null
  /** There when it waits for somebody else. */
  readonly approval: ApiApproval | null
}

export interface ApiPlanDraft {
  readonly service: string
  readonly kind: 'switchover' | 'failover' | 'failback' | 'evacuate' | 'restart'
  readonly from: string | null
  readonly to: string | null
  /** Empty: it is there already. */
  readonly steps: readonly ApiPlanStep[]
  readonly predictedMs: number
  /** What could be lost; empty: nothing acknowledged. */
  readonly losses: readonly {
    readonly group: string
    /** At most so much; null: nobody knows. */
    readonly bytes: number | null
    readonly because: string
  }[]
  /** Who would refuse, and why; empty: it may begin. */
  readonly refusals: readonly string[]
  /** It begins only when the loss is accepted, by another person than who asks. */
  readonly lossy: boolean
  /** Of all that matters of it: order, members, losses, epochs. Give it back to begin it. */
  readonly digest: string
}

export interface ApiPlanRequest {
  /** The site where it shall be. */
  readonly to?: string
  /** Instead: away from this member. */
  readonly member?: string
  /** Accept the loss the plan shows. Such a plan always waits for another person. */
  readonly allowDataLoss?: boolean
  /** Wait for an approver, also where none is needed. */
  readonly askApproval?: boolean
  /** Refused when the plan is no longer the one that was shown. */
  readonly digest?: string
}

export interface ApiPlanStep {
  /** `move:orders`, `hook:dns`; what others name in `after`. */
  readonly id: string
  readonly kind: 'hook' | 'hold' | 'move' | 'follow' | 'release' | 'restart'
  readonly group: string | null
  /** Who shall be primary. */
  readonly member: string | null
  /** Who was primary when the plan was made. */
  readonly from: string | null
  readonly hook: string | null
  /** Steps that must be done before. */
  readonly after: readonly string[]
  readonly deadlineMs: number
  readonly predicted: {
    readonly ms: number
    /** Where the figure comes from. */
    readonly from: 'past-runs' | 'formula' | 'deadline'
    readonly runs: number
  }
  /** It may lose acknowledged writes. */
  readonly mayLose: boolean
  readonly wayBack: 'undo' | 'nothing' | 'none'
  readonly state: 'waiting' | 'running' | 'done' | 'failed' | 'undoing' | 'undone' | 'stuck'
  readonly attempt: number
  readonly because: string
  readonly measuredMs: number | null
}

export interface ApiPlatform {
  readonly platform: string
  /** Of the server that answers. */
  readonly version: string
  /** Clock of the server that answers. */
  readonly wallMs: number
  /** Number of the newest event this state contains. */
  readonly lastEvent: number
  readonly server: {
    readonly name: string
    /** This server writes events and runs schedules. */
    readonly leading: boolean
    readonly leader: string | null
    /** Age of the newest look at the agents. */
    readonly followsMsAgo: number
  }
  /** Off: every group is paused. */
  readonly automation: 'on' | 'off' | 'some'
  readonly sites: readonly {
    readonly site: string
    readonly witness: boolean
  }[]
  readonly store: {
    readonly kind: 'embedded' | 'etcd' | 'none'
    readonly site: string | null
  }
  readonly agents: readonly ApiAgent[]
  readonly groups: readonly ApiGroup[]
  /** Groups that another program leads. */
  readonly supervised: readonly ApiSupervisedGroup[]
  readonly services: readonly ApiService[]
  /** The last plan of each service that had one. */
  readonly plans: readonly ApiPlan[]
}

export interface ApiReason {
  readonly wallMs: number
  readonly code: string
  readonly group: string
  readonly member: string
  /** Number of the safety rule, e.g. R12. */
  readonly rule?: string
  readonly detail: Readonly<Record<string, string | number | boolean | null>>
}

/** What a route asks for. */
export type ApiRight = 'read' | 'operate' | 'approve' | 'audit' | 'admin'

/** A set of rights. */
export type ApiRole = 'viewer' | 'operator' | 'approver' | 'auditor' | 'admin'

export interface ApiService {
  readonly service: string
  /** In the order of their dependence. */
  readonly groups: readonly string[]
  /** Objective: how long it may take. */
  readonly rtoMs: number | null
  /** Objective: how much may be lost. */
  readonly rpoMs: number | null
  readonly verdict: ApiVerdict
  readonly loss: ApiLoss
  /** Site where it should be. */
  readonly home: string
  /** Site where all its groups are led; null: not at one. */
  readonly at: string | null
  /** Where each group is led, and what must be up before it. */
  readonly places: readonly {
    readonly group: string
    readonly site: string | null
    readonly after: readonly string[]
  }[]
  readonly siteLoss: 'automatic' | 'ask'
  readonly comeHome: 'never' | 'when-healthy' | 'ask'
  readonly hooks: readonly {
    readonly name: string
    readonly when: 'before' | 'after'
    readonly group: string | null
    readonly deadlineMs: number
  }[]
}

export interface ApiServiceCanary {
  readonly service: string
  /** Objective. */
  readonly rtoMs: number | null
  /** Objective. */
  readonly rpoMs: number | null
  /** `down`: writes or reads fail or wait; `unmeasured`: see because. */
  readonly condition: 'unmeasured' | 'starting' | 'up' | 'down'
  readonly because: string
  readonly availability: readonly {
    readonly windowMs: number
    /** Share of the measured time in which writes were served; null: none was. */
    readonly writes: number | null
    readonly reads: number | null
    readonly downMs: number
    readonly unmeasuredMs: number
    readonly lost: number
  }[]
  /** Within the longest window; null: there was none. */
  readonly longestOutageMs: number | null
  /** Of the group that would lose most; null: not measured in each of them. */
  readonly risk: ApiMeasuredRisk | null
  readonly groups: readonly {
    readonly group: string
    /** `down`: writes or reads fail or wait; `unmeasured`: see because. */
    readonly condition: 'unmeasured' | 'starting' | 'up' | 'down'
    readonly because: string
  }[]
}

export interface ApiServiceDetail {
  readonly service: ApiService
  /** The last one, with its measured times. */
  readonly plan: ApiPlan | null
  /** How it could move to each other site now, and who would refuse; null: a group of it is silent. */
  readonly moves: readonly ApiServiceMove[] | null
}

export interface ApiServiceMove {
  readonly to: string
  readonly kind: 'switchover' | 'failover' | 'failback' | 'evacuate' | 'restart'
  readonly predictedMs: number
  readonly losses: readonly {
    readonly group: string
    /** At most so much; null: nobody knows. */
    readonly bytes: number | null
    readonly because: string
  }[]
  readonly refusals: readonly string[]
}

export interface ApiSession {
  readonly user: string
  readonly display: string
  readonly by: 'password' | 'oidc' | 'token'
  readonly grants: readonly ApiGrant[]
  /** Over the whole platform. */
  readonly rights: readonly ApiRight[]
  readonly expiresMs: number | null
  /** Send it as `holdfast-csrf` with every change; empty for tokens, which need none. */
  readonly csrf: string
}

export interface ApiSilenceRequest {
  /** All must fit; `*` stands for any text. */
  readonly matchers: Readonly<Record<string, string>>
  readonly because: string
  readonly validMs: number
}

export interface ApiStartDrill {
  readonly drill: string
  /** Refused when the file is another one by now. */
  readonly sha256?: string
  /** Default: as its file says. */
  readonly where?: 'file' | 'practice' | 'live'
  /** Wait until somebody who may approve says yes. */
  readonly askApproval?: boolean
}

export type StreamMessage =
  | {
      readonly type: 'platform'
      readonly data: ApiPlatform
    }
  | {
      readonly type: 'event'
      readonly data: ApiEvent
    }
  | {
      readonly type: 'incident'
      readonly data: ApiIncident
    }
  | {
      readonly type: 'group'
      readonly data: ApiGroup
    }
  | {
      readonly type: 'agent'
      readonly data: ApiAgent
    }
  | {
      readonly type: 'service'
      readonly data: ApiService
    }
  | {
      readonly type: 'plan'
      readonly data: ApiPlan
    }
  | {
      readonly type: 'supervised'
      readonly data: ApiSupervisedGroup
    }
  | {
      readonly type: 'figures'
      readonly data: ApiFigures
    }
  | {
      readonly type: 'canary'
      readonly data: ApiCanaryFigures
    }

export interface ApiSupervisedGroup {
  readonly group: string
  /** The program that leads it, its manager. */
  readonly by: 'patroni' | 'sentinel' | 'redis-cluster'
  /** Its name and version. */
  readonly manager: string
  /** What it calls the group; empty when it has no name for it. */
  readonly called: string
  /** Number of its configuration, where it has one. */
  readonly epoch: number | null
  /** The manager was told to leave the group alone. */
  readonly paused: boolean
  /** A change of primary under way, in its words. */
  readonly moving: string | null
  /** Voices that answer. */
  readonly heard: number
  readonly asked: number
  readonly facts: Readonly<Record<string, string | number | boolean | null>>
  readonly shards: readonly {
    readonly shard: string
    readonly primary: string | null
  }[]
  readonly concerns: readonly {
    readonly code: string
    readonly grave: boolean
    readonly detail: Readonly<Record<string, string | number | boolean | null>>
  }[]
  readonly members: readonly {
    readonly member: string
    readonly site: string | null
    readonly shard: string
    readonly role: string
    readonly state: string
    readonly timeline: number | null
    readonly lagBytes: number | null
    readonly streaming: boolean
    readonly answering: boolean
    readonly because: string
  }[]
  readonly verdict: ApiVerdict
  /** Who promotes a member here, and why Holdfast does not. */
  readonly promotes: string
  /** What an operator would type, with its own tools, to force a failover. */
  readonly failoverCommand: string
  /** A switchover may name its target; otherwise the manager chooses. */
  readonly namesTarget: boolean
  /** A switchover holds the writers meanwhile, so that nothing acknowledged is lost. */
  readonly holdsWriters: boolean
  /** When it was looked at. */
  readonly seenMs: number
}

export interface ApiSwitchoverRequest {
  /** Who becomes primary; the best candidate when absent. */
  readonly to?: string
  readonly dryRun?: boolean
  /** Wait for an approver, also where none is needed. */
  readonly askApproval?: boolean
}

export interface ApiToken {
  readonly id: string
  readonly user: string
  readonly label: string
  /** At most these, and only while its user has them. */
  readonly rights: readonly ApiRight[]
  /** Only over these; null: all its user has. */
  readonly groups: readonly string[] | null
  readonly createdMs: number
  readonly expiresMs: number
  readonly lastUsedMs: number | null
}

export interface ApiTokenMade {
  readonly token: ApiToken
  /** Shown once; only its hash is kept. */
  readonly secret: string
}

export interface ApiUser {
  readonly user: string
  readonly display: string
  readonly by: 'password' | 'oidc'
  readonly disabled: boolean
  readonly grants: readonly ApiGrant[]
  readonly createdMs: number
  readonly lastLoginMs: number | null
}

export interface ApiUserChange {
  readonly display?: string
  readonly password?: string
  readonly disabled?: boolean
  readonly grants?: readonly ApiGrant[]
}

export interface ApiVerdict {
  /** The loss of the primary, this second, would be survived without acknowledged loss. */
  readonly safe: boolean
  readonly because: string
}
