/**
 * Runs the canary of every group while this server leads, and writes down what they find, in transactions with the
 * leader's beat. What could not be written is kept, within bounds, and written later; without a lead nothing is
 * measured here, and what another server measured is read from the database.
 */
import type { ApiCanaryNow, ApiGroup, ApiIncident, ApiIncidentMeasured } from '@holdfast/client'
import { canaryKey } from '../../canary/record.ts'
import type { GroupSpec, Platform } from '../../config/platform.ts'
import type { Clock } from '../../io/clock.ts'
import type { Log } from '../../io/log.ts'
import type { Reading, Writing } from '../database/database.ts'
import type { Leader } from '../database/leader.ts'
import { GroupLedger } from './group-ledger.ts'
import { type Batch, Unwritten, writeBatch } from './unwritten.ts'

const TICK_MS = 100
const SECOND_MS = 1_000
/** Everything a second server tells is so old at most. */
const WRITE_MS = 5_000
/** Between the first write of one group and that of the next. */
const SPREAD_MS = 23
const FACT = 'canary/now'

export interface CanaryKeeperOptions {
  readonly platform: Platform
  readonly name: string
  readonly leader: Leader
  readonly read: Reading
  readonly clock: Clock
  readonly log: Log
  readonly known: (group: string) => ApiGroup | null
  readonly onFigures: (now: ReadonlyMap<string, ApiCanaryNow>) => void
  readonly onIncident: (incident: ApiIncident) => void
  readonly onWritten: () => void
}

/** As it stands in the database for other servers. */
export interface KeptNow {
  readonly by: string
  readonly wallMs: number
  readonly groups: Readonly<Record<string, ApiCanaryNow>>
}

export class CanaryKeeper {
  readonly #options: CanaryKeeperOptions
  readonly #unwritten = new Unwritten()
  readonly #whyNot = new Map<string, string>()
  readonly #key: string | null
  #ledgers = new Map<string, GroupLedger>()
  #now = new Map<string, ApiCanaryNow>()
  #timers: NodeJS.Timeout[] = []
  #writing: Promise<void> | null = null
  #keptMs = Number.NEGATIVE_INFINITY
  #closed = false

  constructor(options: CanaryKeeperOptions) {
    this.#options = options
    this.#key = canaryKey(options.platform)
    for (const group of options.platform.groups) {
      const why = this.#reasonAgainst(group)
      if (why !== null) this.#whyNot.set(group.name, why)
    }
  }

  start(): void {
    this.#timers = [
      setInterval(() => this.#tick(), TICK_MS),
      setInterval(() => this.#second(), SECOND_MS),
      setInterval(() => void this.flush(), WRITE_MS),
    ]
  }

  /** Why this group has no canary, whoever leads; null: it has one. */
  whyNot(group: string): string | null {
    return this.#whyNot.get(group) ?? null
  }

  /** Measured here; null: another server does, or nobody. */
  now(group: string): ApiCanaryNow | null {
    return this.#now.get(group) ?? null
  }

  all(): ReadonlyMap<string, ApiCanaryNow> {
    return this.#now
  }

  /** Of the leading server, as it wrote it down. */
  async kept(): Promise<KeptNow | null> {
    const row = await this.#options.read.selectFrom('facts').select('body').where('key', '=', FACT).executeTakeFirst()
    return row === undefined ? null : (JSON.parse(row.body) as KeptNow)
  }

  incident(incident: ApiIncident): void {
    this.#ledgers.get(incident.group)?.incident(incident)
  }

  measured(group: string, incident: string): ApiIncidentMeasured | null {
    return this.#ledgers.get(group)?.measured(incident) ?? null
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const timer of this.#timers) clearInterval(timer)
    await this.#end()
    await this.flush()
  }

  /** Writes what there is; a call during a write waits for it. */
  flush(): Promise<void> {
    this.#writing ??= this.#write().finally(() => {
      this.#writing = null
    })
    return this.#writing
  }

  #reasonAgainst({ name, application, canaryPerSecond }: GroupSpec): string | null {
    if (application === null) return `the description names no \`application\` for ${name}: nobody to write as`
    if (!application.password.known) return `the password of ${name}'s application is not known here`
    if (canaryPerSecond === 0)
      return `the description turns it off for ${name}: \`canary: { perSecond: 0 }\`, or only observed`
    return this.#key === null ? 'no agent is described, so there is no token to sign with' : null
  }

  #tick(): void {
    if (this.#options.leader.state.leading && !this.#closed) this.#begin()
    else void this.#end()
    for (const ledger of this.#ledgers.values()) ledger.tick()
  }

  #begin(): void {
    if (this.#ledgers.size > 0 || this.#key === null) return
    const { platform, clock, known } = this.#options
    const key = this.#key
    const groups = platform.groups.filter(({ name }) => !this.#whyNot.has(name))
    for (const [at, group] of groups.entries()) {
      const ledger = new GroupLedger({
        ...{ platform, group, key, clock, periods: this.#unwritten.periods, delayMs: at * SPREAD_MS },
        known: () => known(group.name),
        onDraft: (draft) => {
          this.#unwritten.draft(draft)
          void this.flush()
        },
        onNote: (note) => {
          this.#unwritten.note(note)
          void this.flush()
        },
      })
      this.#ledgers.set(group.name, ledger)
    }
  }

  async #end(): Promise<void> {
    const ledgers = [...this.#ledgers.values()]
    this.#ledgers = new Map()
    this.#now = new Map()
    await Promise.all(ledgers.map((ledger) => ledger.close()))
  }

  #second(): void {
    if (this.#ledgers.size === 0) return
    this.#now = new Map([...this.#ledgers].map(([group, ledger]) => [group, ledger.now()]))
    this.#options.onFigures(this.#now)
  }

  async #write(): Promise<void> {
    // Findings that come together are written together.
    await new Promise((resolve) => setImmediate(resolve))
    for (;;) {
      const due = this.#closed || this.#options.clock.nowMs() - this.#keptMs >= WRITE_MS
      const batch = this.#unwritten.take(due)
      if (batch === null || !(await this.#send(batch, due))) return
    }
  }

  /** False: it may be written or not; it is given again. */
  async #send(batch: Batch, due: boolean): Promise<boolean> {
    const { leader, name, clock, log, onWritten, onIncident } = this.#options
    try {
      const written = await leader.write(async (writing) => {
        const wallMs = clock.wallMs()
        if (due) await this.#keep(writing, wallMs)
        return writeBatch(writing, batch, name, wallMs)
      })
      this.#unwritten.done()
      // Who does not lead any more has nothing to say.
      if (written === null) return true
      if (due) this.#keptMs = clock.nowMs()
      for (const incident of written.value) onIncident(incident)
      if (batch.drafts.length > 0) onWritten()
      return true
    } catch (error) {
      log.warn({ error }, 'canary-not-written')
      return false
    }
  }

  async #keep(writing: Writing, wallMs: number): Promise<void> {
    const kept: KeptNow = { by: this.#options.name, wallMs, groups: Object.fromEntries(this.#now) }
    const body = JSON.stringify(kept)
    await writing
      .insertInto('facts')
      .values({ key: FACT, body })
      .onConflict((conflict) => conflict.column('key').doUpdateSet({ body }))
      .execute()
  }
}
