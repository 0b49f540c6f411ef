/**
 * One host's monotonic clock: a rate and a start that differ from true time. Hosts are never more apart than the
 * bound.
 */
export class HostClock {
  readonly rate: number
  private readonly startMs: number

  constructor(rate: number, startMs: number) {
    this.rate = rate
    this.startMs = startMs
  }

  localMs(trueMs: number): number {
    return this.startMs + trueMs * this.rate
  }

  trueMs(localMs: number): number {
    return (localMs - this.startMs) / this.rate
  }
}
