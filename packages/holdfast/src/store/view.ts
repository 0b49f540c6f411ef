/**
 * What a watch has told so far: drops what is old or repeated, so that a key never goes back, whichever stream,
 * listing or check an entry came by. Pure. The transports keep sockets and timers.
 */
import type { KeyRevision, StoredValue } from './contract.ts'

/** One news item: `changedAt` orders it; a deletion has a revision of its own while its entry says revision 0. */
export interface Change {
  readonly entry: StoredValue
  readonly changedAt: KeyRevision
}

export class WatchView {
  readonly #onEntry: (entry: StoredValue) => void
  readonly #told = new Map<string, { readonly changedAt: KeyRevision; readonly gone: boolean }>()

  constructor(onEntry: (entry: StoredValue) => void) {
    this.#onEntry = onEntry
  }

  /** Tells the entry unless the same or a newer state of its key was told. True when it was told. */
  tell(change: Change): boolean {
    const { entry, changedAt } = change
    if (changedAt <= (this.#told.get(entry.key)?.changedAt ?? 0)) return false
    this.#told.set(entry.key, { changedAt, gone: entry.value === null })
    this.#onEntry(entry)
    return true
  }

  /** A complete listing as of `asOf`: tells what is new in it, and the keys that are gone from it. */
  tellListing(entries: readonly StoredValue[], asOf: KeyRevision): void {
    const present = new Set<string>()
    for (const entry of entries) {
      present.add(entry.key)
      this.tell({ entry, changedAt: entry.revision })
    }
    for (const [key, { changedAt, gone }] of [...this.#told]) {
      if (gone || present.has(key) || changedAt >= asOf) continue
      this.tell({ entry: { key, value: null, revision: 0 }, changedAt: asOf })
    }
  }
}
