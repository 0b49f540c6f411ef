/** The newest decisions, for `status` and for the log. Decides nothing; forgets the oldest. */
import type { ReasonLine } from '@holdfast/client'
import type { Reason } from '../core/model.ts'
import type { Clock } from '../io/clock.ts'
import type { Log } from '../io/log.ts'
import { GROUPS } from './records.ts'

/** What a person can read in one sitting; the journal has the rest. */
export const REASONS_MAX = 200

/** More broken keys than this are told again from time to time. */
const NONSENSE_KEYS_MAX = 100

/** While the store stays away this is told again at most so often. */
const SILENCE_EVERY_MS = 10_000

export class ReasonLog {
  readonly #lines: ReasonLine[] = []
  readonly #clock: Clock
  readonly #log: Pick<Log, 'info'>
  readonly #nonsense = new Map<string, string>()
  readonly #counts = new Map<string, number>()
  #total = 0
  #stranger = { session: '', sinceMs: 0, told: false }
  #silent = false
  #silenceToldMs = Number.NEGATIVE_INFINITY

  constructor(clock: Clock, log: Pick<Log, 'info'>) {
    this.#clock = clock
    this.#log = log
  }

  add(reason: Reason): void {
    const line = { wallMs: Math.round(this.#clock.wallMs()), ...reason }
    this.#lines.push(line)
    this.#total += 1
    if (this.#lines.length > REASONS_MAX) this.#lines.shift()
    this.#counts.set(reason.code, (this.#counts.get(reason.code) ?? 0) + 1)
    this.#log.info({ ...reason }, reason.code)
  }

  /** The store answered what cannot be a record; told once until it says something else (R8). */
  nonsense(key: string, because: string): void {
    if (this.#nonsense.get(key) === because) return
    if (this.#nonsense.size >= NONSENSE_KEYS_MAX) this.#nonsense.clear()
    this.#nonsense.set(key, because)
    const group = key.startsWith(GROUPS) ? key.slice(GROUPS.length) : ''
    this.add({
      code: 'HF_STORE_NONSENSE',
      group,
      member: '',
      rule: 'R8',
      detail: { key, because: because.slice(0, 200) },
    })
  }

  /** Somebody else's session stands under our name: told once it was watched for `patienceMs` and still beats. */
  stranger(agent: string, session: string, patienceMs: number): void {
    const nowMs = this.#clock.nowMs()
    if (this.#stranger.session !== session) this.#stranger = { session, sinceMs: nowMs, told: false }
    if (this.#stranger.told || nowMs - this.#stranger.sinceMs < patienceMs) return
    this.#stranger.told = true
    const because = `another process beats as agent ${agent}; end one of the two, or give this one another name`
    this.add({ code: 'HF_AGENT_NAME_IN_USE', group: '', member: '', rule: 'R3', detail: { because, session } })
  }

  /** The store's last answer was none. */
  get silent(): boolean {
    return this.#silent
  }

  /** The store did not answer (or null: it did). Told when it begins to, and from time to time while it goes on. */
  storeSilent(because: string | null): void {
    const nowMs = this.#clock.nowMs()
    const told = this.#silent && nowMs - this.#silenceToldMs < SILENCE_EVERY_MS
    this.#silent = because !== null
    if (because === null || told) return
    this.#silenceToldMs = nowMs
    const detail = { because: because.slice(0, 200) }
    this.add({ code: 'HF_STORE_UNREACHABLE', group: '', member: '', rule: 'R8', detail })
  }

  /** Oldest first. */
  lines(): readonly ReasonLine[] {
    return [...this.#lines]
  }

  /** Decisions since the agent started, those that were forgotten included. */
  get total(): number {
    return this.#total
  }

  /** Those after the first `known`, oldest first, as far as they are still here. */
  linesAfter(known: number): readonly ReasonLine[] {
    const fresh = Math.min(this.#lines.length, Math.max(0, this.#total - known))
    return fresh === 0 ? [] : this.#lines.slice(-fresh)
  }

  /** How often each code was given since the agent started; codes come from the core, so their number is bounded. */
  counts(): ReadonlyMap<string, number> {
    return this.#counts
  }
}
