/** What the alerts remember between events. Plain data: it is saved as it is. SPEC.md has the phases and the rules. */
import type { Expression, Labels, Sample } from './expression.ts'
import type { Severity } from './rules.ts'

/** A rule as it stands for one platform: overrides applied, its question asked of the groups it concerns. */
export interface Rule {
  readonly id: string
  readonly severity: Severity
  readonly by: readonly string[]
  readonly forMs: number
  readonly keepMs: number
  readonly limit: number
  /** Where the limit is that of one engine; else empty. */
  readonly engine: string
  readonly asks: Expression
  readonly hiddenBy: readonly { readonly rule: string; readonly equal: readonly string[] }[]
  readonly summary: string
  readonly next: string
}

export interface AlertsConfig {
  readonly platform: string
  readonly rules: readonly Rule[]
  /** Names of channels by severity. */
  readonly routes: Readonly<Record<Severity, readonly string[]>>
  /** Critical alerts that nobody acknowledged within `afterMs` go there, too. */
  readonly escalation: { readonly afterMs: number; readonly to: readonly string[] } | null
  /** What fires together is told together: a first message waits for so long, and so does each later one. */
  readonly groupWaitMs: number
  /** What still fires and nobody acknowledged is told again. */
  readonly repeatMs: number
}

/** `clearing`: does not hold any more, and would be firing again if it came back within the rule's `keepMs`. */
export type Phase = 'pending' | 'firing' | 'clearing' | 'ended'

export interface Alert {
  /** Short name for people to type; from the key. */
  readonly id: string
  readonly rule: string
  readonly severity: Severity
  readonly labels: Labels
  readonly phase: Phase
  /** What it is told together with. */
  readonly scope: string
  /** Number of this firing; never used twice. */
  readonly episode: number
  readonly sinceMs: number
  readonly firedAtMs: number
  readonly clearSinceMs: number
  readonly endedAtMs: number
  readonly value: number
  readonly limit: number
  readonly acknowledged: { readonly by: string; readonly atMs: number } | null
  /** After its end: the desks that have yet to be told. */
  readonly owedTo: readonly string[]
}

/** One alert as it goes into a message. Times are milliseconds of the alerts' own clock. */
export interface Told {
  readonly key: string
  readonly id: string
  readonly rule: string
  readonly severity: Severity
  readonly labels: Labels
  readonly summary: string
  readonly next: string
  readonly episode: number
  readonly firedAtMs: number
  readonly endedAtMs: number | null
  readonly acknowledgedBy: string | null
}

export interface Delivery {
  /** The same for every attempt with the same content. */
  readonly id: string
  readonly desk: string
  readonly channel: string
  readonly platform: string
  readonly scope: string
  /** `trigger`: something fires. `acknowledge`: all that fires is in somebody's hands. `resolve`: nothing does. */
  readonly kind: 'trigger' | 'acknowledge' | 'resolve'
  readonly firing: readonly Told[]
  readonly resolved: readonly Told[]
}

/** What one channel knows of one scope. */
export interface Desk {
  readonly channel: string
  readonly scope: string
  /** What was told as firing and not yet as over, by `key#episode`. */
  readonly told: Readonly<Record<string, Told>>
  /** Sent, and not known to have arrived. */
  readonly underWay: Delivery | null
  /** The last one that failed; the same content goes under the same id. */
  readonly failed: Delivery | null
  /** Since when there is something to tell; 0: there is not. */
  readonly dirtySinceMs: number
  readonly toldAtMs: number
  readonly failures: number
  readonly notBeforeMs: number
  readonly because: string
}

export interface Silence {
  readonly id: string
  /** Every one must fit; `*` stands for any text. Names are `rule`, `severity` and labels. */
  readonly matchers: Readonly<Record<string, string>>
  readonly by: string
  readonly because: string
  readonly endsAtMs: number
}

/** A counter and its growth, newest last. */
export interface Counter {
  readonly value: number
  readonly seenAtMs: number
  readonly grew: readonly { readonly atMs: number; readonly by: number }[]
}

export interface AlertsState {
  readonly alerts: Readonly<Record<string, Alert>>
  readonly desks: Readonly<Record<string, Desk>>
  readonly silences: readonly Silence[]
  readonly counters: Readonly<Record<string, Counter>>
  readonly nextEpisode: number
  readonly nextDelivery: number
  /** Alerts and messages that did not fit into the bounds. */
  readonly dropped: number
  /** When all targets were last looked at; -1: never. */
  readonly lookedAtMs: number
}

export type AlertsEvent =
  | {
      readonly kind: 'looked'
      readonly nowMs: number
      readonly wallMs: number
      readonly series: ReadonlyMap<string, readonly Sample[]>
    }
  | { readonly kind: 'tick'; readonly nowMs: number }
  /** After a restart: what was under way is sent again, word for word. */
  | { readonly kind: 'resumed'; readonly nowMs: number }
  | {
      readonly kind: 'delivered'
      readonly nowMs: number
      readonly desk: string
      readonly id: string
      readonly ok: boolean
      readonly because: string
      /** Asked for by the receiver; 0: not. */
      readonly waitMs: number
      /** Drawn by the shell, in [0, 1). */
      readonly chance: number
    }
  | {
      readonly kind: 'silence'
      readonly nowMs: number
      readonly id: string
      readonly matchers: Readonly<Record<string, string>>
      readonly by: string
      readonly because: string
      readonly validMs: number
    }
  | { readonly kind: 'unsilence'; readonly nowMs: number; readonly id: string }
  | { readonly kind: 'acknowledge'; readonly nowMs: number; readonly id: string; readonly by: string }

export interface AlertsReason {
  readonly code: 'fires' | 'ends' | 'clears-before' | 'told' | 'not-told' | 'silenced' | 'acknowledged' | 'dropped'
  readonly detail: Readonly<Record<string, string | number>>
}

export interface AlertsResult {
  readonly state: AlertsState
  /** Performed after the state was saved. */
  readonly deliveries: readonly Delivery[]
  readonly reasons: readonly AlertsReason[]
}

export const EMPTY: AlertsState = {
  alerts: {},
  desks: {},
  silences: [],
  counters: {},
  nextEpisode: 1,
  nextDelivery: 1,
  dropped: 0,
  lookedAtMs: -1,
}
