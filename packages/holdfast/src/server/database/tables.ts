/**
 * The tables as the queries see them. Only text and whole numbers, so that both databases hold the same; what is deeper
 * is JSON text in `body`.
 */
export interface Tables {
  readonly leader: LeaderRow
  readonly numbers: { readonly name: string; readonly value: number }
  readonly facts: { readonly key: string; readonly body: string }
  readonly events: EventRow
  readonly incidents: IncidentRow
  readonly approvals: ApprovalRow
  readonly plans: PlanRow
  readonly manager_moves: ManagerMoveRow
  readonly users: UserRow
  readonly sessions: SessionRow
  readonly tokens: TokenRow
  readonly one_time_codes: { readonly kind: string; readonly hash: string; readonly expires_ms: number }
  readonly oidc_flows: OidcFlowRow
  readonly drill_orders: DrillOrderRow
  readonly drill_reports: DrillReportRow
  readonly canary_periods: CanaryPeriodRow
  readonly canary_outages: CanaryOutageRow
  readonly audit: AuditRow
  readonly audit_head: { readonly id: number; readonly number: number; readonly hash: string }
  readonly audit_checkpoints: { readonly number: number; readonly body: string }
}

/** One row. `beat` grows while its holder lives. */
export interface LeaderRow {
  readonly id: number
  readonly holder: string
  readonly epoch: number
  readonly beat: number
}

export interface EventRow {
  readonly number: number
  readonly wall_ms: number
  readonly recorded_ms: number
  readonly kind: string
  readonly severity: string
  readonly code: string
  readonly summary: string
  readonly group_name: string | null
  readonly member: string | null
  readonly source: string
  readonly rule: string | null
  readonly incident: string | null
  readonly detail: string
}

export interface IncidentRow {
  readonly id: string
  readonly group_name: string
  readonly state: string
  readonly opened_ms: number
  readonly body: string
}

export interface ApprovalRow {
  readonly id: string
  readonly group_name: string
  readonly state: string
  readonly asked_ms: number
  readonly expires_ms: number
  readonly body: string
}

/** What became of plans of services; the plan itself is in the store of leases. */
export interface PlanRow {
  readonly id: string
  readonly scope: string
  readonly seen_ms: number
  readonly body: string
}

/** A switchover that the manager of a supervised group was asked for. */
export interface ManagerMoveRow {
  readonly id: string
  readonly group_name: string
  readonly asked_ms: number
  readonly body: string
}

export interface UserRow {
  readonly name: string
  readonly display: string
  readonly by_kind: string
  /** Issuer and subject at the identity provider, as one text. */
  readonly identity: string | null
  readonly password: string | null
  readonly disabled: number
  readonly grants: string
  readonly created_ms: number
  readonly last_login_ms: number | null
}

export interface SessionRow {
  /** SHA-256 of what the cookie holds. */
  readonly hash: string
  readonly user_name: string
  readonly by_kind: string
  readonly csrf: string
  readonly created_ms: number
  readonly used_ms: number
  readonly expires_ms: number
}

export interface TokenRow {
  readonly id: string
  readonly hash: string
  readonly user_name: string
  readonly label: string
  readonly rights: string
  readonly groups: string | null
  readonly created_ms: number
  readonly expires_ms: number
  readonly last_used_ms: number | null
}

export interface OidcFlowRow {
  readonly state_hash: string
  readonly browser_hash: string
  readonly verifier: string
  readonly nonce: string
  readonly expires_ms: number
  /** Where it was begun from. */
  readonly address: string
}

/** What a canary counted within a minute or an hour; milliseconds and counts are added up. */
export interface CanaryPeriodRow {
  readonly group_name: string
  readonly length_ms: number
  readonly start_ms: number
  readonly acked: number
  readonly failed: number
  readonly unknown: number
  readonly up_ms: number
  readonly down_ms: number
  readonly unmeasured_ms: number
  readonly read_up_ms: number
  readonly read_down_ms: number
  readonly read_unmeasured_ms: number
  readonly latency_sum_ms: number
  readonly latency_max_ms: number
  readonly stale_max_ms: number
  readonly lost: number
}

/** An outage as clients saw it, or what they saw of an incident, which then has its id. */
export interface CanaryOutageRow {
  readonly id: string
  readonly group_name: string
  readonly incident: string | null
  readonly kind: string
  readonly began_ms: number
  readonly body: string
}

export interface AuditRow {
  readonly number: number
  readonly wall_ms: number
  readonly actor: string
  readonly action: string
  readonly subject: string
  /** The entry without its hash, as the one text that was hashed. */
  readonly body: string
  readonly hash: string
}

export interface DrillOrderRow {
  readonly id: string
  /** `drill@milliseconds` of its time in the schedule, so that each time is taken once; null: somebody asked. */
  readonly slot: string | null
  readonly state: string
  readonly asked_ms: number
  /** The life of the server that runs it. */
  readonly runner: string | null
  /** Grows while that server lives. */
  readonly beat: number
  readonly body: string
}

export interface DrillReportRow {
  /** Of the run. */
  readonly id: string
  readonly group_name: string
  readonly seq: number
  readonly practice: number
  readonly key_id: string
  readonly ended_ms: number
  readonly sha256: string
  /** The signed document, every byte of it. */
  readonly body: string
  /** The signed page; null: it was not there. */
  readonly page: string | null
}
