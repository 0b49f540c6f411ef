/** The books of the shop: what was promised to customers against what the two databases hold. Pure. */
import type { Ack } from './ledger.ts'

export interface Placed {
  readonly number: string
  readonly item: number
  readonly sentMs: number
  readonly ackedMs: number
}

/** What PostgreSQL and Redis hold in the end. */
export interface Books {
  /** Order number to item. */
  readonly orders: ReadonlyMap<string, number>
  /** Numbers that have a reservation. */
  readonly reserved: ReadonlySet<string>
  /** What is left of each item. */
  readonly left: readonly number[]
}

export interface Account {
  /** Acknowledged orders that have no row. */
  readonly lostOrders: number
  /** Acknowledged orders whose reservation is gone. */
  readonly lostReservations: number
  /** Pieces sold that there never were. */
  readonly oversold: number
}

export function account(placed: readonly Placed[], books: Books, initial: readonly number[]): Account {
  const sold = new Map<number, number>()
  for (const item of books.orders.values()) sold.set(item, (sold.get(item) ?? 0) + 1)
  // Rows and stock may each tell of the same piece, so the larger of the two counts, not their sum.
  const over = initial.map((pieces, item) => Math.max(0, (sold.get(item) ?? 0) - pieces, -(books.left[item] ?? 0)))
  return {
    lostOrders: placed.filter(({ number }) => !books.orders.has(number)).length,
    lostReservations: placed.filter(({ number }) => !books.reserved.has(number)).length,
    oversold: over.reduce((sum, pieces) => sum + pieces, 0),
  }
}

/**
 * Redis names its histories by chance, PostgreSQL by growing numbers. Here each gets the number of its turn, in the
 * order in which they first acknowledged, as `twoWritersMs` wants them.
 */
export function inTurn(acks: readonly Ack[]): readonly Ack[] {
  const first = [...acks].sort((a, b) => a.ackedMs - b.ackedMs)
  const turns = new Map<string, string>()
  for (const { timeline } of first) {
    if (!turns.has(timeline)) turns.set(timeline, String(turns.size + 1).padStart(8, '0'))
  }
  return acks.map((ack) => ({ ...ack, timeline: turns.get(ack.timeline) ?? '' }))
}
