/**
 * What stands in one member when all is quiet, read from it directly. As a function, and as a program for a host only
 * whose own processes reach the member: `final-read.ts JSON` with `{address, login, out, untilLsn?}` writes the answer
 * to the file `out`.
 */
import { writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { Address, FinalMember, FinalState, Lane } from '../contract.ts'
import { nowNs } from '../history.ts'
import { listOf } from './operations.ts'

export interface MemberRead {
  readonly state: FinalMember
  /** How far its log was, as PostgreSQL writes it: for the others to wait for. */
  readonly lsn: string
}

export interface ReadOptions {
  readonly address: Address
  readonly login: Lane['login']
  /** A standby is waited for until it has applied this much, for at most `CATCH_UP_MS`; then it is read as it is. */
  readonly untilLsn?: string
}

const CONNECT_MS = 10_000
const ANSWER_MS = 60_000
const CATCH_UP_MS = 30_000
const LOOK_MS = 100

export async function readMember({ address, login, untilLsn }: ReadOptions): Promise<MemberRead> {
  const limits = { connectionTimeoutMillis: CONNECT_MS, query_timeout: ANSWER_MS }
  const client = new pg.Client({ ...login, ...address, ...limits })
  client.on('error', () => {})
  await client.connect()
  try {
    if (untilLsn !== undefined) await caughtUp(client, untilLsn)
    const lsn = await positionOf(client)
    // One snapshot for all, though nobody should be writing any more.
    await client.query('begin isolation level repeatable read read only')
    const rows = await client.query<{ row: string }>("select n || '/' || attempt as row from numbered order by n")
    const balances = await client.query<{ balance: string }>('select balance from account order by id')
    const lists = await client.query<{ key: string; value: string }>('select key, value from list')
    await client.query('commit')
    const state: FinalMember = {
      rows: rows.rows.map(({ row }) => row),
      balances: balances.rows.map(({ balance }) => Number(balance)),
      lists: Object.fromEntries(lists.rows.map(({ key, value }) => [key, listOf(value)])),
    }
    return { state, lsn }
  } finally {
    await client.end().catch(() => {})
  }
}

/** All members that this process itself reaches: the primary first, then the others once they have what it has. */
export async function readFinal(
  members: readonly { readonly member: string; readonly own: Address }[],
  primary: string,
  login: Lane['login'],
): Promise<FinalState> {
  const at = members.find(({ member }) => member === primary)
  if (at === undefined) throw new Error(`no member is called ${primary}`)
  const first = await readMember({ address: at.own, login })
  const states: Record<string, FinalMember> = { [primary]: first.state }
  for (const { member, own } of members) {
    if (member === primary) continue
    states[member] = (await readMember({ address: own, login, untilLsn: first.lsn })).state
  }
  return { primary, members: states }
}

async function caughtUp(client: pg.Client, untilLsn: string): Promise<void> {
  const endNs = nowNs() + CATCH_UP_MS * 1e6
  const sql = 'select not pg_is_in_recovery() or pg_last_wal_replay_lsn() >= $1::pg_lsn as there'
  while (nowNs() < endNs) {
    const { rows } = await client.query<{ there: boolean | null }>(sql, [untilLsn])
    if (rows[0]?.there === true) return
    await sleep(LOOK_MS)
  }
}

async function positionOf(client: pg.Client): Promise<string> {
  const sql = `select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end as lsn`
  const { rows } = await client.query<{ lsn: string | null }>(sql)
  return rows[0]?.lsn ?? '0/0'
}

if (import.meta.main) {
  const { out, ...options } = JSON.parse(process.argv[2] ?? '') as ReadOptions & { readonly out: string }
  writeFileSync(out, JSON.stringify(await readMember(options)))
}
