/**
 * The only place that reads a clock. `nowMs` is monotonic and shared by all processes of one host (CLOCK_MONOTONIC).
 */
export interface Clock {
  /** Monotonic milliseconds with a fraction; never goes back; zero is the host's boot or earlier. */
  nowMs(): number
  /** Wall clock, milliseconds since 1970. For people and for file names, never for a decision. */
  wallMs(): number
}

export const systemClock: Clock = {
  nowMs: () => Number(process.hrtime.bigint() / 1_000n) / 1_000,
  wallMs: () => Date.now(),
}
