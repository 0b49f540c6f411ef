/**
 * R22: a store must not go back. Remembers the highest revision and term that were answered and who the store is;
 * refuses an answer that is older than what was known when its question was asked. Pure.
 * Answers overtake each other, so an answer is compared with the floor at the time of asking, not at its arrival.
 */
import type { KeyRevision } from './contract.ts'

export interface Stamp {
  /** Identity of the store: cluster id or id of the file. Another one means another store answers at this address. */
  readonly identity: string
  readonly revision: KeyRevision
  /** Raft term; 0 where the store has none. */
  readonly term: number
}

export interface Floor {
  readonly identity: string | null
  readonly revision: KeyRevision
  readonly term: number
}

export class StoreHistory {
  #floor: Floor = { identity: null, revision: 0, term: 0 }

  floor(): Floor {
    return this.#floor
  }

  /** Null when the answer may be believed, else what is wrong with it. A believed answer raises the floor. */
  judge(stamp: Stamp, asked: Floor): string | null {
    const { identity } = this.#floor
    if (identity !== null && stamp.identity !== identity) {
      return `another store answers: ${stamp.identity} instead of ${identity} (R22)`
    }
    if (stamp.revision < asked.revision) {
      return `its revision went back from ${asked.revision} to ${stamp.revision} (R22)`
    }
    if (stamp.term < asked.term) return `its raft term went back from ${asked.term} to ${stamp.term} (R22)`
    this.#floor = {
      identity: stamp.identity,
      revision: Math.max(stamp.revision, this.#floor.revision),
      term: Math.max(stamp.term, this.#floor.term),
    }
    return null
  }
}
