/**
 * Orders: drills that somebody or the schedule wants run, one row each. Each step of one locks its
 * row and looks at its state, so it is approved once and run once, whoever leads.
 */
import type { ApiDrillOrder } from '@holdfast/client'
import { HoldfastError } from '../../errors.ts'
import type { Reading, Writing } from '../database/database.ts'
import type { DrillOrderRow } from '../database/tables.ts'

export type Order = ApiDrillOrder

/** Waiting, ready and running together; the schedule is not kept from its times by people who ask. */
const OPEN_MAX = 50
const SHOWN = 50
/** Some kilobytes each; the events tell of older ones. */
const KEPT = 1_000
export const OPEN: readonly Order['state'][] = ['waiting', 'ready', 'running']

export async function addOrder(writing: Writing, order: Order, slot: string | null): Promise<boolean> {
  const open = await writing
    .selectFrom('drill_orders')
    .select('id')
    .where('state', 'in', [...OPEN])
    .execute()
  if (slot === null && open.length >= OPEN_MAX) {
    const next = 'approve or reject some of them, or wait until they were run'
    throw new HoldfastError('HF_LIMIT_REACHED', `${OPEN_MAX} orders for drills are open already`, next)
  }
  const { id, state, askedMs } = order
  const row = { id, slot, state, asked_ms: askedMs, runner: null, beat: 0, body: JSON.stringify(order) }
  const added = await writing
    .insertInto('drill_orders')
    .values(row)
    .onConflict((conflict) => conflict.column('slot').doNothing())
    .executeTakeFirst()
  return Number(added.numInsertedOrUpdatedRows ?? 0) === 1
}

/** Null from `edit`: it stays as it is. Gives what it became; null: there is none, or it stayed. */
export async function editOrder(
  writing: Writing,
  id: string,
  edit: (kept: Kept) => Order | null,
  becomes?: { readonly runner: string },
): Promise<Order | null> {
  // The row stays locked until the transaction ends.
  const row = await writing
    .updateTable('drill_orders')
    .set((of) => ({ asked_ms: of.ref('asked_ms') }))
    .where('id', '=', id)
    .returning(['body', 'runner', 'beat'])
    .executeTakeFirst()
  const next = row === undefined ? null : edit(keptOf(row))
  if (next === null) return null
  await writing
    .updateTable('drill_orders')
    .set({ state: next.state, body: JSON.stringify(next), ...becomes })
    .where('id', '=', id)
    .execute()
  return next
}

export interface Kept {
  readonly order: Order
  readonly runner: string | null
  /** Another one while its runner lives. */
  readonly beat: number
}

function keptOf({ body, runner, beat }: Pick<DrillOrderRow, 'body' | 'runner' | 'beat'>): Kept {
  return { order: JSON.parse(body) as Order, runner, beat }
}

export async function beatOrder(writing: Writing, id: string, runner: string): Promise<void> {
  await writing
    .updateTable('drill_orders')
    .set((of) => ({ beat: of('beat', '+', 1) }))
    .where('id', '=', id)
    .where('runner', '=', runner)
    .execute()
}

export async function findOrder(read: Reading, id: string): Promise<Kept | null> {
  const row = await read
    .selectFrom('drill_orders')
    .select(['body', 'runner', 'beat'])
    .where('id', '=', id)
    .executeTakeFirst()
  return row === undefined ? null : keptOf(row)
}

/** Oldest first. */
export async function openOrders(read: Reading): Promise<readonly Kept[]> {
  const rows = await read
    .selectFrom('drill_orders')
    .select(['body', 'runner', 'beat'])
    .where('state', 'in', [...OPEN])
    .orderBy('asked_ms')
    .execute()
  return rows.map(keptOf)
}

export async function newestOrders(read: Reading): Promise<readonly Order[]> {
  const rows = await read
    .selectFrom('drill_orders')
    .select(['body', 'runner', 'beat'])
    .orderBy('asked_ms', 'desc')
    .limit(SHOWN)
    .execute()
  return rows.map((row) => keptOf(row).order)
}

export async function forgetOldOrders(writing: Writing, kept = KEPT): Promise<void> {
  const last = await writing
    .selectFrom('drill_orders')
    .select('asked_ms')
    .orderBy('asked_ms', 'desc')
    .offset(kept)
    .limit(1)
    .executeTakeFirst()
  if (last === undefined) return
  await writing
    .deleteFrom('drill_orders')
    .where('asked_ms', '<=', last.asked_ms)
    .where('state', 'not in', [...OPEN])
    .execute()
}
