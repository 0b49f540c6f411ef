/**
 * Which of several servers leads. A row in the database, no clock in it: the leader beats, the others watch the beat by
 * their own monotonic clock and take over when it stood still for longer than its ttl. Whatever the leader writes goes
 * in one transaction with its beat, so who was replaced can no longer write: an epoch is used once.
 */
import type { Clock } from '../../io/clock.ts'
import type { Database, Reading, Writing } from './database.ts'

export const LEADER_TTL_MS = 4_000
/** Allowance for different clock rates and late timers. */
const MARGIN_MS = 1_000

export interface Leadership {
  readonly leading: boolean
  readonly holder: string | null
  readonly epoch: number
}

export class Leader {
  readonly #database: Database
  readonly #name: string
  readonly #clock: Clock
  #epoch: number | null = null
  #seen = { holder: '', epoch: 0, beat: -1, atMs: 0 }

  constructor(options: { readonly database: Database; readonly name: string; readonly clock: Clock }) {
    this.#database = options.database
    this.#name = options.name
    this.#clock = options.clock
  }

  get state(): Leadership {
    return { leading: this.#epoch !== null, holder: this.#seen.holder || null, epoch: this.#seen.epoch }
  }

  /** Beats, or looks and takes over when nobody beats. To be called several times within the ttl. */
  async turn(): Promise<Leadership> {
    if (this.#epoch !== null) await this.write(async () => undefined)
    else await this.#look()
    return this.state
  }

  /** Null when this server does not lead, or no longer; then nothing was written. */
  async write<T>(change: (transaction: Writing) => Promise<T>): Promise<{ readonly value: T } | null> {
    const epoch = this.#epoch
    if (epoch === null) return null
    const done = await this.#database.write(async (transaction) => {
      const beaten = await transaction
        .updateTable('leader')
        .set((row) => ({ beat: row('beat', '+', 1) }))
        .where('epoch', '=', epoch)
        .where('holder', '=', this.#name)
        .executeTakeFirst()
      return Number(beaten.numUpdatedRows) === 1 ? { value: await change(transaction) } : null
    })
    if (done === null && this.#epoch === epoch) this.#epoch = null
    return done
  }

  /** Lets another one take over at once. */
  async resign(): Promise<void> {
    await this.write((transaction) => transaction.updateTable('leader').set({ holder: '' }).execute())
    this.#epoch = null
  }

  async #look(): Promise<void> {
    const nowMs = this.#clock.nowMs()
    const row = await leaderRow(this.#database.read)
    const { holder, epoch, beat, atMs } = this.#seen
    const still = row.holder === holder && row.epoch === epoch && row.beat === beat
    this.#seen = { ...row, atMs: still ? atMs : nowMs }
    if (row.holder !== '' && !(still && nowMs - atMs > LEADER_TTL_MS + MARGIN_MS)) return
    const won = await this.#database.write((transaction) =>
      transaction
        .updateTable('leader')
        .set({ holder: this.#name, epoch: row.epoch + 1, beat: 0 })
        .where('epoch', '=', row.epoch)
        .where('beat', '=', row.beat)
        .executeTakeFirst(),
    )
    if (Number(won.numUpdatedRows) !== 1) return
    this.#epoch = row.epoch + 1
    this.#seen = { holder: this.#name, epoch: row.epoch + 1, beat: 0, atMs: nowMs }
  }
}

async function leaderRow(read: Reading): Promise<{ holder: string; epoch: number; beat: number }> {
  return read.selectFrom('leader').select(['holder', 'epoch', 'beat']).executeTakeFirstOrThrow()
}
