/**
 * Which standbys have gone silent. Each tells its status once a second (`wal_receiver_status_interval`), also when
 * there is nothing to tell; the server keeps the standby's own time of its last word. That time is only compared with
 * itself: how long it has stayed the same is counted by this node's clock, from look to look.
 */

/** A status that is late by half of its interval is missing. */
const SILENT_MS = 1_500

/** The process that sends to it, and the text of its last word's time. */
export type StandbyWord = readonly [pid: number, saidAt: string | null]

interface Heard {
  readonly saidAt: string | null
  readonly sinceMs: number
}

export class StandbyEars {
  #heard: ReadonlyMap<number, Heard> = new Map()
  #lookedAtMs = Number.NEGATIVE_INFINITY

  note(words: readonly StandbyWord[], nowMs: number): void {
    const before = this.#heard
    this.#heard = new Map(
      words.map(([pid, saidAt]): [number, Heard] => {
        const last = before.get(pid)
        return [pid, last?.saidAt === saidAt ? last : { saidAt, sinceMs: nowMs }]
      }),
    )
    this.#lookedAtMs = nowMs
  }

  /** Sending processes whose standby said nothing new for too long, up to the last look. */
  silent(): readonly number[] {
    const atMs = this.#lookedAtMs
    return [...this.#heard].flatMap(([pid, { sinceMs }]) => (atMs - sinceMs >= SILENT_MS ? [pid] : []))
  }

  forget(): void {
    this.#heard = new Map()
  }
}
