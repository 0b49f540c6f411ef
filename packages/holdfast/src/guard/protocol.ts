/**
 * Lines between an agent and its guard: one JSON object per line over the guard's stdin and stdout. The guard knows
 * only "valid until T" and how to kill; T is CLOCK_MONOTONIC milliseconds, which both processes share.
 * When stdin closes (the agent died) the guard keeps its deadlines, fences at each, and then ends.
 */
export type ToGuard =
  /** Remember (or update) how to kill this member. Does not arm. */
  | { readonly do: 'watch'; readonly member: string; readonly dataDir: string; readonly mainPid: number | null }
  /** The member may be writable until `untilMs`; fence then. A later `untilMs` extends, an earlier one is ignored. */
  | { readonly do: 'arm'; readonly member: string; readonly epoch: number; readonly untilMs: number }
  /** The member's engine is a replica or gone. */
  | { readonly do: 'disarm'; readonly member: string }
  /** Fence now. */
  | { readonly do: 'fence'; readonly member: string }
  | { readonly do: 'ping'; readonly n: number }
  /**
   * Feed this watchdog device (R4): opened with the first `arm`, fed with each one, closed when nothing is armed.
   * `required`: without the device nothing is confirmed as armed. `timeoutMaxMs`: a device that bites later than this
   * counts as absent.
   */
  | {
      readonly do: 'watchdog'
      readonly device: string
      readonly required: boolean
      readonly timeoutMaxMs: number
    }

export type FromGuard =
  | { readonly is: 'ready'; readonly pid: number }
  | { readonly is: 'armed'; readonly member: string; readonly untilMs: number }
  | { readonly is: 'disarmed'; readonly member: string }
  /** Every process of the member is gone. `lateMs`: how long after the deadline the last one was seen gone. */
  | { readonly is: 'fired'; readonly member: string; readonly killed: number; readonly lateMs: number }
  /** Something of the member is still alive after the fence's own bound; it keeps trying. */
  | { readonly is: 'stuck'; readonly member: string; readonly alive: number }
  | { readonly is: 'pong'; readonly n: number }
  | { readonly is: 'watchdog'; readonly ok: boolean; readonly because: string }
