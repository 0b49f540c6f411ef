/**
 * The client of a drill: numbered records through the same door that applications use, four connections side by side,
 * and a look afterwards at which of them are there. RTO and RPO come from these records and from nothing else.
 *
 * A number is sent once and never again, so one that stands there twice was doubled on the way. An answer that did not
 * come is a failure, not a loss: only what was acknowledged can be lost.
 */
import type pg from 'pg'
import { confirmationsOf, connectPostgres, redisLine } from '../canary/door.ts'
import type { GroupSpec, Platform, RouterDoor } from '../config/platform.ts'
import type { CanaryAck, Found } from '../core/drill/figures.ts'
import type { Line } from '../engines/redis/connection.ts'
import { HoldfastError } from '../errors.ts'
import type { Clock } from '../io/clock.ts'

/** Connections; one that hangs in a frozen host must not hide that others are served. */
const WRITERS = 4
/** Pause between two writes of one connection: bounds how finely an outage is seen. */
const PACE_MS = 20
const AGAIN_MS = 20
/** An answer that takes longer has failed. */
const ANSWER_MS = 3_000
/** The router holds a new connection while there is no primary. */
const CONNECT_MS = 12_000
/** A drill of an hour at full pace; more is not kept. */
const ACKS_MAX = 1_000_000
const TABLE = 'holdfast_drill_canary'

export interface CanaryLine {
  write(n: number): Promise<void>
  close(): void
}

/** What a group's engine needs to be written to and looked at through its door. */
export interface CanaryDoor {
  prepare(): Promise<void>
  open(): Promise<CanaryLine>
  /** Answers only if the door does. */
  read(): Promise<void>
  /** The first column of the first row; PostgreSQL only. */
  query(sql: string): Promise<string>
  found(): Promise<Found>
  /** Removes this drill's records. */
  clean(): Promise<void>
}

export interface CanaryView {
  readonly acked: number
  readonly failed: number
  readonly lastAckMs: number | null
}

export interface Canary {
  readonly acks: readonly CanaryAck[]
  view(): CanaryView
  stop(): Promise<void>
}

export function startCanary(door: CanaryDoor, clock: Clock): Canary {
  const acks: CanaryAck[] = []
  let failed = 0
  let lastAckMs: number | null = null
  let next = 1
  let running = true
  const writer = async (): Promise<void> => {
    let line: CanaryLine | null = null
    while (running && acks.length < ACKS_MAX) {
      const n = next
      next += 1
      try {
        line ??= await door.open()
        const sentMs = clock.nowMs()
        await line.write(n)
        const ackedMs = clock.nowMs()
        acks.push({ n, sentMs, ackedMs })
        lastAckMs = Math.max(lastAckMs ?? 0, ackedMs)
        await sleep(PACE_MS)
      } catch {
        if (!running) break
        failed += 1
        line?.close()
        line = null
        await sleep(AGAIN_MS)
      }
    }
    line?.close()
  }
  const writers = Array.from({ length: WRITERS }, writer)
  return {
    acks,
    view: () => ({ acked: acks.length, failed, lastAckMs }),
    stop: async () => {
      running = false
      await Promise.race([Promise.all(writers), sleep(ANSWER_MS + CONNECT_MS)])
    },
  }
}

/** The way applications take. Throws where nobody could write: no router, no application. */
export function canaryDoor(platform: Platform, group: GroupSpec, drill: string): CanaryDoor {
  const door = platform.routers.flatMap((router) => router.doors).find((one) => one.group === group.name)
  const { application } = group
  if (door === undefined || application === null) {
    const what = door === undefined ? 'a router with a door' : 'an application with a password'
    const message = `a drill writes as clients do, and group ${group.name} has no ${what}`
    throw new HoldfastError('HF_DRILL_REFUSED', message, `describe one in ${platform.file}`)
  }
  return group.engine === 'redis' ? redisDoor(group, door) : postgresDoor(group, door, drill)
}

