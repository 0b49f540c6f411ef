/**
 * The customers of the shop: an order reserves a piece in Redis by an atomic script, then becomes a row in PostgreSQL,
 * both through the routers' doors. Its number is the same in every attempt, so an attempt whose answer was lost is
 * simply made again. Beside them stand probers: one per group at the doors, which tells how long the group refused
 * writes, and one straight at each member, which tells whether two of them ever took writes at once.
 */
import type pg from 'pg'
import { Line } from '../../engines/redis/connection.ts'
import { systemClock } from '../../io/clock.ts'
import type { Reply } from '../../io/resp.ts'
import { within } from '../children.ts'
import { type Ack, codeOf, connect, FIRST_PROBER, sleep } from './ledger.ts'
import type { Books, Placed } from './shop-figures.ts'
import { GROUPS, type Group, type ShopLayout } from './shop-layout.ts'

/** Pieces of each item; the first is wanted by every fourth customer and sells out in the spike. */
export const STOCK: readonly number[] = [100, ...Array.from({ length: 15 }, () => 100_000)]
const CUSTOMERS = 16
/** From one order of a customer to the next. The spike is ten times as much: 200 orders a second. */
const CALM_PACE_MS = 800
const SPIKE_PACE_MS = 80
const PROBE_MS = 20
const AGAIN_MS = 20
const ANSWER_MS = 2_000
/** How long a reservation waits for the other site's confirmation. */
const WAIT_MS = 1_000
/** Attempts to fill the stock before the first customer comes. */
const OPENINGS = 10
const READ_MS = 30_000

/** A second attempt finds the reservation of the first one; the last piece is given once. */
const RESERVE = `
if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1 then return 1 end
if tonumber(redis.call('GET', KEYS[1]) or '0') < 1 then return 0 end
redis.call('DECR', KEYS[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
return 1`
const RESERVED = 'reserved'

export interface ShopLoad {
  readonly placed: Placed[]
  /** Writes of the probers by group: those at the doors and those straight at members, from `FIRST_PROBER` on. */
  readonly acks: Readonly<Record<Group, Ack[]>>
  /** Customers told that an item is sold out. */
  soldOut(): number
  /** Attempts that were refused or cut, and were made again. */
  refused(): number
  spike(on: boolean): void
  stop(): Promise<void>
}

export async function openShop(layout: ShopLayout): Promise<void> {
  const client = connect(layout, layout.doors.orders[0] ?? 0, READ_MS)
  await client.connect()
  await client.query(`
    create table shop_order (number text primary key, item int not null);
    create table probe (id bigint generated always as identity, by int not null)`)
  await client.end()
  const stock = STOCK.flatMap((pieces, item) => [itemKey(item), String(pieces)])
  const line = redisAt(layout, layout.doors.stock[0] ?? 0)
  try {
    for (let left = OPENINGS; ; left -= 1) {
      try {
        await confirmed(line, ['MSET', ...stock])
        return
      } catch (error) {
        // A replica that has only just come may be late with its first confirmation.
        if (left === 1) throw error
        await sleep(WAIT_MS)
      }
    }
  } finally {
    line.close()
  }
}

export function startShopLoad(layout: ShopLayout): ShopLoad {
  const state: State = { layout, running: true, paceMs: CALM_PACE_MS, soldOut: 0, refused: 0, placed: [] }
  const acks: Record<Group, Ack[]> = { stock: [], orders: [] }
  const customers = Array.from({ length: CUSTOMERS }, (_, at) => runCustomer(state, at))
  const probers = GROUPS.flatMap((group) => {
    const members = layout.members.filter((m) => m.group === group)
    const ways = [layout.doors[group], ...members.map((m) => [m.port])]
    return ways.map((ports, at) =>
      runProber(state, { group, ports, writer: at === 0 ? 0 : FIRST_PROBER + at, into: acks[group] }),
    )
  })
  return {
    placed: state.placed,
    acks,
    soldOut: () => state.soldOut,
    refused: () => state.refused,
    spike: (on) => {
      state.paceMs = on ? SPIKE_PACE_MS : CALM_PACE_MS
    },
    stop: async () => {
      state.running = false
      await within(Promise.all([...customers, ...probers]), READ_MS)
    },
  }
}

