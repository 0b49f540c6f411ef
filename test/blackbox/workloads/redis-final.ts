/** Makes what the Redis workloads need, and reads what stands in each member when all is quiet. */
import { setTimeout as sleep } from 'node:timers/promises'
import { parseInfo } from '../../../packages/holdfast/src/engines/redis/info.ts'
import type { Address, FinalMember } from '../contract.ts'
import { type Confirmation, RedisLink, type RedisLogin } from './redis-client.ts'
import { NUMBERED, STOCK_COMMANDS, STOCK_KEYS } from './redis-workloads.ts'

const ANSWER_MS = 60_000
const CATCH_UP_MS = 30_000
const LOOK_MS = 100

/** False when it has to be tried again. */
export async function makeStock(door: Address, login: RedisLogin, wanted: Confirmation): Promise<boolean> {
  const link = new RedisLink(door, login, wanted)
  const outcome = await link.write(STOCK_COMMANDS, 2_000)
  link.close()
  return outcome.kind === 'ok'
}

export interface RedisRead {
  readonly state: FinalMember
  /** The history it is on and how far it had got, for the others to wait for. */
  readonly end: { readonly replid: string; readonly offset: number }
}

export async function readRedisMember(
  address: Address,
  login: RedisLogin,
  until?: RedisRead['end'],
): Promise<RedisRead> {
  const link = new RedisLink(address, login)
  try {
    const end = await endOf(link, until)
    const replies = await link.read(
      [
        ['LRANGE', NUMBERED, '0', '-1'],
        ['MGET', ...STOCK_KEYS],
      ],
      ANSWER_MS,
    )
    if (replies === null) throw new Error('it does not answer')
    const [rows, stock] = replies.map((reply) => (Array.isArray(reply) ? reply.map(String) : []))
    return { state: { rows: (rows ?? []).toSorted(), balances: (stock ?? []).map(Number), lists: {} }, end }
  } finally {
    link.close()
  }
}

/** A replica is waited for until it has what the primary had, for a while; then it is read as it is. */
async function endOf(link: RedisLink, until: RedisRead['end'] | undefined): Promise<RedisRead['end']> {
  for (const endMs = performance.now() + CATCH_UP_MS; ; await sleep(LOOK_MS)) {
    const replies = await link.read([['INFO', 'replication']], ANSWER_MS)
    const info = parseInfo(replies?.[0])
    if (info === null) throw new Error('it does not tell where it is')
    const { replid, offset } = info
    const there = until === undefined || (replid === until.replid && offset >= until.offset)
    if (there || performance.now() > endMs) return { replid, offset }
  }
}
