/**
 * What Holdfast asks of an engine it manages. One folder per engine implements it; `conformance.ts` proves it against
 * the real process. Every method is idempotent, bounded by its deadline, and never throws for what an engine can do on
 * a bad day: expected failures are values. Programming errors and broken invariants throw.
 */
import type { DataState, EngineView, Epoch, MemberName, Position, SyncSet } from '../core/model.ts'

export interface EngineEndpoint {
  readonly member: MemberName
  readonly host: string
  readonly port: number
}

export type Progress = (step: string, done: number, total: number | null) => void

export type Done =
  | { readonly ok: true; readonly position: Position | null; readonly lsn: number }
  | { readonly ok: false; readonly because: string; readonly retryable: boolean }

export interface CallOptions {
  readonly deadlineMs: number
  /** Aborts when the call is superseded (a fence, the end of the agent). */
  readonly signal: AbortSignal
  readonly progress?: Progress
}

export interface EngineCapabilities {
  /** Acknowledges a commit only once named replicas have it. Default false. */
  readonly syncReplication: boolean
  /** Can undo a diverged tail without a full copy on this machine. Default false. */
  readonly rewind: boolean
}

/** What the guard needs to fence without asking anybody. */
export interface FenceTarget {
  readonly member: MemberName
  /** Absolute path; every process of the engine has it as working directory. */
  readonly dataDir: string
  /** Main process at the time of arming, or null when not running. */
  readonly mainPid: number | null
}

export interface EngineAdapter {
  readonly capabilities: EngineCapabilities
  /** Looks at the engine; never waits longer than the deadline; a silent engine gives `answering: false`. */
  view(options: CallOptions): Promise<EngineView>
  /** Looks at the data directory only. */
  dataState(): Promise<DataState>
  create(epoch: Epoch, sync: SyncSet, options: CallOptions): Promise<Done>
  follow(
    upstream: EngineEndpoint | null,
    at: { readonly epoch: Epoch; readonly timeline: number; readonly systemId: string | null },
    options: CallOptions,
  ): Promise<Done>
  freeze(epoch: Epoch, options: CallOptions): Promise<Done>
  promote(epoch: Epoch, sync: SyncSet, options: CallOptions): Promise<Done>
  restart(epoch: Epoch, sync: SyncSet, options: CallOptions): Promise<Done>
  applySync(sync: SyncSet, options: CallOptions): Promise<Done>
  checkpoint(options: CallOptions): Promise<Done>
  stop(options: CallOptions): Promise<Done>
  /**
   * For a hand-over: ends being primary as cleanly as `stop` and tells the final position, but leaves the engine
   * running as a replica without a source, its sessions cut. Repeatable. An engine that has no such way is stopped.
   */
  demote?(options: CallOptions): Promise<Done>
  /** Kills every process of the engine and sees it gone. Uses no query, no network. */
  fence(options: CallOptions): Promise<Done>
  fenceTarget(): FenceTarget
  /** Names the main process that runs now; null when none does. After each start it is another name. */
  mainProcess(): string | null
  /** Calls back once per unexpected end of the main process, within a few milliseconds. */
  onExit(callback: () => void): void
  /** Stops watching and closes connections; leaves the engine running. */
  close(): Promise<void>
}
