/** What a channel is to the runner: it takes one message and says whether it arrived. */
import type { Delivery } from '../core/alerts/state.ts'

export interface Context {
  /** Wall time of a time of the alerts' clock. */
  readonly wallOf: (atMs: number) => number
  /** Where the section of a rule stands. */
  readonly runbookOf: (rule: string) => string
}

export type Outcome =
  | { readonly ok: true }
  /** `because` holds no secret and no address. `waitMs`: the receiver asked for so much patience. */
  | { readonly ok: false; readonly because: string; readonly waitMs: number }

export interface Channel {
  readonly name: string
  /** Ends within `SEND_MS`, and never throws. May be repeated with the same delivery. */
  send(delivery: Delivery, context: Context): Promise<Outcome>
}

/** A receiver that takes longer has not understood. */
export const SEND_MS = 10_000
