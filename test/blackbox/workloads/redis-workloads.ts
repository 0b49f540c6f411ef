/**
 * The workloads of a Redis group: numbered entries, each sent once (`insert`, and `old` on a connection that is kept
 * while it lives), and stock that moves between places and may never become more or less (`transfer`).
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Stream, streamOf } from '../../../packages/holdfast/src/sim/prng.ts'
import type { OperationName } from '../contract.ts'
import { type HistoryWriter, PROCESS_STRIDE } from '../history.ts'
import { type Command, RedisLink } from './redis-client.ts'
import { ANSWER_MS, CONNECT_MS, type WorkloadSettings } from './settings.ts'
import { ACCOUNTS, OPENING_BALANCE } from './tables.ts'
import type { RunningWorkloads } from './workloads.ts'

export const NUMBERED = 'numbered'
const NUMBERS_PER_CLIENT = 10_000_000
const AMOUNT_MAX = 20
const READ_SHARE = 0.2
const AGAIN_MS = 20
/** A connection that serves so many operations is given back, as a pool's would be; `old` ones never are. */
const RENEW_AFTER = 200
const STOP_SLACK_MS = 1_000

const RATES = {
  insert: { clients: 4, paceMs: 20 },
  transfer: { clients: 2, paceMs: 30 },
  old: { clients: 1, paceMs: 50 },
}
type Name = keyof typeof RATES

export const STOCK_KEYS: readonly string[] = Array.from({ length: ACCOUNTS }, (_, i) => `stock:${i + 1}`)
/** Asked twice it changes nothing. */
export const STOCK_COMMANDS: readonly Command[] = STOCK_KEYS.map((key) => ['SETNX', key, String(OPENING_BALANCE)])

export function startRedisWorkloads(settings: WorkloadSettings, history: HistoryWriter): RunningWorkloads {
  const stopping = new AbortController()
  const { signal } = stopping
  const working: Promise<void>[] = []
  let number = settings.firstClient ?? 0
  for (const [name, { clients }] of Object.entries(RATES)) {
    for (let i = 0; i < clients; i += 1, number += 1) {
      const chance = streamOf(settings.seed, `${name} ${i}`)
      working.push(new RedisWorker({ name: name as Name, number, settings, history, chance, signal }).run())
    }
  }
  const { connectMs = CONNECT_MS, answerMs = ANSWER_MS } = settings
  return {
    stop: async () => {
      stopping.abort()
      const bound = sleep(connectMs + 2 * answerMs + STOP_SLACK_MS, undefined, { ref: false })
      await Promise.race([Promise.all(working), bound])
    },
  }
}

interface WorkerOptions {
  readonly name: Name
  readonly number: number
  readonly settings: WorkloadSettings
  readonly history: HistoryWriter
  readonly chance: Stream
  readonly signal: AbortSignal
}

interface Operation {
  readonly f: OperationName
  readonly value: Readonly<Record<string, unknown>>
  readonly commands: readonly Command[]
}

class RedisWorker {
  readonly #o: WorkerOptions
  #process: number
  #next: number
  #link: RedisLink | null = null
  #served = 0

  constructor(options: WorkerOptions) {
    this.#o = options
    this.#process = options.number
    this.#next = options.number * NUMBERS_PER_CLIENT + 1
  }

  async run(): Promise<void> {
    const { name, signal } = this.#o
    while (!signal.aborted) {
      const link = await this.#ready()
      if (link === null) {
        await sleep(AGAIN_MS)
        continue
      }
      await this.#operate(link)
      await sleep(RATES[name].paceMs)
    }
    this.#link?.close()
  }

  async #ready(): Promise<RedisLink | null> {
    const { name, settings } = this.#o
    const renew = name !== 'old' && this.#served >= RENEW_AFTER
    if (renew || this.#link?.open === false) this.#leave()
    this.#link ??= new RedisLink(settings.door, settings.login, settings.redis)
    if (await this.#link.ready(settings.connectMs ?? CONNECT_MS)) return this.#link
    this.#leave()
    return null
  }

  async #operate(link: RedisLink): Promise<void> {
    const { settings, history } = this.#o
    const { f, value, commands } = this.#draw()
    history.write({ type: 'invoke', process: this.#process, f, value })
    const outcome = await link.write(commands, settings.answerMs ?? ANSWER_MS)
    this.#served += 1
    if (outcome.kind !== 'ok') {
      history.write({ type: outcome.kind, process: this.#process, f, value, error: outcome.because })
      if (outcome.kind === 'info') this.#process += PROCESS_STRIDE
      // Whoever refuses or is silent may no longer lead.
      this.#leave()
      return
    }
    const { node, epoch, lsn, replies } = outcome
    const [first] = replies
    const told = 'read' in value ? { ...value, read: Array.isArray(first) ? first.map(Number) : [] } : { ...value, lsn }
    history.write({ type: 'ok', process: this.#process, f, value: told, node, epoch })
  }

  #draw(): Operation {
    const { name, chance } = this.#o
    const n = this.#next++
    if (name !== 'transfer') {
      return { f: name, value: { n, attempt: 1 }, commands: [['RPUSH', NUMBERED, `${n}/1`]] }
    }
    if (chance.chance(READ_SHARE))
      return { f: 'transfer', value: { id: n, read: [] }, commands: [['MGET', ...STOCK_KEYS]] }
    const from = chance.int(ACCOUNTS)
    const to = (from + 1 + chance.int(ACCOUNTS - 1)) % ACCOUNTS
    const amount = 1 + chance.int(AMOUNT_MAX)
    const commands = [
      ['DECRBY', STOCK_KEYS[from] ?? '', String(amount)],
      ['INCRBY', STOCK_KEYS[to] ?? '', String(amount)],
    ]
    return { f: 'transfer', value: { id: n, from: from + 1, to: to + 1, amount }, commands }
  }

  #leave(): void {
    this.#link?.close()
    this.#link = null
    this.#served = 0
  }
}
