/**
 * What Holdfast asks of a store: linearizable read, compare-and-set on a key's revision, watch. Nothing else.
 * The store needs no clock and no leases of its own; see docs/internals/adr/002-lease-needs-no-store-clock.md.
 *
 * Every call has a deadline and never throws for what a store can do on a bad day: it answers `unknown`. `deadlineMs`
 * is how long the call may take, counted from the call. A key or value beyond the limits is `unknown` too.
 */

/** Version of one key. 0: it does not exist. Grows with each write of the key, never repeats, survives restarts. */
export type KeyRevision = number

export interface StoredValue {
  readonly key: string
  /** JSON text, at most `VALUE_BYTES_MAX` bytes; null when the key does not exist. */
  readonly value: string | null
  readonly revision: KeyRevision
}

export type ReadResult =
  | { readonly kind: 'ok'; readonly entry: StoredValue }
  | { readonly kind: 'unknown'; readonly because: string }

/** `conflict` carries what is there instead. `unknown`: it may or may not have been applied. */
export type WriteResult =
  | { readonly kind: 'ok'; readonly entry: StoredValue }
  | { readonly kind: 'conflict'; readonly entry: StoredValue }
  | { readonly kind: 'unknown'; readonly because: string }

export interface Watch {
  /** Ends the watch; idempotent. No callback runs after it returned. */
  close(): void
}

export interface WatchHandlers {
  /** A key under the prefix changed. May repeat or skip intermediate values, never goes back for a key. */
  onEntry(entry: StoredValue): void
  /** The stream broke; it is re-established by itself from the last revision, with a fresh listing if needed. */
  onGap(because: string): void
}

export interface Store {
  /** Linearizable read (R22). */
  get(key: string, deadlineMs: number): Promise<ReadResult>
  /** Linearizable listing of a prefix, at most `LIST_MAX` keys. */
  list(
    prefix: string,
    deadlineMs: number,
  ): Promise<{ kind: 'ok'; entries: readonly StoredValue[] } | { kind: 'unknown'; because: string }>
  /** Writes `value` if the key's revision is `ifRevision` (0: must not exist). */
  compareAndSet(key: string, value: string, ifRevision: KeyRevision, deadlineMs: number): Promise<WriteResult>
  /** Starts with the present entries, then every change. */
  watch(prefix: string, handlers: WatchHandlers): Watch
  /** Releases sockets; outstanding calls end as `unknown`. */
  close(): Promise<void>
}

/** Keys are names with slashes between them, e.g. `groups/orders`. */
export const KEY_BYTES_MAX = 512
/** A record is a few hundred bytes; anything near this is a mistake. */
export const VALUE_BYTES_MAX = 65_536
export const LIST_MAX = 10_000
