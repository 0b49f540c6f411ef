/** What the canary asks of an engine; `postgres-lines.ts` and `redis-lines.ts` do it. Nothing here rejects. */
import type { Address } from '../config/platform.ts'

/** A connection that is not open, or an answer that has not come, after this long is given up. */
export const ANSWER_MS = 5_000

export type Wrote =
  | { readonly kind: 'ok' }
  /** Surely not written. */
  | { readonly kind: 'fail'; readonly because: string }
  /** No answer: it may be written. */
  | { readonly kind: 'info'; readonly because: string }
  /** The group does not let us in, or not write: that says nothing about others. */
  | { readonly kind: 'refused'; readonly because: string }
  /** A record of somebody else stands under this number. */
  | { readonly kind: 'taken' }

export interface Stored {
  /** Where the engine keeps the number beside the record; null: it does not. */
  readonly n: number | null
  readonly text: string
}

export type Found =
  | { readonly ok: true; readonly records: readonly Stored[] }
  | { readonly ok: false; readonly because: string; readonly refused: boolean }

/** One connection; opens itself. After a result that is neither `ok` nor `taken` it is to be closed. */
export interface CanaryLine {
  write(n: number, text: string): Promise<Wrote>
  /** All of this run, or only the newest few; `upTo`: what has a greater number is not ours and must not hide ours. */
  read(how: 'all' | 'newest', upTo: number): Promise<Found>
  /** Removes what this run wrote. */
  clean(): Promise<void>
  close(): void
}

export interface EngineLines {
  open(at: Address): CanaryLine
}
