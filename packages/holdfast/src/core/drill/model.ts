/** What a drill is made of: its settings, what is seen, what is decided. Words of their own stand in SPEC.md. */

export type Target =
  | 'primary'
  | 'replica'
  | { readonly member: string }
  /** All members of the group there. */
  | { readonly site: string }

export type FaultSpec =
  | { readonly kind: 'switchover'; readonly to: string | null }
  | { readonly kind: 'kill'; readonly target: Target }
  | {
      readonly kind: 'freeze'
      readonly what: 'engine' | 'agent' | 'host'
      readonly target: Target
      readonly forMs: number
    }
  | { readonly kind: 'block-store' | 'block-link'; readonly target: Target; readonly forMs: number }

export type ProbeSpec =
  | { readonly probe: 'writable' | 'readable' | 'one-primary' }
  /** Null: all members of the group. */
  | { readonly probe: 'members'; readonly atLeast: number | null }
  | { readonly probe: 'lag'; readonly belowBytes: number }
  | { readonly probe: 'sql'; readonly query: string; readonly expect: string }
  | { readonly probe: 'http'; readonly url: string; readonly status: number }
  | { readonly probe: 'command'; readonly run: readonly string[] }

export type When = 'before' | 'during' | 'after'
export type Gate = 'start' | 'fault'

export interface Approval {
  readonly before: Gate
  readonly by: readonly string[]
  readonly withinMs: number
}

/** What a drill file says; the group's timings say how long it takes to settle. */
export type DrillPlan = Omit<DrillSettings, 'settleMs'>

export interface DrillSettings {
  readonly drill: string
  readonly group: string
  readonly fault: FaultSpec
  readonly before: readonly ProbeSpec[]
  readonly during: readonly ProbeSpec[]
  readonly after: readonly ProbeSpec[]
  /** From the proof that the fault is gone until every probe of `after` holds and goes on holding. */
  readonly recoverMs: number
  /** For how long: an outage may begin well after a process is killed. */
  readonly settleMs: number
  readonly blastRadius: { readonly members: number; readonly sites: number; readonly groups: number }
  readonly abort: {
    readonly canaryGapMs: number
    readonly failedWritesMax: number
    readonly lagBytesMax: number | null
  }
  readonly objectives: { readonly rtoMs: number; readonly rpoMs: number }
  readonly approvals: readonly Approval[]
}

export type Phase =
  /** Waits for the approval to start. */
  | 'asking'
  /** The probes of `before`, until all hold at once. */
  | 'checking'
  /** They hold; waits for the approval to do the fault. */
  | 'asking-fault'
  /** The fault was asked for and may be on. */
  | 'faulting'
  | 'faulted'
  /** Its end was asked for and is not proved. */
  | 'lifting'
  /** It is proved gone; the probes of `after`. */
  | 'recovering'
  /** Every acknowledged record is looked for. */
  | 'measuring'
  | 'ended'

export type Outcome =
  | 'passed'
  | 'failed'
  | 'aborted'
  /** Nothing was done: not healthy, not approved, another drill or plan. */
  | 'refused'
  /** Ended without a proof that the fault is gone: somebody has to look. */
  | 'unproved'

/** What the agents say of the group, put together by the shell. */
export interface Facts {
  readonly healthy: boolean
  readonly because: string
  /** What else is being done to the group: another drill, a plan, an operator's intent, a pause; null: nothing. */
  readonly busyWith: string | null
  /** The furthest behind of those that follow; null: unknown. */
  readonly lagBytes: number | null
}

/** What the client's writes through the door came to, since the drill began. */
export interface Canary {
  readonly acked: number
  readonly failed: number
  /** When the newest acknowledgement came; null before the first. */
  readonly lastAckMs: number | null
}

/** From the client's records alone. */
export interface Measured {
  /** Longest time between two acknowledgements around the fault. */
  readonly rtoMs: number
  /** How far back the lost acknowledgements reach from the newest one before the outage; 0: none lost. */
  readonly rpoMs: number
  readonly acked: number
  readonly lost: number
  readonly doubled: number
  readonly failed: number
}

export type DrillEvent = { readonly nowMs: number } & (
  | { readonly kind: 'tick' }
  | { readonly kind: 'facts'; readonly facts: Facts }
  | { readonly kind: 'canary'; readonly canary: Canary }
  | { readonly kind: 'approved'; readonly gate: Gate; readonly by: string }
  /** One round of probes; as many as its list has. */
  | { readonly kind: 'probed'; readonly when: When; readonly held: readonly boolean[] }
  | { readonly kind: 'fault-on'; readonly proof: string }
  /** Not done, or only in part: whatever may be on has to be lifted. */
  | { readonly kind: 'fault-failed'; readonly because: string }
  | { readonly kind: 'fault-off'; readonly proof: string }
  | { readonly kind: 'lift-failed'; readonly because: string }
  | { readonly kind: 'measured'; readonly measured: Measured }
  | { readonly kind: 'measure-failed'; readonly because: string }
  | { readonly kind: 'abort'; readonly by: string; readonly because: string }
)

export type DrillAction =
  | { readonly kind: 'ask'; readonly approval: Approval }
  | { readonly kind: 'probe'; readonly when: When }
  | { readonly kind: 'do-fault'; readonly fault: FaultSpec }
  | { readonly kind: 'lift-fault' }
  | { readonly kind: 'measure' }
  | { readonly kind: 'end'; readonly outcome: Outcome; readonly because: string }

/** One line of the timeline. */
export interface DrillReason {
  readonly code: string
  readonly detail: Readonly<Record<string, string | number | boolean | null>>
}

export interface Count {
  readonly rounds: number
  readonly held: number
}

export interface DrillState {
  readonly phase: Phase
  readonly sinceMs: number
  readonly startedMs: number
  readonly facts: Facts | null
  readonly canary: Canary
  /** Counts of each probe, by list. */
  readonly counts: Readonly<Record<When, readonly Count[]>>
  readonly approvals: readonly { readonly gate: Gate; readonly by: string; readonly atMs: number }[]
  /** When the fault was asked for, seen on, proved gone. */
  readonly askedMs: number | null
  readonly onMs: number | null
  readonly goneMs: number | null
  /** Since when every look at `after` found all of it. */
  readonly heldSinceMs: number | null
  readonly recoveredMs: number | null
  /** When the last lift and the last round of probes were asked for. */
  readonly liftAtMs: number | null
  readonly probeAtMs: number | null
  readonly probing: boolean
  readonly abort: { readonly by: string; readonly because: string } | null
  /** Why the fault could not be done as described. */
  readonly faultFailed: string | null
  readonly measured: Measured | null
  readonly outcome: Outcome | null
  readonly because: string
}

export interface DrillStep {
  readonly state: DrillState
  readonly actions: readonly DrillAction[]
  readonly reasons: readonly DrillReason[]
}
