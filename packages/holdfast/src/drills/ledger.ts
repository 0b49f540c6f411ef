/**
 * What the store holds of drills: one record a group with the drill that runs and the last ones that ended, and one for
 * the chain of evidence. Each change is a compare-and-set, so two runners never drill one group (D5), and a runner that
 * died leaves a drill that others find by its beat that stands still.
 */
import type { Gate, Outcome, Phase } from '../core/drill/model.ts'
import { HoldfastError } from '../errors.ts'
import type { Store, StoredValue } from '../store/contract.ts'
import type { ReportHead } from './report-head.ts'

export interface ActiveDrill {
  readonly id: string
  readonly drill: string
  readonly by: string
  readonly startedWallMs: number
  readonly phase: Phase
  /** Moves every `BEAT_MS` while its runner lives. */
  readonly beat: number
  readonly members: readonly string[]
  readonly waiting: { readonly gate: Gate; readonly by: readonly string[] } | null
  readonly approvals: readonly { readonly gate: Gate; readonly by: string }[]
  readonly abort: { readonly by: string; readonly because: string } | null
  /** For the report of one whose runner is gone; absent in records of before it was kept. */
  readonly head?: ReportHead
}

export interface EndedDrill {
  readonly id: string
  readonly drill: string
  readonly outcome: Outcome
  readonly because: string
  readonly practice: boolean
  readonly startedWallMs: number
  readonly endedWallMs: number
  readonly rtoMs: number | null
  readonly rpoMs: number | null
  /** Its place in the chain of evidence; null: it left none. */
  readonly seq: number | null
  readonly sha256: string | null
}

export interface DrillRecord {
  readonly format: 1
  readonly group: string
  readonly active: ActiveDrill | null
  /** Newest last. */
  readonly past: readonly EndedDrill[]
}

export interface ChainRecord {
  readonly format: 1
  readonly seq: number
  readonly sha256: string
}

export const BEAT_MS = 1_000
/** Ten beats: a runner on a starved machine is late, not gone. */
export const SILENT_MS = 10 * BEAT_MS
/** Some 300 bytes each; the report keeps the rest. */
const PAST_MAX = 50
const STORE_MS = 2_000
const ATTEMPTS_MAX = 8
const CHAIN_KEY = 'evidence/chain'

export class DrillLedger {
  readonly #store: Store

  constructor(store: Store) {
    this.#store = store
  }

  async read(group: string): Promise<DrillRecord> {
    return drillRecord(group, await this.#get(keyOf(group)))
  }

  /** Null from `edit`: leave it. Gives what is there afterwards. Throws when the store does not answer. */
  async change(group: string, edit: (record: DrillRecord) => DrillRecord | null): Promise<DrillRecord> {
    let entry = await this.#get(keyOf(group))
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      const record = drillRecord(group, entry)
      const edited = edit(record)
      if (edited === null) return record
      const next = { ...edited, past: edited.past.slice(-PAST_MAX) }
      const result = await this.#store.compareAndSet(keyOf(group), JSON.stringify(next), entry.revision, STORE_MS)
      if (result.kind === 'ok') return next
      entry = result.kind === 'conflict' ? result.entry : await this.#get(keyOf(group))
      // An answer that was lost: the write may have been ours.
      if (entry.value === JSON.stringify(next)) return next
    }
    throw new HoldfastError('HF_BUSY', `the drill record of ${group} changes too often`, 'ask again in a moment')
  }

  /** Calls with every change, also those of others, until closed. */
  watch(group: string, onRecord: (record: DrillRecord) => void): { close(): void } {
    return this.#store.watch(keyOf(group), {
      onEntry: (entry) => {
        if (entry.key === keyOf(group)) onRecord(drillRecord(group, entry))
      },
      onGap: () => undefined,
    })
  }

  /** Of every group: what is there now, then every change. What is no record is left out. */
  watchAll(onRecord: (record: DrillRecord) => void, onGap: (because: string) => void): { close(): void } {
    return this.#store.watch('drills/', {
      onEntry: (entry) => {
        try {
          onRecord(drillRecord(entry.key.slice('drills/'.length), entry))
        } catch (error) {
          onGap(error instanceof Error ? error.message : String(error))
        }
      },
      onGap,
    })
  }

  async chain(): Promise<ChainRecord | null> {
    return chainRecord((await this.#get(CHAIN_KEY)).value)
  }

  /** False: somebody else's report came in between. */
  async extendChain(from: ChainRecord | null, to: ChainRecord): Promise<boolean> {
    const entry = await this.#get(CHAIN_KEY)
    const there = chainRecord(entry.value)
    if (there?.sha256 === to.sha256) return true
    if (there?.sha256 !== from?.sha256) return false
    const result = await this.#store.compareAndSet(CHAIN_KEY, JSON.stringify(to), entry.revision, STORE_MS)
    if (result.kind === 'unknown') return chainRecord((await this.#get(CHAIN_KEY)).value)?.sha256 === to.sha256
    return result.kind === 'ok'
  }

  async #get(key: string): Promise<StoredValue> {
    const result = await this.#store.get(key, STORE_MS)
    if (result.kind === 'ok') return result.entry
    const next = 'see that the store runs and is reached from here: holdfast status'
    throw new HoldfastError('HF_STORE_UNREACHABLE', `the store did not answer: ${result.because}`, next)
  }
}

function keyOf(group: string): string {
  return `drills/${group}`
}

function drillRecord(group: string, { value, key }: StoredValue): DrillRecord {
  if (value === null) return { format: 1, group, active: null, past: [] }
  const record = parsed(value)
  if (record?.format === 1 && record.group === group && Array.isArray(record.past) && 'active' in record) {
    return record as unknown as DrillRecord
  }
  throw nonsense(key)
}

function chainRecord(value: string | null): ChainRecord | null {
  if (value === null) return null
  const record = parsed(value)
  if (record?.format === 1 && Number.isSafeInteger(record.seq) && typeof record.sha256 === 'string') {
    return record as unknown as ChainRecord
  }
  throw nonsense(CHAIN_KEY)
}

function nonsense(key: string): HoldfastError {
  const next = 'it was written by another version or by hand; move the key away and drill again'
  return new HoldfastError('HF_STORE_NONSENSE', `the store holds something at ${key} that is no record`, next)
}

function parsed(value: string): Record<string, unknown> | null {
  try {
    const json: unknown = JSON.parse(value)
    return typeof json === 'object' && json !== null ? (json as Record<string, unknown>) : null
  } catch {
    return null
  }
}
