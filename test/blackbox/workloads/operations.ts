/**
 * The five workloads: each is what one client does until it is told to stop. Numbers are unique in a run: those of
 * client c lie above c times `NUMBERS_PER_CLIENT`.
 */
import type { Stream } from '../../../packages/holdfast/src/sim/prng.ts'
import type { Client, Query } from './client.ts'
import type { Isolation, WorkloadName } from './settings.ts'
import { ACCOUNTS, WHO } from './tables.ts'

export interface Work {
  readonly client: Client
  readonly paceMs: number
  readonly chance: Stream
  readonly isolation: Isolation
  /** Given out by one place for all clients of list-append, so that they meet on the same keys. */
  readonly keys: Keys
}

export type Step = readonly ['append', number, number] | readonly ['r', number, readonly number[] | null]

const NUMBERS_PER_CLIENT = 10_000_000
const INSERT = `insert into numbered (n, attempt) values ($1, $2) returning ${WHO}`
const READ_SHARE = 0.2
const AMOUNT_MAX = 20
const STEPS_MAX = 4
const LONG_ROWS = { low: 2, below: 6 }
const HELD_MS = { low: 500, high: 3_000 }

export const WORKLOADS: Readonly<Record<WorkloadName, (work: Work) => Promise<void>>> = {
  insert,
  transfer,
  txn,
  long,
  old,
}

/** Which keys are written now: a few at a time; one that is long enough is left and a fresh one begun. */
export class Keys {
  static readonly ACTIVE = 3
  static readonly APPENDS_MAX = 64
  readonly #active: { key: number; appends: number }[] = []
  #nextKey: number
  #nextValue: number

  constructor(first: number) {
    this.#nextKey = first * NUMBERS_PER_CLIENT
    this.#nextValue = first * NUMBERS_PER_CLIENT
    for (let i = 0; i < Keys.ACTIVE; i += 1) this.#active.push(this.#fresh())
  }

