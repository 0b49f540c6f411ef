/** What the store says of drills, of all groups, as it changes. Each server follows for itself. */
import type { Desk } from '../../drills/desk.ts'
import type { DrillLedger, DrillRecord } from '../../drills/ledger.ts'
import type { Clock } from '../../io/clock.ts'

interface Heard {
  readonly record: DrillRecord
  readonly beat: string
  /** When the beat was last another one. */
  readonly beatAtMs: number
}

export class DrillRecords {
  readonly #ledger: DrillLedger | null
  readonly #clock: Clock
  readonly #heard = new Map<string, Heard>()
  #watch: { close(): void } | null = null
  #because: string
  /** When the store was first heard again after a gap. */
  #backAtMs = Number.NEGATIVE_INFINITY

  constructor({ desk, because, clock }: { desk: Desk | null; because: string; clock: Clock }) {
    this.#ledger = desk?.ledger ?? null
    this.#clock = clock
    this.#because = because
  }

  start(): void {
    this.#watch =
      this.#ledger?.watchAll(
        (record) => this.#hear(record),
        (because) => {
          this.#because = because
        },
      ) ?? null
  }

  close(): void {
    this.#watch?.close()
  }

  /** After a gap: whether the store answers again. The watch itself comes back alone. */
  async look(group: string): Promise<void> {
    if (this.#because === '' || this.#ledger === null) return
    this.#hear(await this.#ledger.read(group))
  }

  /** Why what is known may be old; empty when it is not. */
  get because(): string {
    return this.#because
  }

  of(group: string): DrillRecord {
    return this.#heard.get(group)?.record ?? { format: 1, group, active: null, past: [] }
  }

  /** Since the runner of the group's drill was last heard of, while the store was heard: in a gap nobody is silent. */
  silentMs(group: string): number {
    const heard = this.#heard.get(group)
    if (heard === undefined || heard.record.active === null || this.#because !== '') return 0
    return this.#clock.nowMs() - Math.max(heard.beatAtMs, this.#backAtMs)
  }

  #hear(record: DrillRecord): void {
    const { active } = record
    const beat = active === null ? '' : `${active.id} ${active.beat}`
    const before = this.#heard.get(record.group)
    const beatAtMs = before?.beat === beat ? before.beatAtMs : this.#clock.nowMs()
    this.#heard.set(record.group, { record, beat, beatAtMs })
    if (this.#because !== '') this.#backAtMs = this.#clock.nowMs()
    this.#because = ''
  }
}