interface State {
  readonly layout: ShopLayout
  readonly placed: Placed[]
  running: boolean
  paceMs: number
  soldOut: number
  refused: number
}

async function runCustomer(state: State, at: number): Promise<void> {
  const { layout, placed } = state
  const stock = new RedisDoor(layout, layout.doors.stock)
  const orders = new PostgresDoor(layout, layout.doors.orders)
  await sleep((at * CALM_PACE_MS) / CUSTOMERS)
  for (let n = 1; state.running; n += 1) {
    const number = `${at}-${n}`
    const item = n % 4 === 0 ? 0 : 1 + ((at + n) % (STOCK.length - 1))
    const sentMs = systemClock.nowMs()
    let wanted = true
    while (wanted && state.running) {
      try {
        const got = await stock.write(['EVAL', RESERVE, '2', itemKey(item), RESERVED, number, String(item)])
        if (got === 1) {
          await orders.write(`insert into shop_order values ('${number}', ${item}) on conflict do nothing`)
          placed.push({ number, item, sentMs, ackedMs: systemClock.nowMs() })
        } else state.soldOut += 1
        wanted = false
      } catch {
        state.refused += 1
        await sleep(AGAIN_MS)
      }
    }
    await untilDue(state, sentMs)
  }
  stock.close()
  orders.close()
}

/** Until the next order is due; the spike may begin meanwhile. */
async function untilDue(state: State, sentMs: number): Promise<void> {
  while (state.running) {
    const leftMs = sentMs + state.paceMs - systemClock.nowMs()
    if (leftMs <= 0) return
    await sleep(Math.min(leftMs, SPIKE_PACE_MS))
  }
}

interface Probing {
  readonly group: Group
  readonly ports: readonly number[]
  readonly writer: number
  readonly into: Ack[]
}

async function runProber(state: State, { group, ports, writer, into }: Probing): Promise<void> {
  const door = group === 'stock' ? new RedisDoor(state.layout, ports) : new PostgresDoor(state.layout, ports)
  for (let n = 1; state.running; n += 1) {
    const sentMs = systemClock.nowMs()
    try {
      const where = await door.probe(writer)
      into.push({ writer, n, sentMs, ackedMs: systemClock.nowMs(), ...where })
    } catch {
      // Refused or cut: the gap between acknowledgements is what is measured.
    }
    await sleep(PROBE_MS)
  }
  door.close()
}

/** The member that took a write, and the history it stands in. */
type Where = Pick<Ack, 'port' | 'timeline'>

/** One connection to PostgreSQL by whichever of these ports answers. */
class PostgresDoor {
  readonly #layout: ShopLayout
  readonly #ports: readonly number[]
  #at = 0
  #client: pg.Client | null = null

  constructor(layout: ShopLayout, ports: readonly number[]) {
    this.#layout = layout
    this.#ports = ports
  }