function postgresDoor(group: GroupSpec, door: RouterDoor, drill: string): CanaryDoor {
  const bounds = { name: 'holdfast drill', connectMs: CONNECT_MS, answerMs: ANSWER_MS }
  const client = (at: RouterDoor['listen']): Promise<pg.Client> => connectPostgres(group, at, bounds)
  const once = async <T>(at: RouterDoor['listen'], work: (one: pg.Client) => Promise<T>): Promise<T> => {
    const one = await client(at)
    try {
      return await work(one)
    } finally {
      void one.end().catch(() => {})
    }
  }
  return {
    prepare: () =>
      once(door.listen, async (one) => {
        await one.query(`create table if not exists ${TABLE} (drill text not null, n int not null)`)
        await one.query(`create index if not exists ${TABLE}_drill on ${TABLE} (drill)`)
        // One drill a group: what is there was left by a runner that was killed.
        await one.query(`delete from ${TABLE} where drill <> $1`, [drill])
      }),
    open: async () => {
      const one = await client(door.listen)
      return {
        write: async (n) => {
          await one.query(`insert into ${TABLE} values ($1, $2)`, [drill, n])
        },
        close: () => void one.end().catch(() => {}),
      }
    },
    read: () => once(door.read?.listen ?? door.listen, async (one) => void (await one.query('select 1'))),
    query: (sql) =>
      once(door.listen, async (one) => {
        await one.query('begin transaction read only')
        const result = await one.query<unknown[]>({ text: sql, rowMode: 'array' })
        return String(result.rows[0]?.[0] ?? '')
      }),
    found: () =>
      once(door.listen, async (one) => {
        const sql = `select n, count(*)::int as times from ${TABLE} where drill = $1 group by n`
        const { rows } = await one.query<{ n: number; times: number }>(sql, [drill])
        return new Map(rows.map((row) => [row.n, row.times]))
      }),
    clean: () =>
      once(door.listen, async (one) => void (await one.query(`delete from ${TABLE} where drill = $1`, [drill]))),
  }
}

function redisDoor(group: GroupSpec, door: RouterDoor): CanaryDoor {
  const key = 'holdfast:drill:canary'
  const need = confirmationsOf(group)
  const line = (at: RouterDoor['listen']): Line => redisLine(group, at)
  const must = async (one: Line, words: readonly (readonly string[])[], ms: number) => {
    const answer = await one.must(words, ms)
    if (!answer.ok) throw new Error(answer.because)
    return answer.replies
  }
  const once = async (at: RouterDoor['listen'], words: readonly (readonly string[])[]) => {
    const one = line(at)
    try {
      return await must(one, words, CONNECT_MS)
    } finally {
      one.close()
    }
  }
  return {
    // One drill a group: what is there was left by a runner that was killed.
    prepare: async () => void (await once(door.listen, [['DEL', key]])),
    open: async () => {
      const one = line(door.listen)
      return {
        write: async (n) => {
          // A write that was not confirmed by enough of them is not acknowledged (engines/redis/SPEC.md).
          const wait = need === 0 ? [] : [['WAIT', String(need), String(ANSWER_MS - 500)]]
          const replies = await must(one, [['RPUSH', key, String(n)], ...wait], ANSWER_MS)
          if (need > 0 && Number(replies[1] ?? 0) < need) throw new Error('not confirmed')
        },
        close: () => one.close(),
      }
    },
    read: async () => void (await once(door.read?.listen ?? door.listen, [['EXISTS', key]])),
    query: () => Promise.reject(new Error('a probe with sql needs PostgreSQL')),
    found: async () => {
      const [list] = await once(door.listen, [['LRANGE', key, '0', '-1']])
      const times = new Map<number, number>()
      for (const n of Array.isArray(list) ? list.map(Number) : []) times.set(n, (times.get(n) ?? 0) + 1)
      return times
    },
    clean: async () => void (await once(door.listen, [['DEL', key]])),
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