  step(chance: Stream): Step {
    const at = chance.int(Keys.ACTIVE)
    const slot = this.#active[at] ?? this.#fresh()
    if (chance.chance(0.5)) return ['r', slot.key, null]
    slot.appends += 1
    if (slot.appends >= Keys.APPENDS_MAX) this.#active[at] = this.#fresh()
    this.#nextValue += 1
    return ['append', slot.key, this.#nextValue]
  }

  #fresh(): { key: number; appends: number } {
    this.#nextKey += 1
    return { key: this.#nextKey, appends: 0 }
  }
}

/** One numbered row a statement. An unknown one is looked up; only one that is not there is sent again, renamed. */
async function insert({ client, paceMs }: Work): Promise<void> {
  let attempt = 1
  for (let n = client.number * NUMBERS_PER_CLIENT + 1; !client.stopping; await client.pause(paceMs)) {
    const outcome = await client.operate(row('insert', n, attempt))
    attempt += 1
    const settled = outcome === 'ok' || (outcome === 'info' && (await isThere(client, n)))
    if (!settled) continue
    n += 1
    attempt = 1
  }
}

async function isThere(client: Client, n: number): Promise<boolean> {
  while (!client.stopping) {
    const found = await client.ask('select 1 from numbered where n = $1', [n])
    if (found !== null) return found.length > 0
  }
  return false
}

/** Writes on one connection for as long as it lives; never looks back. */
async function old({ client, paceMs }: Work): Promise<void> {
  for (let n = client.number * NUMBERS_PER_CLIENT + 1; !client.stopping; n += 1) {
    await client.operate(row('old', n, 1))
    await client.pause(paceMs)
  }
}

function row(f: 'insert' | 'old', n: number, attempt: number): Parameters<Client['operate']>[0] {
  const value = { n, attempt }
  const work = async (query: Query): Promise<{ value: unknown; who: unknown }> => {
    const [who] = await query(INSERT, [n, attempt])
    return { value, who }
  }
  return { f, value, work }
}

/** Moves money between two accounts; sometimes reads all of them in one statement instead. */
async function transfer({ client, paceMs, chance }: Work): Promise<void> {
  for (let id = client.number * NUMBERS_PER_CLIENT + 1; !client.stopping; id += 1) {
    const operation = chance.chance(READ_SHARE) ? balances(id) : moved(id, chance)
    await client.operate(operation)
    await client.pause(paceMs)
  }
}

function balances(id: number): Parameters<Client['operate']>[0] {
  const sql = `select (select array_agg(balance::int order by id) from account) as read, ${WHO}`
  const work = async (query: Query): Promise<{ value: unknown; who: unknown }> => {
    const [who] = await query(sql)
    return { value: { id, read: (who as { read: readonly number[] }).read }, who }
  }
  return { f: 'transfer', value: { id, read: null }, work }
}

function moved(id: number, chance: Stream): Parameters<Client['operate']>[0] {
  const from = chance.int(ACCOUNTS) + 1
  const to = ((from + chance.int(ACCOUNTS - 1)) % ACCOUNTS) + 1
  const amount = chance.int(AMOUNT_MAX) + 1
  const value = { id, from, to, amount }
  const work = async (query: Query): Promise<{ value: unknown; who: unknown }> => {
    await query('begin')
    const change = `update account set balance = balance + $1 where id = $2 returning ${WHO}`
    // In the order of their numbers, or two transfers wait for each other.
    const [first, second] = from < to ? [from, to] : [to, from]
    await query(change, [first === from ? -amount : amount, first])
    const [who] = await query(change, [second === from ? -amount : amount, second])
    await query('commit')
    return { value, who }
  }
  return { f: 'transfer', value, work }
}

/** Lists as Jepsen keeps them in a relational table: one text a key, appended by an upsert. */
async function txn({ client, paceMs, chance, isolation, keys }: Work): Promise<void> {
  while (!client.stopping) {
    const steps = Array.from({ length: 1 + chance.int(STEPS_MAX) }, () => keys.step(chance))
    const work = async (query: Query): Promise<{ value: unknown; who: unknown }> => {
      await query(`begin isolation level ${isolation}`)
      const done: Step[] = []
      for (const step of steps) done.push(await stepped(query, step))
      const [who] = await query(`select ${WHO}`)
      await query('commit')
      return { value: done, who }
    }
    await client.operate({ f: 'txn', value: steps, work })
    await client.pause(paceMs)
  }
}

async function stepped(query: Query, step: Step): Promise<Step> {
  const [kind, key, value] = step
  if (kind === 'append') {
    const sql = "insert into list values ($1, $2) on conflict (key) do update set value = list.value || ',' || $2"
    await query(sql, [key, String(value)])
    return step
  }
  const [found] = await query('select value from list where key = $1', [key])
  return ['r', key, listOf((found as { value: string } | undefined)?.value)]
}

export function listOf(text: string | undefined): readonly number[] {
  return text === undefined || text === '' ? [] : text.split(',').map(Number)
}

/** Several rows in one transaction that stays open for a while. */
async function long({ client, paceMs, chance }: Work): Promise<void> {
  let n = client.number * NUMBERS_PER_CLIENT
  for (let id = 1; !client.stopping; id += 1) {
    const count = LONG_ROWS.low + chance.int(LONG_ROWS.below - LONG_ROWS.low)
    const held = Math.round(chance.range(HELD_MS.low, HELD_MS.high))
    const numbers = Array.from({ length: count }, (_, i) => n + 1 + i)
    n += count
    const value = { id, rows: numbers.map((one) => `${one}/1`), held }
    const work = async (query: Query): Promise<{ value: unknown; who: unknown }> => {
      await query('begin')
      let who: unknown
      for (const one of numbers) {
        const [answer] = await query(INSERT, [one, 1])
        who = answer
        await client.pause(held / count)
      }
      await query('commit')
      return { value, who }
    }
    await client.operate({ f: 'long', value, work })
    await client.pause(paceMs)
  }
}