  async write(sql: string): Promise<Where> {
    try {
      this.#client ??= await this.#open()
      const answer: unknown = await this.#client.query(`
        begin; ${sql};
        select inet_server_port() as port, substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) as timeline;
        commit`)
      const results = Array.isArray(answer) ? (answer as pg.QueryResult[]) : []
      if (results.at(-1)?.command !== 'COMMIT') throw new Error('rolled back')
      return results.find((r) => r.command === 'SELECT')?.rows[0] as Where
    } catch (error) {
      // A replica refuses, and its connection stays: it must be an old one when the replica is promoted.
      const kept = codeOf(error) === READ_ONLY && this.#ports.length === 1
      if (kept) await this.#client?.query('rollback').catch(() => {})
      else this.close()
      throw error
    }
  }

  probe(writer: number): Promise<Where> {
    return this.write(`insert into probe (by) values (${writer})`)
  }

  close(): void {
    this.#client?.end().catch(() => {})
    this.#client = null
    this.#at += 1
  }

  async #open(): Promise<pg.Client> {
    const client = connect(this.#layout, this.#ports[this.#at % this.#ports.length] ?? 0, ANSWER_MS)
    try {
      await client.connect()
      return client
    } catch (error) {
      client.end().catch(() => {})
      this.#at += 1
      throw error
    }
  }
}

/** SQLSTATE of a write on a replica. */
const READ_ONLY = '25006'

/** The same for Redis. */
class RedisDoor {
  readonly #layout: ShopLayout
  readonly #ports: readonly number[]
  #at = 0
  #line: Line | null = null

  constructor(layout: ShopLayout, ports: readonly number[]) {
    this.#layout = layout
    this.#ports = ports
  }

  async write(command: readonly string[]): Promise<Reply> {
    return (await this.#through((line) => confirmed(line, command))).reply
  }

  /** At a single member an unconfirmed write counts, too: a second writer shall be seen as early as it can be. */
  async probe(writer: number): Promise<Where> {
    const command = ['INCR', `probe:${writer}`]
    const one = this.#ports.length === 1
    const { info } = await this.#through((line) => (one ? accepted(line, command) : confirmed(line, command)))
    return { port: Number(/tcp_port:(\d+)/.exec(info)?.[1]), timeline: /master_replid:(\w+)/.exec(info)?.[1] ?? '' }
  }

  close(): void {
    this.#line?.close()
    this.#line = null
    this.#at += 1
  }

  async #through(ask: (line: Line) => Promise<Accepted>): Promise<Accepted> {
    this.#line ??= redisAt(this.#layout, this.#ports[this.#at % this.#ports.length] ?? 0)
    try {
      return await ask(this.#line)
    } catch (error) {
      // A prober stays: its connection must be an old one when the member is promoted.
      if (this.#ports.length > 1) this.close()
      throw error
    }
  }
}

interface Accepted {
  readonly reply: Reply
  readonly info: string
}

/** What the server said to it, and who it was just then. */
async function accepted(line: Line, command: readonly string[]): Promise<Accepted> {
  const answer = await line.must([command, ['INFO', 'server', 'replication']], ANSWER_MS)
  if (!answer.ok) throw new Error(answer.because)
  const [reply = null, info] = answer.replies
  return { reply, info: String(info) }
}

/**
 * A write that a failover keeps. While the group wants a confirmation, Redis tells how many replicas are good, and
 * `WAIT` says whether one has it; a survivor that goes on alone wants none, and tells nothing.
 */
async function confirmed(line: Line, command: readonly string[]): Promise<Accepted> {
  const done = await accepted(line, command)
  if (!/min_slaves_good_slaves:/.test(done.info)) return done
  // `WAIT` on another connection would say nothing about this write.
  if (!line.open) throw new Error('cut before it was confirmed')
  const waited = await line.must([['WAIT', '1', String(WAIT_MS)]], ANSWER_MS)
  if (!waited.ok) throw new Error(waited.because)
  if (Number(waited.replies[0]) < 1) throw new Error('not confirmed in time')
  return done
}

/** What both databases hold, read where the primaries are. */
export async function readBooks(layout: ShopLayout, door: number): Promise<Books> {
  const client = connect(layout, layout.doors.orders[door] ?? 0, READ_MS)
  const line = redisAt(layout, layout.doors.stock[door] ?? 0)
  try {
    await client.connect()
    const { rows } = await client.query<{ number: string; item: number }>('select number, item from shop_order')
    const answer = await line.must(
      [
        ['HKEYS', RESERVED],
        ['MGET', ...STOCK.map((_, item) => itemKey(item))],
      ],
      READ_MS,
    )
    if (!answer.ok) throw new Error(`the stock cannot be read: ${answer.because}`)
    const [reserved, left] = answer.replies.map((reply) => (Array.isArray(reply) ? (reply as Reply[]) : []))
    return {
      orders: new Map(rows.map(({ number, item }) => [number, item])),
      reserved: new Set(reserved?.map(String)),
      left: left?.map(Number) ?? [],
    }
  } finally {
    line.close()
    await client.end().catch(() => {})
  }
}

function redisAt({ password }: ShopLayout, port: number): Line {
  return new Line({ host: '127.0.0.1', port, user: 'app', password })
}

function itemKey(item: number): string {
  return `stock:${item}`
}
