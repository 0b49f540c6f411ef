/**
 * The store as the core speaks of it: records instead of text, `sentAtMs` taken just before a request leaves (R1), and
 * nonsense turned into "unknown" (R8). Keeps no opinion about what the records say.
 */
import type { GroupRecord, SessionRecord } from '../core/model.ts'
import type { StoreOutcome } from '../core/protocol.ts'
import type { Clock } from '../io/clock.ts'
import type { Store, StoredValue } from '../store/contract.ts'
import { groupKey, type Parsed, parseGroupRecord, parseSessionRecord, sessionKey } from './records.ts'

export interface Stamped<T> {
  readonly sentAtMs: number
  readonly outcome: StoreOutcome<T>
}

export interface StorePortOptions {
  readonly store: Store
  readonly clock: Clock
  readonly requestMs: number
  /** The store answered something that cannot be a record. */
  readonly onNonsense: (key: string, because: string) => void
  /** Why a call was not answered in a way that can be believed; null for one that was. */
  readonly onSilence?: (because: string | null) => void
  /** Every call, for metrics. */
  readonly onCall: (operation: 'get' | 'compare-and-set', tookMs: number, kind: string) => void
}

export class StorePort {
  readonly #options: StorePortOptions
  #confirmedAtMs: number | null = null

  constructor(options: StorePortOptions) {
    this.#options = options
  }

  /** When the newest answered call had left; null before the first. */
  get confirmedAtMs(): number | null {
    return this.#confirmedAtMs
  }

  readGroup(group: string): Promise<Stamped<GroupRecord>> {
    return this.#read(groupKey(group), (text) => parseGroupRecord(text, group))
  }

  readSession(agent: string): Promise<Stamped<SessionRecord>> {
    return this.#read(sessionKey(agent), (text) => parseSessionRecord(text, agent))
  }

  writeGroup(record: GroupRecord, ifRevision: number): Promise<Stamped<GroupRecord>> {
    const parseAs = (text: string | null): Parsed<GroupRecord> => parseGroupRecord(text, record.group)
    return this.#write(groupKey(record.group), record, ifRevision, parseAs)
  }

  async writeSession(record: SessionRecord, ifRevision: number): Promise<Stamped<SessionRecord>> {
    // The key is ours alone: whatever else stands there is a stranger, readable or not, and may be written over.
    const parseAs = (text: string | null): Parsed<SessionRecord> => {
      const parsed = parseSessionRecord(text, record.agent)
      return parsed.ok ? parsed : { ok: true, value: null }
    }
    return this.#write(sessionKey(record.agent), record, ifRevision, parseAs)
  }

  async #read<T>(key: string, parse: (text: string | null) => Parsed<T>): Promise<Stamped<T>> {
    const { store, clock, requestMs } = this.#options
    const sentAtMs = clock.nowMs()
    const result = await store.get(key, requestMs).catch(unknown)
    this.#note('get', sentAtMs, result)
    if (result.kind === 'unknown') return { sentAtMs, outcome: result }
    const parsed = this.parsed(result.entry, parse)
    if (!parsed.ok) return { sentAtMs, outcome: { kind: 'unknown', because: parsed.because } }
    this.#confirm(sentAtMs)
    return { sentAtMs, outcome: { kind: 'ok', revision: result.entry.revision, value: parsed.value } }
  }

  async #write<T>(
    key: string,
    record: T,
    ifRevision: number,
    parse: (text: string | null) => Parsed<T>,
  ): Promise<Stamped<T>> {
    const { store, clock, requestMs } = this.#options
    const text = JSON.stringify(record)
    const sentAtMs = clock.nowMs()
    const result = await store.compareAndSet(key, text, ifRevision, requestMs).catch(unknown)
    this.#note('compare-and-set', sentAtMs, result)
    if (result.kind === 'unknown') return { sentAtMs, outcome: result }
    if (result.kind === 'ok') {
      this.#confirm(sentAtMs)
      return { sentAtMs, outcome: { kind: 'ok', revision: result.entry.revision, value: record } }
    }
    const parsed = this.parsed(result.entry, parse)
    if (!parsed.ok) return { sentAtMs, outcome: { kind: 'unknown', because: parsed.because } }
    this.#confirm(sentAtMs)
    return { sentAtMs, outcome: { kind: 'conflict', revision: result.entry.revision, value: parsed.value } }
  }

  /** Reads an entry's text and reports nonsense. */
  parsed<T>(entry: StoredValue, parse: (text: string | null) => Parsed<T>): Parsed<T> {
    const parsed = parse(entry.value)
    if (!parsed.ok) this.#options.onNonsense(entry.key, parsed.because)
    return parsed
  }

  #note(operation: 'get' | 'compare-and-set', sentAtMs: number, result: Told): void {
    const { clock, onCall, onSilence } = this.#options
    onCall(operation, clock.nowMs() - sentAtMs, result.kind)
    onSilence?.(result.kind === 'unknown' ? (result.because ?? '') : null)
  }

  /** It said something that can be believed. */
  #confirm(sentAtMs: number): void {
    this.#confirmedAtMs = Math.max(this.#confirmedAtMs ?? sentAtMs, sentAtMs)
  }
}

interface Told {
  readonly kind: string
  readonly because?: string
}

/** A store never throws for a bad day; if one does all the same, nothing is known about the call. */
function unknown(error: unknown): { kind: 'unknown'; because: string } {
  return { kind: 'unknown', because: `store threw: ${String(error)}` }
}
